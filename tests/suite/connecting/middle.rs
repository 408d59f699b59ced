//! Somebody in the middle: whatever they do, the connection is refused, and nothing of the
//! login has been sent.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dagflux_host::{Error, ErrorKind};
use dagflux_test_support::{
    Certificates, Database, Identity, SERVER_NAME, Server, ServerCertificate, ServerOptions,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, TlsConnector};

use super::Way;
use crate::assertions::{failure, still_works};
use crate::{fixture, hostile};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Unlike anything else that passes.
const LOGIN: &str = "moss_grown_middle";
const PASSWORD: &str = "correct-horse-Middle-staple-4711";
const DATABASE: &str = "rain_washed_middle";

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

    /// Nothing but the request for encryption, for each connection there was; behind it,
    /// TLS at most, in which nothing readable is.
    #[track_caller]
    fn nothing_of_a_login(&self) {
        let heard = self.bytes();
        assert!(heard.starts_with(&SSL_REQUEST), "not even asked: {heard:?}");
        for secret in [LOGIN, PASSWORD, DATABASE, "user", "SCRAM"] {
            let found = heard
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} was heard");
        }
    }

    /// Nothing but the request for encryption.
    #[track_caller]
    fn only_the_request(&self) {
        assert_eq!(self.bytes(), SSL_REQUEST);
    }
}

/// Somebody who takes connections and does as told with each.
struct Middle {
    port: u16,
    heard: Heard,
    task: JoinHandle<()>,
}

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
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that hangs up is what this is about.
                tokio::spawn(act(stream, told.clone()));
            }
        });
        Ok(Self { port, heard, task })
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

/// A server with TLS, a login of its own, and the authority to verify it by.
struct Stage {
    certificates: Certificates,
    server: Server,
    root: tempfile::NamedTempFile,
}

impl Stage {
    async fn new() -> Result<Self> {
        let certificates = Certificates::new()?;
        let options = ServerOptions::new().with_tls(certificates.server(ServerCertificate::Good)?);
        let server = Server::start(&options).await?;
        let database = server.database(DATABASE).await?;
        database
            .sql()
            .await?
            .batch_execute(&format!("CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'"))
            .await?;
        let root = tempfile::NamedTempFile::new()?;
        std::fs::write(root.path(), certificates.root())?;
        Ok(Self {
            certificates,
            server,
            root,
        })
    }

    /// With Use SSL on.
    fn way(&self) -> Way {
        self.in_the_open()
            .with("use_ssl", true)
            .with("ssl_ca", self.root.path().display().to_string())
    }

    /// In a mode by name, without an authority.
    fn in_mode(&self, mode: &str) -> Way {
        self.in_the_open().with("ssl_mode", mode)
    }

