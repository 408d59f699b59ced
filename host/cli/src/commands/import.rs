//! `import`: the rows of a file into a table, all or none.
//!
//! The mirror of `export`: a thread reads and decodes, a short channel, and
//! the connection's sink. Dropping the sink rolls back, so every way out but
//! the last line leaves the table as it was.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dagflux_host::{Connection, ErrorKind, ReadOptions, TableName, WriteMode, WriteOptions};
use serde_json::json;
use tokio::sync::mpsc;

use crate::args::ImportArgs;
use crate::context::{Context, close};
use crate::failure::Failure;
use crate::formats::{self, Format, Opened, Source};
use crate::interrupt::or_interrupt_change;
use crate::output::progress::{Progress, rate};
use crate::output::{self, duration, size};

/// How many batches may wait to be sent.
const WAITING: usize = 3;

/// How many bytes of Arrow data cross into the connector at once, about.
/// Files have batches of any size; this is well below the transfer limit.
const SLICE_BYTES: usize = 8 * 1024 * 1024;

/// Runs the command.
///
/// # Errors
/// When anything fails; the table is as it was then.
pub async fn run(context: &Context, args: ImportArgs) -> anyhow::Result<()> {
    let (source, format, bytes) = open(&args)?;
    let mut connection = context.open(&args.connection).await?;
    let canceller = connection.canceller();
    let mut progress = Progress::new(None);
    let rows = or_interrupt_change(canceller, async {
        let table = match format {
            Format::Csv | Format::Jsonl if !args.create => {
                columns(&mut connection, &args.table).await?
            }
            _ => None,
        };
        let decoding =
            tokio::task::spawn_blocking(move || formats::decoder(format, source, table.as_ref()));
        let shown = args.file.display();
        let opened = decoding
            .await
            .context("the decoder stopped")?
            .with_context(|| format!("cannot import {shown}"))?;
        let rows = insert(&mut connection, &args, opened, &mut progress).await;
        rows.map_err(|error| match error.downcast_ref::<dagflux_host::Error>() {
            // Then rows may have been imported.
            Some(host) if host.kind() == ErrorKind::OutcomeUnknown => error,
            _ => error.context(format!("nothing was imported from {shown}")),
        })
    })
    .await?;
    progress.clear();
    let receipt = connection.receipt();
    close(connection).await;
    let elapsed = progress.elapsed();
    if context.json {
        return output::json(&json!({
            "rows": rows,
            "bytes": bytes,
            "seconds": elapsed.as_secs_f64(),
            "table": args.table.to_string(),
            "created": args.create,
            "sandbox": output::receipt::json(&receipt),
        }));
    }
    let read = bytes
        .map(|bytes| format!(" ({})", size(bytes)))
        .unwrap_or_default();
    eprintln!(
        "imported {}{read} into {}: {}, {}",
        output::rows(rows),
        args.table,
        duration(elapsed),
        rate(rows, elapsed)
    );
    eprintln!("{}", output::receipt::line(&receipt));
    Ok(())
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
    Ok((
        Source::File(file),
        format,
        metadata.is_file().then_some(metadata.len()),
    ))
}

/// The columns of the table as a read of it has them, for files without types.
/// None when the login may write the table but not read it.
async fn columns(
    connection: &mut Connection,
    table: &TableName,
) -> anyhow::Result<Option<SchemaRef>> {
    let options = ReadOptions::default().with_limit(0);
    match connection.read(table, options).await {
        Ok(stream) => Ok(Some(stream.schema().clone())),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn insert(
    connection: &mut Connection,
    args: &ImportArgs,
    Opened {
        schema,
        rows,
        batches,
    }: Opened,
    progress: &mut Progress,
) -> anyhow::Result<u64> {
    progress.expect(rows);
    let (sender, mut decoded) = mpsc::channel(WAITING);
    let options = WriteOptions::new(if args.create {
        WriteMode::Create
    } else {
        WriteMode::Append
    });
    let mut sink = connection
        .write(&args.table, Arc::clone(&schema), options)
        .await?;
    let decoding = tokio::task::spawn_blocking(move || {
        for batch in batches {
            if sender.blocking_send(batch).is_err() {
                // Nobody takes rows any more: the insert has failed.
                break;
            }
        }
    });
    let mut bytes: u64 = 0;
    while let Some(batch) = decoded.recv().await {
        for slice in slices(&batch?) {
            sink.write(&slice).await?;
            bytes += slice_bytes(&slice, slice.num_rows());
            progress.advance(slice.num_rows() as u64, bytes);
        }
    }
    // Had the decoder crashed, the rows so far would not be all there are.
    decoding.await.context("the decoder stopped")?;
    Ok(sink.finish().await?.inserted)
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
