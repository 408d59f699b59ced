//! The one endpoint of a connection: resolved, pinned and dialled by the host.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::FirstFailure;
use super::socket::Connected;
use super::tls::certificate::ServerCertificate;
use super::tls::failure::Failure;
use super::tls::layer::Layer;
use super::tls::{self, Tls};
use crate::descriptor::TlsUpgrade;
use crate::encryption::{Encryption, Presented, Verified};
use crate::error::{Error, ErrorKind};
use crate::policy::limits::MovedAll;
use crate::policy::network::NetworkPolicy;

/// `wasi:sockets/network.network`: a token without a meaning of its own, since
/// every socket leads to the same endpoint.
pub struct Network;

/// `wasi:sockets/ip-name-lookup.resolve-address-stream`: one address, once.
pub struct Addresses {
    /// Whether the address was handed out.
    pub done: bool,
}

/// How long to wait for an answer before asking again whether the other side is there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How often to ask: a minute in all, as long as a reboot of a switch.
const KEEP_ALIVE_RETRIES: u32 = 5;

/// Longer than anyone waits.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a connection leads, as its configuration has it.
pub struct Target<'a> {
    /// The host, which the server has to be.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Where to connect to, if not where the name leads.
    pub address: Option<IpAddr>,
    /// How the connector's protocol goes over to TLS.
    pub upgrade: &'a TlsUpgrade,
    /// The silence after which to ask whether the other side is there.
    pub keep_alive: Option<Duration>,
}

/// The only place a connection can lead to.
pub struct Endpoint {
    host: String,
    port: u16,
    /// Where to connect to, if not where the name leads.
    address: Option<IpAddr>,
    tls: Option<Tls>,
    /// The connector's words for asking for encryption.
    upgrade: TlsUpgrade,
    keep_alive: Option<Duration>,
    policy: NetworkPolicy,
    /// Together with the look-up less than the time to connect, so that it is the
    /// slow part that is named.
    dial_time: Duration,
    lookup_time: Duration,
    failure: Arc<FirstFailure>,
    /// Filled by the first successful look-up, and never asked again: a name
    /// that changes its address cannot lead elsewhere.
    pinned: Mutex<Vec<SocketAddr>>,
    /// The addresses that answered; the last of them last.
    reached: Mutex<Vec<SocketAddr>>,
    /// How the last socket was encrypted.
    secured: Mutex<Option<Encryption>>,
    /// The names that the server's certificate has, which are as telling as the host.
    named: Mutex<Vec<String>>,
    /// Someone in between was caught: nothing is sent any more, encrypted or not.
    meddled: AtomicBool,
}

/// Why a look-up or a dial failed, in the terms of `wasi:sockets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialError {
    /// The name has no address.
    Unresolvable,
    /// The policy refuses it.
    Denied,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// It cannot be reached.
    Unreachable,
}

impl Endpoint {
    /// The endpoint of a connection.
    pub fn new(
        target: Target<'_>,
        tls: Option<Tls>,
        policy: NetworkPolicy,
        connect_time: Duration,
        failure: Arc<FirstFailure>,
    ) -> Self {
        Self {
            host: bare(target.host).to_owned(),
            port: target.port,
            address: target.address,
            tls,
            upgrade: target.upgrade.clone(),
            keep_alive: target.keep_alive,
            policy,
            lookup_time: connect_time.mul_f32(0.3),
            dial_time: connect_time.mul_f32(0.5),
            failure,
            pinned: Mutex::default(),
            reached: Mutex::default(),
            secured: Mutex::default(),
            named: Mutex::default(),
            meddled: AtomicBool::new(false),
        }
    }

    /// How it is encrypted; none if it is not.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What may be sent in the clear where the connection has to be encrypted.
    pub fn tls_request(&self) -> &[u8] {
        &self.upgrade.request
    }

    /// How many bytes the answer to it has.
    pub fn tls_answer(&self) -> usize {
        self.upgrade.accepted.len()
    }

