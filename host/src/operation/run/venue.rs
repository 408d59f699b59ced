//! The steps that are one transaction on one connection.

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;

use super::record::Recorder;
use super::rehearsal::Rehearsal;
use super::sources::{Incoming, Sources};
use super::{Done, Effect, Failure, Settings, first};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Merging;
use crate::operation::steps::{Step, Task};
use crate::transaction::Transaction;
use crate::types::{
    Duplicates, Loss, LossPolicy, OnLoss, TableName, TransactionOptions, WriteMode, WriteOptions,
};

/// Carries the steps out. With a rehearsal, each has to change as many rows as it did there.
pub(super) async fn run(
    steps: &[Step],
    connection: &mut Connection,
    rehearsal: Option<&Rehearsal>,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> std::result::Result<Done, Failure> {
    carry_out(steps, connection, None, rehearsal, settings, recorder).await
}

/// Carries the steps of a join out.
pub(super) async fn join(
    steps: &[Step],
    connection: &mut Connection,
    sources: Sources,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> std::result::Result<Done, Failure> {
    let sources = Some(sources);
    carry_out(steps, connection, sources, None, settings, recorder).await
}

async fn carry_out(
    steps: &[Step],
    connection: &mut Connection,
    mut sources: Option<Sources>,
    rehearsal: Option<&Rehearsal>,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> std::result::Result<Done, Failure> {
    let mut transaction = connection
        .transaction(TransactionOptions::default())
        .await?;
    let mut done = Done {
        rows: 0,
        preview: Vec::new(),
        losses: Vec::new(),
        rehearsal: None,
    };
    for (at, step) in steps.iter().enumerate() {
        let going = recorder.begin(at, step);
        if step.task == Task::Commit {
            recorder.before_commit()?;
            let outcome = transaction.commit().await;
            recorder.end(going, step, outcome, |()| None)?;
            return Ok(done);
        }
        let outcome = match &step.task {
            Task::Load { source, table } => {
                let incoming = match &mut sources {
                    Some(sources) => sources.take(*source).await,
                    None => Err(misplaced()),
                };
                match incoming {
                    Ok(incoming) => {
                        load(
                            incoming,
                            table,
                            &mut transaction,
                            &mut done.losses,
                            recorder,
                        )
                        .await
                    }
                    Err(error) => Err(error),
                }
            }
            Task::Preview { .. } => {
                let shown = preview(step, &mut transaction, settings.shown).await;
                shown.map(|shown| {
                    done.preview = shown;
                    Effect::default()
                })
            }
            _ => carry_out_one(step, &mut transaction).await,
        };
        let effect = match recorder.end(going, step, outcome, |effect| effect.rows) {
            // What is there is there, whether or not it can be shown.
            Err(_) if matches!(step.task, Task::Preview { .. }) => Effect::default(),
            effect => effect?,
        };
        let rehearsed = rehearsal.and_then(|rehearsal| rehearsal.changes.get(at));
        if let Some(rehearsed) = rehearsed
            && rehearsed.rows != effect.rows
        {
            return Err(Failure::Unequal {
                step: at.saturating_add(1),
                rehearsed: rehearsed.rows,
                changed: effect.rows,
            });
        }
        if matches!(step.task, Task::Execute(_) | Task::Store { .. }) {
            done.rows = done.rows.saturating_add(effect.rows.unwrap_or(0));
        }
    }
    // Every operation ends with a commit.
    Err(misplaced().into())
}

/// Carries out a step that is one call.
pub(super) async fn carry_out_one(
    step: &Step,
    transaction: &mut Transaction<'_>,
) -> Result<Effect> {
    match &step.task {
        Task::Execute(sql) => {
            let outcome = transaction.execute(sql).await?;
            Ok(Effect { rows: outcome.rows })
        }
        Task::Create { sql, table } => {
            transaction.execute(sql).await?;
            // Whatever the statement was, it has made the table.
            let columns = transaction
                .columns(table.schema.as_deref(), Some(&table.name))
                .await;
            match columns {
                Ok(_) => Ok(Effect::default()),
                Err(error) if error.kind() == ErrorKind::TableNotFound => Err(Error::new(
                    ErrorKind::UnsupportedStatement,
                    format!("the statement has not made {table}"),
                )
                .with_hint("let `statements.create` make the table that `target` names")),
                Err(error) => Err(error),
            }
        }
        Task::Comment { source, to } => {
            transaction.copy_comments(source, to).await?;
            Ok(Effect::default())
        }
        Task::Store {
            sql,
            table,
            merging,
        } => {
            let mode = match merging {
                Merging::NewTable => WriteMode::Create,
                Merging::ByKey(key) => WriteMode::Upsert {
                    key: key.clone(),
                    duplicates: Duplicates::Fail,
                },
            };
            let report = transaction
                .store(sql, table, WriteOptions::new(mode))
                .await?;
            let rows = report.inserted.saturating_add(report.updated);
            Ok(Effect { rows: Some(rows) })
        }
        Task::Load { .. }
        | Task::Keep { .. }
        | Task::CreateLocal(_)
        | Task::Preview { .. }
        | Task::Commit => Err(misplaced()),
    }
}

/// Loads a source into a temporary table.
async fn load(
    mut incoming: Incoming,
    table: &str,
    transaction: &mut Transaction<'_>,
    losses: &mut Vec<Loss>,
    recorder: &mut Recorder<'_>,
) -> Result<Effect> {
    let options = WriteOptions::new(WriteMode::Temporary);
    let table = TableName::new(table);
    let mut sink = transaction
        .write(&table, incoming.schema.clone(), options)
        .await?;
    let mut rows = 0_u64;
    while let Some(batch) = incoming.next().await? {
        sink.write(&batch).await?;
        rows = rows.saturating_add(batch.num_rows() as u64);
        recorder.progress(rows);
    }
    // Silence is not the end of a source.
    losses.extend(incoming.losses().await?);
    sink.finish().await?;
    Ok(Effect { rows: Some(rows) })
}

/// The first rows of the result.
async fn preview(
    step: &Step,
    transaction: &mut Transaction<'_>,
    most: u32,
) -> Result<Vec<RecordBatch>> {
    let Task::Preview { sql, table } = &step.task else {
        return Ok(Vec::new());
    };
    let mut rows = match sql {
        Some(sql) => transaction.query_with(sql, shown_as()).await?,
        None => transaction.preview_with(table, most, shown_as()).await?,
    };
    let schema = rows.schema().clone();
    let batch = rows.try_next().await?;
    let batch = batch.unwrap_or_else(|| RecordBatch::new_empty(schema));
    Ok(vec![first(batch, most)])
}

/// How rows are had that are only shown: whatever they are.
pub(super) fn shown_as() -> LossPolicy {
    LossPolicy::new(OnLoss::Text)
}

/// Steps that do not go together.
fn misplaced() -> Error {
    Error::new(ErrorKind::Internal, "a step of another kind of operation")
        .with_hint("report it, with the operation")
}
