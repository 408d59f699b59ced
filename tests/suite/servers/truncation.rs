//! A real login, a real COPY in either direction and a real query, cut off after every single
//! byte: never a success with less, never a hang, never a crash; a write is there as a whole or
//! not at all.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dagflux_host::{ConnectOptions, Connector, ErrorKind};
use dagflux_test_support::proxy::Direction::{self, ToClient, ToServer};
use dagflux_test_support::proxy::{Action, Plan, Proxy};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Database, Server};
use futures_util::{StreamExt, stream};

use super::case::{self, Work};
use crate::fixture;

/// How many are cut off at once.
const AT_ONCE: usize = 6;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a write adds; see [`Work::Few`].
const WRITTEN: i64 = 5;

/// What is cut off, and where.
struct Cutting {
    database: Database<'static>,
    admin: Client,
    connector: Connector,
}

impl Cutting {
    async fn new(name: &str) -> Result<Self> {
        let database = Server::shared().await?.database(name).await?;
        let admin = database.sql().await?;
        let table = "CREATE TABLE small (id integer, name text);
             INSERT INTO small VALUES (1, 'one'), (2, NULL), (3, 'three');
             GRANT ALL ON small TO dagflux";
        admin.batch_execute(table).await?;
        let connector = case::connector(case::impatient()).await?;
        Ok(Self {
            database,
            admin,
            connector,
        })
    }

    /// Does `work` on `table` through a proxy with this plan; how many rows it came to. Then how
    /// many bytes had passed in each direction when the work began, and at its end.
    async fn attempt(&self, work: Work, table: &str, plan: Plan) -> Result<(Outcome, Lengths)> {
        let proxy = Proxy::start(self.database.server().port(), move |number| match number {
            0 => plan.clone(),
            // A request to cancel.
            _ => Plan::clean(),
        })
        .await?;
        let config = fixture::config(&self.database).with("port", proxy.port());
        let secrets = fixture::secrets(&self.database);
        let passed = |direction| proxy.passed(0, direction);
        let doing = async {
            let options = ConnectOptions::default();
            let connected = self.connector.connect(config, secrets, options).await;
            let before = (passed(ToServer), passed(ToClient));
            let (outcome, connection) = match connected {
                Err(error) => (Err(error), None),
                Ok(mut connection) => {
                    let outcome = case::work(work, table, &mut connection).await;
                    (outcome, Some(connection))
                }
            };
            let after = (passed(ToServer), passed(ToClient));
            // Its good-bye is no part of the work.
            drop(connection);
            (outcome, (before, after))
        };
        let done = tokio::time::timeout(PATIENCE, doing).await;
        done.context("it hangs")
    }

    /// Cuts `work` off after every byte in one direction: from the beginning of the connection
    /// if `from_start`, or from when it was logged in. Gives how many cuts there were.
    async fn everywhere(
        &self,
        work: Work,
        direction: Direction,
        from_start: bool,
        check: impl AsyncFn(u64, &str, Outcome) -> Result<()>,
    ) -> Result<usize> {
        let table = self.table(work, direction, 0).await?;
        let (whole, lengths) = self.attempt(work, &table, Plan::clean()).await?;
        whole?;
        let (before, after) = match direction {
            ToServer => (lengths.0.0, lengths.1.0),
            ToClient => (lengths.0.1, lengths.1.1),
        };
        let first = if from_start { 0 } else { before };
        let cuts = AtomicUsize::new(0);
        let check = &check;
        let failed: Vec<String> = stream::iter(first..after)
            .map(|at| {
                let cuts = &cuts;
                async move {
                    cuts.fetch_add(1, SeqCst);
                    let run = async {
                        let table = self.table(work, direction, at.max(1)).await?;
                        let plan = Plan::clean().with(direction, at, Action::Cut);
                        let (outcome, _) = self.attempt(work, &table, plan).await?;
                        check(at, &table, outcome).await
                    };
                    let failed = run.await.err();
                    failed.map(|error| format!("after {at} of {after} bytes: {error:#}"))
                }
            })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(cuts.into_inner())
    }

