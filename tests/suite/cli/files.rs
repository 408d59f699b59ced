//! Exports and imports.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dagflux_test_support::{Server, ServerOptions};

use super::{Desk, Run, prepared};
use crate::assertions::{rows, value};
use crate::fixture;
use crate::writes::round_trip::EVERYTHING;

#[tokio::test(flavor = "multi_thread")]
async fn every_format_out_and_in_again() -> Result<()> {
    let (database, desk) = prepared("cli_formats").await?;
    let client = database.sql().await?;
    for format in ["parquet", "arrow", "csv", "jsonl"] {
        let file = format!("orders.{format}");
        let table = format!("orders_{format}");
        let exported = desk.json(&["export", "db", "orders", "-o", &file])?;
        assert_eq!(exported[0]["rows"], 2000, "{format}");
        assert_eq!(
            exported[0]["bytes"],
            fs::metadata(desk.path(&file))?.len(),
            "{format}"
        );
        client
            .batch_execute(&format!(
                "CREATE TABLE {table} (LIKE orders INCLUDING ALL); GRANT ALL ON {table} TO dagflux"
            ))
            .await?;
        let imported = desk.json(&["import", "db", &file, &table])?;
        assert_eq!(imported[0]["rows"], 2000, "{format}");
        let different = format!(
            "SELECT (SELECT count(*) FROM (TABLE orders EXCEPT ALL TABLE {table}) x) \
             + (SELECT count(*) FROM (TABLE {table} EXCEPT ALL TABLE orders) x)"
        );
        assert_eq!(value(&client, &different).await?, "0", "{format}");
        // A second time is against the key: not one row more.
        let (_, error) = desk.fail(&["import", "db", &file, &table], 8)?;
        assert_eq!(error["kind"], "constraint", "{format}");
        assert_eq!(
            value(&client, &format!("SELECT count(*) FROM {table}")).await?,
            "2000"
        );
        // Into a new table, with the types that the format keeps.
        let created = format!("new_{format}");
        desk.succeed(&["import", "db", &file, &created, "--create"])?;
        let as_text = "SELECT id::text, day::text, total::text, customer FROM";
        let different = format!(
            "SELECT (SELECT count(*) FROM ({as_text} orders EXCEPT ALL {as_text} {created}) x)"
        );
        assert_eq!(value(&client, &different).await?, "0", "{format}");
        let (_, error) = desk.fail(&["import", "db", &file, &created, "--create"], 8)?;
        assert_eq!(error["kind"], "already-exists");
    }
    for format in ["parquet", "arrow"] {
        let types = |table: &str| {
            format!(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
            )
        };
        assert_eq!(
            rows(&client, &types(&format!("new_{format}"))).await?,
            rows(&client, &types("orders")).await?,
            "{format}"
        );
    }
    // The result of a query, to a pipe.
    let out = desk.succeed(&[
        "export",
        "db",
        "--query",
        "SELECT id, customer FROM orders WHERE id IN (4, 5) ORDER BY id",
        "-o",
        "-",
        "--format",
        "csv",
    ])?;
    assert_eq!(out, "id,customer\n4,\n5,\"\"\n");
    let out = desk.succeed(&[
        "export",
        "db",
        "orders",
        "--columns",
        "total,id",
        "--limit",
        "1",
        "-o",
        "-",
        "--format",
        "jsonl",
    ])?;
    assert_eq!(out, "{\"total\":\"1.25\",\"id\":1}\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_out_and_in_again() -> Result<()> {
    let database = fixture::database("cli_types").await?;
    let client = database.sql().await?;
    client.batch_execute(EVERYTHING).await?;
    let desk = Desk::new(&database)?;
    for format in ["parquet", "arrow", "csv", "jsonl"] {
        let (file, table) = (format!("every.{format}"), format!("every_{format}"));
        if format == "csv" {
            // Years of seven digits have no text; that is said, and nothing is written.
            let (_, error) = desk.fail(&["export", "db", "every", "-o", &file], 8)?;
            assert_eq!(error["kind"], "value");
            assert!(!desk.path(&file).exists());
            client
                .batch_execute("DELETE FROM every WHERE id < -1")
                .await?;
        }
        client
            .batch_execute(&format!("CREATE TABLE {table} (LIKE every)"))
            .await?;
        desk.succeed(&["export", "db", "every", "-o", &file])?;
        desk.succeed(&["import", "db", &file, &table])?;
        let texts = |table: &str| format!("SELECT t::text FROM {table} t");
        let (one, other) = (texts("every"), texts(&table));
        let different = format!(
            "SELECT (SELECT count(*) FROM ({one} EXCEPT ALL {other}) x) \
             + (SELECT count(*) FROM ({other} EXCEPT ALL {one}) x)"
        );
        assert_eq!(value(&client, &different).await?, "0", "{format}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_all_rows_or_none() -> Result<()> {
    let (database, desk) = prepared("cli_import").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < 5000)); GRANT ALL ON t TO dagflux")
        .await?;
    let mut text = String::from("id,n\n");
    for n in 0..20_000 {
        text.push_str(&format!("{n},{}\n", n % 4000));
    }
    fs::write(desk.path("fine.csv"), &text)?;
    fs::write(desk.path("faulty.csv"), format!("{text}20000,5000\n"))?;
    fs::write(desk.path("malformed.csv"), format!("{text}20000,many\n"))?;
    fs::write(desk.path("other.csv"), "id,n,unknown\n1,2,3\n")?;
    for (file, code) in [
        ("faulty.csv", 8),
        ("malformed.csv", 8),
        ("other.csv", 8),
        ("no_such.csv", 13),
    ] {
        let (text, _) = desk.fail(&["import", "db", file, "t"], code)?;
        assert_eq!(
            value(&client, "SELECT count(*) FROM t").await?,
            "0",
            "{text}"
        );
    }
    desk.succeed(&["import", "db", "fine.csv", "t"])?;
    assert_eq!(
        value(&client, "SELECT count(*) || ' ' || sum(n) FROM t").await?,
        "20000 39990000"
    );
    Ok(())
}

/// A file has columns by their names; JSON cannot have two of one name.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_come_twice() -> Result<()> {
    let database = fixture::database("cli_names_twice").await?;
    let desk = Desk::new(&database)?;
    let export = |file: &'static str| {
        let sql = "SELECT 1 AS id, 2 AS id";
        ["export", "db", "--query", sql, "-o", file]
    };
    let (text, _) = desk.fail(&export("twice.jsonl"), 8)?;
    assert!(
        text.contains("two columns are called \"id\"")
            && text.contains("next: give them other names"),
        "{text}"
    );
    assert_eq!(desk.files()?, Vec::<String>::new());
    // The others keep both, and no import takes one for the other.
    for file in ["twice.csv", "twice.parquet", "twice.arrow"] {
        desk.succeed(&export(file))?;
        let run = desk.run(&["import", "db", file, "t", "--create"])?;
        assert_eq!(run.code, Some(8), "{run:?}");
        assert!(run.err.contains("twice"), "{run:?}");
    }
    assert_eq!(fs::read_to_string(desk.path("twice.csv"))?, "id,id\n1,2\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_pipe_is_read_once() -> Result<()> {
    let database = fixture::database("cli_fifo").await?;
    let client = database.sql().await?;
    let desk = Desk::new(&database)?;
    let export = [
        "export",
        "db",
        "--query",
        "SELECT generate_series(1, 50000) AS n",
        "-o",
        "-",
    ];
    for format in ["arrow", "csv", "jsonl"] {
        let (pipe, table) = (format!("pipe.{format}"), format!("t_{format}"));
        ensure!(
            Command::new("mkfifo")
                .arg(desk.path(&pipe))
                .status()?
                .success()
        );
        let import = desk
            .command(&["import", "db", &pipe, &table, "--create"])?
            .spawn()?;
        let out = fs::OpenOptions::new().write(true).open(desk.path(&pipe))?;
        let mut exporting = desk.command(&[&export[..], &["--format", format]].concat())?;
        ensure!(exporting.stdout(out).status()?.success());
        drop(exporting);
        let run = Run::from(import.wait_with_output()?);
        assert_eq!(run.code, Some(0), "{format} {run:?}");
        let sum = value(&client, &format!("SELECT sum(n)::text FROM {table}")).await?;
        assert_eq!(sum, "1250025000", "{format}");
    }
    Ok(())
}

