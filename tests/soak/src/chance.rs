//! Numbers that are as good as random and come back with their seed.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Another, whose numbers do not depend on how many are drawn from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// At least 0 and less than 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.fraction() * end as f64) as u64
    }
}

/// A seed that no other run has had.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(SystemTime::now()) >> 32
}
