//! TLS, on the host's side: the connector asks for it, and has no say in it.
//!
//! [`handshake`] is what the connector sees of it, [`verify`] judges the server's certificate, [`layer`] encrypts what passes a socket, [`failure`]
//! says why it did not come to that, [`certificate`] reads certificates for people.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind, Fault, Result};
use crate::policy::tls::{Proof, TlsMode};
use crate::secrets::Secret;
use crate::settings::{SSL_CA, SSL_CERT, SSL_KEY, Settings, TlsVersion};

pub mod certificate;
pub mod failure;
pub mod handshake;
pub mod layer;
mod roots;
pub mod verify;

use failure::Failure;
use layer::Layer;
use verify::Verifier;

use super::socket::Connected;

/// How one connection is encrypted, and what the server has to prove.
pub struct Tls {
    /// The mode.
    pub mode: TlsMode,
    /// What the server has to prove.
    pub proof: Proof,
    /// Whether a login has to be bound to the channel.
    pub binding_required: bool,
    min_version: TlsVersion,
    /// The CAs given.
    own: Arc<[CertificateDer<'static>]>,
    roots: Arc<RootCertStore>,
    client: Option<Arc<CertifiedKey>>,
}

/// The largest PEM file that is read: all of this machine's CAs together are smaller.
const PEM_BYTES: u64 = 1024 * 1024;

/// The longest path that an error shows.
const PATH_SHOWN: usize = 256;

impl Tls {
    /// What `settings` ask for. Reads the files they name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], with every file and text that cannot be used.
    pub fn new(settings: &Settings, key: Option<&Secret>) -> Result<Self> {
        let mut faults = Vec::new();
        let mut certificates = |field: &'static str, given: Option<&str>| {
            given
                .map(|given| certificates(field, given))
                .transpose()
                .map_err(|fault| faults.push(fault))
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let own = certificates(SSL_CA, settings.ca.as_deref());
        let chain = certificates(SSL_CERT, settings.certificate.as_deref());
        let mut client = None;
        if let (false, Some(key)) = (chain.is_empty(), key) {
            match certified(chain, key) {
                Ok(certified) => client = Some(Arc::new(certified)),
                Err(fault) => faults.push(fault),
            }
        }
        if let Some(message) = roots::fault(&own) {
            faults.push(Fault::new(SSL_CA, format!("`{SSL_CA}`: {message}")));
        }
        if !faults.is_empty() {
            let reasons: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
            let message = format!("the certificates cannot be used: {}", reasons.join("; "));
            return Err(Error::new(ErrorKind::Configuration, message)
                .with_hint("name files in PEM form, which begin with -----BEGIN")
                .with_faults(faults));
        }
        let roots = match settings.proof.chain {
            true => roots::with(&own, settings.proof.system_roots),
            false => RootCertStore::empty(),
        };
        Ok(Self {
            mode: settings.mode,
            proof: settings.proof,
            binding_required: settings.binding_required,
            min_version: settings.min_version,
            own: own.into(),
            roots: Arc::new(roots),
            client,
        })
    }

    /// The same without a certificate of our own: to look at what a server shows, which has not
    /// to be shown anything for that.
    pub fn only_looking(self) -> Self {
        Self {
            client: None,
            ..self
        }
    }

    /// Whether CAs were given.
    pub fn has_own_roots(&self) -> bool {
        !self.own.is_empty()
    }

    /// Shakes hands on a socket, with the server that has to be `host`.
    ///
    /// # Errors
    ///
    /// Why not, with what the server showed.
    pub async fn shake_hands(
        &self,
        socket: &Connected,
        host: &str,
        time: Duration,
    ) -> Result<Layer, (Failure, Vec<CertificateDer<'static>>)> {
        if socket.has_early_bytes() {
            return Err((Failure::EarlyBytes, Vec::new()));
        }
        let verifier = Arc::new(Verifier::new(
            self.proof,
            self.roots.clone(),
            self.own.clone(),
        ));
        let shown = || verifier.shown();
        let mut session = self
            .session(host, verifier.clone())
            .map_err(|failure| (failure, Vec::new()))?;
        match timeout(time, layer::shake_hands(socket, &mut session)).await {
            Ok(Ok(())) => Ok(Layer::new(session, shown())),
            Ok(Err(failure)) => Err((failure, shown())),
            Err(_) => Err((Failure::TimedOut, shown())),
        }
    }

