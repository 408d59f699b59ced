//! A fresh database on a test server.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::Server;

/// A database of its own, prepared as the product's documentation tells users to:
/// the login `dagflux` may connect, read, write and create tables in `public`.
#[derive(Debug)]
pub struct Database<'s> {
    server: &'s Server,
    name: String,
}

/// The documentation's grants. `dagflux` is a plain role without ownership of
/// the tables that the superuser creates.
const GRANTS: &str = "
    GRANT USAGE, CREATE ON SCHEMA public TO dagflux;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO dagflux;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public
        GRANT USAGE, SELECT ON SEQUENCES TO dagflux;
";

impl<'s> Database<'s> {
    pub(crate) async fn create(
        server: &'s Server,
        name: &str,
        encoding: Option<&str>,
    ) -> Result<Self> {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let admin = server.sql("postgres").await?;
        admin
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                &[&name],
            )
            .await?;
        // The locale of the cluster is C, which goes with every encoding.
        let encoding = encoding
            .map(|encoding| format!(" ENCODING '{encoding}' TEMPLATE template0"))
            .unwrap_or_default();
        for statement in [
            format!("DROP DATABASE IF EXISTS {quoted}"),
            format!("CREATE DATABASE {quoted}{encoding}"),
            format!("GRANT CONNECT ON DATABASE {quoted} TO dagflux"),
        ] {
            admin
                .execute(&statement, &[])
                .await
                .with_context(|| statement.clone())?;
        }
        let database = Self {
            server,
            name: name.to_owned(),
        };
        database.sql().await?.batch_execute(GRANTS).await?;
        Ok(database)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    #[must_use]
    pub fn server(&self) -> &'s Server {
        self.server
    }

    /// A connection of the superuser, for checks that do not go through the
    /// product.
    ///
    /// # Errors
    ///
    /// When the server does not let it in.
    pub async fn sql(&self) -> Result<Client> {
        self.server.sql(&self.name).await
    }
}
