//! Rows into columns.
//!
//! A row has the same layout in a `DataRow` of a query and in a tuple of a binary `COPY`: the
//! number of columns (16 bits), then for each its length (32 bits; -1 for null) and its bytes.
//! One decoder serves both. It is the path every cell takes, so it allocates nothing per cell
//! and decides only once per cell what to do.
//!
//! # What does not fit
//!
//! NaN and the infinities of `numeric`, infinite dates and timestamps, `24:00:00`, and
//! whatever is outside the range of the Arrow type is never changed silently. All of it passes
//! through `RowDecoder::misfit`, which fails with the column, the row and the value. That is
//! the place for a loss ledger (fail, null, or text, per read).
#![deny(clippy::arithmetic_side_effects)]

use bytes::BytesMut;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{BatchLimits, ColumnBuilder, Error, Result, ipc};

use super::cell::Cell;
use super::encode;
use super::mapping::Kind;
use super::numeric::{self, Misfit as NumericMisfit};
use crate::protocol::Violation;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Microseconds in a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// How many rows a column has room for to begin with.
const INITIAL_ROWS: usize = 1024;

/// A column being decoded.
#[derive(Debug)]
struct Column {
    kind: Kind,
    name: String,
    builder: ColumnBuilder,
}

/// Why a value cannot be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit {
    /// It has no counterpart in the Arrow type: what it is instead.
    Value(&'static str),
    /// It is outside the range of the Arrow type.
    OutOfRange,
    /// The bytes are not in the format of the type.
    Malformed,
}

impl From<NumericMisfit> for Misfit {
    fn from(misfit: NumericMisfit) -> Self {
        match misfit {
            NumericMisfit::NotANumber => Misfit::Value("NaN"),
            NumericMisfit::Infinite { negative: false } => Misfit::Value("Infinity"),
            NumericMisfit::Infinite { negative: true } => Misfit::Value("-Infinity"),
            NumericMisfit::OutOfRange => Misfit::OutOfRange,
            NumericMisfit::Malformed => Misfit::Malformed,
        }
    }
}

/// Gathers rows until they make a batch.
#[derive(Debug)]
pub struct RowDecoder {
    columns: Vec<Column>,
    limits: BatchLimits,
    /// Whether text must be checked here: a database without an encoding sends any bytes.
    check_text: bool,
    /// Rows of the batches already taken.
    taken: u64,
    rows: usize,
    /// The bytes a row takes before those of variable values.
    row_width: usize,
    /// The bytes of variable values so far.
    variable: usize,
}

impl RowDecoder {
    /// A decoder for rows of the given columns.
    pub fn new(
        columns: impl IntoIterator<Item = (Kind, String)>,
        limits: BatchLimits,
        check_text: bool,
    ) -> Self {
        let columns: Vec<_> = columns.into_iter().collect();
        let row_width = columns
            .iter()
            // One byte for the bitmaps of a column is more than they take.
            .map(|(kind, _)| kind.layout().row_width().saturating_add(1))
            .sum::<usize>()
            .max(1);
        // Most results are small; the buffers of a large one grow once and are kept.
        let rows = limits.rows.min(INITIAL_ROWS);
        Self {
            columns: columns
                .into_iter()
                .map(|(kind, name)| Column {
                    kind,
                    name,
                    builder: ColumnBuilder::new(kind.layout(), rows),
                })
                .collect(),
            limits,
            check_text,
            taken: 0,
            rows: 0,
            row_width,
            variable: 0,
        }
    }

