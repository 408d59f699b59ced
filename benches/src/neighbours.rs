//! What three connections that misbehave without end take from a fourth that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_host::{
    Config, ConnectOptions, Connection, Connector, ErrorKind, Host, ReadOptions, Secrets, TableName,
};
use dagflux_test_support::{Server, ServerOptions, connector_path, test_guest_path, tpch};
use futures_util::TryStreamExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::product::{self, Address};
use crate::read;
use crate::report::Report;

/// How long the reader reads undisturbed, before and after.
const QUIET: Duration = Duration::from_secs(20);

/// How long it is disturbed.
const ATTACKED: Duration = Duration::from_secs(60);

/// The least share of its rows that it still gets.
const BAR: f64 = 0.6;

/// How long attackers may take to come to their end: that of the longest limit, and then some.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an attacker does, and the limit that ends it.
const ATTACKS: [(&str, &str, ErrorKind); 3] = [
    ("looping", "loop", ErrorKind::GuestTimeLimit),
    ("growing", "grow", ErrorKind::MemoryLimit),
    (
        "logging",
        "log 18446744073709551615",
        ErrorKind::GuestTimeLimit,
    ),
];

/// Idle neighbours, attackers, idle neighbours: whatever the machine does meanwhile shows in the
/// difference of the two quiet times.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let heard = Heard::listen()?;
    let options = ServerOptions::new().with_setting("autovacuum", "off");
    let server = Server::start(&options).await?;
    let database = server.database("neighbours").await?;
    tpch::load(&database, 0.1, &[tpch::Table::LineItem]).await?;
    let host = Host::new()?;
    let postgres = host.load(connector_path("postgres")?).await?;
    let hostile = host.load(test_guest_path("hostile")?).await?;

    let mut connection = product::connect(&postgres, &Address::of(&database)).await?;
    // Once for the caches of the server and of the system.
    read::read(&mut connection).await?;
    let reader = Reader::begin(connection);
    let before = among_idle(&hostile, &reader).await?;

    let attackers: Vec<_> = ATTACKS
        .into_iter()
        .map(|(_, attack, by)| Attacker::begin(hostile.clone(), attack, by))
        .collect();
    let lines = heard.lines();
    let attacked = reader.rate(ATTACKED).await;
    let lines = heard.lines() - lines;
    let mut kills = Vec::new();
    for attacker in attackers {
        kills.push(attacker.end().await?);
    }

    let after = among_idle(&hostile, &reader).await?;
    reader.end().await?;

    let quiet = f64::midpoint(before, after);
    eprintln!(
        "rows/s: idle neighbours {before:.0}, attackers {attacked:.0}, idle again {after:.0}"
    );
    report.share(
        "rows beside three attackers (beside idle ones)",
        quiet / 1000.0,
        attacked / 1000.0,
        BAR,
        "k/s",
    );
    for ((name, ..), kills) in ATTACKS.iter().zip(&kills) {
        report.figure(
            &format!("{name}: ended and begun again"),
            *kills as f64,
            "times",
        );
        ensure!(*kills > 0, "the one {name} was never ended");
    }
    report.figure("lines of theirs that were logged", lines as f64, "");
    Ok(())
}

/// What `reader` reads beside three connections that do nothing.
async fn among_idle(hostile: &Connector, reader: &Reader) -> Result<f64> {
    let mut idle = Vec::new();
    for _ in ATTACKS {
        idle.push(neighbour(hostile).await?);
    }
    let rate = reader.rate(QUIET).await;
    for connection in idle {
        connection.close().await?;
    }
    Ok(rate)
}

/// A connection of the hostile connector, which needs no server.
async fn neighbour(hostile: &Connector) -> dagflux_host::Result<Connection> {
    let secrets = Secrets::new()
        .with("host", "127.0.0.1")
        .with("username", "nobody")
        .with("password", "a password that no one asks for");
    let config = Config::new().with("port", 1_u16);
    hostile
        .connect(config, secrets, ConnectOptions::default())
        .await
}

/// Reads a table over and over.
struct Reader {
    rows: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<Result<()>>,
}

impl Reader {
    fn begin(mut connection: Connection) -> Self {
        let (rows, stop) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let (count, stopped) = (rows.clone(), Arc::<AtomicBool>::clone(&stop));
        let running = tokio::spawn(async move {
            let table = TableName::new("lineitem");
            while !stopped.load(Relaxed) {
                let mut batches = connection.read(&table, ReadOptions::default()).await?;
                while let Some(batch) = batches.try_next().await? {
                    count.fetch_add(batch.num_rows() as u64, Relaxed);
                }
            }
            Ok(connection.close().await?)
        });
        Self {
            rows,
            stop,
            running,
        }
    }

    /// How many rows a second it reads meanwhile.
    async fn rate(&self, time: Duration) -> f64 {
        let (start, before) = (Instant::now(), self.rows.load(Relaxed));
        sleep(time).await;
        (self.rows.load(Relaxed) - before) as f64 / start.elapsed().as_secs_f64()
    }

    async fn end(self) -> Result<()> {
        self.stop.store(true, Relaxed);
        self.running.await?
    }
}

/// Misbehaves until it is ended, and begins again.
struct Attacker {
    kills: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<Result<()>>,
}

impl Attacker {
    fn begin(hostile: Connector, attack: &'static str, by: ErrorKind) -> Self {
        let (kills, stop) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let (count, stopped) = (kills.clone(), Arc::<AtomicBool>::clone(&stop));
        let running = tokio::spawn(async move {
            while !stopped.load(Relaxed) {
                let mut connection = neighbour(&hostile).await?;
                let error = connection.execute(attack).await.err();
                let error = error.with_context(|| format!("`{attack}` was let through"))?;
                ensure!(error.kind() == by, "`{attack}` was ended by: {error}");
                count.fetch_add(1, Relaxed);
            }
            Ok(())
        });
        Self {
            kills,
            stop,
            running,
        }
    }

    /// How often it was ended, the last time included.
    async fn end(self) -> Result<u64> {
        self.stop.store(true, Relaxed);
        timeout(PATIENCE, self.running)
            .await
            .context("an attacker was not ended")???;
        Ok(self.kills.load(Relaxed))
    }
}

/// Counts what connectors log, and drops it.
#[derive(Clone, Default)]
struct Heard(Arc<AtomicU64>);

impl Heard {
    fn listen() -> Result<Self> {
        let heard = Self::default();
        tracing::subscriber::set_global_default(heard.clone())?;
        Ok(heard)
    }

    fn lines(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl tracing::Subscriber for Heard {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "dagflux::connector"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
