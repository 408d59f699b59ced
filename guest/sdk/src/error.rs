//! Failures, as the contract carries them.

use crate::bindings::dagflux::connector::types;
pub use crate::bindings::dagflux::connector::types::ErrorKind;

/// The result of everything that can fail in a connector.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: a kind a program acts on, a sentence a person reads, and what to do next.
///
/// The sentence is lower case and has no full stop. It never holds a secret.
#[derive(Debug, Clone)]
pub struct Error(Box<types::Error>);

impl Error {
    /// A failure of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(types::Error {
            kind,
            message: message.into(),
            sqlstate: None,
            detail: None,
            hint: None,
            position: None,
            retryable: false,
            attributes: Vec::new(),
        }))
    }

    /// A fault in the connector itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
            .with_hint("this is a fault in the connector; report it with the message above")
    }

    /// Adds the five-character SQLSTATE.
    pub fn with_sqlstate(mut self, sqlstate: impl Into<String>) -> Self {
        self.0.sqlstate = Some(sqlstate.into());
        self
    }

    /// Adds the server's further detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets what to do next.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds where in the statement the fault lies, in characters from 1.
    pub fn with_position(mut self, position: u32) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Marks the failure as one that may pass when the same call is made again.
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Marks the failure as one after which something may have changed, so that the same call
    /// is not to be made again without a look.
    pub fn not_retryable(mut self) -> Self {
        self.0.retryable = false;
        self
    }

    /// Adds a named fact.
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.attributes.push((name.into(), value.into()));
        self
    }

    /// Sets a named fact in place of what it was.
    pub fn replacing_attribute(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let name = name.into();
        self.0.attributes.retain(|(known, _)| *known != name);
        self.with_attribute(name, value)
    }

    /// Sets the sentence.
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The whole record.
    pub fn as_record(&self) -> &types::Error {
        &self.0
    }

    /// The same failure with another kind.
    pub fn into_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Whether there is a next step already.
    pub fn has_hint(&self) -> bool {
        self.0.hint.is_some()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        *error.0
    }
}
