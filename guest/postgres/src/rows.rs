//! A result on its way: rows become batches as they are pulled.

use std::cell::RefCell;
use std::rc::Rc;

use dagflux_guest::bindings::exports::dagflux::connector::relational::Loss;
use dagflux_guest::{BatchLimits, Error, Result, ipc, log};

use crate::plan::Plan;
use crate::protocol::backend::{self, Message};
use crate::protocol::{Violation, frontend};
use crate::session::{Session, Stopped};
use crate::sqlstate;
use crate::types::decode::RowDecoder;

/// A session that a connection shares with the row stream or sink that holds it.
pub type Shared = Rc<RefCell<Session>>;

/// What a binary `COPY` begins with. Manual: `COPY`, "Binary Format".
const COPY_SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// How far a result has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Rows may follow.
    Running,
    /// All were handed over, and the session is idle.
    Ended,
    /// It has failed.
    Failed,
}

/// How rows arrive, and how far that has come. What comes in another order is not taken, so
/// that no rows are missing, or there twice, without anyone noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// As `DataRow` messages.
    Portal,
    /// As `CopyData` messages; the header has not come yet.
    CopyHeader,
    /// As `CopyData` messages.
    Copy,
    /// As `CopyData` messages; the trailer has come.
    CopyTrailer,
    /// All have come, and the server has said how many.
    Complete,
}

/// The rows of a statement that runs. Holds the session until it is dropped.
pub struct Rows {
    session: Shared,
    schema: Vec<u8>,
    decoder: RowDecoder,
    source: Source,
    /// How many have come.
    count: u64,
    state: State,
    /// The schema and table that are read, where it is one.
    table: Option<(String, String)>,
}

impl Rows {
    /// Says which table is read, so that failures can say what to grant: permissions are looked
    /// at only when the statement runs.
    pub fn of_table(mut self, schema: String, table: String) -> Self {
        self.table = Some((schema, table));
        self
    }

