//! Which Arrow type a PostgreSQL type becomes.
//!
//! | PostgreSQL | Arrow |
//! |---|---|
//! | `bool`; `int2`, `int4`, `int8`; `float4`, `float8`; `oid` | Boolean; Int16, 32, 64; Float32, 64; UInt32 |
//! | `numeric(p,s)`, p up to 38, up to 76 | Decimal128, Decimal256 |
//! | `bytea` | Binary |
//! | `uuid` | FixedSizeBinary(16), `arrow.uuid` |
//! | `json`, `jsonb` | Utf8, `arrow.json` |
//! | `date`; `time`; `timestamp`; `timestamptz` | Date32; Time64(µs); Timestamp(µs); Timestamp(µs, UTC) |
//! | `interval` | Interval(MonthDayNano) |
//! | everything else, as the type's own output function writes it | Utf8 |
//!
//! A domain arrives as the type below it. Every field carries the type as the server writes
//! it in the metadata `dagflux:type`; an enum's field its labels in `dagflux:enum`.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use dagflux_guest::Layout;

/// Metadata: the type as the server writes it, modifier included.
pub const TYPE_KEY: &str = "dagflux:type";
/// Metadata: the labels of an enum in order, as a JSON array.
pub const ENUM_KEY: &str = "dagflux:enum";
/// Metadata: the name of an Arrow extension type.
const EXTENSION_KEY: &str = "ARROW:extension:name";
/// Metadata: the parameters of an Arrow extension type.
const EXTENSION_METADATA_KEY: &str = "ARROW:extension:metadata";

/// The object ids of the types the connector knows, from PostgreSQL's `pg_type.dat`. They are
/// the same in every version and database.
pub mod oid {
    #![allow(missing_docs)]
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const JSON: u32 = 114;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
}

/// How the values of a column arrive and what they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// Two bytes.
    Int2,
    /// Four bytes.
    Int4,
    /// Eight bytes.
    Int8,
    /// Four bytes, unsigned.
    Oid,
    /// Four bytes.
    Float4,
    /// Eight bytes.
    Float8,
    /// Digits, into 128 bits.
    Decimal128 {
        /// The most digits.
        precision: u8,
        /// How many of them are behind the point.
        scale: i8,
    },
    /// Digits, into 256 bits.
    Decimal256 {
        /// The most digits.
        precision: u8,
        /// How many of them are behind the point.
        scale: i8,
    },
    /// UTF-8 text, which is the same in both formats.
    Text,
    /// UTF-8 text behind a version byte.
    Jsonb,
    /// Bytes.
    Bytea,
    /// Sixteen bytes.
    Uuid,
    /// Days since 2000-01-01, four bytes.
    Date,
    /// Microseconds since midnight, eight bytes.
    Time,
    /// Microseconds since 2000-01-01, eight bytes.
    Timestamp,
    /// Microseconds, days, months: eight, four, four bytes.
    Interval,
    /// Whatever the type's output function writes. The only kind asked for as text.
    Output,
}

impl Kind {
    /// Whether values are asked for in the binary format.
    pub fn is_binary(self) -> bool {
        self != Kind::Output
    }

    /// How the Arrow values lie in memory.
    pub fn layout(self) -> Layout {
        match self {
            Kind::Bool => Layout::Bits,
            Kind::Int2 => Layout::Fixed(2),
            Kind::Int4 | Kind::Oid | Kind::Float4 | Kind::Date => Layout::Fixed(4),
            Kind::Int8 | Kind::Float8 | Kind::Time | Kind::Timestamp => Layout::Fixed(8),
            Kind::Decimal128 { .. } | Kind::Uuid | Kind::Interval => Layout::Fixed(16),
            Kind::Decimal256 { .. } => Layout::Fixed(32),
            Kind::Text | Kind::Jsonb | Kind::Bytea | Kind::Output => Layout::Variable,
        }
    }

    /// Whether the Arrow values are text.
    pub fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::Jsonb | Kind::Output)
    }
}

/// What a PostgreSQL type becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// How values arrive.
    pub kind: Kind,
    /// The Arrow type.
    pub arrow: DataType,
    /// The Arrow extension type that says what the values mean.
    pub extension: Option<&'static str>,
    /// The type as the server writes it; none for one that only the server can name.
    pub name: Option<String>,
}

