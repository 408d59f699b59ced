//! Reading a large table into Arrow and discarding it, beside psql doing as much.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_host::{Connection, Connector, ReadOptions};
use dagflux_test_support::{Server, ServerOptions, tpch};
use futures_util::TryStreamExt;

use crate::memory::{self, Work};
use crate::product::{self, Address};
use crate::psql;
use crate::report::{Report, median};

const TIMES: usize = 5;
const BAR: f64 = 1.2;

/// The most that reading may add to the memory of an idle host, in MiB.
const MEMORY_BAR: f64 = 256.0;

/// How far the peaks of a small and a large table may be apart, in MiB. The memory
/// a process gets differs by a few MiB from run to run.
const FLAT_BAR: f64 = 16.0;

/// What psql does with the same rows.
const COPY: &str = "\\copy lineitem to '/dev/null' (format binary)";

/// Turn by turn, so that whatever slows the machine slows both.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let options = ServerOptions::new().with_setting("autovacuum", "off");
    let server = Server::start(&options).await?;
    let small = server.database("lineitem_small").await?;
    let large = server.database("lineitem_large").await?;
    eprintln!("loading lineitem at scale factors 0.1 and 1");
    tpch::load(&small, 0.1, &[tpch::Table::LineItem]).await?;
    let rows = tpch::load(&large, 1.0, &[tpch::Table::LineItem]).await?;
    let rows = rows.first().copied().context("no table was loaded")?;
    let (small, large) = (Address::of(&small), Address::of(&large));

    let cache = tempfile::tempdir()?;
    let connector = product::load(cache.path()).await?;
    // Once each for the caches of the server and of the system.
    psql::run(&large, COPY)?;
    library(&connector, &large, rows).await?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=TIMES {
        theirs.push(psql::run(&large, COPY)?);
        ours.push(library(&connector, &large, rows).await?);
        if let (Some(theirs), Some(ours)) = (theirs.last(), ours.last()) {
            eprintln!("round {round} of {TIMES}: psql {theirs:.2?}, ours {ours:.2?}");
        }
    }
    report.compare(
        "read lineitem, 6 M rows (psql \\copy binary)",
        median(theirs),
        median(ours),
        BAR,
    );

    let small = memory::above_idle(&small, cache.path(), Work::Read)?;
    let large = memory::above_idle(&large, cache.path(), Work::Read)?;
    report.amount(
        "read: memory above idle, scale factor 0.1",
        small,
        MEMORY_BAR,
        "MiB",
    );
    report.amount(
        "read: memory above idle, scale factor 1",
        large,
        MEMORY_BAR,
        "MiB",
    );
    let apart = (large - small).abs();
    report.amount("read: the two apart", apart, FLAT_BAR, "MiB");
    Ok(())
}

/// From connecting to the end of the last batch.
async fn library(connector: &Connector, address: &Address, expected: u64) -> Result<Duration> {
    let start = Instant::now();
    let mut connection = product::connect(connector, address).await?;
    let rows = read(&mut connection).await?;
    let time = start.elapsed();
    connection.close().await?;
    ensure!(rows == expected, "read {rows} rows of {expected}");
    Ok(time)
}

/// Reads lineitem and returns how many rows came.
pub(crate) async fn read(connection: &mut Connection) -> Result<u64> {
    let table = "lineitem".parse()?;
    let mut batches = connection.read(&table, ReadOptions::default()).await?;
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}
