//! What a statement is, and what a transaction holds, as a connector says.

use serde::Serialize;

use super::mirror::{mirror, mirror_enum};
use crate::bindings::exports::dagflux::connector::relational as wit;

/// What a statement is, found out without carrying it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Examination {
    /// The columns of its result; none if it returns no rows.
    pub columns: Option<Vec<ResultColumn>>,
    /// The tables that it reads and changes; none if the server does not tell that of such
    /// statements, as of `ALTER TABLE`.
    pub tables: Option<Vec<TouchedTable>>,
    /// What it calls that may do more than compute a value.
    pub effects: Vec<String>,
    /// The server's estimate of how many rows it returns or changes.
    pub estimated_rows: Option<u64>,
}

impl From<wit::Examination> for Examination {
    fn from(from: wit::Examination) -> Self {
        fn all<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
            list.into_iter().map(U::from).collect()
        }
        Self {
            columns: from.columns.map(all),
            tables: from.tables.map(all),
            effects: from.effects,
            estimated_rows: from.estimated_rows,
        }
    }
}

mirror! {
    /// A column of a result.
    ResultColumn from wit::ResultColumn {
        /// Its name.
        name / name: String,
        /// Its type, as the server writes it.
        data_type / type_: String,
    }
}

mirror! {
    /// A table that a statement touches.
    TouchedTable from wit::TouchedTable {
        /// Its schema.
        schema / schema: String,
        /// Its name.
        name / name: String,
        /// What is done with it.
        access / access: Access,
        /// Whether it is behind a view that is in the list too, so that the statement itself need not
        /// name it.
        behind_view / behind_view: bool,
    }
}

mirror_enum! {
    /// What a statement does with a table.
    Access from wit::Access {
        /// Its rows are read.
        Read = "read",
        /// Rows are added.
        Insert = "insert",
        /// Rows are changed.
        Update = "update",
        /// Rows are deleted.
        Delete = "delete",
        /// Rows are added, changed or deleted, as they come.
        Merge = "merge",
        /// Its rows are locked.
        Lock = "lock",
    }
}

mirror! {
    /// A lock that a transaction holds on a table.
    TableLock from wit::Lock {
        /// The table's schema.
        schema / schema: String,
        /// Its name.
        name / name: String,
        /// The server's word for it, such as `ROW EXCLUSIVE`.
        mode / mode: String,
        /// Whom it keeps waiting until the transaction ends.
        keeps_out / keeps_out: KeepsOut,
    }
}

mirror_enum! {
    /// Whom a lock keeps waiting.
    KeepsOut from wit::KeepsOut {
        /// Who changes the table itself: its columns, its indexes.
        Alterations = "alterations",
        /// Also who changes its rows, if only those that are changed here.
        TheSameRows = "the-same-rows",
        /// Also who changes any of its rows.
        Writers = "writers",
        /// Everyone, also who reads.
        Everyone = "everyone",
    }
}

impl KeepsOut {
    /// As in `it keeps out …`.
    pub fn told(self) -> &'static str {
        match self {
            Self::Alterations => "who alters the table",
            Self::TheSameRows => "who changes the same rows",
            Self::Writers => "everyone who writes",
            Self::Everyone => "everyone",
        }
    }
}
