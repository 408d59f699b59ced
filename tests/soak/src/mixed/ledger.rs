//! What happened, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts of everything that happened, shared by all who work.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Counts>>);

#[derive(Clone, Default)]
pub(super) struct Counts {
    /// Writes that were reported as done, and their rows.
    pub(super) committed: u64,
    pub(super) rows_written: u64,
    /// Writes that certainly did not happen.
    pub(super) not_written: u64,
    /// Writes of which it was not known, and which of them had happened.
    pub(super) unknown: u64,
    pub(super) unknown_written: u64,
    /// Reads to the end, and their rows.
    pub(super) reads: u64,
    pub(super) rows_read: u64,
    /// Futures and streams that were dropped before their end.
    pub(super) dropped: u64,
    pub(super) connections: u64,
    /// Errors of faulty links, by kind.
    pub(super) errors: BTreeMap<&'static str, u64>,
}

impl Ledger {
    pub(super) fn book(&self, book: impl FnOnce(&mut Counts)) {
        book(&mut self.counts());
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "connections            {}", self.connections)?;
        writeln!(
            f,
            "writes committed       {} with {} rows",
            self.committed, self.rows_written
        )?;
        writeln!(f, "  certainly not        {}", self.not_written)?;
        writeln!(
            f,
            "  unknown              {}, of which {} had been written",
            self.unknown, self.unknown_written
        )?;
        writeln!(
            f,
            "reads to the end       {} with {} rows",
            self.reads, self.rows_read
        )?;
        writeln!(f, "dropped on the way     {}", self.dropped)?;
        write!(f, "errors of faulty links")?;
        for (kind, count) in &self.errors {
            write!(f, " {kind} {count}")?;
        }
        writeln!(f)
    }
}
