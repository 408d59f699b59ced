//! What a connection says of its connector, beside its name: which component it has to be, and how
//! much it may use.

use dagflux_host::policy::limits::{NotSet, Scope};
use dagflux_host::{Digest, Limits, SigningKey};
use toml::de::{DeTable, DeValue};

use super::nearest;
use crate::failure::Fault;

/// The key with the digest that the connector has to have.
pub const DIGEST: &str = "connector_digest";

/// The key with the minisign public key that it has to be signed with.
pub const KEY: &str = "connector_key";

/// The key with limits, by name.
pub const LIMITS: &str = "limits";

/// What the keys begin with that are about the connector.
const ABOUT: &str = "connector_";

/// Whether a key says what is asked of the connector.
pub fn is_own(key: &str) -> bool {
    key == LIMITS || key.starts_with(ABOUT)
}

/// The fault of a key that looks as if it said what is asked of the connector. It counts before the
/// connector is loaded: a pin that is misspelt is a pin that does not hold.
pub fn misspelt(key: &str, line: usize) -> Option<Fault> {
    let message = match nearest(key, &[DIGEST, KEY]) {
        _ if !key.starts_with(ABOUT) => return None,
        Some(near) => format!("\"{key}\" is not known; did you mean \"{near}\"?"),
        None => format!("\"{key}\" is not known; there are \"{DIGEST}\" and \"{KEY}\""),
    };
    Some(Fault {
        line: Some(line),
        field: key.to_owned(),
        message,
    })
}

/// What a connection asks of its connector.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// The digest it has to have.
    pub digest: Option<Digest>,
    /// The key it has to be signed with.
    pub key: Option<SigningKey>,
    /// The limits that are other than usual, as they are written.
    limits: Vec<(String, String)>,
    /// What is wrong with any of it.
    pub faults: Vec<Fault>,
}

impl Guard {
    /// Takes the value of `key`, if it is one of its own. False if it is not.
    pub fn take(&mut self, key: &str, line: usize, value: &DeValue<'_>) -> bool {
        let outcome = match key {
            DIGEST => self.digest(value),
            KEY => self.key(value),
            LIMITS => self.limits(value),
            _ => return false,
        };
        self.faults.extend(outcome.err().map(|message| Fault {
            line: Some(line),
            field: key.to_owned(),
            message,
        }));
        true
    }

    fn digest(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let digest = text(value).and_then(|text| text.parse().ok());
        self.digest = Some(digest.ok_or_else(|| {
            format!("\"{DIGEST}\" wants sha256: and 64 hexadecimal digits, as `dagflux inspect` shows them")
        })?);
        Ok(())
    }

    fn key(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let key = text(value).and_then(|text| text.parse().ok());
        self.key = Some(key.ok_or_else(|| {
            format!("\"{KEY}\" wants a minisign public key: the line of its .pub file that begins with RW")
        })?);
        Ok(())
    }

    fn limits(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let DeValue::Table(table) = value else {
            return Err(format!(
                "\"{LIMITS}\" wants limits by name, such as {{ memory = \"512MiB\", guest_time = \"30s\" }}"
            ));
        };
        self.limits = written(table)?;
        self.apply(Limits::default()).map(drop)
    }

    /// `limits`, with those that this connection has of its own.
    ///
    /// # Errors
    /// Which of them cannot be set, and why.
    pub fn apply(&self, mut limits: Limits) -> Result<Limits, String> {
        for (name, value) in &self.limits {
            // No value of the file is let into a message.
            let of_the_host = |name: &str| {
                let all = limits.all();
                all.iter()
                    .any(|limit| limit.name == name && limit.scope == Scope::Host)
            };
            if of_the_host(name) {
                return Err(format!(
                    "the limit \"{name}\" is not one of a connection; give it on the command line, as --limit {name}=..."
                ));
            }
            set(&mut limits, name, value)?;
        }
        Ok(limits)
    }

    /// The names of the limits that it sets.
    pub fn limited(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|(name, _)| name.as_str())
    }
}

/// Sets one limit.
///
/// # Errors
/// Why it cannot be set.
pub fn set(limits: &mut Limits, name: &str, value: &str) -> Result<(), String> {
    limits.set(name, value).map_err(|reason| match reason {
        NotSet::NoSuchLimit => {
            let all = limits.all();
            let names: Vec<&str> = all.iter().map(|limit| limit.name).collect();
            match nearest(name, &names) {
                Some(near) => format!("there is no limit \"{name}\"; did you mean \"{near}\"?"),
                None => format!(
                    "there is no limit \"{name}\"; there are {}",
                    names.join(", ")
                ),
            }
        }
        NotSet::NoSuchValue(wanted) => format!("the limit \"{name}\" wants {wanted}"),
    })
}

fn text<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    match value {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

fn written(table: &DeTable<'_>) -> Result<Vec<(String, String)>, String> {
    let pairs = table.iter().map(|(name, value)| {
        let value = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            _ => {
                return Err(format!(
                    "the limit \"{}\" wants a number, or a text such as \"512MiB\" or \"30s\"",
                    name.get_ref()
                ));
            }
        };
        Ok((name.get_ref().to_string(), value))
    });
    pairs.collect()
}
