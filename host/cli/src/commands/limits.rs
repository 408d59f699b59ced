//! `limits`: how much a connection may use.

use dagflux_host::policy::limits::{Amount, Scope};
use serde_json::{Value, json};

use crate::context::{Context, Origin};
use crate::output;
use crate::output::table::{self, Column};

/// Runs the command.
///
/// # Errors
/// When the connection is unknown, or a limit cannot be set.
pub fn run(context: &Context, connection: Option<&str>) -> anyhow::Result<()> {
    let limits = context.limits_with_origin(connection)?;
    if context.json {
        let limits: Vec<Value> = limits
            .iter()
            .map(|(limit, origin)| {
                json!({
                    "name": limit.name,
                    "value": match limit.amount {
                        Amount::Bytes(bytes) => json!(bytes),
                        Amount::Count(count) => json!(count),
                        Amount::Time(time) => json!(time.as_secs_f64()),
                    },
                    "from": from(*origin),
                    "of": match limit.scope {
                        Scope::Connection => "connection",
                        Scope::Host => "host",
                    },
                    "bounds": limit.bounds,
                })
            })
            .collect();
        return output::json(&limits);
    }
    let columns = vec![
        Column::left("limit"),
        Column::right("value"),
        Column::left("from"),
        Column::left("bounds"),
    ];
    let rows: Vec<_> = limits
        .iter()
        .map(|(limit, origin)| {
            vec![
                Some(limit.name.to_owned()),
                Some(limit.amount.to_string()),
                Some(from(*origin).to_owned()),
                Some(limit.bounds.replace('`', "")),
            ]
        })
        .collect();
    Ok(table::print(columns, &rows)?)
}

fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::ConnectionFile => "connection file",
        Origin::CommandLine => "command line",
    }
}
