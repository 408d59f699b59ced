//! One misbehaviour of a server, what is done meanwhile, and what has to come of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use dagflux_host::{
    CheckOptions, Config, ConnectOptions, Connection, Connector, Error, ErrorKind, Host, Limits,
    ReadOptions, TableName, WriteMode, WriteOptions,
};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Database, Server, connector_path};
use futures_util::{StreamExt, stream};

use super::meddler::{Deed, Meddler, Said};
use super::peer::{Peer, Step};
use crate::fixture;

/// How the server misbehaves.
pub enum Conduct {
    /// It is none, and follows a script.
    Scripted(Vec<Step>),
    /// What a real one says is replaced.
    Meddled(fn(&Said<'_>) -> Deed),
}

/// What is done meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing but connecting.
    Connect,
    /// `SELECT` of the three rows of the table, twice.
    Query,
    /// The same, once.
    Once,
    /// Reading the table, by COPY.
    Read,
    /// Adding a hundred rows to the table, by COPY.
    Write,
    /// The same with five.
    Few,
    /// Adding one row by a statement.
    Execute,
    /// Listing the tables.
    Tables,
    /// Listing the columns of the table.
    Columns,
    /// Checking what the login may do.
    Check,
    /// Putting a hundred rows in place of those of the table.
    Replace,
    /// Adding or changing a hundred rows by key.
    Upsert,
}

/// A case; its name is in what is said of it.
pub struct Case {
    pub name: &'static str,
    pub server: Conduct,
    pub work: Work,
    pub kind: ErrorKind,
    pub words: &'static str,
    /// How many rows are in the table afterwards, if it is not the three that were there.
    pub rows: i64,
}

/// The rows that a table of a case has.
const ROWS: i64 = 3;

/// A scripted server.
pub fn scripted(
    name: &'static str,
    script: impl IntoIterator<Item = Step>,
    work: Work,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    Case {
        name,
        server: Conduct::Scripted(script.into_iter().collect()),
        work,
        kind,
        words,
        rows: ROWS,
    }
}

/// A real server that is meddled with.
pub fn meddled(
    name: &'static str,
    work: Work,
    rule: fn(&Said<'_>) -> Deed,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    Case {
        name,
        server: Conduct::Meddled(rule),
        work,
        kind,
        words,
        rows: ROWS,
    }
}

impl Case {
    /// What was written is there.
    pub fn leaving(mut self, rows: i64) -> Self {
        self.rows = rows;
        self
    }
}

/// The longest that anything may take here: longer than every limit.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many cases run at once.
const AT_ONCE: usize = 4;

/// Limits that are soon reached.
pub fn impatient() -> Limits {
    Limits::default()
        .with_connect_time(Duration::from_secs(5))
        .with_wall_time(Duration::from_secs(8))
}

/// The PostgreSQL connector in a host of its own.
pub async fn connector(limits: Limits) -> Result<Connector> {
    let host = Host::builder().limits(limits).build()?;
    Ok(host.load(connector_path("postgres")?).await?)
}

/// As [`all_within`], with the limits of [`impatient`].
pub async fn all(name: &str, cases: Vec<Case>, floor: usize) -> Result<()> {
    all_within(impatient(), name, cases, floor).await
}

/// Runs all of `cases`, each against a table of its own in the database `name`, with `floor`
/// as the least number that there must be.
pub async fn all_within(limits: Limits, name: &str, cases: Vec<Case>, floor: usize) -> Result<()> {
    ensure!(cases.len() >= floor, "only {} cases", cases.len());
    let server = Server::shared().await?;
    let database = server.database(name).await?;
    let admin = database.sql().await?;
    let connector = connector(limits).await?;
    // Somebody else in the same host, all the time.
    let mut bystander = connect(&connector, &database, server.port()).await?;
    let count = cases.len();
    let runs = cases.into_iter().enumerate().map(|(number, case)| {
        let (connector, database, admin) = (&connector, &database, &admin);
        async move {
            let run = run(&case, number, connector, database, admin);
            let outcome = tokio::time::timeout(PATIENCE, run).await;
            let outcome = outcome.unwrap_or_else(|_| bail!("it hangs"));
            outcome
                .err()
                .map(|error| format!("{}: {error:#}", case.name))
        }
    });
    let failed: Vec<String> = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let rows = bystander.query("SELECT 1").await?;
    assert_eq!(fixture::count(rows).await?, 1);
    ensure!(
        failed.is_empty(),
        "{} of {count} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
    println!("{count} cases");
    Ok(())
}

async fn run(
    case: &Case,
    number: usize,
    connector: &Connector,
    database: &Database<'_>,
    admin: &Client,
) -> Result<()> {
    let table = format!("case_{number}");
    admin
        .batch_execute(&format!(
            "CREATE TABLE {table} (id integer, name text);
             INSERT INTO {table} VALUES (1, 'one'), (2, NULL), (3, 'three');
             GRANT ALL ON {table} TO dagflux{}",
            match case.work {
                Work::Upsert => format!("; ALTER TABLE {table} ADD UNIQUE (id)"),
                _ => String::new(),
            }
        ))
        .await?;
    let (_peer, _meddler);
    let port = match &case.server {
        Conduct::Scripted(script) => {
            _peer = Peer::start(script.clone()).await?;
            _peer.port
        }
        Conduct::Meddled(rule) => {
            _meddler = Meddler::start(database.server().port(), Arc::new(*rule)).await?;
            _meddler.port
        }
    };
    let outcome = match connect(connector, database, port).await {
        Err(error) => Err(error),
        Ok(mut connection) => {
            let outcome = work(case.work, &table, &mut connection).await;
            // Whatever it is good for afterwards, it does not hang, and does not crash.
            match work(Work::Query, &table, &mut connection).await {
                Ok(rows) => ensure!(rows as i64 == case.rows, "then there are {rows} rows"),
                Err(after) => ensure!(after.kind() != ErrorKind::Trap, "then: {after:?}"),
            }
            outcome
        }
    };
    let error = match outcome {
        Ok(rows) => bail!("it was taken for a success, with {rows} rows"),
        Err(error) => error,
    };
    is_as_expected(&error, case)?;
    // What the server is still undoing cannot be seen.
    let there: i64 = admin
        .query_one(&format!("SELECT count(*) FROM {table}"), &[])
        .await?
        .get(0);
    ensure!(there == case.rows, "{there} rows are there");
    // The host goes on.
    let mut fresh = connect(connector, database, database.server().port()).await?;
    let rows = work(Work::Query, &table, &mut fresh).await?;
    ensure!(
        rows as i64 == case.rows,
        "another connection sees {rows} rows"
    );
    Ok(())
}

/// The exact kind, the words, and a next step.
fn is_as_expected(error: &Error, case: &Case) -> Result<()> {
    ensure!(
        error.kind() == case.kind && error.to_string().contains(case.words),
        "expected {} with {:?}, not {}: {error}",
        case.kind,
        case.words,
        error.kind()
    );
    ensure!(!case.words.is_empty(), "no words; it says: {error}");
    ensure!(
        error.hint().is_some_and(|hint| hint.len() > 10),
        "no next step: {error}"
    );
    Ok(())
}

async fn connect(
    connector: &Connector,
    database: &Database<'_>,
    port: u16,
) -> dagflux_host::Result<Connection> {
    let config = Config::new()
        .with("port", port)
        .with("database", database.name());
    let secrets = fixture::secrets(database);
    connector
        .connect(config, secrets, ConnectOptions::default())
        .await
}

/// Does it; how many rows there were.
pub async fn work(
    work: Work,
    table: &str,
    connection: &mut Connection,
) -> dagflux_host::Result<usize> {
    let name = TableName::new(table);
    match work {
        Work::Connect => Ok(0),
        Work::Query | Work::Once => {
            let sql = format!("SELECT id, name FROM {table} ORDER BY id");
            if work == Work::Query {
                let rows = fixture::count(connection.query(&sql).await?).await?;
                // Those that were there, or with those that cases leave.
                assert!(matches!(rows, 3 | 4 | 100 | 103), "{rows} rows");
            }
            fixture::count(connection.query(&sql).await?).await
        }
        Work::Read => fixture::count(connection.read(&name, ReadOptions::default()).await?).await,
        Work::Tables => Ok(connection.tables(None).await?.len()),
        Work::Columns => Ok(connection.columns(None, Some(table)).await?.len()),
        Work::Check => Ok(connection.check(CheckOptions::new()).await?.findings.len()),
        Work::Write | Work::Few | Work::Replace | Work::Upsert => {
            let rows = match work {
                Work::Few => hundred().slice(0, 5),
                _ => hundred(),
            };
            let options = WriteOptions::new(match work {
                Work::Replace => WriteMode::Replace,
                Work::Upsert => WriteMode::upsert(["id"]),
                _ => WriteMode::Append,
            });
            let mut sink = connection.write(&name, rows.schema(), options).await?;
            sink.write(&rows).await?;
            Ok(sink.finish().await?.inserted as usize)
        }
        Work::Execute => {
            let sql = format!("INSERT INTO {table} VALUES (4, 'four')");
            Ok(connection.execute(&sql).await?.rows.unwrap_or_default() as usize)
        }
    }
}

/// What [`Work::Write`] writes.
pub fn hundred() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(100..200));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(
        (100..200).map(|id| format!("number {id}")),
    ));
    let columns = [("id", ids, true), ("name", names, true)];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}
