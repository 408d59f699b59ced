//! A batch's columns, taken apart once, so that their values can be had one by one.

use std::ops::Range;

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

use super::cell::{self, Cell, Misfit};
use super::target::Target;
use crate::dialect::LONGEST_NAME;

/// Whether it is a byte as the server writes one that is no character: `\303`.
fn is_octal(text: &str) -> bool {
    let digits = text.strip_prefix('\\').unwrap_or_default();
    digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit))
}

/// Milliseconds in a day.
const DAY_MILLIS: i64 = 86_400_000;

/// A batch's column, taken apart.
pub struct Source<'a> {
    pub(super) nulls: Option<&'a NullBuffer>,
    pub(super) values: Values<'a>,
}

/// The values of a column, as they lie in memory.
pub(super) enum Values<'a> {
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
    /// With whether they are points in time, not readings of a clock.
    Timestamp(&'a [i64], TimeUnit, bool),
    Months(&'a [i32]),
    DayTime(&'a [IntervalDayTime]),
    MonthDayNano(&'a [IntervalMonthDayNano]),
    Duration(&'a [i64], TimeUnit),
    Float16(&'a arrow_array::Float16Array),
    List(Offsets<'a>, Box<Source<'a>>),
    Struct(Vec<(&'a str, Source<'a>)>),
    Map(Offsets<'a>, Box<(Source<'a>, Source<'a>)>),
}

impl Values<'_> {
    /// Whether a value is made of others.
    pub(super) fn has_parts(&self) -> bool {
        matches!(self, Values::List(..) | Values::Struct(_) | Values::Map(..))
    }
}

/// Where the elements of a list lie among those of all lists.
#[derive(Clone, Copy)]
pub(super) enum Offsets<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
    /// So many each.
    Fixed(usize),
}

impl Offsets<'_> {
    /// The elements of the list in `row`; none if there is no such row.
    pub(super) fn range(&self, row: usize) -> Option<Range<usize>> {
        let after = row.checked_add(1)?;
        match self {
            Offsets::Small(ends) => Some(
                usize::try_from(*ends.get(row)?).ok()?..usize::try_from(*ends.get(after)?).ok()?,
            ),
            Offsets::Large(ends) => Some(
                usize::try_from(*ends.get(row)?).ok()?..usize::try_from(*ends.get(after)?).ok()?,
            ),
            Offsets::Fixed(length) => Some(row.checked_mul(*length)?..after.checked_mul(*length)?),
        }
    }
}

pub(super) enum TextValues<'a> {
    Small(&'a arrow_array::StringArray),
    Large(&'a arrow_array::LargeStringArray),
    View(&'a arrow_array::StringViewArray),
}

pub(super) enum BytesValues<'a> {
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
            DataType::Timestamp(unit, zone) => Values::Timestamp(
                match unit {
                    TimeUnit::Second => primitive::<TimestampSecondType>(array)?,
                    TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(array)?,
                    TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(array)?,
                    TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(array)?,
                },
                *unit,
                zone.is_some(),
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
            DataType::Float16 => {
                Values::Float16(array.as_any().downcast_ref::<arrow_array::Float16Array>()?)
            }
            DataType::List(_) => {
                let list = array.as_list_opt::<i32>()?;
                let elements = Source::new(list.values().as_ref())?;
                Values::List(Offsets::Small(list.value_offsets()), Box::new(elements))
            }
            DataType::LargeList(_) => {
                let list = array.as_list_opt::<i64>()?;
                let elements = Source::new(list.values().as_ref())?;
                Values::List(Offsets::Large(list.value_offsets()), Box::new(elements))
            }
            DataType::FixedSizeList(_, length) => {
                let list = array.as_fixed_size_list_opt()?;
                let elements = Source::new(list.values().as_ref())?;
                let length = usize::try_from(*length).ok()?;
                Values::List(Offsets::Fixed(length), Box::new(elements))
            }
            DataType::Struct(fields) => {
                let parts = array.as_struct_opt()?;
                let sources: Option<Vec<_>> = (fields.iter().zip(parts.columns()))
                    .map(|(field, part)| Some((field.name().as_str(), Source::new(part.as_ref())?)))
                    .collect();
                Values::Struct(sources?)
            }
            DataType::Map(..) => {
                let map = array.as_map_opt()?;
                let keys = Source::new(map.keys().as_ref())?;
                let values = Source::new(map.values().as_ref())?;
                Values::Map(
                    Offsets::Small(map.value_offsets()),
                    Box::new((keys, values)),
                )
            }
            _ => return None,
        };
        Some(Self {
            nulls: array.nulls(),
            values,
        })
    }

    /// Whether the values are text, or lists of text in the end.
    pub(super) fn is_text(&self) -> bool {
        match &self.values {
            Values::List(_, elements) => elements.is_text(),
            values => matches!(values, Values::Text(_)),
        }
    }

    /// Whether the value in `row` is null, or there is no such row.
    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.values, Values::Null)
            || self
                .nulls
                .is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row))
    }

    /// The value in `row`, which has no parts, as one of the target's type.
    ///
    /// # Errors
    /// When the value does not fit exactly.
    #[inline]
    pub fn cell(&self, row: usize, target: &Target) -> Result<Cell<'a>, Misfit> {
        if self
            .nulls
            .is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row))
        {
            return Ok(Cell::Null);
        }
        self.value(row, target)
            .unwrap_or_else(|| Err(cell::misfit("does not fit the column's type", "this value")))
    }

    /// The value in `row`, which is not null. None if there is no such row.
    #[inline]
    fn value(&self, row: usize, target: &Target) -> Option<Result<Cell<'a>, Misfit>> {
        Some(match &self.values {
            Values::Null => Ok(Cell::Null),
            Values::Bool(values) => Ok(Cell::Bool(values.value(row))),
            Values::Int8(values) => cell::integer((*values.get(row)?).into(), target),
            Values::Int16(values) => cell::integer((*values.get(row)?).into(), target),
            Values::Int32(values) => cell::integer((*values.get(row)?).into(), target),
            Values::Int64(values) => cell::integer(*values.get(row)?, target),
            Values::UInt8(values) => cell::integer((*values.get(row)?).into(), target),
            Values::UInt16(values) => cell::integer((*values.get(row)?).into(), target),
            Values::UInt32(values) => cell::integer((*values.get(row)?).into(), target),
            Values::UInt64(values) => {
                let value = *values.get(row)?;
                match (i64::try_from(value), target) {
                    (Ok(value), target) => cell::integer(value, target),
                    (Err(_), Target::Numeric { .. } | Target::Other) => {
                        cell::decimal(Cell::Decimal(value.into(), 0), target.scale())
                    }
                    _ => Err(cell::misfit(cell::OUT_OF_RANGE, value)),
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
                            Err(cell::misfit("is more precise than real can carry", value))
                        }
                    }
                    _ => Ok(Cell::Float8(value)),
                }
            }
            Values::Decimal128(values, scale) => {
                cell::decimal(Cell::Decimal(*values.get(row)?, *scale), target.scale())
            }
            Values::Decimal256(values, scale) => {
                cell::decimal(Cell::WideDecimal(*values.get(row)?, *scale), target.scale())
            }
            Values::Text(values) => {
                let text = match values {
                    TextValues::Small(values) => values.value(row),
                    TextValues::Large(values) => values.value(row),
                    TextValues::View(values) => values.value(row),
                };
                if text.as_bytes().contains(&0) {
                    return Some(Err(cell::misfit(
                        "holds a NUL, which PostgreSQL's text cannot",
                        text.escape_debug(),
                    )));
                }
                // A character takes a byte at least.
                let fits = match target {
                    Target::Varchar(most) => text.len() <= *most || text.chars().count() <= *most,
                    Target::Name => text.len() <= LONGEST_NAME,
                    Target::Char => text.len() <= 1 || is_octal(text),
                    _ => true,
                };
                match target {
                    _ if !fits => Err(cell::misfit("is longer than the column keeps", text)),
                    Target::Jsonb => Ok(Cell::Jsonb(text)),
                    _ => Ok(Cell::Text(text)),
                }
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
                        Err(_) => Err(cell::misfit(
                            "is not the 16 bytes of a uuid",
                            bytes.escape_ascii(),
                        )),
                    },
                    _ => Ok(Cell::Bytes(bytes)),
                }
            }
            Values::Date32(values) => cell::date(i64::from(*values.get(row)?)),
            Values::Date64(values) => {
                let millis = *values.get(row)?;
                match millis.checked_rem(DAY_MILLIS) {
                    Some(0) => cell::date(millis / DAY_MILLIS),
                    _ => Err(cell::misfit("milliseconds is not a whole day", millis)),
                }
            }
            Values::Time32(values, unit) => cell::time((*values.get(row)?).into(), *unit, target),
            Values::Time64(values, unit) => cell::time(*values.get(row)?, *unit, target),
            Values::Timestamp(values, unit, _) => cell::timestamp(*values.get(row)?, *unit, target),
            Values::Months(values) => cell::interval(*values.get(row)?, 0, 0, target),
            Values::DayTime(values) => {
                let value = values.get(row)?;
                cell::micros(value.milliseconds.into(), TimeUnit::Millisecond)
                    .and_then(|micros| cell::interval(0, value.days, micros, target))
            }
            Values::MonthDayNano(values) => {
                let value = values.get(row)?;
                cell::micros(value.nanoseconds, TimeUnit::Nanosecond)
                    .and_then(|micros| cell::interval(value.months, value.days, micros, target))
            }
            Values::Float16(values) => {
                let value = f32::from(values.values().get(row).copied()?);
                Ok(match target {
                    Target::Float4 => Cell::Float4(value),
                    _ => Cell::Float8(value.into()),
                })
            }
            Values::List(..) | Values::Struct(_) | Values::Map(..) => return None,
            Values::Duration(values, unit) => cell::micros(*values.get(row)?, *unit)
                .and_then(|micros| cell::interval(0, 0, micros, target)),
        })
    }
}
