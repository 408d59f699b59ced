//! What the demonstration happens on: a server, its data, a connection file.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use console::style;
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Certificates, Server, ServerCertificate, ServerOptions, install, tpch};
use tempfile::TempDir;

/// 600,000 rows in `lineitem`: large enough to be slow if something is, small
/// enough to wait for.
const SCALE: f64 = 0.1;

const DATABASE: &str = "shop";

/// The variable that the connection file refers to.
pub(crate) const PASSWORD_VARIABLE: &str = "DEMO_PASSWORD";

/// The name of the connection file, in the folder of the stage.
pub(crate) const CONNECTION_FILE: &str = "connections.toml";

/// The certificate of the authority that the server's is signed by, in that folder.
const AUTHORITY: &str = "company-ca.pem";

/// A running server that speaks TLS, and a folder to work in.
pub(crate) struct Stage {
    server: Server,
    folder: TempDir,
}

impl Stage {
    /// Starts the server and loads the data.
    pub(crate) async fn set() -> Result<Self> {
        let binaries = install::provide()?;
        let start = Instant::now();
        let authorities = Certificates::new()?;
        let certificate = authorities.server(ServerCertificate::GoodWithAddress)?;
        let server = Server::start(&ServerOptions::new().with_tls(certificate)).await?;
        println!(
            "A server of its own, started in {:.1} s: {}.",
            start.elapsed().as_secs_f64(),
            binaries.version()?
        );
        let start = Instant::now();
        let database = server.database(DATABASE).await?;
        let rows: u64 = tpch::load(&database, SCALE, &tpch::ALL).await?.iter().sum();
        println!(
            "The TPC-H tables at scale factor {SCALE}: {rows} rows, loaded in {:.1} s.",
            start.elapsed().as_secs_f64()
        );
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(AUTHORITY), authorities.root())?;
        let stage = Self { server, folder };
        stage.write_connection_file()?;
        Ok(stage)
    }

    /// Where the commands are run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the variable of the connection file holds.
    pub(crate) fn password(&self) -> &str {
        self.server.password()
    }

    /// The superuser's connection, to check what the product did.
    pub(crate) async fn sql(&self) -> Result<Client> {
        self.server.sql(DATABASE).await
    }

    fn write_connection_file(&self) -> Result<()> {
        let (host, port) = (self.server.host(), self.server.port());
        let username = self.server.username();
        let connection = format!(
            "connector = \"postgres\"\n\
             host = \"{host}\"\n\
             port = {port}\n\
             database = \"{DATABASE}\"\n\
             username = \"{username}\"\n\
             password = {{ env = \"{PASSWORD_VARIABLE}\" }}\n\
             use_ssl = true\n"
        );
        let text = format!(
            "[demo]\n{connection}ssl_ca = \"{AUTHORITY}\"\n\n\
             [without_the_ca]\n{connection}"
        );
        fs::write(self.folder().join(CONNECTION_FILE), &text)?;
        println!("\n{} cat {CONNECTION_FILE}\n{text}", style("$").dim());
        Ok(())
    }
}
