//! How much a connector uses.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::policy::limits::{Limits, MovedAll};
use crate::turns::{FREE, Turn, Turns};

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
    /// What may be moved to have the server stop, once everything else has been.
    to_stop: OnceLock<Allowance>,
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
            to_stop: OnceLock::new(),
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

    /// How far the sums may go with a socket that begins now. One that begins when the
    /// connection has moved all that it may is there to have the server stop.
    pub fn allowance(&self) -> Allowance {
        let within = Allowance {
            received: self.limits.received,
            sent: self.limits.sent,
        };
        if self.permit_receiving(within).is_ok() && self.permit_sending(within).is_ok() {
            return within;
        }
        // Counted from what was moved, for the last read may have gone beyond the limit; and
        // once, for else every socket would have as much again.
        *self.to_stop.get_or_init(|| {
            let used = self.usage();
            Allowance {
                received: within.received.max(used.bytes_in).saturating_add(TO_STOP),
                sent: within.sent.max(used.bytes_out).saturating_add(TO_STOP),
            }
        })
    }

    /// Whether more may be received.
    pub fn permit_receiving(&self, allowance: Allowance) -> Result<(), MovedAll> {
        let received = self.total.bytes_in.load(Relaxed);
        within(received, allowance.received, MovedAll::Received)
    }

    /// Whether more may be sent.
    pub fn permit_sending(&self, allowance: Allowance) -> Result<(), MovedAll> {
        let sent = self.total.bytes_out.load(Relaxed);
        within(sent, allowance.sent, MovedAll::Sent)
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

/// How many bytes the connection may have moved in all for a socket to move more.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    received: u64,
    sent: u64,
}

fn within(used: u64, limit: u64, reached: MovedAll) -> Result<(), MovedAll> {
    if used < limit { Ok(()) } else { Err(reached) }
}

/// Times the calls into one instance, which come one after the other.
#[derive(Debug)]
pub struct Stopwatch {
    origin: Instant,
    worked: Timer,
    /// The time that was spent waiting for a turn.
    waited: Timer,
    meter: Arc<Meter>,
}

/// Time within the current call, in nanoseconds, by whatever clock is read.
#[derive(Debug, Default)]
struct Timer {
    /// What has ended.
    sum: AtomicU64,
    /// When what is under way began; 0 outside.
    since: AtomicU64,
}

impl Timer {
    fn reset(&self) {
        self.sum.store(0, Relaxed);
        self.since.store(0, Relaxed);
    }

    fn begin(&self, now: u64) {
        self.since.store(now, Relaxed);
    }

    /// How long that was.
    fn end(&self, now: u64) -> u64 {
        let took = now.saturating_sub(self.since.swap(0, Relaxed));
        self.sum.fetch_add(took, Relaxed);
        took
    }

    fn at(&self, now: u64) -> Duration {
        let under_way = match self.since.load(Relaxed) {
            0 => 0,
            began => now.saturating_sub(began),
        };
        Duration::from_nanos(self.sum.load(Relaxed).saturating_add(under_way))
    }
}

impl Stopwatch {
    /// A stopwatch that adds what it measures to `meter`.
    pub fn new(meter: Arc<Meter>) -> Self {
        Self {
            origin: Instant::now(),
            worked: Timer::default(),
            waited: Timer::default(),
            meter,
        }
    }

    fn now(&self) -> u64 {
        nanoseconds(self.origin.elapsed())
    }

    /// The processor time of this thread: a busy machine makes nobody's work longer.
    #[cfg(unix)]
    fn processor_time(&self) -> u64 {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::ThreadCPUTime);
        nanoseconds(Duration::try_from(time).unwrap_or_default())
    }

    /// The nearest that there is elsewhere.
    #[cfg(not(unix))]
    fn processor_time(&self) -> u64 {
        self.now()
    }

    /// Time worked within the current call. Up to now, if the thread that asks is the one that
    /// works.
    pub fn call_time(&self) -> Duration {
        self.worked.at(self.processor_time())
    }

    /// Time within the current call that it was kept from working by others, up to now.
    pub fn waited(&self) -> Duration {
        self.waited.at(self.now())
    }

    /// Counts the time `call` spends working, as a call of its own. Once it has worked for long,
    /// it works in turns.
    ///
    /// A future works while it is polled, and waits otherwise: so a guest that
    /// waits for its server costs nothing, and a guest that keeps the host busy
    /// with calls is charged for the host's work, too.
    pub async fn time<F: Future>(&self, turns: &Arc<Turns>, call: F) -> F::Output {
        self.worked.reset();
        self.waited.reset();
        Timed {
            call: pin!(call),
            stopwatch: self,
            turns,
            waiting: None,
        }
        .await
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

struct Timed<'a, F> {
    call: Pin<&'a mut F>,
    stopwatch: &'a Stopwatch,
    turns: &'a Arc<Turns>,
    waiting: Option<BoxFuture<'static, Turn>>,
}

