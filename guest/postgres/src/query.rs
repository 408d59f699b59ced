//! Statements a user wrote: `query`, which only reads, and `execute`.
//!
//! # Why nothing can break out of `query`
//!
//! The text goes into a `Parse` message as it is, alone. It is never pasted into another
//! statement, such as a COPY, so it has nothing to break out of. `Parse` takes exactly one
//! statement, which keeps `SELECT 1; DROP TABLE t` out; one that returns no rows, such as
//! `COMMIT`, is refused after it was described and before it would run; and the rest runs in
//! a transaction that the server itself holds read-only, ended by a rollback. How the text
//! looks plays no part in any of this.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{BatchLimits, Error, Result};

use crate::plan;
use crate::protocol::backend::{CommandCompleteBody, Message};
use crate::protocol::{Violation, frontend};
use crate::rows::{Rows, Shared};
use crate::session::Session;
use crate::transaction;
use crate::types::ledger::Choices;

/// Runs one statement that returns rows, read-only.
///
/// # Errors
/// `syntax`, `unsupported-statement`, `read-only`, ...
pub fn query(shared: &Shared, sql: &str, limits: BatchLimits, choices: &Choices) -> Result<Rows> {
    let plan = {
        let mut session = shared.borrow_mut();
        session.begin()?;
        plan::prepare(&mut session, sql, choices)?
    };
    Rows::portal(shared, &plan, limits)
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The command tag.
    pub command: String,
    /// The number of rows in it.
    pub rows: Option<u64>,
}

/// The failure of a change whose answer was lost with the connection.
pub fn outcome_unknown(error: &Error) -> Error {
    Error::new(
        ErrorKind::OutcomeUnknown,
        format!("it is not known whether the change was made: {error}"),
    )
    .with_hint("connect again and look whether the change is there, all of it or nothing; repeat it only if it is not")
}

/// How far the server has come with a statement, as its answers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Sent,
    Running,
    /// What it did is told. It is committed only after that, at the Sync.
    Complete,
}

/// What the failure of a statement says of its effect. One that is `atomic` has none.
fn judged(error: Error, lost: bool, progress: Progress, atomic: bool) -> Error {
    let retryable = error.as_record().retryable;
    // A server that says why it ends the connection has not carried the statement out.
    let told = retryable && progress < Progress::Complete;
    if lost && !told {
        return outcome_unknown(&error);
    }
    let rolled_back = atomic && !lost && error.kind() == ErrorKind::Conflict;
    if progress == Progress::Sent || !retryable || rolled_back {
        return error;
    }
    let error = error.not_retryable();
    match error.kind() {
        ErrorKind::Conflict => error.with_hint(
            "run the statement again; if it commits on its way, as a procedure may, look first how far it came",
        ),
        _ => error,
    }
}

/// Whether a statement is carried out as a whole or not at all. A procedure, or a command such as
/// VACUUM, commits on its way; what begins with one of these words cannot.
fn is_atomic(sql: &str) -> bool {
    let known = [
        "select", "insert", "update", "delete", "merge", "with", "values", "table",
    ];
    begins_with(beginning(sql, '('), &known)
}

/// Whether the first word of `sql` is one of `known`.
pub fn begins_with(sql: &str, known: &[&str]) -> bool {
    let end = sql
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(sql.len());
    let word = sql.get(..end).unwrap_or_default();
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// What `sql` says first, after blanks, comments and any number of `passed_over`.
pub fn beginning(sql: &str, passed_over: char) -> &str {
    fn trimmed(text: &str, passed_over: char) -> &str {
        text.trim_start_matches(|c: char| c.is_whitespace() || c == passed_over)
    }
    let mut rest = trimmed(sql, passed_over);
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            trimmed(
                comment
                    .split_once(['\n', '\r'])
                    .map_or("", |(_, after)| after),
                passed_over,
            )
        } else if rest.starts_with("/*") {
            trimmed(after_comment(rest), passed_over)
        } else {
            return rest;
        };
    }
}

/// What follows the comment that `text` begins with; they nest.
fn after_comment(text: &str) -> &str {
    let mut depth = 0_u32;
    let mut rest = text;
    loop {
        rest = match (rest.strip_prefix("/*"), rest.strip_prefix("*/")) {
            (Some(inner), _) => {
                depth = depth.saturating_add(1);
                inner
            }
            (None, Some(outer)) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return outer;
                }
                outer
            }
            (None, None) => {
                let mut chars = rest.chars();
                if chars.next().is_none() {
                    return "";
                }
                chars.as_str()
            }
        };
    }
}

/// What a command tag says.
///
/// # Errors
/// `protocol`, if it is not text.
pub fn outcome(body: &CommandCompleteBody) -> Result<Outcome> {
    let command = body.tag().map_err(Violation::from)?.to_owned();
    Ok(Outcome {
        rows: command
            .rsplit(' ')
            .next()
            .and_then(|count| count.parse().ok()),
        command,
    })
}

