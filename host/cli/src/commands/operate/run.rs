//! `run`: carries an operation out.

use std::fs::File;
use std::time::Instant;

use anyhow::Context as _;
use dagflux_host::operation::{Done, Failure as Failed, Settings};
use dagflux_host::{Canceller, Connection};
use serde_json::json;

use super::watch::Watch;
use super::{failed, prepare, show};
use crate::args::RunArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::{Commit, or_interrupt, or_interrupt_commit};
use crate::output::{self, duration, rows};

/// Runs the command.
///
/// # Errors
/// When anything fails; nothing was changed then, unless the error says that this is not known.
pub async fn run(context: &Context, args: &RunArgs) -> anyhow::Result<Exit> {
    let operation = prepare::operation(&args.operation.file)?;
    let log = args.log.as_ref().map(|path| {
        let file = File::options().append(true).create(true).open(path);
        file.with_context(|| format!("cannot write {}", path.display()))
    });
    let commit = Commit::default();
    let mut watch = Watch {
        json: context.json,
        yes: args.yes,
        every_row: args.every_row,
        rehearse: args.rehearse,
        log: log.transpose()?,
        progress: None,
        commit: &commit,
        unanswered: false,
        failure: None,
    };
    let settings = Settings::default()
        .with_losses(args.losses.policy())
        .with_shown(args.rows);
    let began = Instant::now();
    let resources = or_interrupt(
        None,
        prepare::resources(context, &operation, &args.operation),
    )
    .await?;
    let connections = resources.connections.values();
    let cancellers: Vec<Canceller> = connections.map(Connection::canceller).collect();
    let work = async {
        let run = dagflux_host::operation::run(&operation, resources, &settings, &mut watch);
        run.await.map_err(Ended).map_err(anyhow::Error::from)
    };
    let outcome = match cancellers.is_empty() {
        true => or_interrupt(None, work).await,
        false => or_interrupt_commit(cancellers, &commit, work).await,
    };
    drop(watch.progress.take());
    let done = match outcome.map_err(|error| error.downcast::<Ended>()) {
        Ok(done) => done,
        Err(Ok(Ended(Failed::Declined))) if watch.failure.is_some() => {
            let error = watch
                .failure
                .unwrap_or_else(|| Failure::interrupted().into());
            return Err(error.context("nothing was changed: the rehearsal could not be shown"));
        }
        Err(Ok(Ended(Failed::Declined))) if args.rehearse => return Ok(Exit::Success),
        Err(Ok(Ended(Failed::Declined))) if watch.unanswered => {
            return Err(unanswered(args).into());
        }
        Err(Ok(Ended(failure))) => return Err(failed::failure(failure)),
        Err(Err(error)) => return Err(error),
    };
    let told = finished(context, &done, began);
    let written = watch.failure.map_or(Ok(()), Err).and(told);
    written.context("the operation was carried out, but what it did could not all be written")?;
    Ok(Exit::Success)
}

/// How a run ended, on its way through.
#[derive(Debug)]
struct Ended(Failed);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Ended {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The failure of a question that found nobody to answer.
fn unanswered(args: &RunArgs) -> Failure {
    let (message, hint) = match args.yes {
        true => (
            "a statement touches every row of the table: nothing was changed",
            "if that is meant, add --every-row",
        ),
        false => (
            "it was rehearsed only, since nobody is there to say that it is meant: nothing was changed",
            "look at the rehearsal, and add --yes to have it done",
        ),
    };
    Failure::usage(message).hint(hint)
}

fn finished(context: &Context, done: &Done, began: Instant) -> anyhow::Result<()> {
    let preview = done.preview.first();
    if context.json {
        return output::json(&json!({ "done": {
            "rows": done.rows,
            "seconds": began.elapsed().as_secs_f64(),
            "preview": show::rows_json(preview)?,
            "losses": done.losses,
        }}));
    }
    if let Some(preview) = preview {
        output::rows::print_batch(preview)?;
    }
    eprintln!("{}, {}", rows(done.rows), duration(began.elapsed()));
    output::losses::print(&done.losses);
    Ok(())
}
