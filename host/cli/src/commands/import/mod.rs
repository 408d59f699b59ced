//! `import`: the rows of a file into a table, all or none.
//!
//! The mirror of `export`: a thread reads and decodes, a short channel, and
//! the connection's sink. Dropping the sink rolls back, so that every way out
//! but `finish` leaves the table as it was.

mod advice;
mod summary;
mod types;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arrow_array::RecordBatch;
use dagflux_host::{Connection, ErrorKind};
use tokio::sync::mpsc;

use self::summary::Imported;
use crate::args::{ImportArgs, Mode};
use crate::context::{Context, close};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::formats::{self, Format, Opened, Source, Types, Wanted};
use crate::interrupt::{Commit, or_interrupt, or_interrupt_commit};
use crate::output;
use crate::output::progress::Progress;

/// How many batches may wait to be sent.
const WAITING: usize = 3;

/// How many bytes of Arrow data cross into the connector at once, about.
/// Files have batches of any size; this is well below the transfer limit.
const SLICE_BYTES: usize = 8 * 1024 * 1024;

/// How long after the end of a pipe a signal is waited for, which may have ended the program
/// that wrote to it.
const GRACE: Duration = Duration::from_millis(100);

/// How long the server has to tell the columns of a table that was imported.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command.
///
/// # Errors
/// When anything fails. The table is as it was then, unless the error says that this is
/// not known.
pub async fn run(context: &Context, args: ImportArgs) -> anyhow::Result<()> {
    args.checked()?;
    let mut tries = context.retry().map(|retry| retry.begin());
    loop {
        let error = match attempt(context, &args).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // What lost against another transaction was rolled back, and the file is still there.
        let conflict = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<dagflux_host::Error>())
            .filter(|error| error.kind() == ErrorKind::Conflict && args.file != Path::new("-"));
        let wait = tries
            .as_mut()
            .zip(conflict)
            .and_then(|(tries, error)| tries.after(error));
        match wait {
            Some(wait) => {
                let waited = async {
                    tokio::time::sleep(wait).await;
                    Ok(())
                };
                or_interrupt(None, waited).await?;
            }
            None => return Err(error),
        }
    }
}

async fn attempt(context: &Context, args: &ImportArgs) -> anyhow::Result<()> {
    let (source, format, bytes) = open(args)?;
    let given = types::given(args, format)?;
    let mut connection = context.open(&args.connection).await?;
    let canceller = connection.canceller();
    let commit = Commit::default();
    let mut imported = or_interrupt_commit(vec![canceller], &commit, async {
        let imported = import(&mut connection, args, source, format, &given, &commit).await;
        imported.map_err(|error| match output::error::exit(&error) {
            // Then rows may have been imported.
            Some(Exit::OutcomeUnknown) => error,
            _ => error.context(format!("nothing was imported from {}", args.file.display())),
        })
    })
    .await?;
    imported.bytes = bytes;
    let receipt = connection.receipt();
    if context.json {
        let schema = args.table.schema.as_deref();
        // The import is done; not to know this, or not in time, is none of its failures.
        let columns = or_interrupt(Some(connection.canceller()), async {
            let columns = connection.columns(schema, Some(&args.table.name));
            Ok(tokio::time::timeout(PATIENCE, columns).await??)
        });
        let columns = columns.await.unwrap_or_default();
        close(connection).await;
        let summary = summary::for_machines(args, &imported, &given, &columns, &receipt);
        return output::json(&summary);
    }
    close(connection).await;
    summary::for_people(args, &imported, &receipt);
    Ok(())
}

async fn import(
    connection: &mut Connection,
    args: &ImportArgs,
    source: Source,
    format: Format,
    given: &[(String, String)],
    commit: &Commit,
) -> anyhow::Result<Imported> {
    let progress = Progress::new(None);
    let types = match format {
        Format::Csv | Format::Jsonl => types::of_text(connection, args, given).await?,
        Format::Parquet | Format::Arrow => Types::default(),
    };
    let piped = matches!(source, Source::Pipe(_));
    let wanted = Wanted {
        columns: args.columns.clone(),
        types,
    };
    let decoding = tokio::task::spawn_blocking(move || formats::decoder(format, source, &wanted));
    let opened = decoding.await.context("the decoder stopped")??;
    types::check(args, given, &opened.schema)?;
    let last = LastStep { commit, piped };
    write(connection, args, opened, given, (progress, last)).await
}

