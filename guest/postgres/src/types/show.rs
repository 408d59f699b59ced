//! Values as the server would write them, for errors and the ledger.

use super::cell::Cell;
use super::decode::interval_parts;
use super::mapping::Kind;
use super::nested::{self, Array};
use super::{encode, literal, numeric};

/// How many characters of a value are shown.
const SHOWN: usize = 100;

/// How many bytes of a value with parts are written at least before what is left is passed over:
/// it is not shown.
const LONGEST: usize = 16 * SHOWN;

/// A value as the server would write it, cut off if it is long.
pub fn value(kind: &Kind, bytes: &[u8]) -> String {
    // Of a long one no more is written than can be shown.
    let escaped = || bytes.get(..=SHOWN).unwrap_or(bytes).escape_ascii();
    let mut text = whole(kind, bytes).unwrap_or_else(|| escaped().to_string());
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn whole(kind: &Kind, bytes: &[u8]) -> Option<String> {
    let cell = match kind {
        Kind::Bool => Cell::Bool(*bytes.first()? != 0),
        Kind::Int2 => Cell::Int2(i16::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Int4 => Cell::Int4(i32::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Int8 => Cell::Int8(i64::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Oid => Cell::Oid(u32::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Float4 => Cell::Float4(f32::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Float8 => Cell::Float8(f64::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Decimal128 { .. } | Kind::Decimal256 { .. } | Kind::Numeric => {
            let mut text = Vec::new();
            numeric::to_text(bytes, &mut text).ok()?;
            return String::from_utf8(text).ok();
        }
        Kind::Text | Kind::Output | Kind::Char | Kind::TextList { .. } | Kind::Told(_) => {
            return std::str::from_utf8(bytes).map(str::to_owned).ok();
        }
        Kind::Jsonb => return std::str::from_utf8(bytes.get(1..)?).map(str::to_owned).ok(),
        Kind::Bytea => Cell::Bytes(bytes.get(..SHOWN).unwrap_or(bytes)),
        Kind::Uuid => Cell::Uuid(bytes.try_into().ok()?),
        Kind::Date => match i32::from_be_bytes(bytes.try_into().ok()?) {
            i32::MAX => return Some("infinity".into()),
            i32::MIN => return Some("-infinity".into()),
            days => Cell::Date(days),
        },
        Kind::Time => Cell::Time(i64::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Timestamp => match i64::from_be_bytes(bytes.try_into().ok()?) {
            i64::MAX => return Some("infinity".into()),
            i64::MIN => return Some("-infinity".into()),
            micros => Cell::Timestamp(micros),
        },
        Kind::Interval => {
            let parts = interval_parts(u128::from_be_bytes(bytes.try_into().ok()?));
            match parts {
                (i64::MAX, i32::MAX, i32::MAX) => return Some("infinity".into()),
                (i64::MIN, i32::MIN, i32::MIN) => return Some("-infinity".into()),
                (micros, days, months) => return Some(interval(months, days, micros)),
            }
        }
        Kind::List { element, .. } => return array(element, bytes),
        Kind::Struct(kinds) => return record(kinds, bytes),
        Kind::Hstore => return map(bytes),
        Kind::Vector { half, .. } => {
            let floats: Vec<_> = nested::floats(bytes, *half)
                .ok()?
                .iter()
                .map(f32::to_string)
                .collect();
            return Some(format!("[{}]", floats.join(",")));
        }
    };
    let mut text = String::new();
    encode::plain(cell, &mut text);
    if matches!(cell, Cell::Time(_) | Cell::Timestamp(_)) {
        trim(&mut text);
    }
    Some(text)
}

/// Removes the zeros at the end of a fraction of seconds, which an era may follow.
fn trim(text: &mut String) {
    let Some(point) = text.find('.') else { return };
    let fraction = text.split_off(point);
    let (digits, era) = match fraction.split_once(' ') {
        Some((digits, era)) => (digits, Some(era)),
        None => (fraction.as_str(), None),
    };
    text.push_str(digits.trim_end_matches('0').trim_end_matches('.'));
    if let Some(era) = era {
        text.push(' ');
        text.push_str(era);
    }
}

/// An interval in `IntervalStyle` postgres (`EncodeInterval`, `datetime.c`): a part that
/// follows a negative one has a sign.
fn interval(months: i32, days: i32, micros: i64) -> String {
    let mut out = String::new();
    let mut negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if out.is_empty() { "" } else { " " };
            let plus = if negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            out.push_str(&format!("{space}{plus}{value} {unit}{plural}"));
            negative = value < 0;
        }
    }
    if micros != 0 || out.is_empty() {
        let space = if out.is_empty() { "" } else { " " };
        let sign = match micros < 0 {
            true => "-",
            false if negative => "+",
            false => "",
        };
        let size = micros.unsigned_abs();
        let (seconds, fraction) = (size / 1_000_000, size % 1_000_000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let mut time = format!("{hours:02}:{minutes:02}:{seconds:02}.{fraction:06}");
        trim(&mut time);
        out.push_str(&format!("{space}{sign}{time}"));
    }
    out
}

fn array(element: &Kind, bytes: &[u8]) -> Option<String> {
    let mut array = Array::read(bytes).ok()?;
    let mut out = String::new();
    if array.dimensions.iter().any(|(_, from)| *from != 1) {
        for (length, from) in &array.dimensions {
            let last = i64::from(*from) + i64::try_from(*length).ok()? - 1;
            out.push_str(&format!("[{from}:{last}]"));
        }
        out.push('=');
    }
    let lengths: Vec<_> = array.dimensions.iter().map(|(length, _)| *length).collect();
    braces(&lengths, &mut out, &mut |out| {
        match array.element().ok()? {
            None => out.push_str("NULL"),
            Some(bytes) => {
                let text = whole(element, bytes)?;
                match needs_quotes(&text, "{}") || text.eq_ignore_ascii_case("NULL") {
                    true => literal::quote(&text, out),
                    false => out.push_str(&text),
                }
            }
        }
        (out.len() < LONGEST).then_some(())
    });
    Some(out)
}

/// Braces in one another, as many in each as `lengths` says, with elements in the innermost.
fn braces(
    lengths: &[usize],
    out: &mut String,
    element: &mut impl FnMut(&mut String) -> Option<()>,
) -> Option<()> {
    out.push('{');
    if let Some((length, inner)) = lengths.split_first() {
        for at in 0..*length {
            if at > 0 {
                out.push(',');
            }
            match inner {
                [] => element(out)?,
                inner => braces(inner, out, element)?,
            }
        }
    }
    out.push('}');
    Some(())
}

fn record(kinds: &[Kind], bytes: &[u8]) -> Option<String> {
    let mut out = String::from("(");
    for (at, (kind, value)) in kinds
        .iter()
        .zip(nested::attributes(bytes).ok()?)
        .enumerate()
    {
        if at > 0 {
            out.push(',');
        }
        if let Some(value) = value {
            let text = whole(kind, value)?;
            match needs_quotes(&text, "()") {
                // A record doubles what an array escapes.
                true => {
                    let text = text.replace('\\', "\\\\").replace('"', "\"\"");
                    out.push_str(&format!("\"{text}\""));
                }
                false => out.push_str(&text),
            }
        }
        if out.len() >= LONGEST {
            break;
        }
    }
    out.push(')');
    Some(out)
}

/// Whether the server puts text in quotes, within an array or a record of these brackets.
fn needs_quotes(text: &str, brackets: &str) -> bool {
    let special =
        |c: char| matches!(c, '"' | '\\' | ',') || brackets.contains(c) || c.is_ascii_whitespace();
    text.is_empty() || text.contains(special)
}

fn map(bytes: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    for (key, value) in nested::pairs(bytes).ok()? {
        let mut part = String::new();
        literal::quote(std::str::from_utf8(key).ok()?, &mut part);
        part.push_str("=>");
        match value {
            Some(value) => literal::quote(std::str::from_utf8(value).ok()?, &mut part),
            None => part.push_str("NULL"),
        }
        parts.push(part);
    }
    Some(parts.join(", "))
}
