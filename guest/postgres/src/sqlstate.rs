//! What the server's errors mean: SQLSTATE to a kind a program acts on, and a next step.
//!
//! Manual: Appendix A, "PostgreSQL Error Codes". The next step is the server's own hint where
//! it gives one, else ours.

use std::time::Duration;

use dagflux_guest::Error;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;

use crate::dialect::{qualified, quote};
use crate::keywords;
use crate::place;
use crate::protocol::backend::Report;

/// What the connector knows about the statement that failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances {
    /// The time limit asked for.
    pub timeout: Option<Duration>,
    /// How long the statement had run.
    pub elapsed: Option<Duration>,
}

/// The failure that `report` tells of.
pub fn error(report: &Report, circumstances: Circumstances) -> Error {
    let kind = kind(report, circumstances);
    let mut error = Error::new(kind, sentence(&report.message)).with_sqlstate(report.code.clone());
    if let Some(detail) = detail(report) {
        error = error.with_detail(detail);
    }
    if let Some(position) = report.position {
        error = error.with_position(position);
    }
    error = match &report.hint {
        Some(hint) => error.with_hint(hint.clone()),
        None => error.with_hint(next_step(kind, report)),
    };
    if matches!(
        kind,
        ErrorKind::Conflict | ErrorKind::ServerResources | ErrorKind::ServerShutdown
    ) {
        error = error.retryable();
    }
    let place = place::of(report);
    let attributes = [
        ("schema", &report.schema),
        ("table", &report.table),
        ("column", &place.column),
        ("constraint", &report.constraint),
        ("row", &place.row),
        ("value", &place.value),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            error = error.with_attribute(name, value.clone());
        }
    }
    error
}

/// The server's text as a sentence of ours. It is written the same way, but for a full stop
/// that some messages end in.
fn sentence(message: &str) -> String {
    match message.strip_suffix('.').unwrap_or(message) {
        "" => "the server reported an error without saying what it is".to_owned(),
        message => message.to_owned(),
    }
}

fn detail(report: &Report) -> Option<String> {
    match (&report.detail, &report.context) {
        (Some(detail), Some(context)) => Some(format!("{detail} ({context})")),
        (Some(text), None) | (None, Some(text)) => Some(text.clone()),
        (None, None) => None,
    }
}

fn kind(report: &Report, circumstances: Circumstances) -> ErrorKind {
    let code = report.code.as_str();
    match code {
        "28P01" | "28000" => ErrorKind::Authentication,
        "3D000" => ErrorKind::DatabaseNotFound,
        "42P01" => ErrorKind::TableNotFound,
        "3F000" => ErrorKind::SchemaNotFound,
        "42703" => ErrorKind::ColumnNotFound,
        // Parsing more than one statement is told apart by the function that raised it.
        "42601" if report.routine.as_deref() == Some("exec_parse_message") => {
            ErrorKind::UnsupportedStatement
        }
        "42601" => ErrorKind::Syntax,
        "42501" => ErrorKind::PermissionDenied,
        "25006" => ErrorKind::ReadOnly,
        "57014" => cancelled_or_timed_out(report, circumstances),
        "57P01" | "57P02" | "57P03" | "57P05" => ErrorKind::ServerShutdown,
        "40003" => ErrorKind::OutcomeUnknown,
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        "42P06" | "42P07" | "42710" | "42701" => ErrorKind::AlreadyExists,
        "22021" | "22P05" => ErrorKind::Value,
        "0A000" => ErrorKind::UnsupportedStatement,
        // The server names the function that raised an error; a pooler has none to name.
        "08P01" if report.routine.is_none() => told_by_pooler(&report.message),
        "08P01" => ErrorKind::Protocol,
        _ => match code.get(..2) {
            Some("53") => ErrorKind::ServerResources,
            Some("23") => ErrorKind::Constraint,
            Some("28") => ErrorKind::Authentication,
            Some("08") => ErrorKind::ConnectionLost,
            Some("40") => ErrorKind::Conflict,
            Some("57") => ErrorKind::ServerShutdown,
            Some(
                "22" | "42" | "25" | "2B" | "38" | "39" | "54" | "55" | "P0" | "21" | "26" | "34",
            ) => ErrorKind::Statement,
            _ => ErrorKind::Other,
        },
    }
}

