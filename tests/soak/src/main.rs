//! Kills the host, the guest's instance or the server's backend at random moments of a
//! write, and looks each time whether the table holds exactly the rows from before or
//! exactly those from after. `cargo xtask soak` builds it and runs it.
//!
//! With `mixed` it does everything at once instead, for as long as it is told: see [`mixed`].

mod chance;
mod import;
mod kill;
mod mixed;
mod plan;
mod rows;
mod stage;
mod summary;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

use crate::chance::Chance;
use crate::kill::{Killer, Outcome};
use crate::plan::{Aim, Mode, Plan};
use crate::stage::Stage;
use crate::summary::Summary;

/// Kills whatever takes part in a write, at random moments.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    instead: Option<Instead>,
    /// What the moments are drawn from, as shares of the time that a write takes; one of its
    /// own for each run, which it prints. The shares come back with the seed. How long a write
    /// takes is measured anew, so it is struck near the same place and not at the same.
    #[arg(long)]
    seed: Option<u64>,
    /// How many kills, spread evenly over modes and victims. A kill that strikes nothing does
    /// not count; its moment is drawn again.
    #[arg(long, default_value_t = 150)]
    kills: usize,
    /// How many rows each of these writes.
    #[arg(long, default_value_t = 100_000)]
    rows: i64,
    /// How many kills of large writes, spread evenly as well.
    #[arg(long, default_value_t = 9)]
    large_kills: usize,
    /// How many rows each of the large writes has.
    #[arg(long, default_value_t = 1_000_000)]
    large_rows: i64,
    /// Only these modes.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Mode::ALL)]
    modes: Vec<Mode>,
}

/// What to do instead of killing.
#[derive(Subcommand)]
enum Instead {
    /// Reads, writes, drops futures and streams in the middle of it, and has the network fail, all
    /// at once; then looks whether both sides have counted the same rows and nothing is left behind.
    Mixed {
        /// For how long.
        #[arg(long, default_value_t = 30.0)]
        minutes: f64,
        /// How many connections work at once.
        #[arg(long, default_value_t = 6)]
        connections: i32,
        /// What the operations and faults are drawn from; when they happen is not.
        #[arg(long)]
        seed: Option<u64>,
    },
}

/// How often a kill is tried until it strikes: enough for its moment to move from the end of
/// the write to its beginning, should the machine have been slow while that was measured.
const TRIES: usize = 25;

#[tokio::main]
async fn main() -> ExitCode {
    if import::is_child() {
        return succeeded(import::as_child().await);
    }
    let arguments = Arguments::parse();
    if let Some(instead) = arguments.instead {
        return succeeded(instead.run().await);
    }
    let seed = arguments.seed.unwrap_or_else(chance::seed);
    let outcome = soak(&arguments, seed).await;
    if outcome.is_err() {
        eprintln!(
            "seed {seed}: with `--seed {seed}` kills come after the same shares of a write's time, \
             which is measured anew"
        );
    }
    succeeded(outcome)
}

impl Instead {
    async fn run(self) -> Result<()> {
        let Self::Mixed {
            minutes,
            connections,
            seed,
        } = self;
        dagflux_test_support::install::provide()?;
        let seed = seed.unwrap_or_else(chance::seed);
        println!("seed {seed}");
        let time = Duration::try_from_secs_f64(minutes * 60.0)?;
        mixed::run(time, connections, seed).await
    }
}

fn succeeded(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(arguments: &Arguments, seed: u64) -> Result<()> {
    dagflux_test_support::install::provide()?;
    println!("seed {seed}");
    let started = Instant::now();
    let mut chance = Chance::new(seed);
    let mut summary = Summary::default();
    let server = stage::server().await?;
    let killer = Killer::new(&server).await?;
    for (kills, rows) in [
        (arguments.kills, arguments.rows),
        (arguments.large_kills, arguments.large_rows),
    ] {
        if kills == 0 {
            continue;
        }
        ensure!(rows > 1, "a write of {rows} rows has no middle");
        let combinations = plan::combinations(arguments.modes.len());
        ensure!(
            kills >= combinations,
            "{kills} kills of {rows} rows leave some of the {combinations} combinations of mode and victim out"
        );
        let stage = Stage::set(&server, rows).await?;
        let mut undisturbed = Vec::new();
        for mode in &arguments.modes {
            let times = killer.measure(&stage, *mode).await?;
            eprintln!(
                "{mode} of {rows} rows, undisturbed: {:.0?}, of which the end {:.0?}",
                times.whole, times.finish
            );
            undisturbed.push((*mode, times));
        }
        for plan in plan::draw(kills, &undisturbed, &mut chance) {
            carry_out(&killer, &stage, plan, &mut summary).await?;
        }
    }
    println!("\n{summary}");
    println!(
        "{} kills that hit and {} that missed, in {:.0?}: after each the table held exactly the old or exactly the new rows",
        summary.hits(),
        summary.misses(),
        started.elapsed()
    );
    Ok(())
}

/// Kills until the victim is alive when it is struck.
async fn carry_out(
    killer: &Killer<'_>,
    stage: &Stage<'_>,
    mut plan: Plan,
    summary: &mut Summary,
) -> Result<()> {
    let rows = stage.rows;
    for _ in 0..TRIES {
        let outcome = killer
            .kill(stage, &plan)
            .await
            .with_context(|| format!("{rows} rows, {plan}"))?;
        let Outcome { told, aim } = &outcome;
        let state = stage
            .judge(&plan, told)
            .await
            .with_context(|| format!("{rows} rows, {plan}"))?;
        summary.add(rows, &plan, &outcome, state);
        eprintln!("{rows} rows, {plan}: {aim}, told {told}, found the {state} rows");
        if *aim == Aim::Hit {
            return Ok(());
        }
        plan.correct(*aim);
    }
    bail!("{rows} rows, {plan}: tried {TRIES} times, and nothing was struck")
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            number, mode, way, ..
        } = self;
        write!(
            f,
            "kill {number}, {mode}, {} ({way}) at {:.1?}",
            way.victim(),
            self.moment
        )
    }
}
