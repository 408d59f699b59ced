//! What is told of a run while it goes on.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::{Serialize, Serializer};

use super::rehearsal::{ChangeRehearsed, Rehearsal};
use super::{Failure, Step};
use crate::error::Error;

/// One step of a run, as it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Record {
    /// The operation.
    pub id: String,
    /// Whether it was part of a rehearsal, so that it was rolled back.
    pub rehearsal: bool,
    /// Its number, from 1.
    pub step: usize,
    /// What was done.
    pub action: super::steps::Action,
    /// Where: the connection; none is the workspace.
    pub connection: Option<String>,
    /// What was done, as a sentence.
    pub what: String,
    /// How many rows it was about.
    pub rows: Option<u64>,
    /// How long it took.
    #[serde(rename = "duration-ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// What has to be meant before an operation in place is done.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Question<'r> {
    /// What the rehearsal shows.
    Apply(&'r Rehearsal),
    /// That a statement touches every row of the table.
    EveryRow(&'r ChangeRehearsed),
}

/// Watches a run, and answers what it asks.
pub trait Observer: Send {
    /// A step begins, `number` being its number from 1.
    fn begins(&mut self, number: usize, step: &Step) {
        let _ = (number, step);
    }

    /// So many rows have passed in the step that is going on.
    fn progress(&mut self, rows: u64) {
        let _ = rows;
    }

    /// A step ended.
    fn ended(&mut self, record: &Record) {
        let _ = record;
    }

    /// Whether it is meant. No transaction is open meanwhile.
    fn confirms<'a>(&'a mut self, question: Question<'a>) -> BoxFuture<'a, bool>;

    /// Whether to go on and commit: the last moment to say no.
    fn commits(&mut self) -> bool {
        true
    }
}

/// Takes down the steps of a run.
pub(super) struct Recorder<'o> {
    id: String,
    observer: &'o mut dyn Observer,
    pub(super) rehearsal: bool,
}

/// A step that goes on.
pub(super) struct Going {
    number: usize,
    began: Instant,
}

impl<'o> Recorder<'o> {
    pub(super) fn new(id: &str, observer: &'o mut dyn Observer) -> Self {
        Self {
            id: id.to_owned(),
            observer,
            rehearsal: false,
        }
    }

    pub(super) fn begin(&mut self, at: usize, step: &Step) -> Going {
        let number = at.saturating_add(1);
        self.observer.begins(number, step);
        Going {
            number,
            began: Instant::now(),
        }
    }

    pub(super) fn progress(&mut self, rows: u64) {
        self.observer.progress(rows);
    }

    /// Takes down how a step ended.
    pub(super) fn end<T>(
        &mut self,
        going: Going,
        step: &Step,
        outcome: Result<T, Error>,
        rows: impl FnOnce(&T) -> Option<u64>,
    ) -> Result<T, Failure> {
        let Going { number, began } = going;
        self.observer.ended(&Record {
            id: self.id.clone(),
            rehearsal: self.rehearsal,
            step: number,
            action: step.action,
            connection: step.connection.clone(),
            what: step.what.clone(),
            rows: outcome.as_ref().ok().and_then(rows),
            duration: began.elapsed(),
            error: outcome.as_ref().err().map(ToString::to_string),
        });
        outcome.map_err(|error| Failure::Step {
            number,
            step: Box::new(step.clone()),
            error,
        })
    }

    /// Whether what was rehearsed is to be done: asked for as a whole, and again for each statement
    /// that touches every row.
    pub(super) async fn is_confirmed(&mut self, rehearsal: &Rehearsal) -> bool {
        if !self.observer.confirms(Question::Apply(rehearsal)).await {
            return false;
        }
        for change in &rehearsal.changes {
            if change.every_row && !self.observer.confirms(Question::EveryRow(change)).await {
                return false;
            }
        }
        true
    }

    /// Makes sure that the operation is still wanted, before what cannot be undone.
    pub(super) fn before_commit(&mut self) -> Result<(), Failure> {
        match self.observer.commits() {
            true => Ok(()),
            false => Err(Failure::Stopped),
        }
    }
}
