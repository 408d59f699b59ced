//! `plan`, `run` and `review`: saved operations, and what they are carried out with.

use std::path::PathBuf;

use clap::Args;

use super::LossArgs;

/// A saved operation, and the workspace.
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// The file with the operation; - reads it from standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The workspace on this machine [default: dagflux/workspace.sqlite in the user's data folder]
    #[arg(long, value_name = "FILE", env = "DAGFLUX_WORKSPACE")]
    pub workspace: Option<PathBuf>,
}

/// How to run an operation.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub operation: OperationArgs,
    /// Do what the rehearsal of an operation in place shows, without asking
    #[arg(long)]
    pub yes: bool,
    /// Also where a statement changes or deletes every row of the table
    #[arg(long, requires = "yes")]
    pub every_row: bool,
    /// Rehearse an operation in place, and stop there
    #[arg(long, conflicts_with = "yes")]
    pub rehearse: bool,
    /// How many rows of the result, and of what a rehearsal changes, to show
    #[arg(short = 'n', long, default_value_t = 5)]
    pub rows: u32,
    /// Append a line of JSON for each step to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// What becomes of values that do not survive the way.
    #[command(flatten)]
    pub losses: LossArgs,
}
