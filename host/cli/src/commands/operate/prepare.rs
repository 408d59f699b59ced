//! From a file to an operation with all that it needs.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dagflux_host::operation::{Broken, Document, Operation, Resources, Rows};
use dagflux_host::workspace::Workspace;

use crate::args::OperationArgs;
use crate::commands::input;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Fault};
use crate::formats::{self, Format, Source, Wanted};

/// The operation in a file.
///
/// # Errors
/// When it cannot be read, is none, or breaks a rule.
pub fn operation(path: &Path) -> anyhow::Result<Operation> {
    let text = input::text("operation", path)?;
    let document = Document::parse(&text).map_err(|error| {
        Failure::file(format!("this is no saved operation: {error}"))
            .hint("`dagflux operation schema` prints the form that it has")
    })?;
    document
        .operation()
        .map_err(|broken| refused(&broken).into())
}

fn refused(broken: &[Broken]) -> Failure {
    let faults = broken.iter().map(|broken| Fault {
        line: None,
        field: broken.at.clone(),
        message: format!("{}: {}", broken.at, broken.message),
    });
    Failure::new(Exit::Findings, "operation", "the operation breaks rules")
        .hint("`dagflux operation check` says which; have it written anew, or mend the file")
        .faults(faults.collect())
}

/// Opens what an operation needs.
///
/// # Errors
/// When a connection, a file or the workspace cannot be opened.
pub async fn resources(
    context: &Context,
    operation: &Operation,
    args: &OperationArgs,
) -> anyhow::Result<Resources> {
    let needs = operation.needs();
    let mut resources = Resources::default();
    for path in &needs.files {
        let place = beside(&args.file, path);
        let rows = tokio::task::block_in_place(|| rows(&place))?;
        resources.files.insert(path.clone(), rows);
    }
    if needs.workspace {
        resources.workspace = Some(workspace(args.workspace.as_deref())?);
    }
    for name in &needs.connections {
        let connection = context.open(name).await;
        let connection = connection.with_context(|| format!("the connection `{name}`"))?;
        resources.connections.insert(name.clone(), connection);
    }
    Ok(resources)
}

/// The workspace, at this path or where it is by default.
///
/// # Errors
/// When it cannot be opened.
pub fn workspace(path: Option<&Path>) -> anyhow::Result<Workspace> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => default_workspace()?,
    };
    let workspace = tokio::task::block_in_place(|| Workspace::open(&path));
    workspace.with_context(|| format!("the workspace {}", path.display()))
}

/// A file that an operation names: beside the operation, unless it says where.
fn beside(operation: &Path, path: &str) -> PathBuf {
    match operation.parent() {
        Some(folder) if operation != Path::new(input::STANDARD) => folder.join(path),
        _ => PathBuf::from(path),
    }
}

/// The rows of a file.
///
/// # Errors
/// When it cannot be read.
pub fn rows(path: &Path) -> anyhow::Result<Rows> {
    let format = Format::of_path(path)?;
    let file = File::open(path)
        .map_err(|error| Failure::file(format!("cannot read {}: {error}", path.display())))?;
    let opened = formats::decoder(format, Source::File(file), &Wanted::default())
        .with_context(|| path.display().to_string())?;
    let batches = opened.batches.map(|batch| batch.map_err(Into::into));
    Ok(Rows {
        schema: opened.schema,
        count: opened.rows,
        batches: Box::new(batches),
    })
}

fn default_workspace() -> anyhow::Result<PathBuf> {
    let folder = dirs::data_dir()
        .map(|folder| folder.join("dagflux"))
        .ok_or_else(|| {
            Failure::configuration("this user has no data folder")
                .hint("name the workspace with --workspace or DAGFLUX_WORKSPACE")
        })?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder.join("workspace.sqlite"))
}
