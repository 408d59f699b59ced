//! Rows into columns.
//!
//! A row has the same layout in a `DataRow` of a query and in a tuple of a binary `COPY`: the
//! number of columns (16 bits), then for each its length (32 bits; -1 for null) and its bytes.
//! One decoder serves both. It is the path every cell takes, so it allocates nothing per cell
//! and decides only once per cell what to do. Values with parts are [`super::nested`]'s.
//!
//! # What does not fit
//!
//! NaN of `numeric`, infinite dates and timestamps, `24:00:00`, and whatever else the Arrow
//! type cannot hold is never changed silently. All of it comes out of [`push`] as a
//! [`Misfit`], and what becomes of it is the caller's choice: the read fails, or the value
//! becomes null and is entered in the [`Ledger`]. (The third choice, text, was made when the
//! column was mapped.)
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{Loss, OnLoss};
use dagflux_guest::{BatchLimits, ColumnBuilder, Error, Result, ipc};

use super::ledger::Ledger;
use super::mapping::Kind;
use super::numeric::{self, Misfit as NumericMisfit};
use super::{nested, show, told};
use crate::protocol::Violation;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Microseconds in a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// How many rows a column has room for to begin with.
const INITIAL_ROWS: usize = 1024;

/// A column to be decoded.
#[derive(Debug, Clone)]
pub struct Source {
    /// How its values arrive.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What becomes of values that do not fit.
    pub choice: OnLoss,
}

/// A column being decoded.
#[derive(Debug)]
struct Column {
    source: Source,
    /// Whether a value takes more than one step.
    involved: bool,
    /// Whether only the buffers tell how many bytes the values take.
    measured: bool,
    builder: ColumnBuilder,
}

/// Why a value cannot be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It has no counterpart in the Arrow type: what it is instead.
    Value(&'static str),
    /// It is outside the range of the Arrow type.
    OutOfRange,
    /// It is an array of so many dimensions, and the column was declared with another number.
    Dimensions(usize),
    /// It is an array that does not begin at 1.
    Bounds,
    /// It is not text.
    NotText,
    /// It would take more room than a batch can have.
    TooLarge,
    /// The bytes are not in the format of the type.
    Malformed,
}

impl Misfit {
    /// The reason, in a word or two.
    pub fn reason(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Misfit::Value(value) => value,
            Misfit::OutOfRange => "out of range",
            Misfit::Dimensions(1) => "1 dimension",
            Misfit::Dimensions(dimensions) => {
                return Cow::Owned(format!("{dimensions} dimensions"));
            }
            Misfit::Bounds => "other lower bound than 1",
            Misfit::NotText => "not UTF-8",
            Misfit::TooLarge => "too large",
            Misfit::Malformed => "malformed",
        })
    }
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

/// A value that cannot be carried, and as the server would write it.
#[derive(Debug)]
pub struct Unfit {
    /// Why.
    pub misfit: Misfit,
    /// The value.
    pub value: String,
}

/// Where misfits of one column and row are dealt with.
pub struct Account<'a> {
    /// What the caller chose.
    pub choice: OnLoss,
    /// Whether text is known to be UTF-8.
    pub checked: bool,
    column: usize,
    row: u64,
    ledger: &'a mut Ledger,
}

impl Account<'_> {
    /// Deals with a value that does not fit: enters it, and makes it null, if that was chosen.
    ///
    /// # Errors
    /// The value itself, if it has to fail the read.
    #[cold]
    pub fn settle(
        &mut self,
        kind: &Kind,
        builder: &mut ColumnBuilder,
        misfit: Misfit,
        bytes: &[u8],
    ) -> Result<(), Unfit> {
        let value = show::value(kind, bytes);
        let hopeless = matches!(misfit, Misfit::Malformed | Misfit::TooLarge);
        if self.choice != OnLoss::Null || hopeless {
            return Err(Unfit { misfit, value });
        }
        builder.push_null();
        self.enter(misfit, OnLoss::Null, || value);
        Ok(())
    }

    /// Enters a value in the ledger.
    pub fn enter(&mut self, misfit: Misfit, became: OnLoss, example: impl FnOnce() -> String) {
        self.ledger
            .enter(self.column, misfit.reason(), became, self.row, example);
    }
}

