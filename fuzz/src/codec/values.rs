//! Rows of columns of any types.

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use bytes::BytesMut;
use dagflux_guest::bindings::exports::dagflux::connector::relational::OnLoss;
use dagflux_guest::{BatchLimits, ipc};
use dagflux_postgres::protocol::backend::{self, COPY_DATA, DATA_ROW, Message};
use dagflux_postgres::protocol::frame::{self, Split};
use dagflux_postgres::types::batch::BatchEncoder;
use dagflux_postgres::types::decode::{RowDecoder, Source};
use dagflux_postgres::types::lookup::{self, Column};
use dagflux_postgres::types::mapping::{self, Mapping};
use dagflux_postgres::types::show;
use dagflux_postgres::types::target::Target;

use super::{Input, frames, types};

const LIMITS: BatchLimits = BatchLimits {
    rows: 100,
    bytes: 1 << 20,
};

/// What is read: its columns, and what becomes of values that do not fit.
struct Table {
    columns: Vec<Column>,
    /// The columns that it is written to.
    taking: Vec<Column>,
    choice: OnLoss,
    /// Whether text is known to be UTF-8.
    checked: bool,
}

/// Reads rows of columns whose types the input begins with.
///
/// Each value of a row has its length in one byte, 255 for null; a row whose first byte is
/// 255 has its length there instead, and is read as it is.
pub fn run(input: &mut Input<'_>) {
    let bits = input.byte();
    let count = 1 + input.byte() % 4;
    let mut columns = || {
        let column = |at| Column {
            name: format!("c{at}"),
            typed: types::typed(input),
            dimensions: u32::from(bits >> 5),
        };
        (0..count).map(column).collect::<Vec<_>>()
    };
    let read = columns();
    let taking = match bits & 8 {
        0 => read.clone(),
        _ => columns(),
    };
    let table = Table {
        columns: read,
        taking,
        choice: choice(bits),
        checked: bits & 4 != 0,
    };
    let mut rows = Vec::new();
    while !input.is_empty() && rows.len() < LIMITS.rows {
        let first = input.byte();
        if first == u8::MAX {
            let length = input.byte();
            rows.push(input.take(length.into()).to_vec());
            continue;
        }
        let mut row = u16::from(count).to_be_bytes().to_vec();
        for at in 0..count {
            let length = if at == 0 { first } else { input.byte() };
            match length {
                u8::MAX => row.extend_from_slice(&[0xff; 4]),
                length => {
                    let value = input.take(length.into());
                    row.extend_from_slice(&(value.len() as u32).to_be_bytes());
                    row.extend_from_slice(value);
                }
            }
        }
        rows.push(row);
    }
    table.read(rows.iter().map(Vec::as_slice));
}

/// Reads rows of a table that the catalog tells the columns of: first the rows of the
/// catalog, as messages, then another message, then the table's rows.
pub fn of_table(input: &mut Input<'_>) {
    let bits = input.byte();
    let mut catalog = Vec::new();
    while let Some(frame) = frames::next(input) {
        match backend::parse(frame) {
            Ok(Message::DataRow(row)) => match backend::text_row(&row) {
                Ok(row) => catalog.push(row),
                Err(_) => return,
            },
            _ => break,
        }
    }
    let Ok(columns) = lookup::of_table(catalog) else {
        return;
    };
    let table = Table {
        taking: columns.clone(),
        columns,
        choice: choice(bits),
        checked: bits & 4 != 0,
    };
    let mut rows = Vec::new();
    while let Some(frame) = frames::next(input) {
        if matches!(frame.tag, DATA_ROW | COPY_DATA) {
            rows.push(frame.body);
        }
    }
    table.read(rows.into_iter());
}

fn choice(bits: u8) -> OnLoss {
    match bits & 3 {
        0 => OnLoss::Fail,
        1 => OnLoss::Text,
        _ => OnLoss::Null,
    }
}

