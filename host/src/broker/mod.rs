//! What stands between a connector and the world: it acts, and asks
//! [`policy`](crate::policy) before it does.
//!
//! One [`Broker`] serves one connection. It outlives the instance, so that a
//! cancel request can be sent from a fresh instance under the same grant.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::config::Config;
use crate::descriptor::{Descriptor, Role, TlsUpgrade};
use crate::encryption::Encryption;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::policy::redaction::Redactor;
use crate::policy::{Limits, Policy, TlsMode};
use crate::secrets::{Secret, SecretError, SecretProvider};
use crate::settings::{self, Settings};
use crate::step::Progress;

pub mod credentials;
pub mod log;
pub mod meter;
pub mod network;
pub mod socket;
pub mod tls;

use credentials::Credentials;
use meter::Meter;
use network::{Endpoint, Target};
use tls::Tls;

/// What one connection is given: its configuration, one endpoint, and the use
/// of its secrets.
pub struct Broker {
    /// What the connector reads from `wasi:config/store`.
    pub config: BTreeMap<String, String>,
    /// The one place it may connect to; none while a connector describes itself.
    pub endpoint: Option<Arc<Endpoint>>,
    /// The use of its secrets.
    pub credentials: Credentials,
    /// What it must not be heard saying.
    pub redactor: Redactor,
    /// The first thing that went wrong on this side of the boundary, with the
    /// words that a connector cannot know.
    pub failure: Arc<FirstFailure>,
    /// How long things may take.
    pub times: Times,
    /// What it may use.
    pub limits: Limits,
    /// What it uses.
    pub meter: Arc<Meter>,
    /// How the socket was encrypted that the connection was opened on: later ones are not it.
    opened: OnceLock<Option<Encryption>>,
}

/// How long things may take on one connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Connecting, login included.
    pub connect: Duration,
    /// A statement; the server sees to it.
    pub statement: Option<Duration>,
    /// Lying idle.
    pub idle: Option<Duration>,
}

/// The upgrade of a protocol that has none.
static NO_UPGRADE: TlsUpgrade = TlsUpgrade {
    request: Vec::new(),
    accepted: Vec::new(),
    refused: Vec::new(),
};

/// Remembers why the host refused or failed, while the connector reports the
/// same failure in the words it has.
#[derive(Debug, Default)]
pub struct FirstFailure(Mutex<Option<Error>>);

impl FirstFailure {
    /// Remembers `error`, unless something failed before.
    pub fn record(&self, error: Error) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    /// What failed first since the last time this was asked.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Broker {
    /// A broker that gives nothing, for a connector that describes itself.
    pub fn nothing(limits: &Limits) -> Self {
        Self {
            config: BTreeMap::new(),
            endpoint: None,
            credentials: Credentials::none(),
            redactor: Redactor::new(),
            failure: Arc::default(),
            times: Times::default(),
            limits: limits.clone(),
            meter: Arc::new(Meter::new(limits.clone())),
            opened: OnceLock::new(),
        }
    }

