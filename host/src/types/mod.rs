//! The plain types of the public API.

mod examination;
mod mirror;
mod name;
mod options;
mod results;

pub use examination::{Access, Examination, KeepsOut, ResultColumn, TableLock, TouchedTable};
pub(crate) use mirror::{mirror, mirror_enum};
pub use name::TableName;
pub use options::{
    BatchSize, ConnectOptions, Duplicates, LossPolicy, OnLoss, ReadOptions, TransactionOptions,
    WriteMode, WriteOptions,
};
pub use results::{
    ColumnInfo, Generation, Loss, Notice, Outcome, SchemaInfo, TableInfo, TableKind, WriteReport,
};
