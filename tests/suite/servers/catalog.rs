//! What a server says of its tables, and of a write in several steps.

use anyhow::Result;
use dagflux_host::ErrorKind::{
    self, ConnectionLost, OutcomeUnknown, PermissionDenied, Protocol, ServerShutdown,
};

use super::case::{self, Case, Work, meddled};
use super::meddler::{Deed, Said};
use super::messages::{authentication, complete, error, message, row};

/// The first row of an answer, replaced.
fn first_row(said: &Said<'_>, with: Vec<u8>) -> Deed {
    match said.is(b'D', 0) {
        true => Deed::Say(with),
        false => Deed::Pass,
    }
}

fn at(said: &Said<'_>, command: &str, deed: Deed) -> Deed {
    match said.completes(command) {
        true => deed,
        false => Deed::Pass,
    }
}

fn lists() -> Vec<Case> {
    vec![
        meddled(
            "a table that is left out",
            Work::Tables,
            |said| first_row(said, Vec::new()),
            Protocol,
            "of which the server counts",
        ),
        meddled(
            "a column that is there twice",
            Work::Columns,
            |said| first_row(said, [said.whole, said.whole].concat()),
            Protocol,
            "3 rows, of which the server counts 2",
        ),
        meddled(
            "a fact left out of a check",
            Work::Check,
            |said| first_row(said, Vec::new()),
            Protocol,
            "of which the server counts",
        ),
        meddled(
            "a list without an end",
            Work::Tables,
            |said| at(said, "SELECT", Deed::Say(Vec::new())),
            Protocol,
            "in place of the end of a catalog query",
        ),
        meddled(
            "a table behind the end of the list",
            Work::Tables,
            |said| {
                let more = [said.whole, &row(0, b"")].concat();
                at(said, "SELECT", Deed::Say(more))
            },
            Protocol,
            "among the rows of a catalog query",
        ),
        meddled(
            "a COPY in place of a column",
            Work::Columns,
            |said| first_row(said, message(b'H', b"\0\0\0")),
            Protocol,
            "among the rows of a catalog query",
        ),
        meddled(
            "a login in the middle of a check",
            Work::Check,
            |said| first_row(said, authentication(5, b"salt")),
            Protocol,
            "among the rows of a catalog query",
        ),
        meddled(
            "the end of the server in a list",
            Work::Tables,
            |said| first_row(said, error("FATAL", "57P01", "terminating connection")),
            ServerShutdown,
            "terminating connection",
        ),
        meddled(
            "the end of the connection in a check",
            Work::Check,
            |said| match said.is(b'D', 0) {
                true => Deed::SayAndClose(Vec::new()),
                false => Deed::Pass,
            },
            ConnectionLost,
            "without saying why",
        ),
    ]
}

fn steps() -> Vec<Case> {
    fn write(
        name: &'static str,
        work: Work,
        rule: fn(&Said<'_>) -> Deed,
        kind: ErrorKind,
        words: &'static str,
    ) -> Case {
        meddled(name, work, rule, kind, words)
    }
    vec![
        write(
            "a connection that ends behind the DELETE of a replace",
            Work::Replace,
            |said| at(said, "DELETE", Deed::SayAndClose(Vec::new())),
            ConnectionLost,
            "without saying why",
        ),
        write(
            "a DELETE that is not permitted after all",
            Work::Replace,
            |said| {
                at(
                    said,
                    "DELETE",
                    Deed::Say(error("ERROR", "42501", "not yours")),
                )
            },
            PermissionDenied,
            "not yours",
        ),
        write(
            "a lock that is a COPY",
            Work::Replace,
            |said| at(said, "LOCK", Deed::Say(message(b'H', b"\0\0\0"))),
            Protocol,
            "unexpected message",
        ),
        write(
            "a savepoint that is a COPY",
            Work::Upsert,
            |said| at(said, "SAVEPOINT", Deed::Say(message(b'G', b"\0\0\0"))),
            Protocol,
            "as the answer to a statement",
        ),
        write(
            "a connection that ends behind a savepoint",
            Work::Upsert,
            |said| at(said, "SAVEPOINT", Deed::SayAndClose(Vec::new())),
            ConnectionLost,
            "without saying why",
        ),
        write(
            "a key that is there twice, says the server",
            Work::Upsert,
            |said| {
                at(
                    said,
                    "SAVEPOINT",
                    Deed::Say(error("ERROR", "21000", "a second time")),
                )
            },
            ErrorKind::Statement,
            "a second time",
        ),
        write(
            "counts of an upsert that are not there",
            Work::Upsert,
            |said| at(said, "SET CONSTRAINTS", Deed::Say(complete("SELECT 1"))),
            Protocol,
            "0 rows, of which the server counts 1",
        ),
        write(
            "an upsert whose commit has no answer",
            Work::Upsert,
            |said| at(said, "COMMIT", Deed::SayAndClose(Vec::new())),
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(103),
        write(
            "a replace whose commit is reset",
            Work::Replace,
            |said| at(said, "COMMIT", Deed::Reset),
            OutcomeUnknown,
            "not known whether the change was made",
        )
        .leaving(100),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_none() -> Result<()> {
    case::all("servers_lists", lists(), 9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_without_a_proper_answer() -> Result<()> {
    case::all("servers_steps", steps(), 9).await
}
