//! What is wrong with the statements of an operation, before anything is run.
//!
//! A statement may have been written by a model, which makes mistakes, and may have read texts that
//! someone meant to lead it astray. It is looked at twice: as text, and by the server, which parses
//! and plans it without carrying it out. What the server says counts for which tables are touched
//! and which functions called, since it is the server that will run it; what the text says counts
//! for all that a server does not plan, and for what it hides.
//!
//! A [`Finding`] says what to change, so that it can be fed back to who wrote the statement.

mod context;
mod definition;
mod driver;
mod functions;
mod judge;
mod nearest;
mod rules;
mod server;
mod text;
mod unread;

use serde::Serialize;

pub use context::{Context, Declared};
pub use driver::review;
pub use judge::judge;
pub use rules::Rule;

/// How a finding bears on running the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// To know.
    Note,
    /// It can be run, and someone should look at it first.
    Warning,
    /// It is not run.
    Error,
}

/// A place of an operation that holds a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Slot {
    /// Makes the new table.
    Create,
    /// Fills the new table.
    Insert,
    /// Gives the rows that are stored.
    Select,
    /// Shows the result.
    Preview,
    /// Changes the source.
    Change,
}

/// Where in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column, in characters from 1.
    pub column: u32,
}

/// Something about a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How it bears on running the operation.
    pub severity: Severity,
    /// What it does not keep to.
    pub rule: Rule,
    /// The statement: `statements.insert`, `statements.changes[1]`.
    pub at: String,
    /// Where in it, if it is about one place of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What was found, as one sentence.
    pub message: String,
    /// What to write instead, as one sentence.
    pub repair: String,
}

/// What was found in an operation, the gravest of each statement first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Review {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Review {
    /// Whether the operation may be run. It may need an answer first: see [`asks`](Self::asks).
    pub fn passes(&self) -> bool {
        self.of(Severity::Error).next().is_none()
    }

    /// Whether someone should look at it before it is run.
    pub fn asks(&self) -> bool {
        self.of(Severity::Warning).next().is_some()
    }

    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter();
        findings.filter(move |finding| finding.severity == severity)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.at)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests;
