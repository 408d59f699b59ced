//! The plain types of the public API.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::bindings;
use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::error::{Error, ErrorKind};
use crate::policy::Limits;
use crate::receipt::Receipt;
use crate::retry::Retry;

/// The name of a table, with or without its schema.
///
/// Parsing keeps to SQL's rules as far as they are not folding: a dot parts
/// schema and name, and a part in double quotes can hold anything.
///
/// ```
/// # use dagflux_host::TableName;
/// let table: TableName = "sales.\"Order.Items\"".parse().unwrap();
/// assert_eq!(table.schema.as_deref(), Some("sales"));
/// assert_eq!(table.name, "Order.Items");
/// assert_eq!(table.to_string(), "sales.\"Order.Items\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct TableName {
    /// Its schema; without one, that of the configuration.
    pub schema: Option<String>,
    /// Its name, as it is stored.
    pub name: String,
}

impl TableName {
    /// A table in the configuration's schema.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }

    /// A table in a schema.
    pub fn in_schema(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: Some(schema.into()),
            name: name.into(),
        }
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::new(
                ErrorKind::TableNotFound,
                format!("{text:?} is not the name of a table"),
            )
            .with_hint(
                "write table, schema.table, or \"Odd.Schema\".\"Odd Table\" with double quotes",
            )
        };
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let part = parts.last_mut().ok_or_else(wrong)?;
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                _ => part.push(c),
            }
        }
        if quoted
            || parts
                .iter()
                .any(|part| part.is_empty() || part.contains('\0'))
        {
            return Err(wrong());
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, _) => Ok(Self { schema: None, name }),
            (Some(schema), Some(name), None) => Ok(Self {
                schema: Some(schema),
                name,
            }),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |part: &str| {
            if part.contains(['.', '"']) {
                format!("\"{}\"", part.replace('"', "\"\""))
            } else {
                part.to_owned()
            }
        };
        if let Some(schema) = &self.schema {
            write!(f, "{}.", part(schema))?;
        }
        f.write_str(&part(&self.name))
    }
}

impl From<&TableName> for bindings::TableName {
    fn from(table: &TableName) -> Self {
        Self {
            schema: table.schema.clone(),
            name: table.name.clone(),
        }
    }
}

/// How large a batch of rows may become; whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchSize {
    /// The most rows. Default: 65,536.
    pub rows: u32,
    /// The most bytes of Arrow buffers; one larger row comes alone. Default: 8 MiB.
    pub bytes: u32,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self {
            rows: 65_536,
            bytes: 8 * 1024 * 1024,
        }
    }
}

impl BatchSize {
    /// The most rows.
    pub fn with_rows(mut self, rows: u32) -> Self {
        self.rows = rows;
        self
    }

    /// The most bytes.
    pub fn with_bytes(mut self, bytes: u32) -> Self {
        self.bytes = bytes;
        self
    }
}

impl From<BatchSize> for wit::BatchSize {
    fn from(size: BatchSize) -> Self {
        Self {
            rows: size.rows,
            bytes: size.bytes,
        }
    }
}

/// How a connection behaves beside what its configuration says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The name under which the server lists the connection. Default: `dagflux`.
    pub application_name: String,
    /// How long a statement may run; the server enforces it. Default: the
    /// server's own setting.
    pub statement_timeout: Option<Duration>,
    /// How large a batch may become.
    pub batch: BatchSize,
    /// Whether to try again where nothing can have happened: to connect, and to
    /// [`execute`](crate::Connection::execute). Default: no.
    pub retry: Option<Retry>,
    /// What the connection may use, if not what the host gives to all. Limits of the host as a whole
    /// ([`Scope::Host`](crate::policy::limits::Scope::Host)) stay as they are.
    pub limits: Option<Limits>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            application_name: "dagflux".to_owned(),
            statement_timeout: None,
            batch: BatchSize::default(),
            retry: None,
            limits: None,
        }
    }
}