/// What the type with the object id `type_oid` and `modifier` becomes.
pub fn map(type_oid: u32, modifier: i32) -> Mapping {
    let (kind, arrow) = match type_oid {
        oid::BOOL => (Kind::Bool, DataType::Boolean),
        oid::INT2 => (Kind::Int2, DataType::Int16),
        oid::INT4 => (Kind::Int4, DataType::Int32),
        oid::INT8 => (Kind::Int8, DataType::Int64),
        oid::OID => (Kind::Oid, DataType::UInt32),
        oid::FLOAT4 => (Kind::Float4, DataType::Float32),
        oid::FLOAT8 => (Kind::Float8, DataType::Float64),
        oid::NUMERIC => decimal(modifier),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::UNKNOWN => {
            (Kind::Text, DataType::Utf8)
        }
        oid::JSONB => (Kind::Jsonb, DataType::Utf8),
        oid::BYTEA => (Kind::Bytea, DataType::Binary),
        oid::UUID => (Kind::Uuid, DataType::FixedSizeBinary(16)),
        oid::DATE => (Kind::Date, DataType::Date32),
        oid::TIME => (Kind::Time, DataType::Time64(TimeUnit::Microsecond)),
        oid::TIMESTAMP => (
            Kind::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        oid::TIMESTAMPTZ => (
            Kind::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        oid::INTERVAL => (
            Kind::Interval,
            DataType::Interval(IntervalUnit::MonthDayNano),
        ),
        _ => (Kind::Output, DataType::Utf8),
    };
    let extension = match type_oid {
        oid::UUID => Some("arrow.uuid"),
        oid::JSON | oid::JSONB => Some("arrow.json"),
        _ => None,
    };
    Mapping {
        kind,
        arrow,
        extension,
        name: type_name(type_oid, modifier),
    }
}

impl Mapping {
    /// The Arrow field of a column of this type.
    ///
    /// `type_name` and `labels` are what the server says of a type that only it can name.
    pub fn field(&self, name: &str, type_name: Option<&str>, labels: Option<&str>) -> Field {
        let mut metadata = HashMap::new();
        if let Some(type_name) = type_name.or(self.name.as_deref()) {
            metadata.insert(TYPE_KEY.to_owned(), type_name.to_owned());
        }
        if let Some(labels) = labels {
            metadata.insert(ENUM_KEY.to_owned(), labels.to_owned());
        }
        if let Some(extension) = self.extension {
            metadata.insert(EXTENSION_KEY.to_owned(), extension.to_owned());
            if extension == "arrow.json" {
                metadata.insert(EXTENSION_METADATA_KEY.to_owned(), String::new());
            }
        }
        Field::new(name, self.arrow.clone(), true).with_metadata(metadata)
    }
}

/// The precision and scale of a `numeric`'s modifier.
///
/// The scale is 11 bits, signed from PostgreSQL 15 on; before it was never above 1000, which
/// reads the same.
pub fn precision_and_scale(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let scale = packed & 0x7ff;
    Some((packed >> 16, (scale ^ 1024) - 1024))
}

/// The modifier that [`precision_and_scale`] takes apart.
pub fn numeric_modifier(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

fn decimal(modifier: i32) -> (Kind, DataType) {
    let text = (Kind::Output, DataType::Utf8);
    let Some((precision, scale)) = precision_and_scale(modifier) else {
        return text;
    };
    // `numeric(3,5)` holds at most 0.00999: Arrow wants the precision to cover the scale.
    let precision = precision.max(scale);
    let (Ok(precision), Ok(scale)) = (u8::try_from(precision), i8::try_from(scale)) else {
        return text;
    };
    match precision {
        1..=38 => (
            Kind::Decimal128 { precision, scale },
            DataType::Decimal128(precision, scale),
        ),
        39..=76 => (
            Kind::Decimal256 { precision, scale },
            DataType::Decimal256(precision, scale),
        ),
        _ => text,
    }
}

/// The type as `format_type` writes it, for the built-in types that are common enough not to
/// ask for.
fn type_name(type_oid: u32, modifier: i32) -> Option<String> {
    let plain = match type_oid {
        oid::BOOL => "boolean",
        oid::BYTEA => "bytea",
        oid::CHAR => "\"char\"",
        oid::NAME => "name",
        oid::INT8 => "bigint",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::TEXT => "text",
        oid::OID => "oid",
        oid::JSON => "json",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::UNKNOWN => "unknown",
        oid::DATE => "date",
        oid::UUID => "uuid",
        oid::JSONB => "jsonb",
        oid::NUMERIC => {
            return Some(match precision_and_scale(modifier) {
                Some((precision, scale)) => format!("numeric({precision},{scale})"),
                None => "numeric".into(),
            });
        }
        oid::VARCHAR => return Some(with_length("character varying", modifier)),
        oid::BPCHAR if modifier < 4 => return Some("bpchar".into()),
        oid::BPCHAR => return Some(with_length("character", modifier)),
        oid::TIME => return Some(with_precision("time", modifier, " without time zone")),
        oid::TIMESTAMP => {
            return Some(with_precision("timestamp", modifier, " without time zone"));
        }
        oid::TIMESTAMPTZ => return Some(with_precision("timestamp", modifier, " with time zone")),
        oid::INTERVAL if modifier < 0 => "interval",
        // With a modifier, an interval's name has a grammar of its own.
        _ => return None,
    };
    Some(plain.into())
}

fn with_length(name: &str, modifier: i32) -> String {
    match modifier.checked_sub(4) {
        Some(length @ 0..) => format!("{name}({length})"),
        _ => name.into(),
    }
}

fn with_precision(name: &str, modifier: i32, zone: &str) -> String {
    match modifier {
        0.. => format!("{name}({modifier}){zone}"),
        _ => format!("{name}{zone}"),
    }
}
