//! Values of SQLite, and what they are in a column.

use std::borrow::Cow;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::calendar;
use super::losses::Reason;
use super::numbers::{self, Digits, WHOLE};
use super::types::{Affinity, Kind};

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    /// Text that is not UTF-8, which only other programs write.
    Garbled(&'a [u8]),
    Blob(Cow<'a, [u8]>),
}

impl<'a> From<ValueRef<'a>> for Stored<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.into()),
                Err(_) => Self::Garbled(bytes),
            },
            ValueRef::Blob(bytes) => Self::Blob(bytes.into()),
        }
    }
}

impl ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Garbled(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Stored<'_> {
    /// The same value, with bytes of its own.
    pub fn into_owned(self) -> Stored<'static> {
        match self {
            Self::Null => Stored::Null,
            Self::Integer(value) => Stored::Integer(value),
            Self::Real(value) => Stored::Real(value),
            Self::Text(text) => Stored::Text(text.into_owned().into()),
            Self::Garbled(bytes) => {
                Stored::Text(String::from_utf8_lossy(bytes).into_owned().into())
            }
            Self::Blob(bytes) => Stored::Blob(bytes.into_owned().into()),
        }
    }

    /// The value as text: numbers with all their digits, bytes in hexadecimal.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => "".into(),
            Self::Integer(value) => value.to_string().into(),
            Self::Real(value) => float(*value).into(),
            Self::Text(text) => text.as_ref().into(),
            Self::Garbled(bytes) => String::from_utf8_lossy(bytes),
            Self::Blob(bytes) => hex(bytes).into(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a real",
            Self::Text(_) => "text",
            Self::Garbled(_) => "text that is not UTF-8",
            Self::Blob(_) => "a blob",
        }
    }
}

/// A number of four or eight bytes with the shortest digits that read back the same.
pub fn float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        value => format!("{value:?}"),
    }
}

/// Bytes as `\x` and hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = "\\x".to_owned();
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Sixteen bytes with hyphens.
pub fn hyphenated(bytes: &[u8]) -> String {
    let digits = hex(bytes);
    let part = |from: usize, to: usize| digits.get(from + 2..to + 2).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits = text.replace('-', "");
    let hyphens = [8, 13, 18, 23]
        .iter()
        .all(|at| text.as_bytes().get(*at) == Some(&b'-'));
    let plain = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = (text.len() == 36 && hyphens && plain).then_some(digits)?;
    Some(u128::from_str_radix(&number, 16).ok()?.to_be_bytes())
}

/// A value as its column in Arrow has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(i128),
    Days(i32),
    Micros(i64),
    Text(Cow<'a, str>),
    Uuid([u8; 16]),
    Binary(&'a [u8]),
}

/// A value as one of a column.
///
/// # Errors
/// Why it is none.
pub fn cell<'a>(kind: Kind, value: &'a Stored<'a>) -> Result<Cell<'a>, Reason> {
    let misfit = || Err(Reason::Borrowed(value.word()));
    match (kind, value) {
        (_, Stored::Null) => Ok(Cell::Null),
        (_, Stored::Garbled(_)) => misfit(),
        (Kind::Boolean, Stored::Integer(0)) => Ok(Cell::Boolean(false)),
        (Kind::Boolean, Stored::Integer(1)) => Ok(Cell::Boolean(true)),
        (Kind::Boolean, Stored::Text(text)) if text.eq_ignore_ascii_case("true") => {
            Ok(Cell::Boolean(true))
        }
        (Kind::Boolean, Stored::Text(text)) if text.eq_ignore_ascii_case("false") => {
            Ok(Cell::Boolean(false))
        }
        (Kind::Integer, Stored::Integer(value)) => Ok(Cell::Integer(*value)),
        (Kind::Integer, Stored::Real(value)) => match value.trunc() == *value {
            true if value.abs() <= WHOLE as f64 => Ok(Cell::Integer(*value as i64)),
            true => Err("a real beyond 2^53".into()),
            false => Err("a real with decimals".into()),
        },
        (Kind::Float, Stored::Real(value)) => Ok(Cell::Float(*value)),
        (Kind::Float, Stored::Integer(value)) => match (-WHOLE..=WHOLE).contains(value) {
            true => Ok(Cell::Float(*value as f64)),
            false => Err("an integer beyond 2^53".into()),
        },
        (Kind::Float, Stored::Text(text)) => match text.as_ref() {
            "NaN" => Ok(Cell::Float(f64::NAN)),
            "Infinity" => Ok(Cell::Float(f64::INFINITY)),
            "-Infinity" => Ok(Cell::Float(f64::NEG_INFINITY)),
            _ => misfit(),
        },
        (Kind::Decimal { precision, scale }, value) => {
            let unscaled = match value {
                Stored::Integer(value) => {
                    Digits::of(&value.to_string()).and_then(|n| n.unscaled(precision, scale))
                }
                Stored::Real(value) => numbers::decimal(*value, precision, scale),
                Stored::Text(text) => match Digits::of(text) {
                    Some(number) => number.unscaled(precision, scale),
                    None => return misfit(),
                },
                _ => return misfit(),
            };
            let few = || format!("not exactly a DECIMAL({precision},{scale})").into();
            unscaled.map(Cell::Decimal).ok_or_else(few)
        }
        (Kind::Date, Stored::Text(text)) => calendar::days_of(text)
            .and_then(|days| i32::try_from(days).ok())
            .map(Cell::Days)
            .ok_or("text that is no date (YYYY-MM-DD)".into()),
        (Kind::Time, Stored::Text(text)) => calendar::micros_of(text)
            .map(Cell::Micros)
            .ok_or("text that is no time (HH:MM:SS.ffffff)".into()),
        (Kind::Timestamp { zone }, Stored::Text(text)) => match calendar::timestamp_of(text) {
            Some((_, true)) if !zone => Err("a timestamp with a time zone".into()),
            Some((micros, _)) => Ok(Cell::Micros(micros)),
            None => Err("text that is no timestamp (YYYY-MM-DD HH:MM:SS.ffffff)".into()),
        },
        (Kind::Uuid, Stored::Text(text)) => match uuid(text) {
            Some(bytes) => Ok(Cell::Uuid(bytes)),
            None => Err("text that is no UUID".into()),
        },
        (Kind::Uuid, Stored::Blob(bytes)) => match bytes.as_ref().try_into() {
            Ok(bytes) => Ok(Cell::Uuid(bytes)),
            Err(_) => misfit(),
        },
        (Kind::Binary, Stored::Blob(bytes)) => Ok(Cell::Binary(bytes)),
        (Kind::Text | Kind::Json, Stored::Text(text)) => Ok(Cell::Text(text.as_ref().into())),
        (Kind::Text | Kind::Json, Stored::Integer(_) | Stored::Real(_)) => {
            Ok(Cell::Text(value.text()))
        }
        _ => misfit(),
    }
}

/// A column of a table that is written to.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its type, as it was declared.
    pub declared: String,
    kind: Option<Kind>,
    affinity: Affinity,
}

