//! What has passed on a connection.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What has passed one way. Bytes are counted once, also those that pass twice.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: AtomicU64,
    record: Option<Mutex<Vec<u8>>>,
}

impl Tally {
    fn new(is_recorded: bool) -> Self {
        Self {
            count: AtomicU64::new(0),
            record: is_recorded.then(Mutex::default),
        }
    }

    pub(super) fn add(&self, bytes: &[u8]) {
        self.count.fetch_add(bytes.len() as u64, Relaxed);
        if let Some(record) = &self.record {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            record.extend_from_slice(bytes);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(super) fn record(&self) -> Vec<u8> {
        self.record.as_ref().map_or_else(Vec::new, |record| {
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
    }
}

/// Both ways of a connection.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) to_server: Tally,
    pub(super) to_client: Tally,
}

impl Passed {
    pub(super) fn new(is_recorded: bool) -> Self {
        Self {
            to_server: Tally::new(is_recorded),
            to_client: Tally::new(is_recorded),
        }
    }
}
