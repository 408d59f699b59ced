//! An open connection.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::bindings::TableName as GuestTable;
use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::broker::Broker;
use crate::connector::Connector;
use crate::encryption::{self, Encryption};
use crate::error::{ErrorKind, Result};
use crate::ipc;
use crate::policy::text;
use crate::receipt::Receipt;
use crate::report::{CheckOptions, Report};
use crate::retry::Retry;
use crate::session::{Interruptible, Job, Session, Shared, interruptible};
use crate::sink::{self, Sink};
use crate::stream::{self, RowStream};
use crate::transaction::Transaction;
use crate::types::{
    BatchSize, ColumnInfo, ConnectOptions, Examination, LossPolicy, Notice, Outcome, ReadOptions,
    SchemaInfo, TableInfo, TableName, TransactionOptions, WriteOptions, WriteReport,
};

/// An open, logged-in connection.
///
/// It does one thing at a time, which the borrow checker sees to: a
/// [`RowStream`] or a [`Sink`] borrows it. Dropping the future of an operation,
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

    /// The first rows of a table, in no promised order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`], and what the server or the connection
    /// reports. Whether the login may read the table shows with the first batch,
    /// as [`ErrorKind::PermissionDenied`].
    pub async fn preview(&mut self, table: &TableName, rows: u32) -> Result<RowStream<'_>> {
        self.preview_with(table, rows, LossPolicy::default()).await
    }

    /// As [`preview`](Self::preview), with a choice of what becomes of values
    /// that Arrow cannot hold.
    ///
    /// # Errors
    ///
    /// As [`preview`](Self::preview).
    pub async fn preview_with(
        &mut self,
        table: &TableName,
        rows: u32,
        losses: LossPolicy,
    ) -> Result<RowStream<'_>> {
        let (table, options) = (GuestTable::from(table), losses.into_options(self.batch));
        self.stream(move |session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(
                        guest
                            .connection()
                            .call_preview(store, connection, &table, rows, &options),
                    )
                    .await
            }
            .boxed()
        })
        .await
    }

    /// Reads a table.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`], [`ErrorKind::ColumnNotFound`], and what the
    /// server or the connection reports. Whether the login may read the table
    /// shows with the first batch, as [`ErrorKind::PermissionDenied`].
    pub async fn read(&mut self, table: &TableName, options: ReadOptions) -> Result<RowStream<'_>> {
        let table = GuestTable::from(table);
        let options = wit::ReadOptions {
            columns: options.columns,
            limit: options.limit,
            stream: options.losses.into_options(self.batch),
        };
        self.stream(move |session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(
                        guest
                            .connection()
                            .call_read(store, connection, &table, &options),
                    )
                    .await
            }
            .boxed()
        })
        .await
    }

    /// Runs exactly one statement that returns rows and changes nothing; the
    /// server enforces both.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Syntax`] with a position,
    /// [`ErrorKind::UnsupportedStatement`] if it returns no rows,
    /// [`ErrorKind::ReadOnly`] if it would change something,
    /// [`ErrorKind::StatementTimeout`], and what the server or the connection
    /// reports.
    pub async fn query(&mut self, sql: &str) -> Result<RowStream<'_>> {
        self.query_with(sql, LossPolicy::default()).await
    }

    /// As [`query`](Self::query), with a choice of what becomes of values that
    /// Arrow cannot hold.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub async fn query_with(&mut self, sql: &str, losses: LossPolicy) -> Result<RowStream<'_>> {
        let (sql, options) = (sql.to_owned(), losses.into_options(self.batch));
        self.stream(move |session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(
                        guest
                            .connection()
                            .call_query(store, connection, &sql, &options),
                    )
                    .await
            }
            .boxed()
        })
        .await
    }

    /// Runs exactly one statement, which may change things, at once.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), without the last two of its rules. After a limit or a crash ended
    /// the call, the statement may have taken effect nevertheless; [`hint`](crate::Error::hint) says so.
    pub async fn execute(&mut self, sql: &str) -> Result<Outcome> {
        // What failed in a transaction may have failed for what came before.
        let retry = self.retry.as_ref().filter(|_| !self.in_transaction);
        let mut tries = retry.map(Retry::begin);
        loop {
            let error = match self.execute_once(sql).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            match tries.as_mut().and_then(|tries| tries.after(&error)) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn execute_once(&mut self, sql: &str) -> Result<Outcome> {
        let sql = sql.to_owned();
        let in_transaction = self.in_transaction;
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                watch
                    .call(guest.connection().call_execute(store, connection, &sql))
                    .await
                    .map(Outcome::from)
            }
            .boxed()
        })
        .await
        .map(|outcome| Outcome {
            receipt: self.last_receipt(),
            ..outcome
        })
        .map_err(|error| match error.ends_instance() && !in_transaction {
            true => {
                error.and_hint("look whether the statement took effect before you run it again")
            }
            false => error,
        })
    }

    /// Begins to write rows to a table, in one transaction. Columns are matched
    /// by name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SchemaMismatch`] with everything that does not fit,
    /// [`ErrorKind::TableNotFound`], [`ErrorKind::AlreadyExists`],
    /// [`ErrorKind::PermissionDenied`], and what the server or the connection
    /// reports.
    pub async fn write(
        &mut self,
        table: &TableName,
        schema: SchemaRef,
        options: WriteOptions,
    ) -> Result<Sink<'_>> {
        let encoded = ipc::encode_schema(&schema)?;
        let table = GuestTable::from(table);
        // What is not committed with its end leaves no doubt.
        let provisional = options.dry_run || self.in_transaction;
        let options = wit::WriteOptions::from(options);
        let (opened, answer) = oneshot::channel();
        let (commands, queue) = mpsc::channel(1);
        let job: Job = Box::new(move |session| {
            sink::serve(session, opened, queue, provisional, move |session| {
                async move {
                    let connection = session.connection;
                    let (store, guest, watch) = session.instance.relational();
                    watch
                        .call(
                            guest
                                .connection()
                                .call_write(store, connection, &table, &encoded, &options),
                        )
                        .await
                }
                .boxed()
            })
            .boxed()
        });
        self.send(job).await?;
        answer.await.unwrap_or_else(|_| Err(self.shared.gone()))?;
        Ok(Sink::new(
            schema,
            commands,
            provisional,
            self.shared.clone(),
        ))
    }

    /// Writes the rows of exactly one query to a table, as [`write`](Self::write) does, without their
    /// leaving the server.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), and what is wrong with the query; a statement that changes something
    /// is [`ErrorKind::UnsupportedStatement`]. After [`ErrorKind::OutcomeUnknown`] it is not known
    /// whether the rows were written.
    pub async fn store(
        &mut self,
        sql: &str,
        table: &TableName,
        options: WriteOptions,
    ) -> Result<WriteReport> {
        let (sql, table) = (sql.to_owned(), GuestTable::from(table));
        let provisional = options.dry_run || self.in_transaction;
        let options = wit::WriteOptions::from(options);
        let outcome = self
            .request(|session| {
                async move {
                    let connection = session.connection;
                    let (store, guest, watch) = session.instance.relational();
                    let guest = guest.connection();
                    watch
                        .call(guest.call_store(store, connection, &sql, &table, &options))
                        .await
                        .map(WriteReport::from)
                }
                .boxed()
            })
            .await;
        match outcome {
            Ok(report) => Ok(WriteReport {
                receipt: self.last_receipt(),
                ..report
            }),
            Err(error) if error.ends_instance() && !provisional => Err(sink::unknown(error)),
            Err(error) => Err(error),
        }
    }

    /// Gives a table, and the columns of it that have the names of the other's, the comments that
    /// those have. Gives the SQL that was run.
    ///
    /// # Errors
    ///
    /// What the server or the connection reports.
    pub async fn copy_comments(
        &mut self,
        source: &TableName,
        to: &TableName,
    ) -> Result<Vec<String>> {
        let (source, to) = (GuestTable::from(source), GuestTable::from(to));
        self.request(|session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                let guest = guest.connection();
                watch
                    .call(guest.call_copy_comments(store, connection, &source, &to))
                    .await
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

/// Stops a connection's running statement from elsewhere.
///
/// The request goes out from a fresh instance of the connector, under the same
/// grant, so it works also when the connection's own instance is stuck.
#[derive(Clone)]
pub struct Canceller {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

impl Canceller {
    /// Asks the server to stop what the connection is doing. Success means that
    /// the request was delivered, not that there was anything to stop.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the server gave nothing to cancel with, or
    /// whatever kept the request from being delivered.
    pub async fn cancel(&self) -> Result<()> {
        self.shared.cancel().await
    }

    /// What the connection has used so far, also while a stream or a sink borrows it, and after its end.
    pub fn receipt(&self) -> Receipt {
        let broker = &self.shared.broker;
        Receipt::of(broker.meter.usage(), broker)
    }
}

fn mirrored<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(U::from).collect()
}
