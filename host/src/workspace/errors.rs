//! Failures of SQLite, in this crate's terms.

use rusqlite::ErrorCode;

use super::losses::{Reason, cut};
use super::numbers;
use super::values::Place;
use crate::error::{Error, ErrorKind};

const RETRY: &str = "try again when the other write is done; nothing was changed";

/// What a failure means.
pub fn told(error: rusqlite::Error) -> Error {
    let (code, message, position) = match &error {
        rusqlite::Error::SqliteFailure(error, message) => {
            let message = message.clone().unwrap_or_else(|| error.to_string());
            (error.code, message, None)
        }
        rusqlite::Error::SqlInputError {
            error,
            msg,
            sql,
            offset,
        } => (error.code, msg.clone(), place(sql, *offset)),
        rusqlite::Error::MultipleStatement => return super::guard::several(None),
        other => {
            return Error::new(ErrorKind::Internal, format!("SQLite: {other}"))
                .with_hint("report this; nothing was changed");
        }
    };
    let (kind, hint) = meaning(code, &message);
    Error::new(kind, message)
        .with_hint(hint)
        .with_position(position)
        .with_retryable(kind == ErrorKind::Conflict)
}

/// Where a byte of a statement is, in characters from 1.
pub fn place(sql: &str, offset: i32) -> Option<u32> {
    let before = sql.get(..usize::try_from(offset).ok()?)?;
    u32::try_from(before.chars().count()).ok()?.checked_add(1)
}

fn meaning(code: ErrorCode, message: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    match code {
        ErrorCode::OperationInterrupted => (Kind::Cancelled, "nothing was changed; run it again"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (Kind::Conflict, RETRY),
        ErrorCode::ConstraintViolation => (
            Kind::Constraint,
            "change the rows or the constraint in CREATE TABLE; nothing was written",
        ),
        ErrorCode::DiskFull => (Kind::Io, "free space on the disk; nothing was written"),
        ErrorCode::OutOfMemory => (
            Kind::ServerResources,
            "read fewer or smaller values at once",
        ),
        ErrorCode::TooBig => (
            Kind::Value,
            "a statement has at most 1 MiB, and a row at most 256 MiB",
        ),
        ErrorCode::ReadOnly => (Kind::ReadOnly, "make the file and its folder writable"),
        ErrorCode::NotADatabase => (
            Kind::Io,
            "choose another file: this one was not made by SQLite, and is left as it is",
        ),
        ErrorCode::DatabaseCorrupt => (
            Kind::Io,
            "the file of the workspace is damaged: restore it, or remove it to begin a new one",
        ),
        ErrorCode::CannotOpen => (
            Kind::Io,
            "make sure that the folder exists, and that it and the file can be written to",
        ),
        ErrorCode::SystemIoFailure | ErrorCode::PermissionDenied => {
            (Kind::Io, "check the disk and the permissions of the file")
        }
        ErrorCode::TypeMismatch => (
            Kind::Value,
            "give the column a type that takes the value; an INTEGER PRIMARY KEY takes integers only",
        ),
        _ => statement(message),
    }
}

/// What SQLite says of a statement, for which it has one code.
fn statement(message: &str) -> (ErrorKind, &'static str) {
    use ErrorKind as Kind;
    let begins = |text: &[&str]| text.iter().any(|text| message.starts_with(text));
    match () {
        () if begins(&["no such table", "no such view"]) => (
            Kind::TableNotFound,
            "name a table of the workspace; a table in a database has to be read from its connection",
        ),
        () if begins(&["no such column"]) || message.contains("has no column named") => (
            Kind::ColumnNotFound,
            "name a column of the tables in the statement; text stands in single quotes",
        ),
        () if begins(&["no such function"]) => (
            Kind::Statement,
            "use functions that SQLite has: https://sqlite.org/lang_corefunc.html",
        ),
        () if begins(&["unknown database"]) => (
            Kind::SchemaNotFound,
            "the workspace has one schema, \"main\": write names of tables without one",
        ),
        () if message.contains("already exists") => (
            Kind::AlreadyExists,
            "drop the table first, or choose another name",
        ),
        () if message.contains("syntax error")
            || message.contains("incomplete input")
            || begins(&["unrecognized token"]) =>
        {
            (
                Kind::Syntax,
                "correct the statement: it has to be in SQLite's dialect",
            )
        }
        () => (
            Kind::Statement,
            "correct the statement: it has to be in SQLite's dialect",
        ),
    }
}

/// A value that its column does not hold, where the caller chose that it fails.
pub fn misfit(place: &Place, row: u64, reason: &Reason, value: &str) -> Error {
    let declared = match place.declared.as_str() {
        "" => String::new(),
        declared => format!(", declared {declared}"),
    };
    let shown = cut(value);
    let hint = match numbers::is_number(value) {
        true => {
            "round it in the query, declare the column DECIMAL_TEXT(p,s) or TEXT, which keep all \
             digits, or choose null or text for such values"
        }
        false => {
            "convert it in the query (CAST), declare the column with a type that holds it, or \
             choose null or text for such values"
        }
    };
    Error::new(
        ErrorKind::Value,
        format!(
            "row {row}, column \"{}\"{declared}: {reason}: {shown:?}",
            place.name
        ),
    )
    .with_hint(hint)
    .with_attribute("column", &place.name)
    .with_attribute("row", row.to_string())
    .with_attribute("value", shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_in_characters() {
        assert_eq!(place("SELECT 'é' x FROM", 11), Some(11));
        assert_eq!(place("é", 1), None);
        assert_eq!(place("a", -1), None);
        assert_eq!(place("a", 9), None);
    }
}
