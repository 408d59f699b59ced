//! The table that is written to: its columns, and whether an Arrow schema fits them.

use std::collections::HashSet;

use arrow_schema::Schema;
use dagflux_guest::Result;

use super::fault::Fault;
use crate::catalog::{columns_of, generated_column, is_true, required};
use crate::protocol::Violation;
use crate::protocol::backend::TextRow;
use crate::session::Session;
use crate::types::lookup;
use crate::types::pg_type::Typed;
use crate::types::target::Target;

/// A column of the table.
pub struct Column {
    pub(super) name: String,
    /// Its type as the server writes it.
    pub(super) type_name: String,
    target: Target,
    /// Whether a row without a value for it is refused.
    needs_value: bool,
    /// Whether it is `GENERATED ALWAYS AS IDENTITY`: a value is set only where it is insisted on.
    pub(super) identity_always: bool,
    /// Why it cannot be written, if it cannot.
    closed: Option<&'static str>,
}

/// Asks for the columns of a table, in order.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask(session: &mut Session, schema: &str, table: &str) -> Result<()> {
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
    session.ask(&sql, &[Some(schema), Some(table)])
}

/// The columns that were asked for, from the rows of the answer. Types that the connector does
/// not know by heart are asked for in turn.
///
/// # Errors
/// What the server reports.
pub fn columns(session: &mut Session, rows: Vec<TextRow>) -> Result<Vec<Column>> {
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
        identity_always: identity.as_deref() == Some("a"),
        closed: match generated.as_deref() {
            Some("s" | "v") => {
                Some("its values are computed by the table (GENERATED ALWAYS AS), so leave it out")
            }
            _ => None,
        },
    })
}

/// What each field of the Arrow schema is written as, in the schema's order, and everything
/// that does not fit. The first is of use only if the second is empty.
pub fn match_columns(arrow: &Schema, columns: &[Column]) -> (Vec<Target>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut targets = Vec::new();
    let mut seen = HashSet::new();
    if arrow.fields().is_empty() {
        faults.push(Fault::column("", "there are no columns to write"));
    }
    for field in arrow.fields() {
        let name = field.name();
        let mut fault = |text: String| faults.push(Fault::column(name, text));
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
            faults.push(Fault::column(
                &column.name,
                format!(
                    "\"{}\" is missing: it takes no NULL and has no default",
                    column.name
                ),
            ));
        }
    }
    (targets, faults)
}

/// The column that differs from `name` only in capitals.
fn nearest<'c>(name: &str, columns: &'c [Column]) -> Option<&'c str> {
    columns
        .iter()
        .map(|column| column.name.as_str())
        .find(|column| column.to_lowercase() == name.to_lowercase())
}
