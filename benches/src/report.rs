//! What was measured, for people and for machines.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// All measurements of a run.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// One measurement beside its bar.
#[derive(Serialize)]
struct Row {
    what: String,
    /// What ours is compared with, if with anything.
    reference: Option<f64>,
    ours: f64,
    /// `ours` by `reference`.
    ratio: Option<f64>,
    unit: &'static str,
    bar: String,
    holds: bool,
}

impl Report {
    /// Times, medians in milliseconds: ours may be `most` times the reference.
    pub(crate) fn compare(&mut self, what: &str, reference: Duration, ours: Duration, most: f64) {
        let (reference, ours) = (milliseconds(reference), milliseconds(ours));
        let ratio = ours / reference;
        self.rows.push(Row {
            what: what.to_owned(),
            reference: Some(reference),
            ours,
            ratio: Some(ratio),
            unit: "ms",
            bar: format!("at most {most} x"),
            holds: ratio <= most,
        });
    }

    /// Amounts of which more is better: ours has to be `least` times the reference.
    pub(crate) fn share(
        &mut self,
        what: &str,
        reference: f64,
        ours: f64,
        least: f64,
        unit: &'static str,
    ) {
        let ratio = ours / reference;
        self.rows.push(Row {
            what: what.to_owned(),
            reference: Some(reference),
            ours,
            ratio: Some(ratio),
            unit,
            bar: format!("at least {least} x"),
            holds: ratio >= least,
        });
    }

    /// A figure without a bar.
    pub(crate) fn figure(&mut self, what: &str, ours: f64, unit: &'static str) {
        self.rows.push(Row {
            what: what.to_owned(),
            reference: None,
            ours,
            ratio: None,
            unit,
            bar: String::new(),
            holds: true,
        });
    }

    /// A time, in milliseconds, of at most `most`.
    pub(crate) fn time(&mut self, what: &str, ours: Duration, most: Duration) {
        self.amount(what, milliseconds(ours), milliseconds(most), "ms");
    }

    /// An amount of at most `most`.
    pub(crate) fn amount(&mut self, what: &str, ours: f64, most: f64, unit: &'static str) {
        self.rows.push(Row {
            what: what.to_owned(),
            reference: None,
            ours,
            ratio: None,
            unit,
            bar: format!("at most {most} {unit}"),
            holds: ours <= most,
        });
    }

    /// Whether ours stays within every bar.
    pub(crate) fn all_hold(&self) -> bool {
        self.rows.iter().all(|row| row.holds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<47}{:>14}{:>14}{:>8}  {:<18}holds",
            "", "reference", "ours", "ratio", "bar"
        )?;
        for row in &self.rows {
            let amount = |value: f64| format!("{value:.2} {}", row.unit);
            writeln!(
                f,
                "{:<47}{:>14}{:>14}{:>8}  {:<18}{}",
                row.what,
                row.reference.map_or_else(String::new, amount),
                amount(row.ours),
                row.ratio
                    .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                row.bar,
                if row.holds { "yes" } else { "NO" },
            )?;
        }
        Ok(())
    }
}

/// The middle of `times`; of an even number, the upper of the two.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
