//! PostgreSQL's frontend/backend protocol 3.0, without I/O.
//!
//! Manual: "Frontend/Backend Protocol", Message Formats. Rare messages are parsed and all
//! are built by `postgres-protocol`; the two that come once per row, `DataRow` and
//! `CopyData`, are taken from the read buffer where they lie ([`frame`]).
//!
//! The server is not trusted: every length is checked, nothing indexes, nothing overflows.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod backend;
pub mod frame;
pub mod frontend;

use dagflux_guest::Error;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;

/// The server said something that the protocol does not allow; the text says what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Error::new(
            ErrorKind::Protocol,
            format!("the server broke the PostgreSQL protocol: {}", violation.0),
        )
        .with_hint("check that host and port lead to a PostgreSQL server, and nothing in between rewrites the traffic")
    }
}

impl From<std::io::Error> for Violation {
    fn from(error: std::io::Error) -> Self {
        Violation(error.to_string())
    }
}
