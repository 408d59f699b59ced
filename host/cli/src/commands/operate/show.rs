//! What a rehearsal and a result look like.

use std::io::Write;

use arrow_array::RecordBatch;
use dagflux_host::TableName;
use dagflux_host::operation::{ChangeRehearsed, Rehearsal};
use serde_json::{Value, json};

use crate::formats::jsonl;
use crate::output::table::{self, Cell, Column};
use crate::output::{self, printable, rows, thousands};

/// Shows what was rehearsed.
///
/// # Errors
/// When it cannot be written.
pub fn rehearsal(rehearsal: &Rehearsal) -> anyhow::Result<()> {
    let mut out = output::stdout();
    writeln!(
        out,
        "rehearsed on {}, and rolled back: {} updated, {} deleted, {} {}",
        printable(&rehearsal.table.to_string()),
        rows(rehearsal.updated),
        rows(rehearsal.deleted),
        rehearsal.altered,
        if rehearsal.altered == 1 {
            "alteration"
        } else {
            "alterations"
        },
    )?;
    out.flush()?;
    for (change, number) in rehearsal.changes.iter().zip(1_u64..) {
        writeln!(out)?;
        writeln!(out, "{number}. {}", printable(change.sql.trim()))?;
        writeln!(out, "   {}", counted(change))?;
        out.flush()?;
        sample("before", change.sample.before.as_ref())?;
        sample("after", change.sample.after.as_ref())?;
    }
    columns(rehearsal)?;
    for lock in &rehearsal.locks {
        writeln!(
            out,
            "locks {} ({}): keeps out {} until it is done",
            printable(&TableName::in_schema(&lock.schema, &lock.name).to_string()),
            printable(&lock.mode),
            lock.keeps_out.told()
        )?;
    }
    Ok(out.flush()?)
}

fn counted(change: &ChangeRehearsed) -> String {
    match (change.rows, change.of) {
        (Some(changed), Some(of)) if change.every_row => {
            format!(
                "{}: every row of {}",
                printable(&change.command),
                thousands(of.max(changed))
            )
        }
        (Some(_), Some(of)) => format!("{} of {}", printable(&change.command), rows(of)),
        _ => printable(&change.command),
    }
}

fn sample(what: &str, batch: Option<&RecordBatch>) -> anyhow::Result<()> {
    let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) else {
        return Ok(());
    };
    println!("   {what}:");
    output::rows::print_batch(batch)
}

/// How the columns differ.
fn columns(rehearsal: &Rehearsal) -> anyhow::Result<()> {
    let before = &rehearsal.columns_before;
    let after = &rehearsal.columns_after;
    let mut told: Vec<Vec<Cell>> = Vec::new();
    for column in before {
        let now = after.iter().find(|now| now.name == column.name);
        let is_changed = now.is_none_or(|now| {
            (&now.data_type, now.nullable) != (&column.data_type, column.nullable)
        });
        if is_changed {
            let of = |column: &dagflux_host::ColumnInfo| {
                let null = if column.nullable { "" } else { " NOT NULL" };
                format!("{}{null}", column.data_type)
            };
            told.push(vec![
                Some(column.name.clone()),
                Some(of(column)),
                now.map(of),
            ]);
        }
    }
    for column in after {
        if !before.iter().any(|was| was.name == column.name) {
            let null = if column.nullable { "" } else { " NOT NULL" };
            told.push(vec![
                Some(column.name.clone()),
                None,
                Some(format!("{}{null}", column.data_type)),
            ]);
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    println!();
    let columns = vec![
        Column::left("column"),
        Column::left("before"),
        Column::left("after"),
    ];
    Ok(table::print(columns, &told)?)
}

/// A rehearsal as JSON.
///
/// # Errors
/// When a value has no form in JSON.
pub fn rehearsal_json(rehearsal: &Rehearsal) -> anyhow::Result<Value> {
    let changes = rehearsal
        .changes
        .iter()
        .map(|change| {
            Ok(json!({
                "sql": change.sql,
                "command": change.command,
                "rows": change.rows,
                "of": change.of,
                "every-row": change.every_row,
                "before": rows_json(change.sample.before.as_ref())?,
                "after": rows_json(change.sample.after.as_ref())?,
            }))
        })
        .collect::<anyhow::Result<Vec<Value>>>()?;
    Ok(json!({
        "table": rehearsal.table,
        "updated": rehearsal.updated,
        "deleted": rehearsal.deleted,
        "altered": rehearsal.altered,
        "changes": changes,
        "columns-before": rehearsal.columns_before,
        "columns-after": rehearsal.columns_after,
        "locks": rehearsal.locks,
    }))
}

/// Rows as JSON, by the names of their columns and as arrays, since two columns may have one name;
/// null if there are none to show.
///
/// # Errors
/// When a value has no form in JSON.
pub fn rows_json(batch: Option<&RecordBatch>) -> anyhow::Result<Value> {
    let Some(batch) = batch else {
        return Ok(Value::Null);
    };
    let mut lines = Vec::new();
    jsonl::write_arrays(&mut lines, batch)?;
    let lines = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let rows: Result<Vec<Value>, _> = lines.map(serde_json::from_slice).collect();
    let schema = batch.schema();
    let columns: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    Ok(json!({ "columns": columns, "rows": rows? }))
}
