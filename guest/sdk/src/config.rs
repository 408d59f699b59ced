//! Typed reads of the connection form (`wasi:config/store`).
//!
//! Only the fields that are not sensitive are there; the host has checked them against the
//! descriptor before the connector runs, so a failure here is a disagreement between the two.

use crate::bindings::wasi::config::store;
use crate::error::{Error, ErrorKind, Result};

fn missing(field: &str) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("the field `{field}` has no value"),
    )
    .with_hint(format!("give `{field}` a value in the connection"))
    .with_attribute("field", field)
}

/// The text of a field, if it has a value.
///
/// # Errors
/// `configuration` when the host cannot give it.
pub fn text_if_given(field: &str) -> Result<Option<String>> {
    store::get(field).map_err(|error| {
        let (store::Error::Upstream(reason) | store::Error::Io(reason)) = error;
        Error::new(
            ErrorKind::Configuration,
            format!("the field `{field}` could not be read: {reason}"),
        )
        .with_attribute("field", field)
    })
}

/// The text of a field.
///
/// # Errors
/// `configuration` when it has no value.
pub fn text(field: &str) -> Result<String> {
    text_if_given(field)?.ok_or_else(|| missing(field))
}

/// The number in a field.
///
/// # Errors
/// `configuration` when it has no value or is not such a number.
pub fn integer<T: std::str::FromStr>(field: &str) -> Result<T> {
    text(field)?.parse().map_err(|_| {
        Error::new(
            ErrorKind::Configuration,
            format!("the field `{field}` is not a number in range"),
        )
        .with_hint(format!("give `{field}` a whole number in range"))
        .with_attribute("field", field)
    })
}

/// Whether a field says yes. A field without a value says no.
///
/// # Errors
/// `configuration` when it holds anything but `true` and `false`.
pub fn boolean(field: &str) -> Result<bool> {
    match text_if_given(field)?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::new(
            ErrorKind::Configuration,
            format!("the field `{field}` is neither `true` nor `false`"),
        )
        .with_hint(format!("set `{field}` to `true` or `false`"))
        .with_attribute("field", field)),
    }
}

/// Whether the channel to the server is to be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// It is not.
    Off,
    /// Where the server offers it.
    IfOffered,
    /// It has to be; the host lets nothing else pass.
    Required,
}

/// What the field of the role `tls-switch` asks for. A field without a value asks for nothing.
///
/// # Errors
/// `configuration` when it holds none of the three.
pub fn encryption(field: &str) -> Result<Encryption> {
    match text_if_given(field)?.as_deref() {
        None | Some("false") => Ok(Encryption::Off),
        Some("if-offered") => Ok(Encryption::IfOffered),
        Some("true") => Ok(Encryption::Required),
        Some(_) => Err(Error::new(
            ErrorKind::Configuration,
            format!("the field `{field}` is neither `true` nor `false` nor `if-offered`"),
        )
        .with_hint(format!("set `{field}` to `true` or `false`"))
        .with_attribute("field", field)),
    }
}
