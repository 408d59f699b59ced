//! `connections`: what the connection file holds.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::connections::faults;
use crate::connections::file::{Content, Entry, File};
use crate::context::Context;
use crate::output::{self, table};

/// A connection as it is listed.
struct Listed<'f> {
    entry: &'f Entry,
    /// The fields that are not sensitive, as far as the connector tells.
    public: Vec<(String, Value)>,
    /// Why it cannot be used as it is.
    faults: Vec<String>,
    /// What is weak about its encryption.
    weakness: Option<&'static str>,
}

/// Runs the command.
///
/// # Errors
/// When the connection file cannot be read.
pub async fn run(context: &Context) -> anyhow::Result<()> {
    let file = context.file()?;
    let mut listed = Vec::new();
    for entry in &file.entries {
        listed.push(look(context, &file, entry).await);
    }
    if context.json {
        let connections: Vec<Value> = (listed.iter())
            .map(|listed| {
                let fields: Map<String, Value> = listed.public.iter().cloned().collect();
                let faults: Vec<String> = listed
                    .faults
                    .iter()
                    .map(|fault| context.redactor.apply(fault))
                    .collect();
                json!({
                    "name": listed.entry.name,
                    "connector": listed.entry.connector.as_ref().map(|(name, _)| name),
                    "line": listed.entry.line,
                    "fields": fields,
                    "faults": faults,
                    "warnings": listed.weakness.iter().collect::<Vec<_>>(),
                })
            })
            .collect();
        return output::json(&connections);
    }
    let rows: Vec<Vec<table::Cell>> = (listed.iter())
        .map(|listed| {
            let public: Vec<String> = listed
                .public
                .iter()
                .map(|(name, value)| format!("{name}={}", plain(value)))
                .collect();
            let state = match listed.faults.len() {
                0 if listed.weakness.is_some() => "complete, 1 warning".to_owned(),
                0 => "complete".to_owned(),
                1 => "1 fault".to_owned(),
                faults => format!("{faults} faults"),
            };
            vec![
                Some(listed.entry.name.clone()),
                Some(
                    listed
                        .entry
                        .connector
                        .as_ref()
                        .map_or_else(String::new, |(name, _)| name.clone()),
                ),
                Some(public.join(" ")),
                Some(state),
            ]
        })
        .collect();
    let titles = ["connection", "connector", "fields", "state"];
    table::print(titles.map(table::Column::left).to_vec(), &rows)?;
    let mut out = output::stdout();
    for listed in &listed {
        if !listed.faults.is_empty() {
            writeln!(out, "\n{}:", listed.entry.name)?;
        }
        for fault in &listed.faults {
            writeln!(out, "  - {}", output::printable(fault))?;
        }
        if let Some(weakness) = listed.weakness {
            writeln!(out, "\n{}: warning: {weakness}", listed.entry.name)?;
        }
    }
    Ok(out.flush()?)
}

async fn look<'f>(context: &Context, file: &File, entry: &'f Entry) -> Listed<'f> {
    let connector = match context.connector_of(file, entry).await {
        Ok(connector) => connector,
        Err(error) => {
            let faults = match error.downcast_ref::<crate::failure::Failure>() {
                Some(failure) if !failure.faults.is_empty() => {
                    failure.faults.iter().map(ToString::to_string).collect()
                }
                _ => vec![error.to_string()],
            };
            return Listed {
                entry,
                public: Vec::new(),
                faults,
                weakness: None,
            };
        }
    };
    let public = |name: &str| {
        connector
            .descriptor()
            .all_fields()
            .any(|field| field.name == name && !field.sensitive)
    };
    let value = |content: &Content| match content {
        Content::Text(text) => Some(Value::from(text.as_str())),
        Content::Integer(number) => Some(Value::from(*number)),
        Content::Boolean(value) => Some(Value::from(*value)),
        _ => None,
    };
    let mut weakness = None;
    let faults = match faults::check(file, entry, &connector, false) {
        Ok(checked) => {
            weakness = checked.weakness(connector.descriptor());
            Vec::new()
        }
        Err(failure) => failure.faults.iter().map(ToString::to_string).collect(),
    };
    let public = (entry.fields.iter())
        .filter(|given| public(&given.name))
        .filter_map(|given| Some((given.name.clone(), value(&given.value)?)))
        .collect();
    Listed {
        entry,
        public,
        faults,
        weakness,
    }
}

/// A value on one line: of a text with several, such as a certificate, the first.
fn plain(value: &Value) -> String {
    match value.as_str() {
        None => value.to_string(),
        Some(text) => match text.trim().split_once('\n') {
            Some((first, _)) => format!("{first}…"),
            None => text.to_owned(),
        },
    }
}
