//! `cargo xtask fuzz`: bytes that no server would send, for the PostgreSQL connector.
//!
//! libFuzzer, with the compiler that the project has: what `cargo fuzz` would ask a nightly
//! compiler for are sanitizers, which find faults that safe Rust does not have.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::workspace::{self, Workspace};

/// Counters for every edge, what numbers are compared with, and every check of a debug build.
const RUSTFLAGS: [&str; 9] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Ccodegen-units=1",
];

/// What no input may exceed: ten seconds; twice the memory that a host gives a connector, for
/// the fuzzer itself is in it; and in one piece twice the longest batch, which grows by doubling.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=512", "-malloc_limit_mb=128"];

/// What is fuzzed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// The parsers by themselves: messages, rows, values, text.
    Codec,
    /// Whole sessions with a server that says anything.
    Session,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Target::Codec => "codec",
            Target::Session => "session",
        }
    }

    /// The longest input. Conversations are longer than what one parser takes.
    fn longest(self) -> u32 {
        match self {
            Target::Codec => 8 * 1024,
            Target::Session => 16 * 1024,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Only this target.
    pub(crate) target: Option<Target>,
    /// For how long each runs.
    pub(crate) seconds: u32,
    /// Whether inputs that reach something new are kept.
    pub(crate) keep: bool,
}

/// Builds the fuzzers, runs the inputs that are kept, then looks for more.
pub(crate) fn run(workspace: &Workspace, options: Options) -> Result<()> {
    let fuzzers = Fuzzers::build(workspace)?;
    let targets = match options.target {
        Some(target) => vec![target],
        None => Target::value_variants().to_vec(),
    };
    let mut table = format!(
        "  {:<9}{:>12}{:>8}{:>10}{:>12}{:>12}\n",
        "target", "executions", "edges", "features", "new inputs", "CPU time"
    );
    for target in targets {
        let run = Run::prepare(workspace, &fuzzers, target)?;
        run.replay()?;
        let found = run.search(options.seconds)?;
        if options.keep {
            run.keep()?;
        }
        let _ = writeln!(
            table,
            "  {:<9}{:>12}{:>8}{:>10}{:>12}{:>10.1} s",
            target.name(),
            found.executions,
            found.edges,
            found.features,
            found.new_inputs,
            found.cpu_seconds
        );
    }
    print!("\n{table}");
    Ok(())
}

/// The programs.
struct Fuzzers(PathBuf);

impl Fuzzers {
    fn build(workspace: &Workspace) -> Result<Self> {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        ensure!(
            workspace::runs(&compiler, &["--version"]),
            "libFuzzer is C++ and there is no compiler for it: install g++ or clang \
             (`apt-get install g++`, `dnf install gcc-c++`, `xcode-select --install`)"
        );
        // Named, so that build scripts and macros are compiled without counters.
        let host = host()?;
        let folder = workspace.target().join("fuzz");
        let mut cargo = workspace.cargo(["build", "--release", "--bins", "--locked"]);
        cargo
            .args(["--manifest-path", "fuzz/Cargo.toml", "--target", &host])
            .arg("--target-dir")
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}"));
        workspace::run(&mut cargo)?;
        Ok(Self(folder.join(host).join("release")))
    }
}

/// The platform that this runs on, as the compiler calls it.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("`rustc` could not be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// A run of one target, in a folder of its own: it does not change what is under version
/// control.
struct Run {
    program: PathBuf,
    longest: u32,
    /// What is under version control.
    kept: PathBuf,
    regressions: PathBuf,
    dictionary: PathBuf,
    /// What this run works on.
    corpus: PathBuf,
    findings: PathBuf,
    log: PathBuf,
}

/// What a run found.
struct Found {
    executions: u64,
    edges: u64,
    features: u64,
    new_inputs: usize,
    cpu_seconds: f64,
}

impl Run {
    fn prepare(workspace: &Workspace, fuzzers: &Fuzzers, target: Target) -> Result<Self> {
        let name = target.name();
        let sources = workspace.root().join("fuzz");
        let work = workspace.target().join("fuzz/work").join(name);
        let run = Self {
            program: fuzzers.0.join(name),
            longest: target.longest(),
            kept: sources.join("corpus").join(name),
            regressions: sources.join("regressions").join(name),
            dictionary: sources.join("dictionary.txt"),
            corpus: work.join("corpus"),
            findings: work.join("findings"),
            log: work.join("log.txt"),
        };
        if run.corpus.exists() {
            fs::remove_dir_all(&run.corpus)?;
        }
        fs::create_dir_all(&run.corpus)?;
        fs::create_dir_all(&run.findings)?;
        for input in inputs(&run.kept)? {
            let name = input.file_name().context("an input without a name")?;
            fs::copy(&input, run.corpus.join(name))?;
        }
        Ok(run)
    }

    /// Runs every input that is kept, once.
    fn replay(&self) -> Result<()> {
        let mut inputs = inputs(&self.kept)?;
        inputs.extend(self::inputs(&self.regressions)?);
        eprintln!("{}: {} inputs that are kept", self.name(), inputs.len());
        self.libfuzzer(inputs.iter().map(PathBuf::as_path), &[])?;
        Ok(())
    }

