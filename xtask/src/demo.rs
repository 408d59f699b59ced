//! `cargo xtask demo`: builds what the demonstration needs and starts it.

use std::process::Command;

use anyhow::Result;

use crate::guests;
use crate::workspace::{self, Workspace};

/// Builds the connectors and the command, then shows them at work.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    guests::build_connectors(workspace)?;
    workspace::run(&mut workspace.cargo(["build", "--workspace"]))?;
    let programs = workspace.target().join("debug");
    let mut demo = Command::new(programs.join("dagflux-demo"));
    workspace::run(demo.current_dir(workspace.root()))
}
