//! The `dagflux` command as it is run: its output, its exit codes, the files it writes.

mod checks;
mod connecting;
mod encryption;
mod failures;
mod files;
mod imports;
mod interrupts;
mod losses;
mod nested;
mod operate;
mod operations;
mod prompts;
mod reading;
mod trust;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use dagflux_test_support::{Database, connector_path};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture;

/// The command, beside the folder of this program.
pub fn program() -> Result<PathBuf> {
    let suite = std::env::current_exe()?;
    let folder = suite
        .parent()
        .and_then(Path::parent)
        .context("this program is in no folder")?;
    let program = folder.join("dagflux");
    ensure!(
        program.is_file(),
        "{} is missing; run `cargo build --workspace`",
        program.display()
    );
    Ok(program)
}

/// A folder with a connection file, in which the command is run.
struct Desk {
    folder: TempDir,
}

/// What a run of the command came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Desk {
    /// A desk with the connection `db` to a database.
    fn new(database: &Database<'_>) -> Result<Self> {
        let server = database.server();
        let desk = Self::with_file(&format!(
            "[db]\nconnector = \"postgres\"\nhost = \"{}\"\nport = {}\ndatabase = \"{}\"\n\
             username = {{ env = \"DESK_USER\" }}\npassword = {{ file = \"password\" }}\n",
            server.host(),
            server.port(),
            database.name()
        ))?;
        let password = desk.path("password");
        fs::write(&password, format!("{}\n", server.password()))?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        Ok(desk)
    }

    /// A desk with a connection file of the given text.
    fn with_file(text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("connections.toml"), text)?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DAGFLUX_CONNECTIONS", self.path("connections.toml"))
            .env("DAGFLUX_CONNECTORS", connectors()?)
            .env("DESK_USER", "dagflux")
            // Compiled connectors are kept there, out of the user's own folder.
            .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("DAGFLUX_GRANTS", self.path("grants.toml"))
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<Run> {
        let run = Run::from(self.command(arguments)?.output()?);
        // Piped, as here, there is no place for a terminal's codes.
        ensure!(
            !run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'),
            "{arguments:?} wrote ANSI codes: {run:?}"
        );
        Ok(run)
    }

    /// Runs what has to succeed; returns its standard output.
    fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let run = self.run(arguments)?;
        ensure!(run.code == Some(0), "{arguments:?}: {run:?}");
        Ok(run.out)
    }

    /// Runs what has to succeed with `--json`; returns each line it printed.
    fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let out = self.succeed(&arguments)?;
        let lines: Result<Vec<Value>, _> = out.lines().map(serde_json::from_str).collect();
        lines.with_context(|| out.clone())
    }

    /// Runs what has to fail with the exit code, for people and for machines; returns the
    /// text and the error object.
    fn fail(&self, arguments: &[&str], code: i32) -> Result<(String, Value)> {
        let people = self.run(arguments)?;
        ensure!(people.code == Some(code), "{arguments:?}: {people:?}");
        let last = people.err.trim_end().lines().last().unwrap_or_default();
        ensure!(
            people.err.contains("next: ") && people.err.starts_with("error: "),
            "no next step: {people:?}, {last}"
        );
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let machines = self.run(&arguments)?;
        ensure!(machines.code == Some(code), "{arguments:?}: {machines:?}");
        let object: Value = serde_json::from_str(machines.err.trim())
            .with_context(|| format!("{arguments:?}: {machines:?}"))?;
        let error = object["error"].clone();
        ensure!(error["exit_code"] == code, "{error}");
        for key in ["kind", "message", "hint"] {
            ensure!(
                error[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key}: {error}"
            );
        }
        Ok((people.err, error))
    }

    /// The names of the files in the folder, but for those that were there.
    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| {
            let own = ["connections.toml", "grants.toml", "grants.lock", "password"];
            !own.contains(&name.as_str())
        });
        names.sort();
        Ok(names)
    }
}

fn connectors() -> Result<PathBuf> {
    let path = connector_path("postgres")?;
    Ok(path.parent().context("no folder")?.to_owned())
}

const FIXTURE: &str = "
    CREATE TABLE orders (id bigint PRIMARY KEY, placed timestamptz, day date, total numeric(10,2) NOT NULL DEFAULT 0,
        customer text, paid boolean, ratio double precision, key uuid, body bytea, extra jsonb, tags text[], span interval);
    COMMENT ON TABLE orders IS 'What was ordered';
    INSERT INTO orders SELECT g, timestamptz '2024-01-01+00' + g * interval '1.000001 min', date '2024-01-01' + g,
        g * 1.25, CASE g % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'a,\"b\"\\n\\\\c' ELSE 'Käse 日本 ' || g END,
        CASE WHEN g % 3 > 0 THEN g % 2 = 0 END, g / 7.0::float8, md5(g::text)::uuid, decode(md5(g::text), 'hex'),
        jsonb_build_object('g', g), ARRAY['x', NULL, g::text], g * interval '1 day 1 second'
        FROM generate_series(1, 2000) g;
    CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 1000;
    ANALYZE orders;
";

async fn prepared(name: &str) -> Result<(Database<'static>, Desk)> {
    let database = fixture::database(name).await?;
    database.sql().await?.batch_execute(FIXTURE).await?;
    let desk = Desk::new(&database)?;
    Ok((database, desk))
}
