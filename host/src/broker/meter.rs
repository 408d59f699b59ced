//! How much a connector uses.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts what one connection uses, over all its instances.
#[derive(Debug)]
pub struct Meter {
    origin: Instant,
    /// Nanoseconds worked within the current call, up to the last poll.
    call: AtomicU64,
    /// When the current poll began, in nanoseconds since `origin`; 0 outside.
    polling: AtomicU64,
    /// Nanoseconds worked in all calls before.
    total: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    peak_memory: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            call: AtomicU64::new(0),
            polling: AtomicU64::new(0),
            total: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            peak_memory: AtomicU64::new(0),
        }
    }
}

impl Meter {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

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

    /// Time worked within the current call, up to now.
    pub fn call_time(&self) -> Duration {
        let polling = match self.polling.load(Relaxed) {
            0 => 0,
            began => self.now().saturating_sub(began),
        };
        Duration::from_nanos(self.call.load(Relaxed).saturating_add(polling))
    }

    /// The sums so far: time worked, bytes in, bytes out, peak memory.
    pub fn totals(&self) -> (Duration, u64, u64, u64) {
        let worked =
            Duration::from_nanos(self.total.load(Relaxed)).saturating_add(self.call_time());
        (
            worked,
            self.bytes_in.load(Relaxed),
            self.bytes_out.load(Relaxed),
            self.peak_memory.load(Relaxed),
        )
    }

    /// Counts the time `call` spends working, as a call of its own.
    ///
    /// A future works while it is polled, and waits otherwise: so a guest that
    /// waits for its server costs nothing, and a guest that keeps the host busy
    /// with calls is charged for the host's work, too.
    pub async fn meter<F: Future>(&self, call: F) -> F::Output {
        let spent = self.call.swap(0, Relaxed);
        self.total.fetch_add(spent, Relaxed);
        Metered {
            call: pin!(call),
            meter: self,
        }
        .await
    }
}

struct Metered<'a, F> {
    call: Pin<&'a mut F>,
    meter: &'a Meter,
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = self.meter.now();
        self.meter.polling.store(began, Relaxed);
        let polled = self.call.as_mut().poll(context);
        self.meter.polling.store(0, Relaxed);
        self.meter
            .call
            .fetch_add(self.meter.now().saturating_sub(began), Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_counts_and_waiting_does_not() {
        let meter = Meter::default();
        meter
            .meter(tokio::time::sleep(Duration::from_millis(80)))
            .await;
        assert!(
            meter.call_time() < Duration::from_millis(40),
            "{:?}",
            meter.call_time()
        );
        meter
            .meter(async {
                std::thread::sleep(Duration::from_millis(30));
                assert!(meter.call_time() >= Duration::from_millis(30));
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_millis(30));
            })
            .await;
        assert!(meter.call_time() >= Duration::from_millis(60));
        assert!(meter.totals().0 >= meter.call_time());
    }
}
