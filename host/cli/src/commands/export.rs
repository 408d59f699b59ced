//! `export`: a table or a query's result into a file.
//!
//! Reading and encoding overlap: batches cross a short channel to a thread
//! that encodes and writes. Memory is bounded by the channel and by what the
//! format holds back, whatever the size of the table.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arrow_array::RecordBatch;
use dagflux_host::{Connection, Loss, ReadOptions, Receipt, RowStream, TableName};
use futures_util::TryStreamExt;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::statement::{advised, text};
use crate::args::ExportArgs;
use crate::context::{Context, close};
use crate::failure::Failure;
use crate::formats::{self, Encoder, Format};
use crate::interrupt::or_interrupt;
use crate::output::progress::{Progress, rate};
use crate::output::{self, duration, size};

/// How many batches may wait to be encoded: enough that neither side waits for
/// a hiccup of the other, few enough to stay below some 30 MiB.
const WAITING: usize = 3;

/// What an export came to.
struct Written {
    rows: u64,
    bytes: u64,
    elapsed: std::time::Duration,
    losses: Vec<Loss>,
}

/// Runs the command.
///
/// # Errors
/// When anything fails; there is no file then.
pub async fn run(context: &Context, args: ExportArgs) -> anyhow::Result<()> {
    let target = Target::new(&args.output, args.format)?;
    let sql = match &args.what.table {
        Some(_) => None,
        None => Some(text(
            args.what.query.as_deref(),
            args.what.query_file.as_deref(),
        )?),
    };
    let mut connection = context.open(&args.connection).await?;
    let canceller = connection.canceller();
    let written = or_interrupt(Some(canceller), async {
        let written = async {
            let losses = args.losses.policy();
            let (stream, expected) = match (&args.what.table, &sql) {
                (Some(table), _) => {
                    let expected = expected(&mut connection, table, args.limit).await;
                    let mut options = ReadOptions::default().with_losses(losses);
                    options.columns.clone_from(&args.columns);
                    options.limit = args.limit;
                    (connection.read(table, options).await?, expected)
                }
                (None, Some(sql)) => (connection.query_with(sql, losses).await?, None),
                (None, None) => return Err(Failure::usage("there is nothing to export").into()),
            };
            write(stream, &target, Progress::new(expected)).await
        };
        (written.await).map_err(|error| advised(sql.as_deref(), error))
    })
    .await?;
    let receipt = connection.receipt();
    close(connection).await;
    summary(context, &target, &written, &receipt)
}

/// How many rows there will be, as far as the server guesses; asked only when
/// somebody watches. A failure here is none of the export.
async fn expected(
    connection: &mut Connection,
    table: &TableName,
    limit: Option<u64>,
) -> Option<u64> {
    if !Progress::visible() {
        return None;
    }
    let tables = connection.tables(table.schema.as_deref()).await.ok()?;
    // Without a schema the name may be in several; then it is anybody's guess.
    let mut named = tables.iter().filter(|known| known.name == table.name);
    let estimate = named.next()?.estimated_rows?;
    let known = named.next().is_none().then_some(estimate);
    known
        .map(|rows| limit.map_or(rows, |limit| rows.min(limit)))
        .filter(|rows| *rows > 0)
}

/// Where to, and in what format.
struct Target {
    /// The name as it was given.
    shown: String,
    /// None is standard output.
    path: Option<PathBuf>,
    format: Format,
}

impl Target {
    fn new(output: &Path, format: Option<Format>) -> Result<Target, Failure> {
        if output != Path::new("-") {
            let format = format.map_or_else(|| Format::of_path(output), Ok)?;
            // A link's own name stays; the file it leads to is replaced.
            let path = output.canonicalize().unwrap_or_else(|_| output.to_owned());
            if path.is_dir() {
                return Err(Failure::file(format!("{} is a folder", path.display()))
                    .hint("add a file name to it"));
            }
            return Ok(Target {
                shown: output.display().to_string(),
                path: Some(path),
                format,
            });
        }
        match format {
            None => Err(Failure::usage("standard output does not tell a format")
                .hint("add --format csv, jsonl or arrow")),
            Some(Format::Parquet) => Err(Failure::usage(
                "a Parquet file cannot be written to standard output",
            )
            .hint("name a file, or use --format arrow")),
            Some(Format::Arrow) if console::user_attended() => {
                Err(Failure::usage("an Arrow stream is nothing for a terminal")
                    .hint("redirect it, or use --format csv"))
            }
            Some(format) => Ok(Target {
                shown: "standard output".to_owned(),
                path: None,
                format,
            }),
        }
    }

