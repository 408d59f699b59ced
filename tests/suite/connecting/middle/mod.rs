//! Somebody in the middle: whatever they do, the connection is refused, and nothing of the
//! login has been sent.

mod connector;
mod handshake;
mod login;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{Error, ErrorKind};
use dagflux_test_support::{Certificates, Identity};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Way;
use super::stage::{DATABASE, LOGIN, PASSWORD, Stage};
use crate::assertions::failure;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What was heard of a client: every byte it sent, decrypted where that was possible.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn add(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend_from_slice(bytes);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads as the one in the middle does.
    async fn read(&self, stream: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let count = stream.read(&mut bytes).await?;
        bytes.truncate(count);
        self.add(&bytes);
        Ok(bytes)
    }

    /// Reads whatever comes until the client leaves.
    async fn rest(&self, stream: &mut (impl AsyncRead + Unpin)) {
        while matches!(self.read(stream, 4096).await, Ok(bytes) if !bytes.is_empty()) {}
    }

    /// Passes on what the client says, until it leaves, and that it does.
    async fn pass_on(
        &self,
        client: &mut (impl AsyncRead + Unpin),
        server: &mut (impl AsyncWrite + Unpin),
    ) -> Result<()> {
        loop {
            let bytes = self.read(client, 4096).await?;
            if bytes.is_empty() {
                return Ok(server.shutdown().await?);
            }
            server.write_all(&bytes).await?;
            server.flush().await?;
        }
    }

    /// Nothing but the request for encryption, for each connection there was; behind it,
    /// TLS at most, in which nothing readable is.
    #[track_caller]
    fn have_nothing_of_a_login(&self) {
        let heard = self.bytes();
        assert!(heard.starts_with(&SSL_REQUEST), "not even asked: {heard:?}");
        for secret in [LOGIN, PASSWORD, DATABASE, "user", "SCRAM"] {
            let found = heard
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} was heard");
        }
    }
}

/// Somebody who takes connections and does as told with each.
struct Middle {
    port: u16,
    heard: Heard,
    task: JoinHandle<()>,
    talks: Talks,
}

/// The connections there were, by the port of the other side.
type Talks = Arc<Mutex<Vec<(u16, JoinHandle<()>)>>>;

impl Middle {
    async fn start<F, T>(act: F) -> Result<Self>
    where
        F: Fn(TcpStream, Heard) -> T + Send + 'static,
        T: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let heard = Heard::default();
        let told = heard.clone();
        let talks = Talks::default();
        let begun = talks.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let talk = act(stream, told.clone());
                let talk = tokio::spawn(async {
                    // A client that hangs up is what this is about.
                    let _ = talk.await;
                });
                let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
                begun.push((peer.port(), talk));
            }
        });
        Ok(Self {
            port,
            heard,
            task,
            talks,
        })
    }

    /// Waits until every connection there was has come to its end, so that all there was
    /// to hear has been heard.
    async fn listen_to_the_end(&self) -> Result<()> {
        let last = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let last_port = last.local_addr()?.port();
        drop(last);
        let ended = || {
            let talks = self.talks.lock().unwrap_or_else(PoisonError::into_inner);
            let all_begun = talks.iter().any(|(port, _)| *port == last_port);
            all_begun && talks.iter().all(|(_, talk)| talk.is_finished())
        };
        let wait = async {
            while !ended() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, wait)
            .await
            .context("somebody still talks")
    }

    /// Of all connections there were, nothing of a login was heard.
    async fn heard_nothing_of_a_login(&self) -> Result<()> {
        self.listen_to_the_end().await?;
        self.heard.have_nothing_of_a_login();
        Ok(())
    }

    /// Nothing was heard but one request for encryption.
    async fn heard_only_the_request(&self) -> Result<()> {
        self.listen_to_the_end().await?;
        assert_eq!(self.heard.bytes(), SSL_REQUEST);
        Ok(())
    }

    /// The way that leads through here.
    fn on(&self, way: &Way) -> Way {
        way.clone().with("port", self.port)
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads the request for encryption.
async fn request(stream: &mut TcpStream, heard: &Heard) -> Result<()> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).await?;
    heard.add(&bytes);
    Ok(())
}

/// What a server with this certificate speaks.
fn acceptor(identity: &Identity) -> Result<TlsAcceptor> {
    Ok(TlsAcceptor::from(Arc::new(configuration(identity)?)))
}

/// The configuration of a server with this certificate.
fn configuration(identity: &Identity) -> Result<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    Ok(ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

/// One that shows the certificate of `shown` and signs with the key of `own`.
fn impostor(shown: &Identity, own: &Identity) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(shown.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes())?;
    let builder = ServerConfig::builder();
    let key = builder
        .crypto_provider()
        .key_provider
        .load_private_key(key)?;
    let certified = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certified));
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A client that trusts the authority.
fn connector(certificates: &Certificates) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let root = certificates.root();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// How connecting failed.
async fn refused(way: &Way, kind: ErrorKind) -> Result<Error> {
    let attempt = tokio::time::timeout(Duration::from_secs(60), way.attempt());
    let attempt = attempt.await.context("it waits for ever")??;
    Ok(failure(attempt, kind))
}

/// The ways that ask for encryption.
fn strict(stage: &Stage) -> Vec<Way> {
    vec![
        stage.way(),
        stage.in_mode("require"),
        stage
            .in_mode("verify-full")
            .with("ssl_ca", stage.certificates.root()),
    ]
}