    /// Looks for inputs that reach something new, or that fail.
    fn search(&self, seconds: u32) -> Result<Found> {
        eprintln!("{}: {seconds} s of inputs that are made up", self.name());
        let before = inputs(&self.corpus)?.len();
        let output = self.libfuzzer(
            [self.corpus.as_path()],
            &[
                format!("-max_total_time={seconds}"),
                format!("-max_len={}", self.longest),
                format!("-dict={}", self.dictionary.display()),
                "-print_final_stats=1".to_owned(),
            ],
        )?;
        Ok(Found {
            executions: number_behind(&output, "stat::number_of_executed_units:"),
            edges: number_behind(&output, " cov: "),
            features: number_behind(&output, " ft: "),
            new_inputs: inputs(&self.corpus)?.len().saturating_sub(before),
            cpu_seconds: cpu_seconds(&output),
        })
    }

    /// Adds the new inputs, as few as can be, that reach code which none of those kept
    /// reaches. How often they reach it does not count: that would keep thousands.
    fn keep(&self) -> Result<()> {
        let options = ["-set_cover_merge=1", "-use_counters=0"].map(str::to_owned);
        self.libfuzzer([self.kept.as_path(), &self.corpus], &options)?;
        Ok(())
    }

    fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Runs the fuzzer with these paths. What it prints goes to a file and is given back.
    ///
    /// # Errors
    /// When an input fails: which, and how to run it again.
    fn libfuzzer<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p Path>,
        options: &[String],
    ) -> Result<String> {
        // The shell knows what its children took; Rust's library does not tell.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "\"$@\" 2>&1; code=$?; times; exit $code", "sh"])
            .arg(&self.program)
            .args(LIMITS)
            .arg(format!("-artifact_prefix={}/", self.findings.display()))
            .args(options)
            .args(paths)
            .stdout(fs::File::create(&self.log)?)
            .stdin(Stdio::null());
        let status = shell.status().context("`sh` could not be started")?;
        // Inputs are quoted in it, which need not be text.
        let output = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if status.success() {
            return Ok(output);
        }
        let written = output.lines().filter_map(finding).next_back();
        match written {
            Some(input) => bail!(
                "the connector fails at an input ({}):\n  {input}\nrun it again with:\n  {} {} {input}\n\
                 when it is mended, keep the input in {}",
                reason(&output),
                self.program.display(),
                LIMITS.join(" "),
                self.regressions.display(),
            ),
            None => bail!("the fuzzer failed ({status}), see {}", self.log.display()),
        }
    }
}

/// The files of a folder, in order.
fn inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !hidden {
            inputs.push(path);
        }
    }
    inputs.sort();
    Ok(inputs)
}

/// The input that a line of the fuzzer says it failed at: one that it made up and wrote down,
/// or one that is kept.
fn finding(line: &str) -> Option<&str> {
    line.split_once("Test unit written to ")
        .map(|(_, path)| path)
        .or_else(|| line.strip_prefix("Running: "))
}

/// The line that says what went wrong.
fn reason(output: &str) -> String {
    let mut lines = output.lines();
    let panic = lines.find(|line| line.contains("panicked at"));
    let line = match panic {
        Some(_) => lines.next(),
        None => output.lines().find(|line| line.contains("libFuzzer: ")),
    };
    line.unwrap_or("without a word").trim().to_owned()
}

/// The number behind the last `word`.
fn number_behind(output: &str, word: &str) -> u64 {
    let number = output.rsplit_once(word).map(|(_, rest)| rest.trim_start());
    let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// What `times` says of the children of the shell, user and system: `1m2.345s 0m0.120s`.
fn cpu_seconds(output: &str) -> f64 {
    let line = output.lines().next_back().unwrap_or_default();
    line.split_whitespace()
        .filter_map(|time| {
            let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
            let seconds = seconds.replace(',', ".").parse::<f64>().ok()?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
#8\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 26Mb
#9\tNEW    cov: 5106 ft: 20134 corp: 2994/165Kb lim: 799
stat::number_of_executed_units: 864102
0m0.001s 0m0.002s
1m2.500s 0m0.250s
";

    #[test]
    fn figures_are_those_of_the_end() {
        assert_eq!(number_behind(OUTPUT, " cov: "), 5106);
        assert_eq!(number_behind(OUTPUT, " ft: "), 20134);
        let executed = number_behind(OUTPUT, "stat::number_of_executed_units:");
        assert_eq!(executed, 864_102);
        assert_eq!(cpu_seconds(OUTPUT), 62.75);
        assert_eq!(number_behind("", " cov: "), 0);
    }

    #[test]
    fn a_failure_names_its_input_and_its_reason() {
        let output = "Running: kept/a\nExecuted kept/a in 0 ms\nRunning: kept/b\n\
            thread '<unnamed>' (1) panicked at src/codec.rs:1:1:\nit is wrong\nstack backtrace:\n";
        assert_eq!(
            output.lines().filter_map(finding).next_back(),
            Some("kept/b")
        );
        assert_eq!(reason(output), "it is wrong");
        let line = "artifact_prefix='x/'; Test unit written to x/crash-1";
        assert_eq!(finding(line), Some("x/crash-1"));
        let output = "==1== ERROR: libFuzzer: timeout after 10 seconds\n";
        assert_eq!(
            reason(output),
            "==1== ERROR: libFuzzer: timeout after 10 seconds"
        );
    }
}
