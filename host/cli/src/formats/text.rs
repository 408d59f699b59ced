//! Values as exact text, and text as values: what CSV, JSON lines and the
//! tables for people have in common.
//!
//! | type | text |
//! |---|---|
//! | boolean | `true`, `false` |
//! | integers, decimals | all their digits |
//! | floats | the shortest digits that read back the same; `NaN`, `Infinity`, `-Infinity` |
//! | bytes | `\x` and hexadecimal digits |
//! | UUID | with hyphens |
//! | date, time, timestamp | ISO 8601; a timestamp with time zone ends in `Z` |
//! | interval | `1 mons 2 days 3 hours 4.5 secs` |

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, StringArray, make_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::parse::Parser;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field};

use crate::failure::Failure;

/// UTC as an offset. Zones by their name would need the whole time zone
/// database; an instant is the same in all of them.
const UTC: &str = "+00:00";

/// A type with its time zone, if it has one, as an offset.
fn in_utc(kind: &DataType) -> DataType {
    match kind {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(UTC.into())),
        other => other.clone(),
    }
}

/// The same values under another name for the time zone.
fn renamed(values: &dyn Array, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(
        values
            .to_data()
            .into_builder()
            .data_type(kind.clone())
            .build()?,
    ))
}

/// Whether all of a column's text can become `kind`.
pub fn fits(text: &StringArray, kind: &DataType) -> bool {
    arrow_cast::cast(text, &in_utc(kind)).is_ok_and(|cast| cast.null_count() == text.null_count())
}

/// Whether a column holds UUIDs.
fn is_uuid(field: &Field) -> bool {
    matches!(field.data_type(), DataType::FixedSizeBinary(16))
        && field.extension_type_name() == Some("arrow.uuid")
}

/// A column as text; NULL stays NULL.
///
/// # Errors
/// When a value has no text, such as a timestamp beyond the calendar that the
/// formatter knows (years above 262,142). Never a substitute.
pub fn to_text(field: &Field, column: &dyn Array) -> Result<StringArray, Failure> {
    let mut out = StringBuilder::with_capacity(column.len(), column.len() * 8);
    let mut each = |write: &mut dyn FnMut(usize, &mut String) -> Result<(), Failure>| {
        let mut text = String::new();
        for row in 0..column.len() {
            if column.is_null(row) {
                out.append_null();
                continue;
            }
            text.clear();
            write(row, &mut text)?;
            out.append_value(&text);
        }
        Ok::<(), Failure>(())
    };
    match column.data_type() {
        DataType::Utf8 => return Ok(column.as_string::<i32>().clone()),
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            each(&mut |row, text| {
                float(f64::from(values.value(row)), values.value(row), text);
                Ok(())
            })?;
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            each(&mut |row, text| {
                float(values.value(row), values.value(row), text);
                Ok(())
            })?;
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            each(&mut |row, text| {
                hex(values.value(row), text);
                Ok(())
            })?;
        }
        DataType::LargeBinary => {
            let values = column.as_binary::<i64>();
            each(&mut |row, text| {
                hex(values.value(row), text);
                Ok(())
            })?;
        }
        DataType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary();
            let uuid = is_uuid(field);
            each(&mut |row, text| {
                if uuid {
                    hyphenated(values.value(row), text)
                } else {
                    hex(values.value(row), text)
                }
                Ok(())
            })?;
        }
        _ => {
            let options = FormatOptions::new().with_display_error(false);
            let no_text = |error: &dyn std::fmt::Display| {
                Failure::data(format!(
                    "column \"{}\" holds a value that cannot be written as text: {error}",
                    field.name()
                ))
                .hint("export to Parquet or Arrow, which keep the value as it is")
            };
            let column =
                renamed(column, &in_utc(column.data_type())).map_err(|error| no_text(&error))?;
            let formatter =
                ArrayFormatter::try_new(&column, &options).map_err(|error| no_text(&error))?;
            each(&mut |row, text| {
                formatter
                    .value(row)
                    .write(text)
                    .map_err(|error| no_text(&error))
            })?;
        }
    }
    Ok(out.finish())
}

