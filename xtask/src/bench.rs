//! `cargo xtask bench`: builds the benchmark in release and starts it.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::guests;
use crate::workspace::{self, Workspace};

/// What to measure.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum What {
    /// Reading a large table, in time and memory.
    Read,
    /// Appending a large table, in time and memory.
    Append,
    /// Connecting, logging in and a first query.
    Connect,
    /// Loading a connector from the cache.
    Load,
    /// Whether a large table survives the way to a file and back.
    Exact,
    /// Checking a database of ten thousand tables.
    Check,
    /// What connections that misbehave take from one that works.
    Neighbours,
    /// A thousand connections at once, in time and memory.
    Connections,
    /// All of them.
    #[default]
    All,
}

/// Builds the benchmark and runs it.
pub(crate) fn run(workspace: &Workspace, what: What, json: bool) -> Result<()> {
    match what {
        What::Neighbours | What::All => guests::build(workspace)?,
        _ => guests::build_connectors(workspace)?,
    }
    let what = match what {
        What::Read => "read",
        What::Append => "append",
        What::Connect => "connect",
        What::Load => "load",
        What::Exact => "exact",
        What::Check => "check",
        What::Neighbours => "neighbours",
        What::Connections => "connections",
        What::All => "all",
    };
    // The command is part of what is measured.
    let packages = ["--package", "dagflux-bench", "--package", "dagflux-cli"];
    let mut build = workspace.cargo(["build", "--release"]);
    workspace::run(build.args(packages))?;
    let mut bench = Command::new(workspace.target().join("release/dagflux-bench"));
    bench.current_dir(workspace.root()).arg(what);
    if json {
        bench.arg("--json");
    }
    workspace::run(&mut bench)
}
