//! Gives the host the sensitive values of a connection, each when it is asked
//! for and not before.

use std::path::PathBuf;

use dagflux_host::{Config, Descriptor, PasswordFile, Role, Secret, SecretError, SecretProvider};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::faults::{Checked, Sensitive, SensitiveField};
use super::file::File;
use super::reference::Reference;
use crate::redact::Redactor;

/// The sensitive values of one connection, or rather where they are.
pub struct ConnectionSecrets {
    fields: Vec<SensitiveField>,
    file: PathBuf,
    redactor: Redactor,
    place: Place,
}

/// What a password file knows a connection by.
struct Place {
    /// The names of the fields for host, login name and password.
    host: String,
    user: String,
    password: String,
    port: u16,
    database: String,
}

impl Place {
    fn of(config: &Config, descriptor: &Descriptor) -> Self {
        let name = |role| {
            let field = descriptor.field_with_role(role);
            field.map(|field| field.name.clone()).unwrap_or_default()
        };
        let port = name(Role::EndpointPort);
        let default = descriptor
            .field(&port)
            .and_then(|field| field.default.clone());
        let port = config.value(&port).map(ToString::to_string).or(default);
        Self {
            host: name(Role::EndpointHost),
            user: name(Role::LoginName),
            password: name(Role::LoginPassword),
            port: port.and_then(|port| port.parse().ok()).unwrap_or_default(),
            database: config
                .value("database")
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}

impl ConnectionSecrets {
    /// The values of a connection of `file`. Hosts and login names are made
    /// known to `redactor`; secrets are not kept, not even there.
    pub fn new(file: &File, checked: Checked, descriptor: &Descriptor, redactor: Redactor) -> Self {
        let Checked {
            config,
            sensitive: fields,
            ..
        } = checked;
        for field in &fields {
            if let Sensitive::Literal(text) = &field.value {
                redactor.add(text);
            }
        }
        ConnectionSecrets {
            fields,
            file: file.path.clone(),
            redactor,
            place: Place::of(&config, descriptor),
        }
    }

    async fn read(&self, field: &str) -> Result<Option<Secret>, SecretError> {
        let Some(field) = self.fields.iter().find(|known| known.name == field) else {
            return match field == self.place.password {
                true => Err(SecretError::new("none was given").with_hint(
                    "write password = { keyring = true } for the connection; for a URL on the command line, add --libpq \
                     and have it in PGPASSWORD or ~/.pgpass",
                )),
                false => Ok(None),
            };
        };
        if let Sensitive::PasswordFile { path, required } = &field.value {
            return self.in_password_file(path.clone(), *required).await;
        }
        self.plain(field).await
    }

    /// A value that depends on no other.
    async fn plain(&self, field: &SensitiveField) -> Result<Option<Secret>, SecretError> {
        match &field.value {
            Sensitive::Known(secret) => Ok(Some(secret.clone())),
            Sensitive::PasswordFile { .. } => Ok(None),
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

    /// The password of a file like `.pgpass` for this connection.
    async fn in_password_file(
        &self,
        path: PathBuf,
        required: bool,
    ) -> Result<Option<Secret>, SecretError> {
        let mut parts = Vec::new();
        for name in [&self.place.host, &self.place.user] {
            let field = self.fields.iter().find(|field| field.name == *name);
            parts.push(match field {
                Some(field) => self.plain(field).await?,
                None => None,
            });
        }
        let user = parts.pop().flatten();
        let host = parts.pop().flatten();
        let expose = |secret: &Option<Secret>| secret.as_ref().map(|it| it.expose().to_owned());
        let (host, user) = (
            expose(&host).unwrap_or_default(),
            expose(&user).unwrap_or_default(),
        );
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (port, database) = (self.place.port, &self.place.database);
        let file = PasswordFile::read(&path).map_err(|error| {
            SecretError::new(error.to_string()).with_hint(error.hint().unwrap_or_default())
        })?;
        match file.password(host, port, database, &user) {
            Some(password) => Ok(Some(password)),
            None => Err(SecretError::new(match required {
                true => format!(
                    "{} has no line for {host}:{port}:{database}:{user}",
                    path.display()
                ),
                false => format!(
                    "PGPASSWORD is not set, and {} has no line for {host}:{port}:{database}:{user}",
                    path.display()
                ),
            })
            .with_hint("add a line host:port:database:user:password to the file")),
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