impl Table {
    fn read<'r>(&self, rows: impl Iterator<Item = &'r [u8]>) {
        let mappings = self.mappings();
        let schema = Schema::new(mappings.iter().map(|m| m.field.clone()).collect::<Vec<_>>());
        let message = ipc::schema_message(&schema).expect("a schema message");
        let schema = ipc::read_schema(&message).expect("a schema that a host can read");
        let mut decoder = self.decoder();
        let mut taken = 0;
        for row in rows {
            show_all(&mappings, row);
            if !decoder.has_room(row.len()) {
                self.look_at(decoder.take(), taken, &schema);
                taken = 0;
            }
            match decoder.row(row) {
                Ok(()) => taken += 1,
                // After a failure there are no rows.
                Err(error) => {
                    assert!(error.has_hint(), "{error}");
                    decoder.losses();
                    return;
                }
            }
        }
        decoder.losses();
        self.look_at(decoder.take(), taken, &schema);
    }

    fn mappings(&self) -> Vec<Mapping> {
        let map = |column: &Column| {
            let Column {
                name,
                typed,
                dimensions,
            } = column;
            mapping::map(name, typed, *dimensions, self.choice, self.checked)
        };
        self.columns.iter().map(map).collect()
    }

    fn decoder(&self) -> RowDecoder {
        let sources = self.mappings().into_iter().map(|mapping| Source {
            kind: mapping.kind,
            name: mapping.field.name().clone(),
            choice: self.choice,
        });
        RowDecoder::new(sources, LIMITS, self.checked)
    }

    /// Makes sure that a host can read a batch, and that it can be written and read again.
    fn look_at(&self, message: Vec<u8>, rows: usize, schema: &SchemaRef) {
        let batch = match ipc::read_batch(message, schema) {
            Ok(batch) => batch,
            // A server that checks text is taken at its word; the host looks at it again.
            Err(error) => {
                assert!(self.checked, "{error}");
                return;
            }
        };
        assert_eq!(batch.num_rows(), rows);
        if rows > 0 && !self.columns.is_empty() {
            self.write(&batch, schema);
        }
    }

    /// Writes a batch and reads it again, if it goes to the columns it came from, in binary.
    fn write(&self, batch: &RecordBatch, schema: &SchemaRef) {
        let targets: Vec<_> = self.taking.iter().map(|c| Target::of(&c.typed)).collect();
        let arrow = schema.fields().iter().map(|field| field.data_type());
        if !targets
            .iter()
            .zip(arrow)
            .all(|(target, arrow)| target.takes(arrow))
        {
            return;
        }
        let mut encoder = BatchEncoder::new(schema, targets, false);
        let sources = encoder.sources(batch).expect("columns that are known");
        let mut out = BytesMut::new();
        if encoder
            .encode(&sources, 0, batch.num_rows(), 0, &mut out)
            .is_err()
        {
            return;
        }
        let Ok(Split::Frame(frame)) = frame::split(&out) else {
            panic!("rows that are no message");
        };
        let same = self.columns.iter().zip(&self.taking);
        let same = same.clone().all(|(from, to)| from.typed == to.typed);
        let binary = encoder.format() == "binary";
        if !same || !binary || !self.mappings().iter().all(|m| m.kind.is_binary()) {
            return;
        }
        let mut decoder = self.decoder();
        let mut rest = Input(frame.body);
        while !rest.is_empty() {
            let row = row(&mut rest);
            decoder.row(row).unwrap_or_else(|error| panic!("{error}"));
        }
        let again = ipc::read_batch(decoder.take(), schema).expect("a batch");
        assert_eq!(&again, batch);
    }
}

/// The next row of a binary `COPY`.
fn row<'a>(input: &mut Input<'a>) -> &'a [u8] {
    let mut ahead = Input(input.0);
    for _ in 0..ahead.short() {
        match ahead.word() {
            u32::MAX => {}
            length => drop(ahead.take(length as usize)),
        }
    }
    input.take(input.0.len() - ahead.0.len())
}

/// Shows every value of a row, as an error would.
fn show_all(mappings: &[Mapping], row: &[u8]) {
    let mut input = Input(row);
    if usize::from(input.short()) != mappings.len() {
        return;
    }
    for Mapping { kind, .. } in mappings {
        match input.word() {
            u32::MAX => {}
            length => {
                let shown = show::value(kind, input.take(length as usize));
                assert!(shown.chars().count() <= 101, "{shown}");
            }
        }
    }
}