/// PgBouncer has one SQLSTATE for all it has to say for itself, also when it refuses a login.
fn told_by_pooler(message: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&[
        "login rejected",
        "no such user",
        "authentication failed",
        "auth failed",
        "SSL required",
    ]) {
        ErrorKind::Authentication
    } else if says(&["no such database"]) {
        ErrorKind::DatabaseNotFound
    } else if says(&["no more connections allowed"]) {
        ErrorKind::ServerResources
    } else {
        ErrorKind::Protocol
    }
}

/// A time limit and a request to cancel have one SQLSTATE, and come from one function of the
/// server. The text tells them apart, unless the server speaks another language: then the
/// limit we know of and the time the statement ran decide.
fn cancelled_or_timed_out(report: &Report, circumstances: Circumstances) -> ErrorKind {
    if report.message.contains("statement timeout") {
        return ErrorKind::StatementTimeout;
    }
    if report.message.contains("user request") {
        return ErrorKind::Cancelled;
    }
    match (circumstances.timeout, circumstances.elapsed) {
        (Some(limit), Some(elapsed)) if elapsed >= limit => ErrorKind::StatementTimeout,
        _ => ErrorKind::Cancelled,
    }
}

fn next_step(kind: ErrorKind, report: &Report) -> String {
    let code = report.code.as_str();
    match kind {
        ErrorKind::Authentication if code == "28P01" => {
            "check username and password; `ALTER ROLE ... PASSWORD '...'` sets a new one".into()
        }
        ErrorKind::Authentication if is_unencrypted_refusal(report) => {
            "turn Use SSL on: the server does not take this login over a connection that is not encrypted; or have its pg_hba.conf admit this machine, user and database without encryption".into()
        }
        ErrorKind::Authentication if is_encrypted_refusal(report) => {
            "the server's pg_hba.conf admits this machine, user and database over an encrypted connection by no rule: have it say `host` or `hostssl` in place of `hostnossl`; turn Use SSL off only if the network to the server can be trusted".into()
        }
        ErrorKind::Authentication if report.message.contains("pg_hba.conf") => {
            "have the server's pg_hba.conf, or the provider's firewall rules, admit this machine, user and database".into()
        }
        ErrorKind::Authentication if code == "08P01" => {
            "check username, password and Use SSL against the pooler's users and rules (PgBouncer: auth_file, auth_hba_file, client_tls_sslmode); its log says more".into()
        }
        ErrorKind::Authentication => {
            "check that the user exists and may log in (`ALTER ROLE ... LOGIN`)".into()
        }
        ErrorKind::DatabaseNotFound => {
            "check the database of the connection; `psql -l` lists those there are".into()
        }
        ErrorKind::TableNotFound => {
            "check the spelling (a name with capitals has to be quoted) and the schema; the list of tables shows what there is".into()
        }
        ErrorKind::SchemaNotFound => {
            "check the schema's name; the list of schemas shows what there is".into()
        }
        ErrorKind::ColumnNotFound => {
            "check the spelling (a name with capitals has to be quoted); the list of columns shows what there is".into()
        }
        ErrorKind::Syntax => "correct the statement at the position given".into(),
        ErrorKind::UnsupportedStatement if code == "42601" => {
            "send one statement at a time".into()
        }
        ErrorKind::UnsupportedStatement => "use another form of the statement".into(),
        ErrorKind::PermissionDenied => grant(report),
        ErrorKind::ReadOnly => {
            "this operation only reads: use `execute` for a statement that changes something, and a server that is not a read-only replica".into()
        }
        ErrorKind::StatementTimeout => {
            "let the statement do less, or raise the time limit (of the call, or the server's statement_timeout)".into()
        }
        ErrorKind::Cancelled => "run it again if it was not meant to be stopped".into(),
        ErrorKind::ServerShutdown => {
            "connect again when the server is back; nothing of an unfinished write remains".into()
        }
        ErrorKind::ServerResources if code == "08P01" => {
            "close other connections, or raise the pooler's max_client_conn".into()
        }
        ErrorKind::ServerResources if code == "53300" => {
            "close other connections, or raise the server's max_connections".into()
        }
        ErrorKind::ServerResources => {
            "free what the server has run out of (disk, memory), then try again".into()
        }
        ErrorKind::Conflict => "nothing was changed: try again".into(),
        ErrorKind::OutcomeUnknown => {
            "look whether the change is there; repeat it only if it is not".into()
        }
        ErrorKind::Constraint => {
            "correct or leave out the row named in the detail; nothing was changed".into()
        }
        ErrorKind::AlreadyExists => "choose another name, or write to what exists".into(),
        ErrorKind::Value => "correct the value: PostgreSQL's text holds no NUL and must be valid in the database's encoding".into(),
        ErrorKind::Protocol if report.message.contains("startup parameter") => {
            "the connection goes through a pooler: have it accept the parameter (PgBouncer: ignore_startup_parameters), or connect to the server itself".into()
        }
        ErrorKind::Protocol => "check what stands between here and the server, such as a pooler".into(),
        ErrorKind::ConnectionLost => "connect again".into(),
        ErrorKind::Statement => "correct the statement: the message says what the server could not do".into(),
        _ => "see the message and the server's log".into(),
    }
}

