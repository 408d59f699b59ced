//! Whoever loses interest in a statement stops it on the server, too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use dagflux_host::{Connection, ErrorKind, Host, Limits, TableName, WriteOptions};
use dagflux_test_support::{Database, tokio_postgres::Client};
use futures_util::StreamExt;

use crate::fixture;
use crate::hostile::{self, assert_failure};

/// How soon the server has to have stopped.
const SOON: Duration = Duration::from_secs(1);

/// How long the server may take to begin on a machine that has other things to do.
const EVENTUALLY: Duration = Duration::from_secs(20);

/// A database, and a view of what its server does in it.
struct Scene {
    database: Database<'static>,
    admin: Client,
}

impl Scene {
    async fn new(name: &str) -> Result<Self> {
        let database = fixture::database(name).await?;
        let admin = database.sql().await?;
        Ok(Self { database, admin })
    }

    async fn connect(&self) -> Result<Connection> {
        fixture::connect(&self.database).await
    }

    /// How many statements of others the server carries out.
    async fn running(&self) -> Result<i64> {
        let row = self
            .admin
            .query_one(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                 AND pid <> pg_backend_pid() AND state = 'active'",
                &[],
            )
            .await?;
        Ok(row.get(0))
    }

    async fn wait_for(&self, running: i64, most: Duration) -> Result<Duration> {
        let began = Instant::now();
        while self.running().await? != running {
            ensure!(
                began.elapsed() < most,
                "the server does not come to run {running} statements within {most:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(began.elapsed())
    }

    async fn is_busy(&self) -> Result<()> {
        self.wait_for(1, EVENTUALLY).await.map(drop)
    }

    /// As [`is_busy`](Self::is_busy), and not with what comes before the statement: a request
    /// that arrives too early stops nothing.
    async fn is_asleep(&self) -> Result<()> {
        let began = Instant::now();
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event = 'PgSleep'";
        while self.admin.query_one(sleeping, &[]).await?.get::<_, i64>(0) != 1 {
            ensure!(began.elapsed() < EVENTUALLY, "the server does not sleep");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn stops_soon(&self) -> Result<()> {
        self.wait_for(0, SOON).await.map(drop)
    }
}

async fn is_usable(connection: &mut Connection) -> Result<()> {
    let rows = connection.query("SELECT 1").await?;
    assert_eq!(fixture::count(rows).await?, 1);
    Ok(())
}

async fn sleep(connection: &mut Connection) -> dagflux_host::Result<usize> {
    fixture::count(connection.query("SELECT pg_sleep(60)").await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceller_stops_a_statement() -> Result<()> {
    let scene = Scene::new("cancel_canceller").await?;
    let mut connection = scene.connect().await?;
    let canceller = connection.canceller();
    let (outcome, cancelled) = tokio::join!(sleep(&mut connection), async {
        scene.is_asleep().await?;
        canceller.cancel().await?;
        scene.stops_soon().await
    });
    cancelled?;
    let error = outcome.expect_err("it was cancelled");
    assert_failure(&error, ErrorKind::Cancelled, "");
    is_usable(&mut connection).await?;
    // With nothing to stop, nothing happens.
    canceller.cancel().await?;
    is_usable(&mut connection).await
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_stream_stops_its_query() -> Result<()> {
    let scene = Scene::new("cancel_stream").await?;
    let mut connection = scene.connect().await?;
    for _ in 0..3 {
        let mut rows = connection
            .query("SELECT generate_series(1, 100000000), repeat('x', 100)")
            .await?;
        assert!(rows.next().await.is_some_and(|batch| batch.is_ok()));
        assert_eq!(scene.running().await?, 1);
        drop(rows);
        scene.stops_soon().await?;
        is_usable(&mut connection).await?;
    }
    Ok(())
}

/// Whatever the server is doing when the caller goes away.
#[tokio::test(flavor = "multi_thread")]
async fn giving_up_stops_any_work() -> Result<()> {
    let scene = Scene::new("cancel_work").await?;
    let holder = scene.database.sql().await?;
    holder
        .batch_execute("CREATE TABLE held (n int); GRANT ALL ON held TO dagflux")
        .await?;
    // What is sent along with BEGIN would be part of its transaction.
    holder.batch_execute("BEGIN; LOCK TABLE held").await?;
    let mut connection = scene.connect().await?;
    const ROWS: &str = "generate_series(1, 100000000) n";
    for (changes, sql) in [
        (false, format!("SELECT n FROM {ROWS} ORDER BY random()")),
        (false, format!("SELECT count(DISTINCT n) FROM {ROWS}")),
        (false, "SELECT * FROM held".to_owned()),
        (true, format!("CREATE TABLE made AS SELECT n FROM {ROWS}")),
        (true, "INSERT INTO held VALUES (1)".to_owned()),
        (true, "SELECT pg_sleep(600)".to_owned()),
    ] {
        println!("{sql}");
        let work = async {
            if changes {
                connection.execute(&sql).await.map(drop)
            } else {
                let mut rows = connection.query(&sql).await?;
                rows.next().await.transpose().map(drop)
            }
        };
        tokio::select! {
            ended = work => anyhow::bail!("it ended by itself: {ended:?}"),
            busy = scene.is_busy() => busy?,
        }
        scene.stops_soon().await?;
        is_usable(&mut connection).await?;
    }
    let made = "SELECT to_regclass('made') IS NULL";
    assert!(scene.admin.query_one(made, &[]).await?.get::<_, bool>(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_waiting_stops_the_statement() -> Result<()> {
    let scene = Scene::new("cancel_future").await?;
    let mut connection = scene.connect().await?;
    for execute in [false, true] {
        let waiting = async {
            match execute {
                true => connection.execute("SELECT pg_sleep(60)").await.map(drop),
                false => sleep(&mut connection).await.map(drop),
            }
        };
        tokio::select! {
            outcome = waiting => panic!("it ended by itself: {outcome:?}"),
            busy = scene.is_busy() => busy?,
        }
        scene.stops_soon().await?;
        is_usable(&mut connection).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_connection_stops_its_statement() -> Result<()> {
    let scene = Scene::new("cancel_connection").await?;
    let mut connection = scene.connect().await?;
    let task = tokio::spawn(async move { sleep(&mut connection).await });
    scene.is_busy().await?;
    task.abort();
    scene.stops_soon().await
}

/// The connection's own instance cannot be entered any more, so the request to cancel comes
/// from another one.
#[tokio::test(flavor = "multi_thread")]
async fn the_statement_of_a_stuck_instance_is_stopped() -> Result<()> {
    let scene = Scene::new("cancel_stuck").await?;
    let limits = Limits::default().with_guest_time(Duration::from_secs(2));
    let host = Host::builder().limits(limits).build()?;
    let connector = hostile::connector_in(&host).await?;
    let mut connection = hostile::connect_to(&connector, &scene.database, true).await?;
    let (outcome, busy) = tokio::join!(
        connection.execute("server SELECT pg_sleep(60)"),
        scene.is_busy()
    );
    busy?;
    let error = outcome.expect_err("it works without end");
    assert_failure(&error, ErrorKind::GuestTimeLimit, "longer than 2 s");
    scene.stops_soon().await?;
    // The connection is still there: it was the request that stopped it.
    let error = connection.execute("ping").await.expect_err("it was ended");
    assert_failure(&error, ErrorKind::Closed, "guest-time-limit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_stopped_while_its_instance_is_stuck() -> Result<()> {
    let scene = Scene::new("cancel_while_stuck").await?;
    let connector = hostile::connector().await?;
    let mut connection = hostile::connect_to(&connector, &scene.database, true).await?;
    let canceller = connection.canceller();
    let task = tokio::spawn(async move { connection.execute("server SELECT pg_sleep(60)").await });
    scene.is_asleep().await?;
    canceller.cancel().await?;
    scene.stops_soon().await?;
    assert!(!task.is_finished(), "the instance was not stuck");
    task.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_of_a_dropped_instance_is_stopped() -> Result<()> {
    let scene = Scene::new("cancel_dropped").await?;
    let connector = hostile::connector().await?;
    let mut connection = hostile::connect_to(&connector, &scene.database, true).await?;
    let task = tokio::spawn(async move { connection.execute("server SELECT pg_sleep(60)").await });
    scene.is_busy().await?;
    task.abort();
    scene.stops_soon().await
}

/// The rows of the table `numbers`.
async fn count(scene: &Scene) -> Result<i64> {
    let row = scene.admin.query_one("SELECT count(*) FROM numbers", &[]);
    Ok(row.await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_a_sink_rolls_back() -> Result<()> {
    let scene = Scene::new("cancel_sink").await?;
    scene
        .admin
        .batch_execute("CREATE TABLE numbers (n integer)")
        .await?;
    let mut connection = scene.connect().await?;
    let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..100_000));
    let batch = RecordBatch::try_from_iter([("n", values)])?;
    let table = TableName::new("numbers");
    let mut sink = connection
        .write(&table, batch.schema(), WriteOptions::default())
        .await?;
    for _ in 0..5 {
        sink.write(&batch).await?;
    }
    drop(sink);
    is_usable(&mut connection).await?;
    assert_eq!(count(&scene).await?, 0);
    // The same connection writes all of it when it is asked to.
    let mut sink = connection
        .write(&table, batch.schema(), WriteOptions::default())
        .await?;
    sink.write(&batch).await?;
    assert_eq!(sink.finish().await?.inserted, 100_000);
    assert_eq!(count(&scene).await?, 100_000);
    Ok(())
}
