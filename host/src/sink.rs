//! A write in progress.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::ResourceAny;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::ipc;
use crate::session::{Interruptible, Session, Shared, interruptible};
use crate::types::WriteReport;

/// The most bytes of Arrow buffers handed over at once; larger batches are cut. A part is copied
/// a few times on its way: smaller ones stay in the cache and cost less memory, and a crossing
/// takes a thousandth of the time it takes to write a part of this size.
const MOST_BYTES: usize = 1024 * 1024;

pub(crate) enum Command {
    Write(Vec<u8>, oneshot::Sender<Result<()>>),
    Finish(oneshot::Sender<Result<WriteReport>>),
}

/// Rows on their way into a table, all of them or none.
///
/// [`finish`](Self::finish) commits; dropping the sink rolls back.
#[must_use = "a sink that is not finished writes nothing"]
pub struct Sink<'c> {
    schema: SchemaRef,
    commands: mpsc::Sender<Command>,
    /// The answer to the last batch, which is still on its way while the
    /// caller prepares the next.
    outstanding: Option<oneshot::Receiver<Result<()>>>,
    /// A write failed or was given up half-way: what was sent is not whole.
    broken: bool,
    /// Whether it is not committed with its end: a dry run, or part of a transaction.
    provisional: bool,
    shared: Arc<Shared>,
    connection: PhantomData<&'c mut Connection>,
}

impl std::fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("columns", &self.schema.fields().len())
            .finish_non_exhaustive()
    }
}

impl Sink<'_> {
    pub(crate) fn new(
        schema: SchemaRef,
        commands: mpsc::Sender<Command>,
        provisional: bool,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            schema,
            commands,
            outstanding: None,
            broken: false,
            provisional,
            shared,
            connection: PhantomData,
        }
    }

    /// Sends a batch of the schema the sink was opened with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SchemaMismatch`] if the batch has other columns. A fault of
    /// an earlier batch may be reported here, too. After any error nothing will
    /// have been written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.schema().fields() != self.schema.fields() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                "the batch has other columns than the sink was opened with",
            )
            .with_hint("write batches of one schema, the one given to `Connection::write`"));
        }
        self.whole()?;
        // Should the caller drop this future, a part of the batch may have gone.
        self.broken = true;
        for piece in pieces(batch) {
            let encoded = ipc::encode_batch(&piece)?;
            self.settle().await?;
            let (reply, answer) = oneshot::channel();
            self.commands
                .send(Command::Write(encoded, reply))
                .await
                .map_err(|_| lost())?;
            self.outstanding = Some(answer);
        }
        self.broken = false;
        let rows = batch.num_rows() as u64;
        self.shared.broker.meter.rows_written(rows);
        Ok(())
    }

    /// Commits, or rolls a dry run back.
    ///
    /// # Errors
    ///
    /// Nothing was written, except that after [`ErrorKind::OutcomeUnknown`] it
    /// is not known whether all rows were.
    pub async fn finish(mut self) -> Result<WriteReport> {
        self.whole()?;
        self.settle().await?;
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Finish(reply))
            .await
            .map_err(|_| lost())?;
        // The commit may have been on its way when the connection's task ended.
        let report: WriteReport = answer.await.unwrap_or_else(|_| {
            Err(match self.provisional {
                true => lost(),
                false => unknown(lost()),
            })
        })?;
        Ok(WriteReport {
            receipt: self.shared.last_receipt(),
            ..report
        })
    }

    fn whole(&self) -> Result<()> {
        if self.broken {
            return Err(Error::new(
                ErrorKind::Cancelled,
                "an earlier batch failed or was given up half-way",
            )
            .with_hint("nothing was written; open a new sink and write from the first batch on"));
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        match self.outstanding.take() {
            Some(answer) => answer.await.unwrap_or_else(|_| Err(lost())),
            None => Ok(()),
        }
    }
}

/// A batch in parts that are not too large to hand over. A row that is larger goes alone.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut rest = vec![batch.clone()];
    while let Some(piece) = rest.pop() {
        let rows = piece.num_rows();
        let bytes: usize = piece.columns().iter().map(|c| bytes(c.as_ref())).sum();
        if rows <= 1 || bytes <= MOST_BYTES {
            pieces.extend((rows > 0).then_some(piece));
            continue;
        }
        let half = rows / 2;
        rest.push(piece.slice(half, rows.saturating_sub(half)));
        rest.push(piece.slice(0, half));
    }
    pieces
}