    /// A broker for one connection with a validated configuration. For one that is `only_looked`
    /// at, what need not be encrypted is judged as if Use SSL were on.
    pub async fn new(
        descriptor: &Descriptor,
        config: &Config,
        secrets: Arc<dyn SecretProvider>,
        (policy, limits): (&Policy, &Limits),
        only_looked: bool,
    ) -> Result<Self> {
        let mut given = Vec::new();
        let mut redactor = Redactor::new();
        let (mut host, mut address, mut key) = (None, None, None);
        for field in descriptor.all_fields().filter(|field| field.sensitive) {
            if field.role == Role::LoginPassword {
                // Asked for only when the server does, but it has to be there.
                given.push(field.name.as_str());
                continue;
            }
            let Some(value) = secrets
                .secret(&field.name)
                .await
                .map_err(|error| secret_failed(&field.name, error))?
            else {
                continue;
            };
            given.push(&field.name);
            if field.name == settings::SSL_KEY {
                key = Some(value);
                continue;
            }
            match field.role {
                Role::LoginName => redactor.hide_login(&field.name, value.expose()),
                _ => redactor.hide(&field.name, value.expose()),
            }
            redactor.hide(&field.name, network::bare(value.expose()));
            if field.role == Role::EndpointHost {
                host = Some(value);
            } else if field.name == settings::HOST_ADDRESS {
                address = Some(value);
            }
        }
        config.validate(descriptor, &given)?;
        let mut settings =
            Settings::read(config, descriptor, &given).map_err(|faults| unusable(&faults))?;
        if only_looked {
            settings = settings.verifying();
        }

        let store = config.store(descriptor, settings.mode);
        let port = descriptor
            .field_with_role(Role::EndpointPort)
            .and_then(|field| store.get(&field.name))
            .and_then(|port| port.parse().ok());
        let (Some(host), Some(port)) = (host, port) else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the configuration names no host and port to connect to",
            ));
        };
        let address = address
            .map(|address| parse_address(address.expose()))
            .transpose()?;
        let tls = match settings.mode {
            TlsMode::Disable => None,
            _ if only_looked => Some(load(settings.clone(), key).await?.only_looking()),
            _ => Some(load(settings.clone(), key).await?),
        };
        let connect_time = settings.connect_timeout.unwrap_or(limits.connect_time);
        let failure = Arc::<FirstFailure>::default();
        let target = Target {
            host: host.expose(),
            port,
            address,
            upgrade: descriptor.tls.as_ref().unwrap_or(&NO_UPGRADE),
            keep_alive: settings.keep_alive,
        };
        let endpoint = Endpoint::new(
            target,
            tls,
            policy.network.clone(),
            connect_time,
            failure.clone(),
        );
        let credentials = Credentials::new(
            descriptor.fields.clone(),
            secrets,
            policy.login.clone(),
            failure.clone(),
        );
        Ok(Self {
            config: store,
            endpoint: Some(Arc::new(endpoint)),
            credentials,
            redactor,
            failure,
            times: Times {
                connect: connect_time,
                statement: settings.statement_timeout,
                idle: settings.idle_timeout,
            },
            limits: limits.clone(),
            meter: Arc::new(Meter::new(limits.clone())),
            opened: OnceLock::new(),
        })
    }

    /// `error`, as the connector told it, in the words of what really happened.
    pub fn explain(&self, error: Error) -> Error {
        use ErrorKind::*;
        let told_by_connector = matches!(
            error.kind(),
            NameResolution
                | Unreachable
                | ConnectTimeout
                | Authentication
                | ConnectionLost
                | Tls
                | Protocol
                | Other
        );
        let error = match self.failure.take() {
            // What the server itself said is not explained away.
            Some(cause) if told_by_connector && error.sqlstate().is_none() => cause,
            _ => error,
        };
        error.with_redactor(self.redactor())
    }

    /// What a connection waited for that was not opened within `limit`.
    pub fn timed_out(&self, limit: Duration) -> Error {
        let waiting = |endpoint: &Arc<Endpoint>| {
            endpoint.must_be_secure()
                && endpoint.reached().is_some()
                && endpoint.encryption().is_none()
        };
        let what = match self.endpoint.as_ref().is_some_and(waiting) {
            true => "answer the request for encryption",
            false => "complete the login",
        };
        let message = format!("the server did not {what} within {} s", limit.as_secs());
        Error::new(ErrorKind::ConnectTimeout, message)
            .with_hint("check that the Port field leads to a database server, and that the server is not overloaded; `connect_timeout` gives it more time")
            .with_retryable(true)
    }

    /// Whether a login that has come to its end is one the connection asks for.
    ///
    /// # Errors
    ///
    /// It had to be bound to the channel, and was not.
    pub fn permit_login(&self) -> Result<()> {
        let _ = self.opened.set(
            self.endpoint
                .as_ref()
                .and_then(|endpoint| endpoint.encryption()),
        );
        let required = self
            .endpoint
            .iter()
            .filter_map(|endpoint| endpoint.tls())
            .any(|tls| tls.binding_required);
        if !required || self.credentials.is_bound() {
            return Ok(());
        }
        self.credentials.not_bound();
        Err(self.failure.take().map_or_else(
            || {
                Error::new(
                    ErrorKind::Authentication,
                    "the login was not bound to the channel",
                )
            },
            |error| error.with_redactor(self.redactor()),
        ))
    }

    /// How the connection is encrypted; none if it is not.
    pub fn encryption(&self) -> Option<Encryption> {
        let encryption = self.opened.get()?.clone()?;
        Some(Encryption {
            channel_bound: self.credentials.is_bound(),
            ..encryption
        })
    }

    /// Whether what is sent passes a network, or stays on this machine.
    pub fn leaves_the_machine(&self) -> bool {
        let reached = self
            .endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.reached());
        !reached.is_some_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// How far the connection has come.
    pub fn progress(&self) -> Progress {
        let Some(endpoint) = &self.endpoint else {
            return Progress::default();
        };
        Progress {
            resolved: !endpoint.pinned().is_empty(),
            connected: endpoint.reached().is_some(),
            encrypted: endpoint.encryption().is_some(),
        }
    }

    /// Hides the sensitive values, and the addresses they have led to.
    pub fn redactor(&self) -> Redactor {
        let mut redactor = self.redactor.clone();
        for address in self.endpoint.iter().flat_map(|endpoint| endpoint.pinned()) {
            redactor.hide("address", &address.ip().to_string());
        }
        for name in self.endpoint.iter().flat_map(|endpoint| endpoint.named()) {
            redactor.hide("host", &name);
        }
        redactor
    }
}

/// Reads certificates, on a thread that may wait.
async fn load(settings: Settings, key: Option<Secret>) -> Result<Tls> {
    tokio::task::spawn_blocking(move || Tls::new(&settings, key.as_ref()))
        .await
        .unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Io,
                "the certificates could not be read",
            ))
        })
}

fn unusable(faults: &[Fault]) -> Error {
    let reasons: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    Error::new(
        ErrorKind::Configuration,
        format!("the configuration cannot be used: {}", reasons.join("; ")),
    )
    .with_faults(faults.to_vec())
}

fn parse_address(text: &str) -> Result<IpAddr> {
    network::bare(text).parse().map_err(|_| {
        Error::new(
            ErrorKind::Configuration,
            "`host_address` is not an IP address",
        )
        .with_hint("write an address such as 10.1.2.3 or 2001:db8::1 there, and the name into the Host field")
    })
}

/// The error for a secret that could not be had.
pub(crate) fn secret_failed(field: &str, error: SecretError) -> Error {
    let hint = error.hint().map(str::to_owned);
    let failure = Error::new(
        ErrorKind::Secret,
        format!("the value of `{field}` could not be had: {error}"),
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure.with_hint(format!("check where the connection says `{field}` is kept")),
    }
}
