//! Trying again, where nothing can have happened.

use std::error::Error as _;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};

/// The first wait: as long as a server takes to let go of a connection.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait: whoever watches a server start sees it within seconds.
const LONGEST: Duration = Duration::from_secs(5);

/// For how long to try again, with growing waits.
///
/// Only what cannot have happened is repeated: a connection that was refused, or that the server
/// had no room for or was not ready for, and a statement that lost against another transaction
/// and was rolled back. Never a wrong password, a certificate, an unknown host, or a time limit.
#[derive(Clone)]
pub struct Retry {
    within: Duration,
    notice: Option<Notice>,
}

type Notice = Arc<dyn Fn(&Again<'_>) + Send + Sync>;

/// What is about to be tried again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Again<'e> {
    /// What failed.
    pub error: &'e Error,
    /// How long is waited first.
    pub wait: Duration,
    /// The number of the try that comes; the first was 1.
    pub number: u32,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl Retry {
    /// Tries again for so long, counted from the first try.
    pub fn within(time: Duration) -> Self {
        Self {
            within: time,
            notice: None,
        }
    }

    /// Calls `notice` before each wait.
    pub fn with_notice(mut self, notice: impl Fn(&Again<'_>) + Send + Sync + 'static) -> Self {
        self.notice = Some(Arc::new(notice));
        self
    }

    /// Begins to count.
    pub fn begin(&self) -> Tries {
        Tries {
            retry: self.clone(),
            began: Instant::now(),
            wait: FIRST,
            number: 1,
        }
    }
}

/// The tries at one thing.
#[derive(Debug)]
pub struct Tries {
    retry: Retry,
    began: Instant,
    wait: Duration,
    number: u32,
}

impl Tries {
    /// How long to wait after `error` before the next try; none if there is to be none.
    pub fn after(&mut self, error: &Error) -> Option<Duration> {
        let wait = jittered(self.wait);
        let spent = self.began.elapsed().checked_add(wait)?;
        if !nothing_happened(error) || spent > self.retry.within {
            return None;
        }
        self.wait = self.wait.saturating_mul(2).min(LONGEST);
        self.number = self.number.saturating_add(1);
        tracing::debug!(target: "dagflux", kind = error.kind().as_str(), try_number = self.number, "trying again");
        if let Some(notice) = &self.retry.notice {
            notice(&Again {
                error,
                wait,
                number: self.number,
            });
        }
        Some(wait)
    }
}

/// Whether what failed has left nothing behind, and may succeed with nothing changed.
fn nothing_happened(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Unreachable => error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|source| source.kind() == io::ErrorKind::ConnectionRefused),
        ErrorKind::ServerResources => error.sqlstate() == Some("53300"),
        ErrorKind::ServerShutdown => error.sqlstate() == Some("57P03"),
        ErrorKind::Conflict => error.is_retryable(),
        _ => false,
    }
}

/// Between half of `wait` and all of it, so that many who failed at once do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(Instant::now()) % 1024;
    let part = wait.checked_div(2048).unwrap_or_default();
    let extra = part.saturating_mul(u32::try_from(random).unwrap_or(0));
    wait.checked_div(2).unwrap_or(wait).saturating_add(extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: io::ErrorKind) -> Error {
        Error::new(ErrorKind::Unreachable, "no").with_source(io::Error::from(kind))
    }

    #[test]
    fn only_what_cannot_have_happened_is_repeated() {
        for (error, again) in [
            (refused(io::ErrorKind::ConnectionRefused), true),
            (refused(io::ErrorKind::HostUnreachable), false),
            (
                Error::new(ErrorKind::Conflict, "x").with_retryable(true),
                true,
            ),
            (Error::new(ErrorKind::Conflict, "x"), false),
            (
                Error::new(ErrorKind::ServerResources, "x").with_retryable(true),
                false,
            ),
            (
                Error::new(ErrorKind::ServerShutdown, "x").with_retryable(true),
                false,
            ),
            (Error::new(ErrorKind::Authentication, "x"), false),
            (Error::new(ErrorKind::Tls, "x"), false),
            (
                Error::new(ErrorKind::ConnectTimeout, "x").with_retryable(true),
                false,
            ),
            (
                Error::new(ErrorKind::NameResolution, "x").with_retryable(true),
                false,
            ),
            (Error::new(ErrorKind::OutcomeUnknown, "x"), false),
            (
                Error::new(ErrorKind::ConnectionLost, "x").with_retryable(true),
                false,
            ),
        ] {
            let mut tries = Retry::within(Duration::from_secs(60)).begin();
            assert_eq!(tries.after(&error).is_some(), again, "{error:?}");
        }
    }

    #[test]
    fn waits_grow_to_a_bound_and_end() {
        let error = refused(io::ErrorKind::ConnectionRefused);
        let mut tries = Retry::within(Duration::from_secs(3600)).begin();
        let mut before = FIRST;
        for _ in 0..12 {
            let wait = tries.after(&error).expect("there is time");
            assert!(
                wait >= before / 2 && wait <= before,
                "{wait:?} of {before:?}"
            );
            before = (before * 2).min(LONGEST);
        }
        assert_eq!(before, LONGEST);
        assert_eq!(Retry::within(Duration::ZERO).begin().after(&error), None);
    }
}
