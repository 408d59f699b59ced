//! Which Arrow type a column of the workspace becomes, and how Arrow's values are stored.
//!
//! A SQLite column has a declared type, which is text, and by a rule of SQLite an affinity; its
//! values can be of any type nevertheless. What a column becomes is told by the declared type:
//!
//! | declared type | Arrow | values that fit it |
//! |---|---|---|
//! | `BOOLEAN`, `BOOL` | Boolean | 0, 1, and the texts `true` and `false` |
//! | `INTEGER`, `BIGINT`, all with `INT` in them | Int64 | integers, and reals that are whole |
//! | `REAL`, `DOUBLE`, `FLOAT`; `NUMERIC`, `DECIMAL` without digits or with more than 38 | Float64 | reals, integers up to 2⁵³, the texts `NaN`, `Infinity`, `-Infinity` |
//! | `DECIMAL(p,s)`, `NUMERIC(p,s)` | Decimal128(p, s) | integers; reals by their 15 significant digits; digits as text |
//! | `DECIMAL_TEXT(p,s)` | Decimal128(p, s) | the same, and kept as text, exact up to 38 digits |
//! | `DATE` | Date32 | `YYYY-MM-DD` |
//! | `TIME` | Time64(µs) | `HH:MM`, `HH:MM:SS` and up to six decimals |
//! | `TIMESTAMP`, `DATETIME` | Timestamp(µs) | date and time, or a date, without a zone |
//! | `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE` | Timestamp(µs, UTC) | the same with a zone; without one, UTC, as SQLite's functions give it |
//! | `UUID` | FixedSizeBinary(16), `arrow.uuid` | hyphenated text, 16 bytes |
//! | `JSON`, `JSON_TEXT` | Utf8, `arrow.json` | text, numbers |
//! | `BLOB`, `BINARY`, `VARBINARY`, `BYTEA` | Binary | blobs |
//! | `TEXT`, `VARCHAR`, all with `CHAR`, `CLOB` or `TEXT` in them; `STRING`, `INTERVAL` | Utf8 | text, numbers |
//! | anything else, and expressions | by the values of the first batch | |
//!
//! Where there is no declared type, integers are Int64, reals and integers up to 2⁵³ together
//! Float64, blobs Binary, text and everything mixed Utf8; so are columns in which nothing but
//! NULL was seen. A value that does not fit is a loss, and the caller's
//! [`LossPolicy`](crate::LossPolicy) says what becomes of it.
//!
//! What Arrow's values are stored as:
//!
//! | Arrow | stored as |
//! |---|---|
//! | Boolean | 0, 1 |
//! | integers | integers; beyond 64 bits with sign, a loss where the column is not text |
//! | floats | reals, −0 as 0; NaN, which SQLite does not know, is a loss where the column is not text |
//! | decimals | digits in a column of text; else an integer or a real of 15 digits, and what neither holds is a loss |
//! | Date32, Date64 | `YYYY-MM-DD` |
//! | times | `HH:MM:SS.ffffff` |
//! | timestamps | `YYYY-MM-DD HH:MM:SS.ffffff`; with a time zone, UTC and `Z` behind it; what is finer than microseconds is a loss |
//! | intervals, durations | text |
//! | text | text; digits in a column of numbers as the number, if they say no more than that |
//! | bytes | blobs |
//! | UUIDs | hyphenated text |
//! | lists, records, maps | JSON: decimals, times, UUIDs and bytes (`\x…`) in quotes |
//!
//! A value is also held against the declared type of its column when it is written: what would
//! not be read back is a loss then, not later. [`declaration`] gives each Arrow type a declared
//! type that keeps all of its values.

use arrow_schema::extension::{Json, Uuid};
use arrow_schema::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, TimeUnit};

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Float,
    Decimal { precision: u8, scale: i8 },
    Date,
    Time,
    Timestamp { zone: bool },
    Text,
    Json,
    Uuid,
    Binary,
}

