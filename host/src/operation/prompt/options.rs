//! What a prompt is asked for.

use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::operation::{Column, Mode, Node, Storage, steps};
use crate::types::TableName;

use super::mask::Masks;

/// The most bytes of a prompt, where nothing else is asked for: some 16,000 tokens of a model.
pub const MOST_BYTES: u32 = 64 * 1024;

/// What a prompt is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PromptOptions {
    /// The operation's id, by which the tables that stand for sources from elsewhere are called.
    pub id: String,
    /// The kind of node.
    pub node: Node,
    /// What it does.
    pub mode: Mode,
    /// Where a transformation keeps its new table.
    pub storage: Option<Storage>,
    /// What it reads, the most relevant first: the source of a transformation, and behind it what
    /// helps to understand it; the sources of a join, in their order.
    pub tables: Vec<PromptTable>,
    /// The table that it makes or merges into, if its name is known.
    pub target: Option<TableName>,
    /// The most bytes of the text. Default: [`MOST_BYTES`].
    pub most_bytes: u32,
    /// Rows of the tables, which are in it only if they are asked for. Default: none.
    pub samples: Option<Samples>,
}

/// A table that an operation reads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PromptTable {
    /// One of the connection that the statements are run on.
    Here(TableName),
    /// One from elsewhere: another connection, the workspace, a file.
    Elsewhere {
        /// Where it comes from, for a person, such as `goals.csv`.
        origin: String,
        /// Its columns.
        columns: Vec<Column>,
    },
}

/// Rows that are to be in a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Samples {
    /// How many of each table.
    pub rows: u32,
    /// What of them is not shown. Default: everything that there is a rule for.
    pub masks: Masks,
}

impl Samples {
    /// So many rows of each table, with everything masked that there is a rule for.
    pub fn new(rows: u32) -> Self {
        Self {
            rows,
            masks: Masks::all(),
        }
    }

    /// Masks this.
    pub fn with_masks(mut self, masks: Masks) -> Self {
        self.masks = masks;
        self
    }
}

impl PromptOptions {
    /// The prompt of an operation.
    pub fn new(id: impl Into<String>, node: Node, mode: Mode) -> Self {
        Self {
            id: id.into(),
            node,
            mode,
            storage: None,
            tables: Vec::new(),
            target: None,
            most_bytes: MOST_BYTES,
            samples: None,
        }
    }

    /// Keeps the new table there.
    pub fn with_storage(mut self, storage: Storage) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Adds a table of the connection.
    pub fn with_table(mut self, table: TableName) -> Self {
        self.tables.push(PromptTable::Here(table));
        self
    }

    /// Adds a table from elsewhere.
    pub fn with_elsewhere(
        mut self,
        origin: impl Into<String>,
        columns: impl IntoIterator<Item = Column>,
    ) -> Self {
        self.tables.push(PromptTable::Elsewhere {
            origin: origin.into(),
            columns: columns.into_iter().collect(),
        });
        self
    }

    /// Sets the table that it makes or merges into.
    pub fn with_target(mut self, target: TableName) -> Self {
        self.target = Some(target);
        self
    }

    /// Sets the most bytes of the text.
    pub fn with_most_bytes(mut self, bytes: u32) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Has rows of the tables in it.
    pub fn with_samples(mut self, samples: Samples) -> Self {
        self.samples = Some(samples);
        self
    }

    /// The tables of the connection, the most relevant first, each once.
    pub(super) fn here(&self) -> Vec<&TableName> {
        let merged = self.target.iter().filter(|_| self.mode == Mode::Merge);
        let mut here: Vec<&TableName> = Vec::new();
        let tables = self.tables.iter().filter_map(|table| match table {
            PromptTable::Here(table) => Some(table),
            PromptTable::Elsewhere { .. } => None,
        });
        for table in merged.chain(tables) {
            if !here.contains(&table) {
                here.push(table);
            }
        }
        here
    }

    /// For the connector, with room for so many bytes.
    pub(super) fn to_wit(&self, most_bytes: u32) -> wit::PromptOptions {
        let tables = self
            .tables
            .iter()
            .enumerate()
            .map(|(number, table)| match table {
                PromptTable::Here(table) => wit::ChosenTable::Here(table.into()),
                PromptTable::Elsewhere { origin, columns } => {
                    let columns = columns.iter().map(|column| wit::LoadedColumn {
                        name: column.name.clone(),
                        type_: column.data_type.clone(),
                        nullable: column.nullable,
                    });
                    wit::ChosenTable::Loaded(wit::LoadedTable {
                        name: steps::stand_in(&self.id, number),
                        origin: origin.clone(),
                        columns: columns.collect(),
                    })
                }
            });
        wit::PromptOptions {
            node: match self.node {
                Node::Transform => wit::Node::Transform,
                Node::Join => wit::Node::Join,
            },
            mode: match self.mode {
                Mode::NewTable => wit::NodeMode::NewTable,
                Mode::InPlace => wit::NodeMode::InPlace,
                Mode::Merge => wit::NodeMode::Merge,
            },
            storage: self.storage.map(|storage| match storage {
                Storage::Database => wit::Storage::Database,
                Storage::Local => wit::Storage::Local,
            }),
            tables: tables.collect(),
            target: self.target.as_ref().map(Into::into),
            most_bytes,
        }
    }
}
