//! The file formats: each reads batches from a file or writes them to one.

pub mod arrow;
pub mod csv;
pub mod infer;
pub mod json;
pub mod jsonl;
mod nested;
pub mod parquet;
mod plain;
mod shape;
pub mod text;

use std::io::{Read, Write};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use clap::ValueEnum;

use crate::failure::Failure;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Apache Parquet, compressed with Snappy
    Parquet,
    /// Comma-separated values, with the names in the first line
    Csv,
    /// One JSON object a line
    Jsonl,
    /// Arrow IPC: a file, or a stream when it goes to standard output
    Arrow,
}

impl Format {
    /// The format that a file's name tells.
    ///
    /// # Errors
    /// When the extension is none of those known.
    pub fn of_path(path: &Path) -> Result<Format, Failure> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Ok(Format::Parquet),
            "csv" => Ok(Format::Csv),
            "jsonl" | "ndjson" => Ok(Format::Jsonl),
            "arrow" | "arrows" | "feather" | "ipc" => Ok(Format::Arrow),
            _ => Err(Failure::usage(format!(
                "the name {} does not tell a format",
                path.display()
            ))
            .hint("add --format parquet, csv, jsonl or arrow")),
        }
    }
}

/// Writes batches of one schema.
pub trait Encoder: Send {
    /// Writes a batch.
    ///
    /// # Errors
    /// When the file cannot be written, or a value has no form in the format.
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()>;

    /// How many bytes the file would have if it ended here, about.
    fn bytes(&self) -> u64;

    /// Writes what is left, and the end of the file. Returns its bytes.
    ///
    /// # Errors
    /// As [`Encoder::write`].
    fn finish(self: Box<Self>) -> anyhow::Result<u64>;
}

/// Begins to write rows of `schema`. `seekable` tells a file from a pipe.
///
/// # Errors
/// When the format cannot hold the schema.
pub fn encoder(
    format: Format,
    schema: &SchemaRef,
    out: Box<dyn Write + Send>,
    seekable: bool,
) -> anyhow::Result<Box<dyn Encoder>> {
    let out = Counted { out, bytes: 0 };
    Ok(match format {
        Format::Parquet => Box::new(parquet::ParquetEncoder::new(schema, out)?),
        Format::Csv => Box::new(csv::write::CsvEncoder::new(schema, out)?),
        Format::Jsonl => Box::new(jsonl::JsonEncoder::new(schema, out)?),
        Format::Arrow if seekable => Box::new(arrow::FileEncoder::new(schema, out)?),
        Format::Arrow => Box::new(arrow::StreamEncoder::new(schema, out)?),
    })
}

/// A file that is not what it is taken for, or is damaged.
fn unreadable(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::file(format!("this is not a whole {what}: {error}"))
        .hint("check the file, or tell its format with --format")
}

/// A file that is being read.
pub struct Opened {
    /// The columns of every batch.
    pub schema: SchemaRef,
    /// How many rows there are, where the file says so.
    pub rows: Option<u64>,
    /// The rows.
    pub batches: Batches,
}

/// Batches as they are read from a file.
pub type Batches = Box<dyn Iterator<Item = anyhow::Result<RecordBatch>> + Send>;

/// Where rows are imported from.
pub enum Source {
    /// A file, in which one can seek.
    File(std::fs::File),
    /// Standard input, or a named pipe.
    Pipe(Box<dyn Read + Send>),
}

/// What is wanted of a file.
#[derive(Default)]
pub struct Wanted {
    /// These columns only; none for all.
    pub columns: Option<Vec<String>>,
    /// The types of columns that the format does not tell.
    pub types: Types,
}

/// Where the types of columns come from in formats that have none.
pub enum Types {
    /// The columns of the table, as a read of it has them.
    Table(SchemaRef),
    /// What the first rows look like, but for the columns given.
    Inferred(Vec<Field>),
}

impl Default for Types {
    fn default() -> Self {
        Types::Inferred(Vec::new())
    }
}

/// Begins to read rows.
///
/// # Errors
/// When the file is not of the format, or lacks a column that is wanted.
pub fn decoder(format: Format, source: Source, wanted: &Wanted) -> anyhow::Result<Opened> {
    let columns = wanted.columns.as_deref();
    match (format, source) {
        (Format::Parquet, Source::File(file)) => plain::plain(parquet::open(file, columns)?),
        (Format::Parquet, Source::Pipe(_)) => Err(Failure::usage(
            "a Parquet file is read from its end, so it cannot come through a pipe",
        )
        .hint("name a file on disk")
        .into()),
        (Format::Arrow, source) => plain::plain(arrow::open(source, columns)?),
        (Format::Csv, source) => {
            let rows = csv::read::CsvRows::new(readable(source))?;
            infer::typed(rows, &wanted.types, columns)
        }
        (Format::Jsonl, source) => {
            let rows = jsonl::JsonRows::new(readable(source))?;
            infer::typed(rows, &wanted.types, columns)
        }
    }
}

/// Where the columns that are wanted are among those that the file has, in the file's order.
///
/// # Errors
/// Names all that it lacks, and what it has.
fn chosen<'n>(
    wanted: Option<&[String]>,
    names: impl Iterator<Item = &'n String> + Clone,
) -> Result<Vec<usize>, Failure> {
    let Some(wanted) = wanted else {
        return Ok((0..names.count()).collect());
    };
    let missing: Vec<String> = wanted
        .iter()
        .filter(|name| !names.clone().any(|known| known == *name))
        .map(|name| format!("\"{name}\""))
        .collect();
    if !missing.is_empty() {
        let has: Vec<&str> = names.map(String::as_str).collect();
        return Err(
            Failure::data(format!("the file has no column {}", missing.join(", ")))
                .hint(format!("its columns are {}", has.join(", "))),
        );
    }
    Ok(names
        .enumerate()
        .filter(|(_, name)| wanted.contains(name))
        .map(|(at, _)| at)
        .collect())
}

fn readable(source: Source) -> Box<dyn Read + Send> {
    match source {
        Source::File(file) => Box::new(file),
        Source::Pipe(pipe) => pipe,
    }
}

/// Counts what is written.
pub struct Counted {
    out: Box<dyn Write + Send>,
    bytes: u64,
}

impl Counted {
    /// The bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Where a test writes to, and what it has written.
#[cfg(test)]
fn memory() -> (Counted, Written) {
    let written = Written::default();
    let out = Box::new(written.clone());
    (Counted { out, bytes: 0 }, written)
}

/// What a test has written.
#[cfg(test)]
#[derive(Clone, Default)]
struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[cfg(test)]
impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
