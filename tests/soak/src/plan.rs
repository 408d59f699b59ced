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
    /// How long that takes as a rule.
    length: Duration,
    /// The part of it that the moment is drawn from: where it begins and how long it is, as
    /// shares of the whole.
    begin: f64,
    share: f64,
    chance: Chance,
}

/// Whether a kill struck a write that was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Hit,
    /// The write had not begun.
    TooEarly,
    /// The write had done its work: the writer was told that the rows are there.
    TooLate,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hit => "hit",
            Self::TooEarly => "too early",
            Self::TooLate => "too late",
        })
    }
}

/// By what share of a write a missed moment is moved.
const STEP: f64 = 0.05;

impl Plan {
    /// Draws another moment after a miss, in the direction in which the write is.
    pub(crate) fn correct(&mut self, aim: Aim) {
        self.begin = match aim {
            Aim::Hit => self.begin,
            Aim::TooEarly => self.begin + STEP,
            Aim::TooLate => (self.begin - STEP).max(0.0),
        };
        self.draw();
    }

    fn draw(&mut self) {
        let place = self.begin + self.share * self.chance.fraction();
        let moment = self.length.mul_f64(place);
        self.moment = match self.way {
            Way::WallTime => moment.max(LEAST_CALL),
            _ => moment,
        };
    }
}

/// How long a write takes that nobody disturbs.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// From its beginning to the answer to its commit.
    pub(crate) whole: Duration,
    /// The last call of it, which commits.
    pub(crate) finish: Duration,
}

/// The least time of a call, in which an instance can be made.
const LEAST_CALL: Duration = Duration::from_millis(2);

impl Times {
    /// The longer of both, so that the end of a write is not left out.
    pub(crate) fn longer(self, other: Self) -> Self {
        Self {
            whole: self.whole.max(other.whole),
            finish: self.finish.max(other.finish),
        }
    }
}

/// How many combinations of a mode and a victim there are.
pub(crate) fn combinations(modes: usize) -> usize {
    modes * Victim::ALL.len()
}

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
            let length = match way {
                Way::WallTime => times.finish,
                _ => times.whole,
            };
            let mut plan = Plan {
                number: index + 1,
                mode: *mode,
                way,
                moment: Duration::ZERO,
                length,
                begin: turn as f64 / turns as f64,
                share: 1.0 / turns as f64,
                chance: chance.fork(),
            };
            plan.draw();
            plan
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_evenly_and_their_shares_come_back_with_the_seed() {
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
        for tenth in 0..10 {
            let part = times.whole * tenth / 10..times.whole * (tenth + 1) / 10;
            let strikes = plans.iter().filter(|plan| plan.way != Way::WallTime);
            let in_part = strikes.filter(|plan| part.contains(&plan.moment));
            assert!(in_part.count() >= 6, "{part:?}");
        }
        assert!(plans.iter().all(|plan| plan.moment < times.whole));
    }

    #[test]
    fn a_miss_is_drawn_again_nearer_to_the_write() {
        let times = Times {
            whole: Duration::from_millis(1000),
            finish: Duration::from_millis(100),
        };
        let modes = Mode::ALL.map(|mode| (mode, times));
        let mut moments = Vec::new();
        for _ in 0..2 {
            let mut plans = draw(450, &modes, &mut Chance::new(7));
            // The last of a combination, of 50 parts.
            let plan = plans
                .iter_mut()
                .rfind(|plan| plan.way == Way::KillProcess)
                .expect("hosts are killed");
            let mut drawn = vec![plan.moment];
            for _ in 0..19 {
                plan.correct(Aim::TooLate);
                let before = drawn.last().expect("one was drawn");
                assert!(plan.moment < *before, "{drawn:?}");
                drawn.push(plan.moment);
            }
            plan.correct(Aim::TooLate);
            assert!(plan.moment < times.whole / 50);
            plan.correct(Aim::TooEarly);
            assert!(plan.moment >= times.whole / 20);
            moments.push(drawn);
        }
        assert_eq!(moments[0], moments[1]);
    }
}
