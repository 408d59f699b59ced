//! Values as JSON.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};

use crate::failure::Failure;
use crate::formats::text;

/// A column that can be written value by value.
pub struct JsonColumn {
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    /// Text that is JSON as it stands, but for the floats that have no digits.
    Bare(StringArray),
    /// Text that goes into quotes.
    Quoted(StringArray),
    /// Where each list ends, after where the first begins; and what is in them.
    List(Vec<usize>, Box<JsonColumn>),
    /// The fields, with their names as JSON.
    Record(Vec<(Vec<u8>, JsonColumn)>),
    /// As for a list; the keys, and the values.
    Map(Vec<usize>, StringArray, Box<JsonColumn>),
}

impl JsonColumn {
    /// Prepares a column.
    ///
    /// # Errors
    /// When a value has no text, as in [`text::to_text`].
    pub fn new(field: &Field, column: &dyn Array) -> Result<Self, Failure> {
        let values = match (field.data_type(), column.data_type()) {
            (DataType::List(item), _) => {
                let list = column.as_list::<i32>();
                let ends = list.value_offsets().iter().map(|at| *at as usize);
                Self::list(ends.collect(), item, list.values())?
            }
            (DataType::LargeList(item), _) => {
                let list = column.as_list::<i64>();
                let ends = list.value_offsets().iter().map(|at| *at as usize);
                Self::list(ends.collect(), item, list.values())?
            }
            (DataType::FixedSizeList(item, width), _) => {
                let width = usize::try_from(*width).unwrap_or_default();
                let ends = (0..=column.len()).map(|row| row.saturating_mul(width));
                Self::list(ends.collect(), item, column.as_fixed_size_list().values())?
            }
            (DataType::Struct(fields), _) => {
                let columns = column.as_struct().columns();
                let fields = fields.iter().zip(columns).map(|(field, column)| {
                    let mut name = Vec::new();
                    quoted(field.name(), &mut name);
                    Ok((name, JsonColumn::new(field, column)?))
                });
                Values::Record(fields.collect::<Result<_, Failure>>()?)
            }
            (DataType::Map(entry, _), _) => {
                let map = column.as_map();
                let DataType::Struct(parts) = entry.data_type() else {
                    return Err(unknown(field));
                };
                let [key, value] = parts.as_ref() else {
                    return Err(unknown(field));
                };
                let ends = map.value_offsets().iter().map(|at| *at as usize).collect();
                let keys = text::to_text(key, map.keys())?;
                let values = JsonColumn::new(value, map.values())?;
                Values::Map(ends, keys, Box::new(values))
            }
            (kind, _) if kind.is_nested() => return Err(unknown(field)),
            (kind, _) if kind.is_integer() || kind.is_floating() || *kind == DataType::Boolean => {
                Values::Bare(text::to_text(field, column)?)
            }
            _ => Values::Quoted(text::to_text(field, column)?),
        };
        Ok(Self {
            nulls: column.logical_nulls(),
            values,
        })
    }

    /// Only what the lists hold is prepared: `items` may have more before and behind.
    fn list(mut ends: Vec<usize>, field: &Field, items: &ArrayRef) -> Result<Values, Failure> {
        let first = ends.first().copied().unwrap_or_default();
        let last = ends.last().copied().unwrap_or_default();
        for end in &mut ends {
            *end -= first;
        }
        let items = items.slice(first, last - first);
        Ok(Values::List(
            ends,
            Box::new(JsonColumn::new(field, &items)?),
        ))
    }

    /// Writes the value of a row.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.values {
            Values::Bare(text) => {
                let text = text.value(row);
                if text.ends_with(['N', 'y']) {
                    quoted(text, out);
                } else {
                    out.extend_from_slice(text.as_bytes());
                }
            }
            Values::Quoted(text) => quoted(text.value(row), out),
            Values::List(ends, items) => {
                out.push(b'[');
                for (at, item) in range(ends, row).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    items.write(item, out);
                }
                out.push(b']');
            }
            Values::Record(fields) => {
                out.push(b'{');
                for (at, (name, field)) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    out.push(b':');
                    field.write(row, out);
                }
                out.push(b'}');
            }
            Values::Map(ends, keys, values) => {
                out.push(b'{');
                for (at, entry) in range(ends, row).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    quoted(keys.value(entry), out);
                    out.push(b':');
                    values.write(entry, out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Where in the items the list of a row is.
fn range(ends: &[usize], row: usize) -> std::ops::Range<usize> {
    let end = |at: usize| ends.get(at).copied().unwrap_or_default();
    end(row)..end(row + 1)
}

/// Writes text as a JSON string.
pub(super) fn quoted(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail, and text is always a JSON string.
    let _ = serde_json::to_writer(&mut *out, text);
}

fn unknown(field: &Field) -> Failure {
    Failure::data(format!(
        "column \"{}\" of the type {} cannot be written as text",
        field.name(),
        field.data_type()
    ))
    .hint("use Parquet or Arrow, which keep the value as it is")
}
