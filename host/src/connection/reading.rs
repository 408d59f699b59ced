//! Reading tables and queries.

use futures_util::FutureExt;

use super::Connection;
use crate::bindings::TableName as GuestTable;
use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::error::Result;
use crate::stream::RowStream;
use crate::types::{LossPolicy, ReadOptions, TableName};

impl Connection {
    /// The first rows of a table, in no promised order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`](crate::ErrorKind::TableNotFound), and what the server or the connection
    /// reports. Whether the login may read the table shows with the first batch,
    /// as [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied).
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
    /// [`ErrorKind::TableNotFound`](crate::ErrorKind::TableNotFound), [`ErrorKind::ColumnNotFound`](crate::ErrorKind::ColumnNotFound), and what the
    /// server or the connection reports. Whether the login may read the table
    /// shows with the first batch, as [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied).
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
    /// [`ErrorKind::Syntax`](crate::ErrorKind::Syntax) with a position,
    /// [`ErrorKind::UnsupportedStatement`](crate::ErrorKind::UnsupportedStatement) if it returns no rows,
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly) if it would change something,
    /// [`ErrorKind::StatementTimeout`](crate::ErrorKind::StatementTimeout), and what the server or the connection
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
}
