//! The test programs, and what becomes of their cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::VARIABLE;
use crate::table::{Mutant, Program};

/// How long the cases of one mutant may take. Without the defence that ends it, an attack goes on.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long all cases may take where nothing was taken away.
const LONG: Duration = Duration::from_secs(1_200);

/// The programs, built.
pub struct Programs {
    executables: BTreeMap<Program, Executable>,
    logs: PathBuf,
}

struct Executable {
    path: PathBuf,
    /// Where tests expect to be run.
    folder: PathBuf,
}

/// What became of the cases of one mutant.
pub struct Outcome {
    /// The cases that did not fail.
    pub passed: Vec<&'static str>,
    failed: usize,
    hung: bool,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// In a word.
    pub fn verdict(&self) -> String {
        match (self.failed, self.passed.len()) {
            (0, _) => "SURVIVED".to_owned(),
            (_, 0) if self.hung => "caught (hung)".to_owned(),
            (_, 0) => "caught".to_owned(),
            (failed, passed) => format!("CAUGHT BY {failed} OF {}", failed + passed),
        }
    }
}

/// What a run of a test program said of each case.
struct Said {
    ok: BTreeSet<String>,
    hung: bool,
}

impl Programs {
    /// Builds them from the sources in `tree`, in a folder of their own within `folder`: what is a
    /// component as well has the same name wherever it is built from, and one with mutants in it
    /// must not take the place of another.
    pub fn build(tree: &Path, folder: &Path) -> Result<Self> {
        let logs = folder.join("logs");
        let target = folder.join("build");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["test", "--workspace", "--no-run", "--lib"])
            .args(["--test", "suite", "--test", "offline"])
            .args(["--quiet", "--message-format=json"])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(tree)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        eprintln!("building the test programs with all mutants in them");
        let output = command.output().context("`cargo` could not be started")?;
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let messages: Vec<Value> = messages.collect();
        if !output.status.success() {
            // Warnings are of no interest: there are more parentheses than there have to be.
            let errors = messages
                .iter()
                .filter(|told| told["message"]["level"] == "error");
            errors.for_each(|told| {
                eprintln!(
                    "{}",
                    told["message"]["rendered"].as_str().unwrap_or_default()
                )
            });
            bail!("the mutants cannot be built");
        }
        // Beside the tests, where they look for the command. It is the one without mutants.
        let command = Path::new("debug/dagflux");
        let built = folder.with_file_name("").join(command);
        fs::copy(&built, target.join(command)).with_context(|| built.display().to_string())?;
        let mut executables = BTreeMap::new();
        for message in messages {
            let (Some(path), Some(name)) = (
                message["executable"].as_str(),
                message["target"]["name"].as_str(),
            ) else {
                continue;
            };
            let Some(program) = Program::ALL.into_iter().find(|p| p.target() == name) else {
                continue;
            };
            let manifest = message["manifest_path"].as_str().unwrap_or_default();
            let folder = Path::new(manifest).parent().context("no folder")?;
            let executable = Executable {
                path: path.into(),
                folder: folder.to_owned(),
            };
            executables.insert(program, executable);
        }
        for program in Program::ALL {
            ensure!(executables.contains_key(&program), "no {}", program.name());
        }
        fs::create_dir_all(&logs)?;
        Ok(Self { executables, logs })
    }

    /// Every case of `mutants` passes while nothing is taken away.
    pub fn pass(&self, mutants: &[&Mutant]) -> Result<()> {
        for program in Program::ALL {
            let cases: BTreeSet<&str> = mutants
                .iter()
                .filter(|mutant| mutant.program == program)
                .flat_map(|mutant| mutant.cases.iter().copied())
                .collect();
            if cases.is_empty() {
                continue;
            }
            eprintln!(
                "{} cases of {}, nothing taken away",
                cases.len(),
                program.name()
            );
            let cases: Vec<&str> = cases.into_iter().collect();
            let log = self.logs.join(format!("{}.txt", program.name()));
            let said = self.run(program, &cases, None, &log, LONG)?;
            let wrong: Vec<_> = cases
                .iter()
                .filter(|case| !said.ok.contains(**case))
                .collect();
            if !wrong.is_empty() {
                bail!(
                    "these cases do not pass, or are not there, while nothing is taken away: {wrong:?}; see {}",
                    log.display()
                );
            }
        }
        Ok(())
    }

    /// Runs the cases of one mutant.
    pub fn with(&self, mutant: &Mutant) -> Result<Outcome> {
        let began = Instant::now();
        let log = self.logs.join(format!("{}.txt", mutant.name));
        let said = self.run(
            mutant.program,
            mutant.cases,
            Some(mutant.name),
            &log,
            PATIENCE,
        )?;
        // One that says nothing any more was ended by what it was to withstand.
        let (passed, failed): (Vec<_>, Vec<_>) = mutant
            .cases
            .iter()
            .partition(|case| said.ok.contains(**case));
        Ok(Outcome {
            passed: passed.into_iter().copied().collect(),
            failed: failed.len(),
            hung: said.hung,
            took: began.elapsed(),
        })
    }

    fn run(
        &self,
        program: Program,
        cases: &[&str],
        mutant: Option<&str>,
        log: &Path,
        patience: Duration,
    ) -> Result<Said> {
        let executable = self.executables.get(&program).context("no program")?;
        let output = File::create(log)?;
        let mut command = Command::new(&executable.path);
        command
            .arg("--exact")
            .args(cases)
            .current_dir(&executable.folder)
            .env_remove("CARGO_TARGET_DIR")
            .env_remove(VARIABLE)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(mutant) = mutant {
            command.env(VARIABLE, mutant);
        }
        let began = Instant::now();
        let mut child = command
            .spawn()
            .context("a test program could not be started")?;
        let mut hung = false;
        while child.try_wait()?.is_none() {
            if began.elapsed() > patience {
                hung = true;
                child.kill()?;
                child.wait()?;
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let text = fs::read(log)?;
        let mut ok = BTreeSet::new();
        for line in String::from_utf8_lossy(&text).lines() {
            let result = line.strip_prefix("test ");
            if let Some((name, "ok")) = result.and_then(|rest| rest.split_once(" ... ")) {
                ok.insert(name.to_owned());
            }
        }
        Ok(Said { ok, hung })
    }
}
