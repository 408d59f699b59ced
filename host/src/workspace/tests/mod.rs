//! What the workspace does, by its public API.

mod files;
mod hostile;
mod losses;
mod random;
mod reading;
mod round_trip;
mod writing;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};

use super::{Options, Workspace, Written};
use crate::error::{Error, Result};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dagflux-workspace-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options() -> Options {
    Options::new()
}

/// A workspace with the tables `orders` and `lines`.
fn shop() -> Workspace {
    let workspace = Workspace::in_memory().unwrap();
    for (create, select, target) in [
        (
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT NOT NULL, total DECIMAL(15,2))",
            "SELECT 1 AS id, 'one' AS name, 10.5 AS total UNION ALL SELECT 2, 'two', NULL",
            "orders",
        ),
        (
            "CREATE TABLE lines (\"order\" BIGINT, at DATE DEFAULT '2024-01-01')",
            "SELECT 1 AS \"order\"",
            "lines",
        ),
    ] {
        workspace
            .create_as(create, select, target, &options())
            .unwrap();
    }
    workspace
}

/// A batch of columns that may all be NULL.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap()
}

/// A batch of one column with a field of its own.
fn single(field: Field, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

fn write(
    workspace: &Workspace,
    create: &str,
    batch: &RecordBatch,
    options: &Options,
) -> Result<Written> {
    let mut writer = workspace.write(create, "t", batch.schema(), options)?;
    writer.write(batch)?;
    writer.finish()
}

/// All rows of a query, in one batch.
fn all(workspace: &Workspace, sql: &str) -> Result<RecordBatch> {
    let mut reader = workspace.query(sql, &options())?;
    let first = reader.next_batch()?;
    assert_eq!(reader.next_batch()?, None);
    Ok(first.unwrap_or_else(|| RecordBatch::new_empty(reader.schema().clone())))
}

fn tables(workspace: &Workspace) -> Vec<String> {
    let tables = workspace.tables().unwrap();
    tables.into_iter().map(|table| table.name).collect()
}

/// What every error has: something to do next.
fn hinted(error: &Error) {
    assert!(error.hint().is_some_and(|hint| hint.len() > 10), "{error}");
}
