//! What a caller may choose.

use std::time::Duration;

use serde::Serialize;

use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::policy::Limits;
use crate::retry::Retry;

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

/// How a transaction is begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// Nothing may be changed in it; the server enforces that. Default: it may.
    pub read_only: bool,
    /// Every statement in it sees the same rows. Default: each sees what was committed before it.
    pub snapshot: bool,
}

impl TransactionOptions {
    /// Lets nothing be changed.
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Lets every statement see the same rows.
    pub fn with_snapshot(mut self, snapshot: bool) -> Self {
        self.snapshot = snapshot;
        self
    }
}

impl From<TransactionOptions> for wit::TransactionOptions {
    fn from(options: TransactionOptions) -> Self {
        Self {
            read_only: options.read_only,
            snapshot: options.snapshot,
        }
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

    /// The columns with a choice of their own.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
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
    /// Creates a table that only the open transaction sees, and that goes with it. It has no schema.
    Temporary,
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
                WriteMode::Temporary => wit::WriteMode::Temporary,
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

#[cfg(test)]
mod tests {
    use super::*;

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
