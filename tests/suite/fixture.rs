//! What the tests start from.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use dagflux_host::{Config, ConnectOptions, Connection, Connector, Host, RowStream, Secrets};
use dagflux_test_support::{Database, Server, ServerOptions, connector_path};
use futures_util::TryStreamExt;
use tokio::sync::OnceCell;

/// The host that the tests share.
pub fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::new().expect("the host starts"))
}

/// The PostgreSQL connector, compiled once.
pub async fn postgres() -> Result<Connector> {
    static CONNECTOR: OnceCell<Connector> = OnceCell::const_new();
    let load = || async {
        host()
            .load(connector_path("postgres")?)
            .await
            .context("loading the PostgreSQL connector")
    };
    CONNECTOR.get_or_try_init(load).await.cloned()
}

/// A fresh database on the shared server.
pub async fn database(name: &str) -> Result<Database<'static>> {
    Server::shared().await?.database(name).await
}

/// Another server than the one that all tests share.
pub async fn second() -> Result<&'static Server> {
    static SECOND: OnceCell<Server> = OnceCell::const_new();
    let start = async || Server::start(&ServerOptions::default()).await;
    SECOND.get_or_try_init(start).await
}

/// The configuration that leads to a database.
pub fn config(database: &Database<'_>) -> Config {
    Config::new()
        .with("port", database.server().port())
        .with("database", database.name())
}

/// The secrets of the login `dagflux`.
pub fn secrets(database: &Database<'_>) -> Secrets {
    let server = database.server();
    Secrets::new()
        .with("host", server.host())
        .with("username", server.username())
        .with("password", server.password())
}

/// A connection as the login `dagflux`.
pub async fn connect(database: &Database<'_>) -> Result<Connection> {
    let connection = postgres()
        .await?
        .connect(
            config(database),
            secrets(database),
            ConnectOptions::default(),
        )
        .await;
    connection.context("connecting")
}

/// A connection as the superuser.
pub async fn connect_as_admin(database: &Database<'_>) -> Result<Connection> {
    let server = database.server();
    let secrets = Secrets::new()
        .with("host", server.host())
        .with("username", server.admin_username())
        .with("password", server.admin_password());
    let connection = postgres()
        .await?
        .connect(config(database), secrets, ConnectOptions::default())
        .await;
    connection.context("connecting as the superuser")
}

/// Every batch of a stream.
pub async fn batches(rows: RowStream<'_>) -> dagflux_host::Result<Vec<RecordBatch>> {
    rows.try_collect().await
}

/// The number of rows of a stream.
pub async fn count(rows: RowStream<'_>) -> dagflux_host::Result<usize> {
    rows.try_fold(0, |sum, batch| {
        std::future::ready(Ok(sum + batch.num_rows()))
    })
    .await
}
