//! What stands in the way of a write, gathered so that all of it is reported at once.

use dagflux_guest::Error;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: ErrorKind,
    /// What it is about: the name of an attribute, and its value.
    subject: (&'static str, String),
    text: String,
    remedy: Option<String>,
}

impl Fault {
    /// A fault of the given kind.
    pub fn new(kind: ErrorKind, what: &'static str, name: &str, text: impl Into<String>) -> Self {
        Self {
            kind,
            subject: (what, name.to_owned()),
            text: text.into(),
            remedy: None,
        }
    }

    /// A fault of a column.
    pub fn column(name: &str, text: impl Into<String>) -> Self {
        Self::new(ErrorKind::SchemaMismatch, "column", name, text)
    }

    /// Adds what removes it.
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// What was about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Appending,
    Creating,
    Replacing,
    Upserting,
}

/// What is said to faults of columns that name no remedy of their own.
const FIT: &str = "rename, cast or leave out the columns named; text fits a column of any type, which then reads it";

/// The one failure that all the faults are; none if there are none.
///
/// Its kind is theirs if they have one in common, else that of columns that do not fit, or
/// `unsupported`.
pub fn combined(faults: &[Fault], doing: Doing) -> Option<Error> {
    let first = faults.first()?;
    let any = |kind| faults.iter().any(|fault| fault.kind == kind);
    let kind = if faults.iter().all(|fault| fault.kind == first.kind) {
        first.kind
    } else if any(ErrorKind::SchemaMismatch) {
        ErrorKind::SchemaMismatch
    } else {
        ErrorKind::Unsupported
    };
    let texts: Vec<_> = faults.iter().map(|fault| fault.text.as_str()).collect();
    let mut remedies: Vec<&str> = Vec::new();
    for fault in faults {
        let remedy = match (&fault.remedy, fault.kind) {
            (Some(remedy), _) => remedy,
            (None, ErrorKind::SchemaMismatch) => FIT,
            (None, _) => continue,
        };
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    let lead = match doing {
        Doing::Appending => "the columns offered do not fit the table",
        Doing::Creating => "the table cannot be created",
        Doing::Replacing => "the table cannot be replaced",
        Doing::Upserting => "the table cannot be upserted",
    };
    let mut error = Error::new(kind, format!("{lead}: {}", texts.join("; ")));
    if !remedies.is_empty() {
        error = error.with_hint(remedies.join("; "));
    }
    for fault in faults {
        let (what, name) = &fault.subject;
        error = error.with_attribute(*what, name.clone());
    }
    Some(error)
}
