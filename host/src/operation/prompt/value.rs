//! Values of rows, as JSON will show them.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field};
use serde_json::Value as Json;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A number or a boolean.
    Bare(String),
    /// A text, and whatever else has no form of its own.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// Values by name.
    Record(Vec<(String, Value)>),
}

/// How much of a text is shown, in characters.
const TEXT: usize = 200;

/// How many elements of a list are shown.
const ELEMENTS: usize = 20;

/// A row by the names of its columns.
pub fn row(batch: &RecordBatch, row: usize) -> Vec<(String, Value)> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    columns
        .map(|(field, column)| (field.name().clone(), of(field, column, row)))
        .collect()
}

fn of(field: &Field, column: &dyn Array, row: usize) -> Value {
    if row >= column.len() || column.is_null(row) {
        return Value::Null;
    }
    let all = |item: &Field, items: &dyn Array| {
        let items = (0..items.len()).map(|at| of(item, items, at));
        Value::List(items.collect())
    };
    match field.data_type() {
        DataType::Null => Value::Null,
        DataType::List(item) => all(item, &column.as_list::<i32>().value(row)),
        DataType::LargeList(item) => all(item, &column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(item, _) => all(item, &column.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            let columns =
                columns.map(|(field, column)| (field.name().clone(), of(field, column, row)));
            Value::Record(columns.collect())
        }
        DataType::Map(entry, _) => {
            let entries = column.as_map().value(row);
            let DataType::Struct(parts) = entry.data_type() else {
                return Value::Null;
            };
            let [key, value] = parts.as_ref() else {
                return Value::Null;
            };
            let [keys, values] = entries.columns() else {
                return Value::Null;
            };
            let pairs = (0..entries.len()).map(|at| {
                let name = match of(key, keys, at) {
                    Value::Bare(text) | Value::Text(text) => text,
                    other => written(&other),
                };
                (name, of(value, values, at))
            });
            Value::Record(pairs.collect())
        }
        // What is in bytes cannot be looked through for what is to be masked.
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_)
            if field.extension_type_name() != Some("arrow.uuid") =>
        {
            Value::Text("[bytes]".to_owned())
        }
        kind => leaf(kind, column, row),
    }
}

fn leaf(kind: &DataType, column: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default();
    let Ok(formatter) = ArrayFormatter::try_new(column, &options) else {
        return Value::Null;
    };
    let mut text = String::new();
    if write!(text, "{}", formatter.value(row)).is_err() {
        return Value::Null;
    }
    match kind {
        DataType::Boolean | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            Value::Bare(text)
        }
        kind if kind.is_integer() => Value::Bare(text),
        kind if kind.is_floating() && text.parse().is_ok_and(f64::is_finite) => Value::Bare(text),
        DataType::FixedSizeBinary(16) if text.len() == 32 => {
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
            let parts: Vec<&str> = parts
                .into_iter()
                .filter_map(|part| text.get(part))
                .collect();
            Value::Text(parts.join("-"))
        }
        _ => document(&text).unwrap_or(Value::Text(text)),
    }
}

/// What a text says that is a JSON document: a list or an object.
fn document(text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '[']);
    if !begins {
        return None;
    }
    match serde_json::from_str::<Json>(text) {
        Ok(json) => Some(from_json(json)),
        // It is one, but nobody looks into it that far.
        Err(error) if error.to_string().starts_with("recursion limit") => {
            Some(Value::Text("[nested]".to_owned()))
        }
        Err(_) => None,
    }
}

fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bare(value.to_string()),
        Json::Number(number) => Value::Bare(number.to_string()),
        Json::String(text) => document(&text).unwrap_or(Value::Text(text)),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        Json::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, from_json(value)));
            Value::Record(fields.collect())
        }
    }
}

/// The JSON of a value, on one line, cut where it is long.
pub fn written(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bare(text) => out.push_str(text),
        Value::Text(text) => quoted(text, out),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().take(ELEMENTS).enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            if items.len() > ELEMENTS {
                out.push_str(",\"…\"");
            }
            out.push(']');
        }
        Value::Record(fields) => {
            out.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(name, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// A text in quotes, which neither ends its line nor the block that it is in.
pub fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at == TEXT => {
                out.push('…');
                break;
            }
            '"' | '\\' => out.extend(['\\', c]),
            c if c == '`' || crate::policy::text::is_deceptive(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a text does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
