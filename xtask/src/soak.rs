//! `cargo xtask soak`: builds what is killed and the program that kills it.

use std::process::Command;

use anyhow::Result;

use crate::guests;
use crate::workspace::{self, Workspace};

/// Builds the connectors and the program, then runs it with these arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    guests::build_connectors(workspace)?;
    workspace::run(&mut workspace.cargo(["build", "--workspace"]))?;
    let mut soak = Command::new(workspace.target().join("debug/dagflux-soak"));
    workspace::run(soak.current_dir(workspace.root()).args(arguments))
}
