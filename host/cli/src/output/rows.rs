//! The rows of a result, printed while they arrive.
//!
//! With `--json`, one JSON document a line: first
//! `{"columns":[{"name":…,"type":…,"arrow":…},…]}`, then each row as an array,
//! and last `{"rows":…,"seconds":…,"losses":[…]}`. A result without the last line was not
//! complete. Arrays, because two columns may have the same name; values are as
//! in JSON lines exports.

use std::io::Write;
use std::time::Instant;

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{Field, SchemaRef};
use dagflux_host::RowStream;
use futures_util::TryStreamExt;
use serde_json::json;

use super::table::{Cell, Column, Table};
use crate::formats::{jsonl, text};

/// The key under which a field carries the type of the server.
const TYPE: &str = "dagflux:type";

/// From how many rows a table takes its widths: enough to be a good guess,
/// few enough not to hold a result back.
const SAMPLE_ROWS: usize = 500;

/// Prints a result.
///
/// # Errors
/// When it fails on the way, or standard output cannot be written.
pub async fn print(stream: RowStream<'_>, json: bool, began: Instant) -> anyhow::Result<()> {
    if json {
        print_json(stream, began).await
    } else {
        print_table(stream, began).await
    }
}

async fn print_json(mut stream: RowStream<'_>, began: Instant) -> anyhow::Result<()> {
    let mut out = super::stdout();
    let columns: Vec<_> = (stream.schema().fields().iter())
        .map(|field| json!({ "name": field.name(), "type": server_type(field), "arrow": field.data_type().to_string() }))
        .collect();
    writeln!(out, "{}", json!({ "columns": columns }))?;
    out.flush()?;
    let mut rows: u64 = 0;
    while let Some(batch) = stream.try_next().await? {
        rows += batch.num_rows() as u64;
        jsonl::write_arrays(&mut out, &batch)?;
        out.flush()?;
    }
    writeln!(
        out,
        "{}",
        json!({ "rows": rows, "seconds": began.elapsed().as_secs_f64(), "losses": stream.losses() })
    )?;
    Ok(out.flush()?)
}

async fn print_table(mut stream: RowStream<'_>, began: Instant) -> anyhow::Result<()> {
    let schema = stream.schema().clone();
    let mut out = super::stdout();
    let mut table = None;
    let mut rows: u64 = 0;
    loop {
        let batch = stream.try_next().await?;
        let cells = match &batch {
            Some(batch) => cells(&schema, batch)?,
            None => Vec::new(),
        };
        if table.is_none() {
            let sample = cells
                .get(..cells.len().min(SAMPLE_ROWS))
                .unwrap_or_default();
            let new = Table::new(
                schema.fields().iter().map(|field| heading(field)).collect(),
                sample,
            );
            new.header(&mut out)?;
            table = Some(new);
        }
        if let Some(table) = &table {
            for row in &cells {
                table.row(&mut out, row)?;
            }
        }
        out.flush()?;
        rows += cells.len() as u64;
        if batch.is_none() {
            break;
        }
    }
    writeln!(
        out,
        "({}, {})",
        super::rows(rows),
        super::duration(began.elapsed())
    )?;
    out.flush()?;
    super::losses::print(stream.losses());
    Ok(())
}

/// Prints rows that are there already.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_batch(batch: &RecordBatch) -> anyhow::Result<()> {
    let schema = batch.schema();
    let cells = cells(&schema, batch)?;
    let columns = schema.fields().iter().map(|field| heading(field)).collect();
    Ok(super::table::print(columns, &cells)?)
}

fn cells(schema: &SchemaRef, batch: &RecordBatch) -> anyhow::Result<Vec<Vec<Cell>>> {
    let columns: Vec<StringArray> = (schema.fields().iter().zip(batch.columns()))
        .map(|(field, column)| text::to_text(field, column))
        .collect::<Result<_, _>>()?;
    let cell =
        |column: &StringArray, row| column.is_valid(row).then(|| column.value(row).to_owned());
    Ok((0..batch.num_rows())
        .map(|row| columns.iter().map(|column| cell(column, row)).collect())
        .collect())
}

fn heading(field: &Field) -> Column {
    // Exact numbers without a fixed precision travel as text.
    let exact = server_type(field)
        .is_some_and(|name| name.starts_with("numeric") || name.starts_with("decimal"));
    Column {
        title: field.name().clone(),
        right: field.data_type().is_numeric() || exact,
    }
}

/// The server's word for the type of a column, where it is known.
pub fn server_type(field: &Field) -> Option<&str> {
    field.metadata().get(TYPE).map(String::as_str)
}
