//! What the text of a column looks like, where nothing else tells its type.
//!
//! A column gets the narrowest shape that every value of the first rows has, and every later
//! value has to have it, too: parsers of values take more than one form, so `01234` among
//! numbers would lose its zero, and a time behind a date would be dropped.

use arrow_array::{Array, StringArray};
use arrow_schema::extension::{Json, Uuid};
use arrow_schema::{DataType, Field, TimeUnit};

use super::infer::{Nature, TextColumn};
use super::text;

/// The significant digits that a double always tells apart.
const FLOAT_DIGITS: usize = 15;

/// What every value of a column looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Text,
    /// `true` and `false`.
    Boolean,
    /// Digits as a person writes a number: no leading zeros, as codes have them.
    Integer,
    /// Digits with at most so many decimals.
    Decimal(i8),
    /// Texts of digits with just so many decimals, as exports write them: other texts of
    /// digits may be codes, or versions.
    DecimalText(i8),
    /// Numbers that a double keeps, as far as their digits tell.
    Float,
    /// A UUID with hyphens.
    Uuid,
    /// Bytes as [`text`] writes them.
    Bytes,
    /// `HH:MM:SS`, and fractions down to microseconds.
    Time,
    /// `YYYY-MM-DD`.
    Date,
    /// Both, with a blank or a `T` between them, and with or without a zone.
    Timestamp {
        /// Whether there is one.
        zone: bool,
    },
    /// JSON objects and lists.
    Document,
}

impl Shape {
    /// The narrowest that every value of a sample has.
    pub fn of(sample: &TextColumn) -> Self {
        let text = &sample.text;
        let values = || text.iter().flatten();
        if values().next().is_none() {
            return Self::Text;
        }
        let decimals = values().map(decimals).max().unwrap_or_default();
        let decimals = i8::try_from(decimals).ok().filter(|most| *most <= 38);
        let candidates = match sample.nature {
            Nature::Documents => vec![Self::Document],
            Nature::Any => vec![Self::Boolean, Self::Integer],
            Nature::Texts => Vec::new(),
        };
        let decimal = decimals.and_then(|scale| match sample.nature {
            Nature::Any => Some(Self::Decimal(scale)),
            Nature::Texts if scale > 0 => Some(Self::DecimalText(scale)),
            _ => None,
        });
        let float = Some(Self::Float).filter(|_| sample.nature == Nature::Any);
        let others = [
            Self::Uuid,
            Self::Bytes,
            Self::Time,
            Self::Date,
            Self::Timestamp { zone: false },
            Self::Timestamp { zone: true },
        ];
        (candidates
            .into_iter()
            .chain(decimal)
            .chain(float)
            .chain(others))
        .find(|shape| shape.stranger(sample).is_none() && shape.fits(text))
        .unwrap_or(Self::Text)
    }

    /// The column as it is carried.
    pub fn field(self, name: &str) -> Field {
        let micros = TimeUnit::Microsecond;
        let field = |kind| Field::new(name, kind, true);
        field(match self {
            Self::Text => DataType::Utf8,
            Self::Document => return field(DataType::Utf8).with_extension_type(Json::default()),
            Self::Uuid => return field(DataType::FixedSizeBinary(16)).with_extension_type(Uuid),
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Decimal(scale) | Self::DecimalText(scale) => DataType::Decimal128(38, scale),
            Self::Float => DataType::Float64,
            Self::Bytes => DataType::Binary,
            Self::Time => DataType::Time64(micros),
            Self::Date => DataType::Date32,
            Self::Timestamp { zone } => DataType::Timestamp(micros, zone.then(|| "UTC".into())),
        })
    }

    /// Where the first value is that has another shape.
    pub fn stranger(self, column: &TextColumn) -> Option<usize> {
        let TextColumn {
            text,
            first_text,
            first_plain,
            ..
        } = column;
        let value = (0..text.len()).find(|at| text.is_valid(*at) && !self.has(text.value(*at)));
        let marked = match self {
            // A document that is written as a text may be a text, and so may a number.
            Self::Document => *first_plain,
            Self::Boolean | Self::Integer | Self::Decimal(_) | Self::Float => *first_text,
            _ => None,
        };
        value.into_iter().chain(marked).min()
    }

    fn has(self, value: &str) -> bool {
        match self {
            Self::Text | Self::Document => true,
            Self::Boolean => value == "true" || value == "false",
            Self::Integer => is_integer(value) && !is_negative_zero(value),
            Self::Decimal(_) => is_decimal(value) && !is_negative_zero(value),
            Self::DecimalText(scale) => {
                is_decimal(value)
                    && !is_negative_zero(value)
                    && usize::try_from(scale) == Ok(decimals(value))
            }
            Self::Float => is_float(value),
            Self::Uuid => is_uuid(value),
            Self::Bytes => is_bytes(value),
            Self::Time => is_time(value),
            Self::Date => value.len() == 10 && is_date(value),
            Self::Timestamp { zone } => is_timestamp(value, zone),
        }
    }

