//! The types that the caller wants for columns of a new table.

use std::collections::HashMap;

use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use super::fault::Fault;
use crate::types::name::TypeName;

/// What SQL calls some types in place of their own names: the grammar's words, which the catalog
/// does not have.
const WORDS: &[(&str, &str)] = &[
    ("char", "character"),
    ("char varying", "character varying"),
    ("dec", "numeric"),
    ("decimal", "numeric"),
    ("float", "double precision"),
    ("int", "integer"),
];

/// A type's name as the server writes it, from what a person may have written: SQL's own words
/// and capitals are understood where nothing is quoted.
fn spelled(text: &str) -> String {
    if text.contains('"') {
        return text.to_owned();
    }
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    let text = words.join(" ").replace(" (", "(");
    let end = text.find(['(', '[']).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((&text, ""));
    let word = WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map_or(word, |(_, name)| name);
    format!("{word}{rest}")
}

/// The types by column, taken apart, and what is wrong with them so far.
pub fn wanted(
    types: &[(String, String)],
    arrow: &Schema,
) -> (HashMap<String, (TypeName, String)>, Vec<Fault>) {
    let mut wanted = HashMap::new();
    let mut faults = Vec::new();
    for (column, text) in types {
        if arrow.column_with_name(column).is_none() {
            faults.push(
                Fault::column(
                    column,
                    format!("a type is given for \"{column}\", which is not offered"),
                )
                .with_remedy("give types only for columns that are offered"),
            );
            continue;
        }
        let Some(name) = TypeName::parse(&spelled(text)) else {
            faults.push(unknown(column, text));
            continue;
        };
        if wanted
            .insert(column.clone(), (name, text.clone()))
            .is_some()
        {
            faults.push(
                Fault::column(column, format!("two types are given for \"{column}\""))
                    .with_remedy("give each column one type"),
            );
        }
    }
    (wanted, faults)
}

/// The fault of a type that the server does not know.
pub fn unknown(column: &str, text: &str) -> Fault {
    Fault::column(
        column,
        format!(
            "\"{column}\" cannot be \"{}\": there is no such type",
            text.escape_debug()
        ),
    )
    .with_remedy(
        "give a type that the server has, as it writes it: numeric(15,2), timestamp with time zone, \"Schema\".\"Type\"",
    )
}

/// Makes sure that types are given only where they are used.
///
/// # Errors
/// `unsupported`, naming the columns.
pub fn check_unused(types: &[(String, String)]) -> Result<()> {
    if types.is_empty() {
        return Ok(());
    }
    let columns: Vec<_> = types.iter().map(|(column, _)| column.as_str()).collect();
    let error = Error::new(
        ErrorKind::Unsupported,
        format!(
            "types are given for {}, but the table is there already and keeps its own",
            columns.join(", ")
        ),
    )
    .with_hint("leave the types out, or create a new table");
    Err(columns.into_iter().fold(error, |error, column| {
        error.with_attribute("column", column)
    }))
}
