//! The use of secrets on a connector's behalf.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};

use super::network::Endpoint;
use super::socket::Connected;
use super::tls::layer::Layer;
use super::{FirstFailure, secret_failed};
use crate::descriptor::Field;
use crate::error::{Error, ErrorKind};
use crate::policy::login::{self, Channel, LoginPolicy, Refusal};
use crate::secrets::{Secret, SecretProvider, Secrets};

/// A refusal, with the reason the connector is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The policy refuses.
    Policy(Refusal),
    /// The field has no value, or it could not be had.
    NoValue(String),
    /// The server's part of the exchange is malformed.
    Malformed,
    /// The server could not prove that it knows the password.
    ServerNotAuthentic,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Policy(refusal)
    }
}

/// The secrets of one connection, and the operations on them.
pub struct Credentials {
    fields: Vec<Field>,
    provider: Arc<dyn SecretProvider>,
    policy: LoginPolicy,
    failure: Arc<FirstFailure>,
    /// Exchanges begun, on whatever socket: a connection logs in once.
    exchanges: AtomicU32,
    /// Whether a server has proved, in a login bound to its channel, that it knows the password.
    bound: Arc<AtomicBool>,
}

impl Credentials {
    /// No secrets.
    pub fn none() -> Self {
        Self::new(
            Vec::new(),
            Arc::new(Secrets::new()),
            LoginPolicy::default(),
            Arc::default(),
        )
    }

    /// The secrets of the given form.
    pub fn new(
        fields: Vec<Field>,
        provider: Arc<dyn SecretProvider>,
        policy: LoginPolicy,
        failure: Arc<FirstFailure>,
    ) -> Self {
        Self {
            fields,
            provider,
            policy,
            failure,
            exchanges: AtomicU32::new(0),
            bound: Arc::default(),
        }
    }

    /// Whether the login was bound to the encrypted channel.
    pub fn is_bound(&self) -> bool {
        self.bound.load(Relaxed)
    }

    /// Tells the connector a value that it may know.
    pub async fn reveal(&self, field: &str) -> Result<String, Denied> {
        login::permit_reveal(&self.fields, field)?;
        Ok(self.value(field).await?.expose().to_owned())
    }

    /// Begins a SCRAM exchange.
    pub async fn begin(
        &self,
        endpoint: &Endpoint,
        socket: &Arc<Connected>,
        field: &str,
        mechanisms: &[String],
    ) -> Result<Exchange, Denied> {
        let reserved = self.permit(endpoint, socket, field)?;
        let offers = |name: &str| mechanisms.iter().any(|offered| offered == name);
        let end_point = socket.tls().and_then(Layer::end_point);
        let (mechanism, binding) = match end_point {
            Some(data) if offers(SCRAM_SHA_256_PLUS) => (
                SCRAM_SHA_256_PLUS,
                ChannelBinding::tls_server_end_point(data),
            ),
            _ if binding_required(endpoint) => return Err(self.not_bound()),
            // Says that we could have: a server whose offer was cut out on the way notices.
            Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => return Err(Denied::Malformed),
        };
        let password = self.value(field).await?;
        reserved.keep();
        let scram = ScramSha256::new(password.expose().as_bytes(), binding);
        Ok(Exchange {
            socket: socket.clone(),
            mechanism,
            bound: self.bound.clone(),
            state: State::Begun(Box::new(scram)),
        })
    }

    /// PostgreSQL's MD5 answer.
    pub async fn md5(
        &self,
        endpoint: &Endpoint,
        socket: &Arc<Connected>,
        (name_field, password_field): (&str, &str),
        salt: &[u8],
    ) -> Result<String, Denied> {
        login::permit_reveal(&self.fields, name_field)?;
        let reserved = self.permit(endpoint, socket, password_field)?;
        if binding_required(endpoint) {
            return Err(self.not_bound());
        }
        if !self.policy.md5 {
            self.failure.record(
                Error::new(ErrorKind::PolicyRefused, "the server asks for an MD5 login, which the policy forbids").with_hint(
                    "set `password_encryption = 'scram-sha-256'` on the server and set the password again, \
                     or permit MD5 in `LoginPolicy`",
                ),
            );
            return Err(Refusal::Md5Forbidden.into());
        }
        let salt = socket
            .with_arrived(|arrived, waiting| login::permit_md5_salt(salt, arrived, waiting))?;
        let name = self.value(name_field).await?;
        let password = self.value(password_field).await?;
        reserved.keep();
        socket.end_login();
        Ok(md5_hash(
            name.expose().as_bytes(),
            password.expose().as_bytes(),
            salt,
        ))
    }

