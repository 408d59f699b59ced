//! Changes that are made in order to see what they do, and undone.

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;

use super::record::Recorder;
use super::venue::shown_as;
use super::{Failure, Settings, first};
use crate::connection::Connection;
use crate::descriptor::Dialect;
use crate::error::{ErrorKind, Result};
use crate::operation::sql::{self, Kind};
use crate::operation::steps::{Step, Task, stand_in};
use crate::transaction::Transaction;
use crate::types::{ColumnInfo, TableLock, TableName, TransactionOptions, WriteMode, WriteOptions};

/// What the changes of an operation in place do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rehearsal {
    /// The table.
    pub table: TableName,
    /// Each statement, in order.
    pub changes: Vec<ChangeRehearsed>,
    /// How many rows were updated, by all of them together.
    pub updated: u64,
    /// How many rows were deleted.
    pub deleted: u64,
    /// How many statements altered the table.
    pub altered: u64,
    /// The columns before.
    pub columns_before: Vec<ColumnInfo>,
    /// The columns after.
    pub columns_after: Vec<ColumnInfo>,
    /// What was locked in the end.
    pub locks: Vec<TableLock>,
}

impl Rehearsal {
    /// Several statements may touch every row together.
    fn note_every_row(&mut self) {
        let before = self.changes.iter().find_map(|change| change.of);
        let all =
            before.is_some_and(|before| before > 0 && self.updated.max(self.deleted) >= before);
        if all && !self.changes.iter().any(|change| change.every_row) {
            let mut changes = self.changes.iter_mut().rev();
            if let Some(last) = changes.find(|change| change.rows.is_some_and(|rows| rows > 0)) {
                last.every_row = true;
            }
        }
    }
}

/// What one statement does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChangeRehearsed {
    /// The statement.
    pub sql: String,
    /// The server's word for what it did, such as `UPDATE 5`.
    pub command: String,
    /// How many rows it changed, where the server says so.
    pub rows: Option<u64>,
    /// How many rows the table had before.
    pub of: Option<u64>,
    /// Whether that is every row of the table, and there are any; or all are touched with those of the
    /// statements before it.
    pub every_row: bool,
    /// Some of the rows that it touches.
    pub sample: Sample,
}

/// Some rows before and after.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Sample {
    /// As they were.
    pub before: Option<RecordBatch>,
    /// The same rows as they are then, without those that were deleted. None if the table has no
    /// primary key to find them by.
    pub after: Option<RecordBatch>,
}

/// Makes the changes in a transaction, and rolls it back.
pub(super) async fn rehearse(
    id: &str,
    steps: &[Step],
    table: &TableName,
    connection: &mut Connection,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> std::result::Result<Rehearsal, Failure> {
    let dialect = connection.shared.connector.descriptor().dialect.clone();
    let mut transaction = connection
        .transaction(TransactionOptions::default())
        .await?;
    let mut rehearsing = Rehearsing {
        id,
        table,
        sql: sql::Dialect::by_name(&dialect.name),
        dialect,
        shown: settings.shown,
    };
    let mut rehearsal = Rehearsal {
        table: table.clone(),
        changes: Vec::new(),
        updated: 0,
        deleted: 0,
        altered: 0,
        columns_before: rehearsing.columns(&mut transaction).await?,
        columns_after: Vec::new(),
        locks: Vec::new(),
    };
    recorder.rehearsal = true;
    for (at, step) in steps.iter().enumerate() {
        let Task::Execute(sql) = &step.task else {
            continue;
        };
        let going = recorder.begin(at, step);
        let change = rehearsing.change(at, sql, &mut transaction).await;
        let change = recorder.end(going, step, change, |change| change.rows)?;
        let rows = change.rows.unwrap_or(0);
        match change.command.split(' ').next() {
            Some("UPDATE") => rehearsal.updated = rehearsal.updated.saturating_add(rows),
            Some("DELETE") => rehearsal.deleted = rehearsal.deleted.saturating_add(rows),
            _ => rehearsal.altered = rehearsal.altered.saturating_add(1),
        }
        rehearsal.changes.push(change);
    }
    recorder.rehearsal = false;
    rehearsal.note_every_row();
    // What waits for the commit is looked at now. A server that has no such constraints may not know
    // the words.
    if let Err(error) = transaction.execute("SET CONSTRAINTS ALL IMMEDIATE").await
        && (error.kind() == ErrorKind::Constraint || error.ends_instance())
    {
        return Err(Failure::Before(error));
    }
    rehearsal.columns_after = rehearsing.columns(&mut transaction).await?;
    rehearsal.locks = transaction.locks().await?;
    transaction.roll_back().await?;
    Ok(rehearsal)
}

struct Rehearsing<'o> {
    id: &'o str,
    table: &'o TableName,
    sql: Option<sql::Dialect>,
    dialect: Dialect,
    shown: u32,
}

