//! Long work goes in turns.
//!
//! A call of a connector takes milliseconds: it decodes a batch, and waits. One that has worked for
//! longer than [`FREE`] without coming to its end is most likely to be ended by its limit. Until
//! then it shares one lane with its like, in which one works at a time; and as long as others are at
//! work, the lane rests for twice as long as it works. So whatever the number of connectors that
//! loop, they take a third of a processor from everyone else together, and nothing from each
//! other's limits: who waits for the lane is not charged for it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a call may work before it has to wait for its turn. A batch takes a few milliseconds; a
/// list of 10,000 tables takes some hundred.
pub const FREE: Duration = Duration::from_millis(50);

/// How long the lane rests before a turn: twice as long as one takes, which is a tick of the clock.
/// As long would leave two processors' other work a little more than the share it should have.
const REST: Duration = Duration::from_millis(20);

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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;

    /// How long a turn of the tests is.
    const TURN: Duration = Duration::from_millis(10);

    /// How long it takes so many calls to take 10 turns each, beside so many that are at work.
    async fn time(turns: &Arc<Turns>, long: u32, others: u32) -> Duration {
        let mut at_work = JoinSet::new();
        for _ in 0..others {
            let turns = turns.clone();
            at_work.spawn(async move { turns.with(pending::<()>()).await });
        }
        tokio::task::yield_now().await;
        let start = Instant::now();
        let mut working = JoinSet::new();
        for _ in 0..long {
            let turns = turns.clone();
            working.spawn(async move {
                turns
                    .with(async {
                        for _ in 0..10 {
                            let _turn = turns.next().await;
                            tokio::time::sleep(TURN).await;
                        }
                    })
                    .await;
            });
        }
        working.join_all().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_call_that_is_alone_does_not_wait() {
        assert_eq!(time(&Arc::default(), 1, 0).await, 10 * TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lane_rests_twice_as_long_as_it_works_while_others_are_at_work() {
        assert_eq!(time(&Arc::default(), 1, 1).await, 10 * (TURN + REST));
        assert_eq!(REST, 2 * TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_has_a_turn() {
        assert_eq!(time(&Arc::default(), 3, 1).await, 30 * (TURN + REST));
    }

    /// Nobody is there to rest for.
    #[tokio::test(start_paused = true)]
    async fn long_calls_do_not_rest_for_one_another() {
        assert_eq!(time(&Arc::default(), 3, 0).await, 30 * TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn everyone_in_the_lane_comes_to_their_turn() {
        let turns = Arc::<Turns>::default();
        let mut order = Vec::new();
        let (first, second) = (turns.next(), turns.next());
        tokio::pin!(first, second);
        let turn = tokio::select! { biased; turn = &mut first => turn, _ = &mut second => panic!("at once") };
        order.push(1);
        // Whoever has just had a turn comes after those who wait.
        drop(turn);
        let again = turns.next();
        tokio::pin!(again);
        tokio::select! {
            biased;
            _ = &mut again => order.push(3),
            _ = &mut second => order.push(2),
        }
        assert_eq!(order, [1, 2]);
    }

    /// A call that is given up on the way leaves neither the lane taken nor itself counted.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_takes_nothing_along() {
        let turns = Arc::<Turns>::default();
        let held = turns.next().await;
        let waiting = turns.with(turns.next());
        assert!(tokio::time::timeout(TURN, waiting).await.is_err());
        drop(held);
        let resting = turns.with(turns.next());
        let other = turns.with(pending::<()>());
        tokio::select! { _ = resting => {}, () = other => {}, () = tokio::time::sleep(REST / 2) => {} }
        assert_eq!(time(&turns, 2, 0).await, 20 * TURN);
    }
}