impl<F> Timed<'_, F> {
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let stopwatch = self.stopwatch;
        let waiting = self.waiting.get_or_insert_with(|| {
            stopwatch.waited.begin(stopwatch.now());
            Box::pin(self.turns.clone().next())
        });
        let turn = ready!(waiting.as_mut().poll(context));
        stopwatch.waited.end(stopwatch.now());
        self.waiting = None;
        Poll::Ready(turn)
    }
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let stopwatch = self.stopwatch;
        // A turn ends with the poll, so that no one waits with it; and whoever comes back from
        // waiting, were it for nothing, needs another.
        let (_turn, _work) = match stopwatch.call_time() > FREE {
            true => (Some(ready!(self.poll_turn(context))), None),
            false => (None, Some(self.turns.work())),
        };
        stopwatch.worked.begin(stopwatch.processor_time());
        let polled = self.call.as_mut().poll(context);
        let worked = stopwatch.worked.end(stopwatch.processor_time());
        stopwatch.meter.total.worked.fetch_add(worked, Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the processor busy for so long.
    fn work(time: Duration) {
        let clock = Stopwatch::new(Arc::default());
        let end = clock.processor_time() + nanoseconds(time);
        while clock.processor_time() < end {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn work_counts_and_waiting_does_not() {
        let meter = Arc::<Meter>::default();
        let stopwatch = Stopwatch::new(meter.clone());
        let turns = Arc::default();
        stopwatch
            .time(&turns, tokio::time::sleep(Duration::from_millis(80)))
            .await;
        assert!(
            stopwatch.call_time() < Duration::from_millis(40),
            "{:?}",
            stopwatch.call_time()
        );
        stopwatch
            .time(&turns, async {
                work(Duration::from_millis(30));
                assert!(stopwatch.call_time() >= Duration::from_millis(30));
                tokio::task::yield_now().await;
                work(Duration::from_millis(30));
            })
            .await;
        assert!(stopwatch.call_time() >= Duration::from_millis(60));
        assert!(meter.usage().worked >= stopwatch.call_time());
    }

    #[test]
    fn whoever_moved_too_much_at_once_can_still_have_the_server_stop() {
        let meter = Meter::new(Limits::default().with_received(1_000));
        let first = meter.allowance();
        meter.received(999);
        assert!(meter.permit_receiving(first).is_ok());
        // One read, of everything that was there.
        meter.received(10 * TO_STOP);
        assert!(meter.permit_receiving(first).is_err());
        let to_stop = meter.allowance();
        assert!(meter.permit_receiving(to_stop).is_ok() && meter.permit_sending(to_stop).is_ok());
        // Once, and not with every socket.
        meter.received(TO_STOP);
        assert!(meter.permit_receiving(to_stop).is_err());
        assert!(meter.permit_receiving(meter.allowance()).is_err());
    }

    /// Also one that waits for nothing in between.
    #[tokio::test]
    async fn whoever_has_worked_for_long_needs_a_turn_for_all_further_work() {
        let stopwatch = Stopwatch::new(Arc::default());
        let turns = Arc::<Turns>::default();
        let steps = AtomicU64::new(0);
        let call = stopwatch.time(&turns, async {
            work(FREE + Duration::from_millis(1));
            loop {
                tokio::task::yield_now().await;
                steps.fetch_add(1, Relaxed);
            }
        });
        let mut call = pin!(call);
        let lane = turns.clone().next().await;
        let brief = 4 * FREE;
        assert!(tokio::time::timeout(brief, &mut call).await.is_err());
        assert_eq!(steps.load(Relaxed), 0);
        // It is no one's fault, and so not the call's.
        assert!(stopwatch.waited() >= FREE, "{:?}", stopwatch.waited());
        drop(lane);
        let began = Instant::now();
        while steps.load(Relaxed) < 2 {
            assert!(tokio::time::timeout(brief, &mut call).await.is_err());
            assert!(began.elapsed() < Duration::from_secs(10));
        }
    }
}
