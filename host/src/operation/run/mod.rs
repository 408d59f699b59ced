//! Carrying out an operation: what its plan shows, and nothing else.
//!
//! What changes a server happens in one transaction there, and what changes the workspace in one
//! transaction there; so what fails, or is given up on the way, leaves nothing behind.

mod local;
mod record;
mod rehearsal;
mod sources;
mod venue;

use arrow_array::RecordBatch;
use serde::Serialize;

pub use record::{Observer, Question, Record};
pub use rehearsal::{ChangeRehearsed, Rehearsal, Sample};

use super::drift::{self, Drift};
use super::resources::Resources;
use super::review::{self, Review};
use super::steps::{self, Step};
use super::{Operation, Origin, Transform, Transformation};
use crate::error::Error;
use crate::types::{Loss, LossPolicy};
use record::Recorder;

/// How to run an operation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What becomes of values that do not survive the way from one place to another.
    pub losses: LossPolicy,
    /// How many rows of the result, and of what a rehearsal changes, are shown. Default: 5.
    pub shown: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            losses: LossPolicy::default(),
            shown: 5,
        }
    }
}

impl Settings {
    /// Sets what becomes of values that do not survive the way.
    pub fn with_losses(mut self, losses: LossPolicy) -> Self {
        self.losses = losses;
        self
    }

    /// Sets how many rows are shown.
    pub fn with_shown(mut self, rows: u32) -> Self {
        self.shown = rows;
        self
    }
}

/// An operation that was carried out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Done {
    /// How many rows the result has, or were changed.
    pub rows: u64,
    /// The first rows of the result.
    pub preview: Vec<RecordBatch>,
    /// What was not carried as it is.
    pub losses: Vec<Loss>,
    /// What the rehearsal showed, of an operation in place.
    pub rehearsal: Option<Rehearsal>,
}

/// Why an operation was not carried out. Nothing was changed, except that after an error of the kind
/// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) it is not known whether all was.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The columns that its statements use are not as they were.
    Drift(Vec<Drift>),
    /// The review found errors in its statements.
    Refused(Review),
    /// It was rehearsed, and the answer was no.
    Declined,
    /// It was told to stop before it was committed.
    Stopped,
    /// It changed another number of rows than in its rehearsal.
    Unequal {
        /// The step, from 1.
        step: usize,
        /// How many rows it changed in the rehearsal.
        rehearsed: Option<u64>,
        /// How many it changed then.
        changed: Option<u64>,
    },
    /// A step failed.
    Step {
        /// Its number, from 1.
        number: usize,
        /// The step.
        step: Box<Step>,
        /// Why.
        error: Error,
    },
    /// It failed before the first step.
    Before(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Drift(drift) => {
                let sources: Vec<&str> = drift.iter().map(|drift| drift.source.as_str()).collect();
                write!(f, "columns have changed: {}", sources.join(", "))
            }
            Self::Refused(_) => f.write_str("the statements are not fit to be run"),
            Self::Declined => f.write_str("it was rehearsed only: nothing was changed"),
            Self::Stopped => f.write_str("it was stopped: nothing was changed"),
            Self::Unequal {
                step,
                rehearsed,
                changed,
            } => {
                let told =
                    |rows: &Option<u64>| rows.map_or("unknown".to_owned(), |n| n.to_string());
                write!(
                    f,
                    "step {step} changed {} rows in the rehearsal and {} now: it was rolled back",
                    told(rehearsed),
                    told(changed)
                )
            }
            Self::Step {
                number,
                step,
                error,
            } => {
                write!(f, "step {number} ({}) failed: {error}", step.what)
            }
            Self::Before(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Step { error, .. } | Self::Before(error) => Some(error),
            _ => None,
        }
    }
}

/// Carries out an operation: looks whether its sources are as its statements know them and whether
/// the statements are fit to be run, and then does the steps of its [`plan`](super::plan).
///
/// An operation in place is rehearsed first, in a transaction that is rolled back, and done only if
/// `observer` says so.
///
/// Dropping the future ends the operation, which leaves nothing behind.
///
/// # Errors
///
/// See [`Failure`].
pub async fn run(
    operation: &Operation,
    mut resources: Resources,
    settings: &Settings,
    observer: &mut dyn Observer,
) -> Result<Done, Failure> {
    unchanged(drift::of(operation, &mut resources).await?)?;
    let review = review::review(operation, &mut resources).await?;
    if !review.passes() {
        return Err(Failure::Refused(review));
    }
    let steps = steps::steps(operation);
    match operation {
        Operation::Transform(Transform { id, work, .. }) => {
            let mut recorder = Recorder::new(id, observer);
            match work {
                Transformation::Local { source, .. } => match source {
                    Origin::Table(source) => {
                        let connection = resources.take_connection(&source.connection)?;
                        let workspace = resources.workspace()?.clone();
                        local::remote(&steps, connection, workspace, settings, &mut recorder).await
                    }
                    Origin::Workspace(_) | Origin::File(_) => {
                        let workspace = resources.workspace()?.clone();
                        local::within(&steps, workspace, settings, &mut recorder).await
                    }
                },
                Transformation::NewTable { source, .. } => {
                    let connection = resources.connection(&source.connection)?;
                    venue::run(&steps, connection, None, settings, &mut recorder).await
                }
                Transformation::InPlace { source, .. } => {
                    let connection = resources.connection(&source.connection)?;
                    let rehearsal = rehearsal::rehearse(
                        id,
                        &steps,
                        &source.table,
                        connection,
                        settings,
                        &mut recorder,
                    )
                    .await?;
                    if !recorder.is_confirmed(&rehearsal).await {
                        return Err(Failure::Declined);
                    }
                    // It may have taken a while to answer.
                    unchanged(drift::of(operation, &mut resources).await?)?;
                    let connection = resources.connection(&source.connection)?;
                    let done = venue::run(
                        &steps,
                        connection,
                        Some(&rehearsal),
                        settings,
                        &mut recorder,
                    );
                    done.await.map(|done| Done {
                        rehearsal: Some(rehearsal),
                        ..done
                    })
                }
            }
        }
        Operation::Join(join) => {
            let mut connection = resources.take_connection(&join.target.connection)?;
            let mut recorder = Recorder::new(&join.id, observer);
            let sources = sources::open(join, &mut resources, settings)?;
            venue::join(&steps, &mut connection, sources, settings, &mut recorder).await
        }
    }
}

fn unchanged(drift: Vec<Drift>) -> Result<(), Failure> {
    if !drift.is_empty() {
        return Err(Failure::Drift(drift));
    }
    Ok(())
}

/// A list of rows, cut off.
fn first(batch: RecordBatch, most: u32) -> RecordBatch {
    let rows = batch
        .num_rows()
        .min(usize::try_from(most).unwrap_or(usize::MAX));
    batch.slice(0, rows)
}

/// What a step came to: how many rows it was about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Effect {
    rows: Option<u64>,
}
