//! Trying again where nothing can have happened, and only there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{ConnectOptions, ErrorKind, Retry};
use tokio::net::{TcpListener, TcpStream};

use super::Way;
use crate::fixture;

/// Tries for so long, and counts how often it did so again.
fn counting(time: Duration) -> (ConnectOptions, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let retry = Retry::within(time).with_notice(move |again| {
        assert!(again.number >= 2 && !again.wait.is_zero());
        counted.fetch_add(1, Ordering::Relaxed);
    });
    (ConnectOptions::default().with_retry(retry), count)
}

const PATIENT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_up_is_waited_for() -> Result<()> {
    let database = fixture::database("retry_start").await?;
    let target = database.server().port();
    // A port that nothing listens on, until something does.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (mut client, _) = listener.accept().await?;
            let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        Ok::<(), std::io::Error>(())
    });
    let way = Way::to(&database).with("port", port);
    let error = way.attempt().await?.err().context("nothing listens yet")?;
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let (options, count) = counting(PATIENT);
    let connection = way.attempt_with(options).await?.context("connecting")?;
    assert!(count.load(Ordering::Relaxed) > 0);
    connection.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_is_waited_for() -> Result<()> {
    let database = fixture::database("retry_full").await?;
    let admin = database.sql().await?;
    admin
        .batch_execute(
            "DROP ROLE IF EXISTS retry_one; \
             CREATE ROLE retry_one LOGIN PASSWORD 'one' CONNECTION LIMIT 1",
        )
        .await?;
    let way = Way::to(&database).logging_in("retry_one", "one");
    let first = way.connect().await?;
    let error = way.attempt().await?.err().context("there was room")?;
    assert_eq!(error.sqlstate(), Some("53300"), "{error}");
    let leaving = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.close().await
    });
    let (options, count) = counting(PATIENT);
    let second = way.attempt_with(options).await?.context("connecting")?;
    assert!(count.load(Ordering::Relaxed) > 0);
    leaving.await??;
    second.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_lost_is_made_again_and_once() -> Result<()> {
    let database = fixture::database("retry_conflict").await?;
    let admin = database.sql().await?;
    admin
        .batch_execute(
            "CREATE TABLE t (n int); INSERT INTO t VALUES (0); GRANT ALL ON t TO dagflux; \
             ALTER DATABASE retry_conflict SET default_transaction_isolation = 'repeatable read'",
        )
        .await?;
    let (options, count) = counting(PATIENT);
    let mut connection = Way::to(&database)
        .attempt_with(options)
        .await?
        .context("connecting")?;
    // A transaction of somebody else, which ours waits for and then loses against.
    admin
        .batch_execute("BEGIN; UPDATE t SET n = n + 100")
        .await?;
    let others = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        admin.batch_execute("COMMIT").await
    };
    let (outcome, committed) = tokio::join!(connection.execute("UPDATE t SET n = n + 1"), others);
    committed?;
    assert_eq!(outcome?.rows, Some(1));
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let row = admin.query_one("SELECT n FROM t", &[]).await?;
    assert_eq!(row.get::<_, i32>(0), 101);
    connection.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_change_is_not_tried_again() -> Result<()> {
    let database = fixture::database("retry_not").await?;
    let way = Way::to(&database);
    for (way, kind) in [
        (
            way.clone().logging_in("dagflux", "wrong"),
            ErrorKind::Authentication,
        ),
        (way.clone().with("use_ssl", true), ErrorKind::Tls),
        (
            way.clone().at("no-such-host.invalid"),
            ErrorKind::NameResolution,
        ),
        (
            way.clone().with("database", "no_such"),
            ErrorKind::DatabaseNotFound,
        ),
    ] {
        let (options, count) = counting(PATIENT);
        let error = way.attempt_with(options).await?.err().context("let in")?;
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(count.load(Ordering::Relaxed), 0, "{kind}");
    }
    Ok(())
}
