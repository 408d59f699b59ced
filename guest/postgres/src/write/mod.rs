//! Writing rows to a table, all or none.
//!
//! One transaction: (create the table,) look at its columns, match them with the Arrow schema,
//! report every fault at once, then `COPY ... FROM STDIN`. The binary format if every column
//! has a binary form; otherwise the text format, which every type's own input function reads.
//!
//! The transaction ends with [`Sink::finish`] or not at all: dropping the sink rolls back, and
//! so does the server when the connection ends.

mod create;
mod table;

use std::rc::Rc;

use arrow_schema::SchemaRef;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    WriteMode, WriteOptions, WriteReport,
};
use dagflux_guest::{Error, Result, ipc, log};

use crate::dialect::{qualified, quote};
use crate::protocol::backend::Message;
use crate::protocol::frontend;
use crate::rows::Shared;
use crate::session::{Session, unexpected};
use crate::types::batch::BatchEncoder;
use crate::types::cell::Misfit;

/// How much is gathered before it is sent.
const FLIGHT: usize = 256 * 1024;

/// Where a write stands.
enum State {
    /// Rows are taken.
    Open,
    /// It has failed, and the session is idle again or lost.
    Failed(Error),
    /// It was committed.
    Finished,
}

/// A write in progress. Holds the session until it is dropped.
pub struct Sink {
    session: Shared,
    schema: SchemaRef,
    encoder: BatchEncoder,
    state: State,
    /// Rows of the batches before this one.
    rows: u64,
}

/// Begins a write.
///
/// # Errors
/// `table-not-found`, `schema-mismatch`, `permission-denied`, `already-exists`, ...
pub fn write(
    shared: &Shared,
    schema: Option<&str>,
    table: &str,
    arrow: &[u8],
    options: &WriteOptions,
) -> Result<Sink> {
    let create = match options.mode {
        WriteMode::Create => true,
        WriteMode::Append => false,
        _ => return Err(Error::new(ErrorKind::Unsupported, "not offered yet")),
    };
    let arrow = ipc::read_schema(arrow)?;
    let mut session = shared.borrow_mut();
    session.begin()?;
    let begun = begin(&mut session, schema, table, &arrow, create);
    let encoder = match begun {
        Ok(begun) => begun,
        Err(error) => {
            // What was found wrong on this side leaves the transaction open.
            if !session.is_lost() {
                session.settle()?;
            }
            return Err(error);
        }
    };
    session.set_busy(true);
    log::debug("postgres", "rows expected");
    drop(session);
    Ok(Sink {
        session: Rc::clone(shared),
        schema: arrow,
        encoder,
        state: State::Open,
        rows: 0,
    })
}

fn begin(
    session: &mut Session,
    schema: Option<&str>,
    table: &str,
    arrow: &SchemaRef,
    create: bool,
) -> Result<BatchEncoder> {
    let schema = match schema {
        Some(schema) => schema.to_owned(),
        None => session.parameters().schema.clone(),
    };
    session.simple("BEGIN")?;
    if create {
        create::create(session, &schema, table, arrow)?;
    }
    let columns = table::columns(session, &schema, table)?;
    let targets = table::match_columns(arrow, &columns)?;
    let encoder = BatchEncoder::new(arrow, targets, false);
    let names: Vec<_> = arrow.fields().iter().map(|f| quote(f.name())).collect();
    session.simple(&format!(
        "COPY {} ({}) FROM STDIN (FORMAT {})",
        qualified(&schema, table),
        names.join(", "),
        encoder.format()
    ))?;
    loop {
        match session.receive().map_err(|error| {
            crate::sqlstate::about_table(error, "INSERT", &schema, table, session.user())
        })? {
            Message::CopyInResponse(_) => break,
            Message::ReadyForQuery(_) | Message::CommandComplete(_) => {}
            _ => return Err(unexpected("where a COPY should begin")),
        }
    }
    encoder.begin(session.outbox());
    Ok(encoder)
}

impl Sink {
    /// Sends one batch.
    ///
    /// # Errors
    /// `value` for a value that does not fit its column; what the server reports, which may be
    /// about an earlier batch. The write is then over, and nothing of it remains.
    pub fn write(&mut self, batch: Vec<u8>) -> Result<()> {
        self.check_open()?;
        let sent = self.send(batch);
        sent.map_err(|error| self.abort(error))
    }

