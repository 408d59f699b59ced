//! `describe`: what a connector is, and its connection form.

use std::io::Write;

use dagflux_host::Field;

use crate::context::Context;
use crate::output::{self, printable, table};

/// Runs the command.
///
/// # Errors
/// When the connector cannot be loaded.
pub async fn run(context: &Context, connector: &str, json_schema: bool) -> anyhow::Result<()> {
    let connector = context.connector(connector).await?;
    if json_schema {
        let mut out = output::stdout();
        serde_json::to_writer_pretty(&mut out, &connector.descriptor().json_schema())?;
        out.write_all(b"\n")?;
        return Ok(out.flush()?);
    }
    let about = connector.descriptor();
    if context.json {
        return output::json(about);
    }
    let mut out = output::stdout();
    writeln!(
        out,
        "{} connector {} ({}, {})\n",
        printable(&about.title),
        printable(&about.version),
        about.name,
        about.category
    )?;
    out.flush()?;
    fields(&about.fields)?;
    if !about.settings.is_empty() {
        writeln!(out, "\nEncryption and network\n")?;
        out.flush()?;
        fields(&about.settings)?;
    }
    Ok(out.flush()?)
}

/// A table of fields, and what each is for.
fn fields(fields: &[Field]) -> anyhow::Result<()> {
    let yes = |answer: bool| Some(if answer { "yes" } else { "no" }.to_owned());
    let rows: Vec<Vec<table::Cell>> = (fields.iter())
        .map(|field| {
            let kind = match field.choices {
                [] => field.kind.as_str().to_owned(),
                choices => choices.join(", "),
            };
            vec![
                Some(field.name.clone()),
                Some(field.label.clone()),
                Some(kind),
                yes(field.required),
                yes(field.sensitive),
                Some(field.default.clone().unwrap_or_default()),
            ]
        })
        .collect();
    let titles = ["field", "label", "type", "required", "sensitive", "default"];
    table::print(titles.map(table::Column::left).to_vec(), &rows)?;
    let mut out = output::stdout();
    writeln!(out)?;
    for field in fields {
        writeln!(out, "{}: {}", field.name, printable(&field.help))?;
    }
    Ok(out.flush()?)
}
