//! Somebody who reads and writes at full speed, is cut off in the middle of it, changes their mind,
//! and knows what their tables have to hold.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dagflux_host::{
    ConnectOptions, Connection, Connector, Error, ErrorKind, Limits, ReadOptions, TableName,
    WriteOptions,
};
use futures_util::TryStreamExt;
use tokio::time::timeout;

use super::Ground;
use super::change::{self, Change, Digest, Rows};
use super::link::{Link, Links};
use crate::chance::Chance;
use crate::plan::Mode;

/// The table that all append to.
pub(super) const SHARED: &str = "shared";

/// A table that no one writes to, and its rows.
pub(super) const CONSTANT: &str = "constant";
pub(super) const CONSTANT_ROWS: i64 = 100_000;

/// How long a call may take on a link that may have stalled.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server may take to get over a connection that is gone.
const SETTLING: Duration = Duration::from_secs(60);

pub(super) struct Worker {
    number: i32,
    ground: Arc<Ground>,
    connector: Connector,
    chance: Chance,
    /// What its own table has to hold.
    own: Rows,
    /// What it has appended to the shared one, and the id that comes next there.
    shared: Digest,
    next: i64,
    /// Counts its writes.
    version: i32,
    /// Counts its connections.
    connections: u64,
    /// Whether something was dropped on the way on the current one.
    has_dropped: bool,
}

/// What comes after an operation.
enum Next {
    Another,
    /// The connection is of no use any more.
    Connect,
    /// Look whether a write has happened.
    Look(Write),
}

/// A write that was not reported as done.
struct Write {
    change: Change,
    is_shared: bool,
    /// Whether it may have happened.
    is_unknown: bool,
}

/// What became of a future that may have been dropped.
enum Ended<T> {
    With(dagflux_host::Result<T>),
    Dropped,
}

impl Worker {
    pub(super) fn new(
        number: i32,
        ground: Arc<Ground>,
        connector: Connector,
        chance: Chance,
    ) -> Self {
        Self {
            number,
            ground,
            connector,
            chance,
            own: Rows::default(),
            shared: Digest::default(),
            next: 0,
            version: 0,
            connections: 0,
            has_dropped: false,
        }
    }

    /// The name of the table that is its own.
    pub(super) fn table(number: i32) -> String {
        format!("own_{number}")
    }

    /// Works until then.
    pub(super) async fn work(mut self, links: Arc<Links>, until: Instant) -> Result<Self> {
        while Instant::now() < until {
            self.connections += 1;
            let name = format!("soak {} {}", self.number, self.connections);
            let link = Link::draw(&mut self.chance);
            self.has_dropped = false;
            let lived = self.live(&name, link, &links, until).await;
            lived.with_context(|| format!("{name}, {link:?}"))?;
        }
        Ok(self)
    }

    /// One connection.
    async fn live(&mut self, name: &str, link: Link, links: &Links, until: Instant) -> Result<()> {
        let mut options = ConnectOptions::default().with_application_name(name);
        if link != Link::Sound {
            options.limits = Some(Limits::default().with_wall_time(PATIENCE));
        }
        let ground = self.ground.clone();
        let server = &ground.server;
        let config = links.config(link, server, &self.ground.root);
        let secrets = Links::secrets(link, server);
        let patience = self.patience();
        let connecting = self.connector.connect(config, secrets, options);
        let mut connection = match maybe(patience, connecting).await {
            Ended::With(Ok(connection)) => connection,
            Ended::With(Err(error)) => return self.forgive(&error, link, false),
            Ended::Dropped => {
                self.ground.ledger.book(|counts| counts.dropped += 1);
                return Ok(());
            }
        };
        self.ground.ledger.book(|counts| counts.connections += 1);
        let mut next = Next::Another;
        let operations = 1 + self.chance.below(30);
        for _ in 0..operations {
            next = self.operate(&mut connection, link).await?;
            if !matches!(next, Next::Another) || Instant::now() >= until {
                break;
            }
        }
        match next {
            Next::Look(write) => {
                drop(connection);
                self.look(name, &write).await
            }
            Next::Another if self.chance.below(2) == 0 => match connection.close().await {
                Err(error) => self.forgive(&error, link, true),
                Ok(()) => Ok(()),
            },
            Next::Another | Next::Connect => Ok(()),
        }
    }

