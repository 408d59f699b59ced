//! The server and the table, and what is in it after a kill.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Server, ServerOptions};

use crate::import::Told;
use crate::plan::{Mode, Plan};
use crate::rows;

pub(crate) const DATABASE: &str = "soak";
pub(crate) const TABLE: &str = "target";

/// How long the server may take to get over a kill.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(10);

/// A server of this program's own. It keeps what it has promised when one of its backends
/// is killed; only the machine must not fail.
pub(crate) async fn server() -> Result<Server> {
    let options = ServerOptions::new()
        .with_setting("synchronous_commit", "on")
        .with_setting("autovacuum", "off");
    let server = Server::start(&options).await?;
    server.database(DATABASE).await?;
    Ok(server)
}

/// The table with so many rows, and what it may hold after a write.
pub(crate) struct Stage<'s> {
    pub(crate) server: &'s Server,
    pub(crate) rows: i64,
    old: Digest,
    /// For each of [`Mode::ALL`].
    after: Vec<(Mode, Digest)>,
    /// How many relations there are, temporary ones included.
    relations: i64,
}

/// How many rows, and a sum over the text of each that their order does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Digest {
    count: i64,
    sum: String,
}

/// Which rows the table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Old,
    New,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "old",
            Self::New => "new",
        })
    }
}

impl<'s> Stage<'s> {
    pub(crate) async fn set(server: &'s Server, rows: i64) -> Result<Self> {
        let sql = server.sql(DATABASE).await?;
        let old = rows::old(rows);
        sql.batch_execute(&format!(
            "DROP TABLE IF EXISTS {TABLE}, old_rows;
             CREATE TABLE old_rows ({columns}); INSERT INTO old_rows {old};
             CREATE TABLE {TABLE} ({columns})",
            columns = rows::COLUMNS
        ))
        .await?;
        let mut after = Vec::new();
        for mode in Mode::ALL {
            let rows = rows::after(mode, rows);
            after.push((mode, digest(&sql, &format!("({rows})")).await?));
        }
        Ok(Self {
            server,
            rows,
            old: digest(&sql, "old_rows").await?,
            after,
            relations: relations(&sql).await?,
        })
    }

    /// Puts the old rows back. That a lock is left from a write shows here.
    pub(crate) async fn reset(&self) -> Result<()> {
        let sql = self.server.sql(DATABASE).await?;
        sql.batch_execute(&format!(
            "SET lock_timeout = '30s'; TRUNCATE {TABLE}; INSERT INTO {TABLE} TABLE old_rows"
        ))
        .await
        .context("the old rows could not be put back")
    }

    /// Looks which rows the table holds. An error if it is neither the old nor the new, or
    /// not those that the writer was told of.
    pub(crate) async fn judge(&self, plan: &Plan, told: &Told) -> Result<State> {
        let state = self.state(plan.mode).await?;
        match (told, state) {
            (Told::Done, State::Old) => bail!("it was told done, and the rows are the old ones"),
            (Told::Failed(error), State::New) => {
                bail!("it was told a failure ({error}), and the rows are the new ones")
            }
            (Told::Nothing { committing: false }, State::New) => {
                bail!("the rows are the new ones, and no commit was asked for")
            }
            _ => Ok(state),
        }
    }

    /// Which rows the table holds, once nothing works on it any more.
    pub(crate) async fn state(&self, mode: Mode) -> Result<State> {
        let sql = self.settled().await?;
        let found = digest(&sql, TABLE).await?;
        let relations = relations(&sql).await?;
        ensure!(
            relations == self.relations,
            "{relations} relations where there were {}: a write has left something behind",
            self.relations
        );
        if found == self.old {
            return Ok(State::Old);
        }
        let after = self.after.iter().find(|(known, _)| *known == mode);
        match after {
            Some((_, after)) if *after == found => Ok(State::New),
            _ => bail!(
                "the table holds neither the old nor the new rows: {found:?}, old {:?}, new {after:?}",
                self.old
            ),
        }
    }

    /// A connection, once the server accepts one and no other works in the database.
    async fn settled(&self) -> Result<Client> {
        let started = Instant::now();
        let others = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() \
            AND usename = 'dagflux'";
        let mut last = None;
        while started.elapsed() < PATIENCE {
            let connected = self.server.sql(DATABASE).await;
            match connected {
                Ok(sql) => match sql.query_one(others, &[]).await {
                    Ok(row) if row.get::<_, i64>(0) == 0 => return Ok(sql),
                    Ok(_) => last = None,
                    Err(error) => last = Some(error.into()),
                },
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        let why = last.unwrap_or_else(|| anyhow::anyhow!("a backend of the writer still runs"));
        Err(why.context(format!(
            "the server had not settled after {} s",
            PATIENCE.as_secs()
        )))
    }
}

async fn digest(sql: &Client, rows: &str) -> Result<Digest> {
    let query = format!(
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {rows} t"
    );
    let row = sql.query_one(&query, &[]).await?;
    Ok(Digest {
        count: row.get(0),
        sum: row.get(1),
    })
}

async fn relations(sql: &Client) -> Result<i64> {
    let row = sql.query_one("SELECT count(*) FROM pg_class", &[]).await?;
    Ok(row.get(0))
}
