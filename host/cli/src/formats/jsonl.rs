//! JSON lines: one object a line.
//!
//! Written: NULL as `null`, booleans and integers and finite floats as JSON's
//! own, text as text. Everything else is text as in [`super::text`]: decimals
//! too, since most readers would squeeze a JSON number into a double.
//!
//! Read: an absent key is NULL; an object or a list is kept as JSON text.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_json::writer::{
    Encoder as CellEncoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder,
};
use arrow_json::{StructMode, Writer, WriterBuilder};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use serde_json::value::RawValue;

use super::infer::{BATCH_BYTES, BATCH_ROWS, TextBatch, TextRows, is_special_float};
use super::{Counted, Encoder, text};
use crate::failure::Failure;

/// The longest line that is read: beyond it, the file is no JSON lines.
const MOST_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// Writes JSON lines.
pub struct JsonEncoder {
    schema: SchemaRef,
    out: Writer<BufWriter<Counted>, LineDelimited>,
}

impl JsonEncoder {
    /// Begins a file.
    pub fn new(schema: &SchemaRef, out: Counted) -> Self {
        let out = BufWriter::with_capacity(64 * 1024, out);
        JsonEncoder {
            schema: schema.clone(),
            out: builder(StructMode::ObjectOnly).build(out),
        }
    }
}

impl Encoder for JsonEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.out.write(&readable(&self.schema, batch)?)?)
    }

    fn bytes(&self) -> u64 {
        let out = self.out.get_ref();
        out.get_ref()
            .bytes()
            .saturating_add(out.buffer().len() as u64)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.out.finish()?;
        self.out.get_mut().flush()?;
        Ok(self.bytes())
    }
}

/// Writes rows as JSON arrays, one a line.
///
/// # Errors
/// When a value has no text, or `out` fails.
pub fn write_arrays(out: &mut impl Write, batch: &RecordBatch) -> anyhow::Result<()> {
    let mut writer = builder(StructMode::ListOnly).build::<_, LineDelimited>(out);
    writer.write(&readable(&batch.schema(), batch)?)?;
    writer.finish()?;
    Ok(())
}

fn builder(mode: StructMode) -> WriterBuilder {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_struct_mode(mode)
        .with_encoder_factory(Arc::new(Floats))
}

/// The batch with every column as text that JSON has no type for.
fn readable(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let kind = field.data_type();
        let own = kind.is_integer()
            || kind.is_nested()
            || matches!(
                kind,
                DataType::Boolean | DataType::Float32 | DataType::Float64
            );
        if own {
            fields.push(field.clone());
            columns.push(column.clone());
        } else {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(Arc::new(text::to_text(field, column)?));
        }
    }
    let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)
        .map_err(|error| Failure::data(format!("the rows cannot be written as JSON: {error}")))
}

/// Writes the floats that JSON has no number for as text; arrow-json by itself
/// writes null, which says something else.
#[derive(Debug)]
struct Floats;

impl EncoderFactory for Floats {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        struct Value<F>(F);
        impl<F: FnMut(usize) -> (f64, String)> CellEncoder for Value<F> {
            fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
                let (value, digits) = self.0(row);
                let special = match value {
                    value if value.is_nan() => "\"NaN\"",
                    f64::INFINITY => "\"Infinity\"",
                    f64::NEG_INFINITY => "\"-Infinity\"",
                    _ => &digits,
                };
                out.extend_from_slice(special.as_bytes());
            }
        }
        let encoder: Box<dyn CellEncoder + 'a> = match array.data_type() {
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>();
                Box::new(Value(move |row| {
                    (
                        f64::from(values.value(row)),
                        format!("{:?}", values.value(row)),
                    )
                }))
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>();
                Box::new(Value(move |row| {
                    (values.value(row), format!("{:?}", values.value(row)))
                }))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// The rows of a JSON lines file, as text.
pub struct JsonRows {
    input: BufReader<Box<dyn Read + Send>>,
    names: Vec<String>,
    /// The lines read so far.
    line: u64,
    rows: u64,
}

/// A row by name. Values keep their own text, so that numbers stay exact.
type Row = HashMap<String, Option<Box<RawValue>>>;

impl JsonRows {
    /// Begins to read.
    ///
    /// # Errors
    /// None today; the file is first read by [`TextRows::next`].
    pub fn new(input: Box<dyn Read + Send>) -> anyhow::Result<Self> {
        Ok(JsonRows {
            input: BufReader::with_capacity(64 * 1024, input),
            names: Vec::new(),
            line: 0,
            rows: 0,
        })
    }

    /// The next line that is not blank.
    fn next_row(&mut self, line: &mut Vec<u8>) -> anyhow::Result<Option<Row>> {
        loop {
            line.clear();
            Read::by_ref(&mut self.input)
                .take(MOST_LINE_BYTES)
                .read_until(b'\n', line)?;
            if line.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            return serde_json::from_slice(line).map(Some).map_err(|error| {
                // The error's own Display ends with a position within the line.
                Failure::data(format!(
                    "line {}: this is no JSON object: {error}",
                    self.line
                ))
                .hint("JSON lines have one object a line, like {\"id\": 1, \"name\": \"x\"}")
                .into()
            });
        }
    }

