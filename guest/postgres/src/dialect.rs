//! How PostgreSQL's SQL is written.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

/// The most bytes of a name that PostgreSQL keeps apart; what is longer it cuts off silently.
///
/// Manual: "Identifiers and Key Words"; `NAMEDATALEN` in the server's sources.
pub const LONGEST_NAME: usize = 63;

/// `name` as a quoted identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name with its schema, both quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// Names as a list of quoted identifiers.
pub fn quoted_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(quote).collect();
    quoted.join(", ")
}

/// `text` as a string literal.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    // Backslashes are plain in this form unless the server was set to read them.
    match quoted.contains('\\') {
        true => format!(" E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

/// An array as text: every element quoted, backslashes and quotes within escaped.
pub fn array<'e>(elements: impl IntoIterator<Item = &'e str>) -> String {
    let elements: Vec<_> = elements
        .into_iter()
        .map(|element| format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", elements.join(","))
}

/// Makes sure that the server keeps all of a name that goes into SQL. It would cut off one that
/// is too long, and take what remains for the name of something else.
///
/// # Errors
/// Of the given kind.
pub fn check_name(what: &str, kind: ErrorKind, name: &str) -> Result<()> {
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(Error::new(
        kind,
        format!(
            "there is no {what} \"{name}\": PostgreSQL keeps {LONGEST_NAME} bytes of a name, and this one has {}",
            name.len()
        ),
    )
    .with_hint(format!("give the name of the {what} as the server lists it"))
    .with_attribute(what, name))
}

/// Like [`check_name`], for a table and its schema.
///
/// # Errors
/// `schema-not-found`, `table-not-found`.
pub fn check_table(schema: &str, table: &str) -> Result<()> {
    check_name("schema", ErrorKind::SchemaNotFound, schema)?;
    check_name("table", ErrorKind::TableNotFound, table)
}
