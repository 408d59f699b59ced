//! psql, what ours is compared with.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_test_support::Binaries;

use crate::product::Address;

/// What a shell user has: the whole of psql's process counts. The server's own psql,
/// not a distribution's wrapper around it, which takes time as well.
pub(crate) fn run(address: &Address, command: &str) -> Result<Duration> {
    let program = Binaries::find()?.program("psql");
    let start = Instant::now();
    let status = Command::new(&program)
        .args(["--no-psqlrc", "--quiet", "--host", &address.host])
        .args(["--port", &address.port.to_string()])
        .args(["--username", &address.username, &address.database])
        .args(["--command", command])
        .env("PGPASSWORD", &address.password)
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("{} could not be started", program.display()))?;
    let time = start.elapsed();
    ensure!(status.success(), "psql failed ({status})");
    Ok(time)
}
