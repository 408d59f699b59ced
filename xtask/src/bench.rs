//! `cargo xtask bench`: builds the benchmark in release and starts it.

use anyhow::Result;
use clap::ValueEnum;

use crate::guests;
use crate::workspace::{self, Workspace};

/// What to measure.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum What {
    /// Reading a large table, in time and memory.
    Read,
    /// Connecting, logging in and a first query.
    Connect,
    /// Loading a connector from the cache.
    Load,
    /// All of them.
    #[default]
    All,
}

/// Builds the benchmark and runs it.
pub(crate) fn run(workspace: &Workspace, what: What, json: bool) -> Result<()> {
    guests::build(workspace)?;
    let what = match what {
        What::Read => "read",
        What::Connect => "connect",
        What::Load => "load",
        What::All => "all",
    };
    let mut bench = workspace.cargo(["run", "--release", "--package", "dagflux-bench", "--"]);
    bench.arg(what);
    if json {
        bench.arg("--json");
    }
    workspace::run(&mut bench)
}