    /// Runs the statement that was parsed last and takes its rows.
    ///
    /// The end of the transaction is in the same flight. It is always a rollback: a read has
    /// nothing to commit, and what a statement set for the session does not stay.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn portal(shared: &Shared, plan: &Plan, limits: BatchLimits) -> Result<Self> {
        {
            let mut session = shared.borrow_mut();
            if let Some(sql) = &plan.parse_again {
                session.parse(sql)?;
            }
            frontend::bind_and_execute(&[], plan.formats(), session.outbox())?;
            session.sync();
        }
        Self::start(shared, plan, limits, Source::Portal)
    }

    /// Runs `copy`, a `COPY ... TO STDOUT (FORMAT binary)` of the connector's own, whose rows
    /// are as in `plan`.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn copy(shared: &Shared, plan: &Plan, limits: BatchLimits, copy: &str) -> Result<Self> {
        shared.borrow_mut().simple(copy)?;
        Self::start(shared, plan, limits, Source::CopyHeader)
    }

    fn start(shared: &Shared, plan: &Plan, limits: BatchLimits, source: Source) -> Result<Self> {
        let schema = ipc::schema_message(&plan.schema)?;
        let mut session = shared.borrow_mut();
        session.undo()?;
        session.flush()?;
        session.set_busy(true);
        log::debug("postgres", "rows requested");
        Ok(Self {
            session: Rc::clone(shared),
            schema,
            decoder: plan.decoder(limits),
            source,
            count: 0,
            state: State::Running,
            table: None,
        })
    }

    /// The message with the Arrow schema.
    pub fn schema(&self) -> &[u8] {
        &self.schema
    }

    /// The next batch, or none after the last.
    ///
    /// # Errors
    /// What the server reports, now or after earlier batches; `value` for a value that does
    /// not fit. There are no rows after a failure.
    pub fn next_batch(&mut self) -> Result<Option<Vec<u8>>> {
        match self.state {
            State::Running => {}
            State::Ended => return Ok(None),
            State::Failed => {
                return Err(Error::internal("rows were asked for after a failure"));
            }
        }
        self.pull().map_err(|error| {
            self.state = State::Failed;
            // A server that has broken the protocol is not asked to stop either.
            let error = self.session.borrow_mut().broken_by(error);
            match &self.table {
                Some((schema, table)) => {
                    let session = self.session.borrow();
                    sqlstate::about_table(error, "SELECT", schema, table, session.user())
                }
                None => error,
            }
        })
    }

    /// What was not carried as it is, so far.
    pub fn losses(&self) -> Vec<Loss> {
        self.decoder.losses()
    }

    fn pull(&mut self) -> Result<Option<Vec<u8>>> {
        let mut session = self.session.borrow_mut();
        loop {
            let (decoder, count) = (&mut self.decoder, &mut self.count);
            let stopped = match &mut self.source {
                Source::Portal => session.each_body(backend::DATA_ROW, |row| {
                    if !decoder.has_room(row.len()) {
                        return Ok(false);
                    }
                    decoder.row(row)?;
                    *count = count.wrapping_add(1);
                    Ok(true)
                })?,
                // The trailer is the last of them.
                Source::CopyTrailer | Source::Complete => Stopped::Other,
                source => session.each_body(backend::COPY_DATA, |data| {
                    copy_data(source, decoder, count, data)
                })?,
            };
            if stopped == Stopped::Kept {
                return Ok(Some(decoder.take()));
            }
            match (session.receive()?, self.source) {
                (Message::ParseComplete | Message::BindComplete, Source::Portal) => {}
                (Message::CopyOutResponse(_), Source::CopyHeader) => {}
                (Message::CopyDone, Source::CopyTrailer) => {}
                (Message::CommandComplete(body), Source::Portal | Source::CopyTrailer) => {
                    backend::all_have_come(&body, self.count)?;
                    self.source = Source::Complete;
                }
                // The rollback.
                (Message::CommandComplete(_), Source::Complete) => {}
                (Message::ReadyForQuery(_), Source::Complete) if session.outstanding() > 0 => {}
                (Message::ReadyForQuery(_), Source::Complete) => {
                    self.state = State::Ended;
                    if decoder.is_empty() {
                        return Ok(None);
                    }
                    return Ok(Some(decoder.take()));
                }
                _ => return Err(session.unexpected("among rows")),
            }
        }
    }
}

/// Takes in one `CopyData`, which is one row; the header comes with the first.
#[inline]
fn copy_data(
    source: &mut Source,
    decoder: &mut RowDecoder,
    count: &mut u64,
    data: &[u8],
) -> Result<bool> {
    let row = match source {
        Source::CopyTrailer => return Err(Violation::new("a row behind the last one").into()),
        Source::CopyHeader => match after_copy_header(data)? {
            [] => {
                *source = Source::Copy;
                return Ok(true);
            }
            row => row,
        },
        _ => data,
    };
    if row == [0xff, 0xff] {
        // The end of the rows.
        *source = Source::CopyTrailer;
        return Ok(true);
    }
    if !decoder.has_room(row.len()) {
        return Ok(false);
    }
    decoder.row(row)?;
    *count = count.wrapping_add(1);
    *source = Source::Copy;
    Ok(true)
}

fn after_copy_header(data: &[u8]) -> Result<&[u8]> {
    let malformed = || Violation::new("a COPY without the header of the binary format");
    let rest = data.strip_prefix(COPY_SIGNATURE).ok_or_else(malformed)?;
    let (flags, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (extension, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    if u32::from_be_bytes(*flags) >> 16 != 0 {
        return Err(Violation::new("a COPY of a kind that is not known").into());
    }
    let skipped = u32::from_be_bytes(*extension) as usize;
    Ok(rest.get(skipped..).ok_or_else(malformed)?)
}

impl Drop for Rows {
    fn drop(&mut self) {
        let mut session = self.session.borrow_mut();
        session.set_busy(false);
        if self.state != State::Ended && !session.is_lost() {
            // What is still on its way is discarded. A host that drops a stream early has the
            // server stop first; after a failure of our own, such as a value that does not
            // fit, no one has yet.
            if self.state == State::Failed {
                session.interrupt();
            }
            let _ = session.settle();
        }
    }
}
