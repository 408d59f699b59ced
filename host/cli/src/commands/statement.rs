//! `preview` and `query`: rows on the screen.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use dagflux_host::{ErrorKind, TableName};

use crate::args::{LossArgs, StatementArgs, quoted};
use crate::context::{Context, close};
use crate::failure::{Failure, ServerFailure};
use crate::interrupt::{or_interrupt, or_interrupt_change};
use crate::output::{self, rows};

use super::input;

/// Shows the first rows of a table.
///
/// # Errors
/// When the connection fails, or there is no such table.
pub async fn preview(
    context: &Context,
    name: &str,
    table: &TableName,
    count: u32,
    losses: &LossArgs,
) -> anyhow::Result<()> {
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let began = Instant::now();
    or_interrupt(Some(canceller), async {
        let shown = async {
            let stream = connection
                .preview_with(table, count, losses.policy())
                .await?;
            rows::print(stream, context.json, began).await
        };
        shown.await.map_err(|error| advised(None, error))
    })
    .await?;
    close(connection).await;
    Ok(())
}

/// Runs a statement and shows its rows.
///
/// # Errors
/// When the connection or the statement fails.
pub async fn query(
    context: &Context,
    name: &str,
    statement: StatementArgs,
    losses: &LossArgs,
) -> anyhow::Result<()> {
    let sql = text(statement.sql.as_deref(), statement.file.as_deref())?;
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let began = Instant::now();
    or_interrupt(Some(canceller), async {
        let shown = async {
            let stream = connection.query_with(&sql, losses.policy()).await?;
            rows::print(stream, context.json, began).await
        };
        shown.await.map_err(|error| advised(Some(&sql), error))
    })
    .await?;
    close(connection).await;
    Ok(())
}

/// Runs a statement that may change things.
///
/// # Errors
/// When the connection or the statement fails.
pub async fn execute(
    context: &Context,
    name: &str,
    statement: StatementArgs,
) -> anyhow::Result<()> {
    let sql = text(statement.sql.as_deref(), statement.file.as_deref())?;
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let began = Instant::now();
    let outcome = or_interrupt_change(canceller, async {
        let outcome = connection.execute(&sql).await;
        outcome.map_err(|error| advised(Some(&sql), error.into()))
    })
    .await?;
    close(connection).await;
    if context.json {
        return output::json(&outcome);
    }
    let mut out = output::stdout();
    writeln!(
        out,
        "{} ({})",
        output::printable(&outcome.command),
        output::duration(began.elapsed())
    )?;
    Ok(out.flush()?)
}

/// A failure of the host with the statement it is about, and with the arguments that
/// would have let the read go on.
pub fn advised(sql: Option<&str>, error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<dagflux_host::Error>() {
        Ok(source) => ServerFailure {
            sql: sql.map(str::to_owned),
            hint: way_on(&source),
            source,
        }
        .into(),
        Err(error) => error,
    }
}

/// What to add to the command to read values that Arrow cannot hold, if it is that. What
/// the server itself refuses has an SQLSTATE.
fn way_on(error: &dagflux_host::Error) -> Option<String> {
    let misfit = error.kind() == ErrorKind::Value && error.sqlstate().is_none();
    let mut attributes = error.attributes().iter();
    let (_, column) = attributes.find(|(name, _)| misfit && name == "column")?;
    Some(format!(
        "add --on-loss {} to read such values as NULL, or --on-loss {} to read the column as text",
        quoted(&format!("{column}=null")),
        quoted(&format!("{column}=text"))
    ))
}

/// The statement that was given: as it is, from standard input, or in a file.
///
/// # Errors
/// When it cannot be read, or is empty.
pub fn text(given: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    let sql = match (given, file) {
        (Some("-"), _) => input::text("statement", Path::new(input::STANDARD))?,
        (Some(sql), _) => sql.to_owned(),
        (None, Some(path)) => input::text("statement", path)?,
        (None, None) => String::new(),
    };
    if sql.trim().is_empty() {
        return Err(
            Failure::usage("the statement is empty").hint("give one statement that returns rows")
        );
    }
    Ok(sql)
}
