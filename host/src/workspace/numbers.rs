//! Numbers by their digits.

use super::types::FLOAT_DIGITS;
use super::values::Stored;

/// The integers up to here, and their negatives, are all doubles: 2⁵³.
pub const WHOLE: i64 = 1 << 53;

/// A number, exactly: its digits without zeros at either end, and the power of ten they stand at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Digits {
    /// The number that a text is; none if it is not one, through and through.
    pub fn of(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => {
                let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                // What has more is beyond every type, and zero is written without.
                if !is_digits(unsigned) || unsigned.len() > 9 {
                    return None;
                }
                (number, exponent.parse::<i64>().ok()?)
            }
            None => (unsigned, 0),
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let all = format!("{whole}{decimals}");
        if !is_digits(&all) {
            return None;
        }
        let exponent = exponent.checked_sub(i64::try_from(decimals.len()).ok()?)?;
        let kept = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len().checked_sub(kept.len())?).ok()?;
        let digits = kept.trim_start_matches('0');
        Some(Self {
            negative: text.starts_with('-') && !digits.is_empty(),
            digits: digits.to_owned(),
            exponent: match digits.is_empty() {
                true => 0,
                false => exponent.checked_add(dropped)?,
            },
        })
    }

    /// The shortest that read back as `real`.
    fn shortest(real: f64) -> Option<Self> {
        Self::of(&format!("{real:e}"))
    }

    /// The number times ten to the power of `scale`, if that is whole and of at most `precision`
    /// digits.
    pub fn unscaled(&self, precision: u8, scale: i8) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = usize::try_from(self.exponent.checked_add(scale.into())?).ok()?;
        if self.digits.len().checked_add(zeros)? > precision.into() {
            return None;
        }
        let unscaled: i128 = format!("{}{:0<zeros$}", self.digits, "").parse().ok()?;
        Some(if self.negative { -unscaled } else { unscaled })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether SQLite takes a text for a number where the column's affinity is one.
pub fn is_number(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['-', '+']).unwrap_or(text));
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    is_digits(&format!("{whole}{decimals}")) && exponent.is_none_or(is_digits)
}

/// The integer or real that says just what the text of a number does; none if neither can.
pub fn stored(text: &str) -> Option<Stored<'static>> {
    let number = Digits::of(text)?;
    if let Some(whole) = number
        .unscaled(19, 0)
        .and_then(|whole| i64::try_from(whole).ok())
    {
        return Some(Stored::Integer(whole));
    }
    let real: f64 = text.parse().ok().filter(|real: &f64| real.is_finite())?;
    // A small number of few digits is 0 or a crippled double at the end of the range.
    let few = number.digits.len() <= FLOAT_DIGITS && real.is_normal();
    let exact = few || Digits::shortest(real).as_ref() == Some(&number);
    exact.then_some(Stored::Real(real))
}

/// The value of a decimal column that a real stands for.
///
/// A decimal of up to 15 digits is found again in the double it became. Where a double has more,
/// arithmetic made them: the first 15 count, as far as they reach down to the last decimal.
pub fn decimal(real: f64, precision: u8, scale: i8) -> Option<i128> {
    let shortest = Digits::shortest(real)?;
    let bound = 10_f64.powi(FLOAT_DIGITS as i32 - i32::from(scale));
    let number = if shortest.digits.len() <= FLOAT_DIGITS {
        shortest
    } else if real.abs() < bound {
        Digits::of(&format!("{real:.0$e}", FLOAT_DIGITS - 1))?
    } else if real.trunc() == real && real.abs() <= WHOLE as f64 {
        shortest
    } else {
        return None;
    };
    number.unscaled(precision, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_numbers() {
        for (text, precision, scale, expected) in [
            ("1234.50", 15, 2, Some(123_450)),
            ("-0.05", 3, 2, Some(-5)),
            ("1e3", 15, 2, Some(100_000)),
            ("1.5E-3", 15, 4, Some(15)),
            ("0.00", 1, 0, Some(0)),
            ("-0", 1, 0, Some(0)),
            ("1.005", 15, 2, None),
            ("100", 2, 0, None),
            ("99", 2, 0, Some(99)),
            (".5", 2, 1, Some(5)),
            ("5.", 2, 1, Some(50)),
            ("0e99999", 2, 1, Some(0)),
            ("1e999999999", 38, 0, None),
            (
                "99999999999999999999999999999999999999",
                38,
                0,
                Some(10_i128.pow(38) - 1),
            ),
        ] {
            let unscaled = Digits::of(text).and_then(|number| number.unscaled(precision, scale));
            assert_eq!(unscaled, expected, "{text}");
        }
        for text in [
            "", "-", ".", "1.2.3", "1e", "e5", " 1", "1_000", "0x10", "NaN", "1e+", "--1",
        ] {
            assert_eq!(Digits::of(text), None, "{text:?}");
        }
    }

    /// What SQLite itself makes of a text, in a column of numbers.
    #[test]
    fn a_number_is_what_sqlite_takes_for_one() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (c NUMERIC)")
            .unwrap();
        for text in [
            "1",
            " 1 ",
            "+1",
            "-1.5",
            "1.",
            ".5",
            ".",
            "",
            "1e5",
            "1e",
            "1e+",
            "e5",
            "0x10",
            "1_0",
            "NaN",
            "inf",
            "Infinity",
            "1 2",
            "007",
            "\u{a0}1",
            "\x0b1",
            "2024-01-01",
            "12:30",
            "1e400",
            "-",
            "1.2.3",
            "١",
        ] {
            let kind: String = connection
                .query_row(
                    "INSERT INTO t VALUES (?1) RETURNING typeof(c)",
                    [text],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(is_number(text), kind != "text", "{text:?} is {kind}");
        }
    }

    #[test]
    fn numbers_are_stored_exactly_or_not_at_all() {
        for (text, expected) in [
            ("12.50", Some(Stored::Real(12.5))),
            ("12.00", Some(Stored::Integer(12))),
            ("9223372036854775807", Some(Stored::Integer(i64::MAX))),
            ("-9223372036854775808", Some(Stored::Integer(i64::MIN))),
            ("9223372036854775808", None),
            ("123456789012.345", Some(Stored::Real(123_456_789_012.345))),
            (
                "1234567890123.4568",
                Some(Stored::Real(1_234_567_890_123.456_8)),
            ),
            ("1234567890123.4567", None),
            ("12345678901234.5678", None),
            (
                "0.30000000000000004",
                Some(Stored::Real(0.300_000_000_000_000_04)),
            ),
            ("1e400", None),
            ("1e-400", None),
        ] {
            assert_eq!(stored(text), expected, "{text}");
        }
    }

    #[test]
    fn reals_as_decimals() {
        for (real, precision, scale, expected) in [
            (0.1 + 0.2, 15, 2, Some(30)),
            (1234.5, 15, 2, Some(123_450)),
            (10.0 / 3.0, 15, 2, None),
            (1e14, 15, 2, None),
            (1e12, 15, 2, Some(100_000_000_000_000)),
            (
                9_007_199_254_740_991.0,
                38,
                2,
                Some(900_719_925_474_099_100),
            ),
            // More than 15 digits before the last decimal: which they are is not known.
            (123_456_789_012_345.67, 38, 2, None),
            (1.2e-19, 38, 20, Some(12)),
            (f64::NAN, 38, 2, None),
            (f64::INFINITY, 38, 2, None),
        ] {
            assert_eq!(decimal(real, precision, scale), expected, "{real}");
        }
    }
}
