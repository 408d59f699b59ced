//! The password is used and never held: not in a guest's memory, not in a log, not in an
//! error. Host and login name are in errors, for the person who connects, and nowhere else.

use std::error::Error as _;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dagflux_host::{Config, ConnectOptions, Connection, Error, ErrorKind, Host, Secrets};
use dagflux_test_support::{Database, PasswordMethod, Server, ServerOptions, connector_path};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::capture::Capture;
use crate::fixture;
use crate::hostile;
use crate::memory::Memories;

/// Unlike anything else that is in a log, an error or a memory.
const LOGIN: &str = "moss_grown_login";
const PASSWORD: &str = "correct-horse-Battery-staple-7391";
const HOST: &str = "localhost";

/// What can be made of the password, by what it is.
type Derived = Vec<(&'static str, Vec<u8>)>;

/// A login of its own, so that its name and password stand out.
async fn login(database: &Database<'_>) -> Result<()> {
    let admin = database.sql().await?;
    admin
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS {LOGIN}; CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}';"
        ))
        .await?;
    Ok(())
}

fn secrets(password: &str) -> Secrets {
    Secrets::new()
        .with("host", HOST)
        .with("username", LOGIN)
        .with("password", password)
}

/// What the server keeps of the password: `pg_authid.rolpassword`.
async fn verifier(database: &Database<'_>) -> Result<String> {
    let row = database
        .sql()
        .await?
        .query_one(
            "SELECT rolpassword FROM pg_authid WHERE rolname = $1",
            &[&LOGIN],
        )
        .await?;
    Ok(row.get(0))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// RFC 5802, section 3, from the iterations and the salt that the server keeps. That the
/// results are the right ones is checked against what else it keeps.
fn derived(verifier: &str) -> Result<Derived> {
    let rest = verifier
        .strip_prefix("SCRAM-SHA-256$")
        .context("not a SCRAM verifier")?;
    let (parameters, keys) = rest.split_once('$').context("no keys")?;
    let (iterations, salt) = parameters.split_once(':').context("no salt")?;
    let (stored, server) = keys.split_once(':').context("no server key")?;
    let salt = BASE64_STANDARD.decode(salt)?;
    let mut block = hmac(
        PASSWORD.as_bytes(),
        &[salt.as_slice(), &[0, 0, 0, 1]].concat(),
    );
    let mut salted = block.clone();
    for _ in 1..iterations.parse()? {
        block = hmac(PASSWORD.as_bytes(), &block);
        salted
            .iter_mut()
            .zip(&block)
            .for_each(|(sum, byte)| *sum ^= byte);
    }
    let client_key = hmac(&salted, b"Client Key");
    let stored_key = Sha256::digest(&client_key).to_vec();
    let server_key = hmac(&salted, b"Server Key");
    assert_eq!(BASE64_STANDARD.encode(&stored_key), stored);
    assert_eq!(BASE64_STANDARD.encode(&server_key), server);
    Ok(vec![
        ("password", PASSWORD.into()),
        ("salted password", salted),
        ("client key", client_key),
        ("stored key", stored_key),
        ("server key", server_key),
    ])
}

/// How often the secrets are in memory, as they are, in hexadecimal or in Base64.
fn found(memories: &Memories, secrets: &Derived) -> Vec<(&'static str, usize)> {
    let (count, bytes) = memories.size();
    assert!(
        count > 0 && bytes > 1024 * 1024,
        "{count} memories of {bytes} bytes"
    );
    let spellings = |secret: &[u8]| {
        let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = BASE64_STANDARD.encode(secret);
        [
            secret.to_vec(),
            hexadecimal.into_bytes(),
            base64.into_bytes(),
        ]
    };
    let count = |secret: &[u8]| spellings(secret).iter().map(|s| memories.count(s)).sum();
    secrets
        .iter()
        .map(|(name, secret)| (*name, count(secret)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// A host whose guests' memory can be looked into.
fn host() -> Result<(Host, Arc<Memories>)> {
    let memories = Arc::new(Memories::default());
    let host = Host::builder().guest_memory(memories.clone()).build()?;
    Ok((host, memories))
}

async fn use_and_search(
    mut connection: Connection,
    memories: &Memories,
    secrets: &Derived,
) -> Result<()> {
    assert_eq!(found(memories, secrets), [], "after the login");
    let rows = connection
        .query("SELECT 'needle in a ' || 'haystack' AS hay")
        .await?;
    assert_eq!(fixture::count(rows).await?, 1);
    assert_eq!(found(memories, secrets), [], "after a query");
    // What the guest did get is there: the right memories are being searched.
    assert!(memories.count(b"needle in a haystack") > 0);
    assert!(memories.count(LOGIN.as_bytes()) > 0);
    assert_eq!(
        memories.count(HOST.as_bytes()),
        0,
        "the host's name is an alias"
    );
    connection.canceller().cancel().await?;
    connection.close().await?;
    assert_eq!(found(memories, secrets), [], "after the end");
    Ok(())
}

#[tokio::test]
async fn the_guest_never_holds_the_password() -> Result<()> {
    let database = fixture::database("secrecy_memory").await?;
    login(&database).await?;
    let secrets_of_login = derived(&verifier(&database).await?)?;
    let (host, memories) = host()?;
    let connection = host
        .load(connector_path("postgres")?)
        .await?
        .connect(
            fixture::config(&database),
            secrets(PASSWORD),
            ConnectOptions::default(),
        )
        .await?;
    use_and_search(connection, &memories, &secrets_of_login).await
}

#[tokio::test]
async fn nor_does_it_in_an_md5_login() -> Result<()> {
    let options = ServerOptions::new().with_password_method(PasswordMethod::Md5);
    let server = Server::start(&options).await?;
    let database = server.database("secrecy_md5").await?;
    login(&database).await?;
    let verifier = verifier(&database).await?;
    let inner = verifier
        .strip_prefix("md5")
        .context("not an MD5 verifier")?;
    let secrets_of_login = vec![
        ("password", PASSWORD.into()),
        ("inner digest", inner.into()),
    ];
    let (host, memories) = host()?;
    let connection = host
        .load(connector_path("postgres")?)
        .await?
        .connect(
            fixture::config(&database),
            secrets(PASSWORD),
            ConnectOptions::default(),
        )
        .await?;
    use_and_search(connection, &memories, &secrets_of_login).await
}

#[tokio::test]
async fn a_guest_that_is_handed_the_password_is_found_out() -> Result<()> {
    let (host, memories) = host()?;
    let connector = hostile::connector_in(&host).await?;
    let config = Config::new().with("port", 1_u16).with("keep", PASSWORD);
    let secrets_of_login = vec![("password", PASSWORD.into())];
    let mut connection = connector
        .connect(config, secrets("another"), ConnectOptions::default())
        .await?;
    connection.execute("ping").await?;
    let found = found(&memories, &secrets_of_login);
    assert!(matches!(found.as_slice(), [("password", 1..)]), "{found:?}");
    Ok(())
}

/// Everything an error says but its sentences: for logs and machines.
fn unsaid(error: &Error) -> String {
    format!("{error:?} {} {}", error.to_json(), error.redacted())
}

/// Everything an error says.
fn said(error: &Error) -> String {
    let mut text = format!("{error} {:?} {:?}", error.detail(), error.hint());
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[track_caller]
fn assert_secret(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in: {text}");
    }
}

#[tokio::test]
async fn no_log_and_no_error_tells_a_secret() -> Result<()> {
    const WRONG: &str = "wrong-horse-Battery-staple-1937";
    let database = fixture::database("secrecy_text").await?;
    login(&database).await?;
    let capture = Capture::begin();
    let connector = fixture::postgres().await?;
    let connect = |config: Config, password| {
        connector.connect(config, secrets(password), ConnectOptions::default())
    };

    let error = connect(fixture::config(&database), WRONG)
        .await
        .expect_err("the password is wrong");
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains(LOGIN), "{error}");
    assert_secret(&said(&error), &[PASSWORD, WRONG]);
    assert_secret(
        &unsaid(&error),
        &[PASSWORD, WRONG, LOGIN, HOST, "127.0.0.1"],
    );

    let closed = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let config = fixture::config(&database).with("port", closed);
    let error = connect(config, PASSWORD).await.expect_err("no one listens");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains(HOST), "{error}");
    assert_secret(&said(&error), &[PASSWORD]);
    assert_secret(&unsaid(&error), &[PASSWORD, LOGIN, HOST, "127.0.0.1"]);

    let mut connection = connect(fixture::config(&database), PASSWORD).await?;
    let sql = format!("SELECT current_user, inet_server_addr(), '{LOGIN}' FROM no_such_table");
    let error = match connection.query(&sql).await {
        Ok(_) => panic!("there is no such table"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
    assert_secret(&said(&error), &[PASSWORD]);
    let sql = format!(
        "DO $$ BEGIN RAISE EXCEPTION 'for {LOGIN} at {HOST}' USING HINT = '{LOGIN}'; END $$"
    );
    let error = connection.execute(&sql).await.expect_err("it raises");
    assert!(error.to_string().contains(LOGIN), "{error}");
    assert_secret(&unsaid(&error), &[LOGIN, HOST]);
    assert_secret(
        &format!("{connection:?} {connector:?} {:?}", connection.canceller()),
        &[LOGIN, HOST],
    );
    connection.close().await?;

    // A guest that says what it must not: the crash and the log are redacted.
    let hostile = hostile::connector().await?;
    let mut connection = hostile
        .connect(
            fixture::config(&database),
            secrets(PASSWORD),
            ConnectOptions::default(),
        )
        .await?;
    connection
        .execute(&format!("print I know {LOGIN} at {HOST}"))
        .await?;
    let error = connection
        .execute(&format!("panic {LOGIN}"))
        .await
        .expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Trap);
    assert_secret(&unsaid(&error), &[LOGIN, HOST]);

    let log = capture.text();
    assert!(log.contains("I know [username] at [host]"), "{log}");
    assert_secret(&log, &[PASSWORD, WRONG, LOGIN, HOST, "127.0.0.1"]);
    Ok(())
}
