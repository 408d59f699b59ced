//! The operating system's key store: Keychain on macOS, Credential Manager on
//! Windows, the Secret Service (GNOME Keyring, KWallet, KeePassXC) elsewhere.
//!
//! The Linux kernel's own keyring would need no D-Bus, but forgets at log-out:
//! a saved connection would lose its password overnight. The D-Bus client is
//! pure Rust, so that no system library is needed to build.

use dagflux_host::Secret;
use keyring::{Entry, Error};

/// Reads a value.
pub fn read(service: &str, user: &str) -> Result<Secret, String> {
    let value = entry(service, user)?
        .get_password()
        .map_err(|error| match error {
            Error::NoEntry => {
                format!(
                    "the key store has nothing under {service}/{user}; {}",
                    how_to_store(service, user)
                )
            }
            other => unusable(&other),
        })?;
    if value.is_empty() {
        return Err(format!(
            "the key store has an empty value under {service}/{user}"
        ));
    }
    Ok(Secret::new(value))
}

/// Stores a value, in place of any that is there.
pub fn store(service: &str, user: &str, value: &Secret) -> Result<(), String> {
    entry(service, user)?
        .set_password(value.expose())
        .map_err(|error| unusable(&error))
}

/// Deletes a value. Returns whether there was one.
pub fn delete(service: &str, user: &str) -> Result<bool, String> {
    match entry(service, user)?.delete_credential() {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(unusable(&error)),
    }
}

fn entry(service: &str, user: &str) -> Result<Entry, String> {
    Entry::new(service, user).map_err(|error| match Entry::store_status() {
        Err(cause) => unusable(cause),
        Ok(()) => unusable(&error),
    })
}

fn how_to_store(service: &str, user: &str) -> String {
    if service == super::reference::SERVICE {
        format!("store it with: dagflux secret set {user}")
    } else {
        "store it with the key store's own tool".into()
    }
}

fn unusable(error: &Error) -> String {
    format!(
        "the operating system's key store cannot be used: {error}; on a machine without one \
         (a server, a container) use {{ env = \"VARIABLE\" }} or {{ file = \"path\" }}"
    )
}
