//! `review`: what is wrong with the statements of an operation.

use std::io::Write;

use dagflux_host::operation::Resources;
use dagflux_host::operation::review::{Finding, Severity};

use super::prepare;
use crate::args::OperationArgs;
use crate::context::{Context, close};
use crate::exit::Exit;
use crate::interrupt::or_interrupt;
use crate::output::{self, printable};

/// Runs the command.
///
/// # Errors
/// When the operation or its connection cannot be opened.
pub async fn run(context: &Context, args: &OperationArgs) -> anyhow::Result<Exit> {
    let operation = prepare::operation(&args.file)?;
    let mut resources = Resources::default();
    if operation.needs().workspace {
        resources.workspace = Some(prepare::workspace(args.workspace.as_deref())?);
    }
    let mut canceller = None;
    if let Some(name) = operation.venue() {
        let connection = context.open(name).await?;
        canceller = Some(connection.canceller());
        resources.connections.insert(name.to_owned(), connection);
    }
    let review = or_interrupt(canceller, async {
        Ok(dagflux_host::operation::review(&operation, &mut resources).await?)
    })
    .await?;
    for connection in resources.connections.into_values() {
        close(connection).await;
    }
    if context.json {
        output::json(&review)?;
    } else {
        print(&review.findings)?;
    }
    Ok(match review.passes() {
        true => Exit::Success,
        false => Exit::Findings,
    })
}

/// Prints findings, one paragraph each.
///
/// # Errors
/// When they cannot be written.
pub fn print(findings: &[Finding]) -> anyhow::Result<()> {
    let mut out = output::stdout();
    if findings.is_empty() {
        writeln!(out, "nothing was found")?;
    }
    for finding in findings {
        let word = match finding.severity {
            Severity::Error => console::style("error").red(),
            Severity::Warning => console::style("warning").yellow(),
            _ => console::style("note").cyan(),
        };
        writeln!(out, "{word} {}", printable(&finding.to_string()))?;
        writeln!(out, "      {}", printable(&finding.repair))?;
    }
    Ok(out.flush()?)
}
