//! What the server said of a row, for the person whose row it is: with row, column and value
//! where they can be had, the labels an enum has, and the table's own name.

use dagflux_guest::Error;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;

use super::table::Column;
use crate::dialect::literal;
use crate::session::Session;

/// How many labels of an enum are shown.
const LABELS: usize = 50;

/// What an error is about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub schema: &'a str,
    pub table: &'a str,
    pub columns: &'a [Column],
    /// The temporary table that the rows went to in its stead, and the columns it has.
    pub staging: Option<(&'a str, &'a [String])>,
}

/// An attribute of an error.
pub fn attribute<'e>(error: &'e Error, name: &str) -> Option<&'e str> {
    let mut attributes = error.as_record().attributes.iter();
    let (_, value) = attributes.find(|(known, _)| known == name)?;
    Some(value)
}

/// The query for the columns of a constraint or a unique index, in order.
pub fn constraint_columns(schema: &str, table: &str, constraint: &str) -> String {
    let constraint = literal(constraint);
    format!(
        "SELECT a.attname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN LATERAL pg_catalog.unnest(COALESCE((SELECT k.conkey FROM pg_catalog.pg_constraint k \
         WHERE k.conrelid = c.oid AND k.conname = {constraint}), \
         (SELECT pg_catalog.string_to_array(i.indkey::pg_catalog.text, ' ')::pg_catalog.int2[] \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
         WHERE i.indrelid = c.oid AND ic.relname = {constraint} AND i.indexprs IS NULL))) \
         WITH ORDINALITY AS k(attnum, at) ON true \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
         WHERE n.nspname = {} AND c.relname = {} ORDER BY k.at",
        literal(schema),
        literal(table)
    )
}

/// The error as it is reported. The session is at rest, or lost.
pub fn explained(session: &mut Session, subject: Subject<'_>, mut error: Error) -> Error {
    let sqlstate = error.as_record().sqlstate.clone().unwrap_or_default();
    // A value that the server's input function rejects is about a row.
    if error.kind() == ErrorKind::Statement && sqlstate.starts_with("22") {
        error = error.into_kind(ErrorKind::Value);
    }
    if !matches!(error.kind(), ErrorKind::Value | ErrorKind::Constraint) || sqlstate.is_empty() {
        return error;
    }
    error = in_own_name(subject, error);
    let asks = !session.is_lost() && session.is_at_rest();
    if sqlstate == "23514" && attribute(&error, "column").is_none() && asks {
        error = of_check(session, subject, error);
    }
    if sqlstate == "22P02" && asks {
        error = with_labels(session, subject, error);
    }
    let place = match (attribute(&error, "row"), attribute(&error, "column")) {
        (Some(row), Some(column)) => format!("row {row}, column \"{column}\": "),
        (Some(row), None) => format!("row {row}: "),
        _ => return error,
    };
    let message = format!("{place}{}", error.message());
    error.with_message(message)
}

/// The error with the table's own name in place of that of the temporary table, and without
/// what only the temporary table has.
fn in_own_name(subject: Subject<'_>, error: Error) -> Error {
    let Some((staging, _)) = subject.staging else {
        return error;
    };
    let own = |text: &str| {
        text.replace(&format!("\"{staging}\""), &format!("\"{}\"", subject.table))
            .replace(
                &format!("COPY {staging},"),
                &format!("COPY {},", subject.table),
            )
    };
    let message = own(error.message());
    let is_staging = attribute(&error, "table") == Some(staging);
    let detail = error.as_record().detail.as_deref().map(|detail| {
        let detail = own(detail);
        if !is_staging {
            return detail;
        }
        // The last value of the row is its number.
        match values(&detail).and_then(|all| all.rsplit_once(", ").map(|(kept, _)| (all, kept))) {
            Some((all, kept)) => detail.replacen(all, kept, 1),
            None => detail,
        }
    });
    let mut error = error.with_message(message);
    if let Some(detail) = detail {
        error = error.with_detail(detail);
    }
    if is_staging {
        error = error
            .replacing_attribute("schema", subject.schema)
            .replacing_attribute("table", subject.table);
    }
    error
}

