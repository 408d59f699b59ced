//! Text as values.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Time64MicrosecondType, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, NullArray, PrimitiveArray, StringArray};
use arrow_cast::parse::Parser;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field};

use super::{Limit, in_utc, is_uuid, renamed};
use crate::failure::Failure;
use crate::formats::json;

/// Whether all of a column's text can become `kind`.
pub fn fits(text: &StringArray, kind: &DataType) -> bool {
    arrow_cast::cast(text, &in_utc(kind)).is_ok_and(|cast| cast.null_count() == text.null_count())
}

/// Text as values of the type of `field`. `first_row` is the number of the
/// first row in the file, for messages.
///
/// # Errors
/// Names the row and the column of the first text that is no such value, and
/// of a number or a time with more digits than the type keeps.
pub fn from_text(field: &Field, text: &StringArray, first_row: u64) -> Result<ArrayRef, Failure> {
    from_text_at(field, field.name(), text, &|at| first_row + at as u64)
}

/// As [`from_text`], for what lies within other values: `name` says what the text
/// is part of, `row` in which row of the file each is.
///
/// # Errors
/// As [`from_text`].
pub fn from_text_at(
    field: &Field,
    name: &str,
    text: &StringArray,
    row: &dyn Fn(usize) -> u64,
) -> Result<ArrayRef, Failure> {
    let wrong = |at: usize, why: &str| misfit(name, row(at), why, text.value(at));
    let kind = field.data_type();
    match kind {
        DataType::Utf8 => return Ok(Arc::new(text.clone())),
        DataType::Null if text.null_count() == text.len() => {
            return Ok(Arc::new(NullArray::new(text.len())));
        }
        kind if kind.is_nested() => return json::from_json(field, name, text, row),
        DataType::Binary => {
            let mut out = BinaryBuilder::with_capacity(text.len(), text.value_data().len() / 2);
            for row in 0..text.len() {
                if text.is_null(row) {
                    out.append_null();
                } else {
                    let digits = text.value(row).strip_prefix("\\x").and_then(unhex);
                    out.append_value(digits.ok_or_else(|| {
                        wrong(row, "bytes are written as \\x and hexadecimal digits")
                    })?);
                }
            }
            return Ok(Arc::new(out.finish()));
        }
        DataType::FixedSizeBinary(width) => {
            let mut out = FixedSizeBinaryBuilder::with_capacity(text.len(), *width);
            for row in 0..text.len() {
                if text.is_null(row) {
                    out.append_null();
                } else {
                    let value = text.value(row);
                    let digits = match is_uuid(field) {
                        true => unhex(&value.trim_matches(['{', '}']).replace('-', "")),
                        false => value.strip_prefix("\\x").and_then(unhex),
                    };
                    digits
                        .and_then(|bytes| out.append_value(bytes).ok())
                        .ok_or_else(|| {
                            wrong(
                                row,
                                if is_uuid(field) {
                                    "this is no UUID"
                                } else {
                                    "this does not have the column's length"
                                },
                            )
                        })?;
                }
            }
            return Ok(Arc::new(out.finish()));
        }
        _ => {}
    }
    if let Some(limit) = Limit::of(field) {
        kept(limit, name, text, row)?;
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let values =
        cast_with_options(text, &in_utc(kind), &options).and_then(|values| renamed(&values, kind));
    let values = values.map_err(|error| {
        Failure::data(format!(
            "column \"{name}\": text cannot become {kind}: {error}"
        ))
        .hint("import from Parquet or Arrow instead")
    })?;
    let values = with_far_years(text, values);
    match (0..text.len()).find(|row| text.is_valid(*row) && values.is_null(*row)) {
        Some(row) => Err(wrong(row, &format!("this is no {}", word(kind)))),
        None => Ok(values),
    }
}

/// Checks that a column keeps every value as it is. `row` is as for [`from_text_at`].
///
/// # Errors
/// Names the row and the column of the first value that it does not.
pub fn kept(
    limit: Limit,
    name: &str,
    text: &StringArray,
    row: &dyn Fn(usize) -> u64,
) -> Result<(), Failure> {
    let lost = |at: &usize| text.is_valid(*at) && limit.drops_from(text.value(*at));
    match (0..text.len()).find(lost) {
        Some(at) => Err(misfit(name, row(at), &limit.words(), text.value(at))),
        None => Ok(()),
    }
}

/// A value that is none of its column's.
pub fn misfit(name: &str, row: u64, why: &str, value: &str) -> Failure {
    let shown: String = value.chars().take(40).collect();
    Failure::data(format!(
        "row {row}, column \"{name}\": {why}: \"{}\"",
        shown.escape_debug()
    ))
    .hint("correct the value in the file; nothing was imported")
}

/// The values with those timestamps filled in that lie outside of the years 0
/// to 9999: the cast reads such years in dates, but not in timestamps.
fn with_far_years(text: &StringArray, values: ArrayRef) -> ArrayRef {
    let stamps = match values.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(stamps) if stamps.null_count() > text.null_count() => stamps,
        _ => return values,
    };
    let filled = (0..text.len()).map(|row| match (stamps.is_valid(row), text.is_valid(row)) {
        (true, _) => Some(stamps.value(row)),
        (false, true) => far_year(text.value(row)),
        (false, false) => None,
    });
    let filled: PrimitiveArray<TimestampMicrosecondType> = filled.collect();
    Arc::new(filled.with_data_type(values.data_type().clone()))
}

/// A timestamp as [`super::to_text`] writes it, in microseconds since 1970.
fn far_year(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    // Only what the cast does not read; and its parsers take bare numbers, too.
    if !date.starts_with(['-', '+']) || !time.contains(':') {
        return None;
    }
    let days = i64::from(Date32Type::parse(date)?);
    let micros = Time64MicrosecondType::parse(time.strip_suffix('Z').unwrap_or(time))?;
    days.checked_mul(86_400_000_000)?.checked_add(micros)
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

/// A word for a type, for people.
fn word(kind: &DataType) -> &'static str {
    match kind {
        DataType::Boolean => "true or false",
        kind if kind.is_integer() => "whole number that fits the column",
        kind if kind.is_numeric() => "number that fits the column",
        DataType::Date32 | DataType::Date64 => "date (YYYY-MM-DD)",
        DataType::Time32(_) | DataType::Time64(_) => "time (HH:MM:SS)",
        DataType::Timestamp(..) => "timestamp (YYYY-MM-DD HH:MM:SS)",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        _ => "value of the column's type",
    }
}