impl ConnectOptions {
    /// Sets what the connection may use.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets the name under which the server lists the connection.
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// Sets how long a statement may run.
    pub fn with_statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = Some(timeout);
        self
    }

    /// Sets whether, and for how long, to try again.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets how large a batch may become.
    pub fn with_batch(mut self, batch: BatchSize) -> Self {
        self.batch = batch;
        self
    }
}

/// What to read of a table. The default is all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The columns, in this order; none for all.
    pub columns: Option<Vec<String>>,
    /// The most rows; none for all.
    pub limit: Option<u64>,
    /// What becomes of values that Arrow cannot hold.
    pub losses: LossPolicy,
}

impl ReadOptions {
    /// Reads these columns only.
    pub fn with_columns<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Reads at most so many rows.
    pub fn with_limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Chooses what becomes of values that Arrow cannot hold.
    pub fn with_losses(mut self, losses: LossPolicy) -> Self {
        self.losses = losses;
        self
    }
}

/// What becomes of values that the Arrow type of their column cannot hold, in one
/// read: NaN in a decimal, an infinite date, ... The default is that the read
/// fails, with an error that names column, row and value.
///
/// ```
/// # use dagflux_host::{LossPolicy, OnLoss};
/// let policy = LossPolicy::new(OnLoss::Null).with_column("valid_until", OnLoss::Text);
/// assert_eq!(policy.of("price"), OnLoss::Null);
/// assert_eq!(policy.of("valid_until"), OnLoss::Text);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LossPolicy {
    default: OnLoss,
    columns: Vec<(String, OnLoss)>,
}

impl LossPolicy {
    /// One choice for all columns.
    pub fn new(default: OnLoss) -> Self {
        Self {
            default,
            columns: Vec::new(),
        }
    }

    /// Another choice for one column. A column that the result lacks is an
    /// error when it is read.
    pub fn with_column(mut self, column: impl Into<String>, choice: OnLoss) -> Self {
        self.columns.push((column.into(), choice));
        self
    }

    /// The choice for a column.
    pub fn of(&self, column: &str) -> OnLoss {
        let choice = self.columns.iter().rev().find(|(name, _)| name == column);
        choice.map_or(self.default, |(_, choice)| *choice)
    }

    pub(crate) fn into_options(self, batch: BatchSize) -> wit::StreamOptions {
        let columns = self.columns.into_iter();
        wit::StreamOptions {
            batch: batch.into(),
            on_loss: self.default.into(),
            on_loss_of: columns
                .map(|(name, choice)| (name, choice.into()))
                .collect(),
        }
    }
}

/// What becomes of a value that the Arrow type of its column cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnLoss {
    /// The read fails.
    #[default]
    Fail,
    /// It becomes null.
    Null,
    /// Columns of a type that has such values arrive as text.
    Text,
}

impl From<OnLoss> for wit::OnLoss {
    fn from(choice: OnLoss) -> Self {
        match choice {
            OnLoss::Fail => Self::Fail,
            OnLoss::Null => Self::Null,
            OnLoss::Text => Self::Text,
        }
    }
}

impl From<wit::OnLoss> for OnLoss {
    fn from(choice: wit::OnLoss) -> Self {
        match choice {
            wit::OnLoss::Fail => Self::Fail,
            wit::OnLoss::Null => Self::Null,
            wit::OnLoss::Text => Self::Text,
        }
    }
}

/// What a write does with the table and the rows it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// Creates the table; it must not exist.
    Create,
    /// Adds to the rows.
    #[default]
    Append,
    /// Puts the new rows in place of all others. The table itself stays, with
    /// its grants, comments, indexes, policies, and the views on it.
    Replace,
    /// Changes the rows that have the key of a new one, and adds the rest.
    Upsert {
        /// The columns that tell rows apart; none for the primary key. The
        /// table must hold them unique.
        key: Vec<String>,
        /// What happens when several new rows have one key.
        duplicates: Duplicates,
    },
}

