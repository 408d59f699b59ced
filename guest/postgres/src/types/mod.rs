//! PostgreSQL's types and Arrow's.
//!
//! What there is:
//! - [`oid`], [`pg_type`], [`lookup`]: the server's types, and asking it what they are made of;
//! - [`name`]: the name of a type, taken apart strictly.
//!
//! Reading:
//! - [`mapping`]: which Arrow type a PostgreSQL type becomes, and how its values arrive;
//! - [`decode`]: rows as the server sends them, into columns; [`nested`]: values with parts;
//! - [`ledger`]: what becomes of values that do not fit; [`told`]: the same for columns that
//!   arrive as text; [`show`]: such values as a person would write them.
//!
//! Writing:
//! - [`target`]: which Arrow types a PostgreSQL column takes, and what a new column is made;
//! - [`source`]: a batch's columns, taken apart; [`cell`]: single values, checked against the
//!   column;
//! - [`batch`]: rows as `COPY` takes them; [`encode`] and [`compose`]: the values in them,
//!   without and with parts; [`json`]: values with parts for a column of JSON.
//!
//! Both: [`numeric`], PostgreSQL's decimal format; [`literal`], arrays and records as text.

pub mod batch;
pub mod cell;
pub mod compose;
pub mod decode;
pub mod encode;
pub mod json;
pub mod ledger;
pub mod literal;
pub mod lookup;
pub mod mapping;
pub mod name;
pub mod nested;
pub mod numeric;
pub mod oid;
pub mod pg_type;
pub mod show;
pub mod source;
pub mod target;
pub mod told;
