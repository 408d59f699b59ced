//! The one error type of this crate.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::policy::redaction::Redactor;
use crate::policy::text;
use crate::step::{self, ConnectStep, Progress};

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What kind of thing went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The kind's name, as in `statement-timeout`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// The configuration is missing a value or holds one that cannot work.
    Configuration = "configuration",
    /// The server's name could not be resolved to an address.
    NameResolution = "name-resolution",
    /// Nothing accepted the connection at the server's address and port.
    Unreachable = "unreachable",
    /// The server did not answer in time while the connection was opened.
    ConnectTimeout = "connect-timeout",
    /// The encrypted channel could not be established or verified.
    Tls = "tls",
    /// The server rejected the login, or the login was refused locally.
    Authentication = "authentication",
    /// Logged in, but not permitted to do this.
    PermissionDenied = "permission-denied",
    /// The database does not exist.
    DatabaseNotFound = "database-not-found",
    /// A table or view does not exist.
    TableNotFound = "table-not-found",
    /// A schema does not exist.
    SchemaNotFound = "schema-not-found",
    /// A column does not exist.
    ColumnNotFound = "column-not-found",
    /// A table that was to be created exists already.
    AlreadyExists = "already-exists",
    /// The statement is not valid SQL.
    Syntax = "syntax",
    /// The statement is valid SQL, but the server could not run it.
    Statement = "statement",
    /// The statement is not of a kind that the operation accepts.
    UnsupportedStatement = "unsupported-statement",
    /// A write was attempted where only reading is permitted.
    ReadOnly = "read-only",
    /// A row violates a constraint of the table.
    Constraint = "constraint",
    /// A value cannot be carried in the type of its column.
    Value = "value",
    /// The columns offered do not fit the columns of the table.
    SchemaMismatch = "schema-mismatch",
    /// The statement ran longer than its time limit.
    StatementTimeout = "statement-timeout",
    /// The operation was cancelled at the caller's request.
    Cancelled = "cancelled",
    /// Two transactions stood in each other's way; nothing was changed.
    Conflict = "conflict",
    /// The server has run out of something.
    ServerResources = "server-resources",
    /// The server is starting, stopping, or ended this session on purpose.
    ServerShutdown = "server-shutdown",
    /// The connection broke without the server saying why.
    ConnectionLost = "connection-lost",
    /// A commit was sent and its answer was lost.
    OutcomeUnknown = "outcome-unknown",
    /// The server said something that the protocol does not allow.
    Protocol = "protocol",
    /// The connector does not offer the operation.
    Unsupported = "unsupported",
    /// A fault in the connector, told by itself.
    Internal = "internal",
    /// None of the above, told by the connector.
    Other = "other",

    /// The file is not a WebAssembly component, or not a whole one.
    InvalidComponent = "invalid-component",
    /// A component, but not one that offers the connector contract.
    NotAConnector = "not-a-connector",
    /// The component imports something that no connector may have.
    ForbiddenImport = "forbidden-import",
    /// The component is larger than [`Limits::component_size`](crate::Limits::component_size).
    ComponentTooLarge = "component-too-large",
    /// Compiling the component takes more than [`Limits::compile_time`](crate::Limits::compile_time)
    /// or [`Limits::compile_memory`](crate::Limits::compile_memory), or its make-up shows that it would.
    CompileLimit = "compile-limit",
    /// The component is not the one that was pinned, or not signed by whom it has to be.
    Untrusted = "untrusted",
    /// The connector asks for more than it was granted.
    NotGranted = "not-granted",
    /// The connector says something of itself that cannot be.
    InvalidDescriptor = "invalid-descriptor",
    /// The connector crashed.
    Trap = "trap",
    /// The connector worked longer than [`Limits::guest_time`](crate::Limits::guest_time).
    GuestTimeLimit = "guest-time-limit",
    /// A call took longer than [`Limits::wall_time`](crate::Limits::wall_time).
    WallTimeLimit = "wall-time-limit",
    /// The connector wanted more than [`Limits::memory`](crate::Limits::memory) or its tables.
    MemoryLimit = "memory-limit",
    /// A call carried more than [`Limits::transfer`](crate::Limits::transfer).
    TransferLimit = "transfer-limit",
    /// There are as many connections as [`Limits::connections`](crate::Limits::connections) permits.
    ConnectionLimit = "connection-limit",
    /// The connector handed over something that is not a batch of its stream.
    InvalidData = "invalid-data",
    /// The embedder's policy refuses the address or the login.
    PolicyRefused = "policy-refused",
    /// A secret could not be had from where it is kept.
    Secret = "secret",
    /// A file or the operating system failed.
    Io = "io",
    /// The connection was closed by an earlier failure.
    Closed = "closed",
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One fault among several that are reported at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// The field it is about.
    pub field: String,
    /// What is wrong and what to write, as one sentence.
    pub message: String,
}