    fn in_the_open(&self) -> Way {
        let config = dagflux_host::Config::new()
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

    /// The configuration of a server with this certificate.
    fn acceptor(&self, identity: &Identity) -> Result<TlsAcceptor> {
        let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A client that trusts the authority.
    fn connector(&self) -> Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        let root = self.certificates.root();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
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

/// Without anybody in the middle, and with somebody who only listens, it works: so it is
/// not for another reason that the rest fails.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_listens_hears_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let port = stage.server.port();
    let middle = Middle::start(move |mut client, heard| async move {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut from_server, mut to_server) = server.split();
        let (mut from_client, mut to_client) = client.split();
        let listen = async {
            loop {
                let bytes = heard.read(&mut from_client, 4096).await?;
                if bytes.is_empty() {
                    return anyhow::Ok(());
                }
                to_server.write_all(&bytes).await?;
            }
        };
        let (heard, _) = tokio::join!(listen, tokio::io::copy(&mut from_server, &mut to_client));
        heard
    })
    .await?;
    for way in strict(&stage) {
        let mut connection = middle.on(&way).connect().await?;
        still_works(&mut connection).await;
    }
    middle.heard.nothing_of_a_login();
    // What it would hear without encryption.
    let open = middle.on(&stage.in_the_open()).attempt().await?;
    assert!(open.is_ok(), "the server takes both");
    let heard = middle.heard.bytes();
    assert!(heard.windows(LOGIN.len()).any(|it| it == LOGIN.as_bytes()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_said_not_to_be_offered() -> Result<()> {
    let stage = Stage::new().await?;
    for way in strict(&stage) {
        let middle = Middle::start(|mut client, heard| async move {
            request(&mut client, &heard).await?;
            client.write_all(b"N").await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
        let text = error.to_string();
        assert!(text.contains("does not offer encryption"), "{text}");
        middle.heard.only_the_request();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_swapped() -> Result<()> {
    let stage = Stage::new().await?;
    for (kind, words) in [
        (ServerCertificate::UnknownAuthority, "was issued by"),
        (ServerCertificate::SelfSigned, "has signed itself"),
        (ServerCertificate::WrongName, "other.test"),
        (ServerCertificate::Expired, "expired on 2020-01-31"),
        (
            ServerCertificate::NotYetValid,
            "not valid before 2090-01-01",
        ),
        (ServerCertificate::CommonNameOnly, "names no host"),
    ] {
        let acceptor = stage.acceptor(&stage.certificates.server(kind)?)?;
        let middle = Middle::start(move |mut client, heard| {
            let acceptor = acceptor.clone();
            async move {
                request(&mut client, &heard).await?;
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                heard.rest(&mut client).await;
                Ok(())
            }
        })
        .await?;
        let error = refused(&middle.on(&stage.way()), ErrorKind::Tls).await?;
        let text = error.to_string();
        assert!(text.contains(words), "{kind:?}: {text}");
        middle.heard.only_the_request();
    }
    Ok(())
}

/// CVE-2021-23222 and CVE-2021-23214: what is put in before the handshake is not taken for
/// something that came through it.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_put_in_before_the_handshake() -> Result<()> {
    const AUTHENTICATION_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    const ERROR: &[u8] = b"E\0\0\0\x1dSFATAL\0C28000\0Mput in\0\0\0\0\0";
    let stage = Stage::new().await?;
    let good = stage.acceptor(&stage.certificates.server(ServerCertificate::Good)?)?;
    for put_in in [AUTHENTICATION_OK, CLEARTEXT, ERROR, b"S"] {
        for at_once in [true, false] {
            for way in strict(&stage) {
                let acceptor = good.clone();
                let middle = Middle::start(move |mut client, heard| {
                    let acceptor = acceptor.clone();
                    async move {
                        client.set_nodelay(true)?;
                        request(&mut client, &heard).await?;
                        if at_once {
                            client.write_all(&[b"S", put_in].concat()).await?;
                        } else {
                            client.write_all(b"S").await?;
                            client.write_all(put_in).await?;
                        }
                        // The server's own certificate: all is well, if this is let through.
                        let mut client = acceptor.accept(client).await?;
                        heard.rest(&mut client).await;
                        Ok(())
                    }
                })
                .await?;
                let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
                let text = format!("{error} {:?} {:?}", error.detail(), error.hint());
                assert!(!text.contains("put in\0"), "{text}");
                assert!(error.sqlstate().is_none(), "it was believed: {error:?}");
                middle.heard.only_the_request();
            }
        }
    }
    Ok(())
}

/// Nobody has proved who they are yet, so what they say is not repeated (CVE-2024-10977).
#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_answered_with_an_error() -> Result<()> {
    let stage = Stage::new().await?;
    for way in strict(&stage) {
        let middle = Middle::start(|mut client, heard| async move {
            request(&mut client, &heard).await?;
            let text = b"SFATAL\0C28P01\0Mcall 555-0100 for help\0\0";
            let mut error = vec![b'E'];
            error.extend_from_slice(&(text.len() as u32 + 4).to_be_bytes());
            error.extend_from_slice(text);
            client.write_all(&error).await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
        let text = format!("{error} {:?} {:?} {error:?}", error.detail(), error.hint());
        assert!(!text.contains("555-0100"), "{text}");
        middle.heard.only_the_request();
    }
    Ok(())
}

/// The line is cut, at every stage of the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_cut() -> Result<()> {
    let stage = Stage::new().await?;
    let port = stage.server.port();
    for after in [1, 3, 100, 700] {
        let middle = Middle::start(move |mut client, heard| async move {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            let (mut from_server, mut to_server) = server.split();
            let (mut from_client, mut to_client) = client.split();
            let there = async {
                loop {
                    let bytes = heard.read(&mut from_client, 4096).await?;
                    if bytes.is_empty() {
                        return anyhow::Ok(());
                    }
                    to_server.write_all(&bytes).await?;
                }
            };
            let back = async {
                let mut first = (&mut from_server).take(after);
                tokio::io::copy(&mut first, &mut to_client).await
            };
            // Then both lines are dropped.
            tokio::select! {
                _ = there => {}
                _ = back => {}
            }
            Ok(())
        })
        .await?;
        let error = refused(&middle.on(&stage.way()), ErrorKind::Tls).await?;
        let text = error.to_string();
        assert!(text.contains("handshake"), "after {after}: {text}");
        middle.heard.nothing_of_a_login();
    }
    // Before there was any answer.
    let middle =
        Middle::start(|mut client, heard| async move { request(&mut client, &heard).await })
            .await?;
    refused(&middle.on(&stage.way()), ErrorKind::ConnectionLost).await?;
    middle.heard.only_the_request();
    Ok(())
}

/// Who never answers is not waited for, and the error says what was waited for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_answered() -> Result<()> {
    let stage = Stage::new().await?;
    for (answer, kind, words) in [
        (b"".as_slice(), ErrorKind::ConnectTimeout, "encryption"),
        (b"S".as_slice(), ErrorKind::Tls, "handshake"),
    ] {
        let middle = Middle::start(move |mut client, heard| async move {
            request(&mut client, &heard).await?;
            client.write_all(answer).await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let way = middle.on(&stage.way()).with("connect_timeout", 1_i64);
        let error = refused(&way, kind).await?;
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        middle.heard.nothing_of_a_login();
    }
    // Nor to the login itself.
    let middle = Middle::start(|mut client, heard| async move {
        heard.rest(&mut client).await;
        Ok(())
    })
    .await?;
    let way = middle
        .on(&stage.in_the_open())
        .with("connect_timeout", 1_i64);
    let error = refused(&way, ErrorKind::ConnectTimeout).await?;
    let text = error.to_string();
    assert!(text.contains("login"), "{text}");
    Ok(())
}

/// One message of the protocol, with a tag.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let tag = stream.read_u8().await?;
    let length = stream.read_u32().await? as usize;
    let mut body = vec![0; length.checked_sub(4).context("a length below its own")?];
    stream.read_exact(&mut body).await?;
    Ok((tag, body))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), tag: u8, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len() + 4)?;
    let whole = [&[tag], length.to_be_bytes().as_slice(), body].concat();
    Ok(stream.write_all(&whole).await?)
}

/// Somebody with a certificate for the name, by the right authority, who stands between
/// client and server, each with TLS. With `strip`, the offer of channel binding is taken out.
async fn with_a_certificate(stage: &Stage, strip: bool) -> Result<Middle> {
    const OFFER: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    const STRIPPED: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
    let acceptor = stage.acceptor(&stage.certificates.server(ServerCertificate::Good)?)?;
    let connector = stage.connector()?;
    let port = stage.server.port();
    Middle::start(move |mut client, heard| {
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        async move {
            request(&mut client, &heard).await?;
            client.write_all(b"S").await?;
            let mut client = acceptor.accept(client).await?;
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.write_all(&SSL_REQUEST).await?;
            ensure!(server.read_u8().await? == b'S', "the server has no TLS");
            let name = ServerName::try_from(SERVER_NAME)?;
            let mut server = connector.connect(name, server).await?;
            // The startup message has no tag, and is short.
            let startup = heard.read(&mut client, 4096).await?;
            server.write_all(&startup).await?;
            server.flush().await?;
            let (tag, offer) = message(&mut server).await?;
            ensure!((tag, offer.as_slice()) == (b'R', OFFER), "{tag} {offer:?}");
            let offer = if strip { STRIPPED } else { OFFER };
            send(&mut client, tag, offer).await?;
            client.flush().await?;
            let (mut from_client, mut to_client) = tokio::io::split(client);
            let (mut from_server, mut to_server) = tokio::io::split(server);
            let there = async {
                loop {
                    let bytes = heard.read(&mut from_client, 4096).await?;
                    if bytes.is_empty() {
                        return anyhow::Ok(());
                    }
                    to_server.write_all(&bytes).await?;
                    to_server.flush().await?;
                }
            };
            let back = async {
                tokio::io::copy(&mut from_server, &mut to_client).await?;
                to_client.shutdown().await
            };
            let _ = tokio::join!(there, back);
            Ok(())
        }
    })
    .await
}

/// A login that is bound to the channel is of no use to who ends the channel.
#[tokio::test(flavor = "multi_thread")]
async fn the_login_is_passed_on() -> Result<()> {
    let stage = Stage::new().await?;
    let middle = with_a_certificate(&stage, false).await?;
    let error = refused(&middle.on(&stage.way()), ErrorKind::Authentication).await?;
    let text = format!("{error} {:?}", error.detail());
    assert!(text.contains("channel binding"), "{text}");
    Ok(())
}

/// The server hears that a client could have bound its login, and that it was not told so.
#[tokio::test(flavor = "multi_thread")]
async fn channel_binding_is_taken_out_of_the_offer() -> Result<()> {
    let stage = Stage::new().await?;
    let middle = with_a_certificate(&stage, true).await?;
    let error = refused(&middle.on(&stage.way()), ErrorKind::Authentication).await?;
    let text = format!("{error} {:?}", error.detail());
    assert!(text.contains("channel binding"), "{text}");

    // Where it is required, no exchange begins at all.
    let middle = with_a_certificate(&stage, true).await?;
    let way = stage.way().with("channel_binding", "require");
    let error = refused(&middle.on(&way), ErrorKind::Authentication).await?;
    let text = format!("{error} {:?}", error.hint());
    assert!(text.contains("channel_binding"), "{text}");
    let heard = middle.heard.bytes();
    let exchange = b"SCRAM-SHA-256";
    assert!(heard.windows(LOGIN.len()).any(|it| it == LOGIN.as_bytes()));
    assert!(!heard.windows(exchange.len()).any(|it| it == exchange));
    // And it is, with the server itself.
    let mut connection = way.connect().await?;
    still_works(&mut connection).await;
    Ok(())
}

/// A connector that has no regard for Use SSL.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_cannot_leave_encryption_out() -> Result<()> {
    let stage = Stage::new().await?;
    let connector = hostile::connector().await?;
    for (attack, request_sent) in [
        ("startup at-once", false),
        ("startup after", true),
        ("startup with", false),
        ("startup twice", true),
        ("scram password", false),
    ] {
        let middle = Middle::start(|mut client, heard| async move {
            heard.read(&mut client, 4096).await?;
            client.write_all(b"S").await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let way = middle.on(&stage.way());
        let mut connection = connector
            .connect(way.config.clone(), way.secrets(), Default::default())
            .await?;
        let got = connection.execute(attack).await?.command;
        assert!(
            got.starts_with("failed") || got == "RefusalKind::InsecureChannel",
            "{attack}: {got}"
        );
        connection.close().await?;
        let heard = middle.heard.bytes();
        let expected: &[u8] = if request_sent { &SSL_REQUEST } else { &[] };
        assert_eq!(heard, expected, "{attack}");
    }
    Ok(())
}

/// A connector that has the server prove another name than the configured one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_cannot_choose_the_name() -> Result<()> {
    let stage = Stage::new().await?;
    let connector = hostile::connector().await?;
    for (kind, name, may) in [
        (ServerCertificate::WrongName, "other.test", false),
        (ServerCertificate::WrongName, "endpoint.internal", false),
        // The host asks for the configured name, whatever the connector says.
        (ServerCertificate::Good, "other.test", true),
        (ServerCertificate::Good, "endpoint.internal", true),
    ] {
        let acceptor = stage.acceptor(&stage.certificates.server(kind)?)?;
        let middle = Middle::start(move |mut client, heard| {
            let acceptor = acceptor.clone();
            async move {
                request(&mut client, &heard).await?;
                client.write_all(b"S").await?;
                let client = LazyConfigAcceptor::new(Acceptor::default(), client).await?;
                let name = client.client_hello().server_name().map(str::to_owned);
                ensure!(
                    name.as_deref() == Some(SERVER_NAME),
                    "{name:?} was asked for"
                );
                let mut client = client.into_stream(acceptor.config().clone()).await?;
                heard.rest(&mut client).await;
                Ok(())
            }
        })
        .await?;
        let way = middle.on(&stage.way());
        let mut connection = connector
            .connect(way.config.clone(), way.secrets(), Default::default())
            .await?;
        let got = connection.execute(&format!("tls-as {name}")).await?.command;
        assert_eq!(got == "got encrypted", may, "{kind:?} as {name}: {got}");
        connection.close().await?;
        if !may {
            middle.heard.only_the_request();
        }
    }
    Ok(())
}

/// Without Use SSL nobody is kept out, which is what the tests above would look like.
#[tokio::test(flavor = "multi_thread")]
async fn without_use_ssl_everything_is_heard() -> Result<()> {
    let database: Database<'_> = fixture::database("middle_open").await?;
    let port = database.server().port();
    let middle = Middle::start(move |mut client, heard| async move {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        let startup = heard.read(&mut client, 4096).await?;
        server.write_all(&startup).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        Ok(())
    })
    .await?;
    let mut connection = middle.on(&Way::to(&database)).connect().await?;
    still_works(&mut connection).await;
    let heard = String::from_utf8_lossy(&middle.heard.bytes()).into_owned();
    assert!(heard.contains("middle_open"), "{heard}");
    Ok(())
}
