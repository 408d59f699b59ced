//! Rows on their way into a `COPY ... FROM STDIN`.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::BufMut;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use crate::protocol::frontend;
use crate::session::Session;
use crate::types::cell::{Cell, Misfit, Source};
use crate::types::encode;
use crate::types::target::Target;

/// How full a `CopyData` message gets, in bytes. Larger ones save nothing; the server handles
/// each as a whole.
const MESSAGE: usize = 64 * 1024;

/// How much is gathered before it is sent.
const FLIGHT: usize = 256 * 1024;

/// Writes batches as the rows of one `COPY`.
pub struct Encoder {
    schema: SchemaRef,
    targets: Vec<Target>,
    binary: bool,
    /// Whether each row ends with its number, as a `bigint`.
    numbered: bool,
    rows: u64,
}

impl Encoder {
    /// An encoder for rows of the schema into columns of the targets, in its order.
    pub fn new(schema: SchemaRef, targets: Vec<Target>, numbered: bool) -> Self {
        let mut columns = schema.fields().iter().zip(&targets);
        let binary = columns.all(|(field, target)| target.is_binary(field.data_type()));
        Self {
            schema,
            targets,
            binary,
            numbered,
            rows: 0,
        }
    }

    /// What the rows are: the schema that batches have to have.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows were sent.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The format, as `COPY` calls it.
    pub fn format(&self) -> &'static str {
        if self.binary { "binary" } else { "text" }
    }

    /// Puts what the format begins with into the flight.
    pub fn begin(&self, session: &mut Session) {
        self.put(encode::BINARY_HEADER, session);
    }

    /// Puts what the format ends with, and the end of the rows, into the flight.
    pub fn end(&self, session: &mut Session) {
        self.put(encode::BINARY_TRAILER, session);
        frontend::copy_done(session.outbox());
    }

    fn put(&self, bytes: &[u8], session: &mut Session) {
        if self.binary {
            let out = session.outbox();
            out.put_u8(frontend::COPY_DATA);
            out.put_u32((bytes.len() as u32).saturating_add(4));
            out.put_slice(bytes);
        }
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// `value` for a value that does not fit its column; what the server reports.
    pub fn send(&mut self, batch: &RecordBatch, session: &mut Session) -> Result<()> {
        let sources: Option<Vec<_>> = batch
            .columns()
            .iter()
            .map(|column| Source::new(column.as_ref()))
            .collect();
        let sources =
            sources.ok_or_else(|| Error::internal("a column of a type that was not agreed on"))?;
        let width = self.targets.len().saturating_add(self.numbered.into());
        let mut message = None;
        for row in 0..batch.num_rows() {
            let out = session.outbox();
            let at = *message.get_or_insert_with(|| {
                out.put_u8(frontend::COPY_DATA);
                out.put_u32(0);
                out.len().saturating_sub(4)
            });
            if self.binary {
                out.put_u16(width as u16);
            }
            for (at, (source, target)) in sources.iter().zip(&self.targets).enumerate() {
                let cell = source
                    .cell(row, *target)
                    .map_err(|misfit| self.misfit(at, row, misfit))?;
                if self.binary {
                    encode::binary(cell, out);
                } else {
                    if at > 0 {
                        out.put_u8(b'\t');
                    }
                    encode::text(cell, out);
                }
            }
            if self.numbered {
                let number = Cell::Int8(self.number(row) as i64);
                if self.binary {
                    encode::binary(number, out);
                } else {
                    out.put_u8(b'\t');
                    encode::text(number, out);
                }
            }
            if !self.binary {
                out.put_u8(b'\n');
            }
            if out.len().saturating_sub(at) >= MESSAGE {
                encode::set_length(out, at, 0);
                message = None;
                if out.len() >= FLIGHT {
                    session.flush()?;
                    session.check_interjection()?;
                }
            }
        }
        if let Some(at) = message {
            encode::set_length(session.outbox(), at, 0);
        }
        session.flush()?;
        session.check_interjection()?;
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        Ok(())
    }

    /// The number of a row of the next batch among all rows, from 1.
    pub fn number(&self, row: usize) -> u64 {
        self.rows.saturating_add(row as u64).saturating_add(1)
    }

    /// The name of a column.
    pub fn column(&self, at: usize) -> &str {
        let field = self.schema.fields().get(at);
        field.map_or("", |field| field.name())
    }

    #[cold]
    fn misfit(&self, column: usize, row: usize, misfit: Misfit) -> Error {
        let row = self.number(row);
        let name = self.column(column);
        Error::new(
            ErrorKind::Value,
            format!(
                "row {row}, column \"{name}\": {} {}",
                misfit.value, misfit.reason
            ),
        )
        .with_hint(
            "correct the value, or give the column a type that holds it; nothing was written",
        )
        .with_attribute("column", name)
        .with_attribute("row", row.to_string())
        .with_attribute("value", misfit.value)
    }
}
