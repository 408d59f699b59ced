//! PostgreSQL's types and Arrow's.
//!
//! - [`mapping`]: which Arrow type a PostgreSQL type becomes, and what it is called;
//! - [`decode`]: rows as the server sends them, into columns;
//! - [`numeric`]: PostgreSQL's decimal format;
//! - [`target`]: which Arrow types a PostgreSQL column takes, and what a new column is made;
//! - [`name`]: the name of a type, taken apart strictly;
//! - [`cell`]: single values from Arrow, checked against the column;
//! - [`encode`]: cells as `COPY` takes them.

pub mod cell;
pub mod decode;
pub mod encode;
pub mod mapping;
pub mod name;
pub mod numeric;
pub mod target;
