//! `setup-sql`: the SQL for a login that does not exist yet.

use std::io::Write;

use console::Term;
use dagflux_host::{Connector, Role, SetUpNames, SetUpStatement};

use crate::args::SetUpArgs;
use crate::connections::file::{Content, Entry, File};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{self, printable, wrapped};

/// How wide comments are.
const COMMENT_WIDTH: usize = 97;

/// Runs the command. Connects to nothing.
///
/// # Errors
/// When names are missing, or the connector cannot be loaded.
pub async fn run(context: &Context, args: &SetUpArgs) -> anyhow::Result<()> {
    let (connector, names) = match &args.connection {
        Some(connection) => named(context, args, connection).await?,
        None => given(context, args).await?,
    };
    let names = args.owners.iter().fold(names, SetUpNames::with_owner);
    let statements = connector.set_up(&args.purposes(), names).await?;
    if context.json {
        let mut value = serde_json::to_value(&statements)?;
        context.redactor.apply_to(&mut value);
        return output::json(&value);
    }
    write(&mut output::stdout(), &statements)
}

/// The names of a connection of the connection file; what is given on the
/// command line comes first. Nothing else of it needs to be there yet, such as
/// a password.
async fn named(
    context: &Context,
    args: &SetUpArgs,
    connection: &str,
) -> anyhow::Result<(Connector, SetUpNames)> {
    let file = context.file()?;
    let entry = file.entry(connection)?;
    let connector = context.connector_of(&file, entry).await?;
    let login = connector.descriptor().field_with_role(Role::LoginName);
    let login = login.map_or("username", |field| field.name.as_str());
    let name = |given: &Option<String>, field: &str, option: &str| match given {
        Some(name) => Ok(name.clone()),
        None => {
            let value = value(context, &file, entry, field)?;
            let default = connector.descriptor().field(field);
            value
                .or_else(|| default.and_then(|field| field.default.clone()))
                .ok_or_else(|| missing(option))
        }
    };
    let names = SetUpNames::new(
        name(&args.database, "database", "--database")?,
        name(&args.schema, "schema", "--schema")?,
        name(&args.user, login, "--user")?,
    );
    Ok((connector, names))
}

/// The names on the command line.
async fn given(context: &Context, args: &SetUpArgs) -> anyhow::Result<(Connector, SetUpNames)> {
    let connector = context.connector(&args.connector).await?;
    let database = args.database.clone().ok_or_else(|| missing("--database"))?;
    let schema = args.schema.clone().unwrap_or_else(|| "public".to_owned());
    let user = args.user.clone().ok_or_else(|| missing("--user"))?;
    Ok((connector, SetUpNames::new(database, schema, user)))
}

fn missing(option: &str) -> Failure {
    Failure::usage(format!("{option} is missing"))
        .hint("name a connection of the connection file, or give --database, --schema and --user")
}

/// What the connection file has for a field, from wherever it refers to.
fn value(
    context: &Context,
    file: &File,
    entry: &Entry,
    field: &str,
) -> Result<Option<String>, Failure> {
    let Some(given) = entry.fields.iter().find(|given| given.name == field) else {
        return Ok(None);
    };
    let value = match &given.value {
        Content::Text(text) => text.clone(),
        Content::Reference(reference) => reference
            .read(|path| file.resolve(path))?
            .expose()
            .to_owned(),
        _ => return Ok(None),
    };
    if matches!(field, "database" | "schema") {
        return Ok(Some(value).filter(|value| !value.is_empty()));
    }
    // Not for machines, which keep what they read.
    context.redactor.add(&value);
    Ok(Some(value))
}

/// Writes the statements under comments that say why, fit for psql.
fn write(out: &mut impl Write, statements: &[SetUpStatement]) -> anyhow::Result<()> {
    // To a terminal, names with control characters go escaped; a program gets
    // the statement that does what it says.
    let terminal = Term::stdout().is_term();
    writeln!(
        out,
        "-- Run as a superuser, or as a role that may create users and owns database, schema and tables."
    )?;
    for statement in statements {
        writeln!(out)?;
        for line in wrapped(&printable(&statement.why), COMMENT_WIDTH) {
            writeln!(out, "-- {line}")?;
        }
        if let Some(role) = &statement.run_as {
            writeln!(out, "-- Run as {}, or as a superuser.", printable(role))?;
        }
        match (statement.optional, terminal) {
            (true, _) => {
                writeln!(out, "-- Remove the dashes if it is wanted:")?;
                writeln!(out, "-- {}", printable(&statement.sql))?;
            }
            (false, true) => writeln!(out, "{}", printable(&statement.sql))?,
            (false, false) => writeln!(out, "{}", statement.sql)?,
        }
    }
    Ok(out.flush()?)
}
