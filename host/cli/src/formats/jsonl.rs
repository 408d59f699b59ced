//! JSON lines: one object a line, with values as in [`super::json`].
//!
//! Read: an absent key is NULL; an object or a list is kept as JSON text, from
//! which a column of a table that is made of others is filled.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

use arrow_array::RecordBatch;
use arrow_array::builder::StringBuilder;
use arrow_schema::SchemaRef;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::infer::{BATCH_BYTES, BATCH_ROWS, Nature, TextBatch, TextColumn, TextRows};
use super::json::{JsonColumn, scalar_text};
use super::shape::is_special_float;
use super::text::misfit;
use super::{Counted, Encoder};
use crate::failure::Failure;

/// The longest line that is read: beyond it, the file is no JSON lines.
const MOST_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// Writes JSON lines.
pub struct JsonEncoder {
    schema: SchemaRef,
    /// The names as they stand in every line, with what is before and behind.
    keys: Vec<Vec<u8>>,
    out: BufWriter<Counted>,
}

impl JsonEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// When two columns have one name: readers of an object keep one of two values.
    pub fn new(schema: &SchemaRef, out: Counted) -> anyhow::Result<Self> {
        let mut names = HashSet::new();
        if let Some(twice) = (schema.fields().iter()).find(|field| !names.insert(field.name())) {
            return Err(Failure::data(format!(
                "two columns are called \"{}\", and a JSON object has a key only once",
                twice.name()
            ))
            .hint("give them other names in the query, with AS, or export to parquet, arrow or csv")
            .into());
        }
        let keys = schema.fields().iter().enumerate().map(|(at, field)| {
            let mut key = vec![if at == 0 { b'{' } else { b',' }];
            serde_json::to_writer(&mut key, field.name())?;
            key.push(b':');
            Ok(key)
        });
        Ok(JsonEncoder {
            schema: schema.clone(),
            keys: keys.collect::<anyhow::Result<_>>()?,
            out: BufWriter::with_capacity(64 * 1024, out),
        })
    }
}

impl Encoder for JsonEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let columns = columns(&self.schema, batch)?;
        let mut line = Vec::new();
        for row in 0..batch.num_rows() {
            line.clear();
            if columns.is_empty() {
                line.push(b'{');
            }
            for (key, column) in self.keys.iter().zip(&columns) {
                line.extend_from_slice(key);
                column.write(row, &mut line);
            }
            line.extend_from_slice(b"}\n");
            self.out.write_all(&line)?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.out
            .get_ref()
            .bytes()
            .saturating_add(self.out.buffer().len() as u64)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.out.flush()?;
        Ok(self.bytes())
    }
}

/// Writes rows as JSON arrays, one a line.
///
/// # Errors
/// When a value has no text, or `out` fails.
pub fn write_arrays(out: &mut impl Write, batch: &RecordBatch) -> anyhow::Result<()> {
    let columns = columns(&batch.schema(), batch)?;
    let mut line = Vec::new();
    for row in 0..batch.num_rows() {
        line.clear();
        line.push(b'[');
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            column.write(row, &mut line);
        }
        line.extend_from_slice(b"]\n");
        out.write_all(&line)?;
    }
    Ok(())
}

fn columns(schema: &SchemaRef, batch: &RecordBatch) -> Result<Vec<JsonColumn>, Failure> {
    (schema.fields().iter().zip(batch.columns()))
        .map(|(field, column)| JsonColumn::new(field, column))
        .collect()
}

/// The rows of a JSON lines file, as text.
pub struct JsonRows {
    input: BufReader<Box<dyn Read + Send>>,
    names: Vec<String>,
    /// The lines read so far.
    line: u64,
    rows: u64,
    /// The rows that the names are from.
    sampled: u64,
}

/// A row by name. Values keep their own text, so that numbers stay exact.
#[derive(Default)]
struct Row {
    values: HashMap<String, Option<Box<RawValue>>>,
    /// A key that the line has twice.
    twice: Option<String>,
}