    async fn operate(&mut self, connection: &mut Connection, link: Link) -> Result<Next> {
        match self.chance.below(20) {
            0..=6 => {
                self.version += 1;
                let change = self.own.draw(self.version, self.number, &mut self.chance);
                self.write(connection, change, false, link).await
            }
            7..=9 => {
                self.version += 1;
                let (version, writer) = (self.version, self.number);
                let mode = Mode::Append;
                let change = Change::new(mode, self.next, version, writer, &mut self.chance);
                self.next += change.rows();
                self.write(connection, change, true, link).await
            }
            10..=14 => {
                let expected = self.own.digest();
                let table = Self::table(self.number);
                self.read(connection, &table, expected, link).await
            }
            15..=17 => {
                let expected = self.ground.constant;
                self.read(connection, CONSTANT, expected, link).await
            }
            _ => self.sleep(connection, link).await,
        }
    }

    async fn write(
        &mut self,
        connection: &mut Connection,
        change: Change,
        is_shared: bool,
        link: Link,
    ) -> Result<Next> {
        let table = match is_shared {
            true => TableName::new(SHARED),
            false => TableName::new(Self::table(self.number)),
        };
        let batches = change.batches().collect::<Result<Vec<_>>>()?;
        let committing = AtomicBool::new(false);
        let write = async {
            let options = WriteOptions::new(change.mode());
            let mut sink = connection.write(&table, change::schema(), options).await?;
            for batch in &batches {
                sink.write(batch).await?;
            }
            committing.store(true, Ordering::SeqCst);
            sink.finish().await
        };
        let ended = maybe(self.patience(), write).await;
        let (is_unknown, by_error) = match &ended {
            Ended::With(Ok(report)) => {
                change.agrees(report)?;
                let rows = change.rows().unsigned_abs();
                self.ground.ledger.book(|counts| {
                    counts.committed += 1;
                    counts.rows_written += rows;
                });
                self.happened(&change, is_shared);
                return Ok(Next::Another);
            }
            Ended::With(Err(error)) => {
                let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
                if !(is_unknown && link != Link::Sound) {
                    self.forgive(error, link, true)
                        .with_context(|| format!("{change:?}"))?;
                }
                (is_unknown, true)
            }
            Ended::Dropped => {
                self.has_dropped = true;
                (committing.load(Ordering::SeqCst), false)
            }
        };
        self.ground.ledger.book(|counts| {
            match is_unknown {
                true => counts.unknown += 1,
                false => counts.not_written += 1,
            }
            counts.dropped += u64::from(!by_error);
        });
        Ok(match by_error || is_unknown {
            true => Next::Look(Write {
                change,
                is_shared,
                is_unknown,
            }),
            // The next reading shows whether it is true that nothing was written.
            false => Next::Another,
        })
    }

