//! A real server behind a network that fails.
//!
//! Without encryption, what cannot be told from what the server meant to say stays unnoticed: a
//! flipped bit within a number is another number. Frames, counts of columns and rows, and the
//! order of messages are checked. With encryption every change is noticed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dagflux_host::{Config, ConnectOptions, Connector, Error, ErrorKind, Secrets};
use dagflux_test_support::proxy::Direction::{ToClient, ToServer};
use dagflux_test_support::proxy::{Action, Plan, Proxy};
use dagflux_test_support::{
    Certificates, Database, SERVER_NAME, Server, ServerCertificate, ServerOptions,
};

use super::case::{self, Work};
use crate::fixture;

const PATIENCE: Duration = Duration::from_secs(60);

const TABLE: &str = "CREATE TABLE small (id integer, name text);
    INSERT INTO small VALUES (1, 'one'), (2, NULL), (3, 'three');
    GRANT ALL ON small TO dagflux";

/// Reads the table through a proxy with this plan; how many bytes came, of connecting and in all.
async fn read(
    connector: &Connector,
    server: &Server,
    (config, secrets): (Config, Secrets),
    plan: Plan,
) -> Result<(dagflux_host::Result<usize>, u64, u64)> {
    let plans = move |number| match number {
        0 => plan.clone(),
        _ => Plan::clean(),
    };
    let proxy = Proxy::start(server.port(), plans).await?;
    let config = config.with("port", proxy.port());
    let doing = async {
        let options = ConnectOptions::default();
        let mut connection = match connector.connect(config, secrets, options).await {
            Ok(connection) => connection,
            Err(error) => return (Err(error), 0),
        };
        let before = proxy.passed(0, ToClient);
        (
            case::work(Work::Read, "small", &mut connection).await,
            before,
        )
    };
    let done = tokio::time::timeout(PATIENCE, doing).await;
    let (outcome, before) = done.context("it hangs")?;
    Ok((outcome, before, proxy.passed(0, ToClient)))
}