/// Starts the command and waits until its unfinished file is there.
fn begun(desk: &Desk, arguments: &[&str]) -> Result<Child> {
    let mut child = desk.command(arguments)?.spawn()?;
    let began = Instant::now();
    while !desk.files()?.iter().any(|name| name.ends_with(".part")) {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!(
                "{arguments:?} ended early: {status}, {:?}",
                Run::from(child.wait_with_output()?)
            );
        }
        ensure!(
            began.elapsed() < Duration::from_secs(30),
            "{arguments:?} wrote nothing"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

const SLOW: &str = "SELECT g, repeat('x', 1000) AS body, pg_sleep(0.0005)::text FROM generate_series(1, 1000000) g";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_leaves_no_partial_export() -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("cli_stopped").await?;
    let desk = Desk::new(&database)?;
    fs::write(desk.path("kept.csv"), "what was there before")?;
    let child = begun(&desk, &["export", "db", "--query", SLOW, "-o", "kept.csv"])?;
    server.stop();
    let run = Run::from(child.wait_with_output()?);
    assert_eq!(run.code, Some(10), "{run:?}");
    assert!(run.err.contains("next: "), "{run:?}");
    assert_eq!(desk.files()?, ["kept.csv"]);
    assert_eq!(
        fs::read_to_string(desk.path("kept.csv"))?,
        "what was there before"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_the_statement_and_leaves_no_file() -> Result<()> {
    let (database, desk) = prepared("cli_interrupt").await?;
    let child = begun(
        &desk,
        &["export", "db", "--query", SLOW, "-o", "slow.parquet"],
    )?;
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()?;
    assert!(status.success());
    let run = Run::from(child.wait_with_output()?);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert_eq!(desk.files()?, Vec::<String>::new());
    let client = database.sql().await?;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'cli_interrupt' \
                   AND application_name = 'dagflux' AND state = 'active'";
    let began = Instant::now();
    while value(&client, running).await? != "0" {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the statement runs on"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
