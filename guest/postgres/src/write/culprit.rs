//! Which of the rows that were gathered an error is about.
//!
//! The statement that carries rows over names the constraint and the key's values, but no row.
//! The gathered rows are still there at the savepoint before it.

use dagflux_guest::Error;

use super::relation::Relation;
use super::upsert::Upsert;
use super::violation::{attribute, constraint_columns};
use crate::dialect::{literal, quoted_list};
use crate::session::Session;

/// The error with the row it is about, if that can be told. The savepoint is left or lost.
pub fn named(session: &mut Session, upsert: &Upsert, relation: &Relation, error: Error) -> Error {
    let found = (|| {
        let value = attribute(&error, "value")?;
        // In a partition the constraint has a name of its own.
        let schema = attribute(&error, "schema").unwrap_or(&relation.schema);
        let table = attribute(&error, "table").unwrap_or(&relation.name);
        let constraint = attribute(&error, "constraint").unwrap_or_default();
        let columns = session
            .attempt(&[
                "ROLLBACK TO SAVEPOINT dagflux",
                &constraint_columns(schema, table, constraint),
            ])
            .ok()?
            .ok()?;
        let mut columns: Vec<String> = columns.into_iter().flatten().flatten().collect();
        if columns.is_empty() {
            // A row without a partition violates no constraint that has a name.
            let named = attribute(&error, "column")?.split(", ");
            columns = named
                .map(|name| name.trim_matches('"').to_owned())
                .collect();
        }
        if !columns.iter().all(|name| upsert.columns.contains(name)) {
            return None;
        }
        // The server wrote the values as `concat_ws` does: by their output functions.
        let query = format!(
            "SELECT pg_catalog.max({}) FROM {} WHERE pg_catalog.concat_ws(', ', {}) = {}",
            upsert.number,
            upsert.staging,
            quoted_list(columns.iter().map(String::as_str)),
            literal(value)
        );
        let rows = session.attempt(&[&query]).ok()?.ok()?;
        let row = rows.into_iter().flatten().next().flatten()?;
        Some((row, columns.join(", ")))
    })();
    match found {
        Some((row, column)) => error
            .replacing_attribute("row", row)
            .replacing_attribute("column", column),
        None => error,
    }
}
