//! Long work goes in turns.
//!
//! A call of a connector takes milliseconds: it decodes a batch, and waits. One that has worked for
//! longer than [`FREE`] without coming to its end is most likely to be ended by its limit. Until
//! then it works in one lane with its like, in which one works at a time; and as long as others are
//! at work, the lane rests for twice as long as it has worked. So whatever the number of connectors
//! that loop, they take a third of a processor from everyone else together. Who waits for the lane
//! is charged for it neither as work nor in the time that a call may take.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a call may work before it has to wait for its turn. A batch takes a few milliseconds; a
/// list of 10,000 tables takes some hundred.
pub const FREE: Duration = Duration::from_millis(50);

/// How long the lane rests for each part of the time that it worked.
const SHARE: u32 = 2;

/// The longest rest. Work that cannot be interrupted for as long is rare, and nobody's fault.
const LONGEST: Duration = Duration::from_millis(500);

/// The shortest: a timer knows no less. Shorter ones add up.
const SHORTEST: Duration = Duration::from_millis(1);

/// Who has worked within this time is still at work: a tick of the clock.
const RECENTLY: Duration = Duration::from_millis(10);

/// The lane, and who is at work beside it.
#[derive(Debug)]
pub struct Turns {
    lane: Arc<Semaphore>,
    /// Calls outside of the lane that work at this moment. Those that wait do not count: nothing
    /// is taken from them.
    at_work: AtomicUsize,
    pace: Mutex<Pace>,
}

#[derive(Debug, Default)]
struct Pace {
    /// The rest that is due.
    due: Duration,
    /// How long the last turn took.
    turn: Duration,
    /// When someone outside of the lane has worked last.
    seen: Option<Instant>,
}

/// The right to work in the lane, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    began: Instant,
    turns: Arc<Turns>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Work outside of the lane, until it is dropped.
#[derive(Debug)]
pub struct Work<'t>(&'t Turns);

impl Default for Turns {
    fn default() -> Self {
        Self {
            lane: Arc::new(Semaphore::new(1)),
            at_work: AtomicUsize::new(0),
            pace: Mutex::default(),
        }
    }
}

impl Turns {
    /// Works outside of the lane.
    pub fn work(&self) -> Work<'_> {
        self.at_work.fetch_add(1, Relaxed);
        Work(self)
    }

    /// Waits for the next turn.
    pub async fn next(self: Arc<Self>) -> Turn {
        let permit = self.lane.clone().acquire_owned().await.ok();
        let rest = self.rest();
        if rest >= SHORTEST {
            tokio::time::sleep(rest).await;
        }
        Turn {
            began: Instant::now(),
            turns: self,
            _permit: permit,
        }
    }

    /// How long to rest now.
    fn rest(&self) -> Duration {
        let mut pace = self.pace();
        let recently = RECENTLY.max(pace.turn);
        let is_seen = pace.seen.is_some_and(|seen| seen.elapsed() <= recently);
        if !is_seen && self.at_work.load(Relaxed) == 0 {
            pace.due = Duration::ZERO;
        }
        match pace.due < SHORTEST {
            true => Duration::ZERO,
            false => std::mem::take(&mut pace.due),
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let mut pace = self.turns.pace();
        pace.turn = took;
        pace.due = (pace.due.saturating_add(took.saturating_mul(SHARE))).min(LONGEST);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.pace().seen = Some(Instant::now());
        self.0.at_work.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::task::JoinSet;
    use tokio::time::advance;

    use super::*;

    const TURN: Duration = Duration::from_millis(10);

    /// How long it takes so many calls to take 10 turns each.
    async fn time(turns: &Arc<Turns>, long: u32, turn: Duration) -> Duration {
        let start = Instant::now();
        let mut working = JoinSet::new();
        for _ in 0..long {
            let turns = turns.clone();
            working.spawn(async move {
                for _ in 0..10 {
                    let _turn = turns.clone().next().await;
                    tokio::time::sleep(turn).await;
                }
            });
        }
        working.join_all().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_call_that_is_alone_does_not_wait() {
        assert_eq!(time(&Arc::default(), 1, TURN).await, 10 * TURN);
    }

    /// However long the turns turn out to be.
    #[tokio::test(start_paused = true)]
    async fn the_lane_rests_twice_as_long_as_it_works_while_others_are_at_work() {
        for turn in [TURN, 8 * TURN] {
            let turns = Arc::default();
            let _work = Turns::work(&turns);
            assert_eq!(time(&turns, 1, turn).await, 10 * turn + 9 * 2 * turn);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_for_who_works_and_waits_by_turns() {
        let turns = Arc::<Turns>::default();
        let other = turns.clone();
        let others = tokio::spawn(async move {
            loop {
                drop(other.work());
                tokio::time::sleep(TURN / 2).await;
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(time(&turns, 1, TURN).await, 28 * TURN);
        others.abort();
    }

    /// A call that waits for its server is none that anything is taken from.
    #[tokio::test(start_paused = true)]
    async fn it_does_not_rest_for_who_waits() {
        let turns = Arc::<Turns>::default();
        drop(turns.work());
        advance(RECENTLY + SHORTEST).await;
        assert_eq!(time(&turns, 1, TURN).await, 10 * TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn rests_that_are_too_short_add_up() {
        let turns = Arc::<Turns>::default();
        let _work = turns.work();
        let start = Instant::now();
        for _ in 0..100 {
            let _turn = turns.clone().next().await;
            advance(Duration::from_micros(100)).await;
        }
        assert!(start.elapsed() >= Duration::from_millis(28), "{start:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_comes_to_an_end() {
        let turns = Arc::<Turns>::default();
        let _work = turns.work();
        let turn = turns.clone().next().await;
        advance(Duration::from_secs(60)).await;
        drop(turn);
        let start = Instant::now();
        drop(turns.clone().next().await);
        assert_eq!(start.elapsed(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_has_a_turn() {
        let turns = Arc::default();
        let _work = Turns::work(&turns);
        assert_eq!(time(&turns, 3, TURN).await, 30 * TURN + 29 * 2 * TURN);
    }

    /// Nobody is there to rest for.
    #[tokio::test(start_paused = true)]
    async fn long_calls_do_not_rest_for_one_another() {
        assert_eq!(time(&Arc::default(), 3, TURN).await, 30 * TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn everyone_in_the_lane_comes_to_their_turn() {
        let turns = Arc::<Turns>::default();
        let turn = turns.clone().next().await;
        let mut second = pin!(turns.clone().next());
        assert!(second.as_mut().now_or_never().is_none());
        // Whoever has just had a turn comes after those who wait.
        drop(turn);
        let mut again = pin!(turns.next());
        assert!(again.as_mut().now_or_never().is_none());
        assert!(second.now_or_never().is_some());
        assert!(again.now_or_never().is_some());
    }

    /// A call that is given up on the way leaves the lane to others.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_takes_nothing_along() {
        let turns = Arc::<Turns>::default();
        let held = turns.clone().next().await;
        let waiting = turns.clone().next();
        assert!(tokio::time::timeout(TURN, waiting).await.is_err());
        drop(held);
        let work = turns.work();
        let resting = turns.clone().next();
        assert!(tokio::time::timeout(TURN, resting).await.is_err());
        drop(work);
        advance(2 * TURN).await;
        assert_eq!(time(&turns, 2, TURN).await, 20 * TURN);
    }
}
