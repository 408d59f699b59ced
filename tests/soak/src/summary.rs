//! What came of the kills, as a table.

use std::fmt;

use crate::import::Told;
use crate::plan::{Mode, Plan, Victim};
use crate::stage::State;

#[derive(Default)]
pub(crate) struct Summary(Vec<Row>);

/// One combination.
struct Row {
    rows: i64,
    mode: Mode,
    victim: Victim,
    /// How often the table was left with the old or the new rows.
    old: usize,
    new: usize,
    /// How often the writer was told that, or nothing at all.
    done: usize,
    failed: usize,
    unknown: usize,
    nothing: usize,
}

impl Row {
    fn kills(&self) -> usize {
        self.old + self.new
    }
}

impl Summary {
    pub(crate) fn add(&mut self, rows: i64, plan: &Plan, told: &Told, state: State) {
        let (mode, victim) = (plan.mode, plan.way.victim());
        let known = |row: &Row| row.rows == rows && row.mode == mode && row.victim == victim;
        let index = self.0.iter().position(known).unwrap_or_else(|| {
            self.0.push(Row {
                rows,
                mode,
                victim,
                old: 0,
                new: 0,
                done: 0,
                failed: 0,
                unknown: 0,
                nothing: 0,
            });
            self.0.len() - 1
        });
        let row = &mut self.0[index];
        match state {
            State::Old => row.old += 1,
            State::New => row.new += 1,
        }
        match told {
            Told::Done => row.done += 1,
            Told::Failed(_) => row.failed += 1,
            Told::Unknown(_) => row.unknown += 1,
            Told::Nothing { .. } => row.nothing += 1,
        }
    }

    pub(crate) fn kills(&self) -> usize {
        self.0.iter().map(Row::kills).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:36}{:14}the writer was told", "", "rows found")?;
        writeln!(
            f,
            "{:>9}  {:9}{:10}{:>6}{:>6}{:>6}{:>8}{:>8}{:>9}{:>9}",
            "rows", "mode", "killed", "kills", "old", "new", "done", "failed", "unknown", "nothing"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:>9}  {:9}{:10}{:>6}{:>6}{:>6}{:>8}{:>8}{:>9}{:>9}",
                row.rows,
                row.mode.to_string(),
                row.victim.to_string(),
                row.kills(),
                row.old,
                row.new,
                row.done,
                row.failed,
                row.unknown,
                row.nothing
            )?;
        }
        Ok(())
    }
}
