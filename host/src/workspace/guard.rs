//! What SQL may do that someone else wrote.
//!
//! Three layers, of which each alone would refuse most: the text is one statement
//! ([`single`]); SQLite asks the [`Guard`] about all that a statement would do while it compiles
//! it, and again when it compiles it anew; and connections have neither triggers nor attached
//! databases, nor text in double quotes (see `open`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Statement};

use super::errors;
use crate::error::{Error, ErrorKind, Result};

/// What a statement may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum May {
    /// Anything: it is ours.
    Anything,
    /// Read tables.
    Read,
    /// Create this table, and nothing else.
    Create(String),
    /// Add rows to this table.
    Insert(String),
}

/// Functions that reach beyond the workspace.
const FORBIDDEN: [&str; 2] = ["load_extension", "fts3_tokenizer"];

/// Decides what statements of one connection may do.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    may: May,
    /// What was refused first, and whether it was a write.
    refused: Option<(String, bool)>,
    /// Whether the statement would create the table that it may.
    creates: bool,
    /// The tables that it would read.
    reads: BTreeSet<String>,
}

impl Guard {
    /// Puts a guard over a connection. At first anything is permitted.
    pub fn new(connection: &mut Connection) -> rusqlite::Result<Self> {
        let guard = Self(Arc::new(Mutex::new(State {
            may: May::Anything,
            refused: None,
            creates: false,
            reads: BTreeSet::new(),
        })));
        let asked = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            asked.with(|state| decide(state, &context))
        }))?;
        Ok(guard)
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what statements may do that are compiled from now on.
    pub fn permit(&self, may: May) {
        self.with(|state| {
            *state = State {
                may,
                refused: None,
                creates: false,
                reads: BTreeSet::new(),
            }
        });
    }

    /// The tables that the statement reads which was compiled last.
    pub fn reads(&self) -> Vec<String> {
        self.with(|state| state.reads.iter().cloned().collect())
    }

    /// What a failure means, if the guard was the cause or if not.
    pub fn told(&self, error: rusqlite::Error) -> Error {
        match self.with(|state| (state.refused.take(), state.may.clone())) {
            (Some((what, writes)), may) => refusal(&what, writes, &may),
            (None, _) => errors::told(error),
        }
    }

    /// Compiles one statement that reads.
    ///
    /// # Errors
    /// `unsupported-statement` or `read-only` if it is more than one, or does not read, or does
    /// more; what SQLite has against it.
    pub fn reading<'c>(&self, connection: &'c Connection, sql: &str) -> Result<Statement<'c>> {
        let sql = single(sql, &May::Read)?;
        self.permit(May::Read);
        let statement = connection.prepare(sql).map_err(|error| self.told(error))?;
        if statement.column_count() == 0 {
            return Err(refusal("a statement without a result", false, &May::Read));
        }
        if !statement.readonly() {
            return Err(refusal("a statement that writes", true, &May::Read));
        }
        bare(&statement, &May::Read)?;
        Ok(statement)
    }

    /// Runs one `CREATE TABLE`, which creates `target`.
    ///
    /// # Errors
    /// `unsupported-statement` if it is more than one, or does anything else; what SQLite has
    /// against it.
    pub fn creating(&self, connection: &Connection, sql: &str, target: &str) -> Result<()> {
        let may = May::Create(target.to_owned());
        let sql = single(sql, &may)?;
        self.permit(may.clone());
        let mut statement = connection.prepare(sql).map_err(|error| self.told(error))?;
        bare(&statement, &may)?;
        if !self.with(|state| state.creates) {
            return Err(refusal("a statement that creates no table", false, &may));
        }
        statement.raw_execute().map_err(|error| self.told(error))?;
        Ok(())
    }
}

/// Makes sure that a statement is not explained only, and waits for no parameters.
fn bare(statement: &Statement<'_>, may: &May) -> Result<()> {
    if statement.is_explain() != 0 {
        return Err(refusal("EXPLAIN", false, may));
    }
    if statement.parameter_count() != 0 {
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            "the statement has parameters (?, :name, @name, $name), and nothing to put in their place",
        )
        .with_hint("write the values into the statement"));
    }
    Ok(())
}

