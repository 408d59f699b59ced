//! What a connector says, on its way to the embedder's log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::meter::Meter;
use crate::policy::redaction::Redactor;
use crate::policy::text;

/// The longest message; the rest of a longer one is dropped.
const LONGEST_MESSAGE: usize = 4 * 1024;

/// What a line costs beside its text: time, level and names. So an empty line is
/// not free.
const LINE: usize = 64;

/// The end of what was said last, kept to explain a crash.
const LAST_WORDS: usize = 1024;

/// One instance's way to the log. It redacts, and drops what is over the limit.
#[derive(Debug, Clone)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: String,
    redactor: Redactor,
    /// Bytes a call.
    limit: u64,
    used: AtomicU64,
    /// Counts over the life of the connection.
    meter: Arc<Meter>,
    last_words: Mutex<String>,
}

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Values and control flow.
    Trace,
    /// For debugging.
    Debug,
    /// For monitoring.
    Info,
    /// Hazards.
    Warn,
    /// Failures.
    Error,
}

impl Log {
    /// A log for the connector `connector`, of at most `limit` bytes a call.
    pub fn new(
        connector: impl Into<String>,
        redactor: Redactor,
        limit: u64,
        meter: Arc<Meter>,
    ) -> Self {
        Self(Arc::new(Inner {
            connector: connector.into(),
            redactor,
            limit,
            used: AtomicU64::new(0),
            meter,
            last_words: Mutex::default(),
        }))
    }

    /// Makes room for the messages of another call.
    pub fn begin_call(&self) {
        self.0.used.store(0, Relaxed);
    }

    /// Writes a message.
    pub fn write(&self, level: Level, context: &str, message: &str) {
        let message = self.shortened(message, LONGEST_MESSAGE);
        let size = message
            .len()
            .saturating_add(context.len())
            .saturating_add(LINE) as u64;
        let before = self.0.used.fetch_add(size, Relaxed);
        let connector = self.0.connector.as_str();
        if before > self.0.limit || !self.0.meter.permits_logging() {
            return;
        }
        if before.saturating_add(size) > self.0.limit {
            tracing::warn!(target: "dagflux::connector", connector, "the connector logs too much; the rest of this call is dropped");
            return;
        }
        self.0.meter.logged(size);
        if !self.0.meter.permits_logging() {
            tracing::warn!(target: "dagflux::connector", connector, "the connector logs too much; nothing more of this connection is logged");
            return;
        }
        let message = self.0.redactor.redact(message).escape_debug().to_string();
        let context = self
            .0
            .redactor
            .redact(self.shortened(context, 256))
            .escape_debug()
            .to_string();
        match level {
            Level::Trace => {
                tracing::trace!(target: "dagflux::connector", connector, context, "{message}")
            }
            Level::Debug => {
                tracing::debug!(target: "dagflux::connector", connector, context, "{message}")
            }
            Level::Info => {
                tracing::info!(target: "dagflux::connector", connector, context, "{message}")
            }
            Level::Warn => {
                tracing::warn!(target: "dagflux::connector", connector, context, "{message}")
            }
            Level::Error => {
                tracing::error!(target: "dagflux::connector", connector, context, "{message}")
            }
        }
    }

    /// The beginning of `text`, without half of what is to be hidden at its end.
    fn shortened<'a>(&self, text: &'a str, most: usize) -> &'a str {
        if text.len() <= most {
            return text;
        }
        let text = text::shortened(text, most.saturating_add(text::MARGIN));
        text::shortened(text, self.0.redactor.place_to_cut(text, most))
    }

    /// Writes what the connector printed.
    pub fn print(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut last = self
            .0
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.push_str(&text);
        if last.len() > LAST_WORDS {
            let cut = last.len().saturating_sub(LAST_WORDS);
            let cut = self.0.redactor.place_to_cut(&last, cut);
            last.drain(..cut);
        }
        drop(last);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.write(Level::Warn, "output", line);
        }
    }

    /// What the connector printed last, redacted: after a crash, the reason.
    pub fn last_words(&self) -> Option<String> {
        let last = self
            .0
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = last.trim();
        (!last.is_empty()).then(|| self.0.redactor.redact(last).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let mut redactor = Redactor::new();
        redactor.hide("host", "db.example.com");
        Log::new("test", redactor, 1_000_000, Arc::default())
    }

    #[test]
    fn no_half_of_a_host_is_logged() {
        let log = log();
        let message = format!("{} db.example.com", "x".repeat(LONGEST_MESSAGE - 9));
        let kept = log.shortened(&message, LONGEST_MESSAGE);
        assert_eq!(kept, message.strip_suffix("db.example.com").unwrap());
        assert_eq!(log.shortened("db.example.com", 256), "db.example.com");
    }

    #[test]
    fn last_words_begin_with_no_half_of_a_host() {
        for said in 0..20 {
            let log = log();
            // In two prints.
            log.print(b"to db.exam");
            log.print(b"ple.com");
            log.print(" ".repeat(LAST_WORDS - said).as_bytes());
            log.print(b"!");
            let last = log.last_words().unwrap();
            assert!(!last.contains("example"), "{said}: {last}");
            assert!(!last.contains("ple.com"), "{said}: {last}");
        }
    }
}