/// The values in `Failing row contains (1, x, 5).`
fn values(detail: &str) -> Option<&str> {
    if detail.contains(")=(") {
        return None;
    }
    // A context may follow, in parentheses as well.
    let end = detail.find(" (COPY ").unwrap_or(detail.len());
    let (_, rest) = detail.get(..end)?.split_once('(')?;
    rest.get(..rest.rfind(')')?)
}

/// The columns a CHECK constraint is about, and their values where they can be told apart.
fn of_check(session: &mut Session, subject: Subject<'_>, error: Error) -> Error {
    let Some(constraint) = attribute(&error, "constraint").map(str::to_owned) else {
        return error;
    };
    let schema = attribute(&error, "schema").unwrap_or(subject.schema);
    let table = attribute(&error, "table").unwrap_or(subject.table);
    let Ok(rows) = session.rows(&constraint_columns(schema, table, &constraint), &[]) else {
        return error;
    };
    let checked: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if checked.is_empty() {
        return error;
    }
    // The row as the server shows it has the columns of the table in their order.
    let names = subject.columns.iter().map(|column| &column.name);
    let names: Vec<_> = names
        .filter(|name| {
            subject
                .staging
                .is_none_or(|(_, offered)| offered.contains(name))
        })
        .collect();
    let row: Vec<&str> = error
        .as_record()
        .detail
        .as_deref()
        .and_then(values)
        .map(|values| values.split(", ").collect())
        .unwrap_or_default();
    let value = (row.len() == names.len()).then(|| {
        let shown = names.iter().zip(&row);
        let shown: Vec<_> = checked
            .iter()
            .filter_map(|name| shown.clone().find(|(known, _)| **known == name))
            .map(|(_, value)| *value)
            .collect();
        shown.join(", ")
    });
    let error = error.replacing_attribute("column", checked.join(", "));
    match value {
        Some(value) => error.replacing_attribute("value", value),
        None => error,
    }
}

/// Which labels there are, for a value that is none of them.
fn with_labels(session: &mut Session, subject: Subject<'_>, error: Error) -> Error {
    let Some(column) = attribute(&error, "column") else {
        return error;
    };
    let Some(column) = subject.columns.iter().find(|known| known.name == column) else {
        return error;
    };
    // The type itself, that below a domain, or that of an array's elements.
    let Ok(rows) = session.rows(
        "SELECT e.enumlabel FROM pg_catalog.pg_type t \
         LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype \
         JOIN pg_catalog.pg_enum e ON e.enumtypid IN (t.oid, t.typbasetype, t.typelem, b.typelem) \
         WHERE t.oid = pg_catalog.to_regtype($1)::pg_catalog.oid ORDER BY e.enumsortorder",
        &[Some(&column.type_name)],
    ) else {
        return error;
    };
    let labels: Vec<_> = rows.into_iter().flatten().flatten().collect();
    if labels.is_empty() {
        return error;
    }
    let mut shown: Vec<_> = labels
        .iter()
        .take(LABELS)
        .map(|label| format!("\"{label}\""))
        .collect();
    if labels.len() > LABELS {
        shown.push(format!("and {} more", labels.len().saturating_sub(LABELS)));
    }
    // In the binary format the server names the column and leaves the value to the message.
    let value = error
        .message()
        .rsplit_once(": \"")
        .and_then(|(_, value)| value.strip_suffix('"'))
        .map(str::to_owned);
    let error = match (attribute(&error, "value"), value) {
        (None, Some(value)) => error.with_attribute("value", value),
        _ => error,
    };
    error.with_hint(format!(
        "use one of the labels of {}: {}; or add one: ALTER TYPE {} ADD VALUE '...';",
        column.type_name,
        shown.join(", "),
        column.type_name
    ))
}