impl<'d> Deserialize<'d> for Row {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'d> Visitor<'d> for Entries {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'d>>(self, mut map: M) -> Result<Row, M::Error> {
                let mut row = Row::default();
                while let Some((key, value)) = map.next_entry::<String, _>()? {
                    match row.values.entry(key) {
                        Entry::Vacant(place) => drop(place.insert(value)),
                        Entry::Occupied(known) => row.twice = Some(known.key().clone()),
                    }
                }
                Ok(row)
            }
        }
        from.deserialize_map(Entries)
    }
}

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
            sampled: 0,
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
            let row: Row = serde_json::from_slice(line).map_err(|error| {
                // The error's own Display ends with a position within the line.
                Failure::data(format!(
                    "line {}: this is no JSON object: {error}",
                    self.line
                ))
                .hint("JSON lines have one object a line, like {\"id\": 1, \"name\": \"x\"}")
            })?;
            if let Some(key) = &row.twice {
                return Err(Failure::data(format!(
                    "line {}: the key \"{}\" is there twice",
                    self.line,
                    key.escape_debug()
                ))
                .hint("leave one of its values; nothing was imported")
                .into());
            }
            return Ok(Some(row));
        }
    }

    fn unknown(&self, row: &Row) -> Option<Failure> {
        let mut names: Vec<&str> = (row.values)
            .keys()
            .map(String::as_str)
            .filter(|name| !self.names.iter().any(|known| known == name))
            .collect();
        names.sort_unstable();
        let first = names.first()?;
        Some(
            Failure::data(format!(
                "line {}: the key \"{first}\" is in none of the first {} rows",
                self.line, self.sampled
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
                let mut new: Vec<&String> = (row.values)
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
        if sample {
            self.sampled = self.rows;
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns: Vec<TextColumn> = Vec::new();
        for name in &self.names {
            let mut column = StringBuilder::new();
            let mut seen = Seen::default();
            for (at, row) in rows.iter().enumerate() {
                let value = row.values.get(name).and_then(Option::as_ref);
                let value = value.map(|value| value.get());
                let text = value.map(scalar_text).transpose().map_err(|_| {
                    let row = first_row + at as u64;
                    misfit(name, row, "this is no text", value.unwrap_or_default())
                })?;
                let text = text.flatten();
                if let (Some(value), Some(text)) = (value, &text) {
                    seen.note(at, value, text);
                }
                column.append_option(text);
            }
            columns.push(TextColumn {
                text: column.finish(),
                nature: seen.nature(),
                first_text: seen.texts,
                first_plain: [seen.texts, seen.specials, seen.others]
                    .into_iter()
                    .flatten()
                    .min(),
            });
        }
        Ok(Some(TextBatch {
            first_row,
            rows: rows.len(),
            names: self.names.clone(),
            columns,
        }))
    }

    fn names(&self) -> &[String] {
        &self.names
    }
}

/// In which row each kind of JSON value first is in a column.
#[derive(Default)]
struct Seen {
    texts: Option<usize>,
    specials: Option<usize>,
    documents: Option<usize>,
    others: Option<usize>,
}

impl Seen {
    fn note(&mut self, row: usize, json: &str, text: &str) {
        let kind = match json.as_bytes().first() {
            // A float that JSON has no number for is among its numbers as text.
            Some(b'"') if is_special_float(text) => &mut self.specials,
            Some(b'"') => &mut self.texts,
            Some(b'[' | b'{') => &mut self.documents,
            _ => &mut self.others,
        };
        kind.get_or_insert(row);
    }

    fn nature(&self) -> Nature {
        match self {
            Self {
                documents: Some(_),
                texts: None,
                specials: None,
                others: None,
            } => Nature::Documents,
            Self { texts: Some(_), .. } => Nature::Texts,
            Self {
                specials: Some(_),
                others: None,
                ..
            } => Nature::Texts,
            _ => Nature::Any,
        }
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
    use crate::formats::{Types, infer, memory};
    use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

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
        let (out, written) = memory();
        let mut encoder = Box::new(JsonEncoder::new(&batch.schema(), out).unwrap());
        encoder.write(&batch).unwrap();
        let bytes = encoder.finish().unwrap();
        let text = written.text();
        assert_eq!(bytes, text.len() as u64);
        assert_eq!(
            text,
            "{\"n\":9223372036854775807,\"f\":\"NaN\",\"d\":\"12.50\",\"t\":\"a\\\"\\n\"}\n\
             {\"n\":1,\"f\":0.1,\"d\":null,\"t\":\"\"}\n"
        );
        let rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        let types = Types::Table(batch.schema());
        let opened = infer::typed(rows, &types, None).unwrap();
        let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
        // The server makes the values.
        let expected: Vec<ArrayRef> = [
            [Some("9223372036854775807"), Some("1")],
            [Some("NaN"), Some("0.1")],
            [Some("12.50"), None],
            [Some("a\"\n"), Some("")],
        ]
        .map(|values| Arc::new(StringArray::from(values.to_vec())) as ArrayRef)
        .to_vec();
        assert_eq!(batches[0].columns(), expected);
        assert_eq!(batches.len(), 1);
    }

    #[test]
    fn keys_keep_their_order_and_text_stays_text() {
        let text =
            "{\"z\": 1, \"a\": \"2\"}\n\n{\"b\": {\"x\": [1]}, \"a\": null, \"z\": \"NaN\"}\n";
        let mut rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        let batch = rows.next().unwrap().unwrap();
        assert_eq!(batch.names, ["z", "a", "b"]);
        let natures: Vec<Nature> = batch.columns.iter().map(|column| column.nature).collect();
        assert_eq!(natures, [Nature::Any, Nature::Texts, Nature::Documents]);
        assert_eq!(
            batch.columns[2].text.iter().collect::<Vec<_>>(),
            [None, Some("{\"x\": [1]}")]
        );
    }

    #[test]
    fn names_that_come_twice() {
        let n: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("id", n.clone()), ("x", n.clone()), ("id", n)]);
        let (out, written) = memory();
        let error = JsonEncoder::new(&batch.unwrap().schema(), out)
            .err()
            .unwrap();
        let failure = error.downcast_ref::<Failure>().unwrap();
        assert_eq!(
            failure.message,
            "two columns are called \"id\", and a JSON object has a key only once"
        );
        assert!(
            failure
                .hint
                .as_deref()
                .unwrap_or_default()
                .contains("with AS")
        );
        assert_eq!(written.text(), "");
        let text = "{\"a\": 1}\n{\"a\": 1, \"b\": null, \"a\": 1}\n";
        let mut rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        let error = rows.next().err().unwrap();
        assert_eq!(error.to_string(), "line 2: the key \"a\" is there twice");
    }

    /// Long rows end the sample before it has as many as others.
    #[test]
    fn keys_that_come_late() {
        let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(BATCH_BYTES / 4));
        let text = format!("{}{{\"late\":1}}\n", long.repeat(5));
        let mut rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().rows, 4);
        assert_eq!(
            rows.next().err().unwrap().to_string(),
            "line 6: the key \"late\" is in none of the first 4 rows"
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
        // Half of a surrogate pair is no character.
        let text = "{\"a\": null}\n{\"a\": \"\\ud800\"}\n";
        let mut rows = JsonRows::new(Box::new(std::io::Cursor::new(text))).unwrap();
        assert!(
            rows.next()
                .err()
                .unwrap()
                .to_string()
                .starts_with("row 2, column \"a\": this is no text")
        );
    }
}
