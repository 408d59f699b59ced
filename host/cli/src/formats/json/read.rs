//! JSON as values.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, LargeListArray, ListArray, MapArray, StringArray,
    StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::formats::text::{from_text_at, misfit};

/// Whether all values of a sample are JSON of the shape of `kind`: a list for a list,
/// an object for a record or a map. A sample without values is: exports write JSON.
pub fn is_nested_json(kind: &DataType, sample: &StringArray) -> bool {
    let opening = match kind {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => '[',
        DataType::Struct(_) | DataType::Map(..) => '{',
        _ => return false,
    };
    (sample.iter().flatten()).all(|text| {
        text.trim_ascii_start().starts_with(opening)
            && serde_json::from_str::<&RawValue>(text).is_ok()
    })
}

/// How deep a JSON list lies within lists, as its first item tells.
pub fn list_depth(json: &str) -> usize {
    let mut openings = json.bytes().filter(|byte| !byte.is_ascii_whitespace());
    openings.position(|byte| byte != b'[').unwrap_or_default()
}

/// JSON, each value as it stands in the file, as values of a type that is made of others. `name`
/// says what it is part of, `row` in which row of the file each is.
///
/// # Errors
/// Names the row and the column of the first that is no such value.
pub fn from_json(
    field: &Field,
    name: &str,
    json: &StringArray,
    row: &dyn Fn(usize) -> u64,
) -> Result<ArrayRef, Failure> {
    let column = Column { name, json, row };
    let unfit = |error: ArrowError| {
        Failure::data(format!(
            "column \"{name}\": JSON cannot become {}: {error}",
            field.data_type()
        ))
        .hint("correct the values in the file; nothing was imported")
    };
    Ok(match field.data_type() {
        DataType::List(item) => {
            let (lengths, values, nulls) = column.list(item, None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls).map_err(unfit)?)
        }
        DataType::LargeList(item) => {
            let (lengths, values, nulls) = column.list(item, None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(LargeListArray::try_new(item.clone(), offsets, values, nulls).map_err(unfit)?)
        }
        DataType::FixedSizeList(item, width) => {
            let length = usize::try_from(*width).unwrap_or_default();
            let (_, values, nulls) = column.list(item, Some(length))?;
            let (item, rows) = (item.clone(), json.len());
            let lists = FixedSizeListArray::try_new_with_length(item, *width, values, nulls, rows);
            Arc::new(lists.map_err(unfit)?)
        }
        DataType::Struct(fields) => Arc::new(column.record(fields)?.map_err(unfit)?),
        DataType::Map(entry, ordered) => Arc::new(column.map(entry, *ordered)?.map_err(unfit)?),
        kind => {
            return Err(
                Failure::data(format!("column \"{name}\": JSON cannot become {kind}"))
                    .hint("import from Parquet or Arrow instead"),
            );
        }
    })
}

/// A JSON value as the text of a scalar: strings without their quotes and escapes,
/// everything else as it stands.
///
/// # Errors
/// When a string holds half of a surrogate pair, which is no character.
pub fn scalar_text(json: &str) -> Result<Option<String>, serde_json::Error> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json),
        Some(b'n') => Ok(None),
        _ => Ok(Some(json.to_owned())),
    }
}

/// JSON and where it comes from.
struct Column<'c> {
    name: &'c str,
    json: &'c StringArray,
    row: &'c dyn Fn(usize) -> u64,
}

