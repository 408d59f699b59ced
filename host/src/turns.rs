//! Long work goes in turns.
//!
//! A call of a connector takes milliseconds: it decodes a batch, and waits. One that has worked for
//! longer than [`FREE`] without coming to its end is most likely to be ended by its limit. Until
//! then it shares one lane with its like, in which one works at a time; and as long as others are at
//! work, the lane rests for as long as it works. So whatever the number of connectors that loop,
//! they take half a processor from everyone else together, and nothing from each other's limits:
//! who waits for the lane is not charged for it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a call may work before it has to wait for its turn. A batch takes a few milliseconds; a
/// list of 10,000 tables takes some hundred.
pub const FREE: Duration = Duration::from_millis(50);

/// How long the lane rests after a turn: as long as a turn takes, which is a tick of the clock.
const REST: Duration = Duration::from_millis(10);

/// The lane, and who is at work.
#[derive(Debug)]
pub struct Turns {
    lane: Arc<Semaphore>,
    /// Calls that wait for the lane, or for its rest to be over.
    in_lane: AtomicUsize,
    /// Calls that have not come to their end, those in the lane included.
    at_work: AtomicUsize,
}

/// The right to work in the lane, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            lane: Arc::new(Semaphore::new(1)),
            in_lane: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
        }
    }
}

/// Counts one for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    /// Does `work`, which is then one of those at work.
    pub async fn with<T>(&self, work: impl Future<Output = T>) -> T {
        let _counted = Counted::new(&self.at_work);
        work.await
    }

    /// Waits for the next turn.
    pub async fn next(&self) -> Turn {
        let _counted = Counted::new(&self.in_lane);
        let permit = self.lane.clone().acquire_owned().await.ok();
        // Whoever has the lane is counted here, and so are all who wait for it.
        if self.at_work.load(Relaxed) > self.in_lane.load(Relaxed) {
            tokio::time::sleep(REST).await;
        } else {
            tokio::task::yield_now().await;
        }
        Turn { _permit: permit }
    }
}