/// Runs one statement, which takes effect at once.
///
/// It goes alone where the settings of the startup message hold. Behind a pooler that has let them
/// fall, it has them before it in its flight, which makes one transaction of both: what cannot be
/// part of one, such as VACUUM, the server refuses then, before it does anything.
///
/// # Errors
/// What the server reports; `unsupported-statement` for a COPY from or to the client, and for what
/// a pooler leaves no way to run with the settings.
pub fn execute(shared: &Shared, sql: &str) -> Result<Outcome> {
    let mut session = shared.borrow_mut();
    session.begin()?;
    if session.held().is_some() {
        return transaction::execute(&mut session, sql);
    }
    let setting = match session.settings_hold()? {
        true => Setting::Alone,
        false => Setting::WithSettings,
    };
    run(&mut session, sql, setting).map_err(|error| match error.sqlstate() {
        Some("25001" | "2D000") if setting == Setting::WithSettings => error.with_hint(
            "a pooler stands in between that does not keep the connection's schema and settings, so the statement has to be in a \
             transaction, and this one cannot be: connect to the server itself for it",
        ),
        _ => error,
    })
}

/// Where a statement stands that is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Alone.
    Alone,
    /// In a transaction with the session's settings.
    WithSettings,
    /// In a transaction that the caller holds, behind a savepoint.
    Held,
}

/// Runs one statement.
///
/// # Errors
/// As [`execute`].
pub fn run(session: &mut Session, sql: &str, setting: Setting) -> Result<Outcome> {
    if setting == Setting::WithSettings {
        session.set_for(sql)?;
    }
    session.parse(sql)?;
    frontend::bind_and_execute(&[], std::iter::empty(), session.outbox())?;
    session.sync();
    let held = setting == Setting::Held;
    let atomic = is_atomic(sql);
    let judged = |error, lost, progress| match held {
        // Nothing of the transaction was committed.
        true => error,
        false => judged(error, lost, progress, atomic),
    };
    let unknown = |error: Error| match held {
        true => error,
        false => outcome_unknown(&error),
    };
    let mut settings = setting == Setting::WithSettings;
    let mut progress = Progress::Sent;
    let mut outcome = None;
    let mut copy = false;
    loop {
        let message = session
            .receive()
            .map_err(|error| judged(error, session.is_lost(), progress))?;
        match message {
            Message::CommandComplete(_) if settings => settings = false,
            Message::BindComplete if settings => {}
            Message::BindComplete => progress = Progress::Running,
            Message::ParseComplete
            | Message::DataRow(_)
            | Message::CopyData(_)
            | Message::CopyDone => {}
            Message::EmptyQueryResponse if beginning(sql, ';').is_empty() => {
                outcome = Some(Outcome {
                    command: String::new(),
                    rows: None,
                });
            }
            Message::CommandComplete(body) => {
                progress = Progress::Complete;
                outcome = Some(self::outcome(&body).map_err(unknown)?);
            }
            Message::CopyOutResponse(_) => copy = true,
            Message::CopyInResponse(_) => {
                // The server fails the statement with this text and skips to the Sync, which
                // it took for part of the data and has to be sent again.
                copy = true;
                frontend::copy_fail("not offered here", session.outbox())?;
                frontend::sync(session.outbox());
                if let Err(error) = session.receive_ready()
                    && session.is_lost()
                {
                    return Err(unknown(error));
                }
                break;
            }
            Message::ReadyForQuery(_) => break,
            _ => {
                return Err(unknown(session.unexpected("as the answer to a statement")));
            }
        }
    }
    if copy {
        session.settle()?;
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            "COPY from or to the client is not for `execute`",
        )
        .with_hint("use `read` or `query` to get rows out, and `insert` to get them in"));
    }
    if !held && !session.is_at_rest() {
        let begins =
            |outcome: &Outcome| matches!(outcome.command.as_str(), "BEGIN" | "START TRANSACTION");
        // What any other has done, it has done at the end of its own transaction.
        if !outcome.as_ref().is_none_or(begins) {
            return Err(outcome_unknown(
                &session.unexpected("that leaves a transaction open"),
            ));
        }
        session.settle()?;
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            "the statement begins a transaction, which was rolled back: each call stands alone",
        )
        .with_hint("send the statement that does the work by itself: it takes effect at once"));
    }
    outcome.ok_or_else(|| unknown(session.unexpected("in place of what the statement did")))
}

#[cfg(test)]
mod tests {
    use super::{beginning, is_atomic};

    #[test]
    fn what_says_nothing() {
        for sql in ["", " ;\n; ", "-- nothing", "/* /* ; */ */;--"] {
            assert_eq!(beginning(sql, ';'), "", "{sql}");
        }
        assert_eq!(beginning("; -- x\nSELECT 1", ';'), "SELECT 1");
    }

    #[test]
    fn what_cannot_commit_on_its_way() {
        for sql in [
            "UPDATE t SET a = 1",
            "  with x as (select 1) delete from t",
            "-- why\n/* what */ Insert into t values (1)",
            "(SELECT f())",
        ] {
            assert!(is_atomic(sql), "{sql}");
        }
        for sql in [
            "CALL p()",
            "-- select\rCALL p()",
            "DO $$ BEGIN END $$",
            "VACUUM t",
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "/* a /* b */ SELECT */ CALL p()",
            "-- SELECT",
            "",
            "selection",
        ] {
            assert!(!is_atomic(sql), "{sql}");
        }
    }
}
