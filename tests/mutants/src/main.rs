//! Takes one defence of the sandbox away at a time, and shows that tests notice.
//!
//! All of them are built into one set of test programs: each expression that defends is followed by
//! what stands in its place when the variable [`VARIABLE`] names it. A copy of the sources is
//! changed, never the sources themselves.

mod outcome;
mod source;
mod table;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use outcome::{Outcome, Programs};
use table::Mutant;

/// Names the mutant that a test program is.
const VARIABLE: &str = "DAGFLUX_MUTANT";

/// Takes one defence away at a time, and shows the tests that notice.
#[derive(Parser)]
struct Arguments {
    /// Only the mutants with one of these in their name.
    filters: Vec<String>,
    /// Prints the table of defences and their cases, and runs nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(arguments: &Arguments) -> Result<()> {
    let filters = &arguments.filters;
    let is_meant = |mutant: &&Mutant| {
        filters.is_empty() || filters.iter().any(|filter| mutant.name.contains(filter))
    };
    let mutants: Vec<&Mutant> = table::all().filter(is_meant).collect();
    ensure!(
        !mutants.is_empty(),
        "no mutant has one of {filters:?} in its name"
    );
    if arguments.list {
        for mutant in mutants {
            println!("{}: {}", mutant.name, mutant.defence);
            for case in mutant.cases {
                println!("    {} {case}", mutant.program.name());
            }
        }
        return Ok(());
    }
    let root = workspace().canonicalize()?;
    let folder = root.join("target/mutants");
    let tree = tree::write(&root, &folder)?;
    let programs = Programs::build(&tree, &folder)?;
    programs.pass(&mutants)?;
    let outcomes = programs_with_each(&programs, &mutants)?;
    summary(&mutants, &outcomes)
}

/// Runs the cases of every mutant, as many at once as there are processors.
fn programs_with_each(programs: &Programs, mutants: &[&Mutant]) -> Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(mutant) = mutants.get(at) else {
                        return;
                    };
                    let outcome = programs.with(mutant);
                    if let Ok(outcome) = &outcome {
                        eprintln!("{:<44}{}", mutant.name, outcome.verdict());
                    }
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push((at, outcome));
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().ok().context("a worker gave up")?;
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn summary(mutants: &[&Mutant], outcomes: &[Outcome]) -> Result<()> {
    println!(
        "\n{:<44}{:>7}  {:<28}{:>8}",
        "defence taken away", "cases", "", "seconds"
    );
    for (mutant, outcome) in mutants.iter().zip(outcomes) {
        println!(
            "{:<44}{:>7}  {:<28}{:>8.1}",
            mutant.name,
            mutant.cases.len(),
            outcome.verdict(),
            outcome.took.as_secs_f64()
        );
        for case in &outcome.passed {
            println!("    passes without it: {case}");
        }
    }
    let cases: usize = mutants.iter().map(|mutant| mutant.cases.len()).sum();
    let caught = outcomes.iter().filter(|outcome| outcome.passed.is_empty());
    let caught = caught.count();
    println!("{} defences, {cases} cases, {caught} caught", mutants.len());
    ensure!(
        caught == mutants.len(),
        "{} defences can be taken away without every one of their cases failing",
        mutants.len().saturating_sub(caught)
    );
    Ok(())
}