    /// Opens what is written to.
    fn open(&self) -> anyhow::Result<Open> {
        let Some(path) = &self.path else {
            return Ok(Open {
                out: Box::new(std::io::stdout()),
                seekable: false,
                place: None,
            });
        };
        let shown = &self.shown;
        // A device or a pipe is written to as it is; it cannot be replaced.
        if path.exists() && !path.is_file() {
            let file = std::fs::File::options().write(true).open(path);
            let file = file.with_context(|| format!("cannot write {shown}"))?;
            return Ok(Open {
                out: Box::new(file),
                seekable: false,
                place: None,
            });
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        #[cfg(unix)]
        let replaced = path.metadata().ok();
        let mut builder = tempfile::Builder::new();
        builder.prefix(".dagflux-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file: the process's mask decides. One that takes an old
            // file's place is nobody else's until it has that one's mode.
            let mode = if replaced.is_some() { 0o600 } else { 0o666 };
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        let file = builder
            .tempfile_in(folder)
            .with_context(|| format!("cannot write in {}", folder.display()))?;
        let out = file
            .reopen()
            .with_context(|| format!("cannot write {shown}"))?;
        #[cfg(unix)]
        if let Some(replaced) = replaced {
            out.set_permissions(replaced.permissions())
                .with_context(|| format!("cannot give {shown} the mode it had"))?;
        }
        Ok(Open {
            out: Box::new(out),
            seekable: true,
            place: Some((file, path.clone())),
        })
    }
}

/// A target that is open.
struct Open {
    out: Box<dyn Write + Send>,
    seekable: bool,
    /// The file under its temporary name, which is removed when dropped, and
    /// the name it gets when it is complete.
    place: Option<(NamedTempFile, PathBuf)>,
}

async fn write(
    mut stream: RowStream<'_>,
    target: &Target,
    mut progress: Progress,
) -> anyhow::Result<Written> {
    let Open {
        out,
        seekable,
        place,
    } = target.open()?;
    let encoder = formats::encoder(target.format, stream.schema(), out, seekable)?;
    let (batches, waiting) = mpsc::channel(WAITING);
    let (done, mut encoded) = mpsc::unbounded_channel();
    let encoding = tokio::task::spawn_blocking(move || encode(encoder, waiting, &done));
    let read = loop {
        let batch = match stream.try_next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        if batches.send(batch).await.is_err() {
            // The encoder has failed; it says below why.
            break Ok(());
        }
        while let Ok((rows, bytes)) = encoded.try_recv() {
            progress.advance(rows, bytes);
        }
    };
    drop(batches);
    let encoder = encoding.await.context("the encoder stopped")?;
    while let Ok((rows, bytes)) = encoded.try_recv() {
        progress.advance(rows, bytes);
    }
    // A file that is not all there gets no end, and with `place` goes away.
    read?;
    let encoder = encoder?;
    let bytes = tokio::task::spawn_blocking(move || encoder.finish())
        .await
        .context("the encoder stopped")??;
    if let Some((file, path)) = place {
        file.persist(&path)
            .map_err(|error| error.error)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Written {
        rows: progress.rows(),
        bytes,
        elapsed: progress.elapsed(),
        losses: stream.losses().to_vec(),
    })
}

/// Encodes batches until there are no more, telling the rows of each and the
/// bytes of the file.
fn encode(
    mut encoder: Box<dyn Encoder>,
    mut waiting: mpsc::Receiver<RecordBatch>,
    done: &mpsc::UnboundedSender<(u64, u64)>,
) -> anyhow::Result<Box<dyn Encoder>> {
    while let Some(batch) = waiting.blocking_recv() {
        encoder.write(&batch)?;
        // Nobody listens any more when the export was stopped.
        let _ = done.send((batch.num_rows() as u64, encoder.bytes()));
    }
    Ok(encoder)
}

fn summary(
    context: &Context,
    target: &Target,
    written: &Written,
    receipt: &Receipt,
) -> anyhow::Result<()> {
    let Written {
        rows,
        bytes,
        elapsed,
        losses,
    } = written;
    let (rows, bytes, elapsed) = (*rows, *bytes, *elapsed);
    if context.json {
        let value = json!({
            "rows": rows,
            "bytes": bytes,
            "seconds": elapsed.as_secs_f64(),
            "format": format!("{:?}", target.format).to_lowercase(),
            "file": target.path.is_some().then_some(&target.shown),
            "losses": losses,
            "sandbox": output::receipt::json(receipt),
        });
        // Standard output holds the rows already, if they went there.
        match target.path {
            Some(_) => output::json(&value)?,
            None => eprintln!("{value}"),
        }
        return Ok(());
    }
    let place = &target.shown;
    eprintln!(
        "exported {} to {place}: {}, {}, {}",
        output::rows(rows),
        size(bytes),
        duration(elapsed),
        rate(rows, elapsed)
    );
    eprintln!("{}", output::receipt::line(receipt));
    output::losses::print(losses);
    Ok(())
}
