//! What every command works with: the host, the connection file, the output.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dagflux_host::policy::limits::Limit;
use dagflux_host::{
    Canceller, Compiler, ConnectOptions, Connection, ConnectionString, Connector, ErrorKind, Host,
    Limits, Presented, Retry, Trust,
};

use crate::args::{COMPILE, Global, quoted};
use crate::connections::faults::{self, Checked};
use crate::connections::file::{Entry, File};
use crate::connections::guard;
use crate::connections::secrets::ConnectionSecrets;
use crate::connections::sources;
use crate::connectors::Search;
use crate::failure::{Failure, ServerFailure};
use crate::grants::{Grant, Grants};
use crate::interrupt::or_interrupt;
use crate::output;
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
    /// The connection that was opened, for its receipt.
    connection: OnceLock<Canceller>,
}

/// Where a limit is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// The connection file.
    ConnectionFile,
    /// `--limit`.
    CommandLine,
}

impl Context {
    /// A context for the options given.
    pub fn new(global: Global, redactor: Redactor) -> Self {
        Context {
            json: global.json,
            global,
            redactor,
            host: OnceLock::new(),
            connection: OnceLock::new(),
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

    /// The file of a connector that was named on the command line.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str) -> Result<PathBuf, Failure> {
        Search::new(&self.global.connectors).find(name, |path: &str| PathBuf::from(path))
    }

    /// Loads a connector that was named on the command line.
    ///
    /// # Errors
    /// When there is none, or it is refused.
    pub async fn connector(&self, name: &str) -> anyhow::Result<Connector> {
        let path = self.find(name)?;
        tracing::debug!(path = %path.display(), "loading the connector");
        Ok(self.host()?.load(&path).await?)
    }

    /// Loads the connector of a connection, if it is what the connection asks for, and asks for no
    /// more than it was granted.
    ///
    /// # Errors
    /// When the connection names none, or it cannot be loaded.
    pub async fn connector_of(&self, file: &File, entry: &Entry) -> anyhow::Result<Connector> {
        let Some((name, _)) = &entry.connector else {
            // Without a connector there are no fields to check against.
            return Err(faults::failure(file, entry, entry.faults.clone()).into());
        };
        if entry.is_unguarded() {
            return Err(faults::failure(file, entry, entry.faults.clone()).into());
        }
        let path =
            Search::new(&self.global.connectors).find(name, |path: &str| file.resolve(path))?;
        tracing::debug!(path = %path.display(), "loading the connector");
        let mut trust = Trust::new();
        (trust.digest, trust.key) = (entry.guard.digest, entry.guard.key.clone());
        let Some(grants) = self.grants() else {
            return Ok(self.host()?.load_trusted(&path, &trust).await?);
        };
        let name = known_as(name, &path);
        let before = grants.of(&name)?;
        trust.granted = before.as_ref().map(|grant| grant.permissions.clone());
        let connector = match self.host()?.load_trusted(&path, &trust).await {
            Ok(connector) => connector,
            Err(error) if error.kind() == ErrorKind::NotGranted => {
                return Err(ServerFailure {
                    sql: None,
                    hint: Some(format!(
                        "if it is to have that, run `dagflux grant {}`; until then, use the version before it{}",
                        quoted(&name),
                        before.map(|grant| format!(", {}", grant.version)).unwrap_or_default()
                    )),
                    source: error,
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        };
        Ok(connector)
    }

    /// What the connector of a connection is known as among the grants.
    fn known_as(&self, file: &File, entry: &Entry) -> Option<String> {
        let (name, _) = entry.connector.as_ref()?;
        let search = Search::new(&self.global.connectors);
        let path = search.find(name, |path: &str| file.resolve(path)).ok()?;
        Some(known_as(name, &path))
    }

    /// Takes note of what a connector was granted: what it asked for when it was first used, and which
    /// version of it was used last. That is when a connection was opened with it.
    fn note_use(&self, known_as: Option<String>, connector: &Connector) {
        let Some((grants, name)) = self.grants().zip(known_as) else {
            return;
        };
        let noted = grants.of(&name).and_then(|before| {
            let mut grant = Grant::of(connector);
            if let Some(before) = &before {
                grant.permissions = before.permissions.and_withheld(&grant.permissions);
            }
            if before.as_ref() == Some(&grant) {
                return Ok(());
            }
            tracing::info!(
                digest = grant.digest,
                "recording what the connector was granted"
            );
            grants.record(&name, &grant)
        });
        if let Err(failure) = noted {
            // As in a container without a place for it: every use is then the first.
            output::warn(&format!(
                "{failure}; the next version of {name} may ask for anything"
            ));
        }
    }

    /// What connectors were granted; none if this user has no folder for it.
    pub fn grants(&self) -> Option<Grants> {
        let given = self.global.grants.clone();
        given.or_else(Grants::default_file).map(Grants::new)
    }

    /// What every connection may use, and the host.
    ///
    /// # Errors
    /// When a limit on the command line cannot be set.
    pub fn limits(&self) -> Result<Limits, Failure> {
        self.with_own_limits(Limits::default())
    }

    /// What a connection may use: the command line comes before the connection file.
    fn limits_of(&self, entry: &Entry) -> Result<Limits, Failure> {
        let limits = entry
            .guard
            .apply(self.limits()?)
            .map_err(Failure::configuration)?;
        self.with_own_limits(limits)
    }

    fn with_own_limits(&self, mut limits: Limits) -> Result<Limits, Failure> {
        for (name, value) in &self.global.limits {
            guard::set(&mut limits, name, value).map_err(|message| {
                Failure::usage(message).hint("`dagflux limits` lists the limits and their values")
            })?;
        }
        Ok(limits)
    }

    /// The limits of a connection, or of every one, with where each is from.
    ///
    /// # Errors
    /// When the connection is unknown, or a limit cannot be set.
    pub fn limits_with_origin(&self, name: Option<&str>) -> Result<Vec<(Limit, Origin)>, Failure> {
        let file = name.map(|_| self.file()).transpose()?;
        let entry = match (&file, name) {
            (Some(file), Some(name)) => Some(file.entry(name)?),
            _ => None,
        };
        if let (Some(file), Some(entry)) = (&file, entry)
            && entry.is_unguarded()
        {
            return Err(faults::failure(file, entry, entry.faults.clone()));
        }
        let limits = match entry {
            Some(entry) => self.limits_of(entry)?,
            None => self.limits()?,
        };
        let origin = |name: &str| {
            let mut own = self.global.limits.iter();
            let mut of_entry = entry.into_iter().flat_map(|entry| entry.guard.limited());
            if own.any(|(own, _)| own == name) {
                Origin::CommandLine
            } else if of_entry.any(|own| own == name) {
                Origin::ConnectionFile
            } else {
                Origin::Default
            }
        };
        let limits = limits.all().into_iter();
        Ok(limits.map(|limit| (limit, origin(limit.name))).collect())
    }

    /// The host, with the compiler in a process of its own.
    ///
    /// # Errors
    /// When this machine cannot run WebAssembly.
    pub fn host(&self) -> anyhow::Result<&Host> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = host(self.limits()?)?;
        Ok(self.host.get_or_init(|| host))
    }

    /// Prints what the command's connection has used, if that was asked for.
    pub fn print_receipt(&self) {
        if !self.global.receipt {
            return;
        }
        let Some(receipt) = self.connection.get().map(Canceller::receipt) else {
            if !self.json {
                eprintln!("no receipt: no connection was opened");
            }
            return;
        };
        if self.json {
            eprintln!(
                "{}",
                serde_json::json!({ "receipt": output::receipt::json(&receipt) })
            );
        } else {
            eprint!("{}", output::receipt::table(&receipt));
        }
    }

    /// The connection called `name`, or that a URL stands for, with the file it is in.
    async fn resolved(&self, name: &str) -> anyhow::Result<Resolved> {
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
        let limits = self.limits_of(entry)?;
        Ok(Resolved {
            known_as: self.known_as(&file, entry),
            connector,
            checked,
            limits,
            file,
        })
    }

    /// What the server of the connection called `name` shows of itself.
    ///
    /// # Errors
    /// When its entry has faults, or the server cannot be reached or offers no encryption.
    pub async fn certificates(&self, name: &str) -> anyhow::Result<Presented> {
        let Resolved {
            connector,
            checked,
            file,
            ..
        } = self.resolved(name).await?;
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
        let Resolved {
            known_as,
            connector,
            checked,
            limits,
            file,
        } = self.resolved(name).await?;
        let application_name = checked.application_name.clone();
        let config = checked.config.clone();
        let secrets = ConnectionSecrets::new(
            &file,
            checked,
            connector.descriptor(),
            self.redactor.clone(),
        );
        let mut options = ConnectOptions::default()
            .with_application_name(application_name.unwrap_or(APPLICATION_NAME.to_owned()))
            .with_limits(limits);
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
        self.note_use(known_as, &connector);
        let _ = self.connection.set(connection.canceller());
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

/// A connection as it was found in its file.
struct Resolved {
    /// What its connector is known as among the grants.
    known_as: Option<String>,
    connector: Connector,
    checked: Checked,
    limits: Limits,
    file: File,
}

/// What a connector is known as among the grants: its name, or where it lies.
pub fn known_as(name: &str, path: &Path) -> String {
    if crate::connectors::is_path(name) {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        path.display().to_string()
    } else {
        name.to_owned()
    }
}

/// A host that keeps compiled connectors in the user's cache folder, sealed with a key that lies
/// elsewhere, and compiles in a process of its own.
///
/// Without such folders, as in a container, every run compiles anew.
fn host(limits: Limits) -> Result<Host, dagflux_host::Error> {
    let builder = || {
        let builder = Host::builder().limits(limits.clone());
        match Compiler::this_program() {
            Ok(compiler) => builder.compiler(compiler.with_argument(COMPILE)),
            Err(_) => builder,
        }
    };
    let (Some(cache), Some(data)) = (dirs::cache_dir(), dirs::data_dir()) else {
        return builder().build();
    };
    let kept = builder()
        .cache_dir(cache.join("dagflux").join("components"))
        .cache_key(data.join("dagflux").join("cache.key"));
    kept.build().or_else(|error| {
        // Slower, and no less safe.
        let reason = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        output::warn(&format!(
            "compiled connectors are not kept: {error}: {reason}"
        ));
        builder().build()
    })
}
