//! Watching a run: a line for each step, and the questions it asks.

use std::fs::File;
use std::io::{IsTerminal, Write};

use dagflux_host::operation::{Observer, Question, Record, Step};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::show;
use crate::interrupt::Commit;
use crate::output::progress::Progress;
use crate::output::{self, duration, printable, rows};

/// Watches a run.
pub struct Watch<'c> {
    pub json: bool,
    pub yes: bool,
    pub every_row: bool,
    pub rehearse: bool,
    /// Where a line of JSON for each step goes, too.
    pub log: Option<File>,
    pub progress: Option<Progress>,
    /// Which comes first: the commit, or the wish to stop.
    pub commit: &'c Commit,
    /// Whether a question found nobody to answer.
    pub unanswered: bool,
    /// The first failure to write.
    pub failure: Option<anyhow::Error>,
}

impl Watch<'_> {
    fn attempt(&mut self, written: anyhow::Result<()>) {
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }

    /// Whether somebody is there to answer.
    fn is_attended(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && console::user_attended_stderr()
    }

    async fn question(&mut self, text: &str) -> bool {
        if !self.is_attended() {
            self.unanswered = true;
            return false;
        }
        eprint!("{text} [y/N] ");
        let _ = std::io::stderr().flush();
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }

    async fn answer(&mut self, question: Question<'_>) -> bool {
        match question {
            Question::Apply(rehearsal) => {
                let shown = match self.json {
                    true => show::rehearsal_json(rehearsal)
                        .and_then(|shown| output::json(&json!({ "rehearsal": shown }))),
                    false => show::rehearsal(rehearsal),
                };
                self.attempt(shown);
                // What nobody could look at is not meant by anybody.
                if self.failure.is_some() {
                    return false;
                }
                match (self.rehearse, self.yes) {
                    (true, _) => false,
                    (false, true) => true,
                    (false, false) => self.question("do this?").await,
                }
            }
            Question::EveryRow(change) => {
                let counted = rows(change.rows.unwrap_or_default());
                let sql = printable(change.sql.trim());
                self.every_row
                    || self
                        .question(&format!(
                            "every row of the table is touched ({counted}) by: {sql}\nis that meant?"
                        ))
                        .await
            }
            _ => false,
        }
    }
}

impl Observer for Watch<'_> {
    fn begins(&mut self, _: usize, step: &Step) {
        if !self.json {
            self.progress = Some(Progress::new(step.estimated_rows));
        }
    }

    fn progress(&mut self, rows: u64) {
        if let Some(progress) = &mut self.progress {
            progress.reach(rows);
        }
    }

    fn ended(&mut self, record: &Record) {
        drop(self.progress.take());
        if let Some(log) = &mut self.log {
            let written = serde_json::to_writer(&mut *log, record)
                .map_err(anyhow::Error::from)
                .and_then(|()| Ok(log.write_all(b"\n")?));
            self.attempt(written);
        }
        if self.json {
            let written = output::json(&json!({ "step": record }));
            self.attempt(written);
            return;
        }
        let mark = match (&record.error, record.rehearsal) {
            (Some(_), _) => console::style("failed").red(),
            (None, true) => console::style("rehearsed").dim(),
            (None, false) => console::style("done").green(),
        };
        let counted = record.rows.map(rows).unwrap_or_default();
        eprintln!(
            "{:>3}  {:<10} {}  {counted}  {}",
            record.step,
            mark,
            printable(&record.what),
            console::style(duration(record.duration)).dim()
        );
    }

    fn confirms<'a>(&'a mut self, question: Question<'a>) -> BoxFuture<'a, bool> {
        self.answer(question).boxed()
    }

    fn commits(&mut self) -> bool {
        self.commit.begin().is_ok()
    }
}
