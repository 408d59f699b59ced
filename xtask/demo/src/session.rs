//! Running the `dagflux` command as a user does.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use console::style;
use dagflux_test_support::connector_path;

use crate::stage::{CONNECTION_FILE, PASSWORD_VARIABLE, Stage};

/// How often the memory of a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A terminal's worth of settings.
pub(crate) struct Session<'s> {
    stage: &'s Stage,
    program: PathBuf,
    connectors: PathBuf,
}

/// What a command cost.
pub(crate) struct Cost {
    /// From its start to its end.
    pub(crate) time: Duration,
    /// The peak of its resident memory in bytes, where the system tells.
    pub(crate) memory: Option<u64>,
    /// What its sandbox used, in the command's own words.
    pub(crate) sandbox: Option<String>,
}

impl<'s> Session<'s> {
    /// Finds the command beside this program, and the connectors.
    pub(crate) fn new(stage: &'s Stage) -> Result<Self> {
        let program = env::current_exe()?.with_file_name("dagflux");
        ensure!(
            program.is_file(),
            "{} is missing; start the demonstration with `cargo xtask demo`",
            program.display()
        );
        let connector = connector_path("postgres")?;
        let connectors = connector.parent().context("a connector has no folder")?;
        Ok(Self {
            stage,
            program,
            connectors: connectors.to_owned(),
        })
    }

    /// Shows `dagflux` with these arguments, and runs it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Cost> {
        let (status, cost) = self.outcome(arguments)?;
        ensure!(status.success(), "that command failed ({status})");
        Ok(cost)
    }

    /// Shows and runs a command that has to be refused.
    pub(crate) fn run_refused(&self, arguments: &[&str]) -> Result<()> {
        let (status, _) = self.outcome(arguments)?;
        ensure!(!status.success(), "that command was not refused");
        Ok(())
    }

    fn outcome(&self, arguments: &[&str]) -> Result<(ExitStatus, Cost)> {
        let typed: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
        println!(
            "{} {}",
            style("$").dim(),
            style(format!("dagflux {}", typed.join(" "))).bold()
        );
        let start = Instant::now();
        let mut command = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.stage.folder())
            .env("DAGFLUX_CONNECTIONS", CONNECTION_FILE)
            .env("DAGFLUX_GRANTS", "grants.toml")
            .env("DAGFLUX_CONNECTORS", &self.connectors)
            .env(PASSWORD_VARIABLE, self.stage.password())
            .stderr(Stdio::piped())
            .spawn()?;
        let remarks = command.stderr.take().context("its remarks are a pipe")?;
        let remarks = thread::spawn(move || shown_and_kept(remarks));
        let memory = wait_for(&mut command)?;
        let time = start.elapsed();
        let status = command.wait()?;
        let sandbox = remarks.join().ok().and_then(|lines| {
            let line = lines.iter().find_map(|line| line.strip_prefix("sandbox: "));
            line.map(str::to_owned)
        });
        println!();
        let cost = Cost {
            time,
            memory,
            sandbox,
        };
        Ok((status, cost))
    }

    /// The size in bytes of a file that a command wrote.
    pub(crate) fn size_of(&self, name: &str) -> Result<u64> {
        Ok(fs::metadata(self.stage.folder().join(name))?.len())
    }
}

/// Passes the lines on as they come, and returns them.
fn shown_and_kept(remarks: impl Read) -> Vec<String> {
    let lines = BufReader::new(remarks).lines().map_while(Result::ok);
    lines.inspect(|line| println!("{line}")).collect()
}

/// Waits for the end of the command and returns its peak memory.
fn wait_for(command: &mut Child) -> Result<Option<u64>> {
    let status = Path::new("/proc")
        .join(command.id().to_string())
        .join("status");
    let mut peak = None;
    while command.try_wait()?.is_none() {
        peak = peak_memory(&status).or(peak);
        thread::sleep(LOOK_EVERY);
    }
    Ok(peak)
}

/// `VmHWM`, which Linux keeps for every process (proc(5)), in bytes.
fn peak_memory(status: &Path) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The word as one types it in a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("\"{word}\"")
    }
}
