//! What is wrong with a connection, all of it at once.
//!
//! No message holds a value of the file: a value may be a password that was
//! written to the wrong key.

use std::path::PathBuf;

use dagflux_host::{Config, Connector, Descriptor, FieldKind, PasswordFile, Role, Secret};

use super::file::{Content, Entry, File, Given};
use super::reference::{self, FORMS, Reference};
use super::sources;
use crate::failure::{Failure, Fault};

/// The field whose value logs in without a password.
const CLIENT_KEY: &str = "ssl_key";

/// A connection without faults, split by where its values may go.
#[derive(Debug, Default)]
pub struct Checked {
    /// The fields that are not sensitive.
    pub config: Config,
    /// The sensitive ones.
    pub sensitive: Vec<SensitiveField>,
    /// The name under which the server is to list the connection, if one is given.
    pub application_name: Option<String>,
}

impl Checked {
    /// What is weak about its encryption, as a sentence.
    pub fn weakness(&self, descriptor: &Descriptor) -> Option<&'static str> {
        self.config.weakness(descriptor, &self.given())
    }

    /// Whether a field has a value.
    pub fn has(&self, name: &str) -> bool {
        self.config.value(name).is_some() || self.sensitive.iter().any(|field| field.name == name)
    }

    /// The value of a sensitive field, if it is known without asking anywhere.
    pub fn literal(&self, name: &str) -> Option<&str> {
        let field = self.sensitive.iter().find(|field| field.name == name)?;
        match &field.value {
            Sensitive::Literal(text) => Some(text),
            _ => None,
        }
    }

    /// The names of the sensitive fields that have a value.
    fn given(&self) -> Vec<&str> {
        let names = self.sensitive.iter();
        names.map(|field| field.name.as_str()).collect()
    }
}

/// A sensitive field that has a value.
#[derive(Debug)]
pub struct SensitiveField {
    /// Its name.
    pub name: String,
    /// Whether it is a secret, rather than a host or a login name.
    pub secret: bool,
    /// Where its value is.
    pub value: Sensitive,
}

/// Where the value of a sensitive field is.
pub enum Sensitive {
    /// In the file itself: a host or a login name.
    Literal(String),
    /// Elsewhere.
    Reference(Reference),
    /// A secret that came with a connection string.
    Known(Secret),
    /// In a file like `.pgpass`.
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Whether the file has to have a line for the connection.
        required: bool,
    },
}

impl std::fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sensitive::Literal(_) | Sensitive::Known(_) => f.write_str("[redacted]"),
            Sensitive::Reference(reference) => reference.fmt(f),
            Sensitive::PasswordFile { path, .. } => path.fmt(f),
        }
    }
}

/// A connection form, as far as checking needs it.
struct Form {
    connector: String,
    fields: Vec<FormField>,
}

struct FormField {
    name: String,
    kind: FieldKind,
    required: bool,
    sensitive: bool,
    default: Option<String>,
    choices: &'static [&'static str],
    /// Whether a client key does instead.
    is_password: bool,
}

impl Form {
    fn of(connector: &Connector) -> Form {
        let descriptor = connector.descriptor();
        let fields = (descriptor.all_fields())
            .map(|field| FormField {
                name: field.name.clone(),
                kind: field.kind,
                required: field.required,
                sensitive: field.sensitive,
                default: field.default.clone(),
                choices: field.choices,
                is_password: field.role == Role::LoginPassword,
            })
            .collect();
        Form {
            connector: descriptor.name.clone(),
            fields,
        }
    }
}

/// Checks `entry` against the connector it names. The key store is asked for a connection URL
/// only if `ask`: it may ask the person.
///
/// # Errors
/// With every fault: what is missing, misspelt, mistyped, out of range, or
/// written where it must not be, and secrets that cannot be there.
pub fn check(
    file: &File,
    entry: &Entry,
    connector: &Connector,
    ask: bool,
) -> Result<Checked, Failure> {
    let descriptor = connector.descriptor();
    let Found {
        mut checked,
        mut faults,
        suggested,
    } = against_form(entry, &Form::of(connector), |path| file.resolve(path));
    let added = sources::add((file, entry, ask), descriptor, &mut checked, &mut faults);
    let mut given = checked.given();
    if let (true, Some(password)) = (
        added.without_password,
        descriptor.field_with_role(Role::LoginPassword),
    ) {
        given.push(&password.name);
    }
    // What only the host's own rules know, of fields not yet complained about.
    if let (false, Err(error)) = (added.unread, checked.config.validate(descriptor, &given)) {
        let known: Vec<String> = faults
            .iter()
            .map(|fault| fault.field.clone())
            .chain(suggested)
            .collect();
        let new = error
            .faults()
            .iter()
            .filter(|fault| !known.contains(&fault.field));
        faults.extend(new.map(|fault| Fault {
            line: Some(line_of(entry, &fault.field)),
            field: fault.field.clone(),
            message: fault.message.clone(),
        }));
        if faults.is_empty() {
            faults.push(Fault {
                line: Some(entry.line),
                field: String::new(),
                message: error.to_string(),
            });
        }
    }
    if faults.is_empty() {
        Ok(checked)
    } else {
        Err(failure(file, entry, faults))
    }
}