/// Opens the file, and tells its format and its size.
fn open(args: &ImportArgs) -> Result<(Source, Format, Option<u64>), Failure> {
    if args.file == Path::new("-") {
        let format = args.format.ok_or_else(|| {
            Failure::usage("standard input does not tell a format")
                .hint("add --format csv, jsonl or arrow")
        })?;
        return Ok((Source::Pipe(Box::new(std::io::stdin())), format, None));
    }
    let format = args
        .format
        .map_or_else(|| Format::of_path(&args.file), Ok)?;
    let unreadable = |error: std::io::Error| {
        Failure::file(format!("cannot read {}: {error}", args.file.display()))
    };
    let file = std::fs::File::open(&args.file).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(
            Failure::file(format!("{} is a folder", args.file.display())).hint("name a file in it"),
        );
    }
    Ok(match metadata.is_file() {
        true => (Source::File(file), format, Some(metadata.len())),
        false => (Source::Pipe(Box::new(file)), format, None),
    })
}

/// The way to the commit.
struct LastStep<'c> {
    commit: &'c Commit,
    /// Whether the rows came through a pipe.
    piped: bool,
}

impl LastStep<'_> {
    /// Goes on only if nobody wants to stop.
    async fn begin(self, dry_run: bool) -> Result<(), Failure> {
        if self.piped {
            // Had a Ctrl-C ended the program that wrote, it would have reached this one as well.
            tokio::time::sleep(GRACE).await;
        }
        match dry_run {
            true => self.commit.check(),
            false => self.commit.begin(),
        }
    }
}

async fn write(
    connection: &mut Connection,
    args: &ImportArgs,
    Opened {
        schema,
        rows,
        batches,
    }: Opened,
    given: &[(String, String)],
    (mut progress, last): (Progress, LastStep<'_>),
) -> anyhow::Result<Imported> {
    progress.expect(rows);
    let (sender, mut decoded) = mpsc::channel(WAITING);
    let options = args.options(given.to_vec());
    let advised = |error| advice::advised(args, &schema, error);
    let mut sink = connection
        .write(&args.table, Arc::clone(&schema), options)
        .await
        .map_err(advised)?;
    let decoding = tokio::task::spawn_blocking(move || {
        for batch in batches {
            if sender.blocking_send(batch).is_err() {
                // Nobody takes rows any more: the write has failed.
                break;
            }
        }
    });
    let mut bytes: u64 = 0;
    while let Some(batch) = decoded.recv().await {
        for slice in slices(&batch?) {
            sink.write(&slice).await.map_err(advised)?;
            bytes += slice_bytes(&slice, slice.num_rows());
            progress.advance(slice.num_rows() as u64, bytes);
        }
    }
    // Had the decoder crashed, the rows so far would not be all there are.
    decoding.await.context("the decoder stopped")?;
    progress.phase(match (args.dry_run, args.mode()) {
        (true, Mode::Upsert) => "sent; merging them with the table, and rolling back",
        (true, _) => "sent; rolling back",
        (false, Mode::Upsert) => "sent; merging them with the table",
        (false, _) => "sent; committing",
    });
    last.begin(args.dry_run).await?;
    let report = sink.finish().await.map_err(advised)?;
    Ok(Imported {
        schema,
        rows: progress.rows(),
        bytes: None,
        elapsed: progress.elapsed(),
        report,
    })
}

/// The bytes that `rows` of a batch take, about.
fn slice_bytes(batch: &RecordBatch, rows: usize) -> u64 {
    let total: usize = batch
        .columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum();
    (total as u64).saturating_mul(rows as u64) / (batch.num_rows().max(1) as u64)
}

/// A batch in parts that are not too large to hand over.
fn slices(batch: &RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    let bytes = usize::try_from(slice_bytes(batch, rows)).unwrap_or(usize::MAX);
    let parts = bytes.div_ceil(SLICE_BYTES).clamp(1, rows.max(1));
    let each = rows.div_ceil(parts).max(1);
    (0..rows)
        .step_by(each)
        .map(|start| batch.slice(start, each.min(rows - start)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Int64Array, StringArray};

    #[test]
    fn batches_are_sliced_by_size() {
        let text = "x".repeat(1024);
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..20_000))),
            (
                "t",
                Arc::new(StringArray::from_iter_values((0..20_000).map(|_| &text))),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let parts = slices(&batch);
        assert!(parts.len() >= 3, "{}", parts.len());
        assert_eq!(
            parts.iter().map(RecordBatch::num_rows).sum::<usize>(),
            20_000
        );
        assert!(
            parts
                .iter()
                .all(|part| slice_bytes(part, part.num_rows()) <= 9 * 1024 * 1024)
        );
        assert_eq!(slices(&batch.slice(5, 3)).len(), 1);
        assert!(slices(&batch.slice(0, 0)).is_empty());
    }
}