fn decide(state: &mut State, context: &AuthContext<'_>) -> Authorization {
    let forbidden = |name: &str| FORBIDDEN.iter().any(|one| one.eq_ignore_ascii_case(name));
    let master = |name: &str| name.eq_ignore_ascii_case("sqlite_master");
    let here = context.database_name.is_none_or(|name| name == "main");
    let allowed = match (&state.may, context.action) {
        (May::Anything, _) => true,
        (_, AuthAction::Function { function_name }) => !forbidden(function_name),
        (_, AuthAction::Read { table_name, .. }) => {
            state.reads.insert(table_name.to_owned());
            here
        }
        (May::Create(target), AuthAction::CreateTable { table_name }) => {
            let creates = here && table_name.eq_ignore_ascii_case(target);
            state.creates |= creates;
            // Where AUTOINCREMENT is kept.
            creates || table_name == "sqlite_sequence"
        }
        (
            May::Create(target),
            AuthAction::CreateIndex {
                index_name,
                table_name,
            },
        ) => {
            // For UNIQUE and PRIMARY KEY; no statement can name one so.
            here && table_name.eq_ignore_ascii_case(target)
                && index_name.starts_with("sqlite_autoindex_")
        }
        (May::Create(_), AuthAction::Insert { table_name }) => here && master(table_name),
        (May::Create(_), AuthAction::Update { table_name, .. }) => here && master(table_name),
        (May::Create(_), _) => false,
        (May::Insert(target), AuthAction::Insert { table_name }) => {
            here && table_name.eq_ignore_ascii_case(target)
        }
        (_, AuthAction::Select | AuthAction::Recursive) => true,
        _ => false,
    };
    if allowed {
        return Authorization::Allow;
    }
    if state.refused.is_none() {
        state.refused = Some(match context.action {
            AuthAction::Select if state.creates => ("CREATE TABLE AS".to_owned(), true),
            action => what(&action),
        });
    }
    Authorization::Deny
}

/// A refused action in words, and whether it is a write.
fn what(action: &AuthAction<'_>) -> (String, bool) {
    use AuthAction::*;
    let (what, writes) = match action {
        Function { function_name } => return (format!("the function {function_name}"), false),
        Pragma { pragma_name, .. } => return (format!("PRAGMA {pragma_name}"), false),
        Read { table_name, .. } => {
            return (
                format!("reading \"{table_name}\" of another database"),
                false,
            );
        }
        CreateTable { table_name } => return (format!("CREATE TABLE \"{table_name}\""), true),
        Insert { table_name } => return (format!("INSERT INTO \"{table_name}\""), true),
        Update { table_name, .. } => return (format!("UPDATE \"{table_name}\""), true),
        Delete { table_name } => return (format!("DELETE FROM \"{table_name}\""), true),
        DropTable { table_name } => return (format!("DROP TABLE \"{table_name}\""), true),
        AlterTable { table_name, .. } => return (format!("ALTER TABLE \"{table_name}\""), true),
        Select | Recursive => ("a query", false),
        CreateTempTable { .. } => ("CREATE TEMPORARY TABLE", true),
        CreateIndex { .. } | CreateTempIndex { .. } => ("CREATE INDEX", true),
        CreateTrigger { .. } | CreateTempTrigger { .. } => ("CREATE TRIGGER", true),
        CreateView { .. } | CreateTempView { .. } => ("CREATE VIEW", true),
        CreateVtable { .. } => ("CREATE VIRTUAL TABLE", true),
        Attach { .. } => ("ATTACH", false),
        Detach { .. } => ("DETACH", false),
        Transaction { .. } | Savepoint { .. } => ("a statement about transactions", false),
        Analyze { .. } | Reindex { .. } => ("ANALYZE or REINDEX", true),
        _ => ("a statement that drops something", true),
    };
    (what.to_owned(), writes)
}

fn refusal(what: &str, writes: bool, may: &May) -> Error {
    let kind = match (may, writes) {
        (May::Read, true) => ErrorKind::ReadOnly,
        _ => ErrorKind::UnsupportedStatement,
    };
    let hint = hint(may);
    Error::new(kind, format!("{what} is not permitted here")).with_hint(hint)
}

fn hint(may: &May) -> String {
    match may {
        May::Create(target) => format!(
            "write one CREATE TABLE \"{target}\" with its columns and their types, and nothing \
             else: the rows come from the select"
        ),
        _ => "write one SELECT over tables of the workspace, and nothing else".to_owned(),
    }
}

/// More than one statement.
pub fn several(position: Option<u32>) -> Error {
    Error::new(
        ErrorKind::UnsupportedStatement,
        "there is more than one statement",
    )
    .with_hint("write one statement; a semicolon can only stand at its end")
    .with_position(position)
}