/// `wide` tells what kind of number it is, `shortest` is printed.
fn float(wide: f64, shortest: impl std::fmt::Debug, out: &mut String) {
    // Writing to a String does not fail, here and below.
    let _ = if wide.is_nan() {
        write!(out, "NaN")
    } else if wide.is_infinite() {
        write!(out, "{}", if wide > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        write!(out, "{shortest:?}")
    };
}

fn hex(bytes: &[u8], out: &mut String) {
    out.push_str("\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

fn hyphenated(bytes: &[u8], out: &mut String) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
}

/// Text as values of the type of `field`. `first_row` is the number of the
/// first row in the file, for messages.
///
/// # Errors
/// Names the row and the column of the first text that is no such value, and
/// of a decimal with more digits than the type keeps.
pub fn from_text(field: &Field, text: &StringArray, first_row: u64) -> Result<ArrayRef, Failure> {
    let wrong = |row: usize, why: &str| {
        let shown: String = text.value(row).chars().take(40).collect();
        Failure::data(format!(
            "row {}, column \"{}\": {why}: \"{}\"",
            first_row + row as u64,
            field.name(),
            shown.escape_debug()
        ))
        .hint("correct the value in the file; nothing was imported")
    };
    let kind = field.data_type();
    match kind {
        DataType::Utf8 => return Ok(Arc::new(text.clone())),
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
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            let most = usize::try_from(*scale).unwrap_or(0);
            for row in (0..text.len()).filter(|row| text.is_valid(*row)) {
                if decimals(text.value(row)) > most {
                    return Err(wrong(row, &format!("the column keeps {most} decimals")));
                }
            }
        }
        _ => {}
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let values =
        cast_with_options(text, &in_utc(kind), &options).and_then(|values| renamed(&values, kind));
    let values = values.map_err(|error| {
        Failure::data(format!(
            "column \"{}\": text cannot become {kind}: {error}",
            field.name()
        ))
        .hint("import from Parquet or Arrow instead")
    })?;
    let values = with_far_years(text, values);
    match (0..text.len()).find(|row| text.is_valid(*row) && values.is_null(*row)) {
        Some(row) => Err(wrong(row, &format!("this is no {}", word(kind)))),
        None => Ok(values),
    }
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

/// A timestamp as [`to_text`] writes it, in microseconds since 1970.
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

/// How many decimals a number has that are not trailing zeros.
fn decimals(number: &str) -> usize {
    match number.split_once('.') {
        Some((_, fraction)) if !fraction.contains(['e', 'E']) => {
            fraction.trim().trim_end_matches('0').len()
        }
        _ => 0,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
        Float32Array, Float64Array, Int64Array, IntervalMonthDayNanoArray, Time64MicrosecondArray,
        TimestampMicrosecondArray,
    };
    use arrow_buffer::IntervalMonthDayNano;

    fn uuid_field() -> Field {
        Field::new("c", DataType::FixedSizeBinary(16), true)
            .with_extension_type(arrow_schema::extension::Uuid)
    }

    /// Every type: to text as expected, and back to the same values.
    #[test]
    fn round_trip() {
        let plain = |array: &ArrayRef| Field::new("c", array.data_type().clone(), true);
        let uuid: Vec<u8> = (0..16).collect();
        let cases: Vec<(ArrayRef, Option<Field>, &[&str])> = vec![
            (
                Arc::new(BooleanArray::from(vec![true, false])),
                None,
                &["true", "false"],
            ),
            (
                Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
                None,
                &["-9223372036854775808", "9223372036854775807"],
            ),
            (
                Arc::new(Float32Array::from(vec![0.1, f32::NAN])),
                None,
                &["0.1", "NaN"],
            ),
            (
                Arc::new(Float64Array::from(vec![
                    0.1,
                    1e300,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    -0.0,
                ])),
                None,
                &["0.1", "1e300", "Infinity", "-Infinity", "-0.0"],
            ),
            (
                Arc::new(
                    Decimal128Array::from(vec![123_450, -5])
                        .with_precision_and_scale(38, 2)
                        .unwrap(),
                ),
                None,
                &["1234.50", "-0.05"],
            ),
            (
                Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], &b""[..]])),
                None,
                &["\\x00ff", "\\x"],
            ),
            (
                Arc::new(FixedSizeBinaryArray::try_from_iter([uuid].into_iter()).unwrap()),
                Some(uuid_field()),
                &["00010203-0405-0607-0809-0a0b0c0d0e0f"],
            ),
            (
                Arc::new(Date32Array::from(vec![0, -719_162])),
                None,
                &["1970-01-01", "0001-01-01"],
            ),
            (
                Arc::new(Time64MicrosecondArray::from(vec![1, 86_399_999_999])),
                None,
                &["00:00:00.000001", "23:59:59.999999"],
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1])),
                None,
                &["1970-01-01T00:00:00.000001"],
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
                None,
                &["1970-01-01T00:00:00Z"],
            ),
            (
                Arc::new(
                    TimestampMicrosecondArray::from(vec![
                        -210_866_803_200_000_000,
                        253_402_300_800_000_001,
                        0,
                    ])
                    .with_timezone("UTC"),
                ),
                None,
                &[
                    "-4713-11-24T00:00:00Z",
                    "+10000-01-01T00:00:00.000001Z",
                    "1970-01-01T00:00:00Z",
                ],
            ),
            (
                Arc::new(IntervalMonthDayNanoArray::from(vec![
                    IntervalMonthDayNano::new(14, -3, 3_600_000_000_000),
                ])),
                None,
                &["14 mons -3 days 1 hours"],
            ),
        ];
        for (array, field, expected) in cases {
            let field = field.unwrap_or_else(|| plain(&array));
            let text = to_text(&field, &array).unwrap();
            assert_eq!(
                text.iter().flatten().collect::<Vec<_>>(),
                expected,
                "{}",
                field.data_type()
            );
            let back = from_text(&field, &text, 1).unwrap();
            assert_eq!(format!("{back:?}"), format!("{array:?}"));
        }
    }

    #[test]
    fn beyond_the_calendar_is_an_error() {
        let array = TimestampMicrosecondArray::from(vec![i64::MAX]);
        let field = Field::new("at", array.data_type().clone(), true);
        assert!(
            to_text(&field, &array)
                .unwrap_err()
                .message
                .contains("column \"at\"")
        );
    }

    #[test]
    fn faults_name_row_and_column() {
        for (kind, value, expected) in [
            (
                DataType::Int16,
                "40000",
                "row 12, column \"c\": this is no whole number that fits the column: \"40000\"",
            ),
            (
                DataType::Date32,
                "infinity",
                "row 12, column \"c\": this is no date (YYYY-MM-DD): \"infinity\"",
            ),
            (
                DataType::Decimal128(10, 2),
                "1.005",
                "row 12, column \"c\": the column keeps 2 decimals: \"1.005\"",
            ),
            (
                DataType::Decimal128(4, 2),
                "100.00",
                "row 12, column \"c\": this is no number that fits the column: \"100.00\"",
            ),
            (
                DataType::Binary,
                "00ff",
                "row 12, column \"c\": bytes are written as \\x and hexadecimal digits: \"00ff\"",
            ),
            (
                DataType::Boolean,
                "maybe",
                "row 12, column \"c\": this is no true or false: \"maybe\"",
            ),
        ] {
            let text = StringArray::from(vec![None, Some("1").filter(|_| false), Some(value)]);
            let failure = from_text(&Field::new("c", kind, true), &text, 10).unwrap_err();
            assert_eq!(failure.message, expected);
        }
        let text = StringArray::from(vec!["00010203-0405-0607-0809-0a0b0c0d0e"]);
        assert_eq!(
            from_text(&uuid_field(), &text, 1).unwrap_err().message,
            "row 1, column \"c\": this is no UUID: \"00010203-0405-0607-0809-0a0b0c0d0e\""
        );
    }
}
