//! Cells as `COPY ... FROM STDIN` takes them, in its binary and its text format.
//!
//! Manual: `COPY`, "Text Format" and "Binary Format".

use std::fmt::Write;

use super::cell::Cell;
use super::numeric;

/// What the binary format begins with: a signature, no flags, no extension.
pub const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub const BINARY_TRAILER: &[u8] = &[0xff, 0xff];
/// A null in the binary format: the length -1.
pub const BINARY_NULL: [u8; 4] = [0xff; 4];

/// Appends a cell in the binary format: its length, then its bytes.
pub fn binary(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.extend_from_slice(&BINARY_NULL),
        Cell::Bool(value) => bytes(&[u8::from(value)], out),
        Cell::Int2(value) => bytes(&value.to_be_bytes(), out),
        Cell::Int4(value) | Cell::Date(value) => bytes(&value.to_be_bytes(), out),
        Cell::Oid(value) => bytes(&value.to_be_bytes(), out),
        Cell::Float4(value) => bytes(&value.to_be_bytes(), out),
        Cell::Int8(value)
        | Cell::Time(value)
        | Cell::Timestamp(value)
        | Cell::TimestampTz(value) => bytes(&value.to_be_bytes(), out),
        Cell::Float8(value) => bytes(&value.to_be_bytes(), out),
        Cell::Decimal(unscaled, scale) => {
            counted(out, |out| numeric::encode_i128(unscaled, scale, out));
        }
        Cell::WideDecimal(unscaled, scale) => {
            counted(out, |out| numeric::encode_i256(unscaled, scale, out));
        }
        Cell::Text(text) => bytes(text.as_bytes(), out),
        Cell::Jsonb(text) => counted(out, |out| {
            out.push(1);
            out.extend_from_slice(text.as_bytes());
        }),
        Cell::Bytes(value) => bytes(value, out),
        Cell::Uuid(value) => bytes(&value, out),
        Cell::Interval {
            months,
            days,
            micros,
        } => counted(out, |out| {
            out.extend_from_slice(&micros.to_be_bytes());
            out.extend_from_slice(&days.to_be_bytes());
            out.extend_from_slice(&months.to_be_bytes());
        }),
    }
}

/// Appends bytes with their length before them.
#[inline(always)]
pub fn bytes(value: &[u8], out: &mut Vec<u8>) {
    // A batch holds less than 2 GiB.
    out.extend_from_slice(&(value.len() as u32).to_be_bytes());
    out.extend_from_slice(value);
}

/// Appends what `write` appends, with its length before it.
#[inline(always)]
pub fn counted<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = write(out);
    let length = out.len().saturating_sub(at).saturating_sub(4) as u32;
    if let Some(slot) = out.get_mut(at..).and_then(|out| out.first_chunk_mut()) {
        *slot = length.to_be_bytes();
    }
    written
}

/// Appends a cell that is not null as the server reads it, with nothing escaped.
pub fn plain(cell: Cell<'_>, out: &mut String) {
    match cell {
        Cell::Null => {}
        Cell::Text(text) | Cell::Jsonb(text) => out.push_str(text),
        Cell::Bytes(value) => {
            out.push_str("\\x");
            hexadecimal(value, out);
        }
        Cell::Bool(value) => out.push(if value { 't' } else { 'f' }),
        Cell::Int2(value) => write(out, format_args!("{value}")),
        Cell::Int4(value) => write(out, format_args!("{value}")),
        Cell::Int8(value) => write(out, format_args!("{value}")),
        Cell::Oid(value) => write(out, format_args!("{value}")),
        // The shortest digits that read back as the same number.
        Cell::Float4(value) => write(out, format_args!("{value:?}")),
        Cell::Float8(value) => write(out, format_args!("{value:?}")),
        Cell::Decimal(unscaled, scale) => {
            out.push_str(&decimal_text(&unscaled.to_string(), scale));
        }
        Cell::WideDecimal(unscaled, scale) => {
            out.push_str(&decimal_text(&unscaled.to_string(), scale));
        }
        Cell::Uuid(value) => hexadecimal(&value, out),
        Cell::Date(days) => {
            let era = date(i64::from(days), out);
            out.push_str(era);
        }
        Cell::Time(micros) => time(micros, out),
        Cell::Timestamp(micros) => timestamp(micros, "", out),
        Cell::TimestampTz(micros) => timestamp(micros, "+00", out),
        Cell::Interval {
            months,
            days,
            micros,
        } => {
            // The server reads numbers with a unit in 32 bits before version 15, but not a clock.
            let sign = if micros < 0 { '-' } else { '+' };
            write(out, format_args!("{months} mons {days} days {sign}"));
            clock(micros.unsigned_abs(), out);
        }
    }
}

/// Appends bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        write(out, format_args!("{byte:02x}"));
    }
}

fn write(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(arguments);
}

/// Appends text with what would end a value or a row of `COPY` escaped.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.push(byte),
        }
    }
}

/// A decimal as text, from the digits of its unscaled integer.
pub fn decimal_text(digits: &str, scale: i8) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 && digits == "0" {
        return digits.to_owned();
    }
    if scale <= 0 {
        return format!("{sign}{digits}{}", "0".repeat(places));
    }
    let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    format!("{sign}{whole}.{fraction}")
}

/// Appends the date `days` after 2000-01-01; returns what marks its era, which comes last.
fn date(days: i64, out: &mut String) -> &'static str {
    let (year, month, day) = civil(days.saturating_add(10_957));
    // There is no year 0: before 1 comes 1 BC.
    let (shown, era) = match year {
        1.. => (year, ""),
        _ => (1_i64.saturating_sub(year), " BC"),
    };
    write(out, format_args!("{shown:04}-{month:02}-{day:02}"));
    era
}

fn time(micros: i64, out: &mut String) {
    clock(micros.unsigned_abs(), out);
}

/// Appends hours, of which there may be any number, minutes and seconds.
fn clock(micros: u64, out: &mut String) {
    let seconds = micros / 1_000_000;
    write(
        out,
        format_args!(
            "{:02}:{:02}:{:02}.{:06}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            micros % 1_000_000
        ),
    );
}

fn timestamp(micros: i64, zone: &str, out: &mut String) {
    const DAY: i64 = 86_400_000_000;
    let era = date(micros.div_euclid(DAY), out);
    out.push(' ');
    time(micros.rem_euclid(DAY), out);
    out.push_str(zone);
    out.push_str(era);
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..10 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
