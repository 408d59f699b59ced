//! Which kills there are, and when each strikes.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// The kind of write that is struck.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Mode {
    Append,
    Replace,
    Upsert,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Append, Self::Replace, Self::Upsert];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Upsert => "upsert",
        })
    }
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Host,
    Instance,
    Backend,
}

impl Victim {
    const ALL: [Self; 3] = [Self::Host, Self::Instance, Self::Backend];

    /// The ways of killing it, which take turns.
    fn ways(self) -> &'static [Way] {
        match self {
            Self::Host => &[Way::KillProcess],
            Self::Instance => &[Way::DropSink, Way::WallTime, Way::StopRuntime],
            Self::Backend => &[Way::KillBackend, Way::TerminateBackend],
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Instance => "instance",
            Self::Backend => "backend",
        })
    }
}

/// How it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// SIGKILL to the process that the host is in.
    KillProcess,
    /// The program drops the sink and the connection in the middle of whatever they do.
    DropSink,
    /// The host's limit on the time of one call ends the instance in the middle of it.
    WallTime,
    /// The host's runtime stops, and the instance is gone without another word.
    StopRuntime,
    /// SIGKILL to the backend, whereupon the server restarts all of them.
    KillBackend,
    /// An administrator's `pg_terminate_backend`.
    TerminateBackend,
}

impl Way {
    pub(crate) fn victim(self) -> Victim {
        match self {
            Self::KillProcess => Victim::Host,
            Self::DropSink | Self::WallTime | Self::StopRuntime => Victim::Instance,
            Self::KillBackend | Self::TerminateBackend => Victim::Backend,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillProcess | Self::KillBackend => "SIGKILL",
            Self::DropSink => "dropped",
            Self::WallTime => "wall-time limit",
            Self::StopRuntime => "runtime stopped",
            Self::TerminateBackend => "pg_terminate_backend",
        })
    }
}

/// One kill.
pub(crate) struct Plan {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) mode: Mode,
    pub(crate) way: Way,
    /// After the beginning of the write; for [`Way::WallTime`], of a call.
    pub(crate) moment: Duration,
}

/// How long a write takes that nobody disturbs.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// From its beginning to the answer to its commit.
    pub(crate) whole: Duration,
    /// The last call of it, which commits.
    pub(crate) finish: Duration,
}

/// How far beyond the usual end of a write kills are drawn: some should come too late.
const BEYOND: f64 = 1.1;

/// The least time of a call, in which an instance can be made.
const LEAST_CALL: Duration = Duration::from_millis(2);

/// Draws `kills` of them, spread evenly over modes and victims. The time of a write is cut
/// in as many equal parts as the combination has kills, and each gets a random moment of
/// one, so that no part is left out.
pub(crate) fn draw(kills: usize, modes: &[(Mode, Times)], chance: &mut Chance) -> Vec<Plan> {
    let combinations: Vec<(Mode, Times, Victim)> = Victim::ALL
        .into_iter()
        .flat_map(|victim| {
            modes
                .iter()
                .map(move |(mode, times)| (*mode, *times, victim))
        })
        .collect();
    (0..kills)
        .zip(combinations.iter().cycle())
        .map(|(index, (mode, times, victim))| {
            let turn = index / combinations.len();
            let turns = (kills - index % combinations.len()).div_ceil(combinations.len());
            let ways = victim.ways();
            // A turn for each way when there is but one of the combination.
            let way = ways[(turn + index % combinations.len()) % ways.len()];
            let part = (turn as f64 + chance.fraction()) / turns as f64;
            let moment = match way {
                Way::WallTime => times.finish.mul_f64(part * BEYOND).max(LEAST_CALL),
                _ => times.whole.mul_f64(part * BEYOND),
            };
            Plan {
                number: index + 1,
                mode: *mode,
                way,
                moment,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_evenly_and_come_back_with_their_seed() {
        let times = Times {
            whole: Duration::from_millis(1000),
            finish: Duration::from_millis(100),
        };
        let modes = Mode::ALL.map(|mode| (mode, times));
        let plans = draw(150, &modes, &mut Chance::new(7));
        let again = draw(150, &modes, &mut Chance::new(7));
        for (plan, again) in plans.iter().zip(&again) {
            assert_eq!(plan.moment, again.moment);
        }
        for mode in Mode::ALL {
            for victim in Victim::ALL {
                let of_both = |plan: &&Plan| plan.mode == mode && plan.way.victim() == victim;
                let count = plans.iter().filter(of_both).count();
                assert!((16..=17).contains(&count), "{mode}, {victim}: {count}");
                for way in victim.ways() {
                    let found = plans.iter().filter(of_both).filter(|plan| plan.way == *way);
                    assert!(found.count() >= 5, "{mode}: {way}");
                }
            }
        }
        let strikes = plans.iter().filter(|plan| plan.way != Way::WallTime);
        let late = strikes.clone().filter(|plan| plan.moment > times.whole);
        assert!((3..=20).contains(&late.count()));
        assert!(
            strikes
                .clone()
                .all(|plan| plan.moment <= times.whole * 11 / 10)
        );
    }
}