/// Gathers rows until they make a batch.
#[derive(Debug)]
pub struct RowDecoder {
    columns: Vec<Column>,
    limits: BatchLimits,
    /// Whether text is known to be UTF-8: a database without an encoding sends any bytes.
    checked: bool,
    ledger: Ledger,
    /// Rows of the batches already taken.
    taken: u64,
    rows: usize,
    /// The bytes a row takes before those of variable values.
    row_width: usize,
    /// The bytes of variable values so far.
    variable: usize,
    /// The bytes of columns whose values take other room than they arrive in, so far.
    measured: usize,
}

impl RowDecoder {
    /// A decoder for rows of the given columns.
    pub fn new(
        sources: impl IntoIterator<Item = Source>,
        limits: BatchLimits,
        checked: bool,
    ) -> Self {
        // Most results are small; the buffers of a large one grow once and are kept.
        let rows = limits.rows.min(INITIAL_ROWS);
        let columns: Vec<_> = sources
            .into_iter()
            .map(|source| Column {
                builder: source.kind.builder(rows),
                involved: source.kind.is_nested() || matches!(source.kind, Kind::Told(_)),
                measured: source.kind.is_nested()
                    || matches!(source.kind, Kind::Numeric | Kind::Told(_)),
                source,
            })
            .collect();
        let row_width = columns
            .iter()
            // One byte for the bitmaps of a column is more than they take.
            .map(|column| column.builder.layout().row_width().saturating_add(1))
            .sum::<usize>()
            .max(1);
        Self {
            columns,
            limits,
            checked,
            ledger: Ledger::default(),
            taken: 0,
            rows: 0,
            row_width,
            variable: 0,
            measured: 0,
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
                .saturating_add(self.measured)
                .saturating_add(length)
                <= self.limits.bytes
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What was not carried as it is, so far.
    pub fn losses(&self) -> Vec<Loss> {
        self.ledger.losses(|column| {
            self.columns
                .get(column)
                .map_or("", |column| column.source.name.as_str())
        })
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
        let number = self
            .taken
            .saturating_add(self.rows as u64)
            .saturating_add(1);
        let mut variable: usize = 0;
        let mut measured: usize = 0;
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
            } else {
                let Some((value, tail)) = tail.split_at_checked(length.unsigned_abs() as usize)
                else {
                    return Err(malformed("a value longer than its row"));
                };
                rest = tail;
                let kind = &column.source.kind;
                let fits = match column.involved {
                    false => push(kind, &mut column.builder, value, self.checked),
                    true => Err(Misfit::Malformed),
                };
                if let Err(misfit) = fits {
                    let account = Account {
                        choice: column.source.choice,
                        checked: self.checked,
                        column: at,
                        row: number,
                        ledger: &mut self.ledger,
                    };
                    column.take_in(value, misfit, account)?;
                }
                if !column.measured {
                    variable = variable.saturating_add(value.len());
                }
            }
            if column.measured {
                measured = measured.saturating_add(column.builder.buffer_bytes());
                // Each column may take little more than its share, and there can be many.
                if measured.saturating_sub(self.measured) > nested::MOST_BYTES {
                    return Err(too_large(number));
                }
            }
        }
        if !rest.is_empty() {
            return Err(malformed("a row with bytes behind its last column"));
        }
        self.rows = self.rows.saturating_add(1);
        self.variable = self.variable.saturating_add(variable);
        self.measured = measured;
        Ok(())
    }

    /// The rows gathered, as a message for the host. The decoder is then empty.
    pub fn take(&mut self) -> Vec<u8> {
        let message =
            ipc::batch_message(self.columns.iter().map(|column| &column.builder), self.rows);
        for column in &mut self.columns {
            column.builder.clear();
        }
        self.taken = self.taken.saturating_add(self.rows as u64);
        self.rows = 0;
        self.variable = 0;
        self.measured = 0;
        message
    }
}

impl Column {
    /// Takes in a value that needs more than one step, or that does not fit for the reason
    /// given.
    fn take_in(&mut self, value: &[u8], misfit: Misfit, mut account: Account<'_>) -> Result<()> {
        let row = account.row;
        let Source { kind, .. } = &self.source;
        let taken = match kind {
            Kind::Told(natural) => told::push(natural, &mut self.builder, value, &mut account),
            kind if self.involved => nested::push(kind, &mut self.builder, value, &mut account),
            kind => account.settle(kind, &mut self.builder, misfit, value),
        };
        taken.map_err(|unfit| self.source.error(&unfit, row))
    }
}

