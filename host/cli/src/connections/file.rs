//! The connection file: TOML, one table per connection.
//!
//! ```toml
//! [sales]
//! connector = "postgres"
//! host = "db.example.com"
//! database = "sales"
//! username = { env = "SALES_USER" }
//! password = { keyring = true }
//! ```
//!
//! Parsing keeps the line of every key, and never lets text of the file into a
//! message: the file may hold a password that should not be there.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::guard::{self, Guard};
use super::reference::Reference;
use crate::failure::{Failure, Fault};

/// The key that names the connector; every other key is a field of it.
pub const CONNECTOR: &str = "connector";

/// The largest connection file that is read. A hand-written file of a thousand
/// connections stays below it; a table export given by mistake does not.
const MOST_BYTES: u64 = 1024 * 1024;

/// A connection file that was read.
#[derive(Debug)]
pub struct File {
    /// Where it lies.
    pub path: PathBuf,
    /// Its connections, by name.
    pub entries: Vec<Entry>,
}

/// One connection in the file.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The line of its header.
    pub line: usize,
    /// The connector, by name or by path.
    pub connector: Option<(String, usize)>,
    /// What it asks of its connector.
    pub guard: Guard,
    /// Its fields, in the order of the file.
    pub fields: Vec<Given>,
    /// What is wrong with it whatever the connector is.
    pub faults: Vec<Fault>,
}

/// A value given for a field. Has no `Debug` of its values: any may be secret.
pub struct Given {
    /// The key.
    pub name: String,
    /// Its line.
    pub line: usize,
    /// What is written there.
    pub value: Content,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given")
            .field("name", &self.name)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// What is written for a field.
pub enum Content {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Where to find the value.
    Reference(Reference),
    /// A table that is not a proper reference: why not.
    BadReference(String),
    /// Anything else, by the word for it.
    Other(&'static str),
}

impl Content {
    /// The word for it in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::Text(_) => "text",
            Content::Integer(_) => "a whole number",
            Content::Boolean(_) => "true or false",
            Content::Reference(_) | Content::BadReference(_) => "a reference",
            Content::Other(kind) => kind,
        }
    }
}

impl File {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or is not TOML; all faults of the syntax at once.
    pub fn read(path: &Path) -> Result<File, Failure> {
        let unreadable = |error: std::io::Error| {
            let message = format!(
                "cannot read the connection file {}: {error}",
                path.display()
            );
            match error.kind() {
                std::io::ErrorKind::NotFound => Failure::configuration(message).hint(format!(
                    "create it, or name another one with --connections or DAGFLUX_CONNECTIONS; it looks like this:\n{EXAMPLE}"
                )),
                _ => Failure::configuration(message).hint("check the path and its permissions"),
            }
        };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MOST_BYTES {
            return Err(Failure::configuration(format!(
                "{} has {size} bytes, which is no connection file",
                path.display()
            ))
            .hint("name the connection file with --connections or DAGFLUX_CONNECTIONS"));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text)
    }

    /// Reads `text`, which lies at `path`.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn parse(path: &Path, text: &str) -> Result<File, Failure> {
        let lines = Lines::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut faults: Vec<Fault> = errors
            .iter()
            .map(|error| Fault {
                line: error.span().map(|span| lines.of(span.start)),
                field: String::new(),
                // The error's own Display quotes the line, and with it the value.
                message: format!("not valid TOML: {}", error.message()),
            })
            .collect();
        let mut entries = Vec::new();
        if faults.is_empty() {
            for (key, value) in document.get_ref() {
                let line = lines.of(key.span().start);
                match value.get_ref() {
                    DeValue::Table(table) => entries.push(Entry::new(key.get_ref(), line, table, &lines)),
                    _ => faults.push(Fault {
                        line: Some(line),
                        field: key.get_ref().to_string(),
                        message: format!(
                            "\"{}\" stands outside of a connection; write it below a line like [sales]",
                            key.get_ref()
                        ),
                    }),
                }
            }
        }
        if !faults.is_empty() {
            return Err(Failure::configuration(format!(
                "{} is not a connection file",
                path.display()
            ))
            .hint(format!(
                "correct the lines named above; a connection looks like this:\n{EXAMPLE}"
            ))
            .faults(faults));
        }
        entries.sort_by_key(|entry| entry.line);
        Ok(File {
            path: path.to_owned(),
            entries,
        })
    }

    /// The connection called `name`.
    ///
    /// # Errors
    /// When there is none; the message has the nearest name.
    pub fn entry(&self, name: &str) -> Result<&Entry, Failure> {
        self.entries
            .iter()
            .find(|entry| entry.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self
                    .entries
                    .iter()
                    .map(|entry| entry.name.as_str())
                    .collect();
                let failure = Failure::configuration(format!(
                    "there is no connection \"{name}\" in {}",
                    self.path.display()
                ));
                match super::nearest(name, &known) {
                    Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
                    None if known.is_empty() => {
                        failure.hint(format!("add it to the file:\n{EXAMPLE}"))
                    }
                    None => failure.hint(format!("the file has: {}", known.join(", "))),
                }
            })
    }

    /// A path written in the file: relative to the file, with `~/` for the
    /// user's own folder.
    pub fn resolve(&self, written: &str) -> PathBuf {
        if let (Some(rest), Some(home)) = (written.strip_prefix("~/"), dirs::home_dir()) {
            return home.join(rest);
        }
        match self.path.parent() {
            Some(folder) => folder.join(written),
            None => PathBuf::from(written),
        }
    }
}

