//! Values of Arrow as SQLite stores them.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};

use super::calendar;
use super::losses::Reason;
use super::values::{Stored, float, hyphenated};

/// A value that SQLite does not know: why, and the value as text.
#[derive(Debug)]
pub struct Unknown {
    pub reason: Reason,
    pub text: String,
}

/// The value of a row.
///
/// # Errors
/// Inside, that SQLite knows no such value; outside, that there is no text for it at all.
pub fn stored<'a>(
    field: &Field,
    column: &'a dyn Array,
    row: usize,
) -> Result<Result<Stored<'a>, Unknown>, ArrowError> {
    if column.is_null(row) {
        return Ok(Ok(Stored::Null));
    }
    fn of<T: ArrowPrimitiveType>(column: &dyn Array, row: usize) -> T::Native {
        let values: &PrimitiveArray<T> = column.as_primitive();
        values.value(row)
    }
    let text = |text: String| Stored::Text(Cow::Owned(text));
    let kind = column.data_type();
    Ok(Ok(match kind {
        DataType::Null => Stored::Null,
        DataType::Boolean => Stored::Integer(column.as_boolean().value(row).into()),
        DataType::Int8 => Stored::Integer(of::<Int8Type>(column, row).into()),
        DataType::Int16 => Stored::Integer(of::<Int16Type>(column, row).into()),
        DataType::Int32 => Stored::Integer(of::<Int32Type>(column, row).into()),
        DataType::Int64 => Stored::Integer(of::<Int64Type>(column, row)),
        DataType::UInt8 => Stored::Integer(of::<UInt8Type>(column, row).into()),
        DataType::UInt16 => Stored::Integer(of::<UInt16Type>(column, row).into()),
        DataType::UInt32 => Stored::Integer(of::<UInt32Type>(column, row).into()),
        DataType::UInt64 => {
            let value = of::<UInt64Type>(column, row);
            // The digits of what is larger: the column may be of text.
            i64::try_from(value).map_or_else(|_| text(value.to_string()), Stored::Integer)
        }
        DataType::Float16 => return Ok(real(of::<Float16Type>(column, row).into())),
        DataType::Float32 => return Ok(real(of::<Float32Type>(column, row).into())),
        DataType::Float64 => return Ok(real(of::<Float64Type>(column, row))),
        DataType::Decimal32(..) => {
            text(column.as_primitive::<Decimal32Type>().value_as_string(row))
        }
        DataType::Decimal64(..) => {
            text(column.as_primitive::<Decimal64Type>().value_as_string(row))
        }
        DataType::Decimal128(..) => {
            text(column.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Decimal256(..) => {
            text(column.as_primitive::<Decimal256Type>().value_as_string(row))
        }
        DataType::Date32 => text(calendar::date(of::<Date32Type>(column, row).into())),
        DataType::Date64 => {
            let millis = of::<Date64Type>(column, row);
            text(calendar::date(millis.div_euclid(calendar::DAY / 1000)))
        }
        DataType::Time32(TimeUnit::Second) => time(of::<Time32SecondType>(column, row), 1_000_000),
        DataType::Time32(_) => time(of::<Time32MillisecondType>(column, row), 1000),
        DataType::Time64(TimeUnit::Microsecond) => {
            time(of::<Time64MicrosecondType>(column, row), 1)
        }
        DataType::Time64(_) => {
            let nanos = of::<Time64NanosecondType>(column, row);
            let (micros, finer) = (nanos.div_euclid(1000), nanos.rem_euclid(1000));
            match finer {
                0 => time(micros, 1),
                _ => return Ok(Err(too_fine(calendar::time(micros), finer, ""))),
            }
        }
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            let (micros, finer) = match unit {
                TimeUnit::Second => (
                    i128::from(of::<TimestampSecondType>(column, row)) * 1_000_000,
                    0,
                ),
                TimeUnit::Millisecond => (
                    i128::from(of::<TimestampMillisecondType>(column, row)) * 1000,
                    0,
                ),
                TimeUnit::Microsecond => (of::<TimestampMicrosecondType>(column, row).into(), 0),
                TimeUnit::Nanosecond => {
                    let nanos = of::<TimestampNanosecondType>(column, row);
                    (nanos.div_euclid(1000).into(), nanos.rem_euclid(1000))
                }
            };
            let written = calendar::timestamp(micros);
            match finer {
                0 => text(format!("{written}{zone}")),
                _ => return Ok(Err(too_fine(written, finer, zone))),
            }
        }
        DataType::Utf8 => Stored::Text(column.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Stored::Text(column.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Stored::Text(column.as_string_view().value(row).into()),
        DataType::Binary => Stored::Blob(column.as_binary::<i32>().value(row).into()),
        DataType::LargeBinary => Stored::Blob(column.as_binary::<i64>().value(row).into()),
        DataType::BinaryView => Stored::Blob(column.as_binary_view().value(row).into()),
        DataType::FixedSizeBinary(16) if field.extension_type_name() == Some("arrow.uuid") => {
            text(hyphenated(column.as_fixed_size_binary().value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            Stored::Blob(column.as_fixed_size_binary().value(row).into())
        }
        kind if kind.is_nested() => {
            let mut json = String::new();
            write(field, column, row, &mut json)?;
            text(json)
        }
        _ => {
            let options = FormatOptions::new().with_display_error(false);
            let formatter = ArrayFormatter::try_new(column, &options)?;
            text(formatter.value(row).try_to_string()?)
        }
    }))
}

fn real(value: f64) -> Result<Stored<'static>, Unknown> {
    match value.is_nan() {
        true => Err(Unknown {
            reason: "NaN".into(),
            text: float(value),
        }),
        false => Ok(Stored::Real(value)),
    }
}

fn time(value: impl Into<i64>, unit: i64) -> Stored<'static> {
    Stored::Text(calendar::time(value.into().saturating_mul(unit)).into())
}

fn too_fine(micros: String, finer: i64, zone: &str) -> Unknown {
    Unknown {
        reason: "finer than a microsecond".into(),
        text: format!("{micros}{finer:03}{zone}"),
    }
}

/// Writes a value as JSON.
fn write(
    field: &Field,
    column: &dyn Array,
    row: usize,
    out: &mut String,
) -> Result<(), ArrowError> {
    if column.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    match column.data_type() {
        DataType::List(item) => list(item, column.as_list::<i32>().value(row).as_ref(), out),
        DataType::LargeList(item) => list(item, column.as_list::<i64>().value(row).as_ref(), out),
        DataType::FixedSizeList(item, _) => {
            list(item, column.as_fixed_size_list().value(row).as_ref(), out)
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            braced(fields.iter().zip(columns), out, |(field, column), out| {
                quoted(field.name(), out);
                out.push(':');
                write(field, column.as_ref(), row, out)
            })
        }
        DataType::Map(entries, _) => {
            let entry = column.as_map().value(row);
            let (DataType::Struct(parts), [keys, values]) = (entries.data_type(), entry.columns())
            else {
                return Err(without_text(column.data_type()));
            };
            let [key, value] = parts.as_ref() else {
                return Err(without_text(column.data_type()));
            };
            braced(0..entry.len(), out, |at, out| {
                quoted(&leaf(key, keys.as_ref(), at)?, out);
                out.push(':');
                write(value, values.as_ref(), at, out)
            })
        }
        DataType::Boolean => {
            out.push_str(if column.as_boolean().value(row) {
                "true"
            } else {
                "false"
            });
            Ok(())
        }
        kind if kind.is_nested() => Err(without_text(kind)),
        kind => {
            let text = leaf(field, column, row)?;
            // Floats that are no numbers have no digits, either.
            match kind.is_integer() || kind.is_floating() && !text.ends_with(['N', 'y']) {
                true => out.push_str(&text),
                false => quoted(&text, out),
            }
            Ok(())
        }
    }
}

/// What is no list and no record, as text.
fn leaf(field: &Field, column: &dyn Array, row: usize) -> Result<String, ArrowError> {
    Ok(match stored(field, column, row)? {
        Ok(value) => value.text().into_owned(),
        Err(unknown) => unknown.text,
    })
}

fn list(item: &Field, items: &dyn Array, out: &mut String) -> Result<(), ArrowError> {
    out.push('[');
    for at in 0..items.len() {
        if at > 0 {
            out.push(',');
        }
        write(item, items, at, out)?;
    }
    out.push(']');
    Ok(())
}

fn braced<T>(
    entries: impl Iterator<Item = T>,
    out: &mut String,
    write: impl Fn(T, &mut String) -> Result<(), ArrowError>,
) -> Result<(), ArrowError> {
    out.push('{');
    for (at, entry) in entries.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(entry, out)?;
    }
    out.push('}');
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn without_text(kind: &DataType) -> ArrowError {
    ArrowError::NotYetImplemented(format!("text of {kind}"))
}
