//! Gives the host the sensitive values of a connection, each when it is asked
//! for and not before.

use std::path::PathBuf;

use dagflux_host::{Secret, SecretError, SecretProvider};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::faults::{Sensitive, SensitiveField};
use super::file::File;
use super::reference::Reference;
use crate::redact::Redactor;

/// The sensitive values of one connection, or rather where they are.
pub struct ConnectionSecrets {
    fields: Vec<SensitiveField>,
    file: PathBuf,
    redactor: Redactor,
}

impl ConnectionSecrets {
    /// The values of a connection of `file`. Hosts and login names are made
    /// known to `redactor`; secrets are not kept, not even there.
    pub fn new(file: &File, fields: Vec<SensitiveField>, redactor: Redactor) -> Self {
        for field in &fields {
            if let Sensitive::Literal(text) = &field.value {
                redactor.add(text);
            }
        }
        ConnectionSecrets {
            fields,
            file: file.path.clone(),
            redactor,
        }
    }

    async fn read(&self, field: &str) -> Result<Option<Secret>, SecretError> {
        let Some(field) = self.fields.iter().find(|known| known.name == field) else {
            return Ok(None);
        };
        match &field.value {
            Sensitive::Literal(text) => Ok(Some(Secret::new(text.clone()))),
            Sensitive::Reference(reference) => {
                let secret = self.fetch(reference.clone()).await?;
                if !field.secret {
                    self.redactor.add(secret.expose());
                }
                Ok(Some(secret))
            }
        }
    }

    /// Reads on a thread of its own: the key store may wait for the person.
    async fn fetch(&self, reference: Reference) -> Result<Secret, SecretError> {
        let file = File {
            path: self.file.clone(),
            entries: Vec::new(),
        };
        tokio::task::spawn_blocking(move || reference.read(|path| file.resolve(path)))
            .await
            .map_err(|_| SecretError::new("reading it failed"))?
            .map_err(|failure| {
                let error = SecretError::new(failure.message);
                match failure.hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            })
    }
}

impl SecretProvider for ConnectionSecrets {
    fn secret<'a>(&'a self, field: &'a str) -> BoxFuture<'a, Result<Option<Secret>, SecretError>> {
        self.read(field).boxed()
    }
}
