//! Reading CSV.

use std::io::{BufRead, BufReader, Read};

use arrow_array::builder::StringBuilder;

use crate::failure::Failure;
use crate::formats::infer::{BATCH_BYTES, BATCH_ROWS, TextBatch, TextColumn, TextRows};

/// The longest record that is read, with what its fields take. Longer ones come
/// from a quote that is never closed, which would otherwise read the rest of the
/// file into memory, or from a file that is none of this kind.
const MOST_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// The rows of a CSV file, as text.
pub struct CsvRows {
    input: BufReader<Box<dyn Read + Send>>,
    names: Vec<String>,
    /// The line the next record begins in.
    line: u64,
    /// The rows read so far.
    rows: u64,
    record: Record,
}

/// One record: its fields one after the other.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    /// The end of each field in `bytes`, and whether it was quoted.
    fields: Vec<(usize, bool)>,
}

/// Where in a field the reader is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// At its beginning.
    Start,
    /// In a field without quotes.
    Bare,
    /// Within quotes.
    Quoted,
    /// After a quote within quotes: the end, or the first of two.
    Quote,
    /// After a carriage return outside quotes.
    Return,
}

impl CsvRows {
    /// Reads the line of names.
    ///
    /// # Errors
    /// When there is none, or a name is missing or given twice.
    pub fn new(input: Box<dyn Read + Send>) -> anyhow::Result<Self> {
        let mut rows = CsvRows {
            input: BufReader::with_capacity(64 * 1024, input),
            names: Vec::new(),
            line: 1,
            rows: 0,
            record: Record::default(),
        };
        if rows.input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            rows.input.consume(3);
        }
        if !rows.next_record()? {
            return Err(Failure::data("the file is empty")
                .hint("a CSV file has the names of its columns in the first line")
                .into());
        }
        let mut names: Vec<String> = Vec::new();
        for at in 0..rows.record.fields.len() {
            let name = rows.field(at, 1)?.unwrap_or_default();
            if name.is_empty() {
                return Err(Failure::data(format!(
                    "column {} has no name in the first line",
                    at + 1
                ))
                .hint("a CSV file has the names of its columns in the first line")
                .into());
            }
            if names.iter().any(|known| known == name) {
                return Err(Failure::data(format!(
                    "the column \"{name}\" is in the first line twice"
                ))
                .into());
            }
            names.push(name.to_owned());
        }
        rows.names = names;
        Ok(rows)
    }

    /// Reads a record. Returns false at the end of the file.
    fn next_record(&mut self) -> anyhow::Result<bool> {
        let began = self.line;
        let Record { bytes, fields } = &mut self.record;
        bytes.clear();
        fields.clear();
        let mut state = State::Start;
        let mut quoted = false;
        let mut any = false;
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                if state == State::Quoted {
                    return Err(Failure::data(format!(
                        "the quote opened in the record of line {began} is never closed"
                    ))
                    .hint("a quote within quotes is written twice")
                    .into());
                }
                if any {
                    fields.push((bytes.len(), quoted));
                }
                return Ok(any);
            }
            any = true;
            let mut used = 0;
            let mut complete = false;
            for &byte in chunk {
                if state == State::Return && byte != b'\n' {
                    // A carriage return alone ends a line as well.
                    self.line += 1;
                    complete = true;
                    break;
                }
                used += 1;
                match (state, byte) {
                    (State::Quoted, b'"') => state = State::Quote,
                    (State::Quoted, _) => {
                        self.line += u64::from(byte == b'\n');
                        bytes.push(byte);
                    }
                    (State::Quote, b'"') => {
                        bytes.push(b'"');
                        state = State::Quoted;
                    }
                    (State::Start, b'"') => {
                        quoted = true;
                        state = State::Quoted;
                    }
                    (_, b',') => {
                        fields.push((bytes.len(), quoted));
                        quoted = false;
                        state = State::Start;
                    }
                    (_, b'\n') => {
                        self.line += 1;
                        complete = true;
                        break;
                    }
                    (_, b'\r') => state = State::Return,
                    (State::Quote, _) => {
                        return Err(Failure::data(format!(
                            "line {}: text follows a closing quote",
                            self.line
                        ))
                        .hint("a quote within quotes is written twice")
                        .into());
                    }
                    (_, _) => {
                        bytes.push(byte);
                        state = State::Bare;
                    }
                }
            }
            self.input.consume(used);
            if complete {
                fields.push((bytes.len(), quoted));
                return Ok(true);
            }
            let held = bytes.len() + size_of_val(fields.as_slice());
            if held > MOST_RECORD_BYTES {
                return Err(Failure::data(format!(
                    "the record that begins in line {began} takes more than {} MiB",
                    MOST_RECORD_BYTES / (1024 * 1024)
                ))
                .hint("look for a quote that is never closed")
                .into());
            }
        }
    }

    /// A field of the record; NULL when nothing is written for it.
    fn field(&self, at: usize, line: u64) -> Result<Option<&str>, Failure> {
        let start = at
            .checked_sub(1)
            .and_then(|at| self.record.fields.get(at))
            .map_or(0, |(end, _)| *end);
        let (end, quoted) = self
            .record
            .fields
            .get(at)
            .copied()
            .unwrap_or((start, false));
        let bytes = self.record.bytes.get(start..end).unwrap_or_default();
        if bytes.is_empty() && !quoted {
            return Ok(None);
        }
        std::str::from_utf8(bytes).map(Some).map_err(|_| {
            Failure::data(format!("line {line}: this is not UTF-8 text"))
                .hint("convert the file to UTF-8, for example with iconv")
        })
    }
}

