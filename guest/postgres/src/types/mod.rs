//! PostgreSQL's types and Arrow's.
//!
//! - [`mapping`]: which Arrow type a PostgreSQL type becomes, and what it is called;
//! - [`decode`]: rows as the server sends them, into columns;
//! - [`numeric`]: PostgreSQL's decimal format.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod decode;
pub mod mapping;
pub mod numeric;
