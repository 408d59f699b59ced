//! While rows come by COPY, and while they are sent.

use anyhow::Result;
use dagflux_host::ErrorKind::{
    self, ConnectionLost, OutcomeUnknown, Protocol, ServerShutdown, Value, WallTimeLimit,
};

use super::case::{self, Case, Work, meddled};
use super::meddler::{Deed, Said};
use super::messages::{
    COPY_HEADER, authentication, complete, copy_data, error, message, ready, row, saying, values,
};

fn read(
    name: &'static str,
    rule: fn(&Said<'_>) -> Deed,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    meddled(name, Work::Read, rule, kind, words)
}

fn write(
    name: &'static str,
    rule: fn(&Said<'_>) -> Deed,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    meddled(name, Work::Write, rule, kind, words)
}

/// One piece of the COPY, replaced. The first has the header and a row, the fourth the trailer.
fn piece(said: &Said<'_>, nth: usize, with: Vec<u8>) -> Deed {
    match said.is(b'd', nth) {
        true => Deed::Say(with),
        false => Deed::Pass,
    }
}

/// A row of the table that says to have `count` values.
fn tuple(count: i16, fields: &[Option<&[u8]>]) -> Vec<u8> {
    [&count.to_be_bytes()[..], &values(fields)].concat()
}

fn good() -> Vec<u8> {
    tuple(2, &[Some(&[0, 0, 0, 9]), Some(b"nine")])
}

fn header_with(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut header = COPY_HEADER.to_vec();
    change(&mut header);
    copy_data(&[header, good()].concat())
}

fn reads() -> Vec<Case> {
    vec![
        read(
            "a COPY without a header",
            |said| piece(said, 0, copy_data(&good())),
            Protocol,
            "without the header",
        ),
        read(
            "a COPY with half a header",
            |said| piece(said, 0, copy_data(b"PGCOPY\n\xff\r\n\0\0\0")),
            Protocol,
            "without the header",
        ),
        read(
            "a COPY with another header",
            |said| piece(said, 0, header_with(|header| header[0] = b'X')),
            Protocol,
            "without the header",
        ),
        read(
            "a COPY of a kind to come",
            |said| piece(said, 0, header_with(|header| header[12] = 1)),
            Protocol,
            "a kind that is not known",
        ),
        read(
            "a header that says to go on for 4 GiB",
            |said| piece(said, 0, header_with(|header| header[15..].fill(0xff))),
            Protocol,
            "without the header",
        ),
        read(
            "a second header",
            |said| piece(said, 1, header_with(|_| {})),
            Protocol,
            "another number of columns than announced",
        ),
        read(
            "an empty piece",
            |said| piece(said, 1, copy_data(b"")),
            Protocol,
            "without a number of columns",
        ),
        read(
            "half a row",
            |said| piece(said, 1, copy_data(&good()[..9])),
            Protocol,
            "a value longer than its row",
        ),
        read(
            "too few fields",
            |said| piece(said, 1, copy_data(&tuple(1, &[Some(&[0, 0, 0, 9])]))),
            Protocol,
            "another number of columns than announced",
        ),
        read(
            "too many fields",
            |said| piece(said, 1, copy_data(&tuple(3, &[None, None, None]))),
            Protocol,
            "another number of columns than announced",
        ),
        read(
            "a negative number of fields",
            |said| piece(said, 1, copy_data(&tuple(-2, &[None, None]))),
            Protocol,
            "another number of columns than announced",
        ),
        read(
            "a field that is longer than its piece",
            |said| piece(said, 1, copy_data(b"\0\x02\0\0\0\x04\0\0\0\x09\0\0\x10\0x")),
            Protocol,
            "a value longer than its row",
        ),
        read(
            "a field of a negative length",
            |said| {
                piece(
                    said,
                    1,
                    copy_data(b"\0\x02\0\0\0\x04\0\0\0\x09\xff\xff\xff\xf0"),
                )
            },
            Protocol,
            "a value of negative length",
        ),
        read(
            "bytes behind a row",
            |said| piece(said, 1, copy_data(&[good(), vec![0]].concat())),
            Protocol,
            "bytes behind its last column",
        ),
        read(
            "a piece of 33 MiB",
            |said| piece(said, 1, saying(b'd', 33 << 20, b"")),
            Value,
            "a row of 34603008 bytes",
        ),
        read(
            "no trailer",
            |said| piece(said, 3, Vec::new()),
            Protocol,
            "among rows",
        ),
        read(
            "a trailer before its time",
            |said| piece(said, 1, copy_data(b"\xff\xff")),
            Protocol,
            "behind the last one",
        ),
        read(
            "rows behind the trailer",
            |said| piece(said, 3, [said.whole, &copy_data(&good())].concat()),
            Protocol,
            "behind the last one",
        ),
        read(
            "a row left out of a COPY",
            |said| piece(said, 1, Vec::new()),
            Protocol,
            "2 rows, of which the server counts 3",
        ),
        read(
            "a row twice in a COPY",
            |said| piece(said, 1, [said.whole, said.whole].concat()),
            Protocol,
            "4 rows, of which the server counts 3",
        ),
        read(
            "a query's row in a COPY",
            |said| piece(said, 1, row(2, &values(&[None, None]))),
            Protocol,
            "among rows",
        ),
        read(
            "a COPY the other way",
            |said| match said.is(b'H', 0) {
                true => Deed::Say(message(b'G', said.body())),
                false => Deed::Pass,
            },
            Protocol,
            "among rows",
        ),
        read(
            "no end of a COPY",
            |said| match said.completes("COPY") {
                true => Deed::Say(Vec::new()),
                false => Deed::Pass,
            },
            Protocol,
            "among rows",
        ),
        read(
            "an error in the middle of a COPY",
            |said| piece(said, 2, error("ERROR", "XX001", "invalid page in block 7")),
            ErrorKind::Other,
            "invalid page in block 7",
        ),
        read(
            "the end of the server in the middle of a COPY",
            |said| piece(said, 2, error("FATAL", "57P01", "terminating connection")),
            ServerShutdown,
            "terminating connection",
        ),
        read(
            "the end of the connection in the middle of a COPY",
            |said| match said.is(b'd', 2) {
                true => Deed::SayAndClose(Vec::new()),
                false => Deed::Pass,
            },
            ConnectionLost,
            "without saying why",
        ),
        read(
            "nothing more in the middle of a COPY",
            |said| match said.is(b'd', 2) {
                true => Deed::Stall,
                false => Deed::Pass,
            },
            WallTimeLimit,
            "longer than 8 s",
        ),
    ]
}

fn writes() -> Vec<Case> {
    fn at_start(said: &Said<'_>, with: Vec<u8>) -> Deed {
        match said.is(b'G', 0) {
            true => Deed::Say(with),
            false => Deed::Pass,
        }
    }
    fn at_end(said: &Said<'_>, with: Deed) -> Deed {
        match said.completes("COPY") {
            true => with,
            false => Deed::Pass,
        }
    }
    fn at_commit(said: &Said<'_>, with: Deed) -> Deed {
        match said.completes("COMMIT") {
            true => with,
            false => Deed::Pass,
        }
    }
    vec![
        write(
            "a COPY that is refused",
            |said| at_start(said, error("FATAL", "57P01", "not today")),
            ServerShutdown,
            "not today",
        ),
        write(
            "rows where rows are expected",
            |said| at_start(said, message(b'H', said.body())),
            Protocol,
            "where a COPY should begin",
        ),
        write(
            "a login where rows are expected",
            |said| at_start(said, authentication(5, b"salt")),
            Protocol,
            "where a COPY should begin",
        ),
        write(
            "the end of a COPY that has not begun",
            |said| at_start(said, [complete("COPY 100"), ready(b'T')].concat()),
            Protocol,
            "where a COPY should begin",
        ),
        write(
            "a row while rows are sent",
            |said| at_start(said, [said.whole, &row(0, b"")].concat()),
            Protocol,
            "while rows are being sent",
        ),
        write(
            "no number of rows",
            |said| at_end(said, Deed::Say(complete("COPY"))),
            Protocol,
            "in place of the number of rows",
        ),
        write(
            "more rows than there are",
            |said| at_end(said, Deed::Say(complete("COPY 101"))),
            Protocol,
            "more rows than were sent",
        ),
        write(
            "the end where the number of rows is expected",
            |said| at_end(said, Deed::SayAndClose(Vec::new())),
            ConnectionLost,
            "without saying why",
        ),
        write(
            "a reset where the number of rows is expected",
            |said| at_end(said, Deed::Reset),
            ConnectionLost,
            "broke",
        ),
        write(
            "an error where the number of rows is expected",
            |said| {
                at_end(
                    said,
                    Deed::SayAndClose(error("FATAL", "53100", "disk full")),
                )
            },
            ErrorKind::ServerResources,
            "disk full",
        ),
        write(
            "a commit that rolls back",
            |said| at_commit(said, Deed::Say(complete("ROLLBACK"))),
            ErrorKind::Other,
            "rolled the transaction back",
        )
        .leaving(103),
        write(
            "a commit that does something else",
            |said| at_commit(said, Deed::Say(complete("SELECT 1"))),
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(103),
        write(
            "a commit that leaves a transaction open",
            |said| {
                let answer = [complete("COMMIT"), ready(b'T')].concat();
                at_commit(said, Deed::Say(answer))
            },
            OutcomeUnknown,
            "in place of the end of a COMMIT",
        )
        .leaving(103),
        write(
            "a commit without an answer",
            |said| at_commit(said, Deed::SayAndClose(Vec::new())),
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(103),
        write(
            "a commit with half an answer",
            |said| at_commit(said, Deed::SayAndClose(said.whole.to_vec())),
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(103),
        write(
            "a commit with a reset for an answer",
            |said| at_commit(said, Deed::Reset),
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(103),
        write(
            "a commit with an answer that is left out",
            |said| at_commit(said, Deed::Say(Vec::new())),
            OutcomeUnknown,
            "in place of the end of a COMMIT",
        )
        .leaving(103),
        write(
            "a commit with a frame that cannot be for an answer",
            |said| at_commit(said, Deed::Say(saying(b'C', 2, b""))),
            OutcomeUnknown,
            "of the length 2",
        )
        .leaving(103),
        write(
            "a commit that is never answered",
            |said| at_commit(said, Deed::Stall),
            OutcomeUnknown,
            "not known whether the rows were written",
        )
        .leaving(103),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_are_none() -> Result<()> {
    case::all("servers_reads", reads(), 27).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_without_a_proper_answer() -> Result<()> {
    case::all("servers_writes", writes(), 19).await
}
