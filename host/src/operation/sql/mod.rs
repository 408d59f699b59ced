//! What a statement is, by its text alone.
//!
//! The parser is `sqlparser`, in the dialect of the connector. It lags behind the servers, so that it
//! is no surprise when it cannot read a statement that a server takes: that is told, and judged by
//! whoever asked. Nothing of its syntax tree leaves this module.

mod condition;
mod definition;
mod gather;
mod lexer;
mod plain;
mod rows;
mod statement;

use sqlparser::ast::Statement;
use sqlparser::dialect as parsers;
use sqlparser::parser::{Parser, ParserError};

pub(crate) use definition::{Alteration, Feature};
pub(crate) use lexer::{Token, TokenKind, byte_of, place};
pub(crate) use statement::{Facts, Kind};

/// The longest text that is parsed, in bytes. A chain of operators makes a tree as deep as the chain
/// is long, and the stack of [`parse`] is made for the tree of a text of this length.
const LONGEST: usize = 64 * 1024;

/// See [`LONGEST`]: the longest chain takes a third of it in a build without optimisation.
/// It is address space; memory is taken as it is used.
const STACK: usize = 512 * 1024 * 1024;

/// How SQL is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Redshift,
    MySql,
    MsSql,
    BigQuery,
    Snowflake,
    Sqlite,
}

impl Dialect {
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[
        Self::Postgres,
        Self::Redshift,
        Self::MySql,
        Self::MsSql,
        Self::BigQuery,
        Self::Snowflake,
        Self::Sqlite,
    ];

    /// By the name that a connector's descriptor gives it.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "postgresql" => Self::Postgres,
            "redshift" => Self::Redshift,
            "mysql" => Self::MySql,
            "mssql" => Self::MsSql,
            "bigquery" => Self::BigQuery,
            "snowflake" => Self::Snowflake,
            "sqlite" => Self::Sqlite,
            _ => return None,
        })
    }

    /// Whether two names that were folded are of one thing.
    pub(crate) fn is_same(self, one: &str, other: &str) -> bool {
        match self {
            Self::Postgres | Self::Redshift | Self::Snowflake => one == other,
            Self::MySql | Self::MsSql | Self::BigQuery | Self::Sqlite => {
                one.eq_ignore_ascii_case(other)
            }
        }
    }

    /// What a name without quotes stands for.
    pub(crate) fn folded(self, name: &str) -> String {
        match self {
            Self::Postgres | Self::Redshift => name.to_ascii_lowercase(),
            Self::Snowflake => name.to_ascii_uppercase(),
            Self::MySql | Self::MsSql | Self::BigQuery | Self::Sqlite => name.to_owned(),
        }
    }

    /// The name that a token of the text stands for, if it is one.
    pub(crate) fn name_of(self, token: &Token<'_>) -> Option<String> {
        let text = token.text;
        match token.kind {
            TokenKind::Word => Some(self.folded(text)),
            TokenKind::Quoted => {
                let end = text.chars().last()?;
                let inner = text.get(1..text.len().checked_sub(1)?)?;
                Some(inner.replace(&format!("{end}{end}"), &end.to_string()))
            }
            _ => None,
        }
    }

    fn parser(self) -> Box<dyn parsers::Dialect> {
        match self {
            Self::Postgres => Box::new(parsers::PostgreSqlDialect {}),
            Self::Redshift => Box::new(parsers::RedshiftSqlDialect {}),
            Self::MySql => Box::new(parsers::MySqlDialect {}),
            Self::MsSql => Box::new(parsers::MsSqlDialect {}),
            Self::BigQuery => Box::new(parsers::BigQueryDialect {}),
            Self::Snowflake => Box::new(parsers::SnowflakeDialect),
            Self::Sqlite => Box::new(parsers::SQLiteDialect {}),
        }
    }
}

/// A text, read.
#[derive(Debug)]
pub(crate) struct Reading<'t> {
    /// Its pieces.
    pub(crate) tokens: Vec<Token<'t>>,
    /// What it is, if the parser can read it and it is one statement.
    pub(crate) parsed: Result<Facts, Unread>,
}

/// Why the parser has nothing to tell of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Why.
    pub(crate) message: String,
    /// Line and column, from 1, where it is known.
    pub(crate) position: Option<(u32, u32)>,
}

impl Unread {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            position: None,
        }
    }
}

impl Reading<'_> {
    /// The first word, after what only puts it in parentheses.
    pub(crate) fn first_word(&self) -> Option<&Token<'_>> {
        let first = self.tokens.iter().find(|token| !token.is_symbol('('))?;
        (first.kind == TokenKind::Word).then_some(first)
    }

    /// What the first statement ends with, if more follows it: the first piece of that.
    pub(crate) fn second_statement(&self) -> Option<&Token<'_>> {
        let end = self.tokens.iter().position(|token| token.is_symbol(';'))?;
        let mut rest = self.tokens.iter().skip(end);
        rest.find(|token| !token.is_symbol(';'))
    }
}

/// Reads a text.
pub(crate) fn read(dialect: Dialect, text: &str) -> Reading<'_> {
    let tokens = lexer::tokens(dialect, text);
    let parsed = match text.len() {
        0..=LONGEST => {
            let plain = plain::plain(dialect, text, &tokens);
            parse(dialect, &plain, |statement| {
                gather::facts(dialect, statement)
            })
        }
        _ => Err(Unread::new(format!(
            "it is longer than {} KiB",
            LONGEST / 1024
        ))),
    };
    Reading { tokens, parsed }
}

/// The query whose rows are those that an `UPDATE` or `DELETE` touches, as they are before it. None
/// for other statements, and for those that the parser cannot read.
pub(crate) fn touched_rows(dialect: Dialect, text: &str) -> Option<String> {
    match text.len() {
        0..=LONGEST => {
            let plain = plain::plain(dialect, text, &lexer::tokens(dialect, text));
            parse(dialect, &plain, rows::touched).ok().flatten()
        }
        _ => None,
    }
}

/// Parses on a stack of its own, which is deep enough for what the parser makes of a long text, and
/// on which it may fail.
fn parse<T: Send>(
    dialect: Dialect,
    text: &str,
    read: impl FnOnce(&Statement) -> T + Send,
) -> Result<T, Unread> {
    let parsed = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("sql".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || parse_here(dialect, text, read))
            .map_err(|_| Unread::new("there is no memory to parse it"))?
            .join()
            .map_err(|_| Unread::new("the parser failed on it"))
    });
    parsed?
}

fn parse_here<T>(
    dialect: Dialect,
    text: &str,
    read: impl FnOnce(&Statement) -> T,
) -> Result<T, Unread> {
    let parsed = Parser::parse_sql(&*dialect.parser(), text).map_err(|error| match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            with_position(&message)
        }
        ParserError::RecursionLimitExceeded => Unread::new("it is nested too deeply"),
    })?;
    match parsed.as_slice() {
        [statement] => Ok(read(statement)),
        _ => Err(Unread::new("it is not one statement")),
    }
}

/// The parser puts the place at the end of what it says.
fn with_position(message: &str) -> Unread {
    let split = || {
        let (said, place) = message.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((said, (line.parse().ok()?, column.parse().ok()?)))
    };
    match split() {
        Some((said, place)) => Unread {
            message: said.to_owned(),
            position: Some(place),
        },
        None => Unread::new(message),
    }
}

#[cfg(test)]
mod tests;
