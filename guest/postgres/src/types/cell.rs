//! Single values on their way from Arrow to PostgreSQL, with every check of range and precision.
//!
//! A value becomes a [`Cell`] of the target column's type only if the column holds it exactly:
//! where PostgreSQL would round, cut off or wrap, it is a [`Misfit`].

use arrow_buffer::i256;
use arrow_schema::TimeUnit;

use super::target::{Finest, Target};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Microseconds in a day.
const DAY_MICROS: i64 = 86_400_000_000;
/// The largest integer up to which every integer is a double.
const EXACT_DOUBLE: i64 = 1 << 53;
/// The largest integer up to which every integer is a float.
const EXACT_FLOAT: i64 = 1 << 24;

/// A value as PostgreSQL has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `smallint`.
    Int2(i16),
    /// `integer`.
    Int4(i32),
    /// `bigint`.
    Int8(i64),
    /// `oid`.
    Oid(u32),
    /// `real`.
    Float4(f32),
    /// `double precision`.
    Float8(f64),
    /// `numeric`: an integer and how many of its digits are behind the point.
    Decimal(i128, i8),
    /// `numeric` of more than 38 digits.
    WideDecimal(i256, i8),
    /// Any text.
    Text(&'a str),
    /// `jsonb`, as text.
    Jsonb(&'a str),
    /// `bytea`.
    Bytes(&'a [u8]),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `date`: days since 2000-01-01.
    Date(i32),
    /// `time`: microseconds since midnight.
    Time(i64),
    /// `timestamp`: microseconds since 2000-01-01.
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000-01-01 UTC.
    TimestampTz(i64),
    /// `interval`.
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        micros: i64,
    },
}

/// Why a value cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What is wrong with it, to follow the value in a sentence.
    pub reason: &'static str,
    /// The value, as a person would write it; cut off if long.
    pub value: String,
}

pub(super) const OUT_OF_RANGE: &str = "is out of the column's range";
const TOO_PRECISE: &str = "has more decimal places than the column keeps";

pub(super) fn misfit(reason: &'static str, value: impl std::fmt::Display) -> Misfit {
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(100) {
        value.truncate(end);
        value.push('…');
    }
    Misfit { reason, value }
}

#[inline]
pub(super) fn integer<'a>(value: i64, target: &Target) -> Result<Cell<'a>, Misfit> {
    let out_of_range = |_| misfit(OUT_OF_RANGE, value);
    Ok(match *target {
        Target::Int2 => Cell::Int2(value.try_into().map_err(out_of_range)?),
        Target::Int4 => Cell::Int4(value.try_into().map_err(out_of_range)?),
        Target::Oid => Cell::Oid(value.try_into().map_err(out_of_range)?),
        Target::Numeric { scale } => return decimal(Cell::Decimal(value.into(), 0), scale),
        Target::Float8 if value.unsigned_abs() > EXACT_DOUBLE.unsigned_abs() => {
            return Err(misfit(
                "is an integer that double precision cannot carry exactly",
                value,
            ));
        }
        Target::Float8 => Cell::Float8(value as f64),
        Target::Float4 if value.unsigned_abs() > EXACT_FLOAT.unsigned_abs() => {
            return Err(misfit(
                "is an integer that real cannot carry exactly",
                value,
            ));
        }
        Target::Float4 => Cell::Float4(value as f32),
        _ => Cell::Int8(value),
    })
}

/// Makes sure that the column keeps all decimal places; PostgreSQL would round.
#[inline]
pub(super) fn decimal(cell: Cell<'_>, kept: Option<i32>) -> Result<Cell<'_>, Misfit> {
    let (unscaled, scale) = match cell {
        Cell::Decimal(_, scale) if kept.is_none_or(|kept| i32::from(scale) <= kept) => {
            return Ok(cell);
        }
        Cell::Decimal(unscaled, scale) => (i256::from_i128(unscaled), scale),
        Cell::WideDecimal(unscaled, scale) => (unscaled, scale),
        _ => return Ok(cell),
    };
    let places = i32::from(scale)
        .saturating_sub(kept.unwrap_or(i32::MAX))
        .max(0);
    if super::numeric::can_lose_places(unscaled, places.unsigned_abs()) {
        return Ok(cell);
    }
    Err(misfit(
        TOO_PRECISE,
        super::encode::decimal_text(&unscaled.to_string(), scale),
    ))
}

#[inline]
pub(super) fn date<'a>(days: i64) -> Result<Cell<'a>, Misfit> {
    match i32::try_from(days.saturating_sub(EPOCH_DAYS)) {
        // The limits mean infinity.
        Ok(days) if days != i32::MAX && days != i32::MIN => Ok(Cell::Date(days)),
        _ => Err(misfit("days since 1970 is out of the range of date", days)),
    }
}

pub(super) fn micros(value: i64, unit: TimeUnit) -> Result<i64, Misfit> {
    match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => {
            if value % 1000 != 0 {
                return Err(misfit(
                    "nanoseconds is not a whole number of microseconds",
                    value,
                ));
            }
            Some(value / 1000)
        }
    }
    .ok_or_else(|| misfit(OUT_OF_RANGE, value))
}

/// Makes sure that a column with fewer than six decimal places keeps them all.
pub(super) fn grained(micros: i64, grain: i64) -> Result<i64, Misfit> {
    match micros.checked_rem(grain) {
        Some(0) => Ok(micros),
        _ => Err(misfit(
            "microseconds has more decimal places than the column keeps",
            micros,
        )),
    }
}

/// Makes sure that the column keeps all parts of an interval; PostgreSQL would cut them off.
pub(super) fn interval<'a>(
    months: i32,
    days: i32,
    micros: i64,
    target: &Target,
) -> Result<Cell<'a>, Misfit> {
    let kept = match *target {
        Target::Interval { finest } => match finest {
            Finest::Years => months % 12 == 0 && days == 0 && micros == 0,
            Finest::Months => days == 0 && micros == 0,
            Finest::Days => micros == 0,
            Finest::Time(grain) => micros.checked_rem(grain) == Some(0),
        },
        _ => true,
    };
    if !kept {
        return Err(misfit(
            "is finer than the column keeps",
            format_args!("{months} months {days} days {micros} microseconds"),
        ));
    }
    Ok(Cell::Interval {
        months,
        days,
        micros,
    })
}

pub(super) fn time<'a>(value: i64, unit: TimeUnit, target: &Target) -> Result<Cell<'a>, Misfit> {
    let micros = grained(micros(value, unit)?, target.grain())?;
    if !(0..=DAY_MICROS).contains(&micros) {
        return Err(misfit("microseconds is not a time of day", micros));
    }
    Ok(Cell::Time(micros))
}

pub(super) fn timestamp<'a>(
    value: i64,
    unit: TimeUnit,
    target: &Target,
) -> Result<Cell<'a>, Misfit> {
    let micros = grained(micros(value, unit)?, target.grain())?;
    let since_2000 = micros
        .checked_sub(EPOCH_MICROS)
        // The limits mean infinity.
        .filter(|micros| *micros != i64::MIN && *micros != i64::MAX)
        .ok_or_else(|| {
            misfit(
                "microseconds since 1970 is out of the range of timestamp",
                micros,
            )
        })?;
    Ok(match *target {
        Target::Timestamp { zone: true, .. } => Cell::TimestampTz(since_2000),
        _ => Cell::Timestamp(since_2000),
    })
}
