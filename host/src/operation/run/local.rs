//! The steps whose result is in the workspace.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::TryStreamExt;
use tokio::sync::mpsc;

use super::record::Recorder;
use super::{Done, Failure, Settings, first};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::steps::{Step, Task};
use crate::operation::{blocking, ended};
use crate::workspace::{Interrupt, Options, Workspace, Written};

/// How many batches wait to be written.
const AHEAD: usize = 2;

/// The steps, in their order.
struct Parts<'s> {
    create: (&'s Step, &'s str),
    keep: (&'s Step, &'s str),
    commit: &'s Step,
    show: &'s Step,
    table: &'s str,
}

/// Interrupts what was begun when it is dropped.
struct Guard(Interrupt);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

fn parts(steps: &[Step]) -> Result<Parts<'_>> {
    if let [create, keep, commit, show] = steps
        && let Task::CreateLocal(made) = &create.task
        && let Task::Keep { select, table } = &keep.task
    {
        return Ok(Parts {
            create: (create, made),
            keep: (keep, select),
            commit,
            show,
            table,
        });
    }
    Err(
        Error::new(ErrorKind::Internal, "steps of another kind of operation")
            .with_hint("report it, with the operation"),
    )
}

/// Reads from a connection and writes to the workspace.
pub(super) async fn remote(
    steps: &[Step],
    mut connection: Connection,
    workspace: Workspace,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> std::result::Result<Done, Failure> {
    let parts = parts(steps)?;
    let guard = Guard(Interrupt::new());
    let (create, made) = parts.create;
    let (keep, select) = parts.keep;

    let going = recorder.begin(0, create);
    let begun = async {
        let losses = settings.losses.clone();
        let stream = connection.query_with(select, losses).await?;
        let schema = stream.schema().clone();
        let writing =
            Writing::begin(&workspace, made, parts.table, schema, settings, &guard.0).await?;
        Ok((stream, writing))
    };
    let (mut stream, mut writing) = recorder.end(going, create, begun.await, |_| None)?;

    let going = recorder.begin(1, keep);
    let passed = async {
        let mut rows = 0_u64;
        while let Some(batch) = stream.try_next().await? {
            rows = rows.saturating_add(batch.num_rows() as u64);
            writing.write(batch).await?;
            recorder.progress(rows);
        }
        Ok(rows)
    };
    let passed = passed.await;
    recorder.end(going, keep, passed, |rows| Some(*rows))?;
    let mut losses = stream.losses().to_vec();

    let going = recorder.begin(2, parts.commit);
    recorder.before_commit()?;
    let written = recorder.end(going, parts.commit, writing.finish().await, |_| None)?;
    losses.extend(written.losses);
    Ok(Done {
        rows: written.rows,
        preview: shown(3, parts.show, &workspace, settings, recorder).await,
        losses,
        rehearsal: None,
    })
}

/// Reads from the workspace and writes to it: one call, which makes the table and commits.
pub(super) async fn within(
    steps: &[Step],
    workspace: Workspace,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> std::result::Result<Done, Failure> {
    let parts = parts(steps)?;
    let guard = Guard(Interrupt::new());
    let (keep, select) = parts.keep;
    let going = recorder.begin(1, keep);
    recorder.before_commit()?;
    let (place, options) = (workspace.clone(), options(settings, &guard.0));
    let create = parts.create.1.to_owned();
    let (select, table) = (select.to_owned(), parts.table.to_owned());
    let written = blocking(move || place.create_as(&create, &select, &table, &options)).await;
    let written = recorder.end(going, keep, written, |written| Some(written.rows))?;
    Ok(Done {
        rows: written.rows,
        preview: shown(3, parts.show, &workspace, settings, recorder).await,
        losses: written.losses,
        rehearsal: None,
    })
}

/// What the result looks like. It is there by then, whether or not it can be shown.
async fn shown(
    at: usize,
    step: &Step,
    workspace: &Workspace,
    settings: &Settings,
    recorder: &mut Recorder<'_>,
) -> Vec<RecordBatch> {
    let going = recorder.begin(at, step);
    let rows = show(step, workspace, settings).await;
    recorder
        .end(going, step, rows, |_| None)
        .unwrap_or_default()
}

fn options(settings: &Settings, interrupt: &Interrupt) -> Options {
    Options::new()
        .with_losses(settings.losses.clone())
        .with_interrupt(interrupt.clone())
}

/// The first rows of the result.
async fn show(step: &Step, workspace: &Workspace, settings: &Settings) -> Result<Vec<RecordBatch>> {
    let Task::Preview { sql, table } = &step.task else {
        return Ok(Vec::new());
    };
    let (workspace, sql, table) = (workspace.clone(), sql.clone(), table.name.clone());
    let most = settings.shown;
    blocking(move || {
        let options = Options::new();
        let mut rows = match &sql {
            Some(sql) => workspace.query(sql, &options)?,
            None => workspace.read(&table, &options)?,
        };
        let schema = rows.schema().clone();
        let batch = rows.next_batch()?;
        let batch = batch.unwrap_or_else(|| RecordBatch::new_empty(schema));
        Ok(vec![first(batch, most)])
    })
    .await
}

/// A table of the workspace that is being written, on a thread of its own.
struct Writing {
    /// Batches; the end of them is said.
    batches: mpsc::Sender<Option<RecordBatch>>,
    outcome: tokio::task::JoinHandle<Result<Written>>,
}

impl Writing {
    async fn begin(
        workspace: &Workspace,
        create: &str,
        table: &str,
        schema: SchemaRef,
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let (batches, mut queue) = mpsc::channel::<Option<RecordBatch>>(AHEAD);
        let (begun, ready) = tokio::sync::oneshot::channel();
        let (workspace, options) = (workspace.clone(), options(settings, interrupt));
        let (create, table) = (create.to_owned(), table.to_owned());
        let mut outcome = tokio::task::spawn_blocking(move || {
            let mut writer = workspace.write(&create, &table, schema, &options)?;
            let _ = begun.send(());
            while let Some(batch) = queue.blocking_recv() {
                match batch {
                    Some(batch) => writer.write(&batch)?,
                    None => return writer.finish(),
                }
            }
            Err(Error::new(
                ErrorKind::Cancelled,
                "the rows were given up before their end",
            )
            .with_hint("nothing was written; run it again"))
        });
        if ready.await.is_err() {
            return Err(failure((&mut outcome).await));
        }
        Ok(Self { batches, outcome })
    }

    async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        match self.batches.send(Some(batch)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(failure((&mut self.outcome).await)),
        }
    }

    async fn finish(self) -> Result<Written> {
        let _ = self.batches.send(None).await;
        self.outcome.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Why a thread that writes has ended too early.
fn failure(outcome: std::result::Result<Result<Written>, tokio::task::JoinError>) -> Error {
    match outcome {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => ended(),
    }
}
