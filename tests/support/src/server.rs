//! A PostgreSQL server that lives as long as its handle.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use crate::guardian::Guardian;
use crate::launch::{self, Launched};
use crate::{Database, ServerOptions};

/// A PostgreSQL server of this process: on the loopback interface, on a port of
/// its own, with its files in the folder for temporary files.
///
/// It has two logins: `postgres`, the superuser, for what tests do beside the
/// product, and `dagflux`, which the product uses. Dropping the server stops it
/// and removes its files.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    port: u16,
    password: String,
    admin_password: String,
    options: ServerOptions,
    running: Mutex<Option<Guardian>>,
}

impl Server {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// When no PostgreSQL is installed or it does not start; the error then ends
    /// with the server's own log.
    pub async fn start(options: &ServerOptions) -> Result<Self> {
        let chosen = options.clone();
        let launched = tokio::task::spawn_blocking(move || launch::launch(&chosen)).await??;
        let Launched {
            folder,
            port,
            admin_password,
            guardian,
        } = launched;
        let server = Self {
            folder,
            port,
            password: launch::random_password(),
            admin_password,
            options: options.clone(),
            running: Mutex::new(Some(guardian)),
        };
        server
            .sql("postgres")
            .await?
            .batch_execute(&format!(
                "CREATE ROLE dagflux LOGIN PASSWORD '{}'",
                server.password
            ))
            .await?;
        Ok(server)
    }

    /// The server that all tests of this process share, with the default options.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Server> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| async { Self::start(&ServerOptions::new()).await })
            .await
    }

    /// The address it listens on, without the port.
    #[must_use]
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The login the product uses: no superuser, owner of nothing.
    #[must_use]
    pub fn username(&self) -> &'static str {
        "dagflux"
    }

    /// The password of [`Server::username`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The superuser.
    #[must_use]
    pub fn admin_username(&self) -> &'static str {
        "postgres"
    }

    /// The password of [`Server::admin_username`].
    #[must_use]
    pub fn admin_password(&self) -> &str {
        &self.admin_password
    }

    /// A connection of the superuser to `database`, for checks that do not go
    /// through the product. It ends when the client is dropped.
    ///
    /// # Errors
    ///
    /// When the server does not let it in.
    pub async fn sql(&self, database: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::Config::new()
            .host(self.host())
            .port(self.port)
            .user(self.admin_username())
            .password(&self.admin_password)
            .dbname(database)
            .application_name("dagflux-test-support")
            .connect(NoTls)
            .await
            .with_context(|| format!("the superuser cannot connect to database {database}"))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A fresh database; one of that name that exists is dropped.
    ///
    /// # Errors
    ///
    /// When the server refuses to create it.
    pub async fn database(&self, name: &str) -> Result<Database<'_>> {
        Database::create(self, name, None).await
    }

    /// As [`Server::database`], with its texts kept in `encoding`, for example `LATIN1`,
    /// rather than in UTF-8.
    ///
    /// # Errors
    ///
    /// When the server refuses to create it.
    pub async fn database_in(&self, name: &str, encoding: &str) -> Result<Database<'_>> {
        Database::create(self, name, Some(encoding)).await
    }

    /// Replaces the rules of `pg_hba.conf` and the certificate by those of `options`,
    /// which count for connections from then on. The rest of `options` does not matter.
    ///
    /// # Errors
    ///
    /// When the files cannot be written, or the server does not take them.
    pub async fn reconfigure(&self, options: &ServerOptions) -> Result<()> {
        let loaded = "SELECT pg_catalog.pg_conf_load_time()::text";
        let client = self.sql("postgres").await?;
        let before: String = client.query_one(loaded, &[]).await?.get(0);
        launch::configure(&self.folder, options)?;
        client
            .execute("SELECT pg_catalog.pg_reload_conf()", &[])
            .await?;
        // A session that was born later has what the server has read.
        let start = Instant::now();
        while self
            .sql("postgres")
            .await?
            .query_one(loaded, &[])
            .await?
            .get::<_, String>(0)
            == before
        {
            ensure!(
                start.elapsed() < launch::START_TIME,
                "the server has not read its configuration again"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Stops the server, and starts another on its files as a hot standby: all that was
    /// there can be read, and nothing written. For a server of version 12 or later with
    /// the setting `wal_level` at `replica`.
    ///
    /// # Errors
    ///
    /// When it was stopped, or does not start as a standby.
    pub async fn into_standby(self) -> Result<Self> {
        let guardian = self.running().take().context("the server was stopped")?;
        let (folder, options) = (self.folder.clone(), self.options.clone());
        let (guardian, port) = tokio::task::spawn_blocking(move || {
            guardian.stop_and_keep()?;
            launch::launch_standby(&folder, &options)
        })
        .await??;
        Ok(Self {
            port,
            running: Mutex::new(Some(guardian)),
            ..self
        })
    }

    /// The folder of its files; gone after [`Server::stop`].
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's process, or none after [`Server::stop`].
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.running().as_ref().map(Guardian::server_id)
    }

    /// Stops the server as `pg_ctl stop -m fast` does: open sessions are ended
    /// with SQLSTATE 57P01.
    pub fn stop(&self) {
        drop(self.running().take());
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn running(&self) -> MutexGuard<'_, Option<Guardian>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
