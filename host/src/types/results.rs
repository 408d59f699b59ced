//! What a connector says.

use serde::Serialize;

use super::mirror::{mirror, mirror_enum};
use super::options::OnLoss;
use crate::bindings;
use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::receipt::Receipt;

mirror! {
    /// A schema that is not the system's own.
    SchemaInfo from wit::Schema {
        /// Its name.
        name / name: String,
        /// Whether the login may use it.
        usable / usable: bool,
        /// The comment on it.
        comment / comment: Option<String>,
    }
}

mirror! {
    /// A table, or what can be read like one.
    TableInfo from wit::Table {
        /// Its schema.
        schema / schema: String,
        /// Its name.
        name / name: String,
        /// What it is.
        kind / kind: TableKind,
        /// Whether the login may read all its columns.
        readable / readable: bool,
        /// The server's estimate of its rows.
        estimated_rows / estimated_rows: Option<u64>,
        /// The comment on it.
        comment / comment: Option<String>,
    }
}

mirror! {
    /// A column of a table.
    ColumnInfo from wit::Column {
        /// The schema of its table.
        schema / schema: String,
        /// Its table.
        table / table: String,
        /// Its name.
        name / name: String,
        /// Where it stands in the table, from 1 without gaps.
        ordinal / ordinal: u32,
        /// Its type, as the server writes it.
        data_type / type_: String,
        /// Whether it can hold NULL.
        nullable / nullable: bool,
        /// Where it stands in the primary key, from 1.
        primary_key / primary_key: Option<u32>,
        /// The expression it takes when no value is given.
        default / default: Option<String>,
        /// How the table makes its value, where it does.
        generated / generated (map): Option<Generation>,
        /// The comment on it.
        comment / comment: Option<String>,
    }
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The server's word for it, such as `UPDATE 5`.
    pub command: String,
    /// How many rows it changed, where it says so.
    pub rows: Option<u64>,
    /// What it cost.
    #[serde(skip)]
    pub receipt: Receipt,
}

impl From<wit::Outcome> for Outcome {
    fn from(from: wit::Outcome) -> Self {
        Self {
            command: from.command,
            rows: from.rows,
            receipt: Receipt::default(),
        }
    }
}

mirror! {
    /// A remark of the server that is not a failure.
    Notice from bindings::Notice {
        /// The server's word for how serious it is.
        severity / severity: String,
        /// Its SQLSTATE.
        sqlstate / sqlstate: String,
        /// The text.
        message / message: String,
    }
}

mirror! {
    /// Values of one column that were not carried as they are, for one reason.
    Loss from wit::Loss {
        /// The column.
        column / column: String,
        /// What they were, or why they did not fit, such as `NaN`.
        reason / reason: String,
        /// What they became: null or text.
        became / became: OnLoss,
        /// How many values.
        values / values: u64,
        /// The first row with one, from 1.
        first_row / first_row: u64,
        /// That row's value as the server would write it, cut off if long.
        example / example: String,
    }
}

/// What a write did, or, on a dry run, would have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WriteReport {
    /// Rows added.
    pub inserted: u64,
    /// Rows that were there and got new values.
    pub updated: u64,
    /// Rows that were there and are no more.
    pub deleted: u64,
    /// The SQL it consisted of, in order, without the rows.
    pub statements: Vec<String>,
    /// What to know or do beside.
    pub remarks: Vec<String>,
    /// What it cost.
    #[serde(skip)]
    pub receipt: Receipt,
}

impl From<wit::WriteReport> for WriteReport {
    fn from(from: wit::WriteReport) -> Self {
        Self {
            inserted: from.inserted,
            updated: from.updated,
            deleted: from.deleted,
            statements: from.statements,
            remarks: from.remarks,
            receipt: Receipt::default(),
        }
    }
}

mirror_enum! {
    /// What a table is.
    TableKind from wit::TableKind {
        /// A table that holds its own rows.
        Table = "table",
        /// A table whose rows lie in its partitions.
        PartitionedTable = "partitioned-table",
        /// One part of a partitioned table.
        Partition = "partition",
        /// A stored query.
        View = "view",
        /// A stored query with its stored result.
        MaterializedView = "materialized-view",
        /// A table that lies on another server.
        ForeignTable = "foreign-table",
        /// Something else that can be read like a table.
        Other = "other",
    }
}

mirror_enum! {
    /// How a table makes a column's value.
    Generation from wit::Generation {
        /// `GENERATED ALWAYS AS IDENTITY`.
        IdentityAlways = "identity-always",
        /// `GENERATED BY DEFAULT AS IDENTITY`.
        IdentityByDefault = "identity-by-default",
        /// Computed from other columns.
        Computed = "computed",
    }
}