    /// The failure of a login that is not bound to its channel and has to be.
    pub fn not_bound(&self) -> Denied {
        self.failure.record(
            Error::new(
                ErrorKind::Authentication,
                "the login would not be bound to the encrypted channel, and `channel_binding` is require",
            )
            .with_hint(
                "have the server's pg_hba.conf use scram-sha-256 for this login, from PostgreSQL 11 on, and a certificate signed with \
                 SHA-2 by RSA or ECDSA; a pooler in between cannot do it; or set `channel_binding` to prefer",
            ),
        );
        Refusal::InsecureChannel.into()
    }

    /// Whether an exchange may begin; if so, no other one may until what is given back is dropped,
    /// or ever, if it is kept. So two that wait for the password at once do not both get it.
    fn permit(
        &self,
        endpoint: &Endpoint,
        socket: &Connected,
        field: &str,
    ) -> Result<Reserved<'_>, Refusal> {
        let channel = Channel {
            must_be_secure: endpoint.must_be_secure(),
            is_secure: socket.tls().is_some(),
        };
        login::permit_exchange(&self.fields, field, channel)?;
        let reserved = self
            .exchanges
            .fetch_update(Relaxed, Relaxed, login::one_more_exchange);
        match reserved {
            Ok(_) => Ok(Reserved(&self.exchanges)),
            Err(_) => Err(Refusal::Exhausted),
        }
    }

    async fn value(&self, field: &str) -> Result<Secret, Denied> {
        match self.provider.secret(field).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                self.failure.record(
                    Error::new(
                        ErrorKind::Secret,
                        format!("the server asks for the `{field}`, and none was given"),
                    )
                    .with_hint(format!("add `{field}` to the connection's secrets")),
                );
                Err(Denied::NoValue(format!("no value was given for `{field}`")))
            }
            Err(error) => {
                self.failure.record(secret_failed(field, error));
                Err(Denied::NoValue(format!(
                    "the value of `{field}` could not be had"
                )))
            }
        }
    }
}

/// An exchange that may begin. A missing password, or a request that is refused, is none: it is
/// given back then.
struct Reserved<'a>(&'a AtomicU32);

impl Reserved<'_> {
    /// It has begun.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn binding_required(endpoint: &Endpoint) -> bool {
    endpoint.tls().is_some_and(|tls| tls.binding_required)
}

/// `dagflux:connector/credentials.scram-sha256`: one exchange.
pub struct Exchange {
    socket: Arc<Connected>,
    mechanism: &'static str,
    bound: Arc<AtomicBool>,
    state: State,
}

enum State {
    Begun(Box<ScramSha256>),
    Answered(Box<ScramSha256>),
    Over,
}

impl Exchange {
    /// The mechanism's SASL name.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// The client-first-message; empty once the exchange has gone on.
    pub fn client_first(&self) -> Vec<u8> {
        match &self.state {
            State::Begun(scram) => scram.message().to_vec(),
            _ => Vec::new(),
        }
    }

    /// The client-final-message for the server's challenge.
    pub async fn client_final(&mut self, challenge: Vec<u8>) -> Result<Vec<u8>, Denied> {
        let State::Begun(mut scram) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Refusal::Exhausted.into());
        };
        self.socket.with_arrived(|arrived, waiting| {
            login::permit_challenge(&challenge, arrived, waiting)
        })?;
        login::permit_iterations(&challenge)?;
        // Thousands of hashes: not on a thread that others wait for.
        let worked =
            tokio::task::spawn_blocking(move || scram.update(&challenge).map(|()| scram)).await;
        let scram = worked
            .map_err(|_| Denied::Malformed)?
            .map_err(|_| Denied::Malformed)?;
        let message = scram.message().to_vec();
        self.state = State::Answered(scram);
        Ok(message)
    }

    /// Checks the server-final-message.
    pub fn verify(&mut self, outcome: &[u8]) -> Result<(), Denied> {
        let State::Answered(mut scram) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Refusal::Exhausted.into());
        };
        self.socket.end_login();
        scram
            .finish(outcome)
            .map_err(|_| Denied::ServerNotAuthentic)?;
        self.bound
            .store(self.mechanism == SCRAM_SHA_256_PLUS, Relaxed);
        Ok(())
    }
}
