//! Rows on their way into a `COPY ... FROM STDIN`.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use crate::protocol::frontend;
use crate::session::Session;
use crate::types::batch::{BatchEncoder, Fault};
use crate::types::target::Target;

/// How much is gathered before it is sent.
const FLIGHT: usize = 256 * 1024;

/// Writes batches as the rows of one `COPY`.
pub struct Encoder {
    schema: SchemaRef,
    batches: BatchEncoder,
    rows: u64,
}

impl Encoder {
    /// An encoder for rows of the schema into columns of the targets, in its order. With
    /// `numbered`, each row ends with its number, as a `bigint`.
    pub fn new(schema: SchemaRef, targets: Vec<Target>, numbered: bool) -> Self {
        Self {
            batches: BatchEncoder::new(&schema, targets, numbered),
            schema,
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
        self.batches.format()
    }

    /// Puts what the format begins with into the flight.
    pub fn begin(&self, session: &mut Session) {
        self.batches.begin(session.outbox());
    }

    /// Puts what the format ends with, and the end of the rows, into the flight.
    pub fn end(&self, session: &mut Session) {
        self.batches.end(session.outbox());
        frontend::copy_done(session.outbox());
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// `value` for a value that does not fit its column; what the server reports.
    pub fn send(&mut self, batch: &RecordBatch, session: &mut Session) -> Result<()> {
        let sources = self.batches.sources(batch)?;
        let number = self.number(0);
        let chunk = BatchEncoder::chunk(batch);
        for from in (0..batch.num_rows()).step_by(chunk) {
            let to = from.saturating_add(chunk).min(batch.num_rows());
            self.batches
                .encode(&sources, from, to, number, session.outbox())
                .map_err(|fault| self.misfit(fault))?;
            if session.outbox().len() >= FLIGHT {
                session.flush()?;
                session.check_interjection("while rows are being sent")?;
            }
        }
        session.flush()?;
        session.check_interjection("while rows are being sent")?;
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
    fn misfit(&self, fault: Fault) -> Error {
        let row = self.number(fault.row);
        let name = self.column(fault.column);
        let misfit = fault.misfit;
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
