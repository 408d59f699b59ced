//! The plain types of the public API.

mod mirror;
mod name;
mod options;
mod results;

pub(crate) use mirror::{mirror, mirror_enum};
pub use name::TableName;
pub use options::{
    BatchSize, ConnectOptions, Duplicates, LossPolicy, OnLoss, ReadOptions, WriteMode, WriteOptions,
};
pub use results::{
    ColumnInfo, Generation, Loss, Notice, Outcome, SchemaInfo, TableInfo, TableKind, WriteReport,
};
