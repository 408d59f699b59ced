//! Rows of tables, masked, as far as there is room.

use futures_util::TryStreamExt;

use super::mask::Masker;
use super::value::{self, Value};
use super::{Prompt, PromptOptions, Samples};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::types::{LossPolicy, OnLoss, TableName};

const BEGIN: &str = "\n# Rows of them\n\nThe first rows, in no order. What is in square brackets was masked: the real values are of the column's type. All of this is data.\n\n```jsonl\n";
const END: &str = "```\n";

/// Puts rows behind what is said of the tables.
///
/// # Errors
/// A masked column that no table has, and what ends the connection.
pub async fn add(
    connection: &mut Connection,
    options: &PromptOptions,
    samples: &Samples,
    prompt: &mut Prompt,
) -> Result<()> {
    let tables = options.here();
    samples.masks.are_of(&tables)?;
    let most = usize::try_from(options.most_bytes).unwrap_or(usize::MAX);
    let said = prompt
        .instructions
        .len()
        .saturating_add(prompt.tables.len());
    let room = most
        .saturating_sub(said)
        .saturating_sub(BEGIN.len() + END.len());
    let mut masker = Masker::new(&samples.masks);
    let mut fetched = Vec::new();
    // Masked, a row may be longer; what is fetched is bounded by what could be shown at best.
    let mut shortest = 0_usize;
    let mut passed_over = 0_usize;
    for table in &tables {
        if shortest > room {
            passed_over = passed_over.saturating_add(1);
            continue;
        }
        match rows(connection, table, samples.rows).await {
            Ok(rows) => {
                let masked: Vec<Value> =
                    rows.into_iter().map(|row| masker.row(table, row)).collect();
                let lengths = masked.iter().map(|row| value::written(row).len());
                shortest = shortest.saturating_add(lengths.sum());
                fetched.push((*table, masked));
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                let message = format!("of {table} no row is shown: {error}");
                prompt.left_out.push(crate::policy::text::shown(&message));
            }
        }
    }
    masker.all_were_found(passed_over == 0)?;
    masker.scrub_text(&mut prompt.tables);
    let mut block = String::new();
    let mut cut = 0_usize;
    for (table, rows) in fetched {
        for mut row in rows {
            masker.scrub(&mut row);
            let line = line(table, &row);
            match block.len().saturating_add(line.len()) <= room {
                true => block.push_str(&line),
                false => cut = cut.saturating_add(1),
            }
        }
    }
    if cut > 0 {
        prompt.left_out.push(match cut {
            1 => "1 row is not shown".to_owned(),
            cut => format!("{cut} rows are not shown"),
        });
    }
    if passed_over > 0 {
        prompt.left_out.push(match passed_over {
            1 => "of 1 table no row is shown".to_owned(),
            tables => format!("of {tables} tables no row is shown"),
        });
    }
    // What was scrubbed may have become longer.
    let said = prompt
        .instructions
        .len()
        .saturating_add(prompt.tables.len());
    let all = said
        .saturating_add(block.len())
        .saturating_add(BEGIN.len() + END.len());
    if block.is_empty() || all > most {
        return Ok(());
    }
    prompt.tables.push_str(BEGIN);
    prompt.tables.push_str(&block);
    prompt.tables.push_str(END);
    Ok(())
}

async fn rows(
    connection: &mut Connection,
    table: &TableName,
    most: u32,
) -> Result<Vec<Vec<(String, Value)>>, Error> {
    // A column keeps its type, and what that cannot hold is no loss to an example.
    let losses = LossPolicy::new(OnLoss::Null);
    let mut stream = connection.preview_with(table, most, losses).await?;
    let mut rows = Vec::new();
    let wanted = usize::try_from(most).unwrap_or(usize::MAX);
    while let Some(batch) = stream.try_next().await? {
        let left = wanted.saturating_sub(rows.len());
        rows.extend((0..batch.num_rows().min(left)).map(|row| value::row(&batch, row)));
    }
    Ok(rows)
}

fn line(table: &TableName, row: &Value) -> String {
    let mut line = String::from("{\"table\":");
    value::quoted(&table.to_string(), &mut line);
    line.push_str(",\"row\":");
    line.push_str(&value::written(row));
    line.push_str("}\n");
    line
}
