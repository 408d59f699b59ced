//! `--on-loss`: values that Arrow cannot hold.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::Desk;
use crate::assertions::value;
use crate::fixture;

const READINGS: &str = "
    CREATE TABLE readings (id int PRIMARY KEY, amount numeric(10,2), \"valid until\" date);
    INSERT INTO readings VALUES (1, 1.50, '2024-01-01'), (2, 'NaN', 'infinity'), (3, 'NaN', NULL), (4, NULL, '-infinity');
    GRANT ALL ON readings TO dagflux;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_read_fails_and_says_how_to_go_on() -> Result<()> {
    let database = fixture::database("cli_loss").await?;
    database.sql().await?.batch_execute(READINGS).await?;
    let desk = Desk::new(&database)?;
    for (arguments, column) in [
        (
            &["query", "db", "SELECT amount FROM readings ORDER BY id"][..],
            "amount=null",
        ),
        (
            &["preview", "db", "readings", "--on-loss", "amount=null"],
            "'valid until=null'",
        ),
        (
            &[
                "export",
                "db",
                "readings",
                "--columns",
                "amount",
                "-o",
                "r.csv",
            ],
            "amount=null",
        ),
        (
            &[
                "export",
                "db",
                "--query",
                "SELECT amount FROM readings",
                "-o",
                "r.csv",
            ],
            "amount=null",
        ),
    ] {
        let (text, error) = desk.fail(arguments, 8)?;
        assert_eq!(error["kind"], "value");
        assert!(
            text.contains(&format!(
                "next: add --on-loss {column} to read such values as NULL, or --on-loss "
            )),
            "{text}"
        );
    }
    assert_eq!(desk.files()?, Vec::<String>::new());
    // What the server itself refuses is no loss.
    let (text, _) = desk.fail(&["query", "db", "SELECT 'x'::int"], 7)?;
    assert!(!text.contains("--on-loss"), "{text}");
    let (_, error) = desk.fail(
        &["query", "db", "SELECT 1 AS one", "--on-loss", "two=null"],
        6,
    )?;
    assert_eq!(error["kind"], "column-not-found");
    let run = desk.run(&["query", "db", "SELECT 1", "--on-loss", "amount"])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("write fail, null or text"), "{run:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_comes_behind_the_result() -> Result<()> {
    let database = fixture::database("cli_ledger").await?;
    let client = database.sql().await?;
    client.batch_execute(READINGS).await?;
    let desk = Desk::new(&database)?;
    let sql = "SELECT * FROM readings ORDER BY id";
    let query = ["query", "db", sql, "--on-loss", "text,amount=null"];
    let run = desk.run(&query)?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        run.out.lines().take(6).collect::<Vec<_>>(),
        [
            "id  amount  valid until",
            "--  ------  -----------",
            " 1    1.50  2024-01-01",
            " 2    NULL  infinity",
            " 3    NULL  NULL",
            " 4    NULL  -infinity",
        ]
    );
    let ledger: Vec<&str> = run.err.lines().collect();
    assert_eq!(
        ledger.first(),
        Some(&"4 values were not carried as they are:"),
        "{run:?}"
    );
    let titles: Vec<&str> = ledger
        .get(1)
        .context("no table")?
        .split_whitespace()
        .collect();
    assert_eq!(
        titles,
        [
            "column", "reason", "became", "values", "first", "row", "example"
        ]
    );
    let amount = ledger
        .iter()
        .find(|line| line.starts_with("amount "))
        .context("no line")?;
    assert!(
        amount.contains("null") && amount.ends_with("2          2  NaN"),
        "{run:?}"
    );
    let documents = desk.json(&query)?;
    let last = documents.last().context("no documents")?;
    assert_eq!(last["rows"], 4);
    let losses = last["losses"].as_array().context("no losses")?;
    let amount = losses
        .iter()
        .find(|loss| loss["column"] == "amount")
        .context("no loss")?;
    assert_eq!(
        (
            &amount["became"],
            &amount["values"],
            &amount["first_row"],
            &amount["example"]
        ),
        (&json!("null"), &json!(2), &json!(2), &json!("NaN"))
    );
    // Nothing lost, nothing said.
    let documents = desk.json(&["query", "db", "SELECT 1 AS one", "--on-loss", "null"])?;
    assert_eq!(
        documents.last().context("no documents")?["losses"],
        json!([])
    );
    let run = desk.run(&["query", "db", "SELECT 1 AS one", "--on-loss", "null"])?;
    assert_eq!(run.err, "");
    Ok(())
}

/// As text nothing is lost, through any file and back.
#[tokio::test(flavor = "multi_thread")]
async fn text_comes_back_as_it_was() -> Result<()> {
    let database = fixture::database("cli_loss_text").await?;
    let client = database.sql().await?;
    client.batch_execute(READINGS).await?;
    let desk = Desk::new(&database)?;
    for format in ["parquet", "arrow", "csv", "jsonl"] {
        let (file, table) = (format!("r.{format}"), format!("copy_{format}"));
        let summary =
            &desk.json(&["export", "db", "readings", "-o", &file, "--on-loss", "text"])?[0];
        let losses = summary["losses"].as_array().context("no losses")?;
        let lost: u64 = losses
            .iter()
            .filter_map(|loss| loss["values"].as_u64())
            .sum();
        assert_eq!(lost, 4, "{summary}");
        client
            .batch_execute(&format!(
                "CREATE TABLE {table} (LIKE readings); GRANT ALL ON {table} TO dagflux"
            ))
            .await?;
        desk.succeed(&["import", "db", &file, &table])?;
        let different = format!(
            "SELECT (SELECT count(*) FROM (TABLE readings EXCEPT ALL TABLE {table}) x) \
             + (SELECT count(*) FROM (TABLE {table} EXCEPT ALL TABLE readings) x)"
        );
        assert_eq!(value(&client, &different).await?, "0", "{format}");
    }
    // Beside such words, decimals that the column would round are still refused.
    fs::write(desk.path("rounded.csv"), "id,amount\n7,NaN\n8,1.005\n")?;
    let (text, _) = desk.fail(&["import", "db", "rounded.csv", "readings"], 8)?;
    assert!(
        text.contains("row 2, column \"amount\": the column keeps 2 decimals"),
        "{text}"
    );
    Ok(())
}