impl Kind {
    /// What a declared type says; none if it says nothing.
    pub fn declared(declared: &str) -> Option<Self> {
        let declared = declared.to_ascii_uppercase();
        let (name, digits) = match declared.split_once('(') {
            Some((name, digits)) => (name, digits.split_once(')').map(|(digits, _)| digits)),
            None => (declared.as_str(), None),
        };
        let words: Vec<_> = name.split_ascii_whitespace().collect();
        Some(match words.join(" ").as_str() {
            "BOOLEAN" | "BOOL" => Self::Boolean,
            "DATE" => Self::Date,
            "TIME" | "TIME WITHOUT TIME ZONE" => Self::Time,
            "TIMESTAMP" | "DATETIME" | "TIMESTAMP WITHOUT TIME ZONE" => {
                Self::Timestamp { zone: false }
            }
            "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => Self::Timestamp { zone: true },
            "DECIMAL" | "NUMERIC" | "DEC" | "NUMBER" | "DECIMAL_TEXT" => {
                decimal(digits).unwrap_or(match name.contains("TEXT") {
                    true => Self::Text,
                    false => Self::Float,
                })
            }
            "UUID" => Self::Uuid,
            "JSON" | "JSONB" | "JSON_TEXT" => Self::Json,
            "BINARY" | "VARBINARY" | "BYTEA" => Self::Binary,
            "STRING" | "INTERVAL" => Self::Text,
            _ => match Affinity::of(&declared) {
                Affinity::Integer => Self::Integer,
                Affinity::Text => Self::Text,
                Affinity::Real => Self::Float,
                Affinity::Blob if !declared.is_empty() => Self::Binary,
                Affinity::Blob | Affinity::Numeric => return None,
            },
        })
    }

    /// The column in Arrow.
    pub fn field(self, name: &str) -> Field {
        let micros = TimeUnit::Microsecond;
        let field = |kind| Field::new(name, kind, true);
        field(match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(micros),
            Self::Timestamp { zone } => DataType::Timestamp(micros, zone.then(|| "UTC".into())),
            Self::Text => DataType::Utf8,
            Self::Json => return field(DataType::Utf8).with_extension_type(Json::default()),
            Self::Uuid => return field(DataType::FixedSizeBinary(16)).with_extension_type(Uuid),
            Self::Binary => DataType::Binary,
        })
    }

    /// Whether its values are numbers, however they are written.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float | Self::Decimal { .. })
    }

    /// Whether its values are text already.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Json)
    }
}

/// The digits of a decimal, as in `15,2`, if Arrow has such a one in 128 bits.
fn decimal(digits: Option<&str>) -> Option<Kind> {
    let (precision, scale) = match digits?.split_once(',') {
        Some((precision, scale)) => (precision.trim(), scale.trim()),
        None => (digits?.trim(), "0"),
    };
    let (precision, scale): (u8, i8) = (precision.parse().ok()?, scale.parse().ok()?);
    let fits = (1..=DECIMAL128_MAX_PRECISION).contains(&precision)
        && u8::try_from(scale).is_ok_and(|scale| scale <= precision);
    fits.then_some(Kind::Decimal { precision, scale })
}

/// What SQLite turns values of other types into: <https://sqlite.org/datatype3.html#affinity>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Text,
    Numeric,
    Integer,
    Real,
    Blob,
}

impl Affinity {
    /// That of a declared type.
    pub fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        match () {
            () if has(&["INT"]) => Self::Integer,
            () if has(&["CHAR", "CLOB", "TEXT"]) => Self::Text,
            () if has(&["BLOB"]) || declared.is_empty() => Self::Blob,
            () if has(&["REAL", "FLOA", "DOUB"]) => Self::Real,
            () => Self::Numeric,
        }
    }

    /// Whether text that looks like a number becomes one.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Numeric | Self::Integer | Self::Real)
    }
}

/// The digits that a double always tells apart.
pub(super) const FLOAT_DIGITS: usize = 15;

/// The digits that 64 bits always hold.
const INTEGER_DIGITS: u8 = 18;

