//! Dates and times as ISO 8601 text, in the form that SQLite's own functions read and give.

/// The microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// A date, `YYYY-MM-DD`, of days since 1970-01-01. Years beyond four digits have a sign.
pub fn date(days: i64) -> String {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years from March, in eras
    // of 400 years. 128 bits hold every step.
    let days = i128::from(days) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + years + i128::from(month <= 2);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        10_000.. => format!("+{year}-{month:02}-{day:02}"),
        _ => format!("-{:04}-{month:02}-{day:02}", -year),
    }
}

/// A time of day, `HH:MM:SS.ffffff`, of microseconds since midnight.
pub fn time(micros: i64) -> String {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// A date and a time, of microseconds since 1970.
///
/// A blank parts them, as in SQLite's own text, with which it then compares; and there are always
/// six decimals, so that texts sort as the times do.
pub fn timestamp(micros: i128) -> String {
    let days = i64::try_from(micros.div_euclid(DAY.into())).unwrap_or_default();
    let rest = i64::try_from(micros.rem_euclid(DAY.into())).unwrap_or_default();
    format!("{} {}", date(days), time(rest))
}

/// The days of a date since 1970-01-01.
pub fn days_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let mut parts = digits.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let signed = digits.len() < text.len();
    let year_fits = match signed {
        true => (4..=7).contains(&year.len()),
        false => year.len() == 4,
    };
    if parts.next().is_some() || !year_fits || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day) = (sign * number(year)?, number(month)?, number(day)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=most).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + of_era - 719_468)
}

/// The microseconds of a time of day: `HH:MM`, `HH:MM:SS` and decimals. `24:00:00` is its end.
pub fn micros_of(text: &str) -> Option<i64> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if whole.len() == 8 => (whole, Some(decimals)),
        Some(_) => return None,
        None => (text, None),
    };
    let mut parts = whole.split(':');
    let (hour, minute) = (parts.next()?, parts.next()?);
    let second = parts.next().unwrap_or("00");
    if parts.next().is_some() || [hour, minute, second].iter().any(|part| part.len() != 2) {
        return None;
    }
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let micros = match decimals {
        Some("") => return None,
        Some(decimals) => {
            let (kept, finer) = decimals.split_at_checked(6).unwrap_or((decimals, ""));
            if finer.bytes().any(|digit| digit != b'0') {
                return None;
            }
            number(&format!("{kept:0<6}"))?
        }
        None => 0,
    };
    let all = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    (minute < 60 && second < 60 && all <= DAY).then_some(all)
}

/// The microseconds since 1970 of a date and a time, with a `T` or a blank between them, or of a
/// date alone; and whether there was a zone behind it, which is then reckoned with.
pub fn timestamp_of(text: &str) -> Option<(i64, bool)> {
    let Some(at) = text.find(['T', ' ']) else {
        return Some((days_of(text)?.checked_mul(DAY)?, false));
    };
    let (date, time) = (text.get(..at)?, text.get(at + 1..)?);
    let (time, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => (time.get(..at)?, Some(offset_of(time.get(at..)?)?)),
        None => (time, None),
    };
    let local = days_of(date)?
        .checked_mul(DAY)?
        .checked_add(micros_of(time)?)?;
    let micros = local.checked_sub(offset.unwrap_or_default())?;
    Some((micros, offset.is_some()))
}

/// The microseconds that a zone is ahead of UTC: `Z`, `+HH`, `+HHMM`, `+HH:MM`.
fn offset_of(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?;
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    if hours.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

/// Digits and nothing else: parsers of numbers take signs, too.
fn number(digits: &str) -> Option<i64> {
    match digits.bytes().all(|digit| digit.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_reads_back() {
        for days in (-1_000_000..4_000_000).step_by(97).chain(-800..800) {
            let text = date(days);
            assert_eq!(days_of(&text), Some(days), "{text}");
        }
        for (days, text) in [
            (0, "1970-01-01"),
            (-719_162, "0001-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_932_897, "+10000-01-01"),
            (11_016, "2000-02-29"),
        ] {
            assert_eq!(date(days), text);
            assert_eq!(days_of(text), Some(days));
        }
    }

    #[test]
    fn the_ends_of_what_arrow_holds() {
        for days in [i32::MIN, i32::MAX] {
            assert_eq!(days_of(&date(days.into())), Some(days.into()));
        }
        for micros in [i64::MIN, i64::MAX] {
            let text = timestamp(micros.into());
            // The very first day lies only partly within 64 bits, so its midnight does not.
            let read = timestamp_of(&text).map(|(micros, _)| micros);
            assert!(read == Some(micros) || micros == i64::MIN && read.is_none());
        }
    }

    #[test]
    fn what_is_no_date_and_no_time() {
        for text in [
            "2024-02-30",
            "2023-02-29",
            "2024-13-01",
            "2024-1-01",
            "24-01-01",
            "2024-01-01 ",
            "20240101",
            "10000-01-01",
            "",
            "-",
            "2024-01-01-01",
            "2024-0a-01",
            "+-024-01-01",
        ] {
            assert_eq!(days_of(text), None, "{text:?}");
        }
        for text in [
            "1:00:00",
            "12",
            "12:60:00",
            "12:00:60",
            "24:00:01",
            "12:00:00.",
            "12:00.5",
            "é2:00:00",
            "12:00:00.0000001",
            "12:00:00:00",
            "+1:00:00",
        ] {
            assert_eq!(micros_of(text), None, "{text:?}");
        }
        for text in [
            "2024-01-01T",
            "2024-01-01 12:00:00+",
            "2024-01-01 12:00:00+25",
            "2024-01-01 12:00:00 UTC",
        ] {
            assert_eq!(timestamp_of(text), None, "{text:?}");
        }
    }

    #[test]
    fn zones_are_reckoned_with() {
        let noon = Some((DAY / 2, true));
        for text in [
            "1970-01-01T12:00:00Z",
            "1970-01-01 14:00:00+02",
            "1970-01-01 10:30:00.000000-01:30",
            "1970-01-01 10:30-0130",
        ] {
            assert_eq!(timestamp_of(text), noon, "{text}");
        }
        assert_eq!(
            timestamp_of("1970-01-01 12:00:00.000"),
            Some((DAY / 2, false))
        );
        assert_eq!(timestamp_of("1970-01-02"), Some((DAY, false)));
        assert_eq!(micros_of("24:00:00"), Some(DAY));
    }
}
