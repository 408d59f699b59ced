//! Where in the rows offered a report of the server points: row, column, value.
//!
//! The server says so in two texts. Errors within a `COPY` come with the context
//! `COPY t, line 3, column price: "x"`, or a part of it. Violated keys come with the detail
//! `Key (a, b)=(1, x) already exists.`, and rows without a partition with
//! `Partition key of the failing row contains (a) = (1).` Both can be in another language; then what stands
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
    let detail = report.detail.as_deref();
    let unrouted = report.code == "23514" && report.constraint.is_none();
    let found = match unrouted {
        true => detail.and_then(|detail| parted(detail, ") = (")),
        false => detail.and_then(key),
    };
    if let Some((columns, values)) = found {
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
    // The English word, if it is there: a table's name can hold what looks like another.
    let lines = || rest.match_indices(", ");
    let english = |at: &(usize, &str)| rest.get(at.0..).is_some_and(|r| r.starts_with(", line "));
    for (at, _) in lines().filter(english).chain(lines()) {
        let Some(after) = rest.get(at.saturating_add(2)..) else {
            continue;
        };
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
    let (columns, rest) = parted(detail, ")=(")?;
    let (_, after) = detail.split_once(")=(")?;
    let end = [
        ") already exists",
        ") is not present in",
        ") is still referenced from",
        ") conflicts with",
        ") is duplicated",
    ]
    .iter()
    .find_map(|said| after.find(said));
    match end {
        Some(end) => Some((columns, after.get(..end)?)),
        None => Some((columns, rest)),
    }
}

/// What stands in two pairs of parentheses with `between` between them.
fn parted<'d>(detail: &'d str, between: &str) -> Option<(&'d str, &'d str)> {
    let (before, after) = detail.split_once(between)?;
    let (_, columns) = before.split_once('(')?;
    Some((columns, after.get(..after.rfind(')')?)?))
}
