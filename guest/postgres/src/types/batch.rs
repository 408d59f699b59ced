//! Rows of a batch as `COPY ... FROM STDIN` takes them.
//!
//! `COPY` wants rows, Arrow has columns. So a chunk of rows is first encoded column by column,
//! each into a buffer of its own in a loop that knows the type, and then the rows are put
//! together from those buffers. That is several times as fast as going through the rows and
//! asking each cell what it is.

use std::ops::RangeInclusive;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{Schema, TimeUnit};
use bytes::{BufMut, BytesMut};
use dagflux_guest::{Error, Result};

use super::cell::Misfit;
use super::encode::{self, BINARY_HEADER, BINARY_NULL, BINARY_TRAILER};
use super::source::{Source, TextValues, Values};
use super::target::Target;
use super::{compose, numeric};
use crate::protocol::frontend;

/// The most rows of a chunk: what its columns take should stay in the processor's cache.
const CHUNK_ROWS: usize = 1024;
/// About how many bytes of Arrow data a chunk is to have.
const CHUNK_BYTES: usize = 128 * 1024;

/// What can be read behind a cell, so that short ones are copied in pieces of this size.
const PIECE: usize = 16;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Days since 1970 that are dates without a further look; some beyond are dates, too.
const DATES: RangeInclusive<i32> = -2_000_000..=2_000_000_000;
/// Microseconds since 1970 that are timestamps without a further look.
const TIMESTAMPS: RangeInclusive<i64> = -200_000_000_000_000_000..=9_000_000_000_000_000_000;

/// The cells of one column, one after the other.
#[derive(Debug, Default)]
struct Cells {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Cells {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    #[inline(always)]
    fn end(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }
}

/// A value that its column cannot take, and where it is.
#[derive(Debug)]
pub struct Fault {
    /// The column, counted from 0.
    pub column: usize,
    /// The row of the batch, counted from 0.
    pub row: usize,
    /// The value, and what is wrong with it.
    pub misfit: Misfit,
}

/// Encodes batches of one schema.
#[derive(Debug)]
pub struct BatchEncoder {
    targets: Vec<Target>,
    binary: bool,
    /// Whether each row ends with its number, as a `bigint`.
    numbered: bool,
    cells: Vec<Cells>,
    starts: Vec<usize>,
}

impl BatchEncoder {
    /// An encoder for columns that go to `targets`. `numbered` rows end with their number.
    pub fn new(schema: &Schema, targets: Vec<Target>, numbered: bool) -> Self {
        let binary = schema
            .fields()
            .iter()
            .zip(&targets)
            .all(|(field, target)| target.is_binary(field.data_type()));
        let columns = targets.len().saturating_add(usize::from(numbered));
        Self {
            targets,
            binary,
            numbered,
            cells: (0..columns).map(|_| Cells::default()).collect(),
            starts: Vec::new(),
        }
    }

    /// The format, as `COPY` calls it: binary if every column has a binary form.
    pub fn format(&self) -> &'static str {
        match self.binary {
            true => "binary",
            false => "text",
        }
    }

    /// Appends what comes before the first row.
    pub fn begin(&self, out: &mut BytesMut) {
        if self.binary {
            message(BINARY_HEADER, out);
        }
    }

    /// Appends what comes after the last row.
    pub fn end(&self, out: &mut BytesMut) {
        if self.binary {
            message(BINARY_TRAILER, out);
        }
    }