impl Place {
    /// A column of a declared type.
    pub fn new(name: String, declared: String, strict: bool) -> Self {
        let affinity = match strict && declared.eq_ignore_ascii_case("ANY") {
            true => Affinity::Blob,
            false => Affinity::of(&declared),
        };
        Self {
            kind: Kind::declared(&declared),
            affinity,
            name,
            declared,
        }
    }

    /// What the declared type says.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The value as it will be in the column, and will be read from it.
    ///
    /// # Errors
    /// Why it would be another, and the value.
    pub fn fit<'a>(&self, value: Stored<'a>) -> Result<Stored<'a>, (Reason, Stored<'a>)> {
        let fitted = self.with_affinity(value)?;
        match self.kind.map(|kind| cell(kind, &fitted).map(drop)) {
            Some(Err(reason)) => Err((reason, fitted)),
            _ => Ok(fitted),
        }
    }

    /// Does what SQLite would, where that changes no more than how the value is written.
    fn with_affinity<'a>(&self, value: Stored<'a>) -> Result<Stored<'a>, (Reason, Stored<'a>)> {
        let number = self.kind.is_some_and(Kind::is_number);
        let changed: Result<_, &'static str> = match (self.affinity, &value) {
            (Affinity::Text, Stored::Integer(_) | Stored::Real(_)) => {
                Ok(Stored::Text(value.text().into_owned().into()))
            }
            (Affinity::Real, Stored::Integer(value)) => real(*value),
            (affinity, Stored::Text(text)) if affinity.is_number() && numbers::is_number(text) => {
                match numbers::stored(text) {
                    Some(Stored::Integer(value)) if number && affinity == Affinity::Real => {
                        real(value)
                    }
                    Some(stored) if number || stored.text() == *text => Ok(stored),
                    _ if number => Err("more digits than the column holds"),
                    _ => Err("text of digits, which the column turns into a number"),
                }
            }
            _ => return Ok(value),
        };
        changed.map_err(|reason| (reason.into(), value))
    }

    /// Text just as it is, if the column leaves it so.
    pub fn plain<'a>(&self, text: Cow<'a, str>) -> Option<Stored<'a>> {
        let changed = self.affinity.is_number() && numbers::is_number(&text);
        (!changed).then_some(Stored::Text(text))
    }

    /// Whether it is a column of text, which any value has.
    pub fn is_text(&self) -> bool {
        self.kind == Some(Kind::Text)
    }
}

fn real(value: i64) -> Result<Stored<'static>, &'static str> {
    match (-WHOLE..=WHOLE).contains(&value) {
        true => Ok(Stored::Real(value as f64)),
        false => Err("an integer beyond 2^53"),
    }
}
