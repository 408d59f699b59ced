//! A transaction that the caller holds open over several calls.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{KeepsOut, Lock};
use dagflux_guest::{Error, Result};

use crate::catalog::{columns_of, required};
use crate::protocol::backend::Message;
use crate::query::{self, Outcome, Setting};
use crate::session::{Access, Session};

/// What only the calls made for it may do to a transaction. Every statement that does begins with
/// one of these words.
const CONTROL: &[&str] = &[
    "abort",
    "begin",
    "commit",
    "end",
    "prepare",
    "release",
    "rollback",
    "savepoint",
    "start",
];

/// Begins one.
///
/// # Errors
/// What the server reports.
pub fn begin(session: &mut Session, read_only: bool, snapshot: bool) -> Result<()> {
    session.begin()?;
    session.hold(read_only, snapshot)
}

/// Runs one statement in it.
///
/// # Errors
/// What the server reports; the transaction is then as it was before.
pub fn execute(session: &mut Session, sql: &str) -> Result<Outcome> {
    session.check_held()?;
    if query::begins_with(query::beginning(sql, ';'), CONTROL) {
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            "the statement begins or ends a transaction, or part of one, while one is open",
        )
        .with_hint("leave it out: the transaction is committed, or rolled back, as a whole"));
    }
    session.start(Access::Write)?;
    while session.outstanding() > 0 {
        session.receive()?;
    }
    let outcome = query::run(session, sql, Setting::Held)?;
    if session.is_idle() {
        session.settle()?;
        return Err(query::outcome_unknown(&Error::new(
            ErrorKind::UnsupportedStatement,
            "the statement ended the transaction",
        )));
    }
    session.keep()?;
    Ok(outcome)
}

/// Commits it.
///
/// # Errors
/// What the server reports, and nothing took effect; or `outcome-unknown`.
pub fn commit_held(session: &mut Session) -> Result<()> {
    session.begin()?;
    if let Err(error) = session.check_held() {
        session.let_go()?;
        return Err(error);
    }
    let number = session.rows("SELECT pg_catalog.txid_current_if_assigned()", &[])?;
    let number = number.into_iter().flatten().next().flatten();
    // It becomes part of a statement that a person is told to run.
    let number = number.and_then(|number| number.parse().ok());
    session.forget_held();
    commit(session, number)
}

/// Undoes it.
///
/// # Errors
/// When the connection is lost, or there is none.
pub fn roll_back(session: &mut Session) -> Result<()> {
    session.come_to_rest()?;
    match session.held() {
        Some(_) => session.let_go(),
        None => session.check_held(),
    }
}

/// Commits. `transaction` is its number, if it has one.
///
/// Only the server's own word that it did not is a failure with a known outcome: once
/// the COMMIT is on its way, an answer that cannot be made out tells nothing of it.
///
/// # Errors
/// What the server reports, and nothing took effect; or `outcome-unknown`.
pub fn commit(session: &mut Session, transaction: Option<u64>) -> Result<()> {
    session.simple("COMMIT")?;
    let unknown = |error: Error| outcome_unknown(&error, transaction);
    let mut ended = None;
    loop {
        match session.receive() {
            Ok(Message::CommandComplete(body)) => {
                ended = Some(query::outcome(&body).map_err(unknown)?.command);
            }
            Ok(Message::ReadyForQuery(_)) => break,
            Ok(_) => return Err(unknown(session.unexpected("where a COMMIT should end"))),
            Err(error) if session.is_lost() || ended.is_some() => return Err(unknown(error)),
            Err(error) => return Err(error),
        }
    }
    match ended.as_deref() {
        Some("COMMIT") if session.is_idle() => Ok(()),
        Some("ROLLBACK") => Err(Error::new(
            ErrorKind::Other,
            "the server rolled the transaction back instead of committing it",
        )
        .with_hint("see the server's log; nothing of it took effect")),
        _ => Err(unknown(
            session.unexpected("in place of the end of a COMMIT"),
        )),
    }
}

/// The failure of a commit whose answer was lost, with the way to the answer.
fn outcome_unknown(error: &Error, transaction: Option<u64>) -> Error {
    let unknown = query::outcome_unknown(error);
    match transaction {
        Some(number) => unknown
            .with_hint(format!(
                "connect again and run SELECT txid_status({number}): \"committed\" means that all of it took effect, \"aborted\" that nothing did; while it says \"in progress\", ask again; repeat it only after \"aborted\""
            ))
            .with_attribute("transaction", number.to_string()),
        None => unknown,
    }
}

/// The locks that the session's transaction holds on tables.
const LOCKS: &str = "SELECT n.nspname, c.relname, l.mode \
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.granted AND l.locktype = 'relation' \
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
    AND c.relkind IN ('r', 'p', 'm', 'f') \
    AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_t%' \
    ORDER BY 1, 2, 3";

/// What the transaction has locked, by schema and table; of each table the strongest.
///
/// # Errors
/// What the server reports.
pub fn locks(session: &mut Session) -> Result<Vec<Lock>> {
    session.begin()?;
    session.check_held()?;
    let mut locks: Vec<(usize, Lock)> = Vec::new();
    for row in session.rows(LOCKS, &[])? {
        let [schema, name, mode] = columns_of(row)?;
        let (schema, name) = (required(schema)?, required(name)?);
        let (strength, mode, keeps_out) = lock(&required(mode)?);
        let lock = Lock {
            schema,
            name,
            mode,
            keeps_out,
        };
        match locks.last_mut() {
            Some((known, last)) if (&last.schema, &last.name) == (&lock.schema, &lock.name) => {
                if *known < strength {
                    (*known, *last) = (strength, lock);
                }
            }
            _ => locks.push((strength, lock)),
        }
    }
    Ok(locks.into_iter().map(|(_, lock)| lock).collect())
}

/// The modes of locks on tables, the weakest first. Manual: "Explicit Locking", "Table-Level Locks".
const MODES: &[(&str, &str, KeepsOut)] = &[
    ("AccessShareLock", "ACCESS SHARE", KeepsOut::Alterations),
    ("RowShareLock", "ROW SHARE", KeepsOut::TheSameRows),
    ("RowExclusiveLock", "ROW EXCLUSIVE", KeepsOut::TheSameRows),
    (
        "ShareUpdateExclusiveLock",
        "SHARE UPDATE EXCLUSIVE",
        KeepsOut::Alterations,
    ),
    ("ShareLock", "SHARE", KeepsOut::Writers),
    (
        "ShareRowExclusiveLock",
        "SHARE ROW EXCLUSIVE",
        KeepsOut::Writers,
    ),
    ("ExclusiveLock", "EXCLUSIVE", KeepsOut::Writers),
    (
        "AccessExclusiveLock",
        "ACCESS EXCLUSIVE",
        KeepsOut::Everyone,
    ),
];

/// A mode as `pg_locks` writes it: how strong it is, what statements call it, whom it keeps out.
fn lock(mode: &str) -> (usize, String, KeepsOut) {
    let known = MODES
        .iter()
        .enumerate()
        .find(|(_, (name, ..))| *name == mode);
    match known {
        Some((strength, (_, name, keeps_out))) => (strength, (*name).to_owned(), *keeps_out),
        None => (MODES.len(), mode.to_owned(), KeepsOut::Everyone),
    }
}
