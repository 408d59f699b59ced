//! What this process holds, over time.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::runtime::Handle;

const MIB: f64 = 1024.0 * 1024.0;

/// What the last third of a run may hold more than the second, on average. Allocators return
/// memory when it suits them, and the rows that are in memory at once differ.
const FLAT: f64 = 16.0;

/// How long what was dropped may take to be gone. A cancel request and a good-bye have limits of
/// seconds of their own.
const DEADLINE: Duration = Duration::from_secs(30);

/// What this process holds at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    pub(super) descriptors: usize,
    pub(super) tasks: usize,
    /// Resident memory, in MiB.
    pub(super) memory: f64,
}

impl Footprint {
    pub(super) fn now() -> Result<Self> {
        let pages = fs::read_to_string("/proc/self/statm")?;
        let resident = pages.split(' ').nth(1).context("no resident pages")?;
        Ok(Self {
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            memory: resident.parse::<f64>()? * 4096.0 / MIB,
        })
    }

    /// Waits until no more descriptors and tasks are held than these.
    pub(super) async fn is_back(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let now = Self::now()?;
            if now.descriptors <= self.descriptors && now.tasks <= self.tasks {
                return Ok(());
            }
            ensure!(
                began.elapsed() < DEADLINE,
                "{} descriptors and {} tasks were left where there had been {} and {}",
                now.descriptors,
                now.tasks,
                self.descriptors,
                self.tasks
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The memory in equal distances of time.
#[derive(Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn add(&mut self, footprint: Footprint) {
        self.0.push(footprint.memory);
    }

    /// The means of the second and of the last third, in MiB. An error if it grew. None of a run
    /// that is too short to have any.
    pub(super) fn are_flat(&self) -> Result<Option<(f64, f64)>> {
        let third = self.0.len() / 3;
        let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
        let (Some(second), Some(last)) = (self.0.get(third..2 * third), self.0.get(2 * third..))
        else {
            return Ok(None);
        };
        if third < 3 {
            return Ok(None);
        }
        let (second, last) = (mean(second), mean(last));
        ensure!(
            last <= second + FLAT,
            "memory grew from {second:.1} MiB in the second third to {last:.1} MiB in the last"
        );
        Ok(Some((second, last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_in_the_last_third_is_noticed() -> Result<()> {
        let run = |last: f64| Samples([vec![50.0; 4], vec![100.0; 4], vec![last; 4]].concat());
        assert_eq!(run(100.0).are_flat()?, Some((100.0, 100.0)));
        assert_eq!(run(116.0).are_flat()?, Some((100.0, 116.0)));
        assert!(run(116.5).are_flat().is_err());
        assert_eq!(Samples(vec![1.0; 8]).are_flat()?, None);
        Ok(())
    }
}
