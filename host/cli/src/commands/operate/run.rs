//! `run`: carries an operation out.

use std::fs::File;
use std::time::Instant;

use anyhow::Context as _;
use dagflux_host::operation::{Done, Failure as Failed, Settings};
use serde_json::json;

use super::watch::Watch;
use super::{failed, prepare, show};
use crate::args::RunArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::or_interrupt;
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
    let mut watch = Watch {
        json: context.json,
        yes: args.yes,
        every_row: args.every_row,
        rehearse: args.rehearse,
        log: log.transpose()?,
        progress: None,
        failure: None,
    };
    let settings = Settings::default()
        .with_losses(args.losses.policy())
        .with_shown(args.rows);
    let began = Instant::now();
    let outcome = or_interrupt(None, async {
        let resources = prepare::resources(context, &operation, &args.operation).await?;
        let run = dagflux_host::operation::run(&operation, resources, &settings, &mut watch);
        Ok(run.await)
    })
    .await?;
    drop(watch.progress.take());
    let done = match outcome {
        Ok(done) => done,
        Err(Failed::Declined) if args.rehearse => return Ok(Exit::Success),
        Err(Failed::Declined) if args.yes => {
            return Err(Failure::new(
                Exit::Interrupted,
                "declined",
                "a statement touches every row of the table: nothing was changed",
            )
            .hint("if that is meant, add --every-row")
            .into());
        }
        Err(failure) => return Err(failed::failure(failure)),
    };
    finished(context, &done, began)?;
    match watch.failure {
        Some(error) => Err(error),
        None => Ok(Exit::Success),
    }
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
