//! The file formats: each reads batches from a file or writes them to one.

pub mod arrow;
pub mod csv;
pub mod infer;
pub mod jsonl;
pub mod parquet;
pub mod text;

use std::io::{Read, Write};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
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
        Format::Jsonl => Box::new(jsonl::JsonEncoder::new(schema, out)),
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
    /// Standard input.
    Pipe(Box<dyn Read + Send>),
}

/// Begins to read rows.
///
/// The text formats have no types: `table` gives them where the table exists,
/// and otherwise they are inferred from the first rows.
///
/// # Errors
/// When the file is not of the format.
pub fn decoder(
    format: Format,
    source: Source,
    table: Option<&SchemaRef>,
) -> anyhow::Result<Opened> {
    match (format, source) {
        (Format::Parquet, Source::File(file)) => parquet::open(file),
        (Format::Parquet, Source::Pipe(_)) => Err(Failure::usage(
            "a Parquet file is read from its end, so it cannot come from standard input",
        )
        .hint("name the file")
        .into()),
        (Format::Arrow, source) => arrow::open(source),
        (Format::Csv, source) => {
            let rows = csv::read::CsvRows::new(readable(source))?;
            infer::typed(rows, table)
        }
        (Format::Jsonl, source) => {
            let rows = jsonl::JsonRows::new(readable(source))?;
            infer::typed(rows, table)
        }
    }
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