/// The bytes that the values of an array take. Of buffers that it shares with others, as slices
/// and the columns of one IPC message do, only its own part counts.
fn bytes(array: &dyn Array) -> usize {
    let part = |values: &ArrayRef, first: Option<usize>, last: Option<usize>| {
        let first = first.unwrap_or_default();
        let length = last.unwrap_or_default().saturating_sub(first);
        bytes(values.slice(first, length).as_ref())
    };
    let own = array.len().saturating_mul(4);
    let small = |end: Option<&i32>| end.and_then(|end| usize::try_from(*end).ok());
    let large = |end: Option<&i64>| end.and_then(|end| usize::try_from(*end).ok());
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let ends = list.value_offsets();
            let (first, last) = (small(ends.first()), small(ends.last()));
            own.saturating_add(part(list.values(), first, last))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let ends = map.value_offsets();
            let (first, last) = (small(ends.first()), small(ends.last()));
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            own.saturating_add(part(&entries, first, last))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let ends = list.value_offsets();
            own.saturating_add(part(list.values(), large(ends.first()), large(ends.last())))
        }
        DataType::FixedSizeList(..) => bytes(array.as_fixed_size_list().values().as_ref()),
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| bytes(column.as_ref())).sum()
        }
        // What is not known is taken for all there is.
        _ => array
            .to_data()
            .get_slice_memory_size()
            .unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the connection ended before the write was finished",
    )
    .with_hint("nothing was written; connect and write again")
}

/// The failure of a commit that may have taken effect.
pub(crate) fn unknown(cause: Error) -> Error {
    Error::new(
        ErrorKind::OutcomeUnknown,
        "it is not known whether the rows were written",
    )
    .with_hint("connect again and look whether they are there, all of them or none; write them again only if they are not")
    .with_source(cause)
}

/// Opens a sink and carries out its commands, until it is finished or dropped.
pub(crate) async fn serve(
    session: &mut Session,
    opened: oneshot::Sender<Result<()>>,
    mut commands: mpsc::Receiver<Command>,
    provisional: bool,
    open: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<ResourceAny>>,
) {
    if opened.is_closed() {
        return;
    }
    session.shared.broker.meter.begin_operation();
    let Some((sink, opened)) = session.open_resource(opened, open).await else {
        return;
    };
    if opened.send(Ok(())).is_ok() {
        while let Some(command) = commands.recv().await {
            if !carry_out(session, sink, command, provisional).await {
                break;
            }
        }
    }
    session.drop_resource(sink).await;
}

/// Whether more commands may follow.
async fn carry_out(
    session: &mut Session,
    sink: ResourceAny,
    command: Command,
    provisional: bool,
) -> bool {
    let shared = session.shared.clone();
    let (store, guest, watch) = session.instance.relational();
    let guest = guest.sink();
    match command {
        Command::Write(batch, mut reply) => {
            let write = watch.call(guest.call_write(store, sink, &batch));
            match interruptible(&shared, reply.closed(), write).await {
                Interruptible::Done(outcome) => {
                    session.note(&outcome);
                    let fine = outcome.is_ok();
                    reply.send(outcome).is_ok() && fine
                }
                Interruptible::Abandoned(outcome) => {
                    session.note(&outcome);
                    false
                }
                Interruptible::Stuck => {
                    session.end(ErrorKind::Cancelled);
                    false
                }
            }
        }
        Command::Finish(mut reply) => {
            match interruptible(
                &shared,
                reply.closed(),
                watch.call(guest.call_finish(store, sink)),
            )
            .await
            {
                Interruptible::Done(outcome) => {
                    session.note(&outcome);
                    // An instance that was stopped may have sent the commit.
                    let outcome = match outcome {
                        Err(error) if session.has_ended() && !provisional => Err(unknown(error)),
                        outcome => outcome.map(WriteReport::from),
                    };
                    let _ = reply.send(outcome);
                }
                Interruptible::Abandoned(outcome) => session.note(&outcome),
                Interruptible::Stuck => session.end(ErrorKind::Cancelled),
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{Int64Array, StringArray};

    use super::*;

    fn cut(batch: &RecordBatch) -> Vec<usize> {
        let pieces = pieces(batch);
        let rows: usize = pieces.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, batch.num_rows());
        pieces.iter().map(RecordBatch::num_rows).collect()
    }

    #[test]
    fn batches_are_cut_by_what_is_theirs() {
        let wide = "x".repeat(1024);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for _ in 0..20_000 {
            lists.append_value([Some(&wide), None]);
        }
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..20_000))),
            ("l", Arc::new(lists.finish())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(cut(&batch).len(), 32);
        // A slice shares the buffers of the whole, and is small all the same.
        assert_eq!(cut(&batch.slice(7_000, 800)), [800]);
        assert!(cut(&batch.slice(0, 0)).is_empty());
        // Rows are not all of one size.
        let huge = "y".repeat(5 * 1024 * 1024);
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..1000).map(|row| if row < 4 { huge.as_str() } else { "" }),
        ));
        let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
        assert_eq!(cut(&batch)[..2], [1, 1]);
        for piece in pieces(&batch) {
            assert!(bytes(piece.column(0).as_ref()) < 9 * 1024 * 1024);
        }
    }
}
