//! Connection strings: a `postgres://` URL or a libpq keyword string in place of a form's fields.
//!
//! Manual: "Connection Strings" of libpq. Both forms are taken apart as libpq does it ([`url`],
//! [`keywords`]), and their parameters mean what they mean there, or are refused with the reason
//! ([`parameters`]): none that would weaken or redirect a connection is passed over.
//!
//! A connection string may hold a password, so no message has any part of its text.

mod keywords;
mod parameters;
mod url;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::config::{Config, Value};
use crate::descriptor::{Descriptor, Field, FieldKind, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::password_file::{self, PasswordFile};
use crate::secrets::{Secret, Secrets};
use crate::settings;

use parameters::Meaning;

/// What a `postgres://` URL or a libpq keyword string says of a connection.
///
/// ```
/// # use dagflux_host::ConnectionString;
/// let string = ConnectionString::parse("postgres://dagflux@db.example.com/shop?sslmode=verify-full")?;
/// assert!(!string.has_password());
/// let same = ConnectionString::parse("host=db.example.com dbname=shop user=dagflux sslmode=verify-full")?;
/// assert_eq!(string, same);
/// # Ok::<(), dagflux_host::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConnectionString {
    values: BTreeMap<Meaning, Zeroizing<String>>,
}

/// A field that a connection string gives a value to.
#[derive(Debug, Clone)]
pub struct StringField {
    /// The field of the form, or the host's own.
    pub name: String,
    /// Its value.
    pub value: StringValue,
}

/// The value of a [`StringField`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StringValue {
    /// For the configuration.
    Public(Value),
    /// The path of a file with a value for the configuration.
    File(String),
    /// For the secrets.
    Sensitive(Secret),
    /// The path of a file whose content is for the secrets.
    SensitiveFile(String),
}

impl ConnectionString {
    /// The connector that such strings are for.
    pub const CONNECTOR: &'static str = "postgres";

    /// The schemes of the URLs.
    pub const SCHEMES: &'static [&'static str] = url::SCHEMES;

    /// Whether `text` looks like a URL, of whatever scheme, rather than a name.
    pub fn is_url(text: &str) -> bool {
        text.contains("://")
    }

    /// Reads a URL or a keyword string.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with what is wrong. No part of the text is in it.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(fault(
                "the connection string is empty",
                "write it as postgres://user@host:5432/database",
            ));
        }
        let pairs = match url::strip_scheme(text)? {
            Some(rest) => url::pairs(rest)?,
            None => keywords::pairs(text)?,
        };
        Self::of(
            pairs
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
    }

    /// Takes single parameters by their libpq names, such as `dbname`. Those whose value is empty
    /// are as if they were not there, as libpq has it.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn of<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        parameters::read(parameters).map(|values| Self { values })
    }

    /// Whether a password is in it.
    pub fn has_password(&self) -> bool {
        self.values.contains_key(&Meaning::Password)
    }

    /// The name under which the server is to list the connection.
    pub fn application_name(&self) -> Option<&str> {
        self.value(Meaning::ApplicationName)
    }

    /// The password file to look in (`passfile`), as it is written.
    pub fn password_file(&self) -> Option<&str> {
        self.value(Meaning::PasswordFile)
    }

    fn value(&self, meaning: Meaning) -> Option<&str> {
        self.values.get(&meaning).map(|value| value.as_str())
    }

    /// The fields that it gives values to. Reads no files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the connector has no field for a parameter.
    pub fn fields(&self, descriptor: &Descriptor) -> Result<Vec<StringField>> {
        let mut fields = Vec::new();
        for (meaning, value) in &self.values {
            let field = match meaning {
                Meaning::ApplicationName | Meaning::PasswordFile => continue,
                meaning => meaning.field(descriptor).ok_or_else(|| {
                    fault(
                        format!(
                            "a connection of {} has no `{}`",
                            descriptor.title,
                            meaning.parameter()
                        ),
                        "leave it out of the connection string",
                    )
                })?,
            };
            fields.push(StringField {
                name: field.name.clone(),
                value: typed(field, value)?,
            });
        }
        Ok(fields)
    }

    /// The configuration and the secrets of a connection. Reads the client key (`sslkey`) and, if
    /// there is no password, the password file (`passfile`), each of which has to be closed to others.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields); [`ErrorKind::Secret`] if a file cannot be used.
    pub fn resolve(&self, descriptor: &Descriptor) -> Result<(Config, Secrets)> {
        let (mut config, mut secrets) = (Config::new(), Secrets::new());
        for field in self.fields(descriptor)? {
            match field.value {
                StringValue::Public(value) => config.insert(field.name, value),
                StringValue::File(path) => config.insert(field.name, path),
                StringValue::Sensitive(secret) => {
                    secrets = secrets.with(field.name, secret.expose());
                }
                StringValue::SensitiveFile(path) => {
                    let key = password_file::read_private(path.as_ref())?;
                    secrets = secrets.with(field.name, key.expose());
                }
            }
        }
        if let (Some(path), false) = (self.password_file(), self.has_password()) {
            let file = PasswordFile::read(path.as_ref())?;
            let part = |meaning, default| self.value(meaning).unwrap_or(default);
            let port = part(Meaning::Port, "5432").parse().unwrap_or(5432);
            let found = file.password(
                part(Meaning::Host, "localhost"),
                port,
                part(Meaning::Database, ""),
                part(Meaning::User, ""),
            );
            if let (Some(found), Some(field)) =
                (found, descriptor.field_with_role(Role::LoginPassword))
            {
                secrets = secrets.with(field.name.clone(), found.expose());
            }
        }
        Ok((config, secrets))
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .values
            .keys()
            .map(|meaning| meaning.parameter())
            .collect();
        f.debug_struct("ConnectionString")
            .field("parameters", &names)
            .finish_non_exhaustive()
    }
}

/// `value` as the field holds it.
fn typed(field: &Field, value: &str) -> Result<StringValue> {
    Ok(match (field.kind, field.sensitive) {
        (_, true) if field.name == settings::SSL_KEY => StringValue::SensitiveFile(value.into()),
        (_, true) => StringValue::Sensitive(Secret::new(value)),
        (FieldKind::File, _) => StringValue::File(value.into()),
        (FieldKind::Integer, _) => match value.parse::<i64>() {
            Ok(number) => StringValue::Public(number.into()),
            Err(_) => {
                return Err(fault(
                    format!("`{}` has to be a whole number", field.name),
                    "correct the connection string",
                ));
            }
        },
        (FieldKind::Boolean, _) => StringValue::Public((value == "true").into()),
        (FieldKind::Text | FieldKind::Secret, _) => StringValue::Public(value.into()),
    })
}

/// A fault of a connection string.
fn fault(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message).with_hint(hint)
}
