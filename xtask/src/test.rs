//! `cargo xtask test`: every test there is.

use std::process::Command;

use anyhow::Result;

use crate::guests;
use crate::workspace::{self, Workspace};

/// Builds what the tests load, then runs them.
///
/// Doc tests come first, so that the run closes with the lines of the suite.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    guests::build(workspace)?;
    workspace::run(&mut workspace.cargo(["build", "--workspace"]))?;
    let provide = workspace.target().join("debug/dagflux-provide-postgres");
    workspace::run(&mut Command::new(provide))?;

    let mut documentation = workspace.cargo(["test", "--quiet", "--workspace", "--doc"]);
    let mut suite = if workspace::has_cargo("nextest") {
        workspace.cargo(["nextest", "run", "--workspace"])
    } else {
        workspace.cargo([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
        ])
    };
    let documentation = workspace::run(documentation.args(filter));
    workspace::run(suite.args(filter))?;
    documentation
}
