//! Progress of an export or an import, on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows rows, bytes and rate while rows move. Without a terminal it is silent.
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    rows: u64,
}

impl Progress {
    /// Begins. `expected` is how many rows there will be, if that is known.
    pub fn new(expected: Option<u64>) -> Self {
        // Hides itself when standard error is no terminal.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if Self::visible() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let progress = Progress {
            bar,
            began: Instant::now(),
            rows: 0,
        };
        progress.expect(expected);
        progress
    }

    /// How many rows there will be, if that is known.
    pub fn expect(&self, expected: Option<u64>) {
        let template = match expected {
            Some(_) => "{bar:24} {percent:>3}%  {msg}  {elapsed}",
            None => "{spinner} {msg}  {elapsed}",
        };
        if let Some(rows) = expected {
            self.bar.set_length(rows);
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// Whether anybody sees it.
    pub fn visible() -> bool {
        console::user_attended_stderr()
    }

    /// Some more rows have moved; `bytes` of the file in all.
    pub fn advance(&mut self, rows: u64, bytes: u64) {
        self.rows += rows;
        // An estimate may be too low; the bar then stays full.
        self.bar.set_position(
            self.bar
                .length()
                .map_or(self.rows, |length| self.rows.min(length)),
        );
        let rate = rate(self.rows, self.began.elapsed());
        self.bar.set_message(format!(
            "{}  {}  {rate}",
            super::rows(self.rows),
            super::size(bytes)
        ));
    }

    /// So many rows have moved in all.
    pub fn reach(&mut self, rows: u64) {
        self.rows = rows;
        let length = self.bar.length();
        self.bar
            .set_position(length.map_or(rows, |length| rows.min(length)));
        let rate = rate(rows, self.began.elapsed());
        self.bar
            .set_message(format!("{}  {rate}", super::rows(rows)));
    }

    /// All rows have moved, and something else goes on.
    pub fn phase(&self, what: &str) {
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
            self.bar.set_style(style);
        }
        self.bar
            .set_message(format!("{}  {what}", super::rows(self.rows)));
    }

    /// The rows that have moved.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How long it has taken.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Removes the bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Rows a second, for people.
pub fn rate(rows: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    // Precise enough for a rate, and never negative.
    format!(
        "{} rows/s",
        super::thousands((rows as f64 / seconds) as u64)
    )
}
