//! The sources of a join that are elsewhere, on their way to where they are joined.
//!
//! Each connection, file and workspace is read by a task of its own, side by side, a few batches
//! ahead of who takes them. The tables of one connection are read in one transaction with one
//! snapshot, one after the other, in the order in which they are taken.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::TryStreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Settings;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::resources::Resources;
use crate::operation::steps::is_at;
use crate::operation::{Column, Join, Origin, TableOf, ended};
use crate::types::{Loss, LossPolicy, ReadOptions, TableName, TransactionOptions};
use crate::workspace::{Interrupt, Options, Reader};

/// How many batches of a source are read ahead.
const AHEAD: usize = 2;

/// Sources that are being read. Dropping them ends that.
#[derive(Debug)]
pub(super) struct Sources {
    /// By number, from 0.
    opened: BTreeMap<usize, oneshot::Receiver<Result<Incoming>>>,
    interrupt: Interrupt,
    _tasks: JoinSet<()>,
}

/// The rows of one source.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Its columns.
    pub(super) schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    losses: oneshot::Receiver<Vec<Loss>>,
}

/// Where the rows of one source go.
struct Outgoing {
    batches: mpsc::Sender<Result<RecordBatch>>,
    losses: oneshot::Sender<Vec<Loss>>,
}

/// Whoever takes the rows of one source, as soon as its columns are known.
type Opened = oneshot::Sender<Result<Incoming>>;

/// What is read of a table.
struct Wanted {
    table: TableName,
    columns: Option<Vec<String>>,
    opened: Opened,
}

impl Sources {
    /// The rows of a source, by its number from 0.
    pub(super) async fn take(&mut self, source: usize) -> Result<Incoming> {
        let opened = self.opened.remove(&source).ok_or_else(ended)?;
        opened.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.interrupt.interrupt();
    }
}

impl Incoming {
    /// The next batch; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.recv().await.transpose()
    }

    /// What was not carried as it is, once all rows have come.
    ///
    /// # Errors
    ///
    /// They have not all come: who reads them has ended in another way.
    pub(super) async fn losses(self) -> Result<Vec<Loss>> {
        self.losses.await.map_err(|_| ended())
    }
}

/// A pair of ends for the rows of one source.
fn channel(schema: SchemaRef) -> (Outgoing, Incoming) {
    let (batches, incoming) = mpsc::channel(AHEAD);
    let (losses, lost) = oneshot::channel();
    let incoming = Incoming {
        schema,
        batches: incoming,
        losses: lost,
    };
    (Outgoing { batches, losses }, incoming)
}

/// Begins to read the sources of a join that are not where its target is.
pub(super) fn open(join: &Join, resources: &mut Resources, settings: &Settings) -> Result<Sources> {
    let mut tasks = JoinSet::new();
    let mut opened = BTreeMap::new();
    let interrupt = Interrupt::new();
    let mut tables: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    for (number, (origin, columns)) in join.sources.iter().enumerate() {
        if is_at(origin, &join.target.connection) {
            continue;
        }
        let (sender, receiver) = oneshot::channel();
        opened.insert(number, receiver);
        let columns = named(columns);
        match origin {
            Origin::Table(TableOf { connection, table }) => {
                let wanted = Wanted {
                    table: table.clone(),
                    columns,
                    opened: sender,
                };
                tables.entry(connection.clone()).or_default().push(wanted);
            }
            Origin::Workspace(table) => {
                let (workspace, table) = (resources.workspace()?.clone(), table.clone());
                let options = Options::new()
                    .with_losses(settings.losses.clone())
                    .with_interrupt(interrupt.clone());
                tasks.spawn_blocking(move || {
                    let reader = workspace.read(&table, &options);
                    read_local(reader, columns.as_deref(), sender);
                });
            }
            Origin::File(path) => {
                let rows = resources.take_file(path)?;
                let path = path.clone();
                tasks.spawn_blocking(move || {
                    let (outgoing, incoming) = match chosen(rows.schema, columns.as_deref()) {
                        Ok((schema, at)) => {
                            let (outgoing, incoming) = channel(schema);
                            ((outgoing, at), Ok(incoming))
                        }
                        Err(error) => {
                            let _ = sender.send(Err(error));
                            return;
                        }
                    };
                    let (outgoing, at) = outgoing;
                    if sender.send(incoming).is_ok() {
                        let mut batches = rows.batches;
                        let mut next = || {
                            let batch = batches.next().transpose();
                            batch.map_err(|error| unreadable(&path, &*error))
                        };
                        let _ = pass(&outgoing, &at, &mut next);
                        let _ = outgoing.losses.send(Vec::new());
                    }
                });
            }
        }
    }
    for (name, wanted) in tables {
        let connection = resources.take_connection(&name)?;
        tasks.spawn(read_tables(connection, wanted, settings.losses.clone()));
    }
    Ok(Sources {
        opened,
        interrupt,
        _tasks: tasks,
    })
}

