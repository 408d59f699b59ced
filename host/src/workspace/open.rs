//! Connections to the file of a workspace.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::errors::told;
use super::guard::{Guard, May};
use super::options::Interrupt;
use super::table;
use crate::error::{Error, ErrorKind, Result};

/// The most bytes of a value and of a row: more than a connector hands over in one, and less than
/// what makes a host run out of memory.
const MOST_BYTES: i32 = 256 * 1024 * 1024;

/// The most bytes of a statement, which SQLite's own limit was once.
const MOST_SQL: i32 = 1024 * 1024;

/// The instructions between two looks at whether to go on: a fraction of a millisecond.
const INSTRUCTIONS: i32 = 10_000;

/// How long one attempt at a write waits before it looks whether to go on.
const TURN: Duration = Duration::from_millis(50);

/// Where a workspace is.
#[derive(Debug)]
pub enum Location {
    File(PathBuf),
    /// The name in memory, and a connection, without which it would be gone.
    Memory(
        String,
        #[expect(dead_code, reason = "it is only held")] Mutex<Connection>,
    ),
}

/// A connection, and what watches over it.
#[derive(Debug)]
pub struct Opened {
    pub connection: Connection,
    pub guard: Guard,
    interrupts: [Interrupt; 2],
}

impl Opened {
    /// Fails once it is interrupted.
    pub fn uninterrupted(&self) -> Result<()> {
        match self.interrupts.iter().any(Interrupt::is_interrupted) {
            true => Err(cancelled()),
            false => Ok(()),
        }
    }

    /// Compiles one statement that reads, as [`Guard::reading`] does. What is misspelt gets a hint.
    pub fn reading(&self, sql: &str) -> Result<Statement<'_>> {
        let statement = self.guard.reading(&self.connection, sql);
        statement.map_err(|error| {
            self.guard.permit(May::Anything);
            table::with_nearest(self, error)
        })
    }

    /// Begins to write, as soon as nobody else does.
    pub fn begin(&self, wait: Duration) -> Result<()> {
        let end = Instant::now().checked_add(wait);
        self.connection.busy_timeout(TURN).map_err(told)?;
        loop {
            self.uninterrupted()?;
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => break,
                Err(error) if is_busy(&error) && end.is_none_or(|end| Instant::now() < end) => {}
                Err(error) if is_busy(&error) => {
                    return Err(locked("another write is going on in the workspace"));
                }
                Err(error) => return Err(told(error)),
            }
        }
        self.connection.busy_timeout(wait).map_err(told)
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "interrupted").with_hint("nothing was changed; run it again")
}

fn locked(message: &str) -> Error {
    Error::new(ErrorKind::Conflict, message)
        .with_hint("wait until the other is done, or close the program that has the file open; nothing was changed")
        .with_retryable(true)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

impl Location {
    /// A file, made into a workspace if it is none yet.
    pub fn file(path: &Path, wait: Duration) -> Result<Self> {
        let about = |error: rusqlite::Error| {
            let said = match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => "is not a SQLite database",
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    return locked(&format!("{} is locked", path.display()));
                }
                Some(ErrorCode::ReadOnly) => "cannot be written to",
                _ => "cannot be opened as a workspace",
            };
            let cause = told(error);
            let hint = cause.hint().unwrap_or_default().to_owned();
            Error::new(cause.kind(), format!("{} {said}", path.display()))
                .with_detail(cause.to_string())
                .with_hint(hint)
        };
        // What begins with `file:` would be a URI, and the folder of this process may change.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let create = OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(&absolute, create, None).map_err(about)?;
        connection.busy_timeout(wait).map_err(about)?;
        // Those who read and the one who writes do not wait for each other.
        connection
            .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .and_then(|()| {
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            })
            .map_err(about)?;
        Ok(Self::File(absolute))
    }

    /// A workspace in memory, apart from all others.
    pub fn memory() -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "/dagflux-workspace-{}",
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let flags = OpenFlags::SQLITE_OPEN_CREATE;
        let keeper = connect(Path::new(&name), flags, Some(c"memdb")).map_err(told)?;
        Ok(Self::Memory(name, Mutex::new(keeper)))
    }

    /// A connection, which an interrupt stops.
    pub fn open(&self, wait: Duration, interrupts: [Interrupt; 2]) -> Result<Opened> {
        let none = OpenFlags::empty();
        let mut connection = match self {
            Self::File(path) => connect(path, none, None),
            Self::Memory(name, _) => connect(Path::new(name), none, Some(c"memdb")),
        }
        .map_err(told)?;
        connection.busy_timeout(wait).map_err(told)?;
        let stop = interrupts.clone();
        let stopped = move || stop.iter().any(Interrupt::is_interrupted);
        connection
            .progress_handler(INSTRUCTIONS, Some(stopped))
            .map_err(told)?;
        let guard = Guard::new(&mut connection).map_err(told)?;
        Ok(Opened {
            connection,
            guard,
            interrupts,
        })
    }
}

fn connect(
    path: &Path,
    more: OpenFlags,
    vfs: Option<&std::ffi::CStr>,
) -> rusqlite::Result<Connection> {
    // One thread at a time has a connection.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MOST_BYTES),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, MOST_SQL),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // A misspelt column in double quotes would be text.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    Ok(connection)
}
