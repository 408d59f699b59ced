//! `cargo xtask mutants`: builds what the tests load and the program that takes defences away.

use std::process::Command;

use anyhow::Result;

use crate::guests;
use crate::workspace::{self, Workspace};

/// Builds the components and the programs, then runs the table with these arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    guests::build(workspace)?;
    workspace::run(&mut workspace.cargo(["build", "--workspace"]))?;
    let programs = workspace.target().join("debug");
    workspace::run(&mut Command::new(programs.join("dagflux-provide-postgres")))?;
    let mut mutants = Command::new(programs.join("dagflux-mutants"));
    workspace::run(mutants.current_dir(workspace.root()).args(arguments))
}
