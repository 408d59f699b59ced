//! What an operation is: the combinations that there are, and the text of each.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    ChosenTable, Node, NodeMode, PromptOptions, Storage,
};
use dagflux_guest::{Error, Result};

/// A combination that operations have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combination {
    /// A new table in the database of its source.
    NewTable,
    /// A new table in the workspace.
    Local,
    /// The source is changed.
    InPlace,
    /// Several tables are joined into a new one.
    Join,
    /// Several tables are joined, and the rows merged into one that is there.
    Merge,
}

impl Combination {
    /// The combination that is asked for.
    ///
    /// # Errors
    /// `unsupported`: no operation has it.
    pub fn of(options: &PromptOptions) -> Result<Self> {
        let combination = match (options.node, options.mode, options.storage) {
            (Node::Transform, NodeMode::NewTable, None | Some(Storage::Database)) => Self::NewTable,
            (Node::Transform, NodeMode::NewTable, Some(Storage::Local)) => Self::Local,
            (Node::Transform, NodeMode::InPlace, None) => Self::InPlace,
            (Node::Join, NodeMode::NewTable, None) => Self::Join,
            (Node::Join, NodeMode::Merge, None) => Self::Merge,
            (Node::Transform, NodeMode::InPlace, Some(_)) => {
                return Err(illegal(
                    "what works in place has no storage",
                    "leave out the storage",
                ));
            }
            (Node::Transform, NodeMode::Merge, _) => {
                return Err(illegal(
                    "only a join merges",
                    "choose new-table or in-place",
                ));
            }
            (Node::Join, NodeMode::InPlace, _) => {
                return Err(illegal(
                    "a join does not work in place",
                    "choose new-table or merge",
                ));
            }
            (Node::Join, _, Some(_)) => {
                return Err(illegal("a join has no storage", "leave out the storage"));
            }
        };
        combination.with(options)
    }

    /// With the tables and the target.
    fn with(self, options: &PromptOptions) -> Result<Self> {
        let loaded = |table: &ChosenTable| matches!(table, ChosenTable::Loaded(_));
        match (self, options.tables.len(), &options.target) {
            (Self::Join | Self::Merge, 0 | 1, _) => Err(illegal(
                "a join has two tables or more",
                "choose all the tables that it reads",
            )),
            (Self::NewTable | Self::Local | Self::InPlace, 0, _) => Err(illegal(
                "a transformation has a table that it reads",
                "choose its source",
            )),
            (Self::NewTable | Self::Local | Self::InPlace, ..)
                if options.tables.iter().any(loaded) =>
            {
                Err(illegal(
                    "a transformation reads a table of its own connection",
                    "ask the connection that the table is on",
                ))
            }
            (Self::InPlace, _, Some(_)) => Err(illegal(
                "what works in place has no target",
                "leave out the target: the source is changed",
            )),
            (Self::Merge, _, None) => Err(illegal(
                "a merge has a target",
                "say which table the rows are merged into",
            )),
            _ => Ok(self),
        }
    }

    /// What it is, what to answer, its rules, and an example.
    pub fn text(self) -> &'static str {
        match self {
            Self::NewTable => include_str!("text/new_table.md"),
            Self::Local => include_str!("text/local.md"),
            Self::InPlace => include_str!("text/in_place.md"),
            Self::Join => include_str!("text/join.md"),
            Self::Merge => include_str!("text/merge.md"),
        }
    }

    /// What it needs of other dialects, and of statements that change something.
    pub fn further(self) -> &'static str {
        match self {
            Self::NewTable => include_str!("text/types.md"),
            Self::Local => include_str!("text/workspace.md"),
            Self::InPlace => include_str!("text/changes.md"),
            Self::Join | Self::Merge => include_str!("text/joining.md"),
        }
    }

    /// Whether it reads the first table alone.
    pub fn reads_one(self) -> bool {
        matches!(self, Self::NewTable | Self::Local | Self::InPlace)
    }
}

fn illegal(message: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message).with_hint(hint)
}
