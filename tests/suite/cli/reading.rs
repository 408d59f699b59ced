//! What the command shows, and single statements.

use std::fs;

use anyhow::{Context, Result};
use dagflux_test_support::connector_path;
use serde_json::Value;

use super::{Desk, prepared};
use crate::assertions::value;

#[tokio::test(flavor = "multi_thread")]
async fn describe_and_inspect() -> Result<()> {
    let desk = Desk::with_file("")?;
    let text = desk.succeed(&["describe", "postgres"])?;
    for field in [
        "host", "port", "database", "username", "password", "schema", "use_ssl",
    ] {
        assert!(text.contains(field), "{field} is not in {text}");
    }
    let about = &desk.json(&["describe", "postgres"])?[0];
    assert_eq!(about["name"], "postgres");
    let fields = about["fields"].as_array().context("no fields")?;
    let form: Vec<(&str, bool, bool, Option<&str>)> = fields
        .iter()
        .map(|field| {
            (
                field["name"].as_str().unwrap_or_default(),
                field["required"] == true,
                field["sensitive"] == true,
                field["default"].as_str(),
            )
        })
        .collect();
    // The table of the product's document.
    assert_eq!(
        form,
        [
            ("host", true, true, None),
            ("port", true, false, Some("5432")),
            ("database", true, false, None),
            ("username", true, true, None),
            ("password", true, true, None),
            ("schema", false, false, Some("public")),
            ("use_ssl", false, false, Some("false")),
        ]
    );
    let schema: Value =
        serde_json::from_str(&desk.succeed(&["describe", "postgres", "--json-schema"])?)?;
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["properties"]["port"]["default"], 5432);

    let wasm = connector_path("postgres")?;
    let wasm = wasm.to_str().context("a path that is not text")?;
    let component = &desk.json(&["inspect", wasm])?[0];
    let digest = component["digest"].as_str().context("no digest")?;
    assert!(
        digest.starts_with("sha256:") && digest.len() == 71,
        "{digest}"
    );
    assert_eq!(component["size"], fs::metadata(wasm)?.len());
    let imports: Vec<&str> = component["imports"]
        .as_array()
        .context("no imports")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        imports
            .iter()
            .any(|import| import.starts_with("wasi:sockets/tcp@"))
    );
    assert!(!imports.iter().any(|import| import.contains("filesystem")));
    assert!(desk.succeed(&["inspect", "postgres"])?.contains(digest));
    desk.fail(&["inspect", "./no-such.wasm"], 13)?;
    desk.fail(&["describe", "postgre"], 3)?;
    fs::write(desk.path("broken.wasm"), fs::read(wasm)?.split_at(5000).0)?;
    let (_, error) = desk.fail(&["inspect", "./broken.wasm"], 12)?;
    assert_eq!(error["kind"], "invalid-component");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_discovery() -> Result<()> {
    let (database, desk) = prepared("cli_discovery").await?;
    assert!(desk.succeed(&["check", "db"])?.contains("PostgreSQL"));
    let report = &desk.json(&["check", "db"])?[0];
    assert_eq!(report["server"]["database"], "cli_discovery");
    assert!(
        report["findings"]
            .as_array()
            .is_some_and(|findings| !findings.is_empty())
    );
    let schemas = desk.json(&["schemas", "db"])?;
    assert_eq!(schemas[0][0]["name"], "public");
    assert!(desk.succeed(&["schemas", "db"])?.contains("public"));
    let tables = desk.json(&["tables", "db"])?;
    let names: Vec<&str> = tables[0]
        .as_array()
        .context("no array")?
        .iter()
        .filter_map(|table| table["name"].as_str())
        .collect();
    assert_eq!(names, ["big_orders", "orders"]);
    assert_eq!(tables[0][1]["comment"], "What was ordered");
    assert_eq!(tables[0][1]["estimated_rows"], 2000);
    assert_eq!(
        tables[0],
        desk.json(&["tables", "db", "--schema", "public"])?[0]
    );
    let text = desk.succeed(&["tables", "db"])?;
    assert!(text.contains("2,000") && text.contains("view"), "{text}");
    let columns = desk.json(&["columns", "db", "public.orders"])?;
    assert_eq!(columns[0].as_array().map(Vec::len), Some(12));
    assert_eq!(columns[0][3]["data_type"], "numeric(10,2)");
    assert_eq!(columns[0][3]["nullable"], false);
    assert_eq!(columns[0][0]["primary_key"], 1);
    assert!(
        desk.succeed(&["columns", "db", "orders"])?
            .contains("timestamp with time zone")
    );

    // What does not work is a finding, and an exit code.
    database
        .sql()
        .await?
        .batch_execute("REVOKE USAGE ON SCHEMA public FROM dagflux, PUBLIC")
        .await?;
    let run = desk.run(&["check", "db"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    assert!(run.out.contains("GRANT USAGE ON SCHEMA"), "{run:?}");
    let run = desk.run(&["check", "db", "--json"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    let report: Value = serde_json::from_str(&run.out)?;
    let mut findings = report["findings"].as_array().context("none")?.iter();
    assert!(findings.any(|finding| finding["severity"] == "failed"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_and_query() -> Result<()> {
    let (_, desk) = prepared("cli_query").await?;
    let lines = desk.json(&["preview", "db", "orders", "-n", "3"])?;
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["columns"][3]["type"], "numeric(10,2)");
    assert_eq!(lines[1][0], 1);
    assert_eq!(lines[4]["rows"], 3);
    let text = desk.succeed(&["preview", "db", "orders"])?;
    assert!(text.contains("Käse 日本 3"), "{text}");
    let lines = desk.json(&[
        "query",
        "db",
        "SELECT id, total FROM orders ORDER BY id LIMIT 2",
    ])?;
    assert_eq!(lines[1].to_string(), "[1,\"1.25\"]");
    let file = desk.path("count.sql");
    fs::write(&file, "-- how many\nSELECT count(*) AS n FROM orders;\n")?;
    let lines = desk.json(&["query", "db", "--file", "count.sql"])?;
    assert_eq!(lines[1][0], 2000);
    // A result without rows has columns all the same.
    let lines = desk.json(&["query", "db", "SELECT id FROM orders WHERE false"])?;
    assert_eq!(lines[0]["columns"][0]["name"], "id");
    assert_eq!(lines[1]["rows"], 0);
    // Text from the server moves no cursor.
    let text = desk.succeed(&["query", "db", "SELECT E'\\x1b[31mred\\x07' AS \"a\u{9b}b\""])?;
    assert!(text.contains("red"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn execute_changes_things_one_statement_at_a_time() -> Result<()> {
    let (database, desk) = prepared("cli_execute").await?;
    let client = database.sql().await?;
    let text = desk.succeed(&["execute", "db", "CREATE TABLE mine (id int)"])?;
    assert!(text.starts_with("CREATE TABLE"), "{text}");
    let sql = "INSERT INTO mine SELECT generate_series(1, 5)";
    let outcome = &desk.json(&["execute", "db", sql])?[0];
    assert_eq!(outcome["command"], "INSERT 0 5");
    assert_eq!(outcome["rows"], 5);
    let two = "DELETE FROM mine; DROP TABLE mine";
    let (_, error) = desk.fail(&["execute", "db", two], 7)?;
    assert_eq!(error["kind"], "unsupported-statement");
    let (_, error) = desk.fail(&["execute", "db", "DROP TABLE orders"], 5)?;
    assert_eq!(error["kind"], "permission-denied");
    assert_eq!(value(&client, "SELECT count(*) FROM mine").await?, "5");
    assert_eq!(value(&client, "SELECT count(*) FROM orders").await?, "2000");
    Ok(())
}