    /// Ends the write and commits it; returns the rows written.
    ///
    /// # Errors
    /// What the server reports, and nothing was written; or `outcome-unknown`, if the connection
    /// broke after the commit was sent.
    pub fn finish(&mut self) -> Result<WriteReport> {
        self.check_open()?;
        let rows = self.complete().map_err(|error| self.abort(error))?;
        if let Err(error) = self.commit() {
            self.state = State::Failed(error.clone());
            return Err(error);
        }
        self.state = State::Finished;
        self.session.borrow_mut().set_busy(false);
        Ok(WriteReport {
            inserted: rows,
            updated: 0,
            deleted: 0,
            statements: Vec::new(),
            remarks: Vec::new(),
        })
    }

    fn check_open(&self) -> Result<()> {
        match &self.state {
            State::Open => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Finished => Err(Error::internal("the write was finished already")),
        }
    }

    fn send(&mut self, batch: Vec<u8>) -> Result<()> {
        let batch = ipc::read_batch(batch, &self.schema)?;
        let sources = self.encoder.sources(&batch)?;
        let mut session = self.session.borrow_mut();
        let number = self.rows.saturating_add(1);
        for from in (0..batch.num_rows()).step_by(BatchEncoder::chunk(&batch)) {
            let to = from
                .saturating_add(BatchEncoder::chunk(&batch))
                .min(batch.num_rows());
            let encoded = self
                .encoder
                .encode(&sources, from, to, number, session.outbox());
            if let Err(fault) = encoded {
                return Err(self.misfit(fault.column, fault.row, fault.misfit));
            }
            if session.outbox().len() >= FLIGHT {
                session.flush()?;
                session.check_interjection()?;
            }
        }
        session.flush()?;
        session.check_interjection()?;
        drop(session);
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        Ok(())
    }

    #[cold]
    fn misfit(&self, column: usize, row: usize, misfit: Misfit) -> Error {
        let row = self.rows.saturating_add(row as u64).saturating_add(1);
        let name = self
            .schema
            .fields()
            .get(column)
            .map_or("", |field| field.name());
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

    /// Sends the end of the rows and waits for the server to have taken them all.
    fn complete(&mut self) -> Result<u64> {
        let mut session = self.session.borrow_mut();
        let out = session.outbox();
        self.encoder.end(out);
        frontend::copy_done(out);
        let mut rows = None;
        loop {
            match session.receive()? {
                Message::CommandComplete(body) => rows = crate::query::outcome(&body)?.rows,
                Message::ReadyForQuery(_) => break,
                _ => return Err(unexpected("where a COPY should end")),
            }
        }
        rows.ok_or_else(|| unexpected("in place of the number of rows written"))
    }

    fn commit(&mut self) -> Result<()> {
        let mut session = self.session.borrow_mut();
        session.simple("COMMIT")?;
        let mut committed = None;
        loop {
            match session.receive() {
                Ok(Message::CommandComplete(body)) => {
                    committed = Some(crate::query::outcome(&body)?.command);
                }
                Ok(Message::ReadyForQuery(_)) => break,
                Ok(_) => return Err(unexpected("where a COMMIT should end")),
                Err(error) if session.is_lost() => {
                    return Err(crate::query::outcome_unknown(&error));
                }
                Err(error) => return Err(error),
            }
        }
        match committed.as_deref() {
            Some("COMMIT") => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Other,
                "the server rolled the write back instead of committing it",
            )
            .with_hint("see the server's log; nothing was written")),
        }
    }

    /// Gives the write up after a failure and brings the session to rest.
    fn abort(&mut self, error: Error) -> Error {
        let mut session = self.session.borrow_mut();
        // When the server failed the COPY, the session is idle already.
        if !session.is_lost() && session.outstanding() > 0 {
            give_up(&mut session);
        }
        // A value that the server's input function rejects is about a row.
        let sqlstate = error.as_record().sqlstate.as_deref();
        let error = match (error.kind(), sqlstate.and_then(|code| code.get(..2))) {
            (ErrorKind::Statement, Some("22")) => error.into_kind(ErrorKind::Value),
            _ => error,
        };
        self.state = State::Failed(error.clone());
        error
    }
}

/// Ends a COPY without its rows, and the transaction with it.
fn give_up(session: &mut Session) {
    // A message that was being put together is not sent; what was sent is rolled back.
    session.outbox().clear();
    if frontend::copy_fail("the write was given up", session.outbox()).is_ok() {
        let _ = session.settle();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let mut session = self.session.borrow_mut();
        session.set_busy(false);
        if let State::Open = self.state
            && !session.is_lost()
        {
            give_up(&mut session);
        }
    }
}
