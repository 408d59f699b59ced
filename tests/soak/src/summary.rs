//! What came of the kills, as a table.

use std::fmt;

use crate::import::Told;
use crate::kill::Outcome;
use crate::plan::{Aim, Mode, Plan, Victim};
use crate::stage::State;

#[derive(Default)]
pub(crate) struct Summary(Vec<Row>);

/// One combination.
struct Row {
    rows: i64,
    mode: Mode,
    victim: Victim,
    /// How many kills struck no write. The rest of the row is about those that did.
    misses: usize,
    /// How often the table was left with the old or the new rows.
    old: usize,
    new: usize,
    /// How often the writer was told that nothing was written, that it is not known, or
    /// nothing at all.
    failed: usize,
    unknown: usize,
    nothing: usize,
}

impl Row {
    fn hits(&self) -> usize {
        self.old + self.new
    }
}

impl Summary {
    pub(crate) fn add(&mut self, rows: i64, plan: &Plan, outcome: &Outcome, state: State) {
        let (mode, victim) = (plan.mode, plan.way.victim());
        let known = |row: &Row| row.rows == rows && row.mode == mode && row.victim == victim;
        let index = self.0.iter().position(known).unwrap_or_else(|| {
            self.0.push(Row {
                rows,
                mode,
                victim,
                misses: 0,
                old: 0,
                new: 0,
                failed: 0,
                unknown: 0,
                nothing: 0,
            });
            self.0.len() - 1
        });
        let row = &mut self.0[index];
        if outcome.aim != Aim::Hit {
            row.misses += 1;
            return;
        }
        match state {
            State::Old => row.old += 1,
            State::New => row.new += 1,
        }
        match outcome.told {
            Told::Failed(_) => row.failed += 1,
            Told::Unknown(_) => row.unknown += 1,
            Told::Done | Told::Nothing { .. } => row.nothing += 1,
        }
    }

    pub(crate) fn hits(&self) -> usize {
        self.0.iter().map(Row::hits).sum()
    }

    pub(crate) fn misses(&self) -> usize {
        self.0.iter().map(|row| row.misses).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:44}{:14}the writer was told", "", "rows found")?;
        writeln!(
            f,
            "{:>9}  {:9}{:10}{:>6}{:>8}{:>6}{:>6}{:>8}{:>9}{:>9}",
            "rows",
            "mode",
            "killed",
            "hits",
            "misses",
            "old",
            "new",
            "failed",
            "unknown",
            "nothing"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:>9}  {:9}{:10}{:>6}{:>8}{:>6}{:>6}{:>8}{:>9}{:>9}",
                row.rows,
                row.mode.to_string(),
                row.victim.to_string(),
                row.hits(),
                row.misses,
                row.old,
                row.new,
                row.failed,
                row.unknown,
                row.nothing
            )?;
        }
        Ok(())
    }
}
