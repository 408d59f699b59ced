//! Servers that stop and backends that are killed, on servers of their own; ways of logging in.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dagflux_host::policy::LoginPolicy;
use dagflux_host::{
    ConnectOptions, Connection, ErrorKind, Host, Policy, ReadOptions, TableName, WriteOptions,
};
use dagflux_test_support::{Database, PasswordMethod, Server, ServerOptions, connector_path};
use futures_util::StreamExt;

use crate::assertions::{failure, still_works, value};
use crate::fixture;

/// Reads `rows` until they fail; there must have been some and nothing may follow.
async fn until_failure(mut rows: dagflux_host::RowStream<'_>) -> dagflux_host::Result<usize> {
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        match batch {
            Ok(batch) => count += batch.num_rows(),
            Err(error) => {
                assert!(rows.next().await.is_none(), "rows follow a failure");
                return Err(error);
            }
        }
    }
    Ok(count)
}

/// The server process of the product's one connection to a database.
async fn backend(database: &Database<'_>) -> Result<i32> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'dagflux' AND datname = '{}'",
        database.name()
    );
    Ok(value(&database.server().sql("postgres").await?, &sql)
        .await?
        .parse()?)
}

/// Kills a process of a server that this test started.
fn kill(process: i32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-9", &process.to_string()])
        .status()?;
    ensure!(status.success(), "process {process} could not be killed");
    Ok(())
}

/// A client once the server has recovered.
async fn recovered(
    database: &Database<'_>,
) -> Result<dagflux_test_support::tokio_postgres::Client> {
    let began = Instant::now();
    loop {
        match database.sql().await {
            Ok(client) if client.simple_query("SELECT 1").await.is_ok() => return Ok(client),
            _ if began.elapsed() < Duration::from_secs(30) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(_) => anyhow::bail!("the server did not recover"),
            Err(error) => return Err(error),
        }
    }
}

/// A batch of `rows` numbers and texts.
fn numbers(from: i64, rows: i64) -> Result<RecordBatch> {
    let columns: [(&str, ArrayRef); 2] = [
        (
            "id",
            Arc::new(Int64Array::from_iter_values(from..from + rows)),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                (from..from + rows).map(|n| format!("row number {n}")),
            )),
        ),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, array)| (name, array, true)),
    )?)
}

#[tokio::test(flavor = "multi_thread")]
async fn server_stopped_in_the_middle_of_a_read() -> Result<()> {
    let server = Arc::new(Server::start(&ServerOptions::new()).await?);
    let database = server.database("stopped").await?;
    let mut connection = connect_in_small_batches(&database).await?;
    // Slow enough to be under way when the server stops.
    let mut rows = connection
        .query("SELECT g, pg_sleep(0.002)::text FROM generate_series(1, 100000) g")
        .await?;
    rows.next().await.context("no batch")??;
    let stopping = server.clone();
    let stopped = tokio::task::spawn_blocking(move || stopping.stop());
    let error = failure(until_failure(rows).await, ErrorKind::ServerShutdown);
    assert_eq!(error.sqlstate(), Some("57P01"));
    assert!(error.is_fatal());
    let after = connection.query("SELECT 1").await;
    let error = after.err().context("a connection without a server works")?;
    assert!(
        error.hint().is_some_and(|hint| hint.contains("connect")),
        "{error:?}"
    );
    stopped.await?;
    Ok(())
}