/// "no pg_hba.conf entry ... no encryption" (from 14) or "SSL off" (before).
fn is_unencrypted_refusal(report: &Report) -> bool {
    let message = &report.message;
    message.contains("pg_hba.conf")
        && (message.contains("no encryption") || message.contains("SSL off"))
}

/// "no pg_hba.conf entry ... SSL encryption" (from 14) or "SSL on" (before).
fn is_encrypted_refusal(report: &Report) -> bool {
    let message = &report.message;
    message.contains("no pg_hba.conf entry")
        && (message.contains("SSL encryption") || message.contains("SSL on"))
}

/// What to grant, where nothing more is known than the server's text.
fn grant(report: &Report) -> String {
    match report.message.split_once("permission denied for ") {
        Some((_, object)) => format!(
            "ask the owner of {object} for the privilege, with GRANT; a check of the connection shows the statements"
        ),
        None => "ask the owner for the privilege, with GRANT".into(),
    }
}

/// Adds to a failure that was about reading or writing a table which table it was, and to a
/// missing permission the statement that grants it.
pub fn about_table(error: Error, privilege: &str, schema: &str, table: &str, user: &str) -> Error {
    match error.kind() {
        // The schema comes first: without it, no grant on the table helps.
        ErrorKind::PermissionDenied if error.message().contains("for schema") => {
            about_schema(error, "USAGE", schema, user)
        }
        ErrorKind::PermissionDenied => {
            let statement = format!(
                "GRANT {privilege} ON {} TO {};",
                qualified(schema, table),
                quote(user)
            );
            error
                .with_hint(format!("have the owner run: {statement}"))
                .with_attribute("schema", schema)
                .with_attribute("table", table)
        }
        ErrorKind::TableNotFound => error
            .with_attribute("schema", schema)
            .with_attribute("table", table),
        _ => error,
    }
}

/// Like [`about_table`], for a schema.
pub fn about_schema(error: Error, privilege: &str, schema: &str, user: &str) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            let statement = format!(
                "GRANT {privilege} ON SCHEMA {} TO {};",
                quote(schema),
                quote(user)
            );
            error
                .with_hint(format!("have the owner run: {statement}"))
                .with_attribute("schema", schema)
        }
        _ => error,
    }
}

/// Adds to a login that is not permitted the statement that permits it, as the attribute
/// `remedy`.
pub fn about_login(error: Error, report: &Report, database: &str, user: &str) -> Error {
    // The function that looks: its message may be in any language. One function has several
    // reasons for 28000, and only the message tells them apart; in another language, the hint
    // is left out rather than wrong.
    let (who, statement) = match (report.code.as_str(), report.routine.as_deref()) {
        ("42501", Some("CheckMyDatabase")) => (
            "the owner of the database or a superuser",
            format!(
                "GRANT CONNECT ON DATABASE {} TO {};",
                keywords::name(database),
                keywords::name(user)
            ),
        ),
        ("28000", Some("InitializeSessionUserId")) if report.message.contains("log in") => (
            "an administrator",
            format!("ALTER ROLE {} LOGIN;", keywords::name(user)),
        ),
        _ => return error,
    };
    error
        .with_hint(format!("have {who} run: {statement}"))
        .with_attribute("remedy", statement)
}