    /// A table to work on: for a write, one of its own, with a name of always the same length.
    async fn table(&self, work: Work, direction: Direction, at: u64) -> Result<String> {
        if work != Work::Few {
            return Ok("small".to_owned());
        }
        let letter = match direction {
            ToServer => 's',
            ToClient => 'c',
        };
        let table = format!("cut_{letter}{at:05}");
        let create = format!("CREATE TABLE {table} (LIKE small); GRANT ALL ON {table} TO dagflux");
        self.admin.batch_execute(&create).await?;
        Ok(table)
    }

    /// How many rows are in a table once no server process works for the product any more: what
    /// was on its way when the connection was cut may still be taken in.
    async fn settled(&self, table: &str) -> Result<i64> {
        let row = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; COMMIT");
        // Waits for whoever writes to it.
        self.admin_of_its_own()
            .await?
            .batch_execute(&format!("BEGIN; {row}"))
            .await?;
        let count = format!("SELECT count(*) FROM {table}");
        Ok(self.admin.query_one(&count, &[]).await?.get(0))
    }

    async fn admin_of_its_own(&self) -> Result<Client> {
        self.database.sql().await
    }
}

type Outcome = dagflux_host::Result<usize>;

/// Bytes to the server and to the client, before the work and after.
type Lengths = ((u64, u64), (u64, u64));

/// As [`is_lost`]; or a challenge with the end of the connection right behind it, which is none.
async fn is_no_login(at: u64, table: &str, outcome: Outcome) -> Result<()> {
    match outcome {
        Err(error)
            if error.kind() == ErrorKind::Authentication
                && error.to_string().contains("not what the server sent last") =>
        {
            Ok(())
        }
        outcome => is_lost(at, table, outcome).await,
    }
}

/// A failure that says that the connection is gone.
async fn is_lost(_: u64, _: &str, outcome: Outcome) -> Result<()> {
    match outcome {
        Ok(rows) => bail!("a success with {rows} rows"),
        Err(error) if error.kind() == ErrorKind::ConnectionLost => {
            ensure!(error.hint().is_some(), "no next step: {error}");
            Ok(())
        }
        Err(error) => bail!("{}: {error}", error.kind()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_and_a_query() -> Result<()> {
    let cutting = Cutting::new("truncation_login").await?;
    let to_client = cutting.everywhere(Work::Once, ToClient, true, is_no_login);
    let to_client = to_client.await?;
    let to_server = cutting.everywhere(Work::Once, ToServer, true, is_no_login);
    let to_server = to_server.await?;
    println!("{to_client} cuts of what the server says, {to_server} of what it is told");
    assert!(to_client > 700 && to_server > 700);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_read() -> Result<()> {
    let cutting = Cutting::new("truncation_read").await?;
    let to_client = cutting.everywhere(Work::Read, ToClient, false, is_lost);
    let to_client = to_client.await?;
    println!("{to_client} cuts of what the server says");
    assert!(to_client > 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_written() -> Result<()> {
    let cutting = Cutting::new("truncation_write").await?;
    for direction in [ToServer, ToClient] {
        let (none, all) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let check = async |_: u64, table: &str, outcome: Outcome| {
            let there = cutting.settled(table).await?;
            let error = match outcome {
                Ok(rows) => bail!("a success with {rows} rows"),
                Err(error) => error,
            };
            match (error.kind(), there) {
                (ErrorKind::ConnectionLost, 0) => none.fetch_add(1, SeqCst),
                // The commit was on its way: it may have arrived, with its answer lost.
                (ErrorKind::OutcomeUnknown, 0 | WRITTEN) => all.fetch_add(1, SeqCst),
                (kind, rows) => bail!("{kind} with {rows} rows there: {error}"),
            };
            Ok(())
        };
        let cuts = cutting.everywhere(Work::Few, direction, false, check);
        let cuts = cuts.await?;
        println!("{cuts} cuts {direction:?}: {none:?} lost, {all:?} with the commit on its way");
        assert!(cuts > 400 && none.into_inner() > 100 && all.into_inner() > 0);
    }
    Ok(())
}
