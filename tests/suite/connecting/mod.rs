//! Connecting: to servers that differ, as libpq would, and with somebody in between.

mod differences;
mod encryption;
mod journey;
mod matrix;
mod middle;
mod pooler;
mod retry;
mod sample;
mod secrecy;
mod settings;
mod stage;

use anyhow::{Context, Result};
use dagflux_host::{Config, ConnectOptions, Connection, Secrets, Value};
use dagflux_test_support::{Database, PgBouncer};

use crate::fixture;

/// What leads to a database: the fields of a connection.
#[derive(Clone)]
struct Way {
    config: Config,
    host: String,
    username: String,
    password: String,
    secrets: Vec<(String, String)>,
}

impl Way {
    /// As the login `dagflux`, directly.
    fn to(database: &Database<'_>) -> Self {
        let server = database.server();
        Self {
            config: fixture::config(database),
            host: server.host().to_owned(),
            username: server.username().to_owned(),
            password: server.password().to_owned(),
            secrets: Vec::new(),
        }
    }

    /// Through a pooler.
    fn through(self, pooler: &PgBouncer) -> Self {
        self.with("port", pooler.port())
    }

    /// To the same server under another name or address.
    fn at(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// As another login.
    fn logging_in(mut self, username: &str, password: &str) -> Self {
        username.clone_into(&mut self.username);
        password.clone_into(&mut self.password);
        self
    }

    /// With a field that is not sensitive.
    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.config.insert(field, value);
        self
    }

    /// With a field that is sensitive.
    fn with_secret(mut self, field: &str, value: &str) -> Self {
        self.secrets.push((field.to_owned(), value.to_owned()));
        self
    }

    fn secrets(&self) -> Secrets {
        let secrets = Secrets::new()
            .with("host", &self.host)
            .with("username", &self.username)
            .with("password", &self.password);
        self.secrets
            .iter()
            .fold(secrets, |secrets, (field, value)| {
                secrets.with(field, value)
            })
    }

    /// Connects; what comes of it.
    async fn attempt(&self) -> Result<dagflux_host::Result<Connection>> {
        self.attempt_with(ConnectOptions::default()).await
    }

    async fn attempt_with(
        &self,
        options: ConnectOptions,
    ) -> Result<dagflux_host::Result<Connection>> {
        let connector = fixture::postgres().await?;
        Ok(connector
            .connect(self.config.clone(), self.secrets(), options)
            .await)
    }

    /// Connects, which has to succeed.
    async fn connect(&self) -> Result<Connection> {
        self.attempt().await?.context("connecting")
    }
}
