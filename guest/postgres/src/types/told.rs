//! Columns that arrive as text because the caller chose it for values that do not fit: which
//! values those are.
//!
//! The text is the server's own, in the formats that the session asks for (`DateStyle` ISO,
//! `IntervalStyle` postgres). It goes to the host as it is; here it is only read to be counted.

use dagflux_guest::ColumnBuilder;
use dagflux_guest::bindings::exports::dagflux::connector::relational::OnLoss;

use super::decode::{Account, Misfit, Unfit};
use super::mapping::Kind;
use super::{literal, nested};

/// The last microsecond since 1970 that 64 bits hold, as days and microseconds of the day.
const LAST_DAY: i64 = i64::MAX / DAY_MICROS;
/// Microseconds in a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// How many characters of a value are shown.
const SHOWN: usize = 100;

/// Appends a value as text, and enters it if it is one that would not have fitted.
///
/// # Errors
/// When the text is too large to be handed over.
pub fn push(
    natural: &Kind,
    builder: &mut ColumnBuilder,
    value: &[u8],
    account: &mut Account<'_>,
) -> Result<(), Unfit> {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text,
        Err(_) => {
            let text = escaped(value)?;
            account.enter(Misfit::NotText, OnLoss::Text, || cut(&text));
            builder.push_bytes(text.as_bytes());
            return Ok(());
        }
    };
    builder.push_bytes(value);
    misfits(natural, text, &mut |misfit| {
        account.enter(misfit, OnLoss::Text, || cut(text));
    });
    Ok(())
}

/// Bytes that are not UTF-8, those that are no part of a character as `\x` and two digits.
fn escaped(bytes: &[u8]) -> Result<String, Unfit> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.extend(byte.escape_ascii().map(char::from));
        }
        nested::within("a value", text.len())?;
    }
    Ok(text)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Calls `enter` for each part of a value, or for the value, that its Arrow type cannot hold.
fn misfits(kind: &Kind, text: &str, enter: &mut dyn FnMut(Misfit)) {
    match kind {
        Kind::Decimal128 { .. } | Kind::Decimal256 { .. } if text == "NaN" => {
            enter(Misfit::Value("NaN"));
        }
        Kind::Date | Kind::Timestamp | Kind::Interval if text == "infinity" => {
            enter(Misfit::Value("infinity"));
        }
        Kind::Date | Kind::Timestamp | Kind::Interval if text == "-infinity" => {
            enter(Misfit::Value("-infinity"));
        }
        Kind::Time if text == "24:00:00" => enter(Misfit::Value("24:00:00")),
        Kind::Timestamp if is_late(text) == Some(true) => enter(Misfit::OutOfRange),
        Kind::Interval if is_long(text) == Some(true) => enter(Misfit::OutOfRange),
        Kind::List { element, levels } => array(element, ',', *levels, text, enter),
        Kind::TextList { delimiter, levels } => {
            array(&Kind::Output, *delimiter, *levels, text, enter);
        }
        Kind::Struct(kinds) => {
            for (kind, value) in kinds.iter().zip(literal::record(text).unwrap_or_default()) {
                if let Some(value) = value {
                    misfits(kind, &value, enter);
                }
            }
        }
        _ => {}
    }
}

fn array(
    element: &Kind,
    delimiter: char,
    levels: usize,
    text: &str,
    enter: &mut dyn FnMut(Misfit),
) {
    let Some(array) = literal::array(text, delimiter) else {
        return;
    };
    match array.dimensions.len() {
        0 => return,
        dimensions if dimensions != levels => return enter(Misfit::Dimensions(dimensions)),
        _ if !array.from_one => return enter(Misfit::Bounds),
        _ => {}
    }
    for value in array.elements.into_iter().flatten() {
        misfits(element, &value, enter);
    }
}

