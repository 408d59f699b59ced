//! Changing rows and tables.

use arrow_schema::SchemaRef;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::Connection;
use crate::bindings::TableName as GuestTable;
use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::error::Result;
use crate::ipc;
use crate::retry::Retry;
use crate::session::Job;
use crate::sink::{self, Sink};
use crate::types::{Outcome, TableName, WriteOptions, WriteReport};

impl Connection {
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
    /// [`ErrorKind::SchemaMismatch`](crate::ErrorKind::SchemaMismatch) with everything that does not fit,
    /// [`ErrorKind::TableNotFound`](crate::ErrorKind::TableNotFound), [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists),
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied), and what the server or the connection
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
    /// is [`ErrorKind::UnsupportedStatement`](crate::ErrorKind::UnsupportedStatement). After [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) it is not known
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
}
