//! The end of the demonstration.

use std::fmt;
use std::time::Duration;

use console::style;

use crate::session::Cost;

/// What was shown and what it cost.
pub(crate) struct Summary {
    /// The rows that were exported and imported.
    pub(crate) rows: u64,
    /// The size of the exported file in bytes.
    pub(crate) file: u64,
    pub(crate) export: Cost,
    pub(crate) import: Cost,
    /// The whole demonstration.
    pub(crate) total: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = style("✓").green();
        for shown in [
            "a connector loaded from a file, and described before any connection",
            "a login by SCRAM-SHA-256, bound to an encrypted channel, with a password the connector never held",
            "discovery: tables and views, columns, types and keys",
            "a preview, a query, and a statement that the server itself refused to let change anything",
            "errors that end with the next step",
            "a table streamed to Parquet and back into a new table, the same to the last value",
            "writes that change by key or replace, tried first without a change",
            "values that Arrow cannot hold: refused or, if so chosen, counted",
        ] {
            writeln!(f, "  {mark} {shown}")?;
        }
        writeln!(
            f,
            "\n  {:<10}{:>10}{:>10}{:>14}{:>16}",
            "", "rows", "time", "rows/s", "peak memory"
        )?;
        for (name, cost) in [("export", &self.export), ("import", &self.import)] {
            let seconds = cost.time.as_secs_f64();
            let rate = thousands((self.rows as f64 / seconds) as u64);
            let memory = cost
                .memory
                .map_or_else(|| "not known".to_owned(), mebibytes);
            writeln!(
                f,
                "  {name:<10}{:>10}{:>10}{rate:>14}{memory:>16}",
                thousands(self.rows),
                format!("{seconds:.2} s"),
            )?;
        }
        for (name, cost) in [("export", &self.export), ("import", &self.import)] {
            if let Some(sandbox) = &cost.sandbox {
                writeln!(f, "\n  the sandbox of the {name}: {sandbox}")?;
            }
        }
        writeln!(f, "\n  lineitem.parquet    {}", mebibytes(self.file))?;
        write!(f, "  the whole demo      {:.1} s", self.total.as_secs_f64())
    }
}

/// A number with commas between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