/// The only statement of a text, without what stands behind it.
///
/// # Errors
/// `unsupported-statement` if there are more, or none.
fn single<'s>(sql: &'s str, may: &May) -> Result<&'s str> {
    if let Some(at) = sql.find('\0') {
        // SQLite would stop there, and whoever looks at the text would not.
        return Err(
            Error::new(ErrorKind::Syntax, "the statement has a NUL in it")
                .with_hint("remove the character U+0000")
                .with_position(position(sql, at)),
        );
    }
    let mut end = None;
    let mut something = false;
    let mut rest = sql;
    while let Some((token, length)) = token(rest) {
        let at = sql.len().saturating_sub(rest.len());
        match (token, end) {
            (Token::Blank, _) => {}
            (Token::Semicolon, None) if something => end = Some(at),
            (Token::Semicolon, _) => {}
            (Token::Other, None) => something = true,
            (Token::Other, Some(_)) => return Err(several(position(sql, at))),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    match something {
        true => Ok(sql.get(..end.unwrap_or(sql.len())).unwrap_or_default()),
        false => Err(Error::new(ErrorKind::Syntax, "there is no statement").with_hint(hint(may))),
    }
}

fn position(sql: &str, at: usize) -> Option<u32> {
    errors::place(sql, i32::try_from(at).ok()?)
}

/// What a statement is made of, as far as it takes to find its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Blank,
    Semicolon,
    Other,
}

/// The first token of a text, by the rules of <https://sqlite.org/src/file/src/tokenize.c>, and
/// its bytes.
fn token(text: &str) -> Option<(Token, usize)> {
    let first = text.chars().next()?;
    let until = |end: &str, skip: usize| {
        let behind = text.get(skip..).unwrap_or_default();
        behind.find(end).map_or(text.len(), |at| {
            skip.saturating_add(at).saturating_add(end.len())
        })
    };
    Some(match first {
        ' ' | '\t' | '\n' | '\x0c' | '\r' => (Token::Blank, 1),
        '-' if text.starts_with("--") => (Token::Blank, until("\n", 2)),
        '/' if text.starts_with("/*") => (Token::Blank, until("*/", 2)),
        ';' => (Token::Semicolon, 1),
        // A doubled quote ends one and begins another, which comes to the same.
        '\'' => (Token::Other, until("'", 1)),
        '"' => (Token::Other, until("\"", 1)),
        '`' => (Token::Other, until("`", 1)),
        '[' => (Token::Other, until("]", 1)),
        other => (Token::Other, other.len_utf8()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement() {
        for (sql, statement) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT 1;", "SELECT 1"),
            (
                " ;; SELECT 1 ; -- the end\n ; /* ; DROP TABLE t",
                " ;; SELECT 1 ",
            ),
            (
                "SELECT ';' AS \"a;b\", [;], `;` -- ; x",
                "SELECT ';' AS \"a;b\", [;], `;` -- ; x",
            ),
            ("SELECT 'it''s; fine'", "SELECT 'it''s; fine'"),
            (
                "SELECT 1 /* ; DROP TABLE t; */ + 1",
                "SELECT 1 /* ; DROP TABLE t; */ + 1",
            ),
        ] {
            assert_eq!(single(sql, &May::Read).unwrap(), statement);
        }
    }

    #[test]
    fn more_than_one_statement() {
        for (sql, position) in [
            ("SELECT 1; DROP TABLE t", 11),
            ("SELECT 1;-- a comment\nDROP TABLE t", 23),
            ("SELECT 1; /* one */ /* two */ SELECT 2", 31),
            ("SELECT '--'; DELETE FROM t", 14),
            ("SELECT \"/*\"; DELETE FROM t --*/", 14),
            ("SELECT [']; DELETE FROM t --']", 13),
            ("SELECT '\\'; DELETE FROM t --'", 13),
            ("SELECT 'é'; x", 13),
        ] {
            let error = single(sql, &May::Read).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedStatement, "{sql}");
            assert_eq!(error.position(), Some(position), "{sql}");
        }
        for sql in ["", " ; -- x", "/* SELECT 1", "SELECT 1\0; DROP TABLE t"] {
            assert_eq!(
                single(sql, &May::Read).unwrap_err().kind(),
                ErrorKind::Syntax
            );
        }
    }

    /// Semicolons without number are no recursion without end.
    #[test]
    fn many_semicolons() {
        let sql = format!("SELECT 1{}", ";".repeat(1_000_000));
        assert_eq!(single(&sql, &May::Read).unwrap(), "SELECT 1");
    }
}
