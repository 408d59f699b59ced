//! A saved operation, as it is written.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const VERSION: u32 = 1;

/// A saved operation.
///
/// What goes with what is said by the rules, which a schema cannot tell in sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "A saved operation of DagFlux")]
pub struct Document {
    /// The version of this format: 1.
    pub version: u32,
    /// The node's name, by which temporary tables are told apart: lower-case letters, digits, `_`
    /// and `-`, at most 40 of them.
    pub id: String,
    /// What kind of node it is.
    pub node: Node,
    /// What it does with its target.
    pub mode: Mode,
    /// Where a transformation keeps its new table; without it, in the database of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// What it reads: two or more for a join. Of a transformation the first is its source; others are
    /// tables beside it that the statements read.
    pub sources: Vec<Source>,
    /// What it writes to; nothing where it changes its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The SQL.
    #[serde(default)]
    pub statements: Statements,
    /// The columns by which rows are merged into a table that exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// A kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Node {
    /// Reshapes one source.
    Transform,
    /// Combines two or more.
    Join,
}

/// What a node does with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// Makes a table that is not there yet.
    NewTable,
    /// Changes its source.
    InPlace,
    /// Adds rows to a table that is there, or changes those with the same key.
    Merge,
}

/// Where a new table is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Storage {
    /// In the database of the source.
    Database,
    /// In the workspace on this machine.
    Local,
}

/// A table or file that is read. Exactly one of `connection`, `workspace` and `file` says where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// A connection of the connection file; `table` says which of its tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// A table of the connection: `table`, `schema.table`, with double quotes around odd parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// A table of the workspace on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// A Parquet, Arrow, CSV or JSON lines file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The columns that the statements use, as they were when they were written: a run stops when
    /// they have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

/// A column, as the statements know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the server writes it.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it can hold NULL.
    pub nullable: bool,
}

/// A table that is written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// Its connection. A transformation needs none: its target is where its source is, or in the
    /// workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The table: `table`, `schema.table`, with double quotes around odd parts.
    pub table: String,
}

/// The SQL of an operation: one statement in each place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Statements {
    /// The `CREATE TABLE` of a new table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<String>,
    /// The `INSERT … SELECT` that fills a new table in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insert: Option<String>,
    /// The query whose rows are stored in the workspace, or which joins the sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// A query that shows the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// What changes the source: `ALTER TABLE`, `UPDATE`, `DELETE`, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// Why text is no [`Document`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotADocument {
    line: usize,
    column: usize,
    message: String,
}

impl NotADocument {
    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column, from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl std::fmt::Display for NotADocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for NotADocument {}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// It is not JSON, or not of this form.
    pub fn parse(text: &str) -> Result<Self, NotADocument> {
        serde_json::from_str(text).map_err(|error| {
            let place = format!(" at line {} column {}", error.line(), error.column());
            NotADocument {
                line: error.line(),
                column: error.column(),
                message: error.to_string().replace(&place, ""),
            }
        })
    }

    /// The form of a document, as JSON Schema.
    pub fn json_schema() -> Schema {
        schema_for!(Self)
    }
}
