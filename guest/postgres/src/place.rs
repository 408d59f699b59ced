//! Where in the rows offered a report of the server points: row, column, value.
//!
//! The server says so in two texts. Errors within a `COPY` come with the context
//! `COPY t, line 3, column price: "x"`, or a part of it. Violated keys come with the detail
//! `Key (a, b)=(1, x) already exists.` Both can be in another language; then what stands
//! between punctuation is found all the same, or nothing is.

use crate::protocol::backend::Report;

/// What a report says of the place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The row, from 1.
    pub row: Option<String>,
    /// The column, or several with commas between.
    pub column: Option<String>,
    /// The value, as the server shows it: cut off if it is long.
    pub value: Option<String>,
}

/// The place that a report points to.
pub fn of(report: &Report) -> Place {
    let mut place = match report.context.as_deref() {
        Some(context) => in_copy(context),
        None => Place::default(),
    };
    if let Some((columns, values)) = report.detail.as_deref().and_then(key) {
        place.column = Some(columns.to_owned());
        place.value = Some(values.to_owned());
    }
    if let Some(column) = &report.column {
        place.column = Some(column.clone());
    }
    // NOT NULL: there is no other value that violates it.
    if report.code == "23502" {
        place.value = Some("null".to_owned());
    }
    place
}

/// What the context of a `COPY` says. After the table's name comes a word with the line, then,
/// behind commas, one with the column; the value stands behind a colon.
fn in_copy(context: &str) -> Place {
    let mut place = Place::default();
    // Calls that led there stand in lines of their own.
    let Some(rest) = context.lines().find_map(|line| line.strip_prefix("COPY ")) else {
        return place;
    };
    for (at, _) in rest.match_indices(", ") {
        let Some(after) = rest.get(at.saturating_add(2)..) else {
            continue;
        };
        // A table's name can hold a comma: the line's number is followed by an end of its own.
        let digits = after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != ',');
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let Some((number, tail)) = digits.split_at_checked(end) else {
            continue;
        };
        let ends = tail.is_empty() || tail.starts_with(", ") || tail.starts_with(':');
        if number.is_empty() || !ends {
            continue;
        }
        place.row = Some(number.to_owned());
        if let Some(column) = tail.strip_prefix(", ") {
            let (column, value) = match column.split_once(": ") {
                Some((column, value)) => (column, Some(value)),
                None => (column, None),
            };
            // The word for "column" comes first.
            place.column = column.split_once(' ').map(|(_, name)| name.to_owned());
            place.value = value.map(unquoted);
        }
        break;
    }
    place
}

/// A value without the quotes that a language puts around it; `null input` has none.
fn unquoted(value: &str) -> String {
    let inner = |open: char, close: char| value.strip_prefix(open)?.strip_suffix(close);
    match inner('"', '"')
        .or_else(|| inner('»', '«'))
        .or_else(|| inner('«', '»'))
    {
        Some(value) => value.to_owned(),
        None if value.starts_with("null") => "null".to_owned(),
        None => value.to_owned(),
    }
}

/// The columns and values of a key, in `Key (a, b)=(1, x) already exists.`
fn key(detail: &str) -> Option<(&str, &str)> {
    let (before, after) = detail.split_once(")=(")?;
    let (_, columns) = before.split_once('(')?;
    let end = [
        ") already exists",
        ") is not present in",
        ") is still referenced from",
        ") conflicts with",
        ") is duplicated",
    ]
    .iter()
    .find_map(|said| after.find(said))
    .or_else(|| after.rfind(')'))?;
    Some((columns, after.get(..end)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_context_of_a_copy_is_read() {
        for (context, row, column, value) in [
            ("COPY t, line 3", Some("3"), None, None),
            (
                "COPY t, line 12, column price: \"x\"",
                Some("12"),
                Some("price"),
                Some("x"),
            ),
            (
                "COPY a, 5, line 7, column unit price: \"a: \"b\"\"",
                Some("7"),
                Some("unit price"),
                Some("a: \"b\""),
            ),
            (
                "COPY t, line 1, column c: null input",
                Some("1"),
                Some("c"),
                Some("null"),
            ),
            ("COPY t, line 2, column n", Some("2"), Some("n"), None),
            ("COPY t, line 2: \"1\t5, 6\"", Some("2"), None, None),
            (
                "COPY t, Zeile 3, Spalte a2: »x«",
                Some("3"),
                Some("a2"),
                Some("x"),
            ),
            (
                "PL/pgSQL function f() line 9 at RAISE\nCOPY t, line 4",
                Some("4"),
                None,
                None,
            ),
            ("COPY t", None, None, None),
            ("PL/pgSQL function f(), line 3 at RAISE", None, None, None),
        ] {
            let place = in_copy(context);
            let found = (
                place.row.as_deref(),
                place.column.as_deref(),
                place.value.as_deref(),
            );
            assert_eq!(found, (row, column, value), "{context}");
        }
    }

    #[test]
    fn the_detail_of_a_key_is_read() {
        for (detail, found) in [
            ("Key (a)=(5) already exists.", Some(("a", "5"))),
            (
                "Key (a, b)=(1, x) y) is not present in table \"p (old)\".",
                Some(("a, b", "1, x) y")),
            ),
            ("Schlüssel »(a)=(5)« existiert bereits.", Some(("a", "5"))),
            ("Failing row contains (1, 2).", None),
            ("no )=( here", None),
        ] {
            assert_eq!(key(detail), found, "{detail}");
        }
    }
}
