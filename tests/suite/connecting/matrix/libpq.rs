//! libpq's outcome, by `psql`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use dagflux_test_support::{Binaries, SERVER_NAME};

use super::case::{Case, Outcome};
use super::servers::{DATABASE, PASSWORD, Reached, Stage};

/// Asks the server, which is the only one who knows for sure.
const ENCRYPTED: &str =
    "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";

/// What `psql` makes of `case` at `reached`, and what it says.
pub async fn outcome(
    case: &Case,
    reached: &Reached<'_>,
    stage: &Stage,
) -> Result<(Outcome, String)> {
    let mut command = Command::new(program()?);
    command
        .args(["-X", "-w", "-A", "-t", "-c"])
        .arg(if reached.pooled {
            "SELECT 1"
        } else {
            ENCRYPTED
        })
        .env_clear()
        // Where there is no `.postgresql` with files of its own.
        .env("HOME", stage.files())
        .env("LC_ALL", "C")
        .env("PGHOST", SERVER_NAME)
        .env("PGHOSTADDR", "127.0.0.1")
        .env("PGPORT", reached.port.to_string())
        .env("PGDATABASE", DATABASE)
        .env("PGUSER", case.rule.login())
        .env("PGPASSWORD", PASSWORD)
        .env("PGSSLMODE", case.mode.sslmode())
        .env("PGGSSENCMODE", "disable")
        .env("PGCONNECT_TIMEOUT", "30")
        .stdin(Stdio::null());
    if case.mode.has_ca() {
        command.env("PGSSLROOTCERT", stage.root());
    }
    if let Some((certificate, key)) = stage.client(case) {
        command.env("PGSSLCERT", certificate).env("PGSSLKEY", key);
    }
    let output = tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("`psql` could not be started")?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome = match printed.trim() {
        _ if !output.status.success() => refusal(&said),
        "1" => reached.seen_by_pooler(case)?,
        "t" => Outcome::Encrypted,
        "f" => Outcome::Clear,
        _ => Outcome::Other,
    };
    Ok((outcome, said))
}

/// The last attempt counts: `prefer` makes two.
fn refusal(said: &str) -> Outcome {
    let last = said.rsplit("failed: ").next().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|words| last.contains(words));
    if has(&["FATAL:"]) {
        Outcome::Login
    } else if has(&[
        "SSL error",
        "SSL SYSCALL error",
        "does not support SSL",
        "server certificate for",
        "root certificate file",
        "certificate verify failed",
    ]) {
        Outcome::Tls
    } else if has(&["server closed the connection unexpectedly"]) {
        Outcome::Lost
    } else {
        Outcome::Other
    }
}

fn program() -> Result<PathBuf> {
    let beside = Binaries::find()?.program("psql");
    Ok(if beside.is_file() {
        beside
    } else {
        PathBuf::from("psql")
    })
}
