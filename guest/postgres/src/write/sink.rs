//! A write that has begun: rows, their end, the commit.

use std::rc::Rc;

use dagflux_guest::bindings::exports::dagflux::connector::relational::WriteReport;
use dagflux_guest::{Error, Result, ipc};

use super::key;
use super::relation::Relation;
use super::rows::Encoder;
use super::sequence::{self, Sequence, Written};
use super::table::Column;
use super::upsert::Upsert;
use super::violation::{self, Subject};
use crate::protocol::backend::Message;
use crate::protocol::frontend;
use crate::rows::Shared;
use crate::session::Session;
use crate::transaction;

/// Where a write stands.
enum State {
    /// Rows are taken.
    Open,
    /// It has failed, and the session is idle again or lost.
    Failed(Error),
    /// It was committed.
    Finished,
}

/// What was begun, and what is left to do when the rows have come.
pub struct Begun {
    pub relation: Relation,
    pub columns: Vec<Column>,
    pub encoder: Encoder,
    pub sequences: Vec<Sequence>,
    /// For an upsert: the rows go to its temporary table.
    pub upsert: Option<Upsert>,
    pub dry_run: bool,
    /// Whether the table goes with the transaction.
    pub temporary: bool,
    /// The number of the transaction, by which the server tells later what became of it.
    pub transaction: Option<u64>,
    pub deleted: u64,
    pub statements: Vec<String>,
    pub remarks: Vec<String>,
}

impl Begun {
    /// What is left to do when the rows are there, `taken` by the server; returns how many were
    /// added and how many changed.
    pub fn conclude(&mut self, session: &mut Session, taken: u64) -> Result<(u64, u64)> {
        let table = self.relation.sql();
        let mut written = Written {
            table: &table,
            source: &table,
            readable: self.relation.may_select(),
        };
        let counts = match &self.upsert {
            Some(upsert) => {
                let counts = upsert.carry_over(session, &self.relation)?;
                self.statements.push(upsert.statement());
                written.source = &upsert.staging;
                written.readable = true;
                counts
            }
            None => {
                if self.dry_run {
                    // A commit would look at the constraints that wait for it.
                    session.rows("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
                }
                (taken, 0)
            }
        };
        if self.temporary {
            // The server does that of itself for tables that stay.
            let analyze = format!("ANALYZE {table}");
            session.simple(&analyze)?;
            while session.outstanding() > 0 {
                match session.receive()? {
                    Message::CommandComplete(_) | Message::ReadyForQuery(_) => {}
                    _ => return Err(session.unexpected("where a table is analysed")),
                }
            }
            self.statements.push(analyze);
        }
        let (statements, remarks) =
            sequence::advance(session, &self.sequences, written, self.dry_run)?;
        self.statements.extend(statements);
        self.remarks.extend(remarks);
        Ok(counts)
    }

    /// Commits, or rolls a dry run back.
    pub fn end(&mut self, session: &mut Session) -> Result<()> {
        if self.dry_run {
            self.statements.push(session.undo()?.into());
            return session.settle();
        }
        if session.held().is_some() {
            self.statements.push(session.keep()?.into());
            return Ok(());
        }
        self.statements.push("COMMIT".into());
        transaction::commit(session, self.transaction)
            .map_err(|error| violation::explained(session, self.subject(), error))
    }

    /// What was done.
    pub fn report(&mut self, inserted: u64, updated: u64) -> WriteReport {
        WriteReport {
            inserted,
            updated,
            deleted: self.deleted,
            statements: std::mem::take(&mut self.statements),
            remarks: std::mem::take(&mut self.remarks),
        }
    }

    /// What lets an `INSERT` give values to columns that have their own always, as a `COPY` may.
    pub fn overriding(&self) -> &'static str {
        let offered = self.encoder.schema();
        let always = |column: &Column| {
            column.identity_always && offered.column_with_name(&column.name).is_some()
        };
        match self.columns.iter().any(always) {
            true => " OVERRIDING SYSTEM VALUE",
            false => "",
        }
    }

