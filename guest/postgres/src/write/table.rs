//! The table that is written to: its columns, and whether an Arrow schema fits them.

use std::collections::HashSet;

use arrow_schema::Schema;
use dagflux_guest::Result;

use super::fault::Fault;
use crate::catalog::{columns_of, generated_column, is_true, required};
use crate::protocol::Violation;
use crate::protocol::backend::TextRow;
use crate::session::Session;
use crate::types::mapping::oid;
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
    // The type below a domain, one level down; deeper ones are left to the text format.
    let sql = format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         COALESCE(b.oid, t.oid), CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END, \
         COALESCE(b.typtype, t.typtype), \
         (a.attnotnull OR t.typtype = 'd' AND t.typnotnull) AND NOT a.atthasdef \
         AND a.attidentity = '' AND t.typdefault IS NULL, \
         a.attidentity, {generated} \
         FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd' \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
         AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    );
    session.ask(&sql, &[Some(schema), Some(table)])
}

/// The columns that were asked for, from the rows of the answer.
///
/// # Errors
/// `protocol`.
pub fn columns(rows: Vec<TextRow>) -> Result<Vec<Column>> {
    rows.into_iter().map(column).collect()
}

fn column(row: Vec<Option<String>>) -> Result<Column> {
    let [
        name,
        type_name,
        type_oid,
        modifier,
        class,
        needs_value,
        identity,
        generated,
    ] = columns_of(row)?;
    let number = |text: Option<String>| -> Result<i64> {
        Ok(required(text)?
            .parse()
            .map_err(|_| Violation::new("a type id that is not a number"))?)
    };
    let type_oid = u32::try_from(number(type_oid)?).unwrap_or_default();
    let modifier = i32::try_from(number(modifier)?).unwrap_or(-1);
    Ok(Column {
        name: required(name)?,
        type_name: required(type_name)?,
        target: match class.as_deref() {
            // The binary form of an enum is its label.
            Some("e") => Target::of(oid::TEXT, -1),
            Some("b") => Target::of(type_oid, modifier),
            _ => Target::Other,
        },
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
        targets.push(column.target);
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
