//! Loads DagFlux connectors, which are WebAssembly components, and runs each in
//! a sandbox.
//!
//! Build a [`Host`]; [`Host::load`] gives a [`Connector`];
//! [`Connector::connect`] gives a [`Connection`]; [`Connection::query`] and
//! [`Connection::read`] give a [`RowStream`] of Arrow record batches;
//! [`Connection::write`] gives a [`Sink`] for them; [`Connection::transaction`] makes one of several.
//! See [`Host`] for an example.
//!
//! A connector reaches the host and port of its configuration and nothing else,
//! logs in with a password it never holds, and spends no more memory and time
//! than its [`Limits`]: see [`policy`].
//!
//! # Layers
//!
//! Each depends only on those before it: [`policy`] decides; `broker` acts on
//! its decisions; `imports` adapts the broker to the generated traits;
//! `instance` and `session` run a component under supervision; the public types
//! stand on those.

mod bindings;
mod broker;
mod cache;
mod compile;
mod config;
mod connection;
mod connection_string;
mod connector;
mod descriptor;
mod encryption;
mod engine;
mod error;
mod host;
mod imports;
mod instance;
mod ipc;
pub mod operation;
mod password_file;
pub mod policy;
mod receipt;
mod registry;
mod report;
mod retry;
mod secrets;
mod session;
mod settings;
mod sink;
mod state;
mod step;
mod stream;
mod transaction;
mod turns;
mod types;
pub mod workspace;

pub use broker::tls::certificate::ServerCertificate;
pub use compile::{Compiler, serve_compiler};
pub use config::{Config, Value};
pub use connection::{Canceller, Connection};
pub use connection_string::{ConnectionString, StringField, StringValue};
pub use connector::{ComponentInfo, Connector};
pub use descriptor::{
    CancelCapabilities, Capabilities, Descriptor, Dialect, Field, FieldKind, ReadCapabilities,
    Role, TlsUpgrade, WriteCapabilities,
};
pub use encryption::{Encryption, Presented, Verified};
pub use error::{Error, ErrorKind, Fault, Result};
pub use host::{Host, HostBuilder, Inspection};
pub use password_file::PasswordFile;
pub use policy::{Beyond, Digest, Limits, Permissions, Policy, SigningKey, TlsMode, Trust};
pub use receipt::Receipt;
pub use registry::Registry;
pub use report::{
    CheckOptions, Finding, Purpose, Remedy, Report, Server, SetUpNames, SetUpStatement, Severity,
    Verdict,
};
pub use retry::{Again, Retry, Tries};
pub use secrets::{Secret, SecretError, SecretProvider, Secrets};
pub use sink::Sink;
pub use step::ConnectStep;
pub use stream::RowStream;
pub use transaction::Transaction;
pub use types::{
    Access, BatchSize, ColumnInfo, ConnectOptions, Duplicates, Examination, Generation, KeepsOut,
    Loss, LossPolicy, Notice, OnLoss, Outcome, ReadOptions, ResultColumn, SchemaInfo, TableInfo,
    TableKind, TableLock, TableName, TouchedTable, TransactionOptions, WriteMode, WriteOptions,
    WriteReport,
};
