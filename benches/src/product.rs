//! The product as an embedder uses it.

use std::path::Path;

use anyhow::Result;
use dagflux_host::{Config, ConnectOptions, Connection, Connector, Host, Secrets};
use dagflux_test_support::{Database, connector_path};
use serde::{Deserialize, Serialize};

/// How to reach a database, also from a process of its own.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Address {
    pub(crate) fn of(database: &Database<'_>) -> Self {
        let server = database.server();
        Self {
            host: server.host().to_owned(),
            port: server.port(),
            database: database.name().to_owned(),
            username: server.username().to_owned(),
            password: server.password().to_owned(),
        }
    }
}

/// The PostgreSQL connector, from the cache in `cache` if it is there.
pub(crate) async fn load(cache: &Path) -> Result<Connector> {
    let host = Host::builder().cache_dir(cache).build()?;
    Ok(host.load(connector_path("postgres")?).await?)
}

/// A connection by way of the connector.
pub(crate) async fn connect(connector: &Connector, address: &Address) -> Result<Connection> {
    let config = Config::new()
        .with("port", address.port)
        .with("database", address.database.as_str());
    let secrets = Secrets::new()
        .with("host", address.host.as_str())
        .with("username", address.username.as_str())
        .with("password", address.password.as_str());
    let options = ConnectOptions::default();
    Ok(connector.connect(config, secrets, options).await?)
}
