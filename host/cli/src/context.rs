//! What every command works with: the host, the connection file, the output.

use std::path::PathBuf;
use std::sync::OnceLock;

use dagflux_host::{
    ConnectOptions, Connection, ConnectionString, Connector, Host, Presented, Retry,
};

use crate::args::Global;
use crate::connections::faults::{self, Checked};
use crate::connections::file::{Entry, File};
use crate::connections::secrets::ConnectionSecrets;
use crate::connections::sources;
use crate::connectors::Search;
use crate::failure::Failure;
use crate::interrupt::or_interrupt;
use crate::redact::Redactor;

/// The name under which the server lists the connections of this command.
const APPLICATION_NAME: &str = "dagflux";

/// What every command works with.
pub struct Context {
    global: Global,
    /// Whether to print JSON.
    pub json: bool,
    /// The sensitive values used so far.
    pub redactor: Redactor,
    host: OnceLock<Host>,
}

impl Context {
    /// A context for the options given.
    pub fn new(global: Global, redactor: Redactor) -> Self {
        Context {
            json: global.json,
            global,
            redactor,
            host: OnceLock::new(),
        }
    }

    /// The connection file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(&self) -> Result<File, Failure> {
        let path = match &self.global.connections {
            Some(path) => path.clone(),
            None => crate::connections::default_file()?,
        };
        File::read(&path)
    }

    /// Loads a connector that was named on the command line.
    ///
    /// # Errors
    /// When there is none, or it is refused.
    pub async fn connector(&self, name: &str) -> anyhow::Result<Connector> {
        let path =
            Search::new(&self.global.connectors).find(name, |path: &str| PathBuf::from(path))?;
        self.load(path).await
    }

    /// Loads the connector of a connection.
    ///
    /// # Errors
    /// When the connection names none, or it cannot be loaded.
    pub async fn connector_of(&self, file: &File, entry: &Entry) -> anyhow::Result<Connector> {
        let Some((name, _)) = &entry.connector else {
            // Without a connector there are no fields to check against.
            return Err(faults::failure(file, entry, entry.faults.clone()).into());
        };
        let path =
            Search::new(&self.global.connectors).find(name, |path: &str| file.resolve(path))?;
        self.load(path).await
    }

    async fn load(&self, path: PathBuf) -> anyhow::Result<Connector> {
        tracing::debug!(path = %path.display(), "loading the connector");
        let host = match self.host.get() {
            Some(host) => host,
            None => {
                let host = host()?;
                self.host.get_or_init(|| host)
            }
        };
        Ok(host.load(&path).await?)
    }

    /// The connection called `name`, or that a URL stands for, with the file it is in.
    async fn resolved(&self, name: &str) -> anyhow::Result<(Connector, Checked, File)> {
        let (file, own) = if ConnectionString::is_url(name) {
            let string = ConnectionString::parse(name)?;
            if string.has_password() {
                return Err(Failure::usage(
                    "a password on the command line can be seen by every user of this machine",
                )
                .hint(
                    "take it out of the URL, and add --libpq to have it taken from PGPASSWORD or ~/.pgpass; \
                     or write the connection into the connection file",
                )
                .into());
            }
            let (file, entry) = sources::of_command_line(name, self.global.libpq);
            (file, Some(entry))
        } else {
            (self.file()?, None)
        };
        let entry = match &own {
            Some(entry) => entry,
            None => file.entry(name)?,
        };
        let connector = self.connector_of(&file, entry).await?;
        // The key store may wait for the person.
        let checked =
            tokio::task::block_in_place(|| faults::check(&file, entry, &connector, true))?;
        Ok((connector, checked, file))
    }

    /// What the server of the connection called `name` shows of itself.
    ///
    /// # Errors
    /// When its entry has faults, or the server cannot be reached or offers no encryption.
    pub async fn certificates(&self, name: &str) -> anyhow::Result<Presented> {
        let (connector, checked, file) = self.resolved(name).await?;
        let config = checked.config.clone();
        let secrets = ConnectionSecrets::new(
            &file,
            checked,
            connector.descriptor(),
            self.redactor.clone(),
        );
        or_interrupt(None, async {
            Ok(connector.server_certificates(&config, secrets).await?)
        })
        .await
    }

    /// For how long to try again; says so each time. None if that was not asked for.
    pub fn retry(&self) -> Option<Retry> {
        let json = self.json;
        Some(Retry::within(self.global.retry?).with_notice(move |again| {
            if !json {
                let wait = crate::output::duration(again.wait);
                let error = crate::output::printable(&again.error.to_string());
                eprintln!("{error}; trying again in {wait} ({})", again.number);
            }
        }))
    }

    /// Opens the connection called `name`.
    ///
    /// # Errors
    /// When its entry has faults, or it cannot be opened.
    pub async fn open(&self, name: &str) -> anyhow::Result<Connection> {
        let (connector, checked, file) = self.resolved(name).await?;
        let application_name = checked.application_name.clone();
        let config = checked.config.clone();
        let secrets = ConnectionSecrets::new(
            &file,
            checked,
            connector.descriptor(),
            self.redactor.clone(),
        );
        let mut options = ConnectOptions::default()
            .with_application_name(application_name.unwrap_or(APPLICATION_NAME.to_owned()));
        if let Some(limit) = self.global.statement_timeout {
            options = options.with_statement_timeout(limit);
        }
        if let Some(retry) = self.retry() {
            options = options.with_retry(retry);
        }
        tracing::debug!("connecting");
        let connection = or_interrupt(None, async {
            Ok(connector.connect(config, secrets, options).await?)
        })
        .await?;
        tracing::info!("connected");
        Ok(connection)
    }
}

/// Says good-bye to the server. What was asked for is done by then, so that a
/// failure here is none of the command's.
pub async fn close(connection: Connection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(kind = %error.kind(), "the connection did not end in order");
    }
}

/// A host that keeps compiled connectors in the user's cache folder.
///
/// Without such a folder, as in a container, every run compiles anew.
fn host() -> Result<Host, dagflux_host::Error> {
    let Some(folder) = dirs::cache_dir() else {
        return Host::new();
    };
    Host::builder().cache_dir(folder.join("dagflux").join("components")).build().or_else(|error| {
        tracing::warn!(kind = %error.kind(), "compiled connectors cannot be kept in the cache folder");
        Host::new()
    })
}
