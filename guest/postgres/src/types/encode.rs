//! Cells as `COPY ... FROM STDIN` takes them, in its binary and its text format.
//!
//! Manual: `COPY`, "Text Format" and "Binary Format".

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::cell::Cell;
use super::numeric;

/// What the binary format begins with: a signature, no flags, no extension.
pub const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub const BINARY_TRAILER: &[u8] = &[0xff, 0xff];

/// Appends a cell in the binary format: its length, then its bytes.
#[inline]
pub fn binary(cell: Cell<'_>, out: &mut BytesMut) {
    match cell {
        Cell::Null => out.put_i32(-1),
        Cell::Bool(value) => {
            out.put_i32(1);
            out.put_u8(value.into());
        }
        Cell::Int2(value) => {
            out.put_i32(2);
            out.put_i16(value);
        }
        Cell::Int4(value) | Cell::Date(value) => {
            out.put_i32(4);
            out.put_i32(value);
        }
        Cell::Oid(value) => {
            out.put_i32(4);
            out.put_u32(value);
        }
        Cell::Float4(value) => {
            out.put_i32(4);
            out.put_f32(value);
        }
        Cell::Int8(value)
        | Cell::Time(value)
        | Cell::Timestamp(value)
        | Cell::TimestampTz(value) => {
            out.put_i32(8);
            out.put_i64(value);
        }
        Cell::Float8(value) => {
            out.put_i32(8);
            out.put_f64(value);
        }
        Cell::Decimal(unscaled, scale) => {
            counted(out, |out| numeric::encode_i128(unscaled, scale, out));
        }
        Cell::WideDecimal(unscaled, scale) => {
            counted(out, |out| numeric::encode_i256(unscaled, scale, out));
        }
        Cell::Text(text) => bytes(text.as_bytes(), out),
        Cell::Jsonb(text) => counted(out, |out| {
            out.put_u8(1);
            out.put_slice(text.as_bytes());
        }),
        Cell::Bytes(value) => bytes(value, out),
        Cell::Uuid(value) => bytes(&value, out),
        Cell::Interval {
            months,
            days,
            micros,
        } => {
            out.put_i32(16);
            out.put_i64(micros);
            out.put_i32(days);
            out.put_i32(months);
        }
    }
}

fn bytes(value: &[u8], out: &mut BytesMut) {
    counted(out, |out| out.put_slice(value));
}

/// Appends what `write` appends, with its length before it.
#[inline]
fn counted(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_i32(0);
    write(out);
    set_length(out, at, 4);
}

/// Writes, at `at`, how many bytes follow the first `own` bytes from there.
#[inline]
pub fn set_length(out: &mut BytesMut, at: usize, own: usize) {
    // A message stays far below 2 GiB: it holds one Arrow batch at most.
    let length = out.len().saturating_sub(at).saturating_sub(own) as u32;
    if let Some(slot) = out
        .get_mut(at..)
        .and_then(|bytes| bytes.first_chunk_mut::<4>())
    {
        *slot = length.to_be_bytes();
    }
}

/// Appends a cell in the text format.
pub fn text(cell: Cell<'_>, out: &mut BytesMut) {
    match cell {
        Cell::Null => out.put_slice(b"\\N"),
        Cell::Text(text) | Cell::Jsonb(text) => escape(text, out),
        // Nothing below needs escaping, but for the backslash of bytes, which is doubled.
        Cell::Bytes(value) => {
            out.put_slice(b"\\\\x");
            for byte in value {
                write(out, format_args!("{byte:02x}"));
            }
        }
        Cell::Bool(value) => out.put_u8(if value { b't' } else { b'f' }),
        Cell::Int2(value) => write(out, format_args!("{value}")),
        Cell::Int4(value) => write(out, format_args!("{value}")),
        Cell::Int8(value) => write(out, format_args!("{value}")),
        Cell::Oid(value) => write(out, format_args!("{value}")),
        // The shortest digits that read back as the same number.
        Cell::Float4(value) => write(out, format_args!("{value:?}")),
        Cell::Float8(value) => write(out, format_args!("{value:?}")),
        Cell::Decimal(unscaled, scale) => {
            out.put_slice(decimal_text(&unscaled.to_string(), scale).as_bytes());
        }
        Cell::WideDecimal(unscaled, scale) => {
            out.put_slice(decimal_text(&unscaled.to_string(), scale).as_bytes());
        }
        Cell::Uuid(value) => {
            for byte in value {
                write(out, format_args!("{byte:02x}"));
            }
        }
        Cell::Date(days) => {
            let era = date(i64::from(days), out);
            out.put_slice(era.as_bytes());
        }
        Cell::Time(micros) => time(micros, out),
        Cell::Timestamp(micros) => timestamp(micros, "", out),
        Cell::TimestampTz(micros) => timestamp(micros, "+00", out),
        Cell::Interval {
            months,
            days,
            micros,
        } => write(
            out,
            format_args!("{months} months {days} days {micros} microseconds"),
        ),
    }
}

fn write(out: &mut BytesMut, arguments: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(arguments);
}

/// Appends text with what would end a value or a row escaped.
fn escape(text: &str, out: &mut BytesMut) {
    out.reserve(text.len());
    for byte in text.bytes() {
        match byte {
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            _ => out.put_u8(byte),
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
    if scale <= 0 {
        return format!("{sign}{digits}{}", "0".repeat(places));
    }
    let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    format!("{sign}{whole}.{fraction}")
}

/// Appends the date `days` after 2000-01-01; returns what marks its era, which comes last.
fn date(days: i64, out: &mut BytesMut) -> &'static str {
    let (year, month, day) = civil(days.saturating_add(10_957));
    // There is no year 0: before 1 comes 1 BC.
    let (shown, era) = match year {
        1.. => (year, ""),
        _ => (1_i64.saturating_sub(year), " BC"),
    };
    write(out, format_args!("{shown:04}-{month:02}-{day:02}"));
    era
}

fn time(micros: i64, out: &mut BytesMut) {
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

fn timestamp(micros: i64, zone: &str, out: &mut BytesMut) {
    const DAY: i64 = 86_400_000_000;
    let era = date(micros.div_euclid(DAY), out);
    out.put_u8(b' ');
    time(micros.rem_euclid(DAY), out);
    out.put_slice(zone.as_bytes());
    out.put_slice(era.as_bytes());
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
