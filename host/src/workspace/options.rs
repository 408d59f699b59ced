//! What a caller of the workspace may choose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::types::{BatchSize, Loss, LossPolicy};

/// How to read or write. The default: a value that does not fit fails, batches are of the usual
/// size, and nothing interrupts.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// What becomes of values that do not fit their column.
    pub losses: LossPolicy,
    /// How large a batch may become that is read.
    pub batch: BatchSize,
    /// What stops it.
    pub interrupt: Interrupt,
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses what becomes of values that do not fit their column.
    pub fn with_losses(mut self, losses: LossPolicy) -> Self {
        self.losses = losses;
        self
    }

    /// Sets how large a batch may become.
    pub fn with_batch(mut self, batch: BatchSize) -> Self {
        self.batch = batch;
        self
    }

    /// Sets what stops it.
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }
}

/// Stops what was begun with it, from any thread: whatever runs or waits for another writer fails
/// with [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), now or later.
///
/// Clones are one and the same.
///
/// ```
/// # use dagflux_host::workspace::{Interrupt, Options, Workspace};
/// # use dagflux_host::ErrorKind;
/// let interrupt = Interrupt::new();
/// let options = Options::new().with_interrupt(interrupt.clone());
/// interrupt.interrupt();
/// let error = Workspace::in_memory()?.query("SELECT 1 AS one", &options).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Cancelled);
/// # Ok::<(), dagflux_host::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that has not happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops what was begun with it.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it happened.
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a query is, told without running it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Examined {
    /// The columns of its result, and the types that they were declared with; an expression has
    /// none.
    pub columns: Vec<(String, Option<String>)>,
    /// The tables and views it reads, and the tables that those views read, by name.
    pub tables: Vec<String>,
}

/// What a write did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Written {
    /// The rows of the new table.
    pub rows: u64,
    /// What was not kept as it was, by column and reason.
    pub losses: Vec<Loss>,
}
