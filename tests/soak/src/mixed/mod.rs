//! Everything at once for a while: connections that read, write, are dropped and fail, in one
//! process and against one server.
//!
//! It goes in rounds. After each, nothing may be left of it: no backend, no descriptor, no task; and
//! both sides have to have counted the same rows.

mod change;
mod footprint;
mod ledger;
mod link;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_host::Limits;
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Certificates, Footprint, Server, ServerCertificate, ServerOptions};
use tokio::task::{JoinHandle, JoinSet};

use crate::chance::Chance;
use crate::import;
use crate::stage::DATABASE;
use change::Digest;
use footprint::{Samples, mib};
use ledger::Ledger;
use link::Links;
use worker::{CONSTANT, CONSTANT_ROWS, SHARED, Worker};

/// How long a round takes. The proxies keep an entry for each connection, and go with the round.
const ROUND: Duration = Duration::from_secs(30);

/// How often the memory is looked at, and how many looks make a line.
const LOOK: Duration = Duration::from_secs(10);
const LOOKS: usize = 6;

/// How many rows the shared table may have before it is emptied.
const SHARED_ROWS: i64 = 1_000_000;

/// How long the server may take to end the backends of a round.
const SETTLING: Duration = Duration::from_secs(60);

/// What all work on.
pub(crate) struct Ground {
    server: Server,
    /// The authority of the server's certificate, in PEM.
    root: String,
    sql: Client,
    constant: Digest,
    ledger: Ledger,
}

impl Ground {
    async fn prepare(workers: i32) -> Result<Self> {
        let certificates = Certificates::new()?;
        let identity = certificates.server(ServerCertificate::Good)?;
        let options = ServerOptions::new()
            .with_setting("synchronous_commit", "on")
            .with_tls(identity);
        let server = Server::start(&options).await?;
        server.database(DATABASE).await?;
        let sql = server.sql(DATABASE).await?;
        let mut tables = format!(
            "CREATE TABLE {SHARED} ({columns}); CREATE INDEX ON {SHARED} (writer);
             CREATE TABLE {CONSTANT} ({columns});
             INSERT INTO {CONSTANT} SELECT id, version, 0, {note}
             FROM generate_series(1, {CONSTANT_ROWS}) id, LATERAL (SELECT id % 7 AS version) v;",
            columns = change::COLUMNS,
            note = change::NOTE
        );
        for worker in 0..workers {
            let table = Worker::table(worker);
            tables += &format!(
                "CREATE TABLE {table} ({}, PRIMARY KEY (id));",
                change::COLUMNS
            );
        }
        tables += "GRANT ALL ON ALL TABLES IN SCHEMA public TO dagflux";
        sql.batch_execute(&tables).await?;
        Ok(Self {
            constant: Digest::of(&sql, CONSTANT).await?,
            root: certificates.root(),
            server,
            sql,
            ledger: Ledger::default(),
        })
    }

    /// Waits until no backend of a connection is left.
    async fn settle(&self) -> Result<()> {
        let started = Instant::now();
        let backends = "SELECT concat_ws(', ', application_name, state, wait_event, query) \
            FROM pg_stat_activity WHERE usename = 'dagflux'";
        loop {
            let left = self.sql.query(backends, &[]).await?;
            let Some(one) = left.first() else {
                return Ok(());
            };
            ensure!(
                started.elapsed() < SETTLING,
                "{} backends were left: {}",
                left.len(),
                one.get::<_, String>(0)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Works for so long with so many connections at once.
pub(crate) async fn run(time: Duration, workers: i32, seed: u64) -> Result<()> {
    let mut chance = Chance::new(seed);
    let ground = Arc::new(Ground::prepare(workers).await?);
    let cache = tempfile::tempdir()?;
    let connector = import::connector(cache.path(), Limits::default()).await?;
    let mut crew: Vec<_> = (0..workers)
        .map(|number| Worker::new(number, ground.clone(), connector.clone(), chance.fork()))
        .collect();
    let watch = Watch::begin(ground.ledger.clone());
    let end = Instant::now() + time;
    let mut base = None;
    while Instant::now() < end {
        let until = end.min(Instant::now() + ROUND);
        let links = Arc::new(Links::open(&ground.server, &mut chance).await?);
        let mut working = JoinSet::new();
        for worker in crew.drain(..) {
            working.spawn(worker.work(links.clone(), until));
        }
        while let Some(worker) = working.join_next().await {
            crew.push(worker??);
        }
        drop(links);
        ground.settle().await?;
        let mut rows = 0;
        for worker in &crew {
            rows += worker.compare().await?;
        }
        // The first round makes what is made once.
        let base = base.get_or_insert(Footprint::now()?);
        // Memory is looked at over all of the run.
        base.is_back(u64::MAX).await?;
        if rows > SHARED_ROWS {
            let empty = format!("TRUNCATE {SHARED}");
            ground.sql.batch_execute(&empty).await?;
            crew.iter_mut().for_each(Worker::forget_shared);
        }
    }
    println!("\n{}", ground.ledger.counts());
    if let Some((second, last)) = watch.end()? {
        println!("memory: {second:.1} MiB in the second third, {last:.1} MiB in the last");
    }
    println!("the rows that both sides have counted agree");
    Ok(())
}

/// Looks at this process from time to time.
struct Watch {
    samples: Arc<Mutex<Samples>>,
    looking: JoinHandle<Result<()>>,
}

impl Watch {
    fn begin(ledger: Ledger) -> Self {
        let samples = Arc::new(Mutex::new(Samples::default()));
        let looking = tokio::spawn(look(samples.clone(), ledger));
        Self { samples, looking }
    }

    /// The means of the second and the last third of the memory there was.
    fn end(self) -> Result<Option<(f64, f64)>> {
        self.looking.abort();
        lock(&self.samples).are_flat()
    }
}

async fn look(samples: Arc<Mutex<Samples>>, ledger: Ledger) -> Result<()> {
    println!(
        "{:>6}{:>10}{:>8}{:>8}{:>10}{:>12}{:>9}{:>10}{:>10}{:>12}{:>9}{:>9}",
        "min",
        "MiB",
        "files",
        "tasks",
        "written",
        "rows",
        "not",
        "unknown",
        "reads",
        "rows",
        "dropped",
        "errors"
    );
    let began = Instant::now();
    let mut looks = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = Footprint::now().context("the footprint of this process")?;
        lock(&samples).add(now);
        looks += 1;
        if looks % LOOKS == 0 {
            let counts = ledger.counts().clone();
            println!(
                "{:>6.1}{:>10.1}{:>8}{:>8}{:>10}{:>12}{:>9}{:>10}{:>10}{:>12}{:>9}{:>9}",
                began.elapsed().as_secs_f64() / 60.0,
                mib(now.memory),
                now.descriptors,
                now.tasks,
                counts.committed,
                counts.rows_written,
                counts.not_written,
                counts.unknown,
                counts.reads,
                counts.rows_read,
                counts.dropped,
                counts.errors.values().sum::<u64>()
            );
        }
    }
}

fn lock(samples: &Mutex<Samples>) -> std::sync::MutexGuard<'_, Samples> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}
