//! A PostgreSQL server that lives as long as its handle.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
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
        let options = options.clone();
        let launched = tokio::task::spawn_blocking(move || launch::launch(&options)).await??;
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
        Database::create(self, name).await
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
