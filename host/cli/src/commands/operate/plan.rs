//! `plan`: what running an operation would do.

use std::io::Write;

use dagflux_host::operation::{Plan, Step};

use super::{prepare, review};
use crate::args::OperationArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::interrupt::or_interrupt;
use crate::output::table::{self, Cell, Column};
use crate::output::{self, printable, printable_lines, thousands};

/// Runs the command.
///
/// # Errors
/// When the operation or what it needs cannot be opened.
pub async fn run(context: &Context, args: &OperationArgs) -> anyhow::Result<Exit> {
    let operation = prepare::operation(&args.file)?;
    let plan = or_interrupt(None, async {
        let mut resources = prepare::resources(context, &operation, args).await?;
        Ok(dagflux_host::operation::plan(&operation, &mut resources).await?)
    })
    .await?;
    if context.json {
        output::json(&plan)?;
    } else {
        print(&plan)?;
    }
    Ok(match plan.can_run() {
        true => Exit::Success,
        false => Exit::Findings,
    })
}

fn print(plan: &Plan) -> anyhow::Result<()> {
    let columns = vec![
        Column::right("step"),
        Column::left("action"),
        Column::left("where"),
        Column::left("what"),
        Column::right("rows, about"),
        Column::left("locks until the end"),
    ];
    let rows: Vec<Vec<Cell>> = plan
        .steps
        .iter()
        .zip(1_u64..)
        .map(|(step, number)| {
            vec![
                Some(number.to_string()),
                Some(step.action.as_str().to_owned()),
                Some(place(step)),
                Some(step.what.clone()),
                // NULL is for data.
                Some(step.estimated_rows.map(thousands).unwrap_or_default()),
                Some(locks(step)),
            ]
        })
        .collect();
    table::print(columns, &rows)?;
    let mut out = output::stdout();
    for (step, number) in plan.steps.iter().zip(1_u64..) {
        if let Some(sql) = &step.sql {
            writeln!(out)?;
            writeln!(out, "{}", console::style(format!("-- step {number}")).dim())?;
            writeln!(out, "{}", printable_lines(sql.trim()))?;
        }
    }
    out.flush()?;
    for drift in &plan.drift {
        for change in &drift.changes {
            output::warn(&format!("{}: {change}", drift.source));
        }
    }
    for lack in &plan.lacks {
        let finding = &lack.finding;
        output::warn(&format!(
            "{} on {}: {}",
            finding.subject, lack.connection, finding.message
        ));
        for remedy in &finding.remedies {
            for statement in &remedy.statements {
                eprintln!("    {}", printable(statement));
            }
        }
    }
    if !plan.review.findings.is_empty() {
        println!();
        review::print(&plan.review.findings)?;
    }
    Ok(())
}

fn place(step: &Step) -> String {
    match &step.connection {
        Some(connection) => connection.clone(),
        None => "the workspace".to_owned(),
    }
}

fn locks(step: &Step) -> String {
    let locks: Vec<String> = step
        .locks
        .iter()
        .map(|lock| format!("{}: keeps out {}", lock.table, lock.keeps_out.told()))
        .collect();
    locks.join("; ")
}