    /// A batch's columns, ready to be encoded.
    ///
    /// # Errors
    /// `internal`, if a column is of a type that was not agreed on.
    pub fn sources<'b>(&self, batch: &'b RecordBatch) -> Result<Vec<Source<'b>>> {
        let sources: Option<Vec<_>> = batch
            .columns()
            .iter()
            .map(|column| Source::new(column.as_ref()))
            .collect();
        sources
            .filter(|sources| sources.len() == self.targets.len())
            .ok_or_else(|| Error::internal("a column of a type that was not agreed on"))
    }

    /// How many rows of a batch to encode at a time.
    pub fn chunk(batch: &RecordBatch) -> usize {
        // Of the message that all buffers are in, the part that each of them is.
        let bytes: usize = batch
            .columns()
            .iter()
            .filter_map(|column| column.to_data().get_slice_memory_size().ok())
            .fold(0, usize::saturating_add);
        let row = bytes / batch.num_rows().max(1);
        (CHUNK_BYTES / row.max(1)).clamp(1, CHUNK_ROWS)
    }

    /// Appends the rows from `from` to `to` as one message. `number` is that of the batch's
    /// first row.
    ///
    /// # Errors
    /// The first value that its column cannot take; nothing was appended then.
    pub fn encode(
        &mut self,
        sources: &[Source<'_>],
        from: usize,
        to: usize,
        number: u64,
        out: &mut BytesMut,
    ) -> Result<(), Fault> {
        let mut fault = None;
        let mut to = to;
        let columns = sources.iter().zip(&self.targets).zip(&mut self.cells);
        for (column, ((source, target), cells)) in columns.enumerate() {
            cells.clear();
            let encoded = match self.binary {
                true => binary_column(source, target, from, to, cells),
                false => text_column(source, target, from, to, cells),
            };
            if let Err((row, misfit)) = encoded {
                // Another column may have a fault in an earlier row.
                to = row;
                fault = Some(Fault {
                    column,
                    row,
                    misfit,
                });
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        if let (true, Some(cells)) = (self.numbered, self.cells.last_mut()) {
            cells.clear();
            for row in from..to {
                let number = number.saturating_add(row as u64);
                match self.binary {
                    true => encode::bytes(&number.to_be_bytes(), &mut cells.bytes),
                    false => cells.bytes.extend_from_slice(number.to_string().as_bytes()),
                }
                cells.end();
            }
        }
        self.rows(to.saturating_sub(from), out);
        Ok(())
    }

    /// Puts the rows together from the cells of each column.
    fn rows(&mut self, rows: usize, out: &mut BytesMut) {
        let begin = out.len();
        out.put_u8(frontend::COPY_DATA);
        out.put_u32(0);
        let mut at = out.len();
        let cells: usize = self.cells.iter().map(|cells| cells.bytes.len()).sum();
        // Between and behind the cells: a count, or a tab or a line feed for each.
        let room = rows.saturating_mul(self.cells.len().max(2));
        out.resize(
            at.saturating_add(cells)
                .saturating_add(room)
                .saturating_add(PIECE),
            0,
        );
        for cells in &mut self.cells {
            cells.bytes.extend_from_slice(&[0; PIECE]);
        }
        self.starts.clear();
        self.starts.resize(self.cells.len(), 0);
        let count = (self.cells.len() as u16).to_be_bytes();
        for row in 0..rows {
            if self.binary {
                put(out, &mut at, count);
            }
            for (cells, start) in self.cells.iter().zip(&mut self.starts) {
                let end = cells.ends.get(row).map_or(*start, |end| *end as usize);
                copy(out, at, &cells.bytes, *start, end);
                at = at.saturating_add(end.saturating_sub(*start));
                *start = end;
                if !self.binary {
                    put(out, &mut at, *b"\t");
                }
            }
            if !self.binary {
                at = at.saturating_sub(1);
                put(out, &mut at, *b"\n");
            }
        }
        out.truncate(at);
        let length = (at.saturating_sub(begin).saturating_sub(1)) as u32;
        if let Some(slot) = out.get_mut(begin..).and_then(|out| out.get_mut(1..5)) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Appends a message with part of a `COPY`.
fn message(data: &[u8], out: &mut BytesMut) {
    out.put_u8(frontend::COPY_DATA);
    out.put_u32((data.len() as u32).saturating_add(4));
    out.put_slice(data);
}

#[inline(always)]
fn put<const N: usize>(out: &mut [u8], at: &mut usize, bytes: [u8; N]) {
    if let Some(slot) = out.get_mut(*at..).and_then(|out| out.first_chunk_mut()) {
        *slot = bytes;
    }
    *at = at.saturating_add(N);
}

/// Copies a cell. Most are short: those are copied as whole pieces, which takes no call, and
/// what is too much is overwritten by the next.
#[inline(always)]
fn copy(out: &mut [u8], at: usize, cells: &[u8], start: usize, end: usize) {
    let (Some(to), Some(from)) = (out.get_mut(at..), cells.get(start..)) else {
        return;
    };
    let length = end.saturating_sub(start);
    if length <= PIECE {
        if let (Some(to), Some(from)) = (to.first_chunk_mut::<PIECE>(), from.first_chunk::<PIECE>())
        {
            *to = *from;
        }
    } else if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
}

/// Where a column's encoding stopped, and why.
type Stopped = (usize, Misfit);

fn binary_column(
    source: &Source<'_>,
    target: &Target,
    from: usize,
    to: usize,
    cells: &mut Cells,
) -> Result<(), Stopped> {
    let rows = from..to;
    let nulls = source.nulls;
    match (&source.values, target) {
        (Values::Int16(values), Target::Int2) => fixed(values.get(rows), from, nulls, cells, |v| {
            cell::<2, 6>(v.to_be_bytes())
        }),
        (Values::Int32(values), Target::Int4) => fixed(values.get(rows), from, nulls, cells, |v| {
            cell::<4, 8>(v.to_be_bytes())
        }),
        (Values::Int64(values), Target::Int8) => fixed(values.get(rows), from, nulls, cells, |v| {
            cell::<8, 12>(v.to_be_bytes())
        }),
        (Values::Float32(values), Target::Float4) => {
            fixed(values.get(rows), from, nulls, cells, |v| {
                cell::<4, 8>(v.to_be_bytes())
            })
        }
        (Values::Float64(values), Target::Float8) => {
            fixed(values.get(rows), from, nulls, cells, |v| {
                cell::<8, 12>(v.to_be_bytes())
            })
        }
        (Values::Bool(values), Target::Bool) => booleans(values, from, to, nulls, cells),
        (Values::Date32(values), Target::Date) if within(values.get(from..to), &DATES) => {
            fixed(values.get(rows), from, nulls, cells, |v| {
                cell::<4, 8>(v.wrapping_sub(EPOCH_DAYS).to_be_bytes())
            });
        }
        (
            Values::Timestamp(values, TimeUnit::Microsecond, _),
            Target::Timestamp { grain: 1, .. },
        ) if within(values.get(from..to), &TIMESTAMPS) => {
            fixed(values.get(rows), from, nulls, cells, |v| {
                cell::<8, 12>(v.wrapping_sub(EPOCH_MICROS).to_be_bytes())
            });
        }
        (Values::Decimal128(values, scale), Target::Numeric { scale: kept })
            if kept.is_none_or(|kept| i32::from(*scale) <= kept) =>
        {
            decimals(values.get(rows), from, *scale, nulls, cells);
        }
        (Values::Text(TextValues::Small(values)), Target::Varchar(most))
            if no_nul(values, from, to) && no_longer(values, from, to, *most) =>
        {
            texts(values, from, to, nulls, cells);
        }
        (Values::Text(TextValues::Small(values)), Target::Text | Target::Json)
            if no_nul(values, from, to) =>
        {
            texts(values, from, to, nulls, cells);
        }
        _ => {
            for row in rows {
                compose::binary(source, row, target, &mut cells.bytes)
                    .map_err(|misfit| (row, misfit))?;
                cells.end();
            }
        }
    }
    Ok(())
}

fn text_column(
    source: &Source<'_>,
    target: &Target,
    from: usize,
    to: usize,
    cells: &mut Cells,
) -> Result<(), Stopped> {
    let mut text = String::new();
    for row in from..to {
        if source.is_null(row) {
            cells.bytes.extend_from_slice(b"\\N");
        } else {
            text.clear();
            compose::text(source, row, target, &mut text).map_err(|misfit| (row, misfit))?;
            encode::escape(&text, &mut cells.bytes);
        }
        cells.end();
    }
    Ok(())
}

fn within<T: PartialOrd>(values: Option<&[T]>, range: &RangeInclusive<T>) -> bool {
    values.is_some_and(|values| values.iter().all(|value| range.contains(value)))
}

/// A cell of `N` bytes with their number before them.
#[inline(always)]
fn cell<const N: usize, const M: usize>(value: [u8; N]) -> [u8; M] {
    let mut cell = [0; M];
    if let Some((length, rest)) = cell.split_first_chunk_mut::<4>() {
        *length = (N as u32).to_be_bytes();
        if let Some(slot) = rest.first_chunk_mut::<N>() {
            *slot = value;
        }
    }
    cell
}

#[inline(always)]
fn is_null(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row))
}

#[inline(always)]
fn fixed<T: Copy, const M: usize>(
    values: Option<&[T]>,
    from: usize,
    nulls: Option<&NullBuffer>,
    cells: &mut Cells,
    convert: impl Fn(T) -> [u8; M],
) {
    let values = values.unwrap_or_default();
    cells.bytes.reserve(values.len().saturating_mul(M));
    for (at, value) in values.iter().enumerate() {
        match is_null(nulls, from.saturating_add(at)) {
            true => cells.bytes.extend_from_slice(&BINARY_NULL),
            false => cells.bytes.extend_from_slice(&convert(*value)),
        }
        cells.end();
    }
}

fn booleans(
    values: &BooleanArray,
    from: usize,
    to: usize,
    nulls: Option<&NullBuffer>,
    cells: &mut Cells,
) {
    for row in from..to.min(values.values().len()) {
        match is_null(nulls, row) {
            true => cells.bytes.extend_from_slice(&BINARY_NULL),
            false => encode::bytes(&[u8::from(values.value(row))], &mut cells.bytes),
        }
        cells.end();
    }
}

fn decimals(
    values: Option<&[i128]>,
    from: usize,
    scale: i8,
    nulls: Option<&NullBuffer>,
    cells: &mut Cells,
) {
    for (at, value) in values.unwrap_or_default().iter().enumerate() {
        match is_null(nulls, from.saturating_add(at)) {
            true => cells.bytes.extend_from_slice(&BINARY_NULL),
            false => encode::counted(&mut cells.bytes, |out| {
                numeric::encode_i128(*value, scale, out);
            }),
        }
        cells.end();
    }
}

/// Whether the texts of some rows are free of NULs, which PostgreSQL's text cannot hold.
fn no_nul(values: &arrow_array::StringArray, from: usize, to: usize) -> bool {
    let offsets = values.value_offsets();
    let bounds = offsets.get(from).zip(offsets.get(to));
    bounds
        .and_then(|(from, to)| {
            let range = usize::try_from(*from).ok()?..usize::try_from(*to).ok()?;
            values.value_data().get(range)
        })
        .is_some_and(|bytes| !bytes.contains(&0))
}

/// Whether the texts of some rows have so many bytes at most.
fn no_longer(values: &arrow_array::StringArray, from: usize, to: usize, most: usize) -> bool {
    let ends = values.value_offsets().get(from..=to).unwrap_or_default();
    ends.windows(2).all(|bounds| match bounds {
        [start, end] => usize::try_from(end.wrapping_sub(*start)).is_ok_and(|l| l <= most),
        _ => false,
    })
}

fn texts(
    values: &arrow_array::StringArray,
    from: usize,
    to: usize,
    nulls: Option<&NullBuffer>,
    cells: &mut Cells,
) {
    let data = values.value_data();
    let offsets = values.value_offsets();
    let ends = offsets.get(from..=to).unwrap_or_default();
    for (at, bounds) in ends.windows(2).enumerate() {
        let [start, end] = bounds else { continue };
        let (start, end) = (*start as usize, *end as usize);
        let length = end.saturating_sub(start);
        if is_null(nulls, from.saturating_add(at)) {
            cells.bytes.extend_from_slice(&BINARY_NULL);
        } else {
            cells
                .bytes
                .extend_from_slice(&(length as u32).to_be_bytes());
            let piece = data
                .get(start..)
                .and_then(|data| data.first_chunk::<PIECE>());
            match piece {
                Some(piece) if length <= PIECE => {
                    let end = cells.bytes.len().saturating_add(length);
                    cells.bytes.extend_from_slice(piece);
                    cells.bytes.truncate(end);
                }
                _ => {
                    let text = data.get(start..end).unwrap_or_default();
                    cells.bytes.extend_from_slice(text);
                }
            }
        }
        cells.end();
    }
}
