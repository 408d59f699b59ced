//! The transaction of one call, and the one that a caller holds open over several.
//!
//! A call of its own begins a transaction and ends it. Within one that the caller holds it sets a
//! savepoint in place of that, and lets go of it or goes back to it; so what comes after a failure
//! starts on firm ground in either case: with no transaction, or with the one held as it was before
//! the call.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use super::{Session, Transaction};
use crate::protocol::backend::Message;

/// The savepoint of a call.
const SAVEPOINT: &str = "SAVEPOINT dagflux_call";

/// Lets go of it, and of what is set with it.
const RELEASE: &str = "RELEASE SAVEPOINT dagflux_call";

/// Undoes what came after it.
const BACK: &str = "ROLLBACK TO SAVEPOINT dagflux_call";

/// How often the way back is tried: a request to stop may hit it.
const TRIES: u32 = 5;

/// What a call is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read. The server holds it to that.
    Read,
    /// Write. Each statement sees what was committed before it, whatever isolation the login has by
    /// default. With one snapshot for the whole transaction, a replace would not see, and not
    /// delete, what was committed before it had its lock. (Whether a login may write by default is
    /// left as it was set.)
    Write,
}

/// A transaction that the caller holds open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Every statement in it sees the same rows.
    pub snapshot: bool,
    /// A call has set its savepoint.
    pub(super) savepoint: bool,
    /// It was lost: there is nothing to commit any more.
    pub(super) broken: bool,
}

impl Session {
    /// The transaction that the caller holds open.
    pub fn held(&self) -> Option<Held> {
        self.held
    }

    /// Begins a transaction that the caller holds open.
    ///
    /// # Errors
    /// What the server reports; there is none then.
    pub fn hold(&mut self, read_only: bool, snapshot: bool) -> Result<()> {
        if self.held.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a transaction is open already on this connection",
            )
            .with_hint("commit it or roll it back first, or use a second connection"));
        }
        let isolation = match snapshot {
            true => "REPEATABLE READ",
            false => "READ COMMITTED",
        };
        let access = match read_only {
            true => " READ ONLY",
            false => "",
        };
        let begin = format!("BEGIN ISOLATION LEVEL {isolation}{access}");
        let begin = self.with_settings(&begin);
        self.simple(&begin)?;
        while self.outstanding > 0 {
            match self.receive()? {
                Message::CommandComplete(_) | Message::ReadyForQuery(_) => {}
                _ => return Err(self.unexpected("where a transaction begins")),
            }
        }
        self.held = Some(Held {
            snapshot,
            savepoint: false,
            broken: false,
        });
        Ok(())
    }

    /// Fails unless the caller holds a transaction that can still be committed.
    ///
    /// # Errors
    /// `unsupported`, `conflict`.
    pub fn check_held(&self) -> Result<()> {
        match self.held {
            Some(Held { broken: false, .. }) => Ok(()),
            Some(_) => Err(broken()),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "no transaction is open on this connection",
            )
            .with_hint("begin one first")),
        }
    }

    /// Takes the transaction that the caller holds for one of a call, which is about to end it.
    pub fn forget_held(&mut self) {
        self.held = None;
    }

    /// Gives up the transaction that the caller holds.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn let_go(&mut self) -> Result<()> {
        self.held = None;
        self.settle()
    }

    /// Begins what a call does, in the flight; gives the statement that does.
    ///
    /// # Errors
    /// The transaction that the caller holds is broken.
    pub fn start(&mut self, access: Access) -> Result<&'static str> {
        let Some(held) = &mut self.held else {
            let begin = match access {
                Access::Read => "BEGIN READ ONLY",
                Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
            };
            let sql = self.with_settings(begin);
            self.simple(&sql)?;
            return Ok(begin);
        };
        if held.broken {
            return Err(broken());
        }
        held.savepoint = true;
        match access {
            Access::Read => self.simple(&format!("{SAVEPOINT}; SET TRANSACTION READ ONLY"))?,
            Access::Write => self.simple(SAVEPOINT)?,
        }
        Ok(SAVEPOINT)
    }

    /// Undoes what a call did, in the flight; gives the statement that does.
    ///
    /// # Errors
    /// Never: the statements hold no NUL byte.
    pub fn undo(&mut self) -> Result<&'static str> {
        match &mut self.held {
            Some(held) => {
                held.savepoint = false;
                self.simple(&format!("{BACK}; {RELEASE}"))?;
                Ok(BACK)
            }
            None => {
                self.simple("ROLLBACK")?;
                Ok("ROLLBACK")
            }
        }
    }

    /// Keeps what a call did in the transaction that the caller holds, and waits for that.
    ///
    /// # Errors
    /// What the server reports.
    pub fn keep(&mut self) -> Result<&'static str> {
        self.simple(RELEASE)?;
        while self.outstanding > 0 {
            match self.receive()? {
                Message::CommandComplete(_) | Message::ReadyForQuery(_) => {}
                _ => return Err(self.unexpected("where a savepoint is let go")),
            }
        }
        if let Some(held) = &mut self.held {
            held.savepoint = false;
        }
        Ok(RELEASE)
    }

    /// Whether nothing of a call is left: no transaction is open, or the one that the caller holds
    /// is as it was.
    pub fn is_at_rest(&self) -> bool {
        match (&self.held, self.transaction) {
            (None, transaction) => transaction == Transaction::Idle,
            (Some(held), Transaction::Open) => !held.savepoint,
            (Some(held), Transaction::Idle) => held.broken,
            (Some(_), Transaction::Failed) => false,
        }
    }

    /// Discards what is still on its way and undoes what a call has left.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn settle(&mut self) -> Result<()> {
        let mut tries = 0;
        while self.lost.is_none() {
            self.flush()?;
            self.discard()?;
            if self.is_at_rest() {
                return Ok(());
            }
            tries += 1;
            match &mut self.held {
                // What was held has ended: there is nothing to go back to.
                Some(held) if self.transaction == Transaction::Idle => held.broken = true,
                Some(held) if tries > TRIES => {
                    held.broken = true;
                    self.simple("ROLLBACK")?;
                }
                _ => {
                    self.undo()?;
                }
            }
        }
        Err(self
            .lost
            .clone()
            .unwrap_or_else(|| Error::internal("no reason for a lost connection")))
    }
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the transaction has ended: the server rolled it back",
    )
    .with_hint("roll it back here too, and begin again")
}
