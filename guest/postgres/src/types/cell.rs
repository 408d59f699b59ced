//! Single values on their way from Arrow to PostgreSQL.
//!
//! An Arrow column is taken apart once per batch ([`Source`]), its values become [`Cell`]s of
//! the target column's type one by one, with every check of range and precision, and a cell
//! writes itself in either format of `COPY` ([`super::encode`]).

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, BooleanArray};
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, NullBuffer, i256};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};

use super::target::{Finest, Target};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Milliseconds in a day.
const DAY_MILLIS: i64 = 86_400_000;
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

/// A batch's column, taken apart.
pub struct Source<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a [i256], i8),
    Text(TextValues<'a>),
    Bytes(BytesValues<'a>),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit),
    Months(&'a [i32]),
    DayTime(&'a [IntervalDayTime]),
    MonthDayNano(&'a [IntervalMonthDayNano]),
    Duration(&'a [i64], TimeUnit),
}

enum TextValues<'a> {
    Small(&'a arrow_array::StringArray),
    Large(&'a arrow_array::LargeStringArray),
    View(&'a arrow_array::StringViewArray),
}

enum BytesValues<'a> {
    Small(&'a arrow_array::BinaryArray),
    Large(&'a arrow_array::LargeBinaryArray),
    View(&'a arrow_array::BinaryViewArray),
    Fixed(&'a arrow_array::FixedSizeBinaryArray),
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&[T::Native]> {
    Some(array.as_primitive_opt::<T>()?.values())
}

impl<'a> Source<'a> {
    /// Takes a column apart; none if it is of a type that cannot be written.
    pub fn new(array: &'a dyn Array) -> Option<Self> {
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean_opt()?),
            DataType::Int8 => Values::Int8(primitive::<Int8Type>(array)?),
            DataType::Int16 => Values::Int16(primitive::<Int16Type>(array)?),
            DataType::Int32 => Values::Int32(primitive::<Int32Type>(array)?),
            DataType::Int64 => Values::Int64(primitive::<Int64Type>(array)?),
            DataType::UInt8 => Values::UInt8(primitive::<UInt8Type>(array)?),
            DataType::UInt16 => Values::UInt16(primitive::<UInt16Type>(array)?),
            DataType::UInt32 => Values::UInt32(primitive::<UInt32Type>(array)?),
            DataType::UInt64 => Values::UInt64(primitive::<UInt64Type>(array)?),
            DataType::Float32 => Values::Float32(primitive::<Float32Type>(array)?),
            DataType::Float64 => Values::Float64(primitive::<Float64Type>(array)?),
            DataType::Decimal128(_, scale) => {
                Values::Decimal128(primitive::<Decimal128Type>(array)?, *scale)
            }
            DataType::Decimal256(_, scale) => {
                Values::Decimal256(primitive::<Decimal256Type>(array)?, *scale)
            }
            DataType::Utf8 => Values::Text(TextValues::Small(array.as_string_opt()?)),
            DataType::LargeUtf8 => Values::Text(TextValues::Large(array.as_string_opt()?)),
            DataType::Utf8View => Values::Text(TextValues::View(array.as_string_view_opt()?)),
            DataType::Binary => Values::Bytes(BytesValues::Small(array.as_binary_opt()?)),
            DataType::LargeBinary => Values::Bytes(BytesValues::Large(array.as_binary_opt()?)),
            DataType::BinaryView => Values::Bytes(BytesValues::View(array.as_binary_view_opt()?)),
            DataType::FixedSizeBinary(_) => {
                Values::Bytes(BytesValues::Fixed(array.as_fixed_size_binary_opt()?))
            }
            DataType::Date32 => Values::Date32(primitive::<Date32Type>(array)?),
            DataType::Date64 => Values::Date64(primitive::<Date64Type>(array)?),
            DataType::Time32(unit) => Values::Time32(
                match unit {
                    TimeUnit::Second => primitive::<Time32SecondType>(array)?,
                    _ => primitive::<Time32MillisecondType>(array)?,
                },
                *unit,
            ),
            DataType::Time64(unit) => Values::Time64(
                match unit {
                    TimeUnit::Microsecond => primitive::<Time64MicrosecondType>(array)?,
                    _ => primitive::<Time64NanosecondType>(array)?,
                },
                *unit,
            ),
            DataType::Timestamp(unit, _) => Values::Timestamp(
                match unit {
                    TimeUnit::Second => primitive::<TimestampSecondType>(array)?,
                    TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(array)?,
                    TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(array)?,
                    TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(array)?,
                },
                *unit,
            ),
            DataType::Interval(IntervalUnit::YearMonth) => {
                Values::Months(primitive::<IntervalYearMonthType>(array)?)
            }
            DataType::Interval(IntervalUnit::DayTime) => {
                Values::DayTime(primitive::<IntervalDayTimeType>(array)?)
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Values::MonthDayNano(primitive::<IntervalMonthDayNanoType>(array)?)
            }
            DataType::Duration(unit) => Values::Duration(
                match unit {
                    TimeUnit::Second => primitive::<DurationSecondType>(array)?,
                    TimeUnit::Millisecond => primitive::<DurationMillisecondType>(array)?,
                    TimeUnit::Microsecond => primitive::<DurationMicrosecondType>(array)?,
                    TimeUnit::Nanosecond => primitive::<DurationNanosecondType>(array)?,
                },
                *unit,
            ),
            _ => return None,
        };
        Some(Self {
            nulls: array.nulls(),
            values,
        })
    }

    /// The value in `row` as one of the target's type.
    ///
    /// # Errors
    /// When the value does not fit exactly.
    #[inline]
    pub fn cell(&self, row: usize, target: Target) -> Result<Cell<'a>, Misfit> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(Cell::Null);
        }
        self.value(row, target)
            .unwrap_or_else(|| Err(misfit("does not fit the column's type", "this value")))
    }

    /// The value in `row`, which is not null. None if there is no such row.
    #[inline]
    fn value(&self, row: usize, target: Target) -> Option<Result<Cell<'a>, Misfit>> {
        Some(match &self.values {
            Values::Null => Ok(Cell::Null),
            Values::Bool(values) => Ok(Cell::Bool(values.value(row))),
            Values::Int8(values) => integer((*values.get(row)?).into(), target),
            Values::Int16(values) => integer((*values.get(row)?).into(), target),
            Values::Int32(values) => integer((*values.get(row)?).into(), target),
            Values::Int64(values) => integer(*values.get(row)?, target),
            Values::UInt8(values) => integer((*values.get(row)?).into(), target),
            Values::UInt16(values) => integer((*values.get(row)?).into(), target),
            Values::UInt32(values) => integer((*values.get(row)?).into(), target),
            Values::UInt64(values) => {
                let value = *values.get(row)?;
                match (i64::try_from(value), target) {
                    (Ok(value), target) => integer(value, target),
                    (Err(_), Target::Numeric { scale }) => {
                        decimal(Cell::Decimal(value.into(), 0), scale)
                    }
                    _ => Err(misfit(OUT_OF_RANGE, value)),
                }
            }
            Values::Float32(values) => {
                let value = *values.get(row)?;
                Ok(match target {
                    Target::Float4 => Cell::Float4(value),
                    _ => Cell::Float8(value.into()),
                })
            }
            Values::Float64(values) => {
                let value = *values.get(row)?;
                match target {
                    Target::Float4 => {
                        let narrow = value as f32;
                        if f64::from(narrow) == value || value.is_nan() {
                            Ok(Cell::Float4(narrow))
                        } else {
                            Err(misfit("is more precise than real can carry", value))
                        }
                    }
                    _ => Ok(Cell::Float8(value)),
                }
            }
            Values::Decimal128(values, scale) => {
                decimal(Cell::Decimal(*values.get(row)?, *scale), target.scale())
            }
            Values::Decimal256(values, scale) => {
                decimal(Cell::WideDecimal(*values.get(row)?, *scale), target.scale())
            }
            Values::Text(values) => {
                let text = match values {
                    TextValues::Small(values) => values.value(row),
                    TextValues::Large(values) => values.value(row),
                    TextValues::View(values) => values.value(row),
                };
                if text.as_bytes().contains(&0) {
                    return Some(Err(misfit(
                        "holds a NUL, which PostgreSQL's text cannot",
                        text.escape_debug(),
                    )));
                }
                Ok(match target {
                    Target::Jsonb => Cell::Jsonb(text),
                    _ => Cell::Text(text),
                })
            }
            Values::Bytes(values) => {
                let bytes = match values {
                    BytesValues::Small(values) => values.value(row),
                    BytesValues::Large(values) => values.value(row),
                    BytesValues::View(values) => values.value(row),
                    BytesValues::Fixed(values) => values.value(row),
                };
                match target {
                    Target::Uuid => match bytes.try_into() {
                        Ok(bytes) => Ok(Cell::Uuid(bytes)),
                        Err(_) => Err(misfit(
                            "is not the 16 bytes of a uuid",
                            bytes.escape_ascii(),
                        )),
                    },
                    _ => Ok(Cell::Bytes(bytes)),
                }
            }
            Values::Date32(values) => date(i64::from(*values.get(row)?)),
            Values::Date64(values) => {
                let millis = *values.get(row)?;
                match millis.checked_rem(DAY_MILLIS) {
                    Some(0) => date(millis / DAY_MILLIS),
                    _ => Err(misfit("milliseconds is not a whole day", millis)),
                }
            }
            Values::Time32(values, unit) => time((*values.get(row)?).into(), *unit, target),
            Values::Time64(values, unit) => time(*values.get(row)?, *unit, target),
            Values::Timestamp(values, unit) => timestamp(*values.get(row)?, *unit, target),
            Values::Months(values) => interval(*values.get(row)?, 0, 0, target),
            Values::DayTime(values) => {
                let value = values.get(row)?;
                micros(value.milliseconds.into(), TimeUnit::Millisecond)
                    .and_then(|micros| interval(0, value.days, micros, target))
            }
            Values::MonthDayNano(values) => {
                let value = values.get(row)?;
                micros(value.nanoseconds, TimeUnit::Nanosecond)
                    .and_then(|micros| interval(value.months, value.days, micros, target))
            }
            Values::Duration(values, unit) => {
                micros(*values.get(row)?, *unit).and_then(|micros| interval(0, 0, micros, target))
            }
        })
    }
}

const OUT_OF_RANGE: &str = "is out of the column's range";
const TOO_PRECISE: &str = "has more decimal places than the column keeps";

fn misfit(reason: &'static str, value: impl std::fmt::Display) -> Misfit {
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(100) {
        value.truncate(end);
        value.push('…');
    }
    Misfit { reason, value }
}

#[inline]
fn integer<'a>(value: i64, target: Target) -> Result<Cell<'a>, Misfit> {
    let out_of_range = |_| misfit(OUT_OF_RANGE, value);
    Ok(match target {
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
fn decimal(cell: Cell<'_>, kept: Option<i32>) -> Result<Cell<'_>, Misfit> {
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
fn date<'a>(days: i64) -> Result<Cell<'a>, Misfit> {
    match i32::try_from(days.saturating_sub(EPOCH_DAYS)) {
        // The limits mean infinity.
        Ok(days) if days != i32::MAX && days != i32::MIN => Ok(Cell::Date(days)),
        _ => Err(misfit("days since 1970 is out of the range of date", days)),
    }
}

fn micros(value: i64, unit: TimeUnit) -> Result<i64, Misfit> {
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
fn grained(micros: i64, grain: i64) -> Result<i64, Misfit> {
    match micros.checked_rem(grain) {
        Some(0) => Ok(micros),
        _ => Err(misfit(
            "microseconds has more decimal places than the column keeps",
            micros,
        )),
    }
}

/// Makes sure that the column keeps all parts of an interval; PostgreSQL would cut them off.
fn interval<'a>(months: i32, days: i32, micros: i64, target: Target) -> Result<Cell<'a>, Misfit> {
    let kept = match target {
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

fn time<'a>(value: i64, unit: TimeUnit, target: Target) -> Result<Cell<'a>, Misfit> {
    let micros = grained(micros(value, unit)?, target.grain())?;
    if !(0..=DAY_MICROS).contains(&micros) {
        return Err(misfit("microseconds is not a time of day", micros));
    }
    Ok(Cell::Time(micros))
}

fn timestamp<'a>(value: i64, unit: TimeUnit, target: Target) -> Result<Cell<'a>, Misfit> {
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
    Ok(match target {
        Target::Timestamp { zone: true, .. } => Cell::TimestampTz(since_2000),
        _ => Cell::Timestamp(since_2000),
    })
}
