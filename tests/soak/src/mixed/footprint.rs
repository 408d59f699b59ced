//! The memory that this process has, over time.

use anyhow::{Result, ensure};
use dagflux_test_support::Footprint;

const MIB: f64 = 1024.0 * 1024.0;

/// What the last third of a run may hold more than the second, on average. Allocators return
/// memory when it suits them, and the rows that are in memory at once differ.
const FLAT: f64 = 16.0;

/// Bytes in MiB.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

/// The memory in equal distances of time.
#[derive(Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn add(&mut self, footprint: Footprint) {
        self.0.push(mib(footprint.memory));
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
