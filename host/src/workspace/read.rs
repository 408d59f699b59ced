//! Reading: the rows of a query as record batches.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rusqlite::Statement;
use rusqlite::types::ValueRef;

use super::columns::Columns;
use super::losses;
use super::open::Opened;
use super::options::{Interrupt, Options};
use super::values::Stored;
use crate::error::{Error, ErrorKind, Result};
use crate::types::Loss;

/// What comes of a query.
enum Piece {
    Schema(SchemaRef),
    Batch(RecordBatch),
    /// The end, and what was not carried as it is.
    End(Vec<Loss>),
}

/// The rows of a query, batch by batch, in the state of the workspace in which it began.
///
/// A thread of its own steps the query; it is one batch ahead and no more. An error after some
/// batches means that the rows so far are not the result; nothing comes after it. Dropping the
/// reader stops the query.
#[must_use = "a reader does nothing unless it is read"]
pub struct Reader {
    schema: SchemaRef,
    /// None once the last has come.
    pieces: Option<Receiver<Result<Piece>>>,
    losses: Vec<Loss>,
    dropped: Interrupt,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("columns", &self.schema.fields().len())
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Begins a query on a connection, which `dropped` stops, too.
    pub(super) fn begin(
        opened: Opened,
        sql: String,
        options: Options,
        dropped: Interrupt,
    ) -> Result<Self> {
        let (sender, pieces) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("dagflux-workspace".to_owned())
            .spawn(move || {
                let done = read(&opened, &sql, &options, &sender);
                // The connection is closed before anyone hears of the end.
                drop(opened);
                // Nobody hears of it where the reader was dropped.
                let _ = sender.send(done.map(Piece::End));
            })
            .map_err(|error| {
                Error::new(ErrorKind::Io, "no thread could be started for the query")
                    .with_hint("close other programs, and run it again")
                    .with_source(error)
            })?;
        let mut this = Self {
            schema: SchemaRef::new(arrow_schema::Schema::empty()),
            pieces: Some(pieces),
            losses: Vec::new(),
            dropped,
            thread: Some(thread),
        };
        match this.piece()? {
            Some(Piece::Schema(schema)) => this.schema = schema,
            _ => return Err(broken()),
        }
        Ok(this)
    }

    /// The columns, known before the first batch is taken.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What was not carried as it is, by column and reason. Known once the last batch has come.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// The next batch; none at the end. Blocks until it is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] for a value that does not fit its column, with column, row and value;
    /// [`ErrorKind::Cancelled`]; what SQLite met on its way.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        match self.piece()? {
            Some(Piece::Batch(batch)) => Ok(Some(batch)),
            Some(Piece::End(losses)) => {
                self.losses = losses;
                self.pieces = None;
                Ok(None)
            }
            Some(Piece::Schema(_)) => Err(broken()),
            None => Ok(None),
        }
    }

    fn piece(&mut self) -> Result<Option<Piece>> {
        let Some(pieces) = &self.pieces else {
            return Ok(None);
        };
        let piece = pieces.recv().unwrap_or_else(|_| Err(broken()));
        if piece.is_err() {
            self.pieces = None;
        }
        piece.map(Some)
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.dropped.interrupt();
        // A piece that waits to be taken is not.
        self.pieces = None;
        // What it held is free when this returns. A panic has been reported.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the reading of the workspace broke off",
    )
    .with_hint("report this; the workspace is as it was")
}

/// The names and declared types of the columns of a result.
pub fn described(statement: &Statement<'_>) -> Vec<(String, Option<String>)> {
    let columns = statement.columns();
    columns
        .map(|column| {
            (
                column.name().to_owned(),
                column.decl_type().map(str::to_owned),
            )
        })
        .collect()
}

fn read(
    opened: &Opened,
    sql: &str,
    options: &Options,
    to: &SyncSender<Result<Piece>>,
) -> Result<Vec<Loss>> {
    let guard = &opened.guard;
    let mut statement = opened.reading(sql)?;
    let described = described(&statement);
    let names: Vec<_> = described.iter().map(|(name, _)| name.clone()).collect();
    let choices = losses::choices(&options.losses, &names)?;
    let mut columns = Columns::new(described, &choices, options.batch);
    let mut announced = false;
    let mut tell = |columns: &Columns, batch: Option<RecordBatch>| {
        let schema = columns.schema().filter(|_| !announced).cloned();
        announced |= schema.is_some();
        let pieces = schema
            .map(Piece::Schema)
            .into_iter()
            .chain(batch.map(Piece::Batch));
        // Where nobody listens any more, `dropped` ends it.
        pieces.for_each(|piece| drop(to.send(Ok(piece))));
    };
    tell(&columns, None);
    let mut rows = statement.raw_query();
    loop {
        opened.uninterrupted()?;
        let Some(row) = rows.next().map_err(|error| guard.told(error))? else {
            break;
        };
        let values = || (0..names.len()).filter_map(|at| row.get_ref(at).ok());
        let bytes = values().map(size).fold(0, usize::saturating_add);
        if columns.is_full(bytes) {
            let batch = columns.batch()?;
            tell(&columns, batch);
        }
        columns.push(values().map(Stored::from), bytes)?;
    }
    let batch = columns.batch()?;
    tell(&columns, batch);
    Ok(columns.losses())
}

/// About the bytes that a value takes in a batch.
fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len().saturating_add(16),
        _ => 16,
    }
}
