//! `cargo xtask ci`: what the tests do not check.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{self, Workspace};
use crate::{guests, vendor_wit};

/// How a check went.
enum Outcome {
    Passed,
    Failed,
    Skipped(&'static str),
}

type Check = fn(&Workspace) -> Result<Outcome>;

/// Runs every check, also after one has failed.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let checks: [(&str, Check); 7] = [
        ("format", format),
        ("lints of the host", host_lints),
        ("lints of the guests", guest_lints),
        ("documentation", documentation),
        ("vendored WIT", vendored_wit),
        ("licences and sources", licences),
        ("markers of unfinished work", markers),
    ];
    let mut summary = String::new();
    let mut failed = 0;
    for (name, check) in checks {
        let outcome = check(workspace).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Outcome::Failed
        });
        let text = match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Failed => {
                failed += 1;
                "FAILED".to_owned()
            }
        };
        summary += &format!("  {name:<28}{text}\n");
    }
    println!("\n{summary}");
    ensure!(failed == 0, "{failed} of {} checks failed", checks.len());
    Ok(())
}

fn format(workspace: &Workspace) -> Result<Outcome> {
    passed(&mut workspace.cargo(["fmt", "--all", "--", "--check", "--files-with-diff"]))
}

fn host_lints(workspace: &Workspace) -> Result<Outcome> {
    passed(&mut workspace.cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--keep-going",
        "--",
        "--deny=warnings",
    ]))
}

fn guest_lints(workspace: &Workspace) -> Result<Outcome> {
    guests::ensure_target()?;
    let mut command = workspace.cargo([
        "clippy",
        "--lib",
        "--keep-going",
        "--target",
        guests::TARGET,
    ]);
    command.args(["--profile", guests::PROFILE]);
    for package in guests::packages(workspace) {
        command.args(["--package", &package.name]);
    }
    passed(command.args(["--", "--deny=warnings"]))
}

fn documentation(workspace: &Workspace) -> Result<Outcome> {
    let mut command = workspace.cargo(["doc", "--workspace", "--no-deps", "--keep-going"]);
    passed(command.env("RUSTDOCFLAGS", "--deny=warnings"))
}

fn vendored_wit(workspace: &Workspace) -> Result<Outcome> {
    vendor_wit::check(workspace)?;
    Ok(Outcome::Passed)
}

/// Without the advisories: they are a download, and change without the project.
fn licences(workspace: &Workspace) -> Result<Outcome> {
    if !workspace::has_cargo("deny") {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed (`cargo install cargo-deny`)",
        ));
    }
    let mut command = workspace.cargo(["deny", "check", "--hide-inclusion-graph"]);
    passed(command.args(["bans", "licenses", "sources"]))
}

/// Looks through every file that is under version control.
fn markers(workspace: &Workspace) -> Result<Outcome> {
    // In pieces, so that this file is not among the findings.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut command = Command::new("git");
    command.args(["grep", "--line-number", "--fixed-strings", "-I"]);
    for word in words {
        command.args(["-e", word]);
    }
    // Vendored files are as their authors wrote them, and inputs of the fuzzers as it came.
    command.args([
        "--",
        ".",
        ":!wit/deps",
        ":!Cargo.lock",
        ":!fuzz/corpus",
        ":!fuzz/regressions",
    ]);
    let status = command
        .current_dir(workspace.root())
        .status()
        .context("`git` could not be started")?;
    match status.code() {
        Some(0) => bail!("the lines above hold a marker of unfinished work"),
        Some(1) => Ok(Outcome::Passed),
        _ => bail!("`git grep` failed ({status})"),
    }
}

fn passed(command: &mut Command) -> Result<Outcome> {
    workspace::run(command)?;
    Ok(Outcome::Passed)
}