fn unreadable(path: &str, error: &dyn std::error::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{path}: {error}"))
        .with_hint("check the file, or export it anew")
}

/// The columns that a statement uses; none if that is not known, and all are.
fn named(columns: &[Column]) -> Option<Vec<String>> {
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    (!names.is_empty()).then_some(names)
}

/// Where the columns are that are wanted.
fn chosen(schema: SchemaRef, columns: Option<&[String]>) -> Result<(SchemaRef, Vec<usize>)> {
    let Some(columns) = columns else {
        let all = (0..schema.fields().len()).collect();
        return Ok((schema, all));
    };
    let mut at = Vec::new();
    for name in columns {
        at.push(schema.index_of(name).map_err(|_| {
            Error::new(
                ErrorKind::ColumnNotFound,
                format!("a source has no column \"{name}\""),
            )
            .with_hint("have the statements written anew for the columns that it has")
        })?);
    }
    let schema = schema.project(&at).map_err(|_| ended())?;
    Ok((schema.into(), at))
}

/// Reads what blocks.
fn read_local(reader: Result<Reader>, columns: Option<&[String]>, opened: Opened) {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let (schema, at) = match chosen(reader.schema().clone(), columns) {
        Ok(chosen) => chosen,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let (outgoing, incoming) = channel(schema);
    if opened.send(Ok(incoming)).is_ok() && pass(&outgoing, &at, || reader.next_batch()).is_ok() {
        let _ = outgoing.losses.send(reader.losses().to_vec());
    }
}

/// Passes batches on until the last, or until nobody takes them.
fn pass(
    outgoing: &Outgoing,
    at: &[usize],
    mut next: impl FnMut() -> Result<Option<RecordBatch>>,
) -> std::result::Result<(), ()> {
    loop {
        let batch = match next() {
            Ok(None) => return Ok(()),
            Ok(Some(batch)) => batch.project(at).map_err(|_| ended()),
            Err(error) => Err(error),
        };
        let is_last = batch.is_err();
        outgoing.batches.blocking_send(batch).map_err(drop)?;
        if is_last {
            return Err(());
        }
    }
}

/// Reads tables of one connection, all as they were at one time.
async fn read_tables(mut connection: Connection, wanted: Vec<Wanted>, losses: LossPolicy) {
    let options = TransactionOptions::default()
        .with_read_only(true)
        .with_snapshot(true);
    let mut wanted = wanted.into_iter();
    let mut transaction = match connection.transaction(options).await {
        Ok(transaction) => transaction,
        Err(error) => {
            if let Some(first) = wanted.next() {
                let _ = first.opened.send(Err(error));
            }
            return;
        }
    };
    for Wanted {
        table,
        columns,
        opened,
    } in wanted
    {
        let mut options = ReadOptions::default().with_losses(losses.clone());
        options.columns = columns;
        let mut rows = match transaction.read(&table, options).await {
            Ok(rows) => rows,
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        let (outgoing, incoming) = channel(rows.schema().clone());
        if opened.send(Ok(incoming)).is_err() {
            return;
        }
        loop {
            let batch = match rows.try_next().await {
                Ok(None) => break,
                Ok(Some(batch)) => Ok(batch),
                Err(error) => Err(error),
            };
            let is_last = batch.is_err();
            if outgoing.batches.send(batch).await.is_err() || is_last {
                return;
            }
        }
        let _ = outgoing.losses.send(rows.losses().to_vec());
    }
    let _ = transaction.roll_back().await;
    let _ = connection.close().await;
}
