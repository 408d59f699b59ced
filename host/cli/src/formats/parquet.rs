//! Parquet, through the `parquet` crate.

use std::fs::File;

use anyhow::Context as _;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::{Counted, Encoder, Opened};

/// How many encoded bytes a row group holds. A group is held in memory until
/// it is complete, so this bounds the memory of an export; readers fetch and
/// skip by row group, and larger ones gain them nothing.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// How many rows a batch has that is read for an import.
const BATCH_ROWS: usize = 16 * 1024;

/// Writes a Parquet file.
pub struct ParquetEncoder(ArrowWriter<Counted>);

impl ParquetEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// When Parquet has no type for a column.
    pub fn new(schema: &SchemaRef, out: Counted) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder()
            // Cheap enough not to slow a read down, and every reader has it.
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(concat!("dagflux ", env!("CARGO_PKG_VERSION")).into())
            .build();
        // The Arrow schema is written into the file, with the types of the
        // source in its metadata, so that an import restores them.
        Ok(ParquetEncoder(ArrowWriter::try_new(
            out,
            schema.clone(),
            Some(properties),
        )?))
    }
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.0.write(batch)?)
    }

    fn bytes(&self) -> u64 {
        (self.0.bytes_written() + self.0.in_progress_size()) as u64
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.0.finish()?;
        std::io::Write::flush(self.0.inner_mut())?;
        Ok(self.0.inner().bytes())
    }
}

/// Opens a Parquet file.
///
/// # Errors
/// When it is not one.
pub fn open(file: File) -> anyhow::Result<Opened> {
    const WHAT: &str = "this is not a readable Parquet file";
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).context(WHAT)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).ok();
    let reader = builder.with_batch_size(BATCH_ROWS).build().context(WHAT)?;
    let schema = arrow_array::RecordBatchReader::schema(&reader);
    let batches = reader.map(|batch| batch.context("the Parquet file cannot be read further"));
    Ok(Opened {
        schema,
        rows,
        batches: Box::new(batches),
    })
}
