//! A write in progress.

use std::marker::PhantomData;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::ResourceAny;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::ipc;
use crate::session::{Interruptible, Session, interruptible};
use crate::types::WriteReport;

/// The most bytes of Arrow buffers handed over at once; larger batches are cut.
const MOST_BYTES: usize = 8 * 1024 * 1024;

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
    pub(crate) fn new(schema: SchemaRef, commands: mpsc::Sender<Command>) -> Self {
        Self {
            schema,
            commands,
            outstanding: None,
            broken: false,
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
        answer.await.unwrap_or_else(|_| Err(unknown(lost())))
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

fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let bytes = batch.get_array_memory_size();
    let count = bytes.div_ceil(MOST_BYTES).clamp(1, batch.num_rows().max(1));
    let rows = batch.num_rows().div_ceil(count).max(1);
    (0..count)
        .map(move |piece| piece.saturating_mul(rows))
        .take_while(|start| *start < batch.num_rows())
        .map(move |start| batch.slice(start, rows.min(batch.num_rows().saturating_sub(start))))
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the connection ended before the write was finished",
    )
    .with_hint("nothing was written; connect and write again")
}

/// The failure of a commit that may have taken effect.
fn unknown(cause: Error) -> Error {
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
    dry_run: bool,
    open: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<ResourceAny>>,
) {
    let Some((sink, opened)) = session.open_resource(opened, open).await else {
        return;
    };
    if opened.send(Ok(())).is_ok() {
        while let Some(command) = commands.recv().await {
            if !carry_out(session, sink, command, dry_run).await {
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
    dry_run: bool,
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
                        Err(error) if session.has_ended() && !dry_run => Err(unknown(error)),
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
