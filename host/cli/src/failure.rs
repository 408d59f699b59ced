//! Failures that the command itself finds, beside those the host reports.

use std::fmt;

use crate::exit::Exit;

/// One thing that is wrong with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the connection file, counted in lines from 1.
    pub line: Option<usize>,
    /// The field it is about; empty when it is about the whole.
    pub field: String,
    /// What is wrong and what to write instead. Never holds a value.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A failure with its class and its next step.
#[derive(Debug)]
pub struct Failure {
    /// The class, which is the exit code.
    pub exit: Exit,
    /// The kind in `--json`, in the host's manner: lower case with `-`.
    pub kind: &'static str,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// What to do next; without one, that of the class.
    pub hint: Option<String>,
    /// Everything that is wrong, when it is more than the message can say.
    pub faults: Vec<Fault>,
}

impl Failure {
    /// A failure of the given class.
    pub fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        Failure {
            exit,
            kind,
            message: message.into(),
            hint: None,
            faults: Vec::new(),
        }
    }

    /// Something in the connection file, or in what it refers to.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, "configuration", message)
    }

    /// A secret that cannot be had from where it is kept.
    pub fn secret(message: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, "secret", message)
    }

    /// A local file that cannot be read, written or understood.
    pub fn file(message: impl Into<String>) -> Self {
        Self::new(Exit::File, "io", message)
    }

    /// A value, or a shape of rows, that does not fit.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Exit::Data, "value", message)
    }

    /// A command line that parses and still cannot be meant.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Stopped by the person who started it.
    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "cancelled", "stopped")
    }

    /// Stopped without waiting for what became of a change.
    pub fn outcome_unknown() -> Self {
        Self::new(
            Exit::OutcomeUnknown,
            "outcome-unknown",
            "stopped before the server answered: it is not known whether the change was made",
        )
        .hint("look whether the change is there before running the command again")
    }

    /// Says what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Lists everything that is wrong.
    pub fn faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A failure of the server together with the statement it is about, so that
/// the position in the statement can be shown, and with the command's own next
/// step where it has one.
#[derive(Debug)]
pub struct ServerFailure {
    /// The statement's text, if it was one of the user's. Shown to the person only,
    /// never logged.
    pub sql: Option<String>,
    /// What the host reported.
    pub source: dagflux_host::Error,
    /// What to do next, in the words of the command line.
    pub hint: Option<String>,
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl std::error::Error for ServerFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.source)
    }
}
