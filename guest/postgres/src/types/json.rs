//! Values with parts as JSON, for `json` and `jsonb` columns: the way in for records and maps
//! that have no composite type of their own on the server.

use std::fmt::Write;

use super::cell::{self, Cell, Misfit};
use super::source::{Source, Values};
use super::target::Target;
use super::{compose, encode};

/// Appends the value in `row` as JSON. Numbers stay numbers with all their digits; what JSON has
/// no form for (bytes, dates, times, intervals) is text as the server writes it.
///
/// # Errors
/// NaN and the infinities, of which JSON has none; text that the server could not hold.
pub fn value(source: &Source<'_>, row: usize, out: &mut String) -> Result<(), Misfit> {
    if source.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match &source.values {
        Values::List(offsets, elements) => {
            let range = offsets.range(row).unwrap_or_default();
            between('[', ']', range, out, |element, out| {
                value(elements, element, out)
            })
        }
        Values::Struct(fields) => between('{', '}', fields.iter(), out, |(name, field), out| {
            quote(name, out);
            out.push(':');
            value(field, row, out)
        }),
        Values::Map(offsets, entries) => {
            let (keys, values) = entries.as_ref();
            let range = offsets.range(row).unwrap_or_default();
            compose::check_keys(keys, range.clone())?;
            between('{', '}', range, out, |entry, out| {
                let mut key = String::new();
                encode::plain(keys.cell(entry, &Target::Other)?, &mut key);
                quote(&key, out);
                out.push(':');
                value(values, entry, out)
            })
        }
        values => {
            // The cell's own type says what it is; points in time are told by their zone.
            let target = match values {
                Values::Timestamp(_, _, zone) => Target::Timestamp {
                    grain: 1,
                    zone: *zone,
                },
                Values::Float16(_) | Values::Float32(_) => Target::Float4,
                _ => Target::Other,
            };
            scalar(source.cell(row, &target)?, out)
        }
    }
}

/// Appends items between brackets, with commas in between.
fn between<T>(
    open: char,
    close: char,
    items: impl Iterator<Item = T>,
    out: &mut String,
    mut append: impl FnMut(T, &mut String) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    out.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        append(item, out)?;
    }
    out.push(close);
    Ok(())
}

fn scalar(cell: Cell<'_>, out: &mut String) -> Result<(), Misfit> {
    let finite = match cell {
        Cell::Float4(value) => value.is_finite(),
        Cell::Float8(value) => value.is_finite(),
        _ => true,
    };
    if !finite {
        let mut value = String::new();
        encode::plain(cell, &mut value);
        return Err(cell::misfit("is no number that JSON has", value));
    }
    match cell {
        Cell::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Cell::Int2(_)
        | Cell::Int4(_)
        | Cell::Int8(_)
        | Cell::Oid(_)
        | Cell::Float4(_)
        | Cell::Float8(_)
        | Cell::Decimal(..)
        | Cell::WideDecimal(..) => encode::plain(cell, out),
        Cell::Null => out.push_str("null"),
        _ => {
            let mut text = String::new();
            encode::plain(cell, &mut text);
            quote(&text, out);
        }
    }
    Ok(())
}

/// Appends a JSON string.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Writing to memory cannot fail.
            '\0'..='\u{1f}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}
