//! Gives the host the sensitive values of a connection, each when it is asked
//! for and not before.

use std::path::PathBuf;

use dagflux_host::{Secret, SecretError, SecretProvider};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::faults::Sensitive;
use super::file::File;
use super::reference::Reference;
use crate::redact::Redactor;

/// The sensitive values of one connection, or rather where they are.
pub struct ConnectionSecrets {
    values: Vec<(String, Sensitive)>,
    file: PathBuf,
    redactor: Redactor,
}

impl ConnectionSecrets {
    /// The values of a connection of `file`. Those that are handed out are
    /// made known to `redactor`.
    pub fn new(file: &File, values: Vec<(String, Sensitive)>, redactor: Redactor) -> Self {
        for (_, value) in &values {
            if let Sensitive::Literal(text) = value {
                redactor.add(text);
            }
        }
        ConnectionSecrets { values, file: file.path.clone(), redactor }
    }

    async fn read(&self, field: &str) -> Result<Option<Secret>, SecretError> {
        let Some((_, value)) = self.values.iter().find(|(name, _)| name == field) else {
            return Ok(None);
        };
        match value {
            Sensitive::Literal(text) => Ok(Some(Secret::new(text.clone()))),
            Sensitive::Reference(reference) => {
                let secret = self.fetch(reference.clone()).await.map_err(SecretError::new)?;
                self.redactor.add(secret.expose());
                Ok(Some(secret))
            }
        }
    }

    /// Reads on a thread of its own: the key store may wait for the person.
    async fn fetch(&self, reference: Reference) -> Result<Secret, String> {
        let file = File { path: self.file.clone(), entries: Vec::new() };
        tokio::task::spawn_blocking(move || reference.read(|path| file.resolve(path)))
            .await
            .map_err(|_| "reading it failed".to_owned())?
    }
}

impl SecretProvider for ConnectionSecrets {
    fn secret<'a>(&'a self, field: &'a str) -> BoxFuture<'a, Result<Option<Secret>, SecretError>> {
        self.read(field).boxed()
    }
}