impl TextRows for CsvRows {
    fn next(&mut self) -> anyhow::Result<Option<TextBatch>> {
        let mut columns: Vec<StringBuilder> =
            self.names.iter().map(|_| StringBuilder::new()).collect();
        let first_row = self.rows + 1;
        let mut rows = 0;
        let mut bytes = 0;
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            let line = self.line;
            if !self.next_record()? {
                break;
            }
            let found = self.record.fields.len();
            let blank = found == 1 && self.record.bytes.is_empty() && self.names.len() > 1;
            if blank {
                continue;
            }
            if found != self.names.len() {
                return Err(Failure::data(format!(
                    "line {line}: {found} values for {} columns",
                    self.names.len()
                ))
                .hint("a value with a comma in it is written in quotes")
                .into());
            }
            for (at, column) in columns.iter_mut().enumerate() {
                column.append_option(self.field(at, line)?);
            }
            rows += 1;
            self.rows += 1;
            bytes += self.record.bytes.len();
        }
        Ok((rows > 0).then(|| TextBatch {
            first_row,
            rows,
            names: self.names.clone(),
            columns: (columns.iter_mut())
                .map(|column| TextColumn::bare(column.finish()))
                .collect(),
        }))
    }

    fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;

    type Rows = Vec<Vec<Option<String>>>;

    fn read(text: &str) -> Result<(Vec<String>, Rows), String> {
        // One byte at a time: no state may be lost between chunks.
        struct Slow(std::io::Cursor<Vec<u8>>);
        impl Read for Slow {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let most = out.len().min(1);
                self.0.read(&mut out[..most])
            }
        }
        let input = Slow(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut csv = CsvRows::new(Box::new(input)).map_err(|error| error.to_string())?;
        let mut rows = Rows::new();
        while let Some(batch) = csv.next().map_err(|error| error.to_string())? {
            for row in 0..batch.rows {
                rows.push(
                    batch
                        .columns
                        .iter()
                        .map(|column| column.text.iter().nth(row).flatten().map(str::to_owned))
                        .collect(),
                );
            }
        }
        Ok((csv.names.clone(), rows))
    }

    fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
        values
            .iter()
            .map(|value| value.map(str::to_owned))
            .collect()
    }

    #[test]
    fn null_and_empty_differ() {
        let (names, rows) = read("a,b\n,\"\"\n\"x\"\"y\",\"1,\n2\"\r\n\r\nz,NULL").unwrap();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(
            rows,
            [
                row(&[None, Some("")]),
                row(&[Some("x\"y"), Some("1,\n2")]),
                row(&[Some("z"), Some("NULL")])
            ]
        );
    }

    #[test]
    fn one_column_keeps_its_nulls() {
        assert_eq!(
            read("a\n\n\"\"\nx\n").unwrap().1,
            [row(&[None]), row(&[Some("")]), row(&[Some("x")])]
        );
    }

    #[test]
    fn line_ends_and_byte_order_mark() {
        for text in ["\u{feff}a,b\r\n1,2\r\n", "a,b\r1,2\r", "a,b\n1,2"] {
            assert_eq!(
                read(text).unwrap().1,
                [row(&[Some("1"), Some("2")])],
                "{text:?}"
            );
        }
    }

    #[test]
    fn faults_name_the_line() {
        for (text, expected) in [
            ("", "the file is empty"),
            ("a,\n", "column 2 has no name in the first line"),
            ("a,a\n", "the column \"a\" is in the first line twice"),
            ("a,b\n\"1\n2\",3\n4\n", "line 4: 1 values for 2 columns"),
            ("a\n\"x\"y\n", "line 2: text follows a closing quote"),
            (
                "a\n1\n\"x\n",
                "the quote opened in the record of line 3 is never closed",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_record_without_end_is_refused() {
        for byte in [b'x', b','] {
            let fault = CsvRows::new(Box::new(std::io::repeat(byte))).err().unwrap();
            assert_eq!(
                fault.to_string(),
                "the record that begins in line 1 takes more than 64 MiB"
            );
        }
    }

    /// What is written is read back the same.
    #[test]
    fn round_trip() {
        use crate::formats::{Encoder, memory};
        use arrow_array::RecordBatch;
        use std::sync::Arc;

        let values = [
            None,
            Some(""),
            Some("plain"),
            Some("a,b"),
            Some("say \"x\""),
            Some("two\r\nlines"),
            Some("\\."),
            Some("ü"),
        ];
        let column: arrow_array::ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        let batch =
            RecordBatch::try_from_iter([("one, two", column.clone()), ("b", column)]).unwrap();
        let (counted, out) = memory();
        let mut encoder =
            Box::new(super::super::write::CsvEncoder::new(&batch.schema(), counted).unwrap());
        encoder.write(&batch).unwrap();
        let written = encoder.finish().unwrap();
        let text = out.text();
        assert_eq!(written, text.len() as u64);
        assert!(
            text.starts_with("\"one, two\",b\n,\n\"\",\"\"\nplain,plain\n"),
            "{text}"
        );
        let (names, rows) = read(&text).unwrap();
        assert_eq!(names, ["one, two", "b"]);
        assert_eq!(
            rows,
            values
                .iter()
                .map(|value| row(&[*value, *value]))
                .collect::<Vec<_>>()
        );
    }
}
