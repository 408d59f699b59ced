//! A server with TLS, and the ways that lead to it.

use anyhow::Result;
use dagflux_host::Config;
use dagflux_test_support::{Certificates, SERVER_NAME, Server, ServerCertificate, ServerOptions};
use tempfile::NamedTempFile;

use super::Way;

/// Unlike anything else that passes.
pub const LOGIN: &str = "moss_grown_middle";
pub const PASSWORD: &str = "correct-horse-Middle-staple-4711";
pub const DATABASE: &str = "rain_washed_middle";

/// A server with TLS, a login of its own, and the authority to verify it by.
pub struct Stage {
    pub certificates: Certificates,
    pub server: Server,
    options: ServerOptions,
    root: NamedTempFile,
}

impl Stage {
    /// With a good certificate, and the default options otherwise.
    pub async fn new() -> Result<Self> {
        Self::with(ServerOptions::new()).await
    }

    /// With a good certificate, and these options.
    pub async fn with(options: ServerOptions) -> Result<Self> {
        let certificates = Certificates::new()?;
        let options = options
            .with_tls(certificates.server(ServerCertificate::Good)?)
            .with_client_root(certificates.client_root());
        let server = Server::start(&options).await?;
        let database = server.database(DATABASE).await?;
        database
            .sql()
            .await?
            .batch_execute(&format!("CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'"))
            .await?;
        let root = NamedTempFile::new()?;
        std::fs::write(root.path(), certificates.root())?;
        Ok(Self {
            certificates,
            server,
            options,
            root,
        })
    }

    /// Has the server show a new certificate of this kind from now on.
    pub async fn show(&self, kind: ServerCertificate) -> Result<()> {
        let identity = self.certificates.server(kind)?;
        let options = self.options.clone().with_tls(identity);
        self.server.reconfigure(&options).await
    }

    /// With Use SSL on.
    pub fn way(&self) -> Way {
        self.in_the_open()
            .with("use_ssl", true)
            .with("ssl_ca", self.root.path().display().to_string())
    }

    /// With Use SSL on, by the server's address instead of its name.
    pub fn by_address(&self) -> Way {
        let way = self.way();
        Way {
            secrets: Vec::new(),
            ..way.at("127.0.0.1")
        }
    }

    /// In a mode by name, without an authority.
    pub fn in_mode(&self, mode: &str) -> Way {
        self.in_the_open().with("ssl_mode", mode)
    }

    /// Without encryption.
    pub fn in_the_open(&self) -> Way {
        let config = Config::new()
            .with("port", self.server.port())
            .with("database", DATABASE);
        Way {
            config,
            host: SERVER_NAME.to_owned(),
            username: LOGIN.to_owned(),
            password: PASSWORD.to_owned(),
            secrets: Vec::new(),
        }
        .with_secret("host_address", "127.0.0.1")
    }
}
