//! Secrets that are not its own, and more of a login than one login needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use anyhow::{Context, Result};
use dagflux_host::{ConnectOptions, ErrorKind, Secret, SecretError, SecretProvider, Secrets};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::Call::Execute;
use super::End::Told;
use super::{Case, Cost, hold};
use crate::fixture;
use crate::hostile::{self, assert_failure};

const FORBIDDEN: super::End = Told("RefusalKind::Forbidden");
const UNKNOWN: super::End = Told("RefusalKind::NoSuchField");

pub const CASES: &[Case] = &[
    Case {
        name: "the password itself",
        call: Execute("reveal password"),
        end: FORBIDDEN,
        cost: Cost::LITTLE,
    },
    Case {
        name: "the server's name",
        call: Execute("reveal host"),
        end: FORBIDDEN,
        cost: Cost::LITTLE,
    },
    Case {
        name: "the key of a client certificate",
        call: Execute("reveal ssl_key"),
        end: UNKNOWN,
        cost: Cost::LITTLE,
    },
    Case {
        name: "a client certificate",
        call: Execute("reveal ssl_cert"),
        end: UNKNOWN,
        cost: Cost::LITTLE,
    },
    Case {
        name: "the server's address",
        call: Execute("reveal host_address"),
        end: UNKNOWN,
        cost: Cost::LITTLE,
    },
    Case {
        name: "a field of another form",
        call: Execute("reveal api_token"),
        end: UNKNOWN,
        cost: Cost::LITTLE,
    },
    Case {
        name: "a field that no form can have",
        call: Execute("reveal ../password"),
        end: UNKNOWN,
        cost: Cost::LITTLE,
    },
];

#[tokio::test]
async fn secrets_of_others() -> Result<()> {
    hold(CASES).await
}

/// The most that an attack on a login costs.
fn assert_cheap(attack: &str, connection: &dagflux_host::Connection) {
    let receipt = connection.last_receipt();
    println!("{attack}: {receipt:?}");
    assert!(receipt.guest_time.as_secs() < 2, "{attack}: {receipt:?}");
    assert!(receipt.peak_memory < 160 << 20, "{attack}: {receipt:?}");
    assert!(receipt.host_calls < 1_000, "{attack}: {receipt:?}");
    assert!(receipt.bytes_out < 16 * 1024, "{attack}: {receipt:?}");
    assert!(receipt.bytes_in < 16 * 1024, "{attack}: {receipt:?}");
}

#[tokio::test]
async fn nothing_but_the_servers_challenge_is_answered() -> Result<()> {
    let database = fixture::database("guests_login").await?;
    let connector = hostile::connector().await?;
    let unexpected = "RefusalKind::UnexpectedChallenge";
    for (attack, got) in [
        ("scram-invented", unexpected),
        ("scram-invented echo", unexpected),
        ("scram-invented once", unexpected),
        ("md5-of-scram", unexpected),
        ("md5-invented", unexpected),
        ("long-challenge 62914560", unexpected),
        ("scram username", "RefusalKind::Forbidden"),
        ("scram host", "RefusalKind::Forbidden"),
        ("scram ssl_key", "RefusalKind::NoSuchField"),
        ("scram-twice", "RefusalKind::Exhausted"),
        // Sockets and logins as many as it likes: one proof.
        ("scram-again 5", "1"),
    ] {
        let mut connection = hostile::connect_to(&connector, &database, false).await?;
        assert_eq!(connection.execute(attack).await?.command, got, "{attack}");
        assert_cheap(attack, &connection);
        assert_eq!(connection.execute("ping").await?.command, "pong");
    }
    Ok(())
}

/// A cancel request goes out from a fresh instance, under the same grant: the login it
/// had is the login there is.
#[tokio::test]
async fn a_fresh_instance_has_no_login_of_its_own() -> Result<()> {
    let database = fixture::database("guests_cancel_login").await?;
    let connector = hostile::connector().await?;
    for (attack, got) in [
        ("scram password", "RefusalKind::Exhausted"),
        ("scram-invented once", "RefusalKind::Exhausted"),
        ("md5-invented", "RefusalKind::Exhausted"),
        ("scram-again 3", "0"),
        ("reveal password", "RefusalKind::Forbidden"),
    ] {
        let config = fixture::config(&database)
            .with("login", true)
            .with("keep", format!("cancel {attack}"));
        let mut connection = connector
            .connect(
                config,
                fixture::secrets(&database),
                ConnectOptions::default(),
            )
            .await?;
        for _ in 0..3 {
            let told = connection.canceller().cancel().await;
            let told = told.expect_err("it tells what it got").to_string();
            assert_eq!(told, got, "{attack}");
        }
        assert_cheap(attack, &connection);
        assert_eq!(connection.execute("ping").await?.command, "pong");
    }
    Ok(())
}

/// A keyring that is slow the first time it is asked for the password.
struct Slow {
    secrets: Secrets,
    asked: AtomicUsize,
    /// That it was asked, and that it may answer.
    was_asked: Notify,
    may_answer: Notify,
}

