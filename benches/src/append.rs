//! Appending a large table from an Arrow file, beside psql appending the same rows
//! from a file of its own format.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use dagflux_host::{Connection, Connector, ReadOptions, TableName, WriteOptions};
use dagflux_test_support::{Database, Server, ServerOptions, tokio_postgres::Client, tpch};
use futures_util::TryStreamExt;

use crate::memory::{self, Work};
use crate::product::{self, Address};
use crate::psql;
use crate::report::{Report, median};

const TIMES: usize = 5;
const BAR: f64 = 1.15;

/// The most that appending may add to the memory of an idle host, in MiB.
const MEMORY_BAR: f64 = 256.0;

/// How far the peaks of a small and a large table may be apart, in MiB. The memory
/// a process gets differs by a few MiB from run to run.
const FLAT_BAR: f64 = 16.0;

/// How much of a file is read at once, in bytes.
const BUFFER: usize = 1024 * 1024;

/// The table that is appended to: lineitem's columns, no index.
const TARGET: &str = "appended";

/// Turn by turn, so that whatever slows the machine slows both.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let options = ServerOptions::new().with_setting("autovacuum", "off");
    let server = Server::start(&options).await?;
    let small = server.database("append_small").await?;
    let large = server.database("append_large").await?;
    let folder = tempfile::tempdir()?;
    let cache = tempfile::tempdir()?;
    let connector = product::load(cache.path()).await?;
    eprintln!("writing lineitem at scale factors 0.1 and 1 to files");
    let small = Source::prepare(&connector, &small, folder.path(), 0.1).await?;
    let large = Source::prepare(&connector, &large, folder.path(), 1.0).await?;

    // Once each for the caches of the server and of the system, and to see that both
    // append the same.
    large.psql().await?;
    let loaded = large.digest().await?;
    large.library(&connector).await?;
    let appended = large.digest().await?;
    ensure!(
        appended == loaded,
        "the rows that were appended are not those of psql"
    );
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=TIMES {
        // By turns, so that neither always has what the other leaves behind.
        let (psql, library) = if round % 2 == 1 {
            let psql = large.psql().await?;
            (psql, large.library(&connector).await?)
        } else {
            let library = large.library(&connector).await?;
            (large.psql().await?, library)
        };
        eprintln!("round {round} of {TIMES}: psql {psql:.2?}, ours {library:.2?}");
        theirs.push(psql);
        ours.push(library);
    }
    report.compare(
        "append lineitem, 6 M rows (psql \\copy binary)",
        median(theirs),
        median(ours),
        BAR,
    );

    let small = small.memory(cache.path()).await?;
    let large = large.memory(cache.path()).await?;
    for (scale, peak) in [("0.1", small), ("1", large)] {
        let what = format!("append: memory above idle, scale factor {scale}");
        report.amount(&what, peak, MEMORY_BAR, "MiB");
    }
    let apart = (large - small).abs();
    report.amount("append: the two apart", apart, FLAT_BAR, "MiB");
    Ok(())
}

/// Lineitem in both formats, and an empty table for it.
struct Source {
    address: Address,
    sql: Client,
    /// Arrow's, in its streaming format.
    arrow: PathBuf,
    /// PostgreSQL's own.
    binary: PathBuf,
    rows: u64,
}

impl Source {
    async fn prepare(
        connector: &Connector,
        database: &Database<'_>,
        folder: &Path,
        scale: f64,
    ) -> Result<Self> {
        let rows = tpch::load(database, scale, &[tpch::Table::LineItem]).await?;
        let source = Self {
            address: Address::of(database),
            sql: database.sql().await?,
            arrow: folder.join(format!("{}.arrow", database.name())),
            binary: folder.join(format!("{}.binary", database.name())),
            rows: rows.first().copied().context("no table was loaded")?,
        };
        let mut connection = product::connect(connector, &source.address).await?;
        write_arrow(&mut connection, &source.arrow).await?;
        connection.close().await?;
        let copy = format!(
            "\\copy lineitem to '{}' (format binary)",
            source.binary.display()
        );
        psql::run(&source.address, &copy)?;
        source
            .sql
            .batch_execute(&format!(
                "CREATE TABLE {TARGET} (LIKE lineitem); DROP TABLE lineitem"
            ))
            .await?;
        Ok(source)
    }

    /// The whole of psql's process.
    async fn psql(&self) -> Result<Duration> {
        self.empty().await?;
        let file = self.binary.display();
        let copy = format!("\\copy {TARGET} from '{file}' (format binary)");
        let time = psql::run(&self.address, &copy)?;
        self.verify().await?;
        Ok(time)
    }

    /// From connecting to the commit.
    async fn library(&self, connector: &Connector) -> Result<Duration> {
        self.empty().await?;
        let start = Instant::now();
        let mut connection = product::connect(connector, &self.address).await?;
        append(&mut connection, &self.arrow).await?;
        let time = start.elapsed();
        connection.close().await?;
        self.verify().await?;
        Ok(time)
    }

    async fn memory(&self, cache: &Path) -> Result<f64> {
        self.empty().await?;
        let work = Work::Append(self.arrow.clone());
        let peak = memory::above_idle(&self.address, cache, work)?;
        self.verify().await?;
        Ok(peak)
    }

    /// Leaves nothing of one run for the next to pay for.
    async fn empty(&self) -> Result<()> {
        self.sql
            .batch_execute(&format!("TRUNCATE {TARGET}"))
            .await?;
        Ok(self.sql.batch_execute("CHECKPOINT").await?)
    }

    /// A sum over the text of each row that their order does not change.
    async fn digest(&self) -> Result<String> {
        let sum = format!("SELECT sum(hashtextextended(t::text, 0))::text FROM {TARGET} t");
        Ok(self.sql.query_one(&sum, &[]).await?.get(0))
    }

    /// That all rows are there. What is in them is looked at once, before anything is measured.
    async fn verify(&self) -> Result<()> {
        let count = format!("SELECT count(*) FROM {TARGET}");
        let found: i64 = self.sql.query_one(&count, &[]).await?.get(0);
        ensure!(
            u64::try_from(found) == Ok(self.rows),
            "appended {found} rows of {}",
            self.rows
        );
        Ok(())
    }
}

/// Reads lineitem into a file.
async fn write_arrow(connection: &mut Connection, file: &Path) -> Result<()> {
    let table = TableName::new("lineitem");
    let mut batches = connection.read(&table, ReadOptions::default()).await?;
    let file = BufWriter::with_capacity(BUFFER, File::create(file)?);
    let mut writer = StreamWriter::try_new(file, batches.schema())?;
    while let Some(batch) = batches.try_next().await? {
        writer.write(&batch)?;
    }
    Ok(writer.finish()?)
}

/// Appends the rows of a file; one batch is in memory at a time.
pub(crate) async fn append(connection: &mut Connection, file: &Path) -> Result<()> {
    let file = BufReader::with_capacity(BUFFER, File::open(file)?);
    let batches = StreamReader::try_new(file, None)?;
    let table = TableName::new(TARGET);
    let mut sink = connection
        .write(&table, batches.schema(), WriteOptions::default())
        .await?;
    for batch in batches {
        sink.write(&batch?).await?;
    }
    sink.finish().await?;
    Ok(())
}
