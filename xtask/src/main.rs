//! The project's own tasks. `cargo xtask --help` lists them.

mod bench;
mod ci;
mod demo;
mod fuzz;
mod guests;
mod mutants;
mod soak;
mod test;
mod vendor_wit;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The tasks of this project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows the product at work on a real server, and what that costs.
    Demo,
    /// Runs every test, against servers that the tests start themselves.
    Test {
        /// Runs only the tests whose name contains this.
        filter: Option<String>,
    },
    /// Checks what the tests do not: format, lints, documentation, licences,
    /// vendored files.
    Ci,
    /// Measures the bars that the project sets itself, in a release build.
    Bench {
        /// What to measure.
        #[arg(value_enum, default_value_t)]
        what: bench::What,
        /// Prints the figures for machines.
        #[arg(long)]
        json: bool,
    },
    /// Kills whatever takes part in a write at random moments, and looks each time
    /// whether all rows or none were written. With `mixed`: reads, writes, drops and
    /// network faults at once, for 30 minutes.
    Soak {
        /// What the program takes: `--help` lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Takes one defence of the sandbox away at a time, and shows the tests that notice.
    Mutants {
        /// What the program takes: `--help` lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Makes up bytes that no server would send, for the PostgreSQL connector.
    Fuzz {
        /// Only this target.
        #[arg(value_enum)]
        target: Option<fuzz::Target>,
        /// For how many seconds each runs, after the inputs that are kept.
        #[arg(long, default_value_t = 60, value_name = "N")]
        seconds: u32,
        /// Adds inputs that reach something new to those that are kept.
        #[arg(long)]
        keep: bool,
    },
    /// Builds the connectors, and the components that the tests load.
    Guests {
        /// Checks them without building them.
        #[arg(long)]
        check: bool,
    },
    /// Copies the WIT of WASI out of the crates that implement it.
    VendorWit {
        /// Reports differences instead of writing.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Demo => demo::run(&workspace),
        Task::Test { filter } => test::run(&workspace, filter.as_deref()),
        Task::Ci => ci::run(&workspace),
        Task::Bench { what, json } => bench::run(&workspace, what, json),
        Task::Fuzz {
            target,
            seconds,
            keep,
        } => fuzz::run(
            &workspace,
            fuzz::Options {
                target,
                seconds,
                keep,
            },
        ),
        Task::Soak { arguments } => soak::run(&workspace, &arguments),
        Task::Mutants { arguments } => mutants::run(&workspace, &arguments),
        Task::Guests { check: false } => guests::build(&workspace),
        Task::Guests { check: true } => guests::check(&workspace),
        Task::VendorWit { check: false } => vendor_wit::copy(&workspace),
        Task::VendorWit { check: true } => vendor_wit::check(&workspace),
    }
}
