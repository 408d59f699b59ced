//! The rows, twice: as Arrow batches that are written, and as SQL that says what the table
//! then holds.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{
    Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::plan::Mode;

/// The table's columns.
pub(crate) const COLUMNS: &str = "id bigint PRIMARY KEY, version integer NOT NULL, \
     name text NOT NULL, amount numeric(12,2), at timestamptz";

/// How many rows go at once.
const BATCH: i64 = 8192;

/// Which rows a write of so many rows brings: beside the old ones, or half of them in
/// their place.
fn new(mode: Mode, rows: i64) -> Range<i64> {
    match mode {
        Mode::Append => rows..2 * rows,
        Mode::Replace | Mode::Upsert => rows / 2..rows / 2 + rows,
    }
}

/// A query for the rows that the table holds before a write.
pub(crate) fn old(rows: i64) -> String {
    select(0..rows, 1)
}

/// A query for the rows that the table holds after a write.
pub(crate) fn after(mode: Mode, rows: i64) -> String {
    let new = new(mode, rows);
    let kept = match mode {
        Mode::Append => 0..rows,
        Mode::Replace => 0..0,
        Mode::Upsert => 0..new.start,
    };
    format!("{} UNION ALL {}", select(kept, 1), select(new, 2))
}

fn select(ids: Range<i64>, version: i32) -> String {
    let Range { start, end } = ids;
    format!(
        "SELECT id, {version} AS version, 'row ' || id || ', ünï ' || {version} AS name, \
         ((id % 1000000) / 100.0)::numeric(12,2) AS amount, \
         timestamptz 'epoch' + id * interval '1 s' AS at \
         FROM generate_series({start}::bigint, {end}::bigint - 1) id"
    )
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("version", DataType::Int32, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ]))
}

/// The rows of a write.
pub(crate) fn batches(mode: Mode, rows: i64) -> impl Iterator<Item = Result<RecordBatch>> {
    let Range { start, end } = new(mode, rows);
    (0..)
        .map(move |number| start + number * BATCH)
        .take_while(move |first| *first < end)
        .map(move |first| batch(first..end.min(first + BATCH), 2))
}

fn batch(ids: Range<i64>, version: i32) -> Result<RecordBatch> {
    let names = ids.clone().map(|id| format!("row {id}, ünï {version}"));
    let amounts = ids.clone().map(|id| i128::from(id % 1_000_000));
    let seconds = ids.clone().map(|id| id * 1_000_000);
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(ids.clone())),
            Arc::new(Int32Array::from_iter_values(ids.map(|_| version))),
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(Decimal128Array::from_iter_values(amounts).with_precision_and_scale(12, 2)?),
            Arc::new(TimestampMicrosecondArray::from_iter_values(seconds).with_timezone("UTC")),
        ],
    )?)
}