impl SecretProvider for Kept {
    fn secret<'a>(&'a self, field: &'a str) -> BoxFuture<'a, Result<Option<Secret>, SecretError>> {
        Box::pin(async move {
            if field == "password" && self.0.asked.fetch_add(1, SeqCst) == 0 {
                self.0.was_asked.notify_one();
                self.0.may_answer.notified().await;
            }
            self.0.secrets.secret(field).await
        })
    }
}

/// The same keyring, for a connection.
struct Kept(Arc<Slow>);

/// The password is asked for once, however many wait for it at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_waits_for_the_password_is_the_only_one() -> Result<()> {
    let database = fixture::database("guests_slow_login").await?;
    let connector = hostile::connector().await?;
    let slow = Arc::new(Slow {
        secrets: fixture::secrets(&database),
        asked: AtomicUsize::new(0),
        was_asked: Notify::new(),
        may_answer: Notify::new(),
    });
    let config = fixture::config(&database).with("keep", "cancel scram password");
    let mut connection = connector
        .connect(config, Kept(slow.clone()), ConnectOptions::default())
        .await?;
    let canceller = connection.canceller();
    let first = connection.execute("scram password");
    let second = async {
        slow.was_asked.notified().await;
        let told = canceller.cancel().await;
        slow.may_answer.notify_one();
        told
    };
    let (first, second) = tokio::join!(first, second);
    let second = second.expect_err("it tells what it got").to_string();
    assert_eq!(second, "RefusalKind::Exhausted");
    assert_eq!(first?.command, "got begun");
    assert_eq!(slow.asked.load(SeqCst), 1);
    Ok(())
}

/// A password that was not there is no login: it may be there the next time.
#[tokio::test]
async fn a_login_without_a_password_is_none() -> Result<()> {
    let database = fixture::database("guests_no_login").await?;
    let connector = hostile::connector().await?;
    let mut connection = hostile::connect_to(&connector, &database, false).await?;
    for (attack, got) in [
        ("scram host", "RefusalKind::Forbidden"),
        ("md5-of-scram", "RefusalKind::UnexpectedChallenge"),
        ("scram password", "got begun"),
        ("scram password", "RefusalKind::Exhausted"),
    ] {
        assert_eq!(connection.execute(attack).await?.command, got, "{attack}");
    }
    Ok(())
}

/// Two connections in one host, each with its own.
#[tokio::test]
async fn a_login_is_told_to_its_own_connection() -> Result<()> {
    let connector = hostile::connector().await?;
    let connect = |login: &'static str| {
        let secrets = dagflux_host::Secrets::new()
            .with("host", "127.0.0.1")
            .with("username", login);
        let config = dagflux_host::Config::new()
            .with("port", 1_u16)
            .with("database", login);
        connector.connect(config, secrets, ConnectOptions::default())
    };
    let (mut one, mut other) = (connect("one").await?, connect("other").await?);
    for (connection, login) in [(&mut one, "one"), (&mut other, "other")] {
        let got = connection.execute("reveal username").await?.command;
        assert_eq!(got, format!("got {login}"));
        let seen = connection.execute("fingerprint").await?.command;
        let config = seen.split_once("; ").context("no configuration")?.1;
        let expected = format!("database={login} host=endpoint.internal port=1 use_ssl=false");
        assert_eq!(config, expected);
    }
    Ok(())
}

/// The address is judged after the name was resolved, and however it is written.
#[tokio::test]
async fn a_server_in_a_forbidden_place_is_refused() -> Result<()> {
    let connector = hostile::connector().await?;
    for (host, reason) in [
        ("169.254.169.254", "the metadata service of a cloud"),
        (
            "[::ffff:169.254.169.254]",
            "the metadata service of a cloud",
        ),
        ("fd00:ec2::254", "the metadata service of a cloud"),
        ("100.100.100.200", "the metadata service of a cloud"),
        ("169.254.0.7", "a link-local address"),
        ("fe80::1", "a link-local address"),
        ("0.0.0.0", "not the address of a server"),
        ("224.0.0.1", "a multicast or broadcast address"),
    ] {
        let secrets = dagflux_host::Secrets::new()
            .with("host", host)
            .with("username", "nobody");
        let config = dagflux_host::Config::new()
            .with("port", 80_u16)
            .with("database", "none")
            .with("keep", "open lookup endpoint.internal");
        let mut connection = connector
            .connect(config, secrets, ConnectOptions::default())
            .await?;
        let got = connection.execute("lookup endpoint.internal").await?;
        assert_eq!(got.command, "access-denied", "{host}");
        let got = connection.execute("connect 192.0.2.1:80").await?;
        assert_eq!(got.command, "access-denied", "{host}");
        assert!(got.receipt.addresses.is_empty(), "{host}");
        // The error that a person sees says why.
        let error = connection
            .execute("startup at-once")
            .await
            .expect_err("there is no way there");
        assert_failure(&error, ErrorKind::PolicyRefused, reason);
    }
    Ok(())
}
