//! CSV as PostgreSQL's COPY and most tools write it (RFC 4180), in UTF-8, with
//! the names in the first line. A field with nothing between the commas is
//! NULL; the empty text is written `""`.
//!
//! That difference is why reading and writing are our own: the `csv` crate,
//! and arrow-csv on it, do not tell a quoted empty field from a missing one.

pub mod read;
pub mod write;
