//! What is known of a statement.

use super::{Alteration, Feature};
use crate::types::{Access, TableName};

/// What the text of one statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// What kind of statement it is.
    pub(crate) kind: Kind,
    /// The tables that it names, and what it does with them. Names that a `WITH` gives are none.
    pub(crate) touched: Vec<(TableName, Access)>,
    /// The functions that it calls, as they are named.
    pub(crate) functions: Vec<TableName>,
    /// Whether a part of it that is to give rows changes some.
    pub(crate) changes_within: bool,
    /// Whether it makes a table of its rows: `SELECT … INTO`.
    pub(crate) into: bool,
    /// Whether it locks the rows that it reads.
    pub(crate) locking: bool,
    /// Whether a condition says which rows an `UPDATE` or `DELETE` touches.
    pub(crate) bounded: bool,
    /// Whether an `INSERT` has its rows from a query.
    pub(crate) from_query: bool,
    /// What its result calls its columns, or what an `INSERT` calls those that it fills; none for a
    /// name that is not known.
    pub(crate) columns: Option<Vec<Option<String>>>,
    /// How many columns the query of an `INSERT` has, where that shows.
    pub(crate) outputs: Option<usize>,
    /// What there is to know of a definition.
    pub(crate) features: Vec<Feature>,
    /// The expressions of a definition, as the parser writes them.
    pub(crate) expressions: Vec<String>,
    /// What an `ALTER TABLE` does.
    pub(crate) alterations: Vec<Alteration>,
}

/// What kind of statement it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gives rows: `SELECT`, `VALUES`, `TABLE`.
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    CreateTable,
    AlterTable,
    /// Anything else, by its first word.
    Other,
}
