//! The operating system's key store: Keychain on macOS, Credential Manager on
//! Windows, the Secret Service (GNOME Keyring, KWallet, KeePassXC) elsewhere.
//!
//! The Linux kernel's own keyring would need no D-Bus, but forgets at log-out:
//! a saved connection would lose its password overnight. The D-Bus client is
//! pure Rust, so that no system library is needed to build.

use dagflux_host::Secret;
use keyring::{Entry, Error};

use super::reference::SERVICE;
use crate::failure::Failure;

/// Reads a value.
///
/// # Errors
/// When there is none, or no key store.
pub fn read(service: &str, user: &str) -> Result<Secret, Failure> {
    let value = entry(service, user)?
        .get_password()
        .map_err(|error| match error {
            Error::NoEntry => missing(service, user),
            other => unusable(&other),
        })?;
    if value.is_empty() {
        return Err(missing(service, user));
    }
    Ok(Secret::new(value))
}

/// Stores a value, in place of any that is there.
///
/// # Errors
/// When there is no key store, or it refuses.
pub fn store(service: &str, user: &str, value: &Secret) -> Result<(), Failure> {
    entry(service, user)?
        .set_password(value.expose())
        .map_err(|error| unusable(&error))
}

/// Deletes a value. Returns whether there was one.
///
/// # Errors
/// When there is no key store, or it refuses.
pub fn delete(service: &str, user: &str) -> Result<bool, Failure> {
    match entry(service, user)?.delete_credential() {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(unusable(&error)),
    }
}

fn entry(service: &str, user: &str) -> Result<Entry, Failure> {
    Entry::new(service, user).map_err(|error| match Entry::store_status() {
        Err(cause) => unusable(cause),
        Ok(()) => unusable(&error),
    })
}

fn missing(service: &str, user: &str) -> Failure {
    Failure::secret(format!("the key store has nothing for {service}/{user}")).hint(
        if service == SERVICE {
            format!("store it with: dagflux secret set {user}")
        } else {
            "store it with the key store's own tool".into()
        },
    )
}

fn unusable(error: &Error) -> Failure {
    Failure::secret(format!(
        "the operating system's key store cannot be used: {error}"
    ))
    .hint(
        "unlock or start it; on a machine without one (a server, a container) \
         write { env = \"VARIABLE\" } or { file = \"path\" } instead",
    )
}
