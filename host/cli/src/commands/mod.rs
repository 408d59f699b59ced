//! The commands.

mod certificate;
mod check;
mod connections;
mod describe;
mod discover;
mod export;
mod grant;
mod import;
mod input;
mod inspect;
mod limits;
mod operate;
mod operation;
mod secret;
mod setup_sql;
mod statement;

use crate::args::{Command, OperationCommand, SecretCommand};
use crate::context::Context;
use crate::exit::Exit;

/// Runs a command.
///
/// # Errors
/// Whatever went wrong; `output::error` renders it.
pub async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Describe {
            connector,
            json_schema,
        } => describe::run(context, &connector, json_schema).await?,
        Command::Inspect {
            connector,
            other: None,
        } => inspect::run(context, &connector).await?,
        Command::Inspect {
            connector,
            other: Some(other),
        } => return inspect::compare(context, &connector, &other).await,
        Command::Grant { connector } => grant::run(context, &connector).await?,
        Command::Limits { connection } => limits::run(context, connection.as_deref())?,
        // Done by now, without a runtime.
        Command::Compile => {}
        Command::Connections => connections::run(context).await?,
        Command::Plan(args) => return operate::plan(context, &args).await,
        Command::Run(args) => return operate::run(context, &args).await,
        Command::Prompt(args) => operate::prompt(context, &args).await?,
        Command::Review(args) => return operate::review(context, &args).await,
        Command::Certificate(args) => certificate::run(context, &args).await?,
        Command::Check(args) => return check::run(context, &args).await,
        Command::SetupSql(args) => setup_sql::run(context, &args).await?,
        Command::Schemas { connection } => discover::schemas(context, &connection).await?,
        Command::Tables { connection, schema } => {
            discover::tables(context, &connection, schema.as_deref()).await?
        }
        Command::Columns {
            connection,
            table,
            schema,
        } => {
            discover::columns(context, &connection, table.as_ref(), schema.as_deref()).await?;
        }
        Command::Preview {
            connection,
            table,
            rows,
            losses,
        } => {
            statement::preview(context, &connection, &table, rows, &losses).await?;
        }
        Command::Query {
            connection,
            statement,
            losses,
        } => statement::query(context, &connection, statement, &losses).await?,
        Command::Execute {
            connection,
            statement,
        } => statement::execute(context, &connection, statement).await?,
        Command::Export(args) => export::run(context, args).await?,
        Command::Import(args) => import::run(context, args).await?,
        Command::Operation(OperationCommand::Schema) => operation::schema()?,
        Command::Operation(OperationCommand::Check { file }) => {
            return operation::check(context, &file);
        }
        Command::Secret(SecretCommand::Set { field }) => {
            secret::set(context, &field.0, &field.1).await?
        }
        Command::Secret(SecretCommand::Delete { field }) => {
            secret::delete(context, &field.0, &field.1).await?
        }
    }
    Ok(Exit::Success)
}
