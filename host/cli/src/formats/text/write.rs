//! Values as exact text.

use std::fmt::Write;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field};

use super::{in_utc, is_uuid, renamed};
use crate::failure::Failure;
use crate::formats::json::JsonColumn;

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
        DataType::Null => return Ok(StringArray::new_null(column.len())),
        kind if kind.is_nested() => {
            let json = JsonColumn::new(field, column)?;
            let mut value = Vec::new();
            each(&mut |row, text| {
                value.clear();
                json.write(row, &mut value);
                // All that is written there is UTF-8.
                text.push_str(&String::from_utf8_lossy(&value));
                Ok(())
            })?;
        }
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
