//! Arrow IPC: the file format, and the stream format where there is no seeking.

use std::io::{BufReader, Read, Seek, SeekFrom};

use anyhow::Context as _;
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::SchemaRef;

use super::{Batches, Counted, Encoder, Opened, Source};

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
/// When it is neither.
pub fn open(source: Source) -> anyhow::Result<Opened> {
    const WHAT: &str = "this is not a readable Arrow IPC file";
    match source {
        Source::File(mut file) => {
            let mut start = Vec::new();
            Read::by_ref(&mut file)
                .take(MAGIC.len() as u64)
                .read_to_end(&mut start)?;
            file.seek(SeekFrom::Start(0))?;
            if start == MAGIC {
                let reader = FileReader::try_new(BufReader::new(file), None).context(WHAT)?;
                return Ok(Opened {
                    schema: reader.schema(),
                    rows: None,
                    batches: batches(reader),
                });
            }
            stream(Box::new(file)).context(WHAT)
        }
        Source::Pipe(pipe) => stream(pipe).context("this is not an Arrow IPC stream"),
    }
}

fn stream(input: Box<dyn Read + Send>) -> anyhow::Result<Opened> {
    let reader = StreamReader::try_new(BufReader::new(input), None)?;
    Ok(Opened {
        schema: reader.schema(),
        rows: None,
        batches: batches(reader),
    })
}

fn batches(
    reader: impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>> + Send + 'static,
) -> Batches {
    Box::new(reader.map(|batch| batch.context("the Arrow file cannot be read further")))
}
