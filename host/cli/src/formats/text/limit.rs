//! What a column would drop from a value without a word: servers round numbers to the decimals
//! of a column, and times to its fraction of a second.

use arrow_schema::{DataType, Field, TimeUnit};

/// Metadata: the type as the server writes it, modifier included.
const SERVER_TYPE: &str = "dagflux:type";

/// How exact the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many digits behind the point; below zero, so many zeros before it.
    Decimals(i8),
    /// So many digits of a second, in a date and time or a time of day.
    Time(u8),
    /// So many digits of a second, in a span of time.
    Span(u8),
}

impl Limit {
    /// That of a column; none if it keeps whatever fits it.
    pub fn of(field: &Field) -> Option<Self> {
        let declared = field
            .metadata()
            .get(SERVER_TYPE)
            .map(|kind| (kind.as_str(), precision(kind)));
        let digits = |unit: &TimeUnit| {
            let most = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            let declared = declared.and_then(|(_, digits)| digits);
            declared.map_or(most, |digits| digits.min(most))
        };
        Some(match field.data_type() {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                Self::Decimals(*scale)
            }
            DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => {
                Self::Time(digits(unit))
            }
            // Arrow's has nanoseconds; no server that says its type keeps them.
            DataType::Interval(_) => Self::Span(declared?.1.unwrap_or(6).min(6)),
            _ => return None,
        })
    }

    /// Whether a value is more exact than the column. Not so what is no value at all: that is
    /// for others to find.
    pub fn drops_from(self, value: &str) -> bool {
        match self {
            Self::Decimals(scale) => decimals(value).is_some_and(|found| found > i64::from(scale)),
            Self::Time(most) => value.contains('.') && of_seconds(value, false) > most.into(),
            Self::Span(most) => value.contains('.') && of_seconds(value, true) > most.into(),
        }
    }

    /// What the column keeps, for people.
    pub fn words(self) -> String {
        match self {
            Self::Decimals(scale @ 0..) => format!("the column keeps {scale} decimals"),
            Self::Decimals(scale) => match 10_u64.checked_pow(scale.unsigned_abs().into()) {
                Some(unit) => format!("the column keeps multiples of {unit}"),
                None => format!("the column keeps multiples of 1e{}", scale.unsigned_abs()),
            },
            Self::Time(most) | Self::Span(most) => {
                format!("the column keeps {most} digits of a second")
            }
        }
    }
}

/// The digits in parentheses: 3 of `timestamp(3) without time zone`.
fn precision(kind: &str) -> Option<u8> {
    let (digits, _) = kind.split_once('(')?.1.split_once(')')?;
    digits.parse().ok()
}

/// How many digits behind the point a number needs; below zero, in how many zeros it ends
/// before the point. None for zero, and for what is no number in digits.
fn decimals(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches(['-', '+']);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut behind: i64 = 0;
    let mut zeros: i64 = 0;
    let mut ended = false;
    for (digits, counts) in [(fraction, 1), (whole, 0)] {
        // Servers take digits in groups: 1_000.
        for byte in digits.bytes().rev().filter(|byte| *byte != b'_') {
            if !byte.is_ascii_digit() {
                return None;
            }
            behind += counts;
            ended |= byte != b'0';
            zeros += i64::from(!ended);
        }
    }
    ended.then(|| (behind - zeros).saturating_sub(exponent))
}

/// How many digits of a second are written, but for trailing zeros. Points stand in dates as
/// well; in a time they follow a colon or, in `040506.5`, all of its digits. In a `span` all
/// are of a part of it.
fn of_seconds(text: &str, span: bool) -> usize {
    let mut most = 0;
    for (at, _) in text.match_indices('.') {
        let (before, behind) = (text.get(..at), text.get(at + 1..));
        let (before, behind) = (before.unwrap_or_default(), behind.unwrap_or_default());
        let head = before.trim_end_matches(|c: char| c.is_ascii_digit());
        if span || head.ends_with(':') || before.len() - head.len() >= 6 {
            let end = behind.find(|c: char| !c.is_ascii_digit());
            let digits = behind.get(..end.unwrap_or(behind.len()));
            most = most.max(digits.unwrap_or_default().trim_end_matches('0').len());
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_column_would_round() {
        for (value, scale, dropped) in [
            ("1.50", 1, false),
            ("1.505", 2, true),
            (" -1.500 ", 1, false),
            ("1e-7", 2, true),
            ("1.5e-3", 2, true),
            ("1.5e-3", 4, false),
            ("1.505e1", 2, false),
            ("150E-2", 1, false),
            ("0e-9", 2, false),
            ("0.000", 2, false),
            ("12345", -2, true),
            ("12300", -2, false),
            ("1.23e4", -2, false),
            ("1_000.5", 0, true),
            ("NaN", 2, false),
            ("-Infinity", 2, false),
            ("many", 2, false),
            ("", 2, false),
        ] {
            let limit = Limit::Decimals(scale);
            assert_eq!(limit.drops_from(value), dropped, "{value} {scale}");
        }
        let words = |scale| Limit::Decimals(scale).words();
        assert_eq!(words(2), "the column keeps 2 decimals");
        assert_eq!(words(-2), "the column keeps multiples of 100");
    }

    #[test]
    fn times_that_a_column_would_round() {
        for (value, digits, dropped) in [
            ("2024-02-29 12:30:00.123456", 6, false),
            ("2024-02-29 12:30:00.123456789", 6, true),
            ("2024-02-29T12:30:00.1234560000Z", 6, false),
            ("12:30:00.1234567+02:00", 6, true),
            ("040506.1234567", 6, true),
            ("31.12.2024 12:30:00", 0, false),
            ("31.12.2024 12:30:00.5", 0, true),
            ("12:30:00.125", 3, false),
            ("12:30:00.125", 2, true),
            ("infinity", 0, false),
        ] {
            let limit = Limit::Time(digits);
            assert_eq!(limit.drops_from(value), dropped, "{value} {digits}");
        }
        assert!(Limit::Span(6).drops_from("1 mons 0.1234567 secs"));
        assert!(!Limit::Span(6).drops_from("1.5 days 4.5 secs"));
    }

    #[test]
    fn limits_of_columns() {
        let typed = |kind: DataType, name: &str| {
            let metadata = [(SERVER_TYPE.to_owned(), name.to_owned())];
            Field::new("c", kind, true).with_metadata(metadata)
        };
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let span = DataType::Interval(arrow_schema::IntervalUnit::MonthDayNano);
        for (field, limit) in [
            (
                typed(DataType::Decimal128(5, -2), "numeric(5,-2)"),
                Some(Limit::Decimals(-2)),
            ),
            (
                typed(micros.clone(), "timestamp(3) without time zone"),
                Some(Limit::Time(3)),
            ),
            (
                typed(micros, "timestamp without time zone"),
                Some(Limit::Time(6)),
            ),
            (
                typed(span.clone(), "interval second(0)"),
                Some(Limit::Span(0)),
            ),
            (typed(span.clone(), "interval"), Some(Limit::Span(6))),
            (Field::new("c", span, true), None),
            (typed(DataType::Utf8, "character varying(3)"), None),
        ] {
            assert_eq!(Limit::of(&field), limit, "{field:?}");
        }
    }
}
