//! PostgreSQL's frontend/backend protocol 3.0, without I/O.
//!
//! Manual: "Frontend/Backend Protocol", Message Formats. Rare messages are parsed and all
//! are built by `postgres-protocol`; the two that come once per row, `DataRow` and
//! `CopyData`, are taken from the read buffer where they lie ([`frame`]).
//!
//! The server is not trusted: every length is checked, nothing indexes, nothing overflows.
#![deny(clippy::arithmetic_side_effects)]

pub mod backend;
pub mod frame;
pub mod frontend;

use dagflux_guest::Error;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;

/// The server said something that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The protocol does not allow it; the text says what it was.
    Malformed(String),
    /// It is a row of this many bytes, more than [`frame::LONGEST`].
    TooLong(usize),
}

impl Violation {
    /// What the protocol does not allow.
    pub fn new(what: impl Into<String>) -> Self {
        Violation::Malformed(what.into())
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Malformed(what) => Error::new(
                ErrorKind::Protocol,
                format!("the server broke the PostgreSQL protocol: {what}"),
            )
            .with_hint("check that host and port lead to a PostgreSQL server, and that nothing in between rewrites the traffic"),
            Violation::TooLong(length) => Error::new(
                ErrorKind::Value,
                format!(
                    "a row of {length} bytes is longer than the {} that are carried",
                    frame::LONGEST
                ),
            )
            .with_hint("read fewer columns, or cut long values short in a query, for example with left(...)"),
        }
    }
}

impl From<std::io::Error> for Violation {
    fn from(error: std::io::Error) -> Self {
        Violation::Malformed(match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "a message that ends early".to_owned(),
            _ => error.to_string(),
        })
    }
}
