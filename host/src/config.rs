//! The configuration of a connection: what is not sensitive.

use std::collections::BTreeMap;

use crate::descriptor::{Descriptor, Field, FieldKind, Role};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::policy::tls::{self, TlsMode};
use crate::settings::{self, Settings};

/// A value of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
}

impl Value {
    fn kind(&self) -> FieldKind {
        match self {
            Self::Text(_) => FieldKind::Text,
            Self::Integer(_) => FieldKind::Integer,
            Self::Boolean(_) => FieldKind::Boolean,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(answer) => answer.fmt(f),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(answer: bool) -> Self {
        Self::Boolean(answer)
    }
}

/// The fields of a connection that are not sensitive. The sensitive ones come
/// from a [`SecretProvider`](crate::SecretProvider).
///
/// ```
/// # use dagflux_host::Config;
/// let config = Config::new().with("port", 5432_u16).with("database", "sales");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    values: BTreeMap<String, Value>,
}

impl Config {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field.
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.insert(field, value);
        self
    }

    /// Sets a field.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(field.into(), value.into());
    }

    /// The value of a field.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.values.get(field)
    }

    /// Checks this configuration against a connection form, with `sensitive`
    /// naming the sensitive fields that have a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], with every fault in [`Error::faults`].
    pub fn validate(&self, descriptor: &Descriptor, sensitive: &[&str]) -> Result<()> {
        let faults = self.faults(descriptor, sensitive);
        if faults.is_empty() {
            return Ok(());
        }
        let message = match faults.as_slice() {
            [fault] => format!("the configuration cannot be used: {}", fault.message),
            several => format!(
                "the configuration cannot be used, for {} reasons",
                several.len()
            ),
        };
        Err(Error::new(ErrorKind::Configuration, message)
            .with_hint(format!(
                "correct the fields named; `dagflux describe {}` shows the form",
                descriptor.name
            ))
            .with_faults(faults))
    }

    fn faults(&self, descriptor: &Descriptor, sensitive: &[&str]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let given = self
            .values
            .keys()
            .map(String::as_str)
            .chain(sensitive.iter().copied());
        for name in given.filter(|name| descriptor.field(name).is_none()) {
            faults.push(Fault::new(name, unknown_field(name, descriptor)));
        }
        for field in descriptor.all_fields() {
            let name = &field.name;
            let in_secrets = sensitive.contains(&name.as_str());
            match self.values.get(name) {
                Some(_) if field.sensitive => faults.push(Fault::new(
                    name,
                    format!(
                        "`{name}` is sensitive: give it through the secrets, not the configuration"
                    ),
                )),
                Some(value) => faults.extend(value_fault(field, value)),
                None if in_secrets && !field.sensitive => {
                    faults.push(Fault::new(
                        name,
                        format!("`{name}` is not sensitive: give it in the configuration"),
                    ));
                }
                // Whoever shows a certificate logs in with that, as far as is known here.
                None if field.role == Role::LoginPassword
                    && sensitive.contains(&settings::SSL_KEY) => {}
                None if !in_secrets && field.required && field.default.is_none() => {
                    faults.push(Fault::new(
                        name,
                        format!("`{name}` is missing: {}", field.help),
                    ));
                }
                None => {}
            }
        }
        if faults.is_empty()
            && let Err(found) = Settings::read(self, descriptor, sensitive)
        {
            faults = found;
        }
        faults
    }

    /// What is weaker about the encryption of such a connection than what Use SSL stands for, as
    /// a sentence; none if nothing is, if the connection is not encrypted at all, or if the
    /// configuration has faults. `sensitive` names the sensitive fields that have a value.
    pub fn weakness(&self, descriptor: &Descriptor, sensitive: &[&str]) -> Option<&'static str> {
        let settings = Settings::read(self, descriptor, sensitive).ok()?;
        tls::weakness(settings.mode, settings.proof)
    }

    /// What the connector sees in `wasi:config/store`, defaults filled in, with what `mode`
    /// makes of the TLS switch. The host's own fields are not there.
    pub(crate) fn store(&self, descriptor: &Descriptor, mode: TlsMode) -> BTreeMap<String, String> {
        let mut store = BTreeMap::new();
        for field in descriptor.fields.iter().filter(|field| !field.sensitive) {
            let value = self
                .values
                .get(&field.name)
                .map(Value::to_string)
                .or_else(|| field.default.clone());
            store.extend(value.map(|value| (field.name.clone(), value)));
        }
        if let Some(host) = descriptor.field_with_role(Role::EndpointHost) {
            store.insert(
                host.name.clone(),
                crate::policy::network::ENDPOINT_ALIAS.to_owned(),
            );
        }
        if let Some(switch) = descriptor.field_with_role(Role::TlsSwitch) {
            let value = match mode {
                TlsMode::Disable => "false",
                TlsMode::Prefer => "if-offered",
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => "true",
            };
            store.insert(switch.name.clone(), value.to_owned());
        }
        store
    }
}

fn unknown_field(name: &str, descriptor: &Descriptor) -> String {
    let known = descriptor.all_fields().map(|field| field.name.as_str());
    match nearest(name, known) {
        Some(known) => format!("there is no field `{name}`: did you mean `{known}`?"),
        None => {
            let known: Vec<_> = descriptor
                .fields
                .iter()
                .map(|field| format!("`{}`", field.name))
                .collect();
            format!(
                "there is no field `{name}`: the form has {}",
                known.join(", ")
            )
        }
    }
}

/// The name that `given` was most likely meant to be.
pub(crate) fn nearest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|known| (strsim::levenshtein(given, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3).max(1))
        .map(|(_, known)| known)
}

fn value_fault(field: &Field, value: &Value) -> Option<Fault> {
    let name = &field.name;
    let fits = match (value.kind(), field.kind) {
        (FieldKind::Text, FieldKind::File) => true,
        (given, wanted) => given == wanted,
    };
    if !fits {
        let wanted = match field.kind {
            FieldKind::Text | FieldKind::Secret => "text",
            FieldKind::File => "the path of a file",
            FieldKind::Integer => "a whole number",
            FieldKind::Boolean => "true or false",
        };
        return Some(Fault::new(
            name,
            format!(
                "`{name}` has to be {wanted}, not the {} {value}",
                value.kind().as_str()
            ),
        ));
    }
    match value {
        Value::Integer(port)
            if field.role == Role::EndpointPort && !(1..=65_535).contains(port) =>
        {
            Some(Fault::new(
                name,
                format!("`{name}` has to be between 1 and 65535, not {port}"),
            ))
        }
        Value::Text(text) if field.required && text.trim().is_empty() => Some(Fault::new(
            name,
            format!("`{name}` is empty: {}", field.help),
        )),
        Value::Text(text) if text.contains('\0') => {
            Some(Fault::new(name, format!("`{name}` holds a NUL character")))
        }
        _ => None,
    }
}