    /// What errors are about.
    pub fn subject(&self) -> Subject<'_> {
        let staging = self.upsert.as_ref();
        Subject {
            schema: &self.relation.schema,
            table: &self.relation.name,
            columns: &self.columns,
            staging: staging.map(|upsert| (upsert.name.as_str(), upsert.columns.as_slice())),
        }
    }
}

/// A write in progress. Holds the session until it is dropped.
pub struct Sink {
    session: Shared,
    begun: Begun,
    state: State,
}

impl Sink {
    /// A sink for what was begun; marks the session as held.
    pub(super) fn new(session: &Shared, begun: Begun) -> Self {
        session.borrow_mut().set_busy(true);
        Self {
            session: Rc::clone(session),
            begun,
            state: State::Open,
        }
    }

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

    /// Ends the write and commits it, or rolls a dry run back.
    ///
    /// # Errors
    /// What the server reports, and nothing was written; or `outcome-unknown`, if the connection
    /// broke after the commit was sent.
    pub fn finish(&mut self) -> Result<WriteReport> {
        self.check_open()?;
        let (inserted, updated) = self.complete().map_err(|error| self.abort(error))?;
        if let Err(error) = self.end() {
            self.state = State::Failed(error.clone());
            return Err(error);
        }
        self.state = State::Finished;
        self.session.borrow_mut().set_busy(false);
        Ok(self.begun.report(inserted, updated))
    }

    fn check_open(&self) -> Result<()> {
        match &self.state {
            State::Open => Ok(()),
            State::Failed(error) => Err(error.clone()),
            State::Finished => Err(Error::internal("the write was finished already")),
        }
    }

    fn send(&mut self, batch: Vec<u8>) -> Result<()> {
        let batch = ipc::read_batch(batch, self.begun.encoder.schema())?;
        if let Some(upsert) = &self.begun.upsert {
            key::check_filled(&upsert.key, &batch, self.begun.encoder.rows())?;
        }
        let mut session = self.session.borrow_mut();
        self.begun.encoder.send(&batch, &mut session)?;
        for sequence in &mut self.begun.sequences {
            sequence.watch(&batch);
        }
        Ok(())
    }

    /// Ends the rows and does what is left before the commit; returns how many rows were added
    /// and how many changed.
    fn complete(&mut self) -> Result<(u64, u64)> {
        let mut session = self.session.borrow_mut();
        let encoder = &self.begun.encoder;
        encoder.end(&mut session);
        let sent = rows_taken(&mut session)?;
        // Fewer may be a trigger's doing.
        if sent > encoder.rows() {
            return Err(session.unexpected("that counts more rows than were sent"));
        }
        self.begun.conclude(&mut session, sent)
    }

    fn end(&mut self) -> Result<()> {
        self.begun.end(&mut self.session.borrow_mut())
    }

    /// Gives the write up after a failure and brings the session to rest.
    fn abort(&mut self, error: Error) -> Error {
        let mut session = self.session.borrow_mut();
        give_up(&mut session);
        let error = violation::explained(&mut session, self.begun.subject(), error);
        self.state = State::Failed(error.clone());
        error
    }
}

/// Waits for the server to have taken all rows of the `COPY`; returns how many.
fn rows_taken(session: &mut Session) -> Result<u64> {
    let mut rows = None;
    loop {
        match session.receive()? {
            Message::CommandComplete(body) => rows = crate::query::outcome(&body)?.rows,
            Message::ReadyForQuery(_) => break,
            _ => return Err(session.unexpected("where a COPY should end")),
        }
    }
    rows.ok_or_else(|| session.unexpected("in place of the number of rows written"))
}

/// Ends what is under way, without its rows, and the transaction with it.
fn give_up(session: &mut Session) {
    // When the server failed the statement, the session is at rest already.
    if session.is_lost() || session.outstanding() == 0 && session.is_at_rest() {
        return;
    }
    if session.outstanding() > 0 {
        // A message that was being put together is not sent; what was sent is rolled back.
        session.outbox().clear();
        if frontend::copy_fail("the write was given up", session.outbox()).is_err() {
            return;
        }
    }
    let _ = session.settle();
}

impl Drop for Sink {
    fn drop(&mut self) {
        let mut session = self.session.borrow_mut();
        session.set_busy(false);
        if let State::Open = self.state {
            give_up(&mut session);
        }
    }
}
