//! What a write changes, and what its table then holds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use dagflux_host::WriteMode;
use dagflux_test_support::tokio_postgres::Client;

use crate::chance::Chance;
use crate::plan::Mode;

/// The columns of every table.
pub(super) const COLUMNS: &str =
    "id bigint NOT NULL, version integer NOT NULL, writer integer NOT NULL, note text NOT NULL";

/// A table of more rows is replaced.
const LARGEST: usize = 20_000;

/// How many rows go at once.
const BATCH: usize = 2_000;

/// How many rows, and sums over them that tell which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: i64,
    ids: i64,
    versions: i64,
    both: i64,
    writers: i64,
    /// How many have the note that belongs to them.
    noted: i64,
}

/// The note of a row.
fn note(id: i64, version: i32) -> String {
    format!("row {id}, ünï {version}")
}

/// The same for the server.
pub(super) const NOTE: &str = "'row ' || id || ', ünï ' || version";

impl Digest {
    /// With a row as it has to be.
    pub(super) fn add(&mut self, id: i64, version: i32, writer: i32) {
        self.rows += 1;
        self.noted += 1;
        self.writers += i64::from(writer);
        self.ids += id;
        self.versions += i64::from(version);
        self.both += id * i64::from(version);
    }

    pub(super) fn with(mut self, more: Self) -> Self {
        self.rows += more.rows;
        self.ids += more.ids;
        self.versions += more.versions;
        self.both += more.both;
        self.writers += more.writers;
        self.noted += more.noted;
        self
    }

    /// With the rows of a batch.
    pub(super) fn with_batch(mut self, batch: &RecordBatch) -> Result<Self> {
        let column = |name| batch.column_by_name(name).context("a column is missing");
        let ids = column("id")?.as_primitive::<Int64Type>();
        let versions = column("version")?.as_primitive::<Int32Type>();
        let writers = column("writer")?.as_primitive::<Int32Type>();
        let notes = (column("note")?.as_string_opt::<i32>()).context("notes are text")?;
        for row in 0..batch.num_rows() {
            let (id, version) = (ids.value(row), versions.value(row));
            self.add(id, version, writers.value(row));
            self.noted -= i64::from(notes.value(row) != note(id, version));
        }
        Ok(self)
    }

    /// What the server counts. `rows` is a table, with or without a condition.
    pub(super) async fn of(sql: &Client, rows: &str) -> Result<Self> {
        let query = format!(
            "SELECT count(*), coalesce(sum(id), 0)::bigint, coalesce(sum(version), 0)::bigint, \
             coalesce(sum(id * version), 0)::bigint, coalesce(sum(writer), 0)::bigint, \
             count(*) FILTER (WHERE note = {NOTE}) FROM {rows}"
        );
        let row = sql.query_one(&query, &[]).await?;
        Ok(Self {
            rows: row.get(0),
            ids: row.get(1),
            versions: row.get(2),
            both: row.get(3),
            writers: row.get(4),
            noted: row.get(5),
        })
    }
}

/// What a table has to hold: the version and the writer of each id.
#[derive(Clone, Default)]
pub(super) struct Rows(BTreeMap<i64, (i32, i32)>);

impl Rows {
    pub(super) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        for (id, (version, writer)) in &self.0 {
            digest.add(*id, *version, *writer);
        }
        digest
    }

    pub(super) fn apply(&mut self, change: &Change) {
        if change.mode == Mode::Replace {
            self.0.clear();
        }
        let rows = (change.ids.clone()).map(|id| (id, (change.version, change.writer)));
        self.0.extend(rows);
    }

    /// A write into it.
    pub(super) fn draw(&self, version: i32, writer: i32, chance: &mut Chance) -> Change {
        let mode = match chance.below(3) {
            _ if self.0.len() > LARGEST => Mode::Replace,
            0 => Mode::Append,
            1 => Mode::Replace,
            _ => Mode::Upsert,
        };
        let end = self.0.last_key_value().map_or(0, |(id, _)| id + 1);
        let start = match mode {
            Mode::Append => end,
            Mode::Replace => 0,
            Mode::Upsert => chance.below(1 + end.unsigned_abs()).cast_signed(),
        };
        Change::new(mode, start, version, writer, chance)
    }
}

/// A write.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) mode: Mode,
    ids: Range<i64>,
    version: i32,
    writer: i32,
}

impl Change {
    /// Of a few rows, mostly, and of some thousands now and then.
    pub(super) fn new(
        mode: Mode,
        start: i64,
        version: i32,
        writer: i32,
        chance: &mut Chance,
    ) -> Self {
        let rows = 8_000_f64.powf(chance.fraction()) as i64;
        Self {
            mode,
            ids: start..start + rows.max(1),
            version,
            writer,
        }
    }

    pub(super) fn rows(&self) -> i64 {
        self.ids.end - self.ids.start
    }

    pub(super) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        for id in self.ids.clone() {
            digest.add(id, self.version, self.writer);
        }
        digest
    }

    pub(super) fn mode(&self) -> WriteMode {
        match self.mode {
            Mode::Append => WriteMode::Append,
            Mode::Replace => WriteMode::Replace,
            Mode::Upsert => WriteMode::upsert(["id"]),
        }
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = Result<RecordBatch>> {
        self.ids.clone().step_by(BATCH).map(|first| {
            let end = self.ids.end.min(first + BATCH as i64);
            let ids = first..end;
            let count = usize::try_from(end - first)?;
            let notes = ids.clone().map(|id| note(id, self.version));
            Ok(RecordBatch::try_new(
                schema(),
                vec![
                    Arc::new(Int64Array::from_iter_values(ids.clone())),
                    Arc::new(Int32Array::from_value(self.version, count)),
                    Arc::new(Int32Array::from_value(self.writer, count)),
                    Arc::new(StringArray::from_iter_values(notes)),
                ],
            )?)
        })
    }

    /// That a write that was reported as done says as much.
    pub(super) fn agrees(&self, report: &dagflux_host::WriteReport) -> Result<()> {
        let written = report.inserted + report.updated;
        ensure!(
            u64::try_from(self.rows()) == Ok(written),
            "{self:?} was reported with {written} rows"
        );
        Ok(())
    }
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("version", DataType::Int32, false),
        Field::new("writer", DataType::Int32, false),
        Field::new("note", DataType::Utf8, false),
    ]))
}
