//! `prompt`: what to tell a language model that is to write an operation.

use std::io::Write;
use std::path::Path;

use dagflux_host::operation::{Column, Masks, PromptOptions, Samples};
use dagflux_host::{ColumnInfo, TableName};

use super::prepare;
use crate::args::{PlacedTable, PromptArgs};
use crate::context::{Context, close};
use crate::interrupt::or_interrupt;
use crate::output::{self, printable_lines, warn};

/// Runs the command.
///
/// # Errors
/// When there is no such operation, or a table cannot be looked at.
pub async fn run(context: &Context, args: &PromptArgs) -> anyhow::Result<()> {
    let mut options = PromptOptions::new(&args.id, args.node.into(), args.mode.into())
        .with_most_bytes(args.most_bytes);
    options.storage = args.storage.map(Into::into);
    options.target.clone_from(&args.target);
    options.samples = args
        .samples
        .map(|rows| Samples::new(rows).with_masks(masks(args)));
    for table in &args.tables {
        options = match table {
            PlacedTable::Here(table) => options.with_table(table.clone()),
            PlacedTable::There(name, table) if *name == args.connection => {
                options.with_table(table.clone())
            }
            PlacedTable::There(name, table) => {
                let columns = or_interrupt(None, there(context, name, table)).await?;
                options.with_elsewhere(format!("{name}:{table}"), columns)
            }
            PlacedTable::Workspace(table) => {
                let workspace = prepare::workspace(args.workspace.as_deref())?;
                let columns = tokio::task::block_in_place(|| workspace.columns(table))?;
                let columns = columns.into_iter().map(column);
                options.with_elsewhere(format!("workspace:{table}"), columns)
            }
            PlacedTable::File(path) => options.with_elsewhere(path, file(path)?),
        };
    }
    let mut connection = context.open(&args.connection).await?;
    let canceller = connection.canceller();
    let prompt = or_interrupt(Some(canceller), async {
        Ok(connection.prompt(&options).await?)
    })
    .await?;
    close(connection).await;
    if context.json {
        return output::json(&prompt);
    }
    let mut out = output::stdout();
    write!(out, "{}", printable_lines(&prompt.text()))?;
    out.flush()?;
    for sentence in &prompt.left_out {
        warn(&format!("left out: {sentence}"));
    }
    Ok(())
}

fn masks(args: &PromptArgs) -> Masks {
    let rules = match (args.no_mask, args.mask.as_slice()) {
        (true, _) => Masks::none(),
        (false, []) => Masks::all(),
        (false, rules) => rules.iter().copied().fold(Masks::none(), Masks::with_rule),
    };
    let columns = args.mask_column.iter().cloned();
    columns.fold(rules, Masks::with_column)
}

async fn there(context: &Context, name: &str, table: &TableName) -> anyhow::Result<Vec<Column>> {
    let mut connection = context.open(name).await?;
    let columns = connection
        .columns(table.schema.as_deref(), Some(&table.name))
        .await;
    close(connection).await;
    Ok(columns?.into_iter().map(column).collect())
}

fn column(info: ColumnInfo) -> Column {
    Column {
        name: info.name,
        data_type: info.data_type,
        nullable: info.nullable,
    }
}

fn file(path: &str) -> anyhow::Result<Vec<Column>> {
    let rows = tokio::task::block_in_place(|| prepare::rows(Path::new(path)))?;
    let fields = rows.schema.fields().iter().map(|field| Column {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: true,
    });
    Ok(fields.collect())
}
