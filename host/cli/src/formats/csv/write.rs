//! Writing CSV.

use std::io::{BufWriter, Write};

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;

use crate::formats::{Counted, Encoder, text};

/// Writes a CSV file.
pub struct CsvEncoder {
    schema: SchemaRef,
    out: BufWriter<Counted>,
}

impl CsvEncoder {
    /// Writes the line of names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(schema: &SchemaRef, out: Counted) -> anyhow::Result<Self> {
        let mut out = BufWriter::with_capacity(64 * 1024, out);
        for (at, field) in schema.fields().iter().enumerate() {
            if at > 0 {
                out.write_all(b",")?;
            }
            write_value(&mut out, field.name())?;
        }
        out.write_all(b"\n")?;
        Ok(CsvEncoder {
            schema: schema.clone(),
            out,
        })
    }
}

impl Encoder for CsvEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let columns: Vec<StringArray> = self
            .schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| text::to_text(field, column))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    self.out.write_all(b",")?;
                }
                if column.is_valid(row) {
                    write_value(&mut self.out, column.value(row))?;
                }
            }
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.out
            .get_ref()
            .bytes()
            .saturating_add(self.out.buffer().len() as u64)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.out.flush()?;
        Ok(self.bytes())
    }
}

/// Writes a value that is not NULL, in quotes where it needs them.
fn write_value(out: &mut impl Write, value: &str) -> std::io::Result<()> {
    // `\.` alone on a line would end the data for psql.
    let quoted = value.is_empty()
        || value == "\\."
        || value
            .bytes()
            .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if !quoted {
        return out.write_all(value.as_bytes());
    }
    out.write_all(b"\"")?;
    for (at, part) in value.split('"').enumerate() {
        if at > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"\"")
}
