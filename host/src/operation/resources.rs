//! What an operation is carried out with.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{Operation, Origin, Transformation};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::workspace::Workspace;

/// What an operation needs, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// Connections.
    pub connections: BTreeSet<String>,
    /// Files.
    pub files: BTreeSet<String>,
    /// Whether it needs the workspace.
    pub workspace: bool,
}

/// What an operation is carried out with.
#[derive(Debug, Default)]
pub struct Resources {
    /// Open connections, by name.
    pub connections: BTreeMap<String, Connection>,
    /// Open files, by path.
    pub files: BTreeMap<String, Rows>,
    /// The workspace.
    pub workspace: Option<Workspace>,
}

/// The rows of a file, which are read once.
pub struct Rows {
    /// Its columns.
    pub schema: SchemaRef,
    /// How many there are, where the file says so.
    pub count: Option<u64>,
    /// The rows. Reading may block.
    pub batches: Batches,
}

/// Batches of rows, or why there are no more.
pub type Batches =
    Box<dyn Iterator<Item = Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>>> + Send>;

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.schema.fields().len())
            .finish_non_exhaustive()
    }
}

impl Operation {
    /// The connection on which its statements run; none if that is the workspace.
    pub fn venue(&self) -> Option<&str> {
        match self {
            Self::Join(join) => Some(&join.target.connection),
            Self::Transform(transform) => match &transform.work {
                Transformation::NewTable { source, .. }
                | Transformation::InPlace { source, .. }
                | Transformation::Local {
                    source: Origin::Table(source),
                    ..
                } => Some(&source.connection),
                Transformation::Local { .. } => None,
            },
        }
    }

    /// What it needs to be planned and run.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        match self {
            Self::Transform(transform) => match &transform.work {
                Transformation::NewTable { source, .. }
                | Transformation::InPlace { source, .. } => {
                    needs.connections.insert(source.connection.clone());
                }
                Transformation::Local { source, .. } => {
                    needs.workspace = true;
                    needs.add(source);
                }
            },
            Self::Join(join) => {
                needs.connections.insert(join.target.connection.clone());
                for (origin, _) in &join.sources {
                    needs.add(origin);
                }
            }
        }
        needs
    }
}

impl Needs {
    fn add(&mut self, origin: &Origin) {
        match origin {
            Origin::Table(table) => {
                self.connections.insert(table.connection.clone());
            }
            Origin::Workspace(_) => self.workspace = true,
            Origin::File(path) => {
                self.files.insert(path.clone());
            }
        }
    }
}

impl Resources {
    /// The connection called `name`.
    pub(super) fn connection(&mut self, name: &str) -> Result<&mut Connection> {
        let connection = self.connections.get_mut(name);
        connection.ok_or_else(|| missing(format!("the connection `{name}`")))
    }

    /// The connection called `name`, to keep.
    pub(super) fn take_connection(&mut self, name: &str) -> Result<Connection> {
        let connection = self.connections.remove(name);
        connection.ok_or_else(|| missing(format!("the connection `{name}`")))
    }

    pub(super) fn file(&self, path: &str) -> Result<&Rows> {
        let rows = self.files.get(path);
        rows.ok_or_else(|| missing(format!("the file {path}")))
    }

    pub(super) fn take_file(&mut self, path: &str) -> Result<Rows> {
        let rows = self.files.remove(path);
        rows.ok_or_else(|| missing(format!("the file {path}")))
    }

    pub(super) fn workspace(&self) -> Result<&Workspace> {
        let workspace = self.workspace.as_ref();
        workspace.ok_or_else(|| missing("the workspace".to_owned()))
    }
}

fn missing(what: String) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("the operation needs {what}, which was not given"),
    )
    .with_hint("give all that `Operation::needs` lists")
}