    fn session(&self, host: &str, verifier: Arc<Verifier>) -> Result<ClientConnection, Failure> {
        let host = host.trim_end_matches('.');
        let (name, is_name) = match ServerName::try_from(host.to_owned()) {
            Ok(name) => {
                let is_name = matches!(name, ServerName::DnsName(_));
                (name, is_name)
            }
            Err(_) if self.proof.name => return Err(Failure::NoServerName),
            // rustls wants one. It is neither sent nor looked at.
            Err(_) => {
                let none = ServerName::try_from("host.invalid");
                (none.map_err(|_| Failure::NoServerName)?, false)
            }
        };
        let versions: &[&rustls::SupportedProtocolVersion] = match self.min_version {
            TlsVersion::V1_2 => &[&TLS13, &TLS12],
            TlsVersion::V1_3 => &[&TLS13],
        };
        let client = self.client.clone();
        let mut config = ClientConfig::builder_with_provider(verify::provider())
            .with_protocol_versions(versions)
            .map_err(Failure::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(Client(client)));
        // Each handshake is verified anew.
        config.resumption = Resumption::disabled();
        config.enable_sni = is_name;
        let mut session = ClientConnection::new(Arc::new(config), name).map_err(Failure::Tls)?;
        // What is written is bounded by the socket's outbox.
        session.set_buffer_limit(None);
        Ok(session)
    }
}

/// The certificates in a PEM file, or in the text of one.
fn certificates(field: &'static str, given: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let fault = |what: String| Fault::new(field, format!("`{field}`: {what}"));
    let text = if given.contains("-----BEGIN") {
        given.as_bytes().to_vec()
    } else {
        // What is not like a path may be a key that was put here by mistake.
        let shown = match given.len() <= PATH_SHOWN && !given.contains('\n') {
            true => given,
            false => "what it names",
        };
        read(given).map_err(|error| fault(format!("{shown} cannot be read ({error})")))?
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(fault("it holds no certificate in PEM form".into())),
        Ok(found) => Ok(found),
        Err(error) => Err(fault(format!(
            "it is not a certificate in PEM form ({error})"
        ))),
    }
}

/// Reads a small file. Nothing else, such as a device that never ends.
fn read(path: &str) -> io::Result<Vec<u8>> {
    let not_it = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    if !fs::metadata(path)?.is_file() {
        return not_it("it is not a file");
    }
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(PEM_BYTES.saturating_add(1))
        .read_to_end(&mut text)?;
    match text.len() as u64 > PEM_BYTES {
        true => not_it("it is too large for certificates"),
        false => Ok(text),
    }
}

/// A client certificate with its key.
fn certified(chain: Vec<CertificateDer<'static>>, key: &Secret) -> Result<CertifiedKey, Fault> {
    let fault = |what: &str| Fault::new(SSL_KEY, format!("`{SSL_KEY}`: {what}"));
    let text = key.expose();
    if text.contains("ENCRYPTED") {
        return Err(fault(
            "the key is encrypted with a passphrase; write it without (`openssl pkey -in key.pem`) and keep it in a key store",
        ));
    }
    // No error of a parser is shown: it could hold a part of the key.
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| fault("it holds no private key in PEM form"))?;
    let key = verify::provider()
        .key_provider
        .load_private_key(der)
        .map_err(|_| {
            fault("it is of a kind that cannot be used; RSA, ECDSA (P-256, P-384) and Ed25519 can")
        })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(fault("it is not the key of the certificate in `ssl_cert`"))
        }
        _ => Ok(certified),
    }
}

/// Shows the client certificate to a server that asks for one.
#[derive(Debug)]
struct Client(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Client {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Whoever the server says it trusts: it knows its reasons, and says so when it refuses.
        self.0
            .clone()
            .filter(|certified| certified.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
