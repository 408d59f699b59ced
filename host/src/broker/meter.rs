//! How much a connector uses.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts what one connection uses, over all its instances.
#[derive(Debug, Default)]
pub struct Meter {
    worked: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    peak_memory: AtomicU64,
}

/// What was used up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Time worked, in all calls.
    pub worked: Duration,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// The most memory an instance had at once, in bytes.
    pub peak_memory: u64,
}

impl Meter {
    /// Counts bytes received.
    pub fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes sent.
    pub fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes how much memory is in use at its peak.
    pub fn memory(&self, peak: u64) {
        self.peak_memory.fetch_max(peak, Relaxed);
    }

    /// The sums so far.
    pub fn usage(&self) -> Usage {
        Usage {
            worked: Duration::from_nanos(self.worked.load(Relaxed)),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            peak_memory: self.peak_memory.load(Relaxed),
        }
    }
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
}

impl Stopwatch {
    /// A stopwatch that adds what it measures to `meter`.
    pub fn new(meter: Arc<Meter>) -> Self {
        Self {
            origin: Instant::now(),
            call: AtomicU64::new(0),
            polling: AtomicU64::new(0),
            meter,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
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
        stopwatch.call.fetch_add(worked, Relaxed);
        stopwatch.meter.worked.fetch_add(worked, Relaxed);
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
