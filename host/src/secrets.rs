//! Where sensitive values come from.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

/// A sensitive value. It is wiped when dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value over.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Why a secret could not be had. The message is shown to the person.
#[derive(Debug, Clone)]
pub struct SecretError {
    message: String,
    hint: Option<String>,
}

impl SecretError {
    /// What failed, without the value.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// What to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SecretError {}

/// Gives out the sensitive values of one connection, such as a secure store.
///
/// The host asks for a value when it is needed, uses it, and forgets it: the
/// endpoint and the login name when a connection opens, the password when the
/// server asks for it.
pub trait SecretProvider: Send + Sync + 'static {
    /// The value of the field `field`; none if it has no value.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    fn secret<'a>(&'a self, field: &'a str) -> BoxFuture<'a, Result<Option<Secret>, SecretError>>;
}

/// Sensitive values held in memory.
///
/// ```
/// # use dagflux_host::Secrets;
/// let secrets = Secrets::new()
///     .with("host", "localhost")
///     .with("username", "dagflux")
///     .with("password", "a password from a secure store");
/// assert!(!format!("{secrets:?}").contains("secure store"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, Secret>,
}

impl Secrets {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of a field.
    pub fn with(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.insert(field.into(), Secret::new(value));
        self
    }
}

impl SecretProvider for Secrets {
    fn secret<'a>(&'a self, field: &'a str) -> BoxFuture<'a, Result<Option<Secret>, SecretError>> {
        std::future::ready(Ok(self.values.get(field).cloned())).boxed()
    }
}