/// Whether a timestamp is later than 64 bits of microseconds since 1970 reach. None are too
/// early: PostgreSQL's begin in 4713 BC.
fn is_late(text: &str) -> Option<bool> {
    // Only years of six digits can be.
    let (year, rest) = text.split_once('-')?;
    if year.len() < 6 || rest.ends_with("BC") {
        return Some(false);
    }
    let (date, time) = rest.split_once(' ')?;
    let (month, day) = date.split_once('-')?;
    let zone = time.find(['+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone)?;
    let micros = clock_micros(clock)?.checked_sub(zone_micros(zone)?)?;
    let days = days(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
        .checked_add(micros.div_euclid(DAY_MICROS))?;
    let late = (days, micros.rem_euclid(DAY_MICROS));
    Some(late > (LAST_DAY, i64::MAX % DAY_MICROS))
}

/// Days since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Microseconds of hours, minutes and seconds; the hours may be any number.
fn clock_micros(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (seconds.parse::<i64>().ok()?, 0),
            Some((seconds, fraction)) => (
                seconds.parse().ok()?,
                format!("{fraction:0<6}").parse().ok()?,
            ),
        },
    };
    hours
        .checked_mul(60)?
        .checked_add(minutes)?
        .checked_mul(60)?
        .checked_add(seconds)?
        .checked_mul(1_000_000)?
        .checked_add(fraction)
}

/// Microseconds of an offset such as `+02`, `-03:30` or none.
fn zone_micros(text: &str) -> Option<i64> {
    let Some(sign) = text.chars().next() else {
        return Some(0);
    };
    let mut seconds = 0;
    for (part, unit) in text.get(1..)?.split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok()? * unit;
    }
    let micros = seconds * 1_000_000;
    Some(if sign == '-' { -micros } else { micros })
}

/// Whether the time part of an interval is longer than 64 bits of nanoseconds.
fn is_long(text: &str) -> Option<bool> {
    let clock = text.split(' ').next_back()?;
    if !clock.contains(':') {
        return Some(false);
    }
    let clock = clock.trim_start_matches(['-', '+']);
    // In the negative, one more nanosecond fits; no whole microsecond makes use of it.
    Some(clock_micros(clock).is_none_or(|micros| micros > i64::MAX / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(kind: &Kind, text: &str) -> Vec<String> {
        let mut reasons = Vec::new();
        misfits(kind, text, &mut |misfit| {
            reasons.push(misfit.reason().into_owned());
        });
        reasons
    }

    #[test]
    fn what_would_not_have_fitted() {
        let decimal = Kind::Decimal128 {
            precision: 9,
            scale: 2,
        };
        let list = |element: Kind, levels| Kind::List {
            element: Box::new(element),
            levels,
        };
        for (kind, text, expected) in [
            (decimal.clone(), "NaN", &["NaN"][..]),
            (decimal.clone(), "1.50", &[]),
            (Kind::Date, "-infinity", &["-infinity"]),
            (Kind::Date, "5874897-12-31", &[]),
            (Kind::Time, "24:00:00", &["24:00:00"]),
            (Kind::Time, "23:59:59.999999", &[]),
            (Kind::Timestamp, "4713-01-01 00:00:00 BC", &[]),
            (Kind::Timestamp, "294247-01-10 04:00:54.775807", &[]),
            (
                Kind::Timestamp,
                "294247-01-10 04:00:54.775808",
                &["out of range"],
            ),
            (Kind::Timestamp, "294247-01-10 06:00:54.775807+02", &[]),
            (
                Kind::Timestamp,
                "294247-01-10 03:00:54.775808-01",
                &["out of range"],
            ),
            (
                Kind::Timestamp,
                "294276-12-31 23:59:59.999999",
                &["out of range"],
            ),
            (Kind::Interval, "1 year 2 mons -3 days", &[]),
            (
                Kind::Interval,
                "-2562047788:00:54.775807",
                &["out of range"],
            ),
            (Kind::Interval, "1 day 2562047:47:16.854775", &[]),
            (
                Kind::Interval,
                "1 day 2562047:47:16.854776",
                &["out of range"],
            ),
            (
                list(decimal.clone(), 1),
                "{1,NaN,NULL,NaN}",
                &["NaN", "NaN"],
            ),
            (list(Kind::Int4, 1), "{{1}}", &["2 dimensions"]),
            (list(Kind::Int4, 2), "{1}", &["1 dimension"]),
            (list(Kind::Int4, 2), "{}", &[]),
            (
                list(Kind::Int4, 1),
                "[0:0]={1}",
                &["other lower bound than 1"],
            ),
            (
                Kind::Struct(vec![Kind::Text, Kind::Date]),
                "(infinity,infinity)",
                &["infinity"],
            ),
        ] {
            assert_eq!(reasons(&kind, text), expected, "{kind:?} {text}");
        }
    }
}
