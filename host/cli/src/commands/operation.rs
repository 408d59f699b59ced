//! `operation`: saved operations of nodes.

use std::io::Write;
use std::path::Path;

use dagflux_host::operation::{
    Broken, Document, Join, Merging, Operation, Transform, Transformation,
};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, printable, table};

use super::input;

/// Prints the form of a document.
///
/// # Errors
/// When it cannot be written.
pub fn schema() -> anyhow::Result<()> {
    let mut out = output::stdout();
    serde_json::to_writer_pretty(&mut out, &Document::json_schema())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Holds a document against the rules.
///
/// # Errors
/// When it cannot be read, or is no document.
pub fn check(context: &Context, path: &Path) -> anyhow::Result<Exit> {
    let text = input::text("operation", path)?;
    let document = Document::parse(&text).map_err(|error| {
        let message = format!("this is no saved operation: {error}");
        Failure::file(message).hint("`dagflux operation schema` prints the form that it has")
    })?;
    let outcome = document.operation();
    if context.json {
        let broken: &[Broken] = outcome.as_ref().err().map_or(&[], Vec::as_slice);
        output::json(&json!({ "id": document.id, "broken": broken }))?;
    } else {
        match &outcome {
            Ok(operation) => {
                let mut out = output::stdout();
                writeln!(out, "{}", printable(&told(operation)))?;
                out.flush()?;
            }
            Err(broken) => print(broken)?,
        }
    }
    Ok(match outcome {
        Ok(_) => Exit::Success,
        Err(_) => Exit::Findings,
    })
}

fn print(broken: &[Broken]) -> anyhow::Result<()> {
    let columns = vec![
        table::Column::left("at"),
        table::Column::left("rule"),
        table::Column::left("what it says"),
    ];
    let rows: Vec<Vec<table::Cell>> = broken
        .iter()
        .map(|broken| {
            vec![
                Some(broken.at.clone()),
                Some(broken.rule.as_str().to_owned()),
                Some(broken.message.clone()),
            ]
        })
        .collect();
    Ok(table::print(columns, &rows)?)
}

/// An operation in a sentence.
fn told(operation: &Operation) -> String {
    match operation {
        Operation::Transform(Transform { id, work, .. }) => match work {
            Transformation::NewTable { source, target, .. } => format!(
                "{id} makes {target} of {} on {}",
                source.table, source.connection
            ),
            Transformation::Local { source, target, .. } => {
                format!("{id} makes {target} in the workspace of {source}")
            }
            Transformation::InPlace {
                source, changes, ..
            } => format!(
                "{id} changes {} on {} in place, in {} {}",
                source.table,
                source.connection,
                changes.len(),
                if changes.len() == 1 {
                    "statement"
                } else {
                    "statements"
                }
            ),
        },
        Operation::Join(Join {
            id,
            sources,
            target,
            merging,
            ..
        }) => {
            let sources: Vec<String> = sources
                .iter()
                .map(|(origin, _)| origin.to_string())
                .collect();
            let sources = sources.join(", ");
            let (table, connection) = (&target.table, &target.connection);
            match merging {
                Merging::NewTable => {
                    format!("{id} joins {sources} into a new table {table} on {connection}")
                }
                Merging::ByKey(keys) => format!(
                    "{id} joins {sources} and merges the rows into {table} on {connection} by {}",
                    keys.join(", ")
                ),
            }
        }
    }
}