/// The failure that lists the faults of a connection.
pub fn failure(file: &File, entry: &Entry, mut faults: Vec<Fault>) -> Failure {
    faults.sort_by_key(|fault| fault.line);
    if entry.line == 0 {
        // Of the command line.
        for fault in &mut faults {
            fault.line = None;
        }
        return Failure::configuration("the connection URL cannot be used")
            .hint("correct the URL; with --libpq, what is not in it is taken from PG* variables and ~/.pgpass")
            .faults(faults);
    }
    let number = match faults.len() {
        1 => "a fault".into(),
        many => format!("{many} faults"),
    };
    let connector = entry
        .connector
        .as_ref()
        .map_or("<connector>", |(name, _)| name.as_str());
    Failure::configuration(format!(
        "connection \"{}\" in {} has {number}",
        entry.name,
        file.path.display()
    ))
    .hint(format!(
        "correct the file; `dagflux describe {connector}` explains every field"
    ))
    .faults(faults)
}

/// What checking an entry against a form found.
struct Found {
    checked: Checked,
    faults: Vec<Fault>,
    /// Fields that a misspelt key was taken for: they are not also missing.
    suggested: Vec<String>,
}

/// Checks the fields of `entry` against those of the form.
fn against_form(entry: &Entry, form: &Form, resolve: impl Fn(&str) -> PathBuf) -> Found {
    let mut checked = Checked::default();
    let mut faults = entry.faults.clone();
    let mut suggested = Vec::new();
    let names: Vec<&str> = form
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    for given in &entry.fields {
        let fault = |message: String| Fault {
            line: Some(given.line),
            field: given.name.clone(),
            message,
        };
        let Some(field) = form.fields.iter().find(|field| field.name == given.name) else {
            if [sources::URL, sources::LIBPQ].contains(&given.name.as_str()) {
                continue;
            }
            let absent: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| !entry.fields.iter().any(|other| other.name == *name))
                .collect();
            let message = match super::nearest(&given.name, &absent) {
                Some(near) => {
                    suggested.push(near.to_owned());
                    format!(
                        "\"{}\" is not a field of {}; did you mean \"{near}\"?",
                        given.name, form.connector
                    )
                }
                None => format!(
                    "\"{}\" is not a field of {}; its fields are {}",
                    given.name,
                    form.connector,
                    names.join(", ")
                ),
            };
            faults.push(fault(message));
            continue;
        };
        match accept(entry, field, given, &resolve) {
            Ok(Accepted::Public(value)) => checked.config.insert(field.name.clone(), value),
            Ok(Accepted::Sensitive(value)) => checked.sensitive.push(SensitiveField {
                name: field.name.clone(),
                secret: field.kind == FieldKind::Secret,
                value,
            }),
            Err(message) => faults.push(fault(message)),
        }
    }
    // Then what is missing shows when that is known.
    let from_elsewhere = (entry.fields.iter())
        .any(|given| [sources::URL, sources::LIBPQ].contains(&given.name.as_str()));
    let is_given = |name: &str| entry.fields.iter().any(|given| given.name == name);
    for field in &form.fields {
        let needed = field.required
            && field.default.is_none()
            && !from_elsewhere
            && !(field.is_password && is_given(CLIENT_KEY));
        if needed && !is_given(&field.name) && !suggested.contains(&field.name) {
            faults.push(Fault {
                line: Some(entry.line),
                field: field.name.clone(),
                message: format!("\"{}\" is missing; write {}", field.name, model(field)),
            });
        }
    }
    Found {
        checked,
        faults,
        suggested,
    }
}

/// A value that fits its field.
enum Accepted {
    Public(dagflux_host::Value),
    Sensitive(Sensitive),
}