impl Column<'_> {
    /// The value of a row, as what it is made of; none for null.
    fn parsed<'d, T: Deserialize<'d>>(
        &'d self,
        at: usize,
        what: &str,
    ) -> Result<Option<T>, Failure> {
        if self.json.is_null(at) {
            return Ok(None);
        }
        let json = self.json.value(at);
        serde_json::from_str(json).map_err(|_| {
            misfit(
                self.name,
                (self.row)(at),
                &format!("this is no JSON {what}"),
                json,
            )
        })
    }

    /// The object of a row; none for null.
    fn object(&self, at: usize) -> Result<Option<Object<'_>>, Failure> {
        let object: Option<Object> = self.parsed(at, "object")?;
        let twice = object.as_ref().and_then(Object::twice);
        match twice {
            Some(key) => {
                let why = format!("the key \"{}\" is there twice", key.escape_debug());
                Err(misfit(self.name, (self.row)(at), &why, self.json.value(at)))
            }
            None => Ok(object),
        }
    }

    /// The lengths of the lists, what is in them, and which are NULL. Lists of a fixed `length`
    /// have that many items even if they are NULL.
    fn list(
        &self,
        item: &FieldRef,
        length: Option<usize>,
    ) -> Result<(Vec<usize>, ArrayRef, Option<NullBuffer>), Failure> {
        let mut items = Parts::default();
        let mut lengths = Vec::with_capacity(self.json.len());
        let mut valid = Vec::with_capacity(self.json.len());
        for at in 0..self.json.len() {
            let values: Option<Vec<&RawValue>> = self.parsed(at, "list")?;
            valid.push(values.is_some());
            let found = values.iter().flatten();
            let count = match (&values, length) {
                (Some(values), Some(length)) if values.len() != length => {
                    let why = format!("this list has {} items instead of {length}", values.len());
                    return Err(misfit(self.name, (self.row)(at), &why, self.json.value(at)));
                }
                (Some(values), _) => values.len(),
                (None, length) => length.unwrap_or_default(),
            };
            found.for_each(|value| items.push(at, Some(value)));
            (values.is_none()).then(|| (0..count).for_each(|_| items.push(at, None)));
            lengths.push(count);
        }
        let values = items.values(item, self.name, self.row)?;
        Ok((lengths, values, nulls(valid)))
    }

    fn record(&self, fields: &Fields) -> Result<Result<StructArray, ArrowError>, Failure> {
        let mut parts: Vec<Parts> = fields.iter().map(|_| Parts::default()).collect();
        let mut valid = Vec::with_capacity(self.json.len());
        for at in 0..self.json.len() {
            let object = self.object(at)?;
            valid.push(object.is_some());
            let entries = object.map(|object| object.0).unwrap_or_default();
            if let Some((key, _)) =
                (entries.iter()).find(|(key, _)| fields.iter().all(|field| field.name() != key))
            {
                let why = format!("the column's records have no \"{}\"", key.escape_debug());
                return Err(misfit(self.name, (self.row)(at), &why, self.json.value(at)));
            }
            for (field, parts) in fields.iter().zip(&mut parts) {
                let entry = entries.iter().find(|(key, _)| key == field.name());
                parts.push(at, entry.map(|(_, value)| *value));
            }
        }
        let columns = (fields.iter().zip(parts))
            .map(|(field, parts)| {
                let name = format!("{}.{}", self.name, field.name());
                parts.values(field, &name, self.row)
            })
            .collect::<Result<_, _>>()?;
        let rows = self.json.len();
        let nulls = nulls(valid);
        Ok(StructArray::try_new_with_length(
            fields.clone(),
            columns,
            nulls,
            rows,
        ))
    }

    fn map(
        &self,
        entry: &FieldRef,
        ordered: bool,
    ) -> Result<Result<MapArray, ArrowError>, Failure> {
        let parts = match entry.data_type() {
            DataType::Struct(parts) => parts.clone(),
            _ => Fields::empty(),
        };
        let [key, value] = parts.as_ref() else {
            let kind = entry.data_type();
            return Ok(Err(ArrowError::SchemaError(format!("a map of {kind}"))));
        };
        let mut keys = StringBuilder::new();
        let mut values = Parts::default();
        let mut lengths = Vec::with_capacity(self.json.len());
        let mut valid = Vec::with_capacity(self.json.len());
        for at in 0..self.json.len() {
            let object = self.object(at)?;
            valid.push(object.is_some());
            let entries = object.map(|object| object.0).unwrap_or_default();
            lengths.push(entries.len());
            for (key, value) in entries {
                keys.append_value(key);
                values.push(at, Some(value));
            }
        }
        let row = |at: usize| (self.row)(values.rows.get(at).copied().unwrap_or_default());
        let keys = from_text_at(key, self.name, &keys.finish(), &row)?;
        let values = values.values(value, self.name, self.row)?;
        let entries = StructArray::try_new(parts.clone(), vec![keys, values], None);
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(entries.and_then(|entries| {
            MapArray::try_new(entry.clone(), offsets, entries, nulls(valid), ordered)
        }))
    }
}

/// What values are made of: JSON again, and which value each is part of.
#[derive(Default)]
struct Parts {
    json: StringBuilder,
    rows: Vec<usize>,
}

impl Parts {
    fn push(&mut self, row: usize, value: Option<&RawValue>) {
        let value = value.map(RawValue::get).filter(|json| *json != "null");
        self.json.append_option(value);
        self.rows.push(row);
    }

    /// The parts as values; `row` is the row of what they are part of.
    fn values(
        mut self,
        field: &Field,
        name: &str,
        row: &dyn Fn(usize) -> u64,
    ) -> Result<ArrayRef, Failure> {
        let json = self.json.finish();
        let row = |at: usize| row(self.rows.get(at).copied().unwrap_or_default());
        if field.data_type().is_nested() {
            return from_json(field, name, &json, &row);
        }
        let mut text = StringBuilder::with_capacity(json.len(), json.value_data().len());
        for (at, value) in json.iter().enumerate() {
            let value = value
                .map(scalar_text)
                .transpose()
                .map_err(|_| misfit(name, row(at), "this is no text", value.unwrap_or_default()))?;
            text.append_option(value.flatten());
        }
        from_text_at(field, name, &text.finish(), &row)
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
}

/// An object's entries, in order, each with its own text.
struct Object<'d>(Vec<(String, &'d RawValue)>);

impl Object<'_> {
    /// A key that is there more than once.
    fn twice(&self) -> Option<&str> {
        let mut known = HashSet::with_capacity(self.0.len());
        let mut keys = self.0.iter().map(|(key, _)| key.as_str());
        keys.find(|key| !known.insert(*key))
    }
}

impl<'d> Deserialize<'d> for Object<'d> {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'d> Visitor<'d> for Entries {
            type Value = Object<'d>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'d>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }
        from.deserialize_map(Entries)
    }
}