    /// Whether a row of `length` bytes still fits into the batch. The first always does.
    #[inline]
    pub fn has_room(&self, length: usize) -> bool {
        if self.rows == 0 {
            return true;
        }
        let after = self.rows.saturating_add(1);
        after <= self.limits.rows
            && self
                .row_width
                .saturating_mul(after)
                .saturating_add(self.variable)
                .saturating_add(length)
                <= self.limits.bytes
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes in one row.
    ///
    /// # Errors
    /// `value` when a value does not fit its column, `protocol` when the row is malformed.
    #[inline]
    pub fn row(&mut self, row: &[u8]) -> Result<()> {
        let Some((&[n1, n0], mut rest)) = row.split_first_chunk::<2>() else {
            return Err(malformed("a row without a number of columns"));
        };
        if usize::from(u16::from_be_bytes([n1, n0])) != self.columns.len() {
            return Err(malformed(
                "a row with another number of columns than announced",
            ));
        }
        let mut variable: usize = 0;
        for (at, column) in self.columns.iter_mut().enumerate() {
            let Some((length, tail)) = rest.split_first_chunk::<4>() else {
                return Err(malformed("a row that ends early"));
            };
            let length = i32::from_be_bytes(*length);
            if length < 0 {
                if length != -1 {
                    return Err(malformed("a value of negative length"));
                }
                column.builder.push_null();
                rest = tail;
                continue;
            }
            let Some((value, tail)) = tail.split_at_checked(length.unsigned_abs() as usize) else {
                return Err(malformed("a value longer than its row"));
            };
            rest = tail;
            if let Err(misfit) = push(column.kind, &mut column.builder, value) {
                return Err(self.misfit(at, misfit, value));
            }
            variable = variable.saturating_add(value.len());
        }
        if !rest.is_empty() {
            return Err(malformed("a row with bytes behind its last column"));
        }
        self.rows = self.rows.saturating_add(1);
        self.variable = self.variable.saturating_add(variable);
        Ok(())
    }

    /// The rows gathered, as a message for the host. The decoder is then empty.
    ///
    /// # Errors
    /// `value` when text is not UTF-8.
    pub fn take(&mut self) -> Result<Vec<u8>> {
        if self.check_text {
            for column in self.columns.iter().filter(|column| column.kind.is_text()) {
                if let Some(row) = column.builder.invalid_text() {
                    return Err(self.invalid_text(&column.name, row));
                }
            }
        }
        let message =
            ipc::batch_message(self.columns.iter().map(|column| &column.builder), self.rows);
        for column in &mut self.columns {
            column.builder.clear();
        }
        self.taken = self.taken.saturating_add(self.rows as u64);
        self.rows = 0;
        self.variable = 0;
        Ok(message)
    }

    /// What becomes of a value that cannot be carried.
    #[cold]
    fn misfit(&self, column: usize, misfit: Misfit, bytes: &[u8]) -> Error {
        let Some(column) = self.columns.get(column) else {
            return Error::internal("a value of a column that does not exist");
        };
        let name = column.name.as_str();
        let value = match misfit {
            Misfit::Malformed => {
                return Error::from(Violation::new(format!(
                    "a value of the column \"{name}\" is not in the format of its type"
                )));
            }
            Misfit::Value(value) => value.to_owned(),
            Misfit::OutOfRange => show(column.kind, bytes),
        };
        self.value_error(
            name,
            self.rows,
            &value,
            &format!("the column \"{name}\" holds {value}, which its Arrow type cannot carry"),
        )
        .with_hint(format!(
            "leave the row out or convert the value in a query, for example with CASE or with {}::text",
            crate::dialect::quote(name)
        ))
    }

    #[cold]
    fn invalid_text(&self, name: &str, row: usize) -> Error {
        self.value_error(
            name,
            row,
            "bytes that are not UTF-8",
            &format!("the column \"{name}\" holds text that is not UTF-8"),
        )
        .with_hint("the database has no encoding of its own (SQL_ASCII): convert the text in a query with convert_from(...)")
    }

    fn value_error(&self, column: &str, row: usize, value: &str, message: &str) -> Error {
        let row = self.taken.saturating_add(row as u64).saturating_add(1);
        Error::new(ErrorKind::Value, format!("{message} (row {row})"))
            .with_attribute("column", column)
            .with_attribute("row", row.to_string())
            .with_attribute("value", value)
    }
}

/// A value that is out of range, as the server would write it.
fn show(kind: Kind, bytes: &[u8]) -> String {
    let cell = match (kind, bytes) {
        (Kind::Date, bytes) => bytes.try_into().map(i32::from_be_bytes).map(Cell::Date),
        (Kind::Timestamp, bytes) => bytes
            .try_into()
            .map(i64::from_be_bytes)
            .map(Cell::Timestamp),
        (Kind::Interval, bytes) => bytes.try_into().map(u128::from_be_bytes).map(|value| {
            let (micros, days, months) = interval_parts(value);
            Cell::Interval {
                months,
                days,
                micros,
            }
        }),
        _ => return "a number of more digits than its type has".into(),
    };
    let mut out = BytesMut::new();
    if let Ok(cell) = cell {
        encode::text(cell, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cold]
fn malformed(what: &str) -> Error {
    Violation::new(what).into()
}

#[inline(always)]
fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], Misfit> {
    value.try_into().map_err(|_| Misfit::Malformed)
}

/// Appends bytes in the server's order as a value in Arrow's.
#[inline(always)]
fn swapped<const N: usize>(builder: &mut ColumnBuilder, value: &[u8]) -> Result<(), Misfit> {
    let mut value = exact::<N>(value)?;
    value.reverse();
    builder.push_fixed(value);
    Ok(())
}

#[inline(always)]
fn push(kind: Kind, builder: &mut ColumnBuilder, value: &[u8]) -> Result<(), Misfit> {
    match kind {
        Kind::Int2 => swapped::<2>(builder, value)?,
        Kind::Int4 | Kind::Oid | Kind::Float4 => swapped::<4>(builder, value)?,
        Kind::Int8 | Kind::Float8 => swapped::<8>(builder, value)?,
        Kind::Decimal128 { precision, scale } => {
            let value = numeric::to_i128(value, precision, scale)?;
            builder.push_fixed(value.to_le_bytes());
        }
        Kind::Text | Kind::Bytea | Kind::Output => builder.push_bytes(value),
        Kind::Date => {
            let value = match i32::from_be_bytes(exact(value)?) {
                i32::MAX => return Err(Misfit::Value("infinity")),
                i32::MIN => return Err(Misfit::Value("-infinity")),
                value => value.checked_add(EPOCH_DAYS).ok_or(Misfit::OutOfRange)?,
            };
            builder.push_fixed(value.to_le_bytes());
        }
        Kind::Timestamp => {
            let value = match i64::from_be_bytes(exact(value)?) {
                i64::MAX => return Err(Misfit::Value("infinity")),
                i64::MIN => return Err(Misfit::Value("-infinity")),
                value => value.checked_add(EPOCH_MICROS).ok_or(Misfit::OutOfRange)?,
            };
            builder.push_fixed(value.to_le_bytes());
        }
        Kind::Bool => match value {
            [value] => builder.push_bit(*value != 0),
            _ => return Err(Misfit::Malformed),
        },
        Kind::Time => {
            let value = i64::from_be_bytes(exact(value)?);
            match value {
                0..DAY_MICROS => builder.push_fixed(value.to_le_bytes()),
                DAY_MICROS => return Err(Misfit::Value("24:00:00")),
                _ => return Err(Misfit::Malformed),
            }
        }
        Kind::Uuid => builder.push_fixed(exact::<16>(value)?),
        Kind::Jsonb => match value.split_first() {
            Some((1, json)) => builder.push_bytes(json),
            _ => return Err(Misfit::Malformed),
        },
        Kind::Interval => {
            let value = interval(value)?;
            builder.push_fixed(value);
        }
        Kind::Decimal256 { precision, scale } => {
            let value = numeric::to_i256(value, precision, scale)?;
            builder.push_fixed(value.to_le_bytes());
        }
    }
    Ok(())
}

/// Microseconds, days and months of an interval's sixteen bytes.
fn interval_parts(value: u128) -> (i64, i32, i32) {
    ((value >> 64) as i64, (value >> 32) as i32, value as i32)
}

/// Months, days and nanoseconds, from microseconds, days and months.
fn interval(value: &[u8]) -> Result<[u8; 16], Misfit> {
    let (micros, days, months) = interval_parts(u128::from_be_bytes(exact(value)?));
    // PostgreSQL 17 has infinite intervals: all three at their limit.
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return Err(Misfit::Value("infinity")),
        (i64::MIN, i32::MIN, i32::MIN) => return Err(Misfit::Value("-infinity")),
        _ => {}
    }
    let nanos = micros.checked_mul(1000).ok_or(Misfit::OutOfRange)?;
    let mut out = [0; 16];
    let (head, tail) = out.split_at_mut(8);
    let (first, second) = head.split_at_mut(4);
    first.copy_from_slice(&months.to_le_bytes());
    second.copy_from_slice(&days.to_le_bytes());
    tail.copy_from_slice(&nanos.to_le_bytes());
    Ok(out)
}
