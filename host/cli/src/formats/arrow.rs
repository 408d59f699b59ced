//! Arrow IPC: the file format, and the stream format where there is no seeking.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};

use super::{Batches, Counted, Encoder, Opened, Source, chosen, unreadable};
use crate::failure::Failure;

/// What an Arrow IPC file begins with, and a stream does not.
const MAGIC: &[u8; 6] = b"ARROW1";

/// Writes an Arrow IPC file.
pub struct FileEncoder(FileWriter<Counted>);

impl FileEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(schema: &SchemaRef, out: Counted) -> anyhow::Result<Self> {
        Ok(FileEncoder(FileWriter::try_new(out, schema)?))
    }
}

impl Encoder for FileEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.0.write(batch)?)
    }

    fn bytes(&self) -> u64 {
        self.0.get_ref().bytes()
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.0.finish()?;
        self.0.flush()?;
        Ok(self.bytes())
    }
}

/// Writes an Arrow IPC stream.
pub struct StreamEncoder(StreamWriter<Counted>);

impl StreamEncoder {
    /// Begins a stream.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(schema: &SchemaRef, out: Counted) -> anyhow::Result<Self> {
        Ok(StreamEncoder(StreamWriter::try_new(out, schema)?))
    }
}

impl Encoder for StreamEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.0.write(batch)?)
    }

    fn bytes(&self) -> u64 {
        self.0.get_ref().bytes()
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.0.finish()?;
        self.0.flush()?;
        Ok(self.bytes())
    }
}

/// Opens an Arrow IPC file or stream; the first bytes tell which.
///
/// # Errors
/// When it is neither, or lacks a column that is wanted.
pub fn open(source: Source, columns: Option<&[String]>) -> anyhow::Result<Opened> {
    match source {
        Source::File(mut file) => {
            let mut start = Vec::new();
            Read::by_ref(&mut file)
                .take(MAGIC.len() as u64)
                .read_to_end(&mut start)?;
            file.seek(SeekFrom::Start(0))?;
            if start != MAGIC {
                return stream(Box::new(file), columns);
            }
            let reader = FileReader::try_new(BufReader::new(file), None).map_err(damaged)?;
            opened(reader.schema(), reader, columns)
        }
        Source::Pipe(pipe) => stream(pipe, columns),
    }
}

fn stream(input: Box<dyn Read + Send>, columns: Option<&[String]>) -> anyhow::Result<Opened> {
    let reader = StreamReader::try_new(BufReader::new(input), None).map_err(damaged)?;
    opened(reader.schema(), reader, columns)
}

fn opened(
    schema: SchemaRef,
    reader: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    columns: Option<&[String]>,
) -> anyhow::Result<Opened> {
    let chosen = chosen(columns, schema.fields().iter().map(|field| field.name()))?;
    let schema = Arc::new(schema.project(&chosen).map_err(damaged)?);
    let batches: Batches = Box::new(reader.map(move |batch| {
        let batch = batch.and_then(|batch| batch.project(&chosen));
        batch.map_err(|error| damaged(error).into())
    }));
    Ok(Opened {
        schema,
        rows: None,
        batches,
    })
}

fn damaged(error: ArrowError) -> Failure {
    unreadable("Arrow IPC file", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, StringArray};
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::IpcWriteOptions;

    /// As Feather files are.
    #[test]
    fn compressed_files() {
        let words = StringArray::from(vec![Some("word".repeat(100)); 1000]);
        let batch = RecordBatch::try_from_iter([("w", Arc::new(words) as ArrayRef)]).unwrap();
        for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
            let path = tempfile::NamedTempFile::new().unwrap();
            let options = IpcWriteOptions::default()
                .try_with_compression(Some(codec))
                .unwrap();
            let file = path.reopen().unwrap();
            let mut writer =
                FileWriter::try_new_with_options(file, &batch.schema(), options).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            assert!(path.as_file().metadata().unwrap().len() < 100_000);
            let opened = open(Source::File(path.reopen().unwrap()), None).unwrap();
            let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
            assert_eq!(batches[0].columns(), batch.columns(), "{codec:?}");
        }
    }
}