    /// Shakes hands on a socket that leads here.
    ///
    /// # Errors
    ///
    /// What the connector is told; whoever connects is told more.
    pub async fn shake_hands(&self, socket: &Connected) -> Result<Layer, io::Error> {
        let Some(tls) = &self.tls else {
            self.failure.record(
                Error::new(
                    ErrorKind::Tls,
                    "the connector began to encrypt a connection that is not to be encrypted",
                )
                .with_hint("turn Use SSL on, or report it to the connector's author"),
            );
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        match tls.shake_hands(socket, &self.host, self.dial_time).await {
            Ok(layer) => {
                let certificate = layer.shown().first().map(ServerCertificate::read);
                let encryption = certificate.map(|certificate| Encryption {
                    version: layer.version(),
                    cipher: layer.cipher(),
                    verified: Verified::of(tls.proof),
                    channel_bound: false,
                    certificate,
                });
                *self.secured.lock().unwrap_or_else(PoisonError::into_inner) = encryption;
                Ok(layer)
            }
            Err((failure, shown)) => {
                if matches!(failure, Failure::EarlyBytes) {
                    self.meddled.store(true, Relaxed);
                }
                self.note_names(&shown);
                self.failure
                    .record(tls::failure::explain(failure, tls, &self.host, &shown));
                Err(io::Error::other("the TLS handshake failed"))
            }
        }
    }

    fn note_names(&self, shown: &[CertificateDer<'static>]) {
        if let Some(own) = shown.first() {
            let mut names = ServerCertificate::read(own).names;
            names.extend(ServerCertificate::common_name(own));
            // A word such as `server` or `postgres` says nothing, and would be hidden everywhere.
            names.retain(|name| name.contains(['.', ':']));
            *self.named.lock().unwrap_or_else(PoisonError::into_inner) = names;
        }
    }

    /// The names in the certificate that the server showed last, where it was refused.
    pub fn named(&self) -> Vec<String> {
        self.named
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How the last socket was encrypted; none if it was not.
    pub fn encryption(&self) -> Option<Encryption> {
        self.secured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the server shows to anyone who asks for encryption, and whether it would do. Nothing of
    /// a login is sent.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not offer encryption.
    pub async fn look(self: &Arc<Self>) -> Result<Presented, Error> {
        let Some(tls) = &self.tls else {
            return Err(Error::new(
                ErrorKind::Tls,
                "the connector cannot encrypt its connection",
            ));
        };
        let failed = || {
            let hint = "check that host and port lead to the server, and see its log";
            Error::new(
                ErrorKind::ConnectionLost,
                "the server closed the connection",
            )
            .with_hint(hint)
        };
        let dialled = self.dial().await;
        let stream = dialled.map_err(|_| self.failure.take().unwrap_or_else(failed))?;
        let socket = Connected::new(stream, Arc::default(), self.clone());
        let asked = timeout(self.dial_time, self.ask_for_encryption(&socket)).await;
        let answer = asked.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
        let answer = answer.map_err(|error| failed().with_source(error))?;
        if answer != self.upgrade.accepted {
            return Err(
                Error::new(ErrorKind::Tls, "the server does not offer encryption").with_hint(
                    "have the server offer it (PostgreSQL: `ssl = on` in postgresql.conf)",
                ),
            );
        }
        let (shown, failure) = match tls.shake_hands(&socket, &self.host, self.dial_time).await {
            Ok(layer) => (layer.shown().to_vec(), None),
            Err((failure, shown)) => (shown, Some(failure)),
        };
        self.note_names(&shown);
        let refusal =
            failure.map(|failure| tls::failure::explain(failure, tls, &self.host, &shown));
        match refusal {
            Some(refusal) if shown.is_empty() => Err(refusal),
            refusal => Ok(Presented {
                certificates: shown.iter().map(ServerCertificate::read).collect(),
                mode: tls.mode,
                refusal,
            }),
        }
    }

    /// Sends the protocol's request for encryption, and gives the answer.
    async fn ask_for_encryption(&self, socket: &Connected) -> io::Result<Vec<u8>> {
        let stream = socket.stream();
        let mut request = self.upgrade.request.as_slice();
        while !request.is_empty() {
            stream.writable().await?;
            match stream.try_write(request) {
                Ok(count) => request = request.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let mut answer = Vec::new();
        while answer.len() < self.upgrade.accepted.len() {
            stream.readable().await?;
            let mut byte = [0];
            match stream.try_read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => answer.extend_from_slice(&byte),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }

    /// The connector is held back from going on in the clear.
    pub fn refuse_in_the_clear(&self) -> io::Error {
        self.failure.record(
            Error::new(
                ErrorKind::Tls,
                "the connector tried to go on without encryption, and the connection asks for it; nothing was sent",
            )
            .with_hint("report it to the connector's author; turn Use SSL off only if the network to the server can be trusted"),
        );
        io::ErrorKind::PermissionDenied.into()
    }

    /// The connection has moved all that it may.
    pub fn refuse_more(&self, limit: MovedAll) -> io::Error {
        let (message, hint) = match limit {
            MovedAll::Sent => (
                "the connection has sent as much as it may in all",
                "connect again, or raise the limit `sent`",
            ),
            MovedAll::Received => (
                "the connection has received as much as it may in all",
                "connect again, or raise the limit `received`",
            ),
        };
        self.failure
            .record(Error::new(ErrorKind::TransferLimit, message).with_hint(hint));
        io::ErrorKind::PermissionDenied.into()
    }

    /// The server ended the encryption, or did not keep to it.
    pub fn note_broken_encryption(&self, error: &rustls::Error) {
        if let (Some(tls), rustls::Error::AlertReceived(alert)) = (&self.tls, error) {
            self.failure.record(tls::failure::refused(*alert, tls));
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection form asks for encryption.
    pub fn must_be_secure(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.mode.is_mandatory())
    }

    /// The addresses it was resolved to.
    pub fn pinned(&self) -> Vec<SocketAddr> {
        self.pinned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The address that answered last.
    pub fn reached(&self) -> Option<SocketAddr> {
        self.all_reached().last().copied()
    }

    /// Every address that answered, the last of them last.
    pub fn all_reached(&self) -> Vec<SocketAddr> {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Resolves the name, once.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, DialError> {
        let pinned = self.pinned();
        if !pinned.is_empty() {
            return Ok(pinned);
        }
        if let Some(address) = self.address {
            return self.pin(vec![SocketAddr::new(address, self.port)]);
        }
        let host = self.host.as_str();
        let found = match timeout(self.lookup_time, tokio::net::lookup_host((host, self.port)))
            .await
        {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            Ok(Err(error)) => {
                self.failure.record(
                    Error::new(ErrorKind::NameResolution, format!("the host name {host} could not be resolved"))
                        .with_hint("check the Host field for a typing error, and that this machine's DNS knows the name")
                        .with_source(error),
                );
                return Err(DialError::Unresolvable);
            }
            Err(_) => {
                self.failure.record(
                    Error::new(ErrorKind::NameResolution, format!("looking up the host name {host} took too long"))
                        .with_hint("check this machine's network and DNS, or put the server's address in the Host field")
                        .with_retryable(true),
                );
                return Err(DialError::TimedOut);
            }
        };
        self.pin(found)
    }

    fn pin(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DialError> {
        let permitted = self.permitted(found)?;
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = permitted.clone();
        Ok(permitted)
    }

    fn permitted(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DialError> {
        let mut refused = None;
        let mut permitted = Vec::new();
        for address in found {
            match self.policy.permit(address.ip()) {
                Ok(()) if !permitted.contains(&address) => permitted.push(address),
                Ok(()) => {}
                Err(reason) => refused = Some((address.ip(), reason)),
            }
        }
        // IPv6 first, as RFC 6724 has it; otherwise in the order of the answer.
        permitted.sort_by_key(SocketAddr::is_ipv4);
        if !permitted.is_empty() {
            return Ok(permitted);
        }
        let host = self.host.as_str();
        let Some((address, reason)) = refused else {
            self.failure.record(
                Error::new(
                    ErrorKind::NameResolution,
                    format!("the host name {host} has no address"),
                )
                .with_hint("check the Host field"),
            );
            return Err(DialError::Unresolvable);
        };
        self.failure.record(
            Error::new(ErrorKind::PolicyRefused, format!("{host} leads to {address}, which {reason}"))
                .with_hint("enter the address of a database server; an embedder can permit link-local addresses in `NetworkPolicy`"),
        );
        Err(DialError::Denied)
    }

    /// Connects to the first address that answers.
    pub async fn dial(&self) -> Result<TcpStream, DialError> {
        if self.meddled.load(Relaxed) {
            return Err(DialError::Denied);
        }
        let addresses = self.resolve().await?;
        let now = Instant::now();
        // A limit without bound is none.
        let end = now.checked_add(self.dial_time).unwrap_or(now + NEVER);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (at, address) in addresses.iter().enumerate() {
            // What one address leaves of its share, the others have.
            let left = end.saturating_duration_since(Instant::now());
            let others = u32::try_from(addresses.len().saturating_sub(at)).unwrap_or(1);
            let share = left.checked_div(others).unwrap_or(left);
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    prepare(&stream, self.keep_alive)
                        .map_err(|error| self.refuse(address, error))?;
                    let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
                    reached.retain(|known| known != address);
                    reached.push(*address);
                    drop(reached);
                    // What failed on the way here has been made good.
                    self.failure.take();
                    if !self.must_be_secure() {
                        // This one may stay as it is.
                        *self.secured.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    }
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        let named = SocketName(&self.host, self.port);
        Err(self.refuse(named, last))
    }

    fn refuse(&self, at: impl std::fmt::Display, error: io::Error) -> DialError {
        let (code, kind, message, hint) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (
                DialError::Refused,
                ErrorKind::Unreachable,
                format!("nothing accepts connections at {at}"),
                "check the Host and Port fields, and that the server runs and listens on that address (`listen_addresses`)",
            ),
            io::ErrorKind::TimedOut => (
                DialError::TimedOut,
                ErrorKind::ConnectTimeout,
                format!("no answer from {at}"),
                "check the Host and Port fields; allow this machine's address in the server's firewall \
                 (a cloud provider's console calls it allowed addresses) and in pg_hba.conf",
            ),
            _ => (
                DialError::Unreachable,
                ErrorKind::Unreachable,
                format!("{at} could not be reached"),
                "check the Host and Port fields, and this machine's network",
            ),
        };
        self.failure.record(
            Error::new(kind, message)
                .with_hint(hint)
                .with_source(error)
                .with_retryable(true),
        );
        code
    }
}

/// A host name or address without blanks and brackets around it.
pub fn bare(host: &str) -> &str {
    let host = host.trim();
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

struct SocketName<'a>(&'a str, u16);

impl std::fmt::Display for SocketName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]:{}", self.0, self.1)
        } else {
            write!(f, "{}:{}", self.0, self.1)
        }
    }
}

/// Small messages go out at once, and a peer that vanished is noticed: after the silence given,
/// and five questions without an answer.
fn prepare(stream: &TcpStream, keep_alive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let Some(silence) = keep_alive else {
        return socket.set_keepalive(false);
    };
    let keep_alive = socket2::TcpKeepalive::new()
        .with_time(silence)
        .with_interval(KEEP_ALIVE_INTERVAL);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keep_alive = keep_alive.with_retries(KEEP_ALIVE_RETRIES);
    socket.set_tcp_keepalive(&keep_alive)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        let upgrade = TlsUpgrade {
            request: Vec::new(),
            accepted: Vec::new(),
            refused: Vec::new(),
        };
        let target = Target {
            host,
            port: 5432,
            address: None,
            upgrade: &upgrade,
            keep_alive: None,
        };
        let time = Duration::from_secs(10);
        Endpoint::new(target, None, NetworkPolicy::default(), time, Arc::default())
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let socket = |text: &&str| SocketAddr::new(text.parse().unwrap(), 5432);
        texts.iter().map(socket).collect()
    }

    /// A name that leads to a server when it is looked at, and elsewhere when it is connected to.
    #[tokio::test]
    async fn a_name_is_asked_for_once() {
        // No resolver knows it: were it asked again, that would fail.
        let endpoint = endpoint("rebound.invalid");
        assert_eq!(endpoint.resolve().await, Err(DialError::Unresolvable));
        endpoint.pin(addresses(&["10.1.2.3"])).unwrap();
        for _ in 0..3 {
            assert_eq!(endpoint.resolve().await, Ok(addresses(&["10.1.2.3"])));
        }
    }

    /// A name that leads to a server and, beside it, to where no server is.
    #[tokio::test]
    async fn every_address_of_an_answer_is_judged() {
        let endpoint = endpoint("both.invalid");
        let mixed = addresses(&["169.254.169.254", "10.1.2.3", "::ffff:169.254.0.7"]);
        assert_eq!(endpoint.pin(mixed).unwrap(), addresses(&["10.1.2.3"]));
        assert_eq!(endpoint.pinned(), addresses(&["10.1.2.3"]));

        let endpoint = self::endpoint("elsewhere.invalid");
        let forbidden = addresses(&["169.254.169.254"]);
        assert_eq!(endpoint.pin(forbidden), Err(DialError::Denied));
        assert_eq!(endpoint.pinned(), []);
        let error = endpoint.failure.take().unwrap();
        assert_eq!(error.kind(), ErrorKind::PolicyRefused);
    }

    #[tokio::test]
    async fn addresses_are_tried_in_turn_ipv6_first() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let v4 = listener.local_addr().unwrap();
        let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v4.port()));
        let upgrade = TlsUpgrade {
            request: Vec::new(),
            accepted: Vec::new(),
            refused: Vec::new(),
        };
        let target = Target {
            host: "db.test",
            port: v4.port(),
            address: None,
            upgrade: &upgrade,
            keep_alive: None,
        };
        let time = Duration::from_secs(10);
        let endpoint = Endpoint::new(target, None, NetworkPolicy::default(), time, Arc::default());
        assert_eq!(endpoint.pin(vec![v4, v6, v4]).unwrap(), [v6, v4]);
        // Nothing listens at the first.
        endpoint.dial().await.unwrap();
        assert_eq!(endpoint.reached(), Some(v4));
        drop(listener);
        assert_eq!(endpoint.dial().await.err(), Some(DialError::Refused));
    }
}