impl Rehearsing<'_> {
    async fn columns(&self, transaction: &mut Transaction<'_>) -> Result<Vec<ColumnInfo>> {
        transaction
            .columns(self.table.schema.as_deref(), Some(&self.table.name))
            .await
    }

    async fn change(
        &mut self,
        at: usize,
        text: &str,
        transaction: &mut Transaction<'_>,
    ) -> Result<ChangeRehearsed> {
        let touched = self
            .sql
            .and_then(|dialect| sql::touched_rows(dialect, text));
        let kind = self
            .sql
            .and_then(|dialect| sql::read(dialect, text).parsed.ok());
        let of = match kind.map(|facts| facts.kind) {
            Some(Kind::AlterTable) => None,
            _ => Some(self.count(transaction).await?),
        };
        let before = self.before(touched.as_deref(), transaction).await?;
        // A sample is no reason to fail.
        let key = self.keep_keys(at, before.as_ref(), transaction).await;
        let key = match key {
            Err(error) if error.ends_instance() => return Err(error),
            key => key.ok().flatten(),
        };
        let outcome = transaction.execute(text).await?;
        let after = match key {
            Some((keys, key)) => self.after(&keys, &key, transaction).await?,
            None => None,
        };
        Ok(ChangeRehearsed {
            sql: text.to_owned(),
            every_row: outcome.rows.is_some_and(|rows| rows > 0) && outcome.rows == of,
            rows: outcome.rows,
            command: outcome.command,
            of,
            sample: Sample { before, after },
        })
    }

    fn quoted(&self) -> String {
        let name = self.dialect.quote(&self.table.name);
        match &self.table.schema {
            Some(schema) => format!("{}.{name}", self.dialect.quote(schema)),
            None => name,
        }
    }

    async fn count(&self, transaction: &mut Transaction<'_>) -> Result<u64> {
        let sql = format!("SELECT count(*) AS n FROM {}", self.quoted());
        let batches: Vec<RecordBatch> = transaction.query(&sql).await?.try_collect().await?;
        let count = batches.iter().find_map(|batch| {
            let column = batch.columns().first()?;
            let counts = column.as_any().downcast_ref::<arrow_array::Int64Array>()?;
            counts.iter().next().flatten()
        });
        Ok(count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0))
    }

    /// Some rows that a statement touches: those that its condition says, or any.
    async fn before(
        &self,
        touched: Option<&str>,
        transaction: &mut Transaction<'_>,
    ) -> Result<Option<RecordBatch>> {
        let asked = match touched {
            Some(sql) => transaction.query_with(sql, shown_as()).await,
            None => {
                let shown = transaction.preview_with(self.table, self.shown, shown_as());
                shown.await
            }
        };
        // A sample is no reason to fail: the statement itself may be.
        let Ok(mut rows) = asked else {
            return Ok(None);
        };
        let batch = rows.try_next().await.ok().flatten();
        Ok(batch.map(|batch| first(batch, self.shown)))
    }

    /// Keeps the keys of rows in a temporary table of the transaction; gives its name, and the columns.
    async fn keep_keys(
        &self,
        at: usize,
        rows: Option<&RecordBatch>,
        transaction: &mut Transaction<'_>,
    ) -> Result<Option<(String, Vec<String>)>> {
        let mut key: Vec<_> = self
            .columns(transaction)
            .await?
            .into_iter()
            .filter_map(|column| Some((column.primary_key?, column.name)))
            .collect();
        key.sort_unstable();
        let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        let Some(rows) = rows.filter(|rows| rows.num_rows() > 0 && !key.is_empty()) else {
            return Ok(None);
        };
        let schema = rows.schema();
        let positions: Option<Vec<usize>> =
            key.iter().map(|name| schema.index_of(name).ok()).collect();
        let Some(keys) = positions.and_then(|at| rows.project(&at).ok()) else {
            return Ok(None);
        };
        let name = format!("{}_rows", stand_in(self.id, at));
        let table = TableName::new(name.clone());
        let options = WriteOptions::new(WriteMode::Temporary);
        let mut sink = transaction.write(&table, keys.schema(), options).await?;
        sink.write(&keys).await?;
        sink.finish().await?;
        Ok(Some((name, key)))
    }

    /// The rows with the keys that were kept, as they are now.
    async fn after(
        &self,
        keys: &str,
        key: &[String],
        transaction: &mut Transaction<'_>,
    ) -> Result<Option<RecordBatch>> {
        let on: Vec<String> = key
            .iter()
            .map(|column| {
                let column = self.dialect.quote(column);
                format!("changed.{column} = kept.{column}")
            })
            .collect();
        let sql = format!(
            "SELECT changed.* FROM {} AS changed JOIN {} AS kept ON {}",
            self.quoted(),
            self.dialect.quote(keys),
            on.join(" AND ")
        );
        let Ok(rows) = transaction.query_with(&sql, shown_as()).await else {
            // The columns of the key are not there any more.
            return Ok(None);
        };
        let schema = rows.schema().clone();
        let batches: std::result::Result<Vec<RecordBatch>, _> = rows.try_collect().await;
        Ok(batches.ok().map(|batches| {
            let batch = batches.into_iter().next();
            batch.unwrap_or_else(|| RecordBatch::new_empty(schema))
        }))
    }
}