    fn unknown(&self, row: &Row) -> Option<Failure> {
        let mut names: Vec<&str> = row
            .keys()
            .map(String::as_str)
            .filter(|name| !self.names.iter().any(|known| known == name))
            .collect();
        names.sort_unstable();
        let first = names.first()?;
        Some(
            Failure::data(format!(
                "line {}: the key \"{first}\" is in none of the first {BATCH_ROWS} rows",
                self.line
            ))
            .hint("put a row that has every key first"),
        )
    }
}

impl TextRows for JsonRows {
    fn next(&mut self) -> anyhow::Result<Option<TextBatch>> {
        let first_row = self.rows + 1;
        let sample = self.rows == 0;
        let mut rows: Vec<Row> = Vec::new();
        let mut line = Vec::new();
        let mut bytes = 0;
        while rows.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(row) = self.next_row(&mut line)? else {
                break;
            };
            bytes += line.len();
            if sample {
                let mut new: Vec<&String> = row
                    .keys()
                    .filter(|name| !self.names.contains(name))
                    .collect();
                // A map has no order; that of the line is the one people expect.
                new.sort_by_key(|name| position(&line, name));
                let new: Vec<String> = new.into_iter().cloned().collect();
                self.names.extend(new);
            } else if let Some(failure) = self.unknown(&row) {
                return Err(failure.into());
            }
            rows.push(row);
        }
        self.rows += rows.len() as u64;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut numbers = Vec::new();
        let mut columns: Vec<StringArray> = Vec::new();
        for name in &self.names {
            let mut column = StringBuilder::new();
            let (mut texts, mut specials, mut others) = (false, false, false);
            for row in &rows {
                match row
                    .get(name)
                    .and_then(Option::as_ref)
                    .map(|value| value.get())
                {
                    None => column.append_null(),
                    Some(value) if value.starts_with('"') => {
                        let value = serde_json::from_str::<String>(value)?;
                        let special = is_special_float(&value);
                        specials |= special;
                        texts |= !special;
                        column.append_value(value);
                    }
                    Some(value) => {
                        others = true;
                        column.append_value(value);
                    }
                }
            }
            // A float that JSON has no number for is among its numbers as text.
            numbers.push(!texts && (others || !specials));
            columns.push(column.finish());
        }
        Ok(Some(TextBatch {
            first_row,
            rows: rows.len(),
            names: self.names.clone(),
            numbers,
            columns,
        }))
    }

    fn names(&self) -> &[String] {
        &self.names
    }
}

/// Where a key stands in its line; keys with escapes come last.
fn position(line: &[u8], key: &str) -> usize {
    let quoted = serde_json::to_vec(key).unwrap_or_default();
    line.windows(quoted.len().max(1))
        .position(|window| window == quoted)
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Decimal128Array, Float64Array, Int64Array};

    fn sample() -> RecordBatch {
        let decimals = Decimal128Array::from(vec![Some(1250), None])
            .with_precision_and_scale(10, 2)
            .unwrap();
        RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int64Array::from(vec![i64::MAX, 1])) as ArrayRef,
            ),
            ("f", Arc::new(Float64Array::from(vec![f64::NAN, 0.1]))),
            ("d", Arc::new(decimals)),
            ("t", Arc::new(StringArray::from(vec!["a\"\n", ""]))),
        ])
        .unwrap()
    }

    #[test]
    fn rows_as_arrays() {
        let mut out = Vec::new();
        write_arrays(&mut out, &sample()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "[9223372036854775807,\"NaN\",\"12.50\",\"a\\\"\\n\"]\n[1,0.1,null,\"\"]\n"
        );
    }

    #[test]
    fn rows_as_objects_and_back() {
        let batch = sample();
        let mut out = Vec::new();
        let mut writer = builder(StructMode::ObjectOnly).build::<_, LineDelimited>(&mut out);
        writer
            .write(&readable(&batch.schema(), &batch).unwrap())
            .unwrap();
        writer.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\"n\":9223372036854775807,\"f\":\"NaN\",\"d\":\"12.50\",\"t\":\"a\\\"\\n\"}\n\
             {\"n\":1,\"f\":0.1,\"d\":null,\"t\":\"\"}\n"
        );
        let rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        let super::super::Opened {
            schema,
            mut batches,
            ..
        } = super::super::infer::typed(rows, Some(&batch.schema())).unwrap();
        let kinds = |schema: &SchemaRef| {
            schema
                .fields()
                .iter()
                .map(|field| field.data_type().clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&schema), kinds(&batch.schema()));
        assert_eq!(
            format!("{:?}", batches.next().unwrap().unwrap().columns()),
            format!("{:?}", batch.columns())
        );
        assert!(batches.next().is_none());
    }

    #[test]
    fn keys_keep_their_order_and_text_stays_text() {
        let text =
            "{\"z\": 1, \"a\": \"2\"}\n\n{\"b\": {\"x\": [1]}, \"a\": null, \"z\": \"NaN\"}\n";
        let mut rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        let batch = rows.next().unwrap().unwrap();
        assert_eq!(batch.names, ["z", "a", "b"]);
        assert_eq!(batch.numbers, [true, false, true]);
        assert_eq!(
            batch.columns[2].iter().collect::<Vec<_>>(),
            [None, Some("{\"x\": [1]}")]
        );
    }

    #[test]
    fn faults_name_the_line() {
        let text = "{\"a\": 1}\n[1]\n";
        let mut rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        assert!(
            rows.next()
                .err()
                .unwrap()
                .to_string()
                .starts_with("line 2: this is no JSON object")
        );
    }
}