/// A connection as a message can show it.
const EXAMPLE: &str = "    [sales]
    connector = \"postgres\"
    host = \"db.example.com\"
    database = \"sales\"
    username = \"dagflux\"
    password = { keyring = true }    # then: dagflux secret set sales.password";

impl Entry {
    /// Whether what it asks of its connector cannot be asked as it is written.
    pub fn is_unguarded(&self) -> bool {
        (self.faults.iter()).any(|fault| guard::is_own(&fault.field))
    }

    fn new(name: &str, line: usize, table: &DeTable<'_>, lines: &Lines) -> Entry {
        let mut entry = Entry {
            name: name.to_owned(),
            line,
            connector: None,
            guard: Guard::default(),
            fields: Vec::new(),
            faults: Vec::new(),
        };
        for (key, value) in table {
            let at = lines.of(key.span().start);
            if key.get_ref() == CONNECTOR {
                match value.get_ref() {
                    DeValue::String(text) if !text.is_empty() => {
                        entry.connector = Some((text.to_string(), at));
                    }
                    other => entry.faults.push(Fault {
                        line: Some(at),
                        field: CONNECTOR.into(),
                        message: format!(
                            "\"{CONNECTOR}\" wants a connector's name or the path of a .wasm file, as text, and is {}",
                            content(name, key.get_ref(), other).kind()
                        ),
                    }),
                }
                continue;
            }
            if entry.guard.take(key.get_ref(), at, value.get_ref()) {
                continue;
            }
            if let Some(fault) = guard::misspelt(key.get_ref(), at) {
                entry.faults.push(fault);
                continue;
            }
            entry.fields.push(Given {
                name: key.get_ref().to_string(),
                line: at,
                value: content(name, key.get_ref(), value.get_ref()),
            });
        }
        entry.faults.append(&mut entry.guard.faults);
        entry.fields.sort_by_key(|given| given.line);
        if entry.connector.is_none() && !entry.faults.iter().any(|fault| fault.field == CONNECTOR) {
            let keys: Vec<&str> = entry
                .fields
                .iter()
                .map(|given| given.name.as_str())
                .collect();
            let misspelt = super::nearest(CONNECTOR, &keys).map(str::to_owned);
            let (line, message) = match misspelt {
                Some(key) => {
                    let at = entry.fields.iter().position(|given| given.name == key);
                    let given = at.map(|at| entry.fields.remove(at));
                    let line = given.map_or(entry.line, |given| given.line);
                    (
                        line,
                        format!("\"{key}\" is not known; did you mean \"{CONNECTOR}\"?"),
                    )
                }
                None => (
                    entry.line,
                    format!(
                        "\"{CONNECTOR}\" is missing; write for example {CONNECTOR} = \"postgres\""
                    ),
                ),
            };
            entry.faults.push(Fault {
                line: Some(line),
                field: CONNECTOR.into(),
                message,
            });
        }
        entry
    }
}

/// What the value of a key holds.
fn content(connection: &str, key: &str, value: &DeValue<'_>) -> Content {
    match value {
        DeValue::String(text) => Content::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Content::Integer(number),
            Err(_) => Content::Other("a number that is too large"),
        },
        DeValue::Boolean(value) => Content::Boolean(*value),
        DeValue::Table(table) => match Reference::parse(connection, key, &plain(table)) {
            Ok(reference) => Content::Reference(reference),
            Err(reason) => Content::BadReference(reason),
        },
        DeValue::Float(_) => Content::Other("a fractional number"),
        DeValue::Datetime(_) => Content::Other("a date"),
        DeValue::Array(_) => Content::Other("a list"),
    }
}

/// The keys and values of an inline table, without their spans.
fn plain<'t>(table: &'t DeTable<'_>) -> Vec<(&'t str, &'t DeValue<'t>)> {
    table
        .iter()
        .map(|(key, value): (&Spanned<_>, &Spanned<_>)| (key.get_ref().as_ref(), value.get_ref()))
        .collect()
}

/// Turns byte offsets into line numbers.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Lines(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at)
                .collect(),
        )
    }

    /// The line that the byte at `offset` is in, counted from 1.
    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|newline| *newline < offset) + 1
    }
}