/// A declared type that keeps every value of a column of Arrow, apart from what SQLite does not
/// know, which is NaN.
pub fn declaration(field: &Field) -> String {
    let decimal = |precision: u8, scale: i8| {
        // One of a negative scale has as many digits more.
        let digits = i16::from(precision).saturating_sub(i16::from(scale.min(0)));
        let scale = scale.max(0);
        let whole = scale == 0 && digits <= i16::from(INTEGER_DIGITS);
        match usize::try_from(digits) {
            _ if digits > i16::from(DECIMAL128_MAX_PRECISION) => "TEXT".to_owned(),
            Ok(digits) if whole || digits <= FLOAT_DIGITS => format!("DECIMAL({digits},{scale})"),
            _ => format!("DECIMAL_TEXT({digits},{scale})"),
        }
    };
    match field.data_type() {
        DataType::Boolean => "BOOLEAN",
        DataType::UInt64 => "DECIMAL_TEXT(20,0)",
        kind if kind.is_integer() => "BIGINT",
        kind if kind.is_floating() => "DOUBLE",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return decimal(*precision, *scale),
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ",
        DataType::FixedSizeBinary(16) if field.extension_type_name() == Some("arrow.uuid") => {
            "UUID"
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "BLOB",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            if field.extension_type_name() == Some("arrow.json") =>
        {
            "JSON_TEXT"
        }
        DataType::Dictionary(_, values) => {
            let values = Field::new(field.name(), values.as_ref().clone(), true);
            return declaration(&values.with_metadata(field.metadata().clone()));
        }
        kind if kind.is_nested() => "JSON_TEXT",
        _ => "TEXT",
    }
    .to_owned()
}

/// A `CREATE TABLE` that keeps every value of rows of a schema, as [`declaration`] has it.
pub fn create_table(table: &str, schema: &Schema) -> String {
    let column =
        |field: &std::sync::Arc<Field>| format!("{} {}", quoted(field.name()), declaration(field));
    let columns: Vec<_> = schema.fields().iter().map(column).collect();
    format!("CREATE TABLE {} ({})", quoted(table), columns.join(", "))
}

/// A name in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types() {
        let decimal = |precision, scale| Some(Kind::Decimal { precision, scale });
        for (declared, kind) in [
            ("INTEGER", Some(Kind::Integer)),
            ("unsigned big int", Some(Kind::Integer)),
            ("boolean", Some(Kind::Boolean)),
            ("double precision", Some(Kind::Float)),
            ("NUMERIC", Some(Kind::Float)),
            ("decimal(15,2)", decimal(15, 2)),
            ("Numeric( 15 , 2 )", decimal(15, 2)),
            ("DECIMAL(9)", decimal(9, 0)),
            ("DECIMAL(39,2)", Some(Kind::Float)),
            ("DECIMAL(2,3)", Some(Kind::Float)),
            ("DECIMAL_TEXT(38,10)", decimal(38, 10)),
            ("DATE", Some(Kind::Date)),
            ("TIME", Some(Kind::Time)),
            ("datetime", Some(Kind::Timestamp { zone: false })),
            (
                "timestamp with  time zone",
                Some(Kind::Timestamp { zone: true }),
            ),
            ("TIMESTAMPTZ", Some(Kind::Timestamp { zone: true })),
            ("VARCHAR(20)", Some(Kind::Text)),
            ("STRING", Some(Kind::Text)),
            ("INTERVAL", Some(Kind::Text)),
            ("JSON", Some(Kind::Json)),
            ("uuid", Some(Kind::Uuid)),
            ("BLOB", Some(Kind::Binary)),
            ("VARBINARY(16)", Some(Kind::Binary)),
            ("", None),
            ("MONEY", None),
        ] {
            assert_eq!(Kind::declared(declared), kind, "{declared}");
        }
    }

    #[test]
    fn affinities_are_those_of_sqlite() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for declared in [
            "INT",
            "POINT",
            "VARCHAR(3)",
            "TEXT",
            "CLOB",
            "BLOB",
            "",
            "REAL",
            "DOUBLE",
            "FLOAT",
            "NUMERIC",
            "DATE",
            "STRING",
            "DECIMAL_TEXT(38,2)",
            "JSON_TEXT",
            "UUID",
            "CHARINT",
        ] {
            connection
                .execute_batch(&format!(
                    "DROP TABLE IF EXISTS t; CREATE TABLE t (c {declared});
                     INSERT INTO t VALUES ('5'), (5)"
                ))
                .unwrap();
            let types: String = connection
                .query_row("SELECT group_concat(typeof(c)) FROM t", [], |row| {
                    row.get(0)
                })
                .unwrap();
            let expected = match Affinity::of(declared) {
                Affinity::Text => "text,text",
                Affinity::Numeric | Affinity::Integer => "integer,integer",
                Affinity::Real => "real,real",
                Affinity::Blob => "text,integer",
            };
            assert_eq!(types, expected, "{declared}");
        }
    }

    #[test]
    fn names_are_quoted() {
        let schema = Schema::new(vec![Field::new("a\"b", DataType::Int32, true)]);
        assert_eq!(
            create_table("or\"der", &schema),
            r#"CREATE TABLE "or""der" ("a""b" BIGINT)"#
        );
    }
}
