//! The result of a read.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::ResourceAny;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::ipc;
use crate::receipt::Receipt;
use crate::session::{Interruptible, Session, Shared, interruptible};
use crate::types::{BatchSize, Loss};

/// Batches that wait to be taken. The guest decodes the next while the caller
/// works on the last; more would only cost memory.
pub(crate) const READ_AHEAD: usize = 1;

/// What comes of a result.
pub(crate) enum Piece {
    Batch(Vec<u8>),
    /// The end, and what was not carried as it is.
    End(Vec<Loss>),
}

/// The rows of a read, as record batches.
///
/// Pulling is what drives it: the server is held back while no one pulls. An
/// error after some batches means that the rows so far are not the result; the
/// stream ends after it. Dropping the stream early stops the statement.
#[must_use = "a stream does nothing unless it is read"]
pub struct RowStream<'c> {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<Piece>>,
    /// The most rows that a batch may have.
    asked_for: u32,
    done: bool,
    losses: Vec<Loss>,
    shared: Arc<Shared>,
    connection: PhantomData<&'c mut Connection>,
}

impl RowStream<'_> {
    pub(crate) fn new(
        schema: SchemaRef,
        batches: mpsc::Receiver<Result<Piece>>,
        asked_for: BatchSize,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            schema,
            batches,
            // A batch of none would be no batch.
            asked_for: asked_for.rows.max(1),
            done: false,
            losses: Vec::new(),
            shared,
            connection: PhantomData,
        }
    }

    /// The columns, known before the first row.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The loss ledger: what was not carried as it is, by column and reason.
    /// Known once the stream has come to its end, and empty before.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// What the read has cost up to now. It counts the rows that were taken, and what was read ahead
    /// of them.
    pub fn receipt(&self) -> Receipt {
        self.shared.last_receipt()
    }
}

impl std::fmt::Debug for RowStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowStream")
            .field("columns", &self.schema.fields().len())
            .finish_non_exhaustive()
    }
}

impl Stream for RowStream<'_> {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = match ready!(self.batches.poll_recv(context)) {
            Some(Ok(Piece::Batch(bytes))) => {
                let broker = &self.shared.broker;
                let most_rows = broker.limits.batch_rows;
                let batch = ipc::batch(bytes, &self.schema, self.asked_for, most_rows)
                    .map_err(|error| error.with_redactor(broker.redactor()));
                if let Ok(batch) = &batch {
                    broker.meter.rows_read(batch.num_rows() as u64);
                }
                Some(batch)
            }
            Some(Ok(Piece::End(losses))) => {
                self.losses = losses;
                None
            }
            Some(Err(error)) => Some(Err(error)),
            // Only a message says that it is the end: silence is a failure.
            None => Some(Err(Error::new(
                ErrorKind::Closed,
                "the connection's task has ended",
            )
            .with_hint("connect again"))),
        };
        if !matches!(item, Some(Ok(_))) {
            self.done = true;
            self.batches.close();
        }
        Poll::Ready(item)
    }
}

/// Opens a stream and hands its batches over, until it ends or no one listens.
pub(crate) async fn serve(
    session: &mut Session,
    opened: oneshot::Sender<Result<SchemaRef>>,
    batches: mpsc::Sender<Result<Piece>>,
    open: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<ResourceAny>>,
) {
    if opened.is_closed() {
        return;
    }
    session.shared.broker.meter.begin_operation();
    let Some((rows, opened)) = session.open_resource(opened, open).await else {
        return;
    };
    let schema = schema(session, rows).await;
    session.note(&schema);
    let usable = schema.is_ok();
    let listened = opened.send(schema).is_ok();
    if listened && usable {
        hand_over(session, rows, &batches).await;
    } else {
        // No one will read it, and the server is at it.
        let _ = session.shared.cancel().await;
    }
    session.abandon_resource(rows).await;
}

async fn schema(session: &mut Session, rows: ResourceAny) -> Result<SchemaRef> {
    let (store, guest, watch) = session.instance.relational();
    let bytes = watch
        .call_plain(guest.row_stream().call_schema(store, rows))
        .await?;
    // Names of columns are the connector's words.
    ipc::schema(&bytes).map_err(|error| error.with_redactor(session.shared.broker.redactor()))
}

async fn hand_over(
    session: &mut Session,
    rows: ResourceAny,
    batches: &mpsc::Sender<Result<Piece>>,
) {
    let shared = session.shared.clone();
    loop {
        let (store, guest, watch) = session.instance.relational();
        let guest = guest.row_stream();
        let next = async {
            match watch.call(guest.call_next(&mut *store, rows)).await? {
                Some(batch) => Ok(Piece::Batch(batch)),
                None => {
                    let losses = watch.call_plain(guest.call_losses(store, rows)).await?;
                    Ok(Piece::End(losses.into_iter().map(Loss::from).collect()))
                }
            }
        };
        let next = match interruptible(&shared, batches.closed(), next).await {
            Interruptible::Done(next) => next,
            Interruptible::Abandoned(next) => return session.note(&next),
            Interruptible::Stuck => return session.end(ErrorKind::Cancelled),
        };
        session.note(&next);
        let last = !matches!(next, Ok(Piece::Batch(_)));
        if batches.send(next).await.is_err() {
            // No one listens; unless it was the end, the server is still at it.
            if !last {
                let _ = shared.cancel().await;
            }
            return;
        }
        if last {
            return;
        }
    }
}
