//! How much a connector uses.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::policy::limits::{Limits, MovedAll};
use crate::turns::Turn;

/// Counts what one connection uses, over all its instances.
#[derive(Debug)]
pub struct Meter {
    total: Counters,
    /// The total when the current operation began.
    begun: Mutex<Usage>,
    /// The most memory since then, and the memory in use now.
    peak_since: AtomicU64,
    memory: AtomicU64,
    limits: Limits,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident / $count:ident,)*) => {
        #[derive(Debug, Default)]
        struct Counters {
            worked: AtomicU64,
            peak_memory: AtomicU64,
            $($name: AtomicU64,)*
        }

        /// What was used.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Usage {
            /// Time worked, in all calls.
            pub worked: Duration,
            /// The most memory an instance had at once, in bytes.
            pub peak_memory: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Meter {
            $($(#[$doc])* pub fn $count(&self, more: u64) {
                self.total.$name.fetch_add(more, Relaxed);
            })*

            /// The sums so far.
            pub fn usage(&self) -> Usage {
                Usage {
                    worked: Duration::from_nanos(self.total.worked.load(Relaxed)),
                    peak_memory: self.total.peak_memory.load(Relaxed),
                    $($name: self.total.$name.load(Relaxed),)*
                }
            }

            /// The sums since the current operation began.
            pub fn usage_since(&self) -> Usage {
                let (now, begun) = (self.usage(), *self.begun());
                Usage {
                    worked: now.worked.saturating_sub(begun.worked),
                    peak_memory: self.peak_since.load(Relaxed),
                    $($name: now.$name.saturating_sub(begun.$name),)*
                }
            }
        }
    };
}

counters! {
    /// Bytes received.
    bytes_in / received,
    /// Bytes sent.
    bytes_out / sent,
    /// Rows handed to the embedder.
    rows_in / rows_read,
    /// Rows handed to the connector.
    rows_out / rows_written,
    /// Calls from the connector into the host.
    host_calls / called,
    /// Bytes logged.
    logged / logged,
}

impl Meter {
    /// A meter for a connection with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            total: Counters::default(),
            begun: Mutex::default(),
            peak_since: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            limits,
        }
    }

    fn begun(&self) -> MutexGuard<'_, Usage> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count for another operation.
    pub fn begin_operation(&self) {
        *self.begun() = self.usage();
        // What it had before, it still has.
        self.peak_since.store(self.memory.load(Relaxed), Relaxed);
    }

    /// Notes how much memory is in use.
    pub fn memory(&self, used: u64) {
        self.total.peak_memory.fetch_max(used, Relaxed);
        self.peak_since.fetch_max(used, Relaxed);
        self.memory.store(used, Relaxed);
    }

    /// What may still be moved over a socket that begins now. One that begins when the connection
    /// has moved all that it may is there to have the server stop.
    pub fn spare(&self) -> Spare {
        let within =
            self.permit_receiving(Spare(0)).is_ok() && self.permit_sending(Spare(0)).is_ok();
        Spare(if within { 0 } else { TO_STOP })
    }

    /// Whether more may be received.
    pub fn permit_receiving(&self, spare: Spare) -> Result<(), MovedAll> {
        let received = self.total.bytes_in.load(Relaxed);
        let limit = self.limits.received.saturating_add(spare.0);
        within(received, limit, MovedAll::Received)
    }

    /// Whether more may be sent.
    pub fn permit_sending(&self, spare: Spare) -> Result<(), MovedAll> {
        let sent = self.total.bytes_out.load(Relaxed);
        let limit = self.limits.sent.saturating_add(spare.0);
        within(sent, limit, MovedAll::Sent)
    }

    /// Whether more may be logged.
    pub fn permits_logging(&self) -> bool {
        self.total.logged.load(Relaxed) <= self.limits.log_total
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// How many bytes may be moved beyond a limit, each way, so that the server can be told to stop
/// what nobody can wait for any more: a few times a TLS handshake with a chain of certificates.
const TO_STOP: u64 = 64 * 1024;

/// How far beyond the limits a socket may go.
#[derive(Debug, Clone, Copy)]
pub struct Spare(u64);

fn within(used: u64, limit: u64, reached: MovedAll) -> Result<(), MovedAll> {
    if used < limit { Ok(()) } else { Err(reached) }
}

/// Times the calls into one instance, which come one after the other.
#[derive(Debug)]
pub struct Stopwatch {
    origin: Instant,
    /// Nanoseconds worked within the current call, up to the last poll.
    call: AtomicU64,
    /// When the current poll began, in nanoseconds since `origin`; 0 outside.
    polling: AtomicU64,
    meter: Arc<Meter>,
    /// A turn that was granted, which ends with the poll.
    turn: Mutex<Option<Turn>>,
}

impl Stopwatch {
    /// A stopwatch that adds what it measures to `meter`.
    pub fn new(meter: Arc<Meter>) -> Self {
        Self {
            origin: Instant::now(),
            call: AtomicU64::new(0),
            polling: AtomicU64::new(0),
            meter,
            turn: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a turn until the poll that is under way has ended, so that no one waits with it.
    pub fn hold(&self, turn: Turn) {
        *self.turn() = Some(turn);
    }

    /// Time worked within the current call, up to now.
    pub fn call_time(&self) -> Duration {
        let polling = match self.polling.load(Relaxed) {
            0 => 0,
            began => self.now().saturating_sub(began),
        };
        Duration::from_nanos(self.call.load(Relaxed).saturating_add(polling))
    }

    /// Counts the time `call` spends working, as a call of its own.
    ///
    /// A future works while it is polled, and waits otherwise: so a guest that
    /// waits for its server costs nothing, and a guest that keeps the host busy
    /// with calls is charged for the host's work, too.
    pub async fn time<F: Future>(&self, call: F) -> F::Output {
        self.call.store(0, Relaxed);
        Timed {
            call: pin!(call),
            stopwatch: self,
        }
        .await
    }
}

struct Timed<'a, F> {
    call: Pin<&'a mut F>,
    stopwatch: &'a Stopwatch,
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let stopwatch = self.stopwatch;
        let began = stopwatch.now();
        stopwatch.polling.store(began, Relaxed);
        let polled = self.call.as_mut().poll(context);
        let worked = stopwatch.now().saturating_sub(began);
        stopwatch.polling.store(0, Relaxed);
        *stopwatch.turn() = None;
        stopwatch.call.fetch_add(worked, Relaxed);
        stopwatch.meter.total.worked.fetch_add(worked, Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_counts_and_waiting_does_not() {
        let meter = Arc::<Meter>::default();
        let stopwatch = Stopwatch::new(meter.clone());
        stopwatch
            .time(tokio::time::sleep(Duration::from_millis(80)))
            .await;
        assert!(
            stopwatch.call_time() < Duration::from_millis(40),
            "{:?}",
            stopwatch.call_time()
        );
        stopwatch
            .time(async {
                std::thread::sleep(Duration::from_millis(30));
                assert!(stopwatch.call_time() >= Duration::from_millis(30));
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_millis(30));
            })
            .await;
        assert!(stopwatch.call_time() >= Duration::from_millis(60));
        assert!(meter.usage().worked >= stopwatch.call_time());
    }
}