async fn connect_in_small_batches(database: &Database<'_>) -> Result<Connection> {
    let batch = dagflux_host::BatchSize::default().with_rows(50);
    Ok(fixture::postgres()
        .await?
        .connect(
            fixture::config(database),
            fixture::secrets(database),
            ConnectOptions::default().with_batch(batch),
        )
        .await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_killed_in_the_middle_of_a_read() -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("killed_read").await?;
    database
        .sql()
        .await?
        .batch_execute(
            "CREATE TABLE big AS SELECT g AS id, repeat('x', 200) AS text FROM generate_series(1, 300000) g",
        )
        .await?;
    let mut connection = connect_in_small_batches(&database).await?;
    let table = TableName::new("big");
    let mut rows = connection.read(&table, ReadOptions::default()).await?;
    rows.next().await.context("no batch")??;
    kill(backend(&database).await?)?;
    let error = failure(until_failure(rows).await, ErrorKind::ConnectionLost);
    assert!(error.is_fatal());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_killed_in_the_middle_of_an_import() -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("killed_import").await?;
    let mut connection = fixture::connect(&database).await?;
    connection
        .execute("CREATE TABLE t (id bigint, name text)")
        .await?;
    // The server does not wait for the disk: without this the crash would undo that, too.
    database.sql().await?.batch_execute("CHECKPOINT").await?;
    let batch = numbers(0, 20_000)?;
    let mut sink = connection
        .write(
            &TableName::new("t"),
            batch.schema(),
            WriteOptions::default(),
        )
        .await?;
    sink.write(&batch).await?;
    kill(backend(&database).await?)?;
    let mut outcome = Ok(());
    for _ in 0..20 {
        outcome = sink.write(&batch).await;
        if outcome.is_err() {
            break;
        }
    }
    let error = match outcome {
        Ok(()) => sink.finish().await.map(drop),
        failed => failed,
    };
    let error = failure(error, ErrorKind::ConnectionLost);
    assert!(error.is_fatal());
    let client = recovered(&database).await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_terminated_in_the_middle_of_an_import() -> Result<()> {
    let database = fixture::database("outages_terminated").await?;
    let mut connection = fixture::connect(&database).await?;
    connection
        .execute("CREATE TABLE t (id bigint, name text)")
        .await?;
    let batch = numbers(0, 20_000)?;
    let mut sink = connection
        .write(
            &TableName::new("t"),
            batch.schema(),
            WriteOptions::default(),
        )
        .await?;
    sink.write(&batch).await?;
    let process = backend(&database).await?;
    let admin = database.sql().await?;
    value(&admin, &format!("SELECT pg_terminate_backend({process})")).await?;
    let mut outcome = Ok(());
    for _ in 0..20 {
        outcome = sink.write(&batch).await;
        if outcome.is_err() {
            break;
        }
    }
    let error = match outcome {
        Ok(()) => sink.finish().await.map(drop),
        failed => failed,
    };
    let error = failure(error, ErrorKind::ServerShutdown);
    assert_eq!(error.sqlstate(), Some("57P01"));
    assert_eq!(value(&admin, "SELECT count(*) FROM t").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_while_idle() -> Result<()> {
    let database = fixture::database("outages_idle").await?;
    let mut connection = fixture::connect(&database).await?;
    still_works(&mut connection).await;
    let process = backend(&database).await?;
    let admin = database.sql().await?;
    value(&admin, &format!("SELECT pg_terminate_backend({process})")).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    failure(
        connection.query("SELECT 1").await,
        ErrorKind::ServerShutdown,
    );
    let mut connection = fixture::connect(&database).await?;
    still_works(&mut connection).await;
    Ok(())
}

/// Connects to a server that asks for the login in a way of its own.
async fn login(server: &Server, host: &Host) -> Result<dagflux_host::Result<Connection>> {
    let database = server.database("login").await?;
    let connector = host.load(connector_path("postgres")?).await?;
    Ok(connector
        .connect(
            fixture::config(&database),
            fixture::secrets(&database),
            ConnectOptions::default(),
        )
        .await)
}

#[tokio::test(flavor = "multi_thread")]
async fn md5_login() -> Result<()> {
    let options = ServerOptions::new().with_password_method(PasswordMethod::Md5);
    let server = Server::start(&options).await?;
    let mut connection = login(&server, fixture::host()).await??;
    still_works(&mut connection).await;
    connection
        .execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS id")
        .await?;
    let rows = connection
        .read(&TableName::new("t"), ReadOptions::default())
        .await?;
    assert_eq!(fixture::count(rows).await?, 10);
    connection.close().await?;

    let database = server.database("md5_wrong").await?;
    let result = fixture::postgres()
        .await?
        .connect(
            fixture::config(&database),
            fixture::secrets(&database).with("password", "wrong"),
            ConnectOptions::default(),
        )
        .await;
    assert_eq!(
        failure(result, ErrorKind::Authentication).sqlstate(),
        Some("28P01")
    );

    let strict = Policy::new().with_login(LoginPolicy::default().with_md5(false));
    let strict = Host::builder().policy(strict).build()?;
    failure(login(&server, &strict).await?, ErrorKind::PolicyRefused);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_of_logging_in() -> Result<()> {
    let hba = |line: &str| ServerOptions::new().with_hba_line(line);
    let server = Server::start(&hba("host all dagflux 127.0.0.1/32 trust")).await?;
    let mut connection = login(&server, fixture::host()).await??;
    still_works(&mut connection).await;
    drop(server);

    for (line, words) in [
        ("host all dagflux 127.0.0.1/32 reject", "pg_hba.conf"),
        ("host all dagflux 127.0.0.1/32 password", "scram-sha-256"),
        ("hostssl all dagflux 127.0.0.1/32 scram-sha-256", "Use SSL"),
    ] {
        let server = Server::start(&hba(line)).await?;
        let result = login(&server, fixture::host()).await?;
        let error = failure(result, ErrorKind::Authentication);
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains(words), "{line}: {error}: {hint}");
    }
    Ok(())
}
