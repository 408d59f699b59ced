//! A thousand connections open at once in one process.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use dagflux_host::{Connection, Connector};
use dagflux_test_support::{Footprint, Server, ServerOptions};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::product::{self, Address};
use crate::report::Report;

/// The variable by which the process that opens them learns where to connect.
const PROBE: &str = "DAGFLUX_BENCH_CONNECTIONS";

/// How many. A host permits 1,024 unless it is told otherwise.
const CONNECTIONS: usize = 1_000;

/// How many are opened, used or closed at a time.
const AT_ONCE: usize = 16;

/// What this process needs beside one descriptor for each of them.
const OTHER_FILES: usize = 50;

/// The most that an idle one may add to the host's memory, in KiB.
const MEMORY_BAR: f64 = 1024.0;

/// What was measured.
#[derive(Deserialize, Serialize)]
struct Figures {
    /// Resident memory for each connection, in KiB: once it is open, and once it has been used.
    opened: f64,
    used: f64,
    /// In seconds, for all.
    open: f64,
    query: f64,
    close: f64,
}

/// In a process of its own, whose memory has no other history.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let options = ServerOptions::new()
        .with_setting("max_connections", "1100")
        .with_setting("shared_buffers", "16MB")
        .with_setting("autovacuum", "off");
    let server = Server::start(&options).await?;
    let database = server.database("connections").await?;
    let address = Address::of(&database);
    let output = Command::new(env::current_exe()?)
        .arg("connections-probe")
        .env(PROBE, serde_json::to_string(&address)?)
        .output()?;
    ensure!(
        output.status.success(),
        "opening {CONNECTIONS} connections failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let figures: Figures = serde_json::from_slice(&output.stdout)?;
    for (what, kibibytes) in [("opened", figures.opened), ("used once", figures.used)] {
        let what = format!("memory of an idle connection, {what}");
        report.amount(&what, kibibytes, MEMORY_BAR, "KiB");
    }
    for (what, seconds) in [
        ("open", figures.open),
        ("SELECT 1 on each of", figures.query),
        ("close", figures.close),
    ] {
        report.figure(&format!("{what} 1,000 connections"), seconds, "s");
    }
    Ok(())
}

/// The process: prints what it measured.
pub(crate) async fn probe() -> Result<()> {
    let address: Address = serde_json::from_str(&env::var(PROBE)?)?;
    permit_files()?;
    let cache = tempfile::tempdir()?;
    let connector = product::load(cache.path()).await?;
    // Once for what is made once.
    close(open(&connector, &address, AT_ONCE).await?).await?;
    let before = Footprint::now()?;

    let start = Instant::now();
    let connections = open(&connector, &address, CONNECTIONS).await?;
    let opened = start.elapsed();
    let memory = added_to(&before)?;

    let start = Instant::now();
    let connections = query(connections).await?;
    let queried = start.elapsed();
    let memory_used = added_to(&before)?;

    let start = Instant::now();
    close(connections).await?;
    let closed = start.elapsed();
    // What an allocator keeps is none of a connection.
    before.is_back(u64::MAX).await?;

    let figures = Figures {
        opened: memory / CONNECTIONS as f64,
        used: memory_used / CONNECTIONS as f64,
        open: opened.as_secs_f64(),
        query: queried.as_secs_f64(),
        close: closed.as_secs_f64(),
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

async fn open(connector: &Connector, address: &Address, count: usize) -> Result<Vec<Connection>> {
    stream::iter(0..count)
        .map(|_| product::connect(connector, address))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn query(connections: Vec<Connection>) -> Result<Vec<Connection>> {
    let query = async |mut connection: Connection| {
        let batches: Vec<_> = connection.query("SELECT 1").await?.try_collect().await?;
        ensure!(
            batches.len() == 1,
            "SELECT 1 gave {} batches",
            batches.len()
        );
        Ok(connection)
    };
    stream::iter(connections)
        .map(query)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn close(connections: Vec<Connection>) -> Result<()> {
    stream::iter(connections)
        .map(|connection| async { Ok(connection.close().await?) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// How much memory is in use beside what was, in KiB.
fn added_to(before: &Footprint) -> Result<f64> {
    let now = Footprint::now()?;
    Ok((now.memory as f64 - before.memory as f64) / 1024.0)
}

/// Fails early, and says what to do, where the system does not permit as many files.
fn permit_files() -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let most = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|limits| limits.split_whitespace().next())
        .and_then(|soft| soft.parse::<usize>().ok());
    // "unlimited" is no number.
    ensure!(
        most.is_none_or(|most| most >= CONNECTIONS + OTHER_FILES),
        "this process may open {} files; run `ulimit -n 4096` first",
        most.unwrap_or_default()
    );
    Ok(())
}
