//! Ctrl-C, whatever the server is doing: the command ends with 130, the server stops within a
//! second, and nothing half done stays.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_test_support::tokio_postgres::Client;

use super::{Desk, Run};
use crate::assertions::value;
use crate::fixture;

/// How soon the server has to have stopped.
const SOON: Duration = Duration::from_secs(1);

/// How long it may take to begin, on a machine that has other things to do: the command may have
/// to compile the connector first.
const EVENTUALLY: Duration = Duration::from_secs(120);

/// More than a second of sorting, in memory and on the disk.
const SORT: &str = "SELECT max(r) FROM (SELECT random() AS r FROM generate_series(1, 50000000) ORDER BY 1) AS sorted";

/// A result that does not end for a long time.
const LONG: &str = "SELECT g, repeat('x', 100) AS x FROM generate_series(1, 100000000) AS g";

/// One thing that is interrupted.
struct Case<'c> {
    arguments: &'c [&'c str],
    /// What the server shows of it once it is under way: a condition on `pg_stat_activity`.
    begun: &'c str,
    /// Whether rows are given, with more to come.
    fed: bool,
}

impl<'c> Case<'c> {
    fn new(arguments: &'c [&'c str], begun: &'c str) -> Self {
        Self {
            arguments,
            begun,
            fed: false,
        }
    }

    fn fed(mut self) -> Self {
        self.fed = true;
        self
    }
}

struct Stage {
    desk: Desk,
    admin: Client,
    /// Holds the lock: within a transaction, `pg_stat_activity` would stay as it was.
    _blocker: Client,
}

impl Stage {
    async fn new(name: &str) -> Result<Self> {
        let database = fixture::database(name).await?;
        let admin = database.sql().await?;
        admin
            .batch_execute(
                "CREATE TABLE kept (id bigint PRIMARY KEY, name text); INSERT INTO kept VALUES (1, 'one');
                 CREATE TABLE locked (id bigint PRIMARY KEY, name text); INSERT INTO locked VALUES (1, 'one');
                 GRANT ALL ON kept, locked TO dagflux",
            )
            .await?;
        let desk = Desk::new(&database)?;
        fs::write(desk.path("kept.csv"), "id,name\n1,one\n")?;
        let blocker = database.sql().await?;
        let lock = "BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE";
        blocker.batch_execute(lock).await?;
        Ok(Self {
            desk,
            admin,
            _blocker: blocker,
        })
    }

    /// How many of the product's server processes meet a condition.
    async fn count(&self, condition: &str) -> Result<i64> {
        let sql = format!(
            "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'dagflux' AND {condition}"
        );
        Ok(value(&self.admin, &sql).await?.parse()?)
    }

