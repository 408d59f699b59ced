//! `preview` and `query`: rows on the screen.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use dagflux_host::TableName;

use crate::args::StatementArgs;
use crate::context::{Context, close};
use crate::failure::{Failure, StatementFailure};
use crate::interrupt::{or_interrupt, or_interrupt_change};
use crate::output::{self, rows};

/// The longest statement that is read. PostgreSQL's own limit on a message is
/// 1 GiB; a dump given by mistake should not get that far.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Shows the first rows of a table.
///
/// # Errors
/// When the connection fails, or there is no such table.
pub async fn preview(
    context: &Context,
    name: &str,
    table: &TableName,
    count: u32,
) -> anyhow::Result<()> {
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let began = Instant::now();
    or_interrupt(Some(canceller), async {
        let stream = connection.preview(table, count).await?;
        rows::print(stream, context.json, began).await
    })
    .await?;
    close(connection).await;
    Ok(())
}

/// Runs a statement and shows its rows.
///
/// # Errors
/// When the connection or the statement fails.
pub async fn query(context: &Context, name: &str, statement: StatementArgs) -> anyhow::Result<()> {
    let sql = text(statement.sql.as_deref(), statement.file.as_deref())?;
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let began = Instant::now();
    or_interrupt(Some(canceller), async {
        let stream = connection
            .query(&sql)
            .await
            .map_err(|error| located(&sql, error))?;
        rows::print(stream, context.json, began)
            .await
            .map_err(|error| match error.downcast() {
                Ok(error) => located(&sql, error),
                Err(error) => error,
            })
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
        outcome.map_err(|error| located(&sql, error))
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

/// A failure of the server together with the statement it is about.
pub fn located(sql: &str, source: dagflux_host::Error) -> anyhow::Error {
    StatementFailure {
        sql: sql.to_owned(),
        source,
    }
    .into()
}

/// The statement that was given: as it is, from standard input, or in a file.
///
/// # Errors
/// When it cannot be read, or is empty.
pub fn text(given: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    let read = |source: &str, input: &mut dyn Read| {
        let mut sql = String::new();
        let unreadable = |error: std::io::Error| {
            Failure::file(format!("cannot read the statement from {source}: {error}"))
                .hint("check the path, and that the file is UTF-8 text")
        };
        input
            .take(MOST_BYTES + 1)
            .read_to_string(&mut sql)
            .map_err(unreadable)?;
        if sql.len() as u64 > MOST_BYTES {
            return Err(Failure::usage(format!(
                "{source} has more than {} MiB",
                MOST_BYTES / (1024 * 1024)
            ))
            .hint("give one statement"));
        }
        Ok(sql)
    };
    let sql = match (given, file) {
        (Some("-"), _) => read("standard input", &mut std::io::stdin().lock())?,
        (Some(sql), _) => sql.to_owned(),
        (None, Some(path)) => {
            let shown = path.display().to_string();
            let mut file = std::fs::File::open(path).map_err(|error| {
                Failure::file(format!("cannot read the statement from {shown}: {error}"))
                    .hint("check the path")
            })?;
            read(&shown, &mut file)?
        }
        (None, None) => String::new(),
    };
    if sql.trim().is_empty() {
        return Err(
            Failure::usage("the statement is empty").hint("give one statement that returns rows")
        );
    }
    Ok(sql)
}