impl Source {
    /// The failure that a value is.
    #[cold]
    fn error(&self, unfit: &Unfit, row: u64) -> Error {
        let name = self.name.as_str();
        let value = unfit.value.as_str();
        let (what, hint) = match unfit.misfit {
            Misfit::Malformed => {
                return Error::from(Violation::new(format!(
                    "a value of the column \"{name}\" is not in the format of its type"
                )));
            }
            Misfit::TooLarge => (
                format!("{value}, which is too large to be handed over"),
                "leave the column out, or take parts of it in a query".to_owned(),
            ),
            Misfit::NotText => (
                "text that is not UTF-8".to_owned(),
                "choose null or text for such values, or convert them in a query, for example with convert_from(...): the database does not check text (SQL_ASCII), or the type is \"char\"".to_owned(),
            ),
            misfit => (
                match misfit {
                    Misfit::Dimensions(_) | Misfit::Bounds => {
                        format!("{value} ({}), which its Arrow type cannot carry", misfit.reason())
                    }
                    _ => format!("{value}, which its Arrow type cannot carry"),
                },
                format!(
                    "choose what becomes of such values, null or text, for this read; or convert them in a query, for example with {}::text",
                    crate::dialect::quote(name)
                ),
            ),
        };
        Error::new(
            ErrorKind::Value,
            format!("the column \"{name}\" holds {what} (row {row})"),
        )
        .with_hint(hint)
        .with_attribute("column", name)
        .with_attribute("row", row.to_string())
        .with_attribute("value", value)
    }
}

/// Of a row, as a whole.
#[cold]
fn too_large(row: u64) -> Error {
    let most = nested::MOST_BYTES / (1024 * 1024);
    let message =
        format!("row {row} takes more than {most} MiB, which is too large to be handed over");
    Error::new(ErrorKind::Value, message)
        .with_hint("leave columns out, or take parts of them in a query")
        .with_attribute("row", row.to_string())
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
fn text(builder: &mut ColumnBuilder, value: &[u8], checked: bool) -> Result<(), Misfit> {
    if !checked && std::str::from_utf8(value).is_err() {
        return Err(Misfit::NotText);
    }
    builder.push_bytes(value);
    Ok(())
}

/// Appends a value without parts. After a misfit nothing was appended.
///
/// # Errors
/// When it does not fit, or is not in the format of its type.
#[inline(always)]
pub fn push(
    kind: &Kind,
    builder: &mut ColumnBuilder,
    value: &[u8],
    checked: bool,
) -> Result<(), Misfit> {
    match kind {
        Kind::Int2 => swapped::<2>(builder, value)?,
        Kind::Int4 | Kind::Oid | Kind::Float4 => swapped::<4>(builder, value)?,
        Kind::Int8 | Kind::Float8 => swapped::<8>(builder, value)?,
        Kind::Decimal128 { precision, scale } => {
            let value = numeric::to_i128(value, *precision, *scale)?;
            builder.push_fixed(value.to_le_bytes());
        }
        Kind::Text | Kind::Output => text(builder, value, checked)?,
        Kind::Char => text(builder, value, false)?,
        Kind::Bytea => builder.push_bytes(value),
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
            Some((1, json)) => text(builder, json, checked)?,
            _ => return Err(Misfit::Malformed),
        },
        Kind::Interval => {
            let value = interval(value)?;
            builder.push_fixed(value);
        }
        Kind::Decimal256 { precision, scale } => {
            let value = numeric::to_i256(value, *precision, *scale)?;
            builder.push_fixed(value.to_le_bytes());
        }
        Kind::Numeric => {
            let mut text = Vec::with_capacity(64);
            numeric::to_text(value, &mut text)?;
            builder.push_bytes(&text);
        }
        Kind::List { .. }
        | Kind::Struct(_)
        | Kind::Hstore
        | Kind::Vector { .. }
        | Kind::TextList { .. }
        | Kind::Told(_) => return Err(Misfit::Malformed),
    }
    Ok(())
}

/// Microseconds, days and months of an interval's sixteen bytes.
pub fn interval_parts(value: u128) -> (i64, i32, i32) {
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
