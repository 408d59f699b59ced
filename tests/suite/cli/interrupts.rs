//! Ctrl-C, whatever the server is doing: the command ends with 130, the server stops within a
//! second, and nothing half done stays.

use std::fs;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_test_support::proxy::Direction::ToServer;
use dagflux_test_support::proxy::{Action, Plan, Proxy};
use dagflux_test_support::tokio_postgres::Client;
use serde_json::json;

use super::{Desk, Run};
use crate::assertions::value;
use crate::fixture;

/// How soon the server has to have stopped, in one of some attempts: the machine has other things
/// to do.
const SOON: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 3;

/// How soon it has to have stopped in each.
const LATEST: Duration = Duration::from_secs(10);

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

/// The command while it runs. It does not outlive the test.
struct Running(Option<Child>);

impl Running {
    fn child(&mut self) -> Result<&mut Child> {
        self.0.as_mut().context("it has ended")
    }

    fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child()?.try_wait()?.is_some())
    }

    /// Gives it the beginning of a table. The end comes when what is returned is dropped.
    fn feed(&mut self) -> Result<std::thread::JoinHandle<ChildStdin>> {
        let mut input = self.child()?.stdin.take().context("no input")?;
        let rows: String = (10..50_000).map(|id| format!("{id},row {id}\n")).collect();
        // A pipe holds less than that, and it may never be read.
        Ok(std::thread::spawn(move || {
            let _ = input.write_all(format!("id,name\n{rows}").as_bytes());
            input
        }))
    }

    /// Waits for its end.
    async fn end(mut self) -> Result<Run> {
        let began = Instant::now();
        while !self.has_ended()? {
            ensure!(began.elapsed() < LATEST, "the command goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let child = self.0.take().context("it has ended")?;
        Ok(Run::from(child.wait_with_output()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Stage {
    desk: Desk,
    admin: Client,
    /// Where the server listens.
    port: u16,
    soon: Duration,
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
            port: database.server().port(),
            soon: SOON,
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

    /// How long the server took to stop.
    async fn interrupt(&self, case: &Case<'_>) -> Result<Duration> {
        let before = self.desk.files()?;
        let mut command = self.desk.command(case.arguments)?;
        command.stdout(Stdio::null()).stdin(match case.fed {
            true => Stdio::piped(),
            false => Stdio::null(),
        });
        let mut running = Running(Some(command.spawn()?));
        let input = case.fed.then(|| running.feed()).transpose()?;
        let began = Instant::now();
        while self.count(case.begun).await? == 0 {
            if running.has_ended()? {
                anyhow::bail!("it ended by itself: {:?}", running.end().await?);
            }
            ensure!(began.elapsed() < EVENTUALLY, "it does not begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        signal(running.child()?)?;
        let began = Instant::now();
        while self.count("state <> 'idle'").await? > 0 {
            ensure!(began.elapsed() < LATEST, "the server goes on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let took = began.elapsed();
        let run = running.end().await?;
        drop(input.map(std::thread::JoinHandle::join));
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
        Ok(took)
    }

    async fn all(&self, cases: &[Case<'_>]) -> Result<()> {
        for case in cases {
            let soon = self.interrupt_soon(case).await;
            soon.with_context(|| format!("{:?}", case.arguments))?;
        }
        Ok(())
    }

    async fn interrupt_soon(&self, case: &Case<'_>) -> Result<()> {
        let mut took = Vec::new();
        for _ in 0..ATTEMPTS {
            took.push(self.interrupt(case).await?);
            if took.last().is_some_and(|took| *took < self.soon) {
                return Ok(());
            }
        }
        anyhow::bail!("the server goes on for {took:?}")
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

/// An operation that computes, and one whose rehearsal waits for a lock.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation() -> Result<()> {
    let stage = Stage::new("interrupt_operation").await?;
    let made = json!({
        "version": 1, "id": "made", "node": "transform", "mode": "new-table",
        "sources": [{ "connection": "db", "table": "kept" }], "target": { "table": "made" },
        "statements": {
            "create": "CREATE TABLE made (r double precision)",
            "insert": format!("INSERT INTO made {SORT}"),
        },
    });
    let waits = json!({
        "version": 1, "id": "waits", "node": "transform", "mode": "in-place",
        "sources": [{ "connection": "db", "table": "locked" }],
        "statements": { "changes": ["ALTER TABLE locked ADD COLUMN more int"] },
    });
    fs::write(stage.desk.path("made.json"), made.to_string())?;
    fs::write(stage.desk.path("waits.json"), waits.to_string())?;
    stage
        .all(&[
            Case::new(
                &["run", "made.json"],
                "state = 'active' AND query LIKE 'INSERT INTO made%'",
            ),
            Case::new(&["run", "waits.json", "--yes"], "wait_event_type = 'Lock'"),
        ])
        .await?;
    let made = "SELECT count(*)::text FROM pg_class WHERE relname = 'made'";
    assert_eq!(value(&stage.admin, made).await?, "0");
    Ok(())
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

/// The request to cancel arrives a second after the signal: the command stays until it did, or
/// the statement would wait for its lock for ever, and hold what it has meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_distant_server() -> Result<()> {
    let mut stage = Stage::new("cli_interrupt_distant").await?;
    let late = Plan::clean().with(ToServer, 0, Action::Delay(Duration::from_secs(1)));
    let plans = move |number| match number {
        0 => Plan::clean(),
        _ => late.clone(),
    };
    let proxy = Proxy::start(stage.port, plans).await?;
    let file = stage.desk.path("connections.toml");
    let direct = format!("port = {}\n", stage.port);
    let through = format!("port = {}\n", proxy.port());
    fs::write(&file, fs::read_to_string(&file)?.replace(&direct, &through))?;
    stage.soon += Duration::from_secs(1);
    let import = ["import", "db", "kept.csv", "locked"];
    let waits = Case::new(&import, "wait_event_type = 'Lock'");
    stage.all(&[waits]).await?;
    ensure!(proxy.connections() > 1, "no request came this way");
    Ok(())
}