/// Fits a given value to its field, or says why it does not.
fn accept(
    entry: &Entry,
    field: &FormField,
    given: &Given,
    resolve: impl Fn(&str) -> PathBuf,
) -> Result<Accepted, String> {
    let name = &field.name;
    match (&given.value, field.kind) {
        (Content::BadReference(reason), _) if field.sensitive => {
            Err(format!("\"{name}\": {reason}"))
        }
        (Content::Reference(reference), _) if field.sensitive => {
            if let Reference::PasswordFile { path } = reference {
                return password_file(field, path.as_deref(), resolve);
            }
            match reference.obstacle(resolve) {
                Some(obstacle) => Err(format!("\"{name}\": {obstacle}")),
                None => Ok(Accepted::Sensitive(Sensitive::Reference(reference.clone()))),
            }
        }
        (Content::Reference(_) | Content::BadReference(_), _) => Err(format!(
            "\"{name}\" is {} and not kept apart; write {}",
            wanted(field.kind),
            model(field)
        )),
        (_, FieldKind::Secret) => Err(format!(
            "\"{name}\" must not be written in this file; write {name} = {{ keyring = true }} and run \
             `dagflux secret set {}.{name}`, or write {name} = {{ env = \"VARIABLE\" }} or {name} = {{ file = \"path\" }}",
            entry.name
        )),
        (Content::Text(text), FieldKind::File) => match file_obstacle(text, &resolve) {
            Ok(value) => Ok(Accepted::Public(value.into())),
            Err(obstacle) => Err(format!("\"{name}\": {obstacle}")),
        },
        (Content::Text(text), FieldKind::Text)
            if !field.choices.is_empty() && !field.choices.contains(&text.as_str()) =>
        {
            Err(match super::nearest(text, field.choices) {
                Some(near) => format!("\"{name}\": did you mean \"{near}\"?"),
                None => format!(
                    "\"{name}\" wants one of {}; write {}",
                    field.choices.join(", "),
                    model(field)
                ),
            })
        }
        (Content::Text(text), FieldKind::Text) if text.is_empty() && field.required => {
            Err(format!("\"{name}\" is empty; write {}", model(field)))
        }
        (Content::Text(text), FieldKind::Text) if field.sensitive => {
            Ok(Accepted::Sensitive(Sensitive::Literal(text.clone())))
        }
        (Content::Text(text), FieldKind::Text) => Ok(Accepted::Public(text.clone().into())),
        (Content::Integer(number), FieldKind::Integer) => Ok(Accepted::Public((*number).into())),
        (Content::Boolean(value), FieldKind::Boolean) => Ok(Accepted::Public((*value).into())),
        (found, kind) => Err(format!(
            "\"{name}\" wants {} and is {}; write {}",
            wanted(kind),
            found.kind(),
            model(field)
        )),
    }
}

/// The password of a file like `.pgpass`.
fn password_file(
    field: &FormField,
    path: Option<&str>,
    resolve: impl Fn(&str) -> PathBuf,
) -> Result<Accepted, String> {
    let name = &field.name;
    if !field.is_password {
        return Err(format!(
            "\"{name}\": a password file holds passwords only; write {}",
            model(field)
        ));
    }
    let path = match path {
        Some(path) => resolve(path),
        None => PasswordFile::place().ok_or_else(|| {
            format!("\"{name}\": this user has no home folder; write the path of the password file")
        })?,
    };
    match reference::file_obstacle(&path, false) {
        Some(obstacle) => Err(format!("\"{name}\": {obstacle}")),
        None => Ok(Accepted::Sensitive(Sensitive::PasswordFile {
            path,
            required: true,
        })),
    }
}

/// What is handed on of a file: the text itself if it is one, or the path from here.
pub fn file_obstacle(given: &str, resolve: impl Fn(&str) -> PathBuf) -> Result<String, String> {
    if given.contains("-----BEGIN") {
        return match given.contains("PRIVATE KEY") {
            true => Err("a private key must not be written in this file; write ssl_key = { file = \"path\" }".into()),
            false => Ok(given.to_owned()),
        };
    }
    if given.is_empty() {
        return Err("it is empty; write the path of a PEM file".into());
    }
    let path = resolve(given);
    let shown = path.display();
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Err(error) => Err(format!("the file {shown} cannot be read: {error}")),
        Ok(metadata) if metadata.is_dir() => Err(format!("{shown} is a folder")),
        Ok(_) => match path.to_str() {
            Some(path) => Ok(path.to_owned()),
            None => Err(format!("the path {shown} is not UTF-8 text")),
        },
    }
}

/// The word for what a field holds.
fn wanted(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Integer => "a whole number",
        FieldKind::Boolean => "true or false",
        FieldKind::Secret => "a reference",
        FieldKind::File => "the path of a file",
        _ => "text",
    }
}

/// How a field is written.
fn model(field: &FormField) -> String {
    let name = &field.name;
    let default = field.default.as_deref();
    match field.kind {
        FieldKind::Integer => format!("{name} = {}", default.unwrap_or("1")),
        FieldKind::Boolean => format!("{name} = {}", default.unwrap_or("true")),
        FieldKind::Secret => format!("{name} = {FORMS}"),
        FieldKind::File => format!("{name} = \"path\""),
        _ => {
            let value = default.or(field.choices.last().copied());
            format!("{name} = \"{}\"", value.unwrap_or("..."))
        }
    }
}

fn line_of(entry: &Entry, field: &str) -> usize {
    entry
        .fields
        .iter()
        .find(|given| given.name == field)
        .map_or(entry.line, |given| given.line)
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