fn in_the_clear(database: &Database<'_>) -> (Config, Secrets) {
    (fixture::config(database), fixture::secrets(database))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_only_slow() -> Result<()> {
    let database = fixture::database("faults_slow").await?;
    database.sql().await?.batch_execute(TABLE).await?;
    let connector = case::connector(case::impatient()).await?;
    let brief = Duration::from_millis(300);
    for plan in [
        Plan::clean()
            .with(ToClient, 0, Action::Drip(Duration::ZERO))
            .with(ToServer, 0, Action::Drip(Duration::ZERO)),
        Plan::clean()
            .with(ToClient, 10, Action::Delay(brief))
            .with(ToServer, 300, Action::Delay(brief))
            .with(ToClient, 900, Action::Delay(brief)),
    ] {
        let way = in_the_clear(&database);
        let (outcome, ..) = read(&connector, database.server(), way, plan).await?;
        assert_eq!(outcome?, 3);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_breaks_is_an_error() -> Result<()> {
    let database = fixture::database("faults_broken").await?;
    database.sql().await?.batch_execute(TABLE).await?;
    let connector = case::connector(case::impatient()).await?;
    let server = database.server();
    let clean = read(&connector, server, in_the_clear(&database), Plan::clean()).await?;
    assert_eq!(clean.0?, 3);
    let (begin, end) = (clean.1, clean.2);
    for (direction, action, kind) in [
        (ToClient, Action::Reset, ErrorKind::ConnectionLost),
        (ToClient, Action::HalfClose, ErrorKind::ConnectionLost),
        (ToServer, Action::HalfClose, ErrorKind::ConnectionLost),
        (ToServer, Action::Reset, ErrorKind::ConnectionLost),
        (ToClient, Action::Stall, ErrorKind::WallTimeLimit),
    ] {
        let at = match direction {
            ToClient => end - 40,
            ToServer => 900,
        };
        let plan = Plan::clean().with(direction, at, action);
        let (outcome, ..) = read(&connector, server, in_the_clear(&database), plan).await?;
        let error = outcome
            .err()
            .with_context(|| format!("{action:?} is a success"))?;
        ensure!(error.kind() == kind, "{direction:?} {action:?}: {error:?}");
    }
    // Bytes that come twice, wherever, are never more rows, or fewer.
    for at in (begin..end).step_by(23) {
        let plan = Plan::clean().with(ToClient, at, Action::Duplicate(17));
        let (outcome, ..) = read(&connector, server, in_the_clear(&database), plan).await?;
        ensure!(
            outcome.as_ref().map_or(true, |rows| *rows == 3),
            "{at}: {outcome:?}"
        );
    }
    Ok(())
}

/// In the clear a value may become another one; nothing hangs, and nothing crashes.
#[tokio::test(flavor = "multi_thread")]
async fn bits_that_flip_do_no_harm() -> Result<()> {
    let database = fixture::database("faults_flipped").await?;
    database.sql().await?.batch_execute(TABLE).await?;
    let connector = case::connector(case::impatient()).await?;
    let server = database.server();
    let (outcome, begin, end) =
        read(&connector, server, in_the_clear(&database), Plan::clean()).await?;
    assert_eq!(outcome?, 3);
    for at in (begin..end).step_by(19) {
        let plan = Plan::clean().with(ToClient, at, Action::Corrupt(0x01));
        let (outcome, ..) = read(&connector, server, in_the_clear(&database), plan).await?;
        match outcome {
            Ok(rows) => ensure!(rows == 3, "{at}: {rows} rows"),
            Err(error) => ensure!(error.kind() != ErrorKind::Trap, "{at}: {error:?}"),
        }
    }
    Ok(())
}

/// Whatever becomes of the network during a write, the rows are there or they are not, as it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_whole_or_nothing() -> Result<()> {
    let database = fixture::database("faults_writes").await?;
    let admin = database.sql().await?;
    let connector = case::connector(case::impatient()).await?;
    let server = database.server();
    let mut tried = 0;
    for (direction, action) in [
        (ToServer, Action::Reset),
        (ToServer, Action::HalfClose),
        (ToServer, Action::Duplicate(5)),
        (ToClient, Action::Reset),
        (ToClient, Action::HalfClose),
        (ToClient, Action::Duplicate(5)),
    ] {
        // From the middle of what is asked of the table up to the COMMIT.
        for at in [1_500, 4_000, 6_000, 7_000, 7_500, 8_000] {
            let table = format!("written_{tried}");
            admin.batch_execute(&TABLE.replace("small", &table)).await?;
            let plan = Plan::clean().with(direction, at, action);
            let proxy = Proxy::start(server.port(), move |number| match number {
                0 => plan.clone(),
                _ => Plan::clean(),
            })
            .await?;
            let (config, secrets) = in_the_clear(&database);
            let config = config.with("port", proxy.port());
            let doing = async {
                let options = ConnectOptions::default();
                let mut connection = connector.connect(config, secrets, options).await?;
                case::work(Work::Write, &table, &mut connection).await
            };
            let outcome = tokio::time::timeout(PATIENCE, doing)
                .await
                .context("it hangs")?;
            let sql = format!("SELECT count(*) FROM {table}");
            let rows: i64 = admin.query_one(&sql, &[]).await?.get(0);
            let expected: &[i64] = match &outcome {
                Ok(_) => &[103],
                Err(error) if error.kind() == ErrorKind::OutcomeUnknown => &[3, 103],
                Err(error) => {
                    ensure!(error.kind() != ErrorKind::Trap, "{error:?}");
                    &[3]
                }
            };
            ensure!(
                expected.contains(&rows),
                "{direction:?} {action:?} at {at}: {rows} rows, {outcome:?}"
            );
            tried += 1;
        }
    }
    Ok(())
}

/// With encryption, whatever is changed on the way is an error.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_unnoticed_with_encryption() -> Result<()> {
    let certificates = Certificates::new()?;
    let options = ServerOptions::new().with_tls(certificates.server(ServerCertificate::Good)?);
    let server = Server::start(&options).await?;
    let database = server.database("faults_tls").await?;
    database.sql().await?.batch_execute(TABLE).await?;
    let root = tempfile::NamedTempFile::new()?;
    std::fs::write(root.path(), certificates.root())?;
    let way = || {
        let config = fixture::config(&database)
            .with("use_ssl", true)
            .with("ssl_ca", root.path().display().to_string());
        let secrets = fixture::secrets(&database)
            .with("host", SERVER_NAME)
            .with("host_address", "127.0.0.1");
        (config, secrets)
    };
    let connector = case::connector(case::impatient()).await?;
    let (outcome, _, end) = read(&connector, &server, way(), Plan::clean()).await?;
    assert_eq!(outcome?, 3);
    let mut tried = 0;
    for action in [
        Action::Corrupt(0x01),
        Action::Corrupt(0x80),
        Action::Duplicate(9),
    ] {
        // The length of the handshake is not always the same; the last bytes may not be there.
        for at in (0..end - 40).step_by(97) {
            let plan = Plan::clean().with(ToClient, at, action);
            let (outcome, ..) = read(&connector, &server, way(), plan).await?;
            let error: Error = outcome
                .err()
                .with_context(|| format!("{action:?} at {at} of {end} is a success"))?;
            ensure!(error.kind() != ErrorKind::Trap, "{error:?}");
            tried += 1;
        }
    }
    println!("{tried} changes, each an error");
    Ok(())
}
