//! Measures the bars that the project sets itself, against a reference in the same
//! run on the same machine. `cargo xtask bench` builds it in release and runs it.

mod append;
mod check;
mod connect;
mod connections;
mod exact;
mod load;
mod memory;
mod neighbours;
mod product;
mod psql;
mod read;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::report::Report;

/// Measures the bars that the project sets itself.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    #[arg(value_enum)]
    what: What,
    /// Prints the figures for machines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Read,
    Append,
    Connect,
    Load,
    Exact,
    Check,
    Neighbours,
    Connections,
    All,
    /// Reads or writes one table in a process of its own and prints its peak memory.
    #[value(hide = true)]
    MemoryProbe,
    /// Opens connections in a process of its own and prints what they take.
    #[value(hide = true)]
    ConnectionsProbe,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.what {
        What::MemoryProbe => memory::probe().await.map(|()| true),
        What::ConnectionsProbe => connections::probe().await.map(|()| true),
        _ => measure(&arguments).await,
    };
    finished(outcome)
}

/// Success when every bar holds.
fn finished(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<bool> {
    dagflux_test_support::install::provide()?;
    let wanted = |what| arguments.what == what || arguments.what == What::All;
    let mut report = Report::default();
    if wanted(What::Load) {
        load::measure(&mut report).await?;
    }
    if wanted(What::Connect) {
        connect::measure(&mut report).await?;
    }
    if wanted(What::Read) {
        read::measure(&mut report).await?;
    }
    if wanted(What::Append) {
        append::measure(&mut report).await?;
    }
    if wanted(What::Exact) {
        exact::measure(&mut report).await?;
    }
    if wanted(What::Check) {
        check::measure(&mut report).await?;
    }
    if wanted(What::Neighbours) {
        neighbours::measure(&mut report).await?;
    }
    if wanted(What::Connections) {
        connections::measure(&mut report).await?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    Ok(report.all_hold())
}