impl WriteMode {
    /// An upsert by these columns; none for the primary key.
    pub fn upsert<T: Into<String>>(key: impl IntoIterator<Item = T>) -> Self {
        Self::Upsert {
            key: key.into_iter().map(Into::into).collect(),
            duplicates: Duplicates::Fail,
        }
    }
}

/// What happens when several new rows have one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicates {
    /// The write fails; the error shows keys and rows.
    #[default]
    Fail,
    /// The last of them counts.
    LastWins,
}

/// How to write to a table. The default is to append to one that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// What happens to the table.
    pub mode: WriteMode,
    /// The types of columns of a table that is created, by column, as the
    /// server writes types.
    pub types: Vec<(String, String)>,
    /// Does all of it, and then rolls it back. Takes the locks of a real write;
    /// what defaults drew from sequences stays drawn.
    pub dry_run: bool,
}

impl WriteOptions {
    /// Options for a mode.
    pub fn new(mode: WriteMode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }

    /// Gives a column of a table that is created a type.
    pub fn with_type(mut self, column: impl Into<String>, data_type: impl Into<String>) -> Self {
        self.types.push((column.into(), data_type.into()));
        self
    }

    /// Rolls the write back when it is done, or not.
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

impl From<WriteOptions> for wit::WriteOptions {
    fn from(options: WriteOptions) -> Self {
        Self {
            mode: match options.mode {
                WriteMode::Create => wit::WriteMode::Create,
                WriteMode::Append => wit::WriteMode::Append,
                WriteMode::Replace => wit::WriteMode::Replace,
                WriteMode::Upsert { key, duplicates } => wit::WriteMode::Upsert(wit::Upsert {
                    key,
                    duplicates: match duplicates {
                        Duplicates::Fail => wit::Duplicates::Fail,
                        Duplicates::LastWins => wit::Duplicates::LastWins,
                    },
                }),
            },
            types: options.types,
            dry_run: options.dry_run,
        }
    }
}

/// A record of the contract as a type of the public API.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident from $wit:path { $($(#[$field_doc:meta])* $field:ident / $from:ident $(($map:ident))?: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl From<$wit> for $name {
            fn from(from: $wit) -> Self {
                Self { $($field: from.$from $(.$map(Into::into))? .into(),)* }
            }
        }
    };
}

pub(crate) use mirror;

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

/// An enumeration of the contract as a type of the public API.
macro_rules! mirror_enum {
    ($(#[$doc:meta])* $name:ident from $wit:path { $($(#[$case_doc:meta])* $case:ident = $text:literal,)* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        $(#[$doc])*
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$case_doc])* $case,)*
        }

        impl $name {
            /// Its name, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)*
                }
            }
        }

        impl From<$wit> for $name {
            fn from(from: $wit) -> Self {
                match from {
                    $(<$wit>::$case => Self::$case,)*
                }
            }
        }
    };
}

pub(crate) use mirror_enum;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_round_trip() {
        for (text, schema, name) in [
            ("t", None, "t"),
            ("s.t", Some("s"), "t"),
            ("\"a.b\".\"c\"\"d\"", Some("a.b"), "c\"d"),
            ("Ünïcode", None, "Ünïcode"),
            ("with space", None, "with space"),
        ] {
            let parsed: TableName = text.parse().unwrap();
            assert_eq!(
                (parsed.schema.as_deref(), parsed.name.as_str()),
                (schema, name),
                "{text}"
            );
            assert_eq!(parsed.to_string().parse::<TableName>().unwrap(), parsed);
        }
        for text in ["", ".", "a.", ".b", "a.b.c", "\"open", "a\0b"] {
            assert!(text.parse::<TableName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn batch_defaults_are_as_stated() {
        assert_eq!(
            BatchSize::default(),
            BatchSize {
                rows: 65_536,
                bytes: 8 * 1024 * 1024
            }
        );
        assert_eq!(ConnectOptions::default().application_name, "dagflux");
        assert_eq!(ConnectOptions::default().statement_timeout, None);
    }
}
