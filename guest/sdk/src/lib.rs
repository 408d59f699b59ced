//! What every connector shares, so that a connector is only its own protocol.
//!
//! A connector is a component that exports the interfaces of `wit/`. Those files
//! are the contract; this crate is one way to meet it in Rust:
//!
//! - [`bindings`]: the contract as Rust types and traits, and [`export!`](bindings::export);
//! - [`Error`]: failures, built from a kind and a sentence;
//! - [`Channel`] and [`tcp`]: bytes to and from the server; the seam behind which a
//!   native test puts an ordinary socket, and behind which an encrypted channel fits;
//! - [`Stream`]: buffered reads that are parsed in place, and a write queue that
//!   cannot deadlock with a server that writes too;
//! - [`ColumnBuilder`] and [`ipc`]: columns that become one Arrow IPC message;
//! - [`config`]: typed reads of the connection form; [`log`]: the host's log.
//!
//! # Writing a connector
//!
//! Implement `descriptor::Guest` and `relational::Guest` for a type and export it:
//!
//! ```ignore
//! struct Connector;
//! impl dagflux_guest::bindings::exports::dagflux::connector::descriptor::Guest for Connector { /* ... */ }
//! impl dagflux_guest::bindings::exports::dagflux::connector::relational::Guest for Connector { /* ... */ }
//! #[cfg(target_arch = "wasm32")]
//! dagflux_guest::bindings::export!(Connector);
//! ```
//!
//! The password never arrives here: a connector passes the server's challenge to
//! `credentials` and sends on the answer it gets. Everything received is untrusted,
//! and a panic is a trap that ends the connection: return an [`Error`] instead.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod batch;
pub mod bindings;
mod channel;
pub mod config;
mod error;
pub mod ipc;
pub mod log;
mod stream;
pub mod tcp;

pub use batch::{BatchLimits, ColumnBuilder, Layout};
pub use channel::{Channel, ChannelError, Interest};
pub use error::{Error, Result};
pub use stream::Stream;
