//! What a connection may move, and the little more that stops what it has begun.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dagflux_host::{ConnectOptions, Connection, ErrorKind, Limits};
use dagflux_test_support::proxy::Direction::ToServer;
use dagflux_test_support::proxy::{Plan, Proxy};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{
    Certificates, Database, SERVER_NAME, Server, ServerCertificate, ServerOptions,
};

use crate::fixture;
use crate::hostile::assert_failure;

/// The longest that a server may take to stop: it is asked again and again until then.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(
    database: &Database<'_>,
    name: &str,
    limits: Limits,
) -> dagflux_host::Result<Connection> {
    let connector = fixture::postgres().await.expect("the connector");
    let options = ConnectOptions::default()
        .with_application_name(name)
        .with_limits(limits);
    let secrets = fixture::secrets(database);
    connector
        .connect(fixture::config(database), secrets, options)
        .await
}

/// How many statements of a connection run.
async fn running(admin: &Client, name: &str) -> Result<i64> {
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'";
    Ok(admin.query_one(sql, &[&name]).await?.get(0))
}

/// Waits until that many do.
async fn until_running(admin: &Client, name: &str, count: i64) -> Result<()> {
    let waiting = async {
        while running(admin, name).await? != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.context("the server does not stop")?
}

/// The statement with which a connection has sent all that it may is stopped like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_used_up_what_may_be_sent_is_stopped() -> Result<()> {
    let database = fixture::database("servers_sent").await?;
    let admin = database.sql().await?;
    let mut measured = connect(&database, "measured", Limits::default()).await?;
    measured.execute("SELECT pg_sleep(00)").await?;
    let sent = measured.receipt().bytes_out;
    // Another name of the same length, another sleep, and not a byte more after it.
    let limits = Limits::default().with_sent(sent + 1);
    let mut connection = connect(&database, "the last", limits).await?;
    connection.execute("SELECT pg_sleep(00)").await?;
    ensure!(
        connection.receipt().bytes_out <= sent,
        "it sent more than the other"
    );
    {
        let last = connection.execute("SELECT pg_sleep(99)");
        tokio::select! {
            ended = last => anyhow::bail!("it did not sleep: {ended:?}"),
            running = until_running(&admin, "the last", 1) => running?,
        }
    }
    until_running(&admin, "the last", 0).await
}

/// A server that encrypts, and its authority.
async fn encrypted() -> Result<(Server, Certificates)> {
    let authorities = Certificates::new()?;
    let identity = authorities.server(ServerCertificate::Good)?;
    let server = Server::start(&ServerOptions::new().with_tls(identity)).await?;
    Ok((server, authorities))
}

async fn connect_encrypted(
    (database, authorities): (&Database<'_>, &Certificates),
    port: u16,
    options: ConnectOptions,
) -> dagflux_host::Result<Connection> {
    let connector = fixture::postgres().await.expect("the connector");
    let config = fixture::config(database)
        .with("port", port)
        .with("use_ssl", true)
        .with("ssl_ca", authorities.root());
    let secrets = fixture::secrets(database)
        .with("host", SERVER_NAME)
        .with("host_address", database.server().host());
    connector.connect(config, secrets, options).await
}

/// And so is the one with whose rows it has received all that it may: there is enough left for
/// another handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_used_up_what_may_be_received_is_stopped() -> Result<()> {
    let (server, authorities) = encrypted().await?;
    let database = server.database("received").await?;
    let admin = database.sql().await?;
    let options = ConnectOptions::default()
        .with_application_name("received")
        .with_limits(Limits::default().with_received(200_000));
    let way = (&database, &authorities);
    let mut connection = connect_encrypted(way, server.port(), options).await?;
    let endless =
        "SELECT repeat('x', 1000) || CASE WHEN n > 1000 THEN pg_sleep(99)::text ELSE '' END
                   FROM generate_series(1, 1000000) AS n";
    let rows = connection.query(endless).await?;
    let error = fixture::count(rows).await.expect_err("it received more");
    let words = "has received as much as it may in all";
    assert_failure(&error, ErrorKind::TransferLimit, words);
    until_running(&admin, "received", 0).await
}

/// A handshake is no way round: nothing of it is sent beyond the limit.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_count() -> Result<()> {
    let (server, authorities) = encrypted().await?;
    let database = server.database("handshakes").await?;
    for (most, passes) in [
        // The request for encryption, and nothing of the handshake.
        (8, 8..=8),
        // The first message of the handshake begins within the limit, and is the last.
        (9, 100..=2_000),
    ] {
        let proxy = Proxy::start(server.port(), |_| Plan::clean()).await?;
        let limits = Limits::default().with_sent(most);
        let options = ConnectOptions::default().with_limits(limits);
        let way = (&database, &authorities);
        let outcome = connect_encrypted(way, proxy.port(), options).await;
        let error = outcome.err().context("it was let in")?;
        let words = "has sent as much as it may in all";
        assert_failure(&error, ErrorKind::TransferLimit, words);
        let passed = proxy.passed(0, ToServer);
        assert!(passes.contains(&passed), "{passed}");
    }
    Ok(())
}
