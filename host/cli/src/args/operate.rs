//! `plan`, `run`, `review` and `prompt`: operations, and what they are carried out with.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use dagflux_host::TableName;
use dagflux_host::operation::{ColumnMask, MOST_BYTES, MaskRule, Mode, Node, Storage};

use super::LossArgs;

/// A saved operation, and the workspace.
#[derive(Debug, Args)]
pub struct OperationArgs {
    /// The file with the operation; - reads it from standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The workspace on this machine [default: dagflux/workspace.sqlite in the user's data folder]
    #[arg(long, value_name = "FILE", env = "DAGFLUX_WORKSPACE")]
    pub workspace: Option<PathBuf>,
}

/// How to run an operation.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub operation: OperationArgs,
    /// Do what the rehearsal of an operation in place shows, without asking
    #[arg(long)]
    pub yes: bool,
    /// Also where a statement changes or deletes every row of the table
    #[arg(long, requires = "yes")]
    pub every_row: bool,
    /// Rehearse an operation in place, and stop there
    #[arg(long, conflicts_with = "yes")]
    pub rehearse: bool,
    /// How many rows of the result, and of what a rehearsal changes, to show
    #[arg(short = 'n', long, default_value_t = 5)]
    pub rows: u32,
    /// Append a line of JSON for each step to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// What becomes of values that do not survive the way.
    #[command(flatten)]
    pub losses: LossArgs,
}

/// What a prompt is for.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// The connection that the statements are run on: of the source, or of the target of a join
    pub connection: String,
    /// The kind of node
    #[arg(long, value_enum)]
    pub node: NodeArg,
    /// What it does
    #[arg(long, value_enum)]
    pub mode: ModeArg,
    /// Where a transformation keeps its new table [default: database]
    #[arg(long, value_enum)]
    pub storage: Option<StorageArg>,
    /// A table that it reads, the most relevant first; can be given several times
    ///
    /// "table" or "schema.table" of the connection, with double quotes as in SQL; for a join also
    /// CONNECTION:TABLE of another, workspace:TABLE and file:PATH. Of a transformation, the first is the
    /// source, and the others help to understand it.
    #[arg(long = "table", required = true, value_name = "TABLE")]
    pub tables: Vec<PlacedTable>,
    /// The table that it makes or merges into
    #[arg(long, value_name = "TABLE")]
    pub target: Option<TableName>,
    /// The operation's id, by which the tables are called that stand for sources from elsewhere
    #[arg(long, value_name = "ID", default_value = "operation")]
    pub id: String,
    /// The most bytes of the text
    #[arg(long, value_name = "BYTES", default_value_t = MOST_BYTES)]
    pub most_bytes: u32,
    /// Put so many rows of each table of the connection into the text, masked
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub samples: Option<u32>,
    /// Mask only these, separated by commas: email, phone, card, iban, ip, url, name [default: all]
    #[arg(
        long,
        value_name = "RULES",
        value_delimiter = ',',
        requires = "samples"
    )]
    pub mask: Vec<MaskRule>,
    /// Mask this column, whatever is in it; can be given several times
    #[arg(long, value_name = "TABLE.COLUMN", requires = "samples")]
    pub mask_column: Vec<ColumnMask>,
    /// Mask nothing but the columns that --mask-column names
    #[arg(long, requires = "samples", conflicts_with = "mask")]
    pub no_mask: bool,
    /// The workspace on this machine [default: dagflux/workspace.sqlite in the user's data folder]
    #[arg(long, value_name = "FILE", env = "DAGFLUX_WORKSPACE")]
    pub workspace: Option<PathBuf>,
}

/// A kind of node.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum NodeArg {
    /// Reshapes one table
    Transform,
    /// Combines two or more
    Join,
}

/// What a node does with its target.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModeArg {
    /// Makes a table
    NewTable,
    /// Changes its source
    InPlace,
    /// Adds rows to a table that is there, or changes those with the same key
    Merge,
}

/// Where a new table is kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StorageArg {
    /// In the database of the source
    Database,
    /// In the workspace on this machine
    Local,
}

impl From<NodeArg> for Node {
    fn from(node: NodeArg) -> Self {
        match node {
            NodeArg::Transform => Self::Transform,
            NodeArg::Join => Self::Join,
        }
    }
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::NewTable => Self::NewTable,
            ModeArg::InPlace => Self::InPlace,
            ModeArg::Merge => Self::Merge,
        }
    }
}

impl From<StorageArg> for Storage {
    fn from(storage: StorageArg) -> Self {
        match storage {
            StorageArg::Database => Self::Database,
            StorageArg::Local => Self::Local,
        }
    }
}

/// A table, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacedTable {
    /// On the connection.
    Here(TableName),
    /// On another one.
    There(String, TableName),
    /// In the workspace.
    Workspace(String),
    /// In a file.
    File(String),
}

impl FromStr for PlacedTable {
    type Err = dagflux_host::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A colon within double quotes is part of a name.
        match text
            .split_once(':')
            .filter(|(place, _)| !place.contains('"'))
        {
            None => text.parse().map(Self::Here),
            Some(("file", path)) => Ok(Self::File(path.to_owned())),
            Some(("workspace", table)) => {
                let table: TableName = table.parse()?;
                Ok(Self::Workspace(table.name))
            }
            Some((connection, table)) => Ok(Self::There(connection.to_owned(), table.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_say_where_they_are() {
        let table = |name: &str| TableName::in_schema("s", name);
        for (text, expected) in [
            ("s.t", PlacedTable::Here(table("t"))),
            ("s.\"a:b\"", PlacedTable::Here(table("a:b"))),
            (
                "shop:s.t",
                PlacedTable::There("shop".to_owned(), table("t")),
            ),
            (
                "shop:s.\"a:b\"",
                PlacedTable::There("shop".to_owned(), table("a:b")),
            ),
            ("workspace:t", PlacedTable::Workspace("t".to_owned())),
            (
                "file:C:/a b.csv",
                PlacedTable::File("C:/a b.csv".to_owned()),
            ),
        ] {
            assert_eq!(text.parse::<PlacedTable>().ok(), Some(expected), "{text}");
        }
        for text in ["", "shop:", "a.b.c.d", "workspace:"] {
            assert!(text.parse::<PlacedTable>().is_err(), "{text}");
        }
    }
}
