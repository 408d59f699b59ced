//! The client key is used and never held, as the password is: not in a guest's memory, not in a
//! log, not in an error.

use std::error::Error as _;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dagflux_host::{ConnectOptions, Error, ErrorKind, Host};
use dagflux_test_support::{
    Certificates, Identity, SERVER_NAME, Server, ServerCertificate, ServerOptions, connector_path,
};

use super::Way;
use crate::capture::Capture;
use crate::fixture;
use crate::memory::Memories;

const LOGIN: &str = "moss_grown_keyholder";
const PASSWORD: &str = "correct-horse-Battery-staple-4077";

/// Every line of the key's text, and the key itself in pieces that no other data has.
fn pieces(key: &Identity) -> Result<Vec<Vec<u8>>> {
    let lines: Vec<&str> = key
        .key
        .lines()
        .filter(|line| !line.starts_with("-----") && line.len() > 8)
        .collect();
    let der = BASE64_STANDARD.decode(lines.concat())?;
    // Past the header that every key of its kind begins with. The public half, in the end, is
    // in the certificate as well.
    let private = der.get(36..68).context("a key of another kind")?.to_vec();
    let mut pieces: Vec<Vec<u8>> = lines.into_iter().map(|line| line.into()).collect();
    // The last line holds the end of the public half only.
    pieces.pop();
    pieces.push(private);
    pieces.push(PASSWORD.into());
    Ok(pieces)
}

fn said(error: &Error) -> String {
    let mut text = format!(
        "{error} {error:?} {} {:?} {:?}",
        error.to_json(),
        error.detail(),
        error.hint()
    );
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn no_one_gets_to_see_the_client_key() -> Result<()> {
    let authorities = Certificates::new()?;
    let options = ServerOptions::new()
        .with_tls(authorities.server(ServerCertificate::Good)?)
        .with_client_root(authorities.client_root())
        .with_hba_line("hostssl all all all scram-sha-256 clientcert=verify-full");
    let server = Server::start(&options).await?;
    let database = server.database("keyholder").await?;
    database
        .sql()
        .await?
        .batch_execute(&format!("CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'"))
        .await?;
    let key = authorities.client(LOGIN)?;
    let pieces = pieces(&key)?;
    let way = Way::to(&database)
        .at(SERVER_NAME)
        .logging_in(LOGIN, PASSWORD)
        .with_secret("host_address", server.host())
        .with("use_ssl", true)
        .with("ssl_ca", authorities.root())
        .with("ssl_cert", key.certificate.as_str())
        .with_secret("ssl_key", &key.key);

    let capture = Capture::begin();
    let memories = Arc::new(Memories::default());
    let host = Host::builder().guest_memory(memories.clone()).build()?;
    let connector = host.load(connector_path("postgres")?).await?;
    let connect = |way: Way| {
        let (config, secrets) = (way.config.clone(), way.secrets());
        let connector = connector.clone();
        async move {
            let options = ConnectOptions::default();
            connector.connect(config, secrets, options).await
        }
    };
    let mut connection = connect(way.clone()).await.context("connecting")?;
    let rows = connection
        .query("SELECT 'needle in a ' || 'haystack' AS hay")
        .await?;
    assert_eq!(fixture::count(rows).await?, 1);
    connection.canceller().cancel().await?;
    let debugged = format!(
        "{connection:?} {connector:?} {:?} {:?}",
        way.config,
        way.secrets()
    );
    connection.close().await?;
    // What the guest did get is there: the right memories are being searched.
    assert!(memories.count(b"needle in a haystack") > 0);
    for name in [SERVER_NAME, server.host()] {
        assert_eq!(memories.count(name.as_bytes()), 0, "{name}");
    }
    for piece in &pieces {
        let text = String::from_utf8_lossy(piece);
        assert_eq!(memories.count(piece), 0, "{text}");
        assert!(!debugged.contains(&*text), "{text}");
    }

    let another = authorities.client("another")?;
    let unknown = authorities.unknown_client(LOGIN)?;
    let mut failures = Vec::new();
    for (wrong, kind) in [
        (
            way.clone().with_secret("ssl_key", &another.key),
            ErrorKind::Configuration,
        ),
        (
            way.clone()
                .with_secret("ssl_key", &format!("ENCRYPTED {}", key.key)),
            ErrorKind::Configuration,
        ),
        (
            way.clone()
                .with("ssl_cert", unknown.certificate.as_str())
                .with_secret("ssl_key", &unknown.key),
            ErrorKind::Tls,
        ),
        (
            way.clone().logging_in(LOGIN, "wrong"),
            ErrorKind::Authentication,
        ),
        (way.clone().at("elsewhere.test"), ErrorKind::Tls),
        (
            way.clone().with("ssl_ca", another.certificate.as_str()),
            ErrorKind::Tls,
        ),
        (
            way.clone().with("ssl_ca", key.key.as_str()),
            ErrorKind::Configuration,
        ),
    ] {
        let error = connect(wrong).await.err().context("it was let in")?;
        assert_eq!(error.kind(), kind, "{error}");
        let machines = format!("{error:?} {}", error.to_json());
        for name in [SERVER_NAME, LOGIN, "elsewhere.test", server.host()] {
            assert!(!machines.contains(name), "{name} is in {machines}");
        }
        failures.push(said(&error));
    }
    let log = capture.text();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    for name in [SERVER_NAME, LOGIN, "elsewhere.test", server.host()] {
        assert!(!log.contains(name), "{name} is in {log}");
    }
    for piece in &pieces {
        let text = String::from_utf8_lossy(piece);
        assert!(!log.contains(&*text), "{text} is in {log}");
        for failure in &failures {
            assert!(!failure.contains(&*text), "{text} is in {failure}");
        }
    }
    Ok(())
}