    /// Whether all of a sample is in the range of the type.
    fn fits(self, sample: &StringArray) -> bool {
        match self {
            Self::Integer
            | Self::Decimal(_)
            | Self::DecimalText(_)
            | Self::Time
            | Self::Date
            | Self::Timestamp { .. } => text::fits(sample, self.field("").data_type()),
            _ => true,
        }
    }

    /// A word for it, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "true or false",
            Self::Integer => "whole number",
            Self::Decimal(_) | Self::DecimalText(_) | Self::Float => "number",
            Self::Uuid => "UUID",
            Self::Bytes => "\\x and hexadecimal digits",
            Self::Time => "time (HH:MM:SS)",
            Self::Date => "date (YYYY-MM-DD)",
            Self::Timestamp { zone: false } => "timestamp (YYYY-MM-DD HH:MM:SS)",
            Self::Timestamp { zone: true } => "timestamp with a zone (YYYY-MM-DD HH:MM:SSZ)",
            Self::Document => "JSON object or list",
        }
    }
}

fn decimals(value: &str) -> usize {
    value.split_once('.').map_or(0, |(_, part)| part.len())
}

fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

fn is_decimal(value: &str) -> bool {
    match value.split_once('.') {
        Some((whole, fraction)) => {
            is_integer(whole)
                && !fraction.is_empty()
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => is_integer(value),
    }
}

/// Only doubles have one.
fn is_negative_zero(value: &str) -> bool {
    value.starts_with('-') && !value.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

fn is_float(value: &str) -> bool {
    let mantissa = (value.split_once(['e', 'E'])).map_or(value, |(mantissa, _)| mantissa);
    is_special_float(value) || (is_decimal(mantissa) && is_kept_by_a_double(value, mantissa))
}

/// Whether a number becomes a double with the same digits.
fn is_kept_by_a_double(value: &str, mantissa: &str) -> bool {
    let Ok(double) = value.parse::<f64>() else {
        return false;
    };
    if !double.is_finite() {
        return false;
    }
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let short = digits <= FLOAT_DIGITS && double.is_normal();
    short || significant(value) == significant(&format!("{double:e}"))
}

/// A number's digits without zeros around them, and the power of ten of the last.
fn significant(value: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = match value.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (value, 0),
    };
    let behind = i64::try_from(decimals(mantissa)).ok()?;
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let all = digits.trim_start_matches('0');
    let digits = all.trim_end_matches('0').to_owned();
    if digits.is_empty() {
        return Some((digits, 0));
    }
    let zeros = i64::try_from(all.len() - digits.len()).ok()?;
    Some((digits, exponent.checked_sub(behind)?.checked_add(zeros)?))
}

/// A float that has no digits.
pub fn is_special_float(value: &str) -> bool {
    matches!(value, "NaN" | "Infinity" | "-Infinity")
}

fn is_bytes(value: &str) -> bool {
    let digits = value.strip_prefix("\\x").unwrap_or("?");
    digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(value: &str) -> bool {
    let in_place = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    value.len() == 36 && value.bytes().enumerate().all(in_place)
}

/// Whether it begins with `YYYY-MM-DD`.
fn is_date(value: &str) -> bool {
    follows(value, "dddd-dd-dd").is_some()
}

/// What is behind a pattern of digits (`d`) and other characters.
fn follows<'v>(value: &'v str, pattern: &str) -> Option<&'v str> {
    let (head, rest) = value.split_at_checked(pattern.len())?;
    let matches = head
        .bytes()
        .zip(pattern.bytes())
        .all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            _ => byte == wanted,
        });
    matches.then_some(rest)
}

fn is_time(value: &str) -> bool {
    after_time(value).is_some_and(str::is_empty)
}

/// What is behind a time of day. The second 60 is none: parsers take it for the next minute.
fn after_time(value: &str) -> Option<&str> {
    let rest = follows(value, "dd:dd:dd")?;
    if value.get(6..7) == Some("6") {
        return None;
    }
    let Some(digits) = rest.strip_prefix('.') else {
        return Some(rest);
    };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (1..=6)
        .contains(&(digits.len() - rest.len()))
        .then_some(rest)
}