    async fn interrupt(&self, case: &Case<'_>) -> Result<()> {
        let before = self.desk.files()?;
        let mut child = self
            .desk
            .command(case.arguments)?
            .stdin(if case.fed {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::null())
            .spawn()?;
        let mut input = child.stdin.take();
        if let Some(input) = &mut input {
            let rows: String = (10..50_000).map(|id| format!("{id},row {id}\n")).collect();
            input.write_all(format!("id,name\n{rows}").as_bytes())?;
        }
        let began = Instant::now();
        while self.count(case.begun).await? == 0 {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!(
                    "it ended by itself: {status}: {:?}",
                    child.wait_with_output()?
                );
            }
            ensure!(began.elapsed() < EVENTUALLY, "it does not begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        signal(&child)?;
        let began = Instant::now();
        while self.count("state <> 'idle'").await? > 0 {
            ensure!(began.elapsed() < SOON, "the server goes on after {SOON:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let run = tokio::task::spawn_blocking(|| child.wait_with_output());
        let run = Run::from(run.await??);
        drop(input);
        ensure!(run.code == Some(130), "{run:?}");
        ensure!(!run.err.contains("not known"), "{run:?}");
        let after = self.desk.files()?;
        ensure!(after == before, "files: {before:?} became {after:?}");
        let temporary = "SELECT count(*)::text FROM pg_class WHERE relpersistence = 't'";
        ensure!(
            value(&self.admin, temporary).await? == "0",
            "a temporary table stayed"
        );
        let kept = value(&self.admin, "SELECT string_agg(id::text, ',') FROM kept").await?;
        ensure!(kept == "1", "rows stayed: {kept}");
        let made = "SELECT count(*)::text FROM pg_class WHERE relname LIKE 'made%'";
        ensure!(value(&self.admin, made).await? == "0", "a table was made");
        Ok(())
    }

    async fn all(&self, cases: &[Case<'_>]) -> Result<()> {
        for case in cases {
            let interrupted = self.interrupt(case).await;
            interrupted.with_context(|| format!("{:?}", case.arguments))?;
        }
        Ok(())
    }
}

fn signal(child: &Child) -> Result<()> {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status()?;
    ensure!(status.success(), "no signal was sent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query() -> Result<()> {
    let stage = Stage::new("cli_interrupt_query").await?;
    stage
        .all(&[
            Case::new(
                &["query", "db", "SELECT pg_sleep(60)"],
                "wait_event = 'PgSleep'",
            ),
            Case::new(
                &["query", "db", SORT],
                "state = 'active' AND query LIKE '%sorted%'",
            ),
            Case::new(
                &["query", "db", LONG],
                "state <> 'idle' AND query LIKE '%repeat%'",
            ),
            Case::new(
                &["query", "db", "SELECT * FROM locked"],
                "wait_event_type = 'Lock'",
            ),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change() -> Result<()> {
    let stage = Stage::new("cli_interrupt_execute").await?;
    let made = format!("CREATE TABLE made AS {LONG}");
    let added =
        "INSERT INTO kept SELECT g, pg_sleep(0.01)::text FROM generate_series(2, 100000) AS g";
    stage
        .all(&[
            Case::new(
                &["execute", "db", "SELECT pg_sleep(60)"],
                "wait_event = 'PgSleep'",
            ),
            Case::new(
                &["execute", "db", &made],
                "state = 'active' AND query LIKE 'CREATE TABLE made%'",
            ),
            Case::new(
                &["execute", "db", added],
                "state = 'active' AND query LIKE 'INSERT%'",
            ),
            Case::new(
                &["execute", "db", "DELETE FROM locked"],
                "wait_event_type = 'Lock'",
            ),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export() -> Result<()> {
    let stage = Stage::new("cli_interrupt_export").await?;
    let made = stage.admin.batch_execute(
        "CREATE TABLE big AS SELECT g AS id, repeat('x', 200) AS x FROM generate_series(1, 2000000) AS g;
         GRANT SELECT ON big TO dagflux",
    );
    made.await?;
    let sleeping = "SELECT g, pg_sleep(0.001)::text FROM generate_series(1, 1000000) AS g";
    stage
        .all(&[
            Case::new(
                &["export", "db", "--query", sleeping, "-o", "a.csv"],
                "wait_event = 'PgSleep'",
            ),
            Case::new(
                &["export", "db", "--query", SORT, "-o", "a.parquet"],
                "state = 'active' AND query LIKE '%sorted%'",
            ),
            Case::new(
                &["export", "db", "big", "-o", "a.parquet"],
                "query LIKE 'COPY%' AND state = 'active'",
            ),
            Case::new(
                &["export", "db", "locked", "-o", "kept.csv"],
                "wait_event_type = 'Lock'",
            ),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import() -> Result<()> {
    let stage = Stage::new("cli_interrupt_import").await?;
    let copying = "query LIKE 'COPY%'";
    let into = |mode: &'static str| {
        [
            "import", "db", "-", "kept", "--format", "csv", "--mode", mode,
        ]
    };
    let upsert = [
        "import", "db", "-", "kept", "--format", "csv", "--mode", "upsert", "--key", "id",
    ];
    stage
        .all(&[
            Case::new(&into("append"), copying).fed(),
            Case::new(&into("replace"), copying).fed(),
            Case::new(&upsert, copying).fed(),
            Case::new(
                &[
                    "import", "db", "-", "made", "--format", "csv", "--mode", "create",
                ],
                copying,
            )
            .fed(),
            Case::new(
                &["import", "db", "kept.csv", "locked"],
                "wait_event_type = 'Lock'",
            ),
        ])
        .await
}
