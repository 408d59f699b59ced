//! Operations, against a real server.

mod in_place;
mod join;
mod prompt;
mod review;
mod tpch;
mod transform;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use dagflux_host::operation::{
    self, ChangeRehearsed, Document, Done, Failure, Observer, Operation, Question, Record,
    Rehearsal, Resources, Settings,
};
use dagflux_host::workspace::{Options, Workspace};
use dagflux_host::{Connection, ErrorKind};
use dagflux_test_support::Database;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::Value;

use crate::assertions::value;
use crate::fixture;

/// The operation in a document.
fn operation(document: &Value) -> Operation {
    let document = Document::parse(&document.to_string()).expect("it is a document");
    document.operation().expect("it keeps to the rules")
}

/// Connections by name.
fn connections<const N: usize>(named: [(&str, Connection); N]) -> Resources {
    Resources {
        connections: BTreeMap::from(named.map(|(name, connection)| (name.to_owned(), connection))),
        ..Resources::default()
    }
}

/// Says yes or no, and remembers what it saw.
#[derive(Default)]
struct Watch {
    apply: bool,
    every_row: bool,
    records: Vec<Record>,
    rehearsal: Option<Rehearsal>,
    asked_again: Vec<String>,
}

impl Watch {
    fn says_yes() -> Self {
        Self {
            apply: true,
            ..Self::default()
        }
    }
}

impl Observer for Watch {
    fn ended(&mut self, record: &Record) {
        self.records.push(record.clone());
    }

    fn confirms<'a>(&'a mut self, question: Question<'a>) -> BoxFuture<'a, bool> {
        let answer = match question {
            Question::Apply(rehearsal) => {
                self.rehearsal = Some(rehearsal.clone());
                self.apply
            }
            Question::EveryRow(ChangeRehearsed { sql, .. }) => {
                self.asked_again.push(sql.clone());
                self.every_row
            }
            _ => false,
        };
        ready(answer).boxed()
    }
}

/// Plans and runs an operation.
async fn plan_and_run(
    operation: &Operation,
    mut resources: Resources,
    watch: &mut Watch,
) -> std::result::Result<Done, Failure> {
    let plan = operation::plan(operation, &mut resources).await?;
    assert!(plan.can_run(), "{:#?} {:#?}", plan.review, plan.drift);
    let done = operation::run(operation, resources, &Settings::default(), watch).await;
    if done.is_ok() {
        let planned = plan.steps.iter().map(|step| step.action.as_str());
        let done = watch.records.iter().filter(|record| !record.rehearsal);
        let done: Vec<_> = done.map(|record| record.action.as_str()).collect();
        // Within the workspace, the table, its rows and the commit are one call.
        if done != ["store", "preview"] {
            assert_eq!(planned.collect::<Vec<_>>(), done);
        }
    }
    done
}

/// All rows of a table of the workspace.
fn local(workspace: &Workspace, sql: &str) -> Result<Vec<RecordBatch>> {
    let rows = workspace.query(sql, &Options::new())?;
    rows.collect::<dagflux_host::Result<_>>()
        .context("reading the workspace")
}