impl Fault {
    /// A fault of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// The attribute that has SQL to run.
pub(crate) const REMEDY: &str = "remedy";

/// Why an operation failed.
///
/// `Display` gives this error's own sentence; [`source`](std::error::Error::source)
/// gives what caused it. The sentence may name the host and the login name, so
/// it is for the person who made the call. For logs and machines, use
/// [`redacted`](Self::redacted) and [`to_json`](Self::to_json), and `Debug`, in
/// which both are replaced.
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    sqlstate: Option<String>,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<u32>,
    retryable: bool,
    attributes: Vec<(String, String)>,
    faults: Vec<Fault>,
    step: Option<step::Failed>,
    redactor: Redactor,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                sqlstate: None,
                detail: None,
                hint: None,
                position: None,
                retryable: false,
                attributes: Vec::new(),
                faults: Vec::new(),
                step: None,
                redactor: Redactor::new(),
                source: None,
            }),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds something to do next.
    pub(crate) fn and_hint(mut self, hint: &str) -> Self {
        self.inner.hint = Some(match self.inner.hint.take() {
            Some(first) => format!("{first}; {hint}"),
            None => hint.to_owned(),
        });
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.inner.detail = Some(detail.into());
        self
    }

    pub(crate) fn with_attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        self.inner.attributes.push((name.to_owned(), value.into()));
        self
    }

    /// Says where in the statement, in characters from 1.
    pub(crate) fn with_position(mut self, position: Option<u32>) -> Self {
        self.inner.position = position;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.inner.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.inner.faults = faults;
        self
    }

    pub(crate) fn with_redactor(mut self, redactor: Redactor) -> Self {
        let inner = &mut self.inner;
        let texts = [
            Some(&mut inner.message),
            inner.detail.as_mut(),
            inner.hint.as_mut(),
        ];
        for text in texts.into_iter().flatten() {
            if text.len() > text::ERROR_TEXT {
                let end = redactor.place_to_cut(text, text::ERROR_TEXT);
                text.truncate(end);
                text.push('…');
            }
        }
        inner.redactor = redactor;
        self
    }

    pub(crate) fn with_retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = retryable;
        self
    }

    /// Says at which step of connecting this failed.
    pub(crate) fn while_connecting(mut self, progress: Progress) -> Self {
        self.inner.step = step::failed(self.kind(), self.sqlstate(), progress);
        self
    }

    pub(crate) fn from_guest(error: crate::bindings::Error) -> Self {
        // Where it is cut for good, is seen once there is a redactor.
        let most = text::ERROR_TEXT.saturating_add(text::MARGIN);
        let cut = |said: String| text::cut(said, most);
        let mut this = Self::new(error.kind.into(), cut(error.message));
        this.inner.sqlstate = error.sqlstate.filter(|state| text::is_sqlstate(state));
        this.inner.detail = error.detail.map(cut);
        this.inner.hint = error.hint.map(cut);
        this.inner.position = error.position;
        this.inner.retryable = error.retryable;
        this.inner.attributes = error.attributes;
        // Not cut: half of a statement is another one.
        this.inner
            .attributes
            .retain(|(name, value)| name.len() <= text::NAME && value.len() <= text::ERROR_TEXT);
        this.inner.attributes.truncate(text::ERROR_ATTRIBUTES);
        this.inner.attributes.shrink_to_fit();
        this
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Whether the instance it comes from cannot be entered again.
    pub(crate) fn ends_instance(&self) -> bool {
        use ErrorKind::*;
        matches!(
            self.kind(),
            Trap | GuestTimeLimit | WallTimeLimit | MemoryLimit | TransferLimit
        )
    }

    /// The five-character SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.inner.sqlstate.as_deref()
    }

    /// Further detail.
    pub fn detail(&self) -> Option<&str> {
        self.inner.detail.as_deref()
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    /// Where in the statement, in characters from 1.
    pub fn position(&self) -> Option<u32> {
        self.inner.position
    }

    /// Whether the same call can succeed later; then it has changed nothing.
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    /// More by name: `schema`, `table`, `column`, `constraint`, `row`, `value`.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.inner.attributes
    }

    /// The step of connecting that failed; none if it was not about connecting.
    pub fn step(&self) -> Option<ConnectStep> {
        self.inner.step.map(|failed| failed.at)
    }

    /// The steps of connecting that were taken before the one that failed.
    pub fn steps_before(&self) -> Vec<ConnectStep> {
        self.inner
            .step
            .map(step::Failed::before)
            .unwrap_or_default()
    }

    /// The single faults, where several are reported at once.
    pub fn faults(&self) -> &[Fault] {
        &self.inner.faults
    }

    /// Whether the connection is of no use any more.
    pub fn is_fatal(&self) -> bool {
        use ErrorKind::*;
        matches!(
            self.kind(),
            Trap | GuestTimeLimit
                | WallTimeLimit
                | MemoryLimit
                | TransferLimit
                | ConnectionLost
                | ServerShutdown
                | OutcomeUnknown
                | Protocol
                | Closed
        )
    }

    /// What hides the sensitive values of the connection it is about.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.inner.redactor
    }

    /// `text` with the host and the login name of the connection replaced.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.inner.redactor.redact(text)
    }

    /// The sentence of this error without the host and the login name.
    pub fn redacted(&self) -> Cow<'_, str> {
        self.redact(&self.inner.message)
    }

    /// This error for machines, without the host and the login name.
    pub fn to_json(&self) -> serde_json::Value {
        let text = |value: Option<&str>| value.map(|value| self.redact(value).into_owned());
        let attributes: serde_json::Map<_, _> = self
            .attributes()
            .iter()
            .map(|(name, value)| {
                let value = match name.as_str() {
                    REMEDY => self.inner.redactor.sql(value).into(),
                    _ => self.redact(value).into(),
                };
                (self.redact(name).into_owned(), value)
            })
            .collect();
        serde_json::json!({
            "kind": self.kind(),
            "message": self.redacted(),
            "sqlstate": text(self.sqlstate()),
            "detail": text(self.detail()),
            "hint": text(self.hint()),
            "position": self.position(),
            "retryable": self.is_retryable(),
            "attributes": attributes,
            "faults": self.faults(),
            "step": self.step(),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("message", &self.redacted())
            .field("sqlstate", &self.sqlstate().map(|state| self.redact(state)))
            .field("hint", &self.hint().map(|hint| self.redact(hint)))
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

/// A wasmtime error as a source, without its backtrace.
#[derive(Debug)]
pub(crate) struct Wasmtime(pub(crate) wasmtime::Error);

impl std::fmt::Display for Wasmtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Wasmtime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_serde_writes() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn no_half_of_a_host_is_left_where_an_error_is_cut() {
        let mut redactor = Redactor::new();
        redactor.hide("host", "db.example.com");
        let told = |before: usize| crate::bindings::Error {
            kind: crate::bindings::ErrorKind::Other,
            message: format!(
                "{} db.example.com, {}",
                "x".repeat(before),
                "y".repeat(9_000)
            ),
            sqlstate: None,
            detail: None,
            hint: None,
            position: None,
            retryable: false,
            attributes: Vec::new(),
        };
        for before in text::ERROR_TEXT - 20..text::ERROR_TEXT {
            let error = Error::from_guest(told(before)).with_redactor(redactor.clone());
            // More than once, on its way out.
            let error = error.with_redactor(redactor.clone());
            let said = error.redacted();
            assert!(said.len() < text::ERROR_TEXT + 8, "{before}");
            assert!(said.ends_with('…'), "{before}");
            let end = said.get(before..).unwrap();
            assert!(!end.contains("db.") && !end.contains("xample"), "{end}");
        }
    }

    #[test]
    fn only_display_names_the_host() {
        let mut redactor = Redactor::new();
        redactor.hide("host", "db.example.com");
        let error = Error::new(
            ErrorKind::NameResolution,
            "could not resolve db.example.com",
        )
        .with_hint("check the name db.example.com")
        .with_redactor(redactor);
        assert_eq!(error.to_string(), "could not resolve db.example.com");
        let elsewhere = format!("{error:?} {} {}", error.to_json(), error.redacted());
        assert!(!elsewhere.contains("example"), "{elsewhere}");
    }
}
