//! The table that is written to: its columns, and whether an Arrow schema fits them.

use std::collections::HashSet;

use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use crate::catalog::{columns_of, generated_column, is_true, require_table, required};
use crate::protocol::Violation;
use crate::protocol::backend::TextRow;
use crate::session::Session;
use crate::types::lookup;
use crate::types::pg_type::Typed;
use crate::types::target::Target;

/// A column of the table.
pub struct Column {
    name: String,
    /// Its type as the server writes it.
    type_name: String,
    target: Target,
    /// Whether a row without a value for it is refused.
    needs_value: bool,
    /// Why it cannot be written, if it cannot.
    closed: Option<&'static str>,
}

/// The columns of a table, in order.
///
/// # Errors
/// `table-not-found`, `schema-not-found`.
pub fn columns(session: &mut Session, schema: &str, table: &str) -> Result<Vec<Column>> {
    let generated = generated_column(session);
    let sql = format!(
        "SELECT a.attname, a.atttypid, a.atttypmod, \
         (a.attnotnull OR t.typtype = 'd' AND t.typnotnull) AND NOT a.atthasdef \
         AND a.attidentity = '' AND t.typdefault IS NULL, \
         a.attidentity, {generated} \
         FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
         AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    );
    let rows = session.rows(&sql, &[Some(schema), Some(table)])?;
    if rows.is_empty() {
        require_table(session, schema, table)?;
    }
    let mut wanted = Vec::new();
    for row in &rows {
        let number = |at: usize| row.get(at).and_then(Option::as_deref);
        match (
            number(1).and_then(|oid| oid.parse().ok()),
            number(2).and_then(|modifier| modifier.parse().ok()),
        ) {
            (Some(type_oid), Some(modifier)) => wanted.push((type_oid, modifier)),
            _ => return Err(Violation::new("a type id that is not a number").into()),
        }
    }
    let types = lookup::types(session, &wanted)?;
    rows.into_iter().zip(types).map(column).collect()
}

fn column((row, typed): (TextRow, Typed)) -> Result<Column> {
    let [name, _, _, needs_value, identity, generated] = columns_of(row)?;
    Ok(Column {
        name: required(name)?,
        target: Target::of(&typed),
        type_name: typed.name,
        needs_value: is_true(&needs_value),
        closed: match (identity.as_deref(), generated.as_deref()) {
            (Some("a"), _) => {
                Some("its values are made by the table (GENERATED ALWAYS AS IDENTITY)")
            }
            (_, Some("s" | "v")) => Some("its values are computed by the table"),
            _ => None,
        },
    })
}

/// What each field of the Arrow schema is written as, in the schema's order.
///
/// # Errors
/// `schema-mismatch`, with everything that does not fit.
pub fn match_columns(arrow: &Schema, columns: &[Column]) -> Result<Vec<Target>> {
    let mut faults = Vec::new();
    let mut targets = Vec::new();
    let mut seen = HashSet::new();
    if arrow.fields().is_empty() {
        faults.push((String::new(), "there are no columns to write".to_owned()));
    }
    for field in arrow.fields() {
        let name = field.name();
        let mut fault = |text: String| faults.push((name.clone(), text));
        if !seen.insert(name) {
            fault(format!("\"{name}\" is offered more than once"));
            continue;
        }
        let Some(column) = columns.iter().find(|column| column.name == *name) else {
            fault(match nearest(name, columns) {
                Some(near) => format!("\"{name}\" is not a column of the table, \"{near}\" is"),
                None => format!("\"{name}\" is not a column of the table"),
            });
            continue;
        };
        if let Some(reason) = column.closed {
            fault(format!("\"{name}\" cannot be written: {reason}"));
        } else if !column.target.takes(field.data_type()) {
            fault(format!(
                "\"{name}\" is {}, which does not fit {}",
                field.data_type(),
                column.type_name
            ));
        }
        targets.push(column.target.clone());
    }
    for column in columns {
        if column.needs_value && column.closed.is_none() && !seen.contains(&column.name) {
            faults.push((
                column.name.clone(),
                format!(
                    "\"{}\" is missing: it takes no NULL and has no default",
                    column.name
                ),
            ));
        }
    }
    if faults.is_empty() {
        return Ok(targets);
    }
    let texts: Vec<_> = faults.iter().map(|(_, text)| text.as_str()).collect();
    let mut error = Error::new(
        ErrorKind::SchemaMismatch,
        format!("the columns offered do not fit the table: {}", texts.join("; ")),
    )
    .with_hint("rename, cast or leave out the columns named; text fits a column of any type, which then reads it");
    for (column, _) in &faults {
        error = error.with_attribute("column", column.clone());
    }
    Err(error)
}

/// The column that differs from `name` only in capitals.
fn nearest<'c>(name: &str, columns: &'c [Column]) -> Option<&'c str> {
    columns
        .iter()
        .map(|column| column.name.as_str())
        .find(|column| column.to_lowercase() == name.to_lowercase())
}
