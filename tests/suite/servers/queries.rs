//! While a connection is idle, while a statement is described, and while its rows come.

use std::time::Duration;

use anyhow::Result;
use dagflux_host::ErrorKind::{
    self, ConnectionLost, GuestTimeLimit, OutcomeUnknown, Protocol, Value, WallTimeLimit,
};
use dagflux_host::Limits;

use super::case::{self, Case, Work, meddled};
use super::meddler::{Deed, Said};
use super::messages::{
    authentication, column, complete, copy_data, description, error, message, notice, ready, row,
    saying, setting, values,
};

fn query(
    name: &'static str,
    rule: fn(&Said<'_>) -> Deed,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    meddled(name, Work::Query, rule, kind, words)
}

fn execute(
    name: &'static str,
    rule: fn(&Said<'_>) -> Deed,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    meddled(name, Work::Execute, rule, kind, words)
}

/// Something else in place of one message.
fn replaced(said: &Said<'_>, tag: u8, nth: usize, with: Vec<u8>) -> Deed {
    match said.is(tag, nth) {
        true => Deed::Say(with),
        false => Deed::Pass,
    }
}

/// Something behind one message.
fn followed(said: &Said<'_>, tag: u8, nth: usize, by: Vec<u8>) -> Deed {
    replaced(said, tag, nth, [said.whole, &by].concat())
}

/// The two columns of the table.
fn columns() -> [Vec<u8>; 2] {
    [column("id", 23, 4), column("name", 25, -1)]
}

/// A row of the table.
fn good() -> Vec<u8> {
    values(&[Some(&7_i32.to_be_bytes()), Some(b"seven")])
}

/// The first end of an answer is the login's; that of the first query is the fifth.
const IDLE: usize = 0;
const BETWEEN: usize = 4;

fn descriptions() -> Vec<Case> {
    vec![
        query(
            "a description of fewer columns than it says",
            |said| replaced(said, b'T', 0, description(3, &columns())),
            Protocol,
            "ends early",
        ),
        query(
            "a description of more columns than it says",
            |said| replaced(said, b'T', 0, description(1, &columns())),
            Protocol,
            "field is not drained",
        ),
        query(
            "a negative number of columns",
            |said| replaced(said, b'T', 0, description(-1, &[])),
            Protocol,
            "1664",
        ),
        query(
            "more columns than there can be",
            |said| {
                let columns: Vec<_> = (0..2000).map(|_| column("c", 23, 4)).collect();
                replaced(said, b'T', 0, description(2000, &columns))
            },
            Protocol,
            "1664",
        ),
        query(
            "a column whose name does not end",
            |said| replaced(said, b'T', 0, description(1, &[b"name".to_vec()])),
            Protocol,
            "ends early",
        ),
        query(
            "a column whose name is not text",
            |said| {
                let mut odd = column("xx", 23, 4);
                odd[..2].copy_from_slice(b"\xff\xfe");
                replaced(said, b'T', 0, description(1, &[odd]))
            },
            Protocol,
            "invalid utf-8",
        ),
        query(
            "a description in place of the parameters",
            |said| replaced(said, b't', 0, message(b't', b"\x7f\xff")),
            Protocol,
            "ends early",
        ),
        query(
            "no description",
            |said| replaced(said, b'T', 0, Vec::new()),
            ErrorKind::UnsupportedStatement,
            "the statement returns no rows",
        ),
        query(
            "rows in place of a description",
            |said| replaced(said, b'T', 0, row(2, &good())),
            Protocol,
            "where a statement is described",
        ),
    ]
}

fn rows() -> Vec<Case> {
    vec![
        query(
            "a row with too few values",
            |said| replaced(said, b'D', 1, row(1, &values(&[Some(&[0, 0, 0, 7])]))),
            Protocol,
            "another number of columns than announced",
        ),
        query(
            "a row with too many values",
            |said| replaced(said, b'D', 1, row(3, &[good(), values(&[None])].concat())),
            Protocol,
            "another number of columns than announced",
        ),
        query(
            "a row that says to have more values than it has",
            |said| replaced(said, b'D', 1, row(2, &values(&[Some(&[0, 0, 0, 7])]))),
            Protocol,
            "a row that ends early",
        ),
        query(
            "a row with bytes behind its values",
            |said| replaced(said, b'D', 1, row(2, &[good(), vec![0]].concat())),
            Protocol,
            "bytes behind its last column",
        ),
        query(
            "a negative number of values",
            |said| replaced(said, b'D', 1, row(-1, &good())),
            Protocol,
            "another number of columns than announced",
        ),
        query(
            "a value that is longer than its row",
            |said| replaced(said, b'D', 1, row(2, &[0, 0, 1, 0, 7])),
            Protocol,
            "a value longer than its row",
        ),
        query(
            "a value of the length -2",
            |said| {
                replaced(
                    said,
                    b'D',
                    1,
                    row(2, &[255, 255, 255, 254, 255, 255, 255, 255]),
                )
            },
            Protocol,
            "a value of negative length",
        ),
        query(
            "a value of 2 GiB",
            |said| replaced(said, b'D', 1, row(2, &[127, 255, 255, 255, 0])),
            Protocol,
            "a value longer than its row",
        ),
        query(
            "an integer of three bytes",
            |said| replaced(said, b'D', 1, row(2, &values(&[Some(&[0, 0, 7]), None]))),
            Protocol,
            "is not in the format of its type",
        ),
        query(
            "text that is not UTF-8",
            |said| {
                let odd = values(&[Some(&[0, 0, 0, 7]), Some(b"\xff\xfe")]);
                replaced(said, b'D', 1, row(2, &odd))
            },
            ErrorKind::InvalidData,
            "not of its schema",
        ),
        query(
            "an empty row",
            |said| replaced(said, b'D', 1, message(b'D', b"")),
            Protocol,
            "without a number of columns",
        ),
        query(
            "a row of 33 MiB",
            |said| replaced(said, b'D', 1, saying(b'D', 33 << 20, b"")),
            Value,
            "a row of 34603008 bytes",
        ),
        query(
            "a row of 2 GiB",
            |said| replaced(said, b'D', 1, saying(b'D', i32::MAX, b"")),
            Protocol,
            "of the length 2147483647",
        ),
        query(
            "a row left out",
            |said| replaced(said, b'D', 1, Vec::new()),
            Protocol,
            "2 rows, of which the server counts 3",
        ),
        query(
            "a row twice",
            |said| followed(said, b'D', 1, said.whole.to_vec()),
            Protocol,
            "4 rows, of which the server counts 3",
        ),
        query(
            "no end of the rows",
            |said| match said.completes("SELECT") {
                true => Deed::Say(Vec::new()),
                false => Deed::Pass,
            },
            Protocol,
            "among rows",
        ),
        query(
            "a row behind the end of the rows",
            |said| match said.completes("SELECT") {
                true => Deed::Say([said.whole, &row(2, &good())].concat()),
                false => Deed::Pass,
            },
            Protocol,
            "among rows",
        ),
        query(
            "the end of a command that is not text",
            |said| match said.completes("SELECT") {
                true => Deed::Say(message(b'C', b"\xff\xfe\0")),
                false => Deed::Pass,
            },
            Protocol,
            "invalid utf-8",
        ),
        query(
            "a COPY among the rows",
            |said| followed(said, b'D', 0, copy_data(b"x")),
            Protocol,
            "among rows",
        ),
        query(
            "a login among the rows",
            |said| followed(said, b'D', 0, authentication(3, b"")),
            Protocol,
            "among rows",
        ),
        query(
            "a request for rows among the rows",
            |said| followed(said, b'D', 0, message(b'G', b"\0\0\0")),
            Protocol,
            "among rows",
        ),
        query(
            "a description among the rows",
            |said| followed(said, b'D', 0, description(2, &columns())),
            Protocol,
            "among rows",
        ),
        query(
            "an unknown tag among the rows",
            |said| followed(said, b'D', 0, message(b'!', b"")),
            Protocol,
            "unknown message tag",
        ),
        query(
            "the end among the rows",
            |said| match said.is(b'D', 1) {
                true => Deed::SayAndClose(Vec::new()),
                false => Deed::Pass,
            },
            ConnectionLost,
            "without saying why",
        ),
        query(
            "a reset among the rows",
            |said| match said.is(b'D', 1) {
                true => Deed::Reset,
                false => Deed::Pass,
            },
            ConnectionLost,
            "broke",
        ),
        query(
            "nothing more among the rows",
            |said| match said.is(b'D', 1) {
                true => Deed::Stall,
                false => Deed::Pass,
            },
            WallTimeLimit,
            "longer than 8 s",
        ),
        query(
            "an error with the terminal's own words among the rows",
            |said| replaced(said, b'D', 1, error("FATAL", "XX000", "\u{1b}[2J\u{7}gone")),
            ErrorKind::Other,
            "gone",
        ),
        query(
            "an end with an unknown state",
            |said| replaced(said, b'Z', 3, ready(b'?')),
            Protocol,
            "an unknown transaction state",
        ),
    ]
}

/// Bytes that are pushed when nobody has asked.
fn idle() -> Vec<Case> {
    vec![
        query(
            "a row while idle",
            |said| followed(said, b'Z', IDLE, row(2, &good())),
            Protocol,
            "before anything was asked",
        ),
        query(
            "a COPY while idle",
            |said| followed(said, b'Z', IDLE, copy_data(b"x")),
            Protocol,
            "before anything was asked",
        ),
        query(
            "a login while idle",
            |said| followed(said, b'Z', IDLE, authentication(5, b"salt")),
            Protocol,
            "before anything was asked",
        ),
        query(
            "an error while idle",
            |said| followed(said, b'Z', IDLE, error("FATAL", "57P01", "good night")),
            ErrorKind::ServerShutdown,
            "good night",
        ),
        query(
            "half a message while idle",
            |said| match said.is(b'Z', IDLE) {
                true => Deed::SayAndClose([said.whole, b"D\0\0"].concat()),
                false => Deed::Pass,
            },
            ConnectionLost,
            "without saying why",
        ),
        query(
            "a key while idle",
            |said| followed(said, b'Z', IDLE, message(b'K', &[0; 8])),
            Protocol,
            "before anything was asked",
        ),
        query(
            "an end while idle",
            |said| followed(said, b'Z', IDLE, ready(b'I')),
            Protocol,
            "before anything was asked",
        ),
        query(
            "an open transaction that is none",
            |said| replaced(said, b'Z', IDLE, ready(b'Q')),
            Protocol,
            "unknown transaction state",
        ),
        query(
            "a row between two queries",
            |said| followed(said, b'Z', BETWEEN, row(2, &good())),
            Protocol,
            "before anything was asked",
        ),
        query(
            "the end between two queries",
            |said| match said.is(b'Z', BETWEEN) {
                true => Deed::SayAndClose(said.whole.to_vec()),
                false => Deed::Pass,
            },
            ConnectionLost,
            "without saying why",
        ),
    ]
}

/// A change whose answer cannot be made out.
fn changes() -> Vec<Case> {
    vec![
        execute(
            "a change without an answer",
            |said| match said.completes("INSERT") {
                true => Deed::SayAndClose(Vec::new()),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(4),
        execute(
            "a change with half an answer",
            |said| match said.completes("INSERT") {
                true => Deed::SayAndClose(said.whole.to_vec()),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(4),
        execute(
            "a change with an answer that is left out",
            |said| match said.completes("INSERT") {
                true => Deed::Say(Vec::new()),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "in place of what the statement did",
        )
        .leaving(4),
        execute(
            "a change with a reset for an answer",
            |said| match said.completes("INSERT") {
                true => Deed::Reset,
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "broke",
        )
        .leaving(4),
        execute(
            "a change with an answer that is not text",
            |said| match said.completes("INSERT") {
                true => Deed::Say(message(b'C', b"\xff\0")),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(4),
        execute(
            "a change with a login for an answer",
            |said| match said.completes("INSERT") {
                true => Deed::Say(authentication(3, b"")),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "as the answer to a statement",
        )
        .leaving(4),
        execute(
            "a change with an unknown tag for an answer",
            |said| match said.completes("INSERT") {
                true => Deed::Say(message(b'!', b"")),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "unknown message tag",
        )
        .leaving(4),
        execute(
            "a change said to have begun a transaction",
            |said| match said.is(b'Z', 2) {
                true => Deed::Say(ready(b'T')),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "that leaves a transaction open",
        )
        .leaving(4),
        execute(
            "a change said to be nothing",
            |said| match said.completes("INSERT") {
                true => Deed::Say(message(b'I', b"")),
                false => Deed::Pass,
            },
            OutcomeUnknown,
            "as the answer to a statement",
        )
        .leaving(4),
    ]
}

/// The same from the second message of this tag on, without end.
fn from(said: &Said<'_>, tag: u8, bytes: Vec<u8>) -> Deed {
    match said.is(tag, 1) {
        true => Deed::Forever(bytes.repeat(1 + 262_144 / bytes.len())),
        false => Deed::Pass,
    }
}

fn floods() -> Vec<Case> {
    let kind = GuestTimeLimit;
    let words = "longer than 1 s";
    vec![
        query(
            "remarks without end among rows",
            |said| from(said, b'D', notice("so it goes")),
            kind,
            words,
        ),
        query(
            "settings without end among rows",
            |said| from(said, b'D', setting(b"a", b"b")),
            kind,
            words,
        ),
        query(
            "notifications without end among rows",
            |said| from(said, b'D', message(b'A', b"\0\0\0\x07channel\0payload\0")),
            kind,
            words,
        ),
        query(
            "ends of commands without end",
            |said| from(said, b'Z', complete("SET")),
            kind,
            words,
        ),
        query(
            "parsed statements without end",
            |said| from(said, b'D', message(b'1', b"")),
            kind,
            words,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_that_are_none() -> Result<()> {
    case::all("servers_descriptions", descriptions(), 9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_none() -> Result<()> {
    case::all("servers_rows", rows(), 28).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_nobody_asked_for() -> Result<()> {
    case::all("servers_idle", idle(), 10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_without_a_proper_answer() -> Result<()> {
    case::all("servers_changes", changes(), 9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_among_rows() -> Result<()> {
    let limits = Limits::default()
        .with_guest_time(Duration::from_secs(1))
        .with_memory(96 << 20);
    case::all_within(limits, "servers_query_floods", floods(), 5).await
}

/// What a statement of the connector's own gives is kept as a whole, so that is bounded by memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_what_is_kept() -> Result<()> {
    let limits = Limits::default()
        .with_guest_time(Duration::from_secs(40))
        .with_memory(96 << 20);
    let cases = vec![meddled(
        "rows without end where a few are expected",
        Work::Read,
        |said| from(said, b'D', row(1, &values(&[Some(&[b'x'; 1000])]))),
        ErrorKind::MemoryLimit,
        "more than its 96 MiB of memory",
    )];
    case::all_within(limits, "servers_memory", cases, 1).await
}
