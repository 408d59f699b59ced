//! An open connection.

mod canceller;
mod changing;
mod reading;

pub use canceller::Canceller;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::broker::Broker;
use crate::connector::Connector;
use crate::encryption::{self, Encryption};
use crate::error::{ErrorKind, Result};
use crate::policy::text;
use crate::receipt::Receipt;
use crate::report::{CheckOptions, Report};
use crate::retry::Retry;
use crate::session::{Interruptible, Job, Session, Shared, interruptible};
use crate::stream::{self, RowStream};
use crate::transaction::Transaction;
use crate::types::{
    BatchSize, ColumnInfo, ConnectOptions, Examination, Notice, SchemaInfo, TableInfo,
    TransactionOptions,
};

/// An open, logged-in connection.
///
/// It does one thing at a time, which the borrow checker sees to: a
/// [`RowStream`] or a [`Sink`](crate::Sink) borrows it. Dropping the future of an operation,
/// or a stream before its end, stops the statement on the server; the
/// connection stays usable. Dropping the connection closes it.
pub struct Connection {
    jobs: mpsc::Sender<Job>,
    pub(crate) shared: Arc<Shared>,
    batch: BatchSize,
    retry: Option<Retry>,
    /// Whether what is done now is part of a transaction.
    pub(crate) in_transaction: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("connector", &self.shared.connector)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) async fn open(
        connector: Connector,
        broker: Arc<Broker>,
        options: ConnectOptions,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Self> {
        let session = Session::open(connector, broker, &options, place).await?;
        let shared = session.shared.clone();
        let (jobs, queue) = mpsc::channel(1);
        tokio::spawn(session.run(queue));
        Ok(Self {
            jobs,
            shared,
            batch: options.batch,
            retry: options.retry,
            in_transaction: false,
        })
    }

    /// How the connection is encrypted; none if it is not.
    pub fn encryption(&self) -> Option<Encryption> {
        self.shared.broker.encryption()
    }

    /// Looks whether the connection is fit for what it is to be used for.
    ///
    /// # Errors
    ///
    /// The check itself failed. What it found is in the [`Report`].
    pub async fn check(&mut self, options: CheckOptions) -> Result<Report> {
        let options = wit::CheckOptions::from(options);
        let report = self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(guest.connection().call_check(store, connection, &options))
                    .await
                    .map(Report::from)
            }
            .boxed()
        });
        let mut report = report.await?.with_redactor(self.shared.broker.redactor());
        // What the connector cannot know.
        report.encryption = self.encryption();
        let purposes = report.verdicts.iter().map(|verdict| verdict.purpose);
        let finding = encryption::finding(
            report.encryption.as_ref(),
            self.shared.broker.leaves_the_machine(),
            purposes.collect(),
        );
        report.add(finding);
        report.receipt = self.last_receipt();
        Ok(report)
    }

    /// Every schema but the system's own, by name.
    ///
    /// # Errors
    ///
    /// What the server or the connection reports.
    pub async fn schemas(&mut self) -> Result<Vec<SchemaInfo>> {
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(guest.connection().call_schemas(store, connection))
                    .await
                    .map(mirrored)
            }
            .boxed()
        })
        .await
    }

    /// The tables of one schema, or of all but the system's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SchemaNotFound`], and what the server or the connection reports.
    pub async fn tables(&mut self, schema: Option<&str>) -> Result<Vec<TableInfo>> {
        let schema = schema.map(str::to_owned);
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                let guest = guest.connection();
                watch
                    .call(guest.call_tables(store, connection, schema.as_deref()))
                    .await
                    .map(mirrored)
            }
            .boxed()
        })
        .await
    }

    /// The columns of one schema, or of one table in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`], [`ErrorKind::SchemaNotFound`], and what the
    /// server or the connection reports.
    pub async fn columns(
        &mut self,
        schema: Option<&str>,
        table: Option<&str>,
    ) -> Result<Vec<ColumnInfo>> {
        let (schema, table) = (schema.map(str::to_owned), table.map(str::to_owned));
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                let guest = guest.connection();
                let columns =
                    guest.call_columns(store, connection, schema.as_deref(), table.as_deref());
                watch.call(columns).await.map(mirrored)
            }
            .boxed()
        })
        .await
    }

    /// Begins a transaction, which has all the calls of the connection.
    ///
    /// # Errors
    ///
    /// What the server or the connection reports.
    pub async fn transaction(&mut self, options: TransactionOptions) -> Result<Transaction<'_>> {
        Transaction::begin(self, options).await
    }

    /// Looks at exactly one statement without carrying it out: the server parses it, and plans it if
    /// it plans such statements.
    ///
    /// # Errors
    ///
    /// What is wrong with the statement: [`ErrorKind::Syntax`], [`ErrorKind::TableNotFound`],
    /// [`ErrorKind::ColumnNotFound`], [`ErrorKind::Statement`], ..., with its place; and what the
    /// connection reports.
    pub async fn examine(&mut self, sql: &str) -> Result<Examination> {
        let sql = sql.to_owned();
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(guest.connection().call_examine(store, connection, &sql))
                    .await
                    .map(Examination::from)
            }
            .boxed()
        })
        .await
    }

    /// The server's remarks since the last call, oldest first.
    ///
    /// # Errors
    ///
    /// The connection ended earlier.
    pub async fn notices(&mut self) -> Result<Vec<Notice>> {
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call_plain(guest.connection().call_take_notices(store, connection))
                    .await
                    .map(|mut notices| {
                        notices.drain(..notices.len().saturating_sub(text::NOTICES));
                        mirrored(notices)
                    })
            }
            .boxed()
        })
        .await
    }

    /// Says good-bye to the server.
    ///
    /// # Errors
    ///
    /// The connection ended earlier, or the good-bye failed.
    pub async fn close(mut self) -> Result<()> {
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(guest.connection().call_close(store, connection))
                    .await
            }
            .boxed()
        })
        .await
    }

    /// What stops this connection's statements from elsewhere.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            shared: self.shared.clone(),
        }
    }

    /// What the connection has used so far, opening it included.
    pub fn receipt(&self) -> Receipt {
        let broker = &self.shared.broker;
        Receipt::of(broker.meter.usage(), broker)
    }

    /// What the last operation has used, whether or not it succeeded. Before the first, that is
    /// opening the connection.
    pub fn last_receipt(&self) -> Receipt {
        self.shared.last_receipt()
    }

    async fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).await.map_err(|_| self.shared.gone())
    }

    /// Has `operation` carried out, and cancelled when the caller goes away.
    pub(crate) async fn request<T: Send + 'static>(
        &mut self,
        operation: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (mut reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |session| {
            async move {
                // Whoever asked is gone; and with them, maybe, the transaction that it was part of.
                if reply.is_closed() {
                    return;
                }
                let shared = session.shared.clone();
                shared.broker.meter.begin_operation();
                match interruptible(&shared, reply.closed(), operation(session)).await {
                    Interruptible::Done(outcome) => {
                        session.note(&outcome);
                        let _ = reply.send(outcome);
                    }
                    Interruptible::Abandoned(outcome) => session.note(&outcome),
                    Interruptible::Stuck => session.end(ErrorKind::Cancelled),
                }
            }
            .boxed()
        });
        self.send(job).await?;
        answer.await.unwrap_or_else(|_| Err(self.shared.gone()))
    }

    /// Opens a stream with `open`, and has it read ahead.
    async fn stream(
        &mut self,
        open: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<wit::RowStream>>
        + Send
        + 'static,
    ) -> Result<RowStream<'_>> {
        let (opened, answer) = oneshot::channel();
        let (batches, queue) = mpsc::channel(stream::READ_AHEAD);
        let job: Job =
            Box::new(move |session| stream::serve(session, opened, batches, open).boxed());
        self.send(job).await?;
        let schema = answer.await.unwrap_or_else(|_| Err(self.shared.gone()))?;
        Ok(RowStream::new(
            schema,
            queue,
            self.batch,
            self.shared.clone(),
        ))
    }
}

fn mirrored<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(U::from).collect()
}
