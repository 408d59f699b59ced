//! `check`: whether a connection is fit to be used.

use std::io::Write;

use console::style;
use dagflux_host::Severity;
use serde_json::Value;

use crate::context::{Context, close};
use crate::exit::Exit;
use crate::interrupt::or_interrupt;
use crate::output::{self, printable, printable_lines};

/// Runs the command. Connecting and finding faults is not an error of the
/// command, but has an exit code of its own.
///
/// # Errors
/// When the connection cannot be opened or breaks.
pub async fn run(context: &Context, name: &str) -> anyhow::Result<Exit> {
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let report = or_interrupt(Some(canceller), async { Ok(connection.check().await?) }).await?;
    close(connection).await;
    let failed = report
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Failed);
    let exit = if failed {
        Exit::Findings
    } else {
        Exit::Success
    };
    if context.json {
        let mut value = serde_json::to_value(&report)?;
        redact(context, &mut value);
        output::json(&value)?;
        return Ok(exit);
    }
    let server = &report.server;
    let mut out = output::stdout();
    writeln!(
        out,
        "{} {}, database {}, schema {}, {}\n",
        printable(&server.product),
        printable(&server.version),
        printable(&server.database),
        printable(&server.schema),
        if server.encrypted {
            "encrypted"
        } else {
            "not encrypted"
        }
    )?;
    for finding in &report.findings {
        let mark = match finding.severity {
            Severity::Passed => style("passed ").green(),
            Severity::Warning => style("warning").yellow(),
            Severity::Failed => style("failed ").red(),
            _ => style("       "),
        };
        writeln!(
            out,
            "{mark}  {}: {}",
            printable(&finding.subject),
            printable(&finding.message)
        )?;
        for line in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            writeln!(out, "           {}", printable_lines(line))?;
        }
    }
    out.flush()?;
    Ok(exit)
}

/// Findings may name the login; a machine's copy does not.
fn redact(context: &Context, value: &mut Value) {
    match value {
        Value::String(text) => *text = context.redactor.apply(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact(context, value)),
        Value::Object(values) => values.values_mut().for_each(|value| redact(context, value)),
        _ => {}
    }
}
