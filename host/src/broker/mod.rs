//! What stands between a connector and the world: it acts, and asks
//! [`policy`](crate::policy) before it does.
//!
//! One [`Broker`] serves one connection. It outlives the instance, so that a
//! cancel request can be sent from a fresh instance under the same grant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::descriptor::{Descriptor, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::redaction::Redactor;
use crate::policy::{Limits, Policy};
use crate::secrets::{SecretError, SecretProvider};

pub mod credentials;
pub mod log;
pub mod meter;
pub mod network;
pub mod socket;

use credentials::Credentials;
use network::Endpoint;

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
}

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
    pub fn nothing() -> Self {
        Self {
            config: BTreeMap::new(),
            endpoint: None,
            credentials: Credentials::none(),
            redactor: Redactor::new(),
            failure: Arc::default(),
        }
    }

    /// A broker for one connection with a validated configuration.
    pub async fn new(
        descriptor: &Descriptor,
        config: &Config,
        secrets: Arc<dyn SecretProvider>,
        policy: &Policy,
        limits: &Limits,
    ) -> Result<Self> {
        let mut given = Vec::new();
        let mut redactor = Redactor::new();
        let mut host = None;
        for field in descriptor.fields.iter().filter(|field| field.sensitive) {
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
            redactor.hide(&field.name, value.expose());
            redactor.hide(&field.name, network::bare(value.expose()));
            if field.role == Role::EndpointHost {
                host = Some(value);
            }
        }
        config.validate(descriptor, &given)?;

        let store = config.store(descriptor);
        let of_role = |role| {
            descriptor
                .field_with_role(role)
                .and_then(|field| store.get(&field.name))
        };
        let port = of_role(Role::EndpointPort).and_then(|port| port.parse().ok());
        let tls = of_role(Role::TlsSwitch).is_some_and(|on| on == "true");
        let (Some(host), Some(port)) = (host, port) else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the configuration names no host and port to connect to",
            ));
        };
        if tls {
            // Not even an attempt: a connector could ignore the switch.
            return Err(Error::new(
                ErrorKind::Tls,
                "the connection asks for encryption, which this version cannot do yet",
            )
            .with_hint("turn Use SSL off if the network to the server can be trusted; otherwise wait for a version with TLS"));
        }
        let failure = Arc::<FirstFailure>::default();
        let endpoint = Endpoint::new(
            host.expose(),
            port,
            tls,
            policy.network.clone(),
            limits,
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

    /// Hides the sensitive values, and the addresses they have led to.
    pub fn redactor(&self) -> Redactor {
        let mut redactor = self.redactor.clone();
        for address in self.endpoint.iter().flat_map(|endpoint| endpoint.pinned()) {
            redactor.hide("address", &address.ip().to_string());
        }
        redactor
    }
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