fn is_timestamp(value: &str, zone: bool) -> bool {
    let time = follows(value, "dddd-dd-dd").and_then(|rest| rest.strip_prefix([' ', 'T']));
    let Some(rest) = time.and_then(after_time) else {
        return false;
    };
    match zone {
        true => {
            rest == "Z"
                || rest.strip_prefix(['+', '-']).is_some_and(|offset| {
                    let patterns = ["dd:dd", "dddd", "dd"];
                    patterns
                        .iter()
                        .any(|pattern| follows(offset, pattern) == Some(""))
                })
        }
        false => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[&str], nature: Nature) -> TextColumn {
        TextColumn {
            nature,
            ..TextColumn::bare(StringArray::from(values.to_vec()))
        }
    }

    #[test]
    fn inferred_types() {
        let micros =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (values, expected) in [
            (&["1", "-20"][..], DataType::Int64),
            (&["007", "1"], DataType::Utf8),
            (&["1.5", "20", "0.125"], DataType::Decimal128(38, 3)),
            (&["9223372036854775808"], DataType::Decimal128(38, 0)),
            (&["1e3", "2.5"], DataType::Float64),
            (&["NaN", "1"], DataType::Float64),
            // Sixteen digits are more than a double is sure to tell apart; some it does.
            (&["9007199254740993", "1e3"], DataType::Utf8),
            (&["9007199254740992", "1e3"], DataType::Float64),
            (
                &["0.30000000000000004", "1.7976931348623157E+308"],
                DataType::Float64,
            ),
            (&["1e400"], DataType::Utf8),
            (&["1e-400"], DataType::Utf8),
            (&["0e5", "1e3"], DataType::Float64),
            (&["-0", "1"], DataType::Float64),
            (&["-0.0", "1.5"], DataType::Float64),
            (&["true", "false"], DataType::Boolean),
            (&["t", "f"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2024-02-30"], DataType::Utf8),
            (
                &["2024-02-29 12:00:00", "2024-02-29T12:00:00.5"],
                micros(None),
            ),
            (
                &["2024-02-29T12:00:00Z", "2024-02-29 12:00:00+02:00"],
                micros(Some("UTC")),
            ),
            (
                &["2024-02-29T12:00:00Z", "2024-02-29 12:00:00"],
                DataType::Utf8,
            ),
            (&["2024-02-29 12:30:00.1234567"], DataType::Utf8),
            (&["2024-02-29 12:30:60"], DataType::Utf8),
            (&["2024-02-29 12:30:00 PM"], DataType::Utf8),
            (&["12:30:00.1234567"], DataType::Utf8),
            (&["x", ""], DataType::Utf8),
            (&["\\x00ff", "\\x"], DataType::Binary),
            (&["\\x00f"], DataType::Utf8),
            (
                &["12:30:00", "23:59:59.999999"],
                DataType::Time64(TimeUnit::Microsecond),
            ),
            (&["12:30:00", "24:00:00"], DataType::Utf8),
            (&["0.1234567890123456789", "NaN"], DataType::Utf8),
            (
                &["00010203-0405-0607-0809-0a0b0c0d0e0f"],
                DataType::FixedSizeBinary(16),
            ),
        ] {
            assert_eq!(
                *Shape::of(&column(values, Nature::Any))
                    .field("c")
                    .data_type(),
                expected,
                "{values:?}"
            );
        }
        for (values, expected) in [
            (&["1", "20"][..], DataType::Utf8),
            (&["1.50", "-20.00"], DataType::Decimal128(38, 2)),
            (&["1.5", "20.25"], DataType::Utf8),
            (&["1.2.3"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
        ] {
            let shape = Shape::of(&column(values, Nature::Texts));
            assert_eq!(*shape.field("c").data_type(), expected, "{values:?}");
        }
        let nothing = TextColumn::bare(StringArray::new_null(1));
        assert_eq!(Shape::of(&nothing), Shape::Text);
        let document = Shape::of(&column(&["{}"], Nature::Documents)).field("c");
        assert_eq!(document.extension_type_name(), Some("arrow.json"));
    }

    /// What a parser of the type would take, and change.
    #[test]
    fn values_of_another_shape() {
        for (shape, values) in [
            (Shape::Integer, &["01234", " 7 ", "+7", "-0", "1.0"][..]),
            (Shape::Boolean, &["1", "yes", "t", "TRUE"]),
            (
                Shape::Date,
                &["2024-02-29 12:30:00", "20240229", "2024-2-29"],
            ),
            (Shape::DecimalText(2), &["1.5", "1.500", "2"]),
            (Shape::Decimal(2), &["1.5e0", " 1.5", "-0.00", "00.5"]),
            (
                Shape::Timestamp { zone: false },
                &[
                    "2024-02-29 12:30:00+02:00",
                    "2024-02-29 12:30:00Z",
                    "2024-02-29",
                ],
            ),
            (
                Shape::Timestamp { zone: true },
                &["2024-02-29 12:30:00", "2024-02-29 12:30:00 UTC"],
            ),
            (
                Shape::Time,
                &["040506", "12:30", "12:30:00+02", "12:30:00 PM"],
            ),
            (
                Shape::Float,
                &["1e400", "0x10", "inf", "1.", "12345678901234567890"],
            ),
        ] {
            for value in values {
                let column = column(&[value], Nature::Any);
                assert_eq!(shape.stranger(&column), Some(0), "{shape:?} {value}");
            }
        }
        // Whether JSON has it in quotes counts as well.
        let text = TextColumn {
            first_text: Some(1),
            first_plain: Some(0),
            ..column(&["1", "12"], Nature::Texts)
        };
        assert_eq!(Shape::Integer.stranger(&text), Some(1));
        assert_eq!(Shape::Document.stranger(&text), Some(0));
        assert_eq!(Shape::Text.stranger(&text), None);
    }
}
