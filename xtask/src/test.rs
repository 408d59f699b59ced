//! `cargo xtask test`: every test there is.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::guests;
use crate::workspace::{self, Workspace};

/// Builds what the tests load, then runs them, and closes with their number.
///
/// By `cargo test`, which runs the tests of a program in one process: they share a
/// server and a compiled connector. A process per test would start 100 of each.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    guests::build(workspace)?;
    workspace::run(&mut workspace.cargo(["build", "--workspace"]))?;
    let provide = workspace.target().join("debug/dagflux-provide-postgres");
    workspace::run(&mut Command::new(provide))?;

    let mut command = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
    command.args(filter).stdout(Stdio::piped());
    eprintln!("$ {}", workspace::shown(&command));
    let mut tests = command.spawn().context("`cargo` could not be started")?;
    let output = tests.stdout.take().context("the tests have no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        tally.add(&line);
        println!("{line}");
    }
    let status = tests.wait()?;
    println!("\ntests: {tally}");
    ensure!(status.success(), "tests failed ({status})");
    ensure!(tally.passed > 0, "no test has this in its name");
    Ok(())
}

/// The sum over all test programs.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds what a program closes with:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = result.split_once(". ") else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(f, ", {ignored} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_sums_over_programs() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        ] {
            tally.add(line);
        }
        assert_eq!(tally.to_string(), "5 passed, 4 failed, 1 skipped");
    }
}
