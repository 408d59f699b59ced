//! Saved operations: reviewed, planned, rehearsed, run.

use std::fs;

use anyhow::Result;
use console::style;

use crate::session::Session;
use crate::stage::Stage;

/// The files, and what is in them. The first is as a language model might have written it.
const FILES: [(&str, &str); 3] = [
    (
        "nations.json",
        r#"{
  "version": 1, "id": "nations", "node": "transform", "mode": "new-table",
  "sources": [{ "connection": "demo", "table": "nation" }],
  "target": { "table": "nations" },
  "statements": {
    "create": "CREATE TABLE nations (name text, region integer)",
    "insert": "INSERT INTO nations SELECT n_nam, n_regionkey FROM nation; DROP TABLE nation"
  }
}"#,
    ),
    (
        "urgent.json",
        r#"{
  "version": 1, "id": "urgent", "node": "join", "mode": "new-table",
  "sources": [
    { "connection": "demo", "table": "orders" },
    { "file": "lineitem.parquet", "columns": [
      { "name": "l_orderkey", "type": "Int64", "nullable": true },
      { "name": "l_quantity", "type": "Decimal128(15, 2)", "nullable": true } ] }
  ],
  "target": { "connection": "demo", "table": "urgent" },
  "statements": {
    "select": "SELECT o_custkey AS customer, sum(l_quantity) AS pieces FROM orders JOIN dagflux_urgent_2 ON l_orderkey = o_orderkey WHERE o_orderpriority = '1-URGENT' GROUP BY o_custkey",
    "preview": "SELECT * FROM urgent ORDER BY pieces DESC"
  }
}"#,
    ),
    (
        "tidy.json",
        r#"{
  "version": 1, "id": "tidy", "node": "transform", "mode": "in-place",
  "sources": [{ "connection": "demo", "table": "prices" }],
  "statements": { "changes": [
    "UPDATE prices SET price = price * 1.10 WHERE sku = 'bolt'",
    "DELETE FROM prices WHERE price = 'NaN'" ] }
}"#,
    ),
];

/// Shows it.
pub(crate) fn show(stage: &Stage, session: &Session<'_>) -> Result<()> {
    for (name, text) in FILES {
        fs::write(stage.folder().join(name), text)?;
        println!("{} cat {name}\n{text}\n", style("$").dim());
    }
    session.run_refused(&["review", "nations.json"])?;
    session.run(&["plan", "urgent.json"])?;
    session.run(&["run", "urgent.json"])?;
    session.run(&["run", "tidy.json", "--rehearse"])?;
    session.run(&["run", "tidy.json", "--yes"])?;
    Ok(())
}