    /// Looks, once the server has got over the connection, what became of a write.
    async fn look(&mut self, name: &str, write: &Write) -> Result<()> {
        let Write {
            change, is_shared, ..
        } = write;
        let started = Instant::now();
        let working = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        while self
            .ground
            .sql
            .query_one(working, &[&name])
            .await?
            .get::<_, i64>(0)
            > 0
        {
            ensure!(
                started.elapsed() < SETTLING,
                "the server still works on {change:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (rows, old, new) = self.sides(change, *is_shared);
        let found = Digest::of(&self.ground.sql, &rows).await?;
        if found == new && found != old {
            ensure!(
                write.is_unknown,
                "{change:?} was reported as not written, and was"
            );
            self.ground
                .ledger
                .book(|counts| counts.unknown_written += 1);
            self.happened(change, *is_shared);
            return Ok(());
        }
        ensure!(
            found == old,
            "{change:?} left neither the old rows nor the new: {found:?}, old {old:?}, new {new:?}"
        );
        Ok(())
    }

    /// Where to look for a change, and what is there without and with it.
    fn sides(&self, change: &Change, is_shared: bool) -> (String, Digest, Digest) {
        if is_shared {
            let rows = format!("{SHARED} WHERE writer = {}", self.number);
            return (rows, self.shared, self.shared.with(change.digest()));
        }
        let mut new = self.own.clone();
        new.apply(change);
        (Self::table(self.number), self.own.digest(), new.digest())
    }

    fn happened(&mut self, change: &Change, is_shared: bool) {
        match is_shared {
            true => self.shared = self.shared.with(change.digest()),
            false => self.own.apply(change),
        }
    }

    /// Reads a table, to its end or not.
    async fn read(
        &mut self,
        connection: &mut Connection,
        table: &str,
        expected: Digest,
        link: Link,
    ) -> Result<Next> {
        let name = TableName::new(table);
        let read = async {
            let mut found = Ok(Digest::default());
            let mut batches = connection.read(&name, ReadOptions::default()).await?;
            while let Some(batch) = batches.try_next().await? {
                found = found.and_then(|found: Digest| found.with_batch(&batch));
            }
            Ok(found)
        };
        match maybe(self.patience(), read).await {
            Ended::With(Ok(found)) => {
                let found = found?;
                ensure!(
                    found == expected,
                    "{table} was read as {found:?}, and should hold {expected:?}"
                );
                self.ground.ledger.book(|counts| {
                    counts.reads += 1;
                    counts.rows_read += found.rows.unsigned_abs();
                });
                Ok(Next::Another)
            }
            ended => self.stopped(&ended, link),
        }
    }

    /// A statement that has to be cancelled. A server does not notice that its client is gone while
    /// it sleeps: where the cancel request may be lost, it wakes up by itself.
    async fn sleep(&mut self, connection: &mut Connection, link: Link) -> Result<Next> {
        let patience = Duration::from_millis(self.chance.below(50));
        let seconds = if link == Link::Sound { 600 } else { 10 };
        let sleeping = async {
            let sql = format!("SELECT pg_sleep({seconds})");
            let rows = connection.query(&sql).await?;
            rows.try_collect::<Vec<_>>().await
        };
        match maybe(Some(patience), sleeping).await {
            Ended::With(Ok(_)) => bail!("it was let sleep for {seconds} s"),
            ended => self.stopped(&ended, link),
        }
    }

    fn stopped<T>(&mut self, ended: &Ended<T>, link: Link) -> Result<Next> {
        match ended {
            Ended::With(Ok(_)) => Ok(Next::Another),
            Ended::With(Err(error)) => {
                self.forgive(error, link, true)?;
                Ok(Next::Connect)
            }
            Ended::Dropped => {
                self.has_dropped = true;
                self.ground.ledger.book(|counts| counts.dropped += 1);
                Ok(Next::Another)
            }
        }
    }

    /// Errors that the link explains are counted; others end the run.
    fn forgive(&self, error: &Error, link: Link, in_use: bool) -> Result<()> {
        // What was dropped before may have had to be ended with its connection.
        let is_ended = in_use && self.has_dropped && error.kind() == ErrorKind::Closed;
        if !(link.explains(error.kind()) || is_ended) {
            bail!("{}: {error} {:?}", error.kind(), error.detail());
        }
        let kind = match link {
            Link::Sound => "closed-though-sound",
            Link::Faulty | Link::Encrypted => error.kind().as_str(),
        };
        self.ground
            .ledger
            .book(|counts| *counts.errors.entry(kind).or_default() += 1);
        Ok(())
    }

    /// When to lose interest in what comes next: rarely at all, and then soon.
    fn patience(&mut self) -> Option<Duration> {
        let soon = 200_000_f64.powf(self.chance.fraction());
        (self.chance.below(4) == 0).then(|| Duration::from_micros(soon as u64))
    }

    /// That both sides have counted the same rows.
    pub(super) async fn compare(&self) -> Result<i64> {
        let own = self.own.digest();
        for (rows, expected) in [
            (Self::table(self.number), own),
            (
                format!("{SHARED} WHERE writer = {}", self.number),
                self.shared,
            ),
        ] {
            let found = Digest::of(&self.ground.sql, &rows).await?;
            ensure!(
                found == expected,
                "{rows} holds {found:?}, and the ledger says {expected:?}"
            );
        }
        Ok(own.rows + self.shared.rows)
    }

    /// The shared table was emptied.
    pub(super) fn forget_shared(&mut self) {
        self.shared = Digest::default();
    }
}

/// Waits for `work`, and drops it after a while.
async fn maybe<T>(
    patience: Option<Duration>,
    work: impl Future<Output = dagflux_host::Result<T>>,
) -> Ended<T> {
    let Some(patience) = patience else {
        return Ended::With(work.await);
    };
    match timeout(patience, work).await {
        Ok(ended) => Ended::With(ended),
        Err(_) => Ended::Dropped,
    }
}
