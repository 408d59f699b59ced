//! Which Arrow type a PostgreSQL type becomes.
//!
//! | PostgreSQL | Arrow |
//! |---|---|
//! | `bool`; `int2`, `int4`, `int8`; `float4`, `float8`; `oid` | Boolean; Int16, 32, 64; Float32, 64; UInt32 |
//! | `numeric(p,s)`, p up to 38, up to 76 | Decimal128, Decimal256 |
//! | `numeric` of more digits, or of any number | Utf8 |
//! | `bytea` | Binary |
//! | `uuid` | FixedSizeBinary(16), `arrow.uuid` |
//! | `json`, `jsonb` | Utf8, `arrow.json` |
//! | `date`; `time`; `timestamp`; `timestamptz` | Date32; Time64(µs); Timestamp(µs); Timestamp(µs, UTC) |
//! | `interval` | Interval(MonthDayNano) |
//! | array | List, one in another for each dimension that the column was declared with |
//! | composite | Struct |
//! | domain | as the type below it |
//! | `hstore` | Map<Utf8, Utf8> |
//! | `vector(n)`, `halfvec(n)` | FixedSizeList<Float32, n>; without n, List |
//! | PostGIS `geometry`, `geography` | Binary (EWKB), `geoarrow.wkb` |
//! | everything else, as the type's own output function writes it | Utf8 |
//!
//! Every field, those within others included, carries the type as the server writes it in the
//! metadata `dagflux:type`; an enum's field its labels in `dagflux:enum`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use dagflux_guest::bindings::exports::dagflux::connector::relational::OnLoss;
use dagflux_guest::{ColumnBuilder, Layout};

use super::oid;
use super::pg_type::{Attribute, Class, Extension, Typed};

/// Metadata: the type as the server writes it, modifier included.
pub const TYPE_KEY: &str = "dagflux:type";
/// Metadata: the labels of an enum in order, as a JSON array.
pub const ENUM_KEY: &str = "dagflux:enum";
/// Metadata: the name of an Arrow extension type.
pub const EXTENSION_KEY: &str = "ARROW:extension:name";
/// Metadata: the parameters of an Arrow extension type.
const EXTENSION_METADATA_KEY: &str = "ARROW:extension:metadata";

/// How the values of a column arrive and what they become.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Digits of any number, into text.
    Numeric,
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
    /// Elements of any number of dimensions.
    List {
        /// What the elements are.
        element: Box<Kind>,
        /// How many lists lie in one another.
        levels: usize,
    },
    /// Attributes.
    Struct(Vec<Kind>),
    /// Keys and values, both text.
    Hstore,
    /// A number of floats, of four bytes or of two.
    Vector {
        /// How many, if all values have as many.
        length: Option<usize>,
        /// Whether they have two bytes.
        half: bool,
    },
    /// Whatever the type's output function writes. Asked for as text.
    Output,
    /// As [`Kind::Output`], for `"char"`: a byte, which need not be a character in any encoding.
    Char,
    /// Elements of which there is only text: an array as text, taken apart. Asked for as text.
    TextList {
        /// What stands between elements.
        delimiter: char,
        /// How many lists lie in one another.
        levels: usize,
    },
    /// As [`Kind::Output`], because the caller chose text for what does not fit; and what it
    /// would otherwise be, to tell which values would not have fitted.
    Told(Box<Kind>),
}

impl Kind {
    /// Whether values are asked for in the binary format.
    pub fn is_binary(&self) -> bool {
        match self {
            Kind::Output | Kind::Char | Kind::TextList { .. } | Kind::Told(_) => false,
            Kind::List { element, .. } => element.is_binary(),
            Kind::Struct(fields) => fields.iter().all(Kind::is_binary),
            _ => true,
        }
    }

    /// Whether there are values that the Arrow type cannot hold. `checked` says whether text is
    /// known to be UTF-8.
    pub fn can_lose(&self, checked: bool) -> bool {
        match self {
            Kind::Decimal128 { .. }
            | Kind::Decimal256 { .. }
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::Interval
            | Kind::Char
            | Kind::List { .. }
            | Kind::TextList { .. } => true,
            Kind::Struct(fields) => fields.iter().any(|field| field.can_lose(checked)),
            Kind::Text | Kind::Jsonb | Kind::Hstore | Kind::Output => !checked,
            _ => false,
        }
    }

    /// Whether a value is one of the Arrow column's, without parts.
    pub fn is_nested(&self) -> bool {
        matches!(
            self,
            Kind::List { .. }
                | Kind::Struct(_)
                | Kind::Hstore
                | Kind::Vector { .. }
                | Kind::TextList { .. }
        )
    }

    /// An empty column of such values, with room for `rows`.
    pub fn builder(&self, rows: usize) -> ColumnBuilder {
        let lists = |levels: usize, element: ColumnBuilder| {
            (0..levels).fold(element, |inner, _| {
                ColumnBuilder::nested(Layout::List, vec![inner])
            })
        };
        let plain = |layout| ColumnBuilder::new(layout, rows);
        match self {
            Kind::Bool => plain(Layout::Bits),
            Kind::Int2 => plain(Layout::Fixed(2)),
            Kind::Int4 | Kind::Oid | Kind::Float4 | Kind::Date => plain(Layout::Fixed(4)),
            Kind::Int8 | Kind::Float8 | Kind::Time | Kind::Timestamp => plain(Layout::Fixed(8)),
            Kind::Decimal128 { .. } | Kind::Uuid | Kind::Interval => plain(Layout::Fixed(16)),
            Kind::Decimal256 { .. } => plain(Layout::Fixed(32)),
            Kind::Numeric
            | Kind::Text
            | Kind::Jsonb
            | Kind::Bytea
            | Kind::Output
            | Kind::Char
            | Kind::Told(_) => plain(Layout::Variable),
            Kind::List { element, levels } => lists(*levels, element.builder(0)),
            Kind::TextList { levels, .. } => {
                lists(*levels, ColumnBuilder::new(Layout::Variable, 0))
            }
            Kind::Struct(fields) => ColumnBuilder::nested(
                Layout::Struct,
                fields.iter().map(|field| field.builder(0)).collect(),
            ),
            Kind::Hstore => {
                let text = || ColumnBuilder::new(Layout::Variable, 0);
                let entries = ColumnBuilder::nested(Layout::Struct, vec![text(), text()]);
                ColumnBuilder::nested(Layout::List, vec![entries])
            }
            Kind::Vector { length, .. } => {
                let layout = length.map_or(Layout::List, Layout::FixedList);
                ColumnBuilder::nested(layout, vec![ColumnBuilder::new(Layout::Fixed(4), 0)])
            }
        }
    }
}

/// What a column becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// How values arrive.
    pub kind: Kind,
    /// The Arrow field.
    pub field: Field,
}

/// What a column of a type becomes.
///
/// `dimensions` is how many an array was declared with. With `told`, what the caller chose for
/// values that do not fit is text, and text may be anything if it is not `checked`.
pub fn map(name: &str, typed: &Typed, dimensions: u32, choice: OnLoss, checked: bool) -> Mapping {
    let natural = natural(name, typed, dimensions.clamp(1, 6) as usize);
    if choice != OnLoss::Text || !natural.kind.can_lose(checked) {
        return natural;
    }
    let metadata = natural.field.metadata().clone();
    let told = Field::new(name, DataType::Utf8, true).with_metadata(metadata);
    Mapping {
        kind: Kind::Told(Box::new(natural.kind)),
        field: without_extension(told),
    }
}

fn natural(name: &str, typed: &Typed, dimensions: usize) -> Mapping {
    let below = typed.below_domains();
    let mut metadata = HashMap::from([(TYPE_KEY.to_owned(), typed.name.clone())]);
    let (kind, arrow) = match &below.pg.class {
        Class::Base | Class::Domain(_) => {
            if let Some(extension) = extension(below.pg.oid) {
                metadata.insert(EXTENSION_KEY.to_owned(), extension.to_owned());
                if extension == "arrow.json" {
                    metadata.insert(EXTENSION_METADATA_KEY.to_owned(), String::new());
                }
            }
            scalar(below.pg.oid, below.modifier)
        }
        Class::Enum(labels) => {
            metadata.insert(ENUM_KEY.to_owned(), labels.clone());
            (Kind::Text, DataType::Utf8)
        }
        Class::Array { element, delimiter } => {
            if dimensions > 1 {
                // The server's word for the type leaves them out.
                let brackets = "[]".repeat(dimensions.saturating_sub(1));
                metadata.insert(TYPE_KEY.to_owned(), format!("{}{brackets}", typed.name));
            }
            let element = natural("item", &below.element(element), 1);
            list(element, *delimiter, dimensions)
        }
        Class::Composite(attributes) => composite(attributes),
        Class::Extension(Extension::Hstore) => (Kind::Hstore, hstore()),
        Class::Extension(Extension::Citext) => (Kind::Text, DataType::Utf8),
        Class::Extension(Extension::Vector) => vector(below.modifier, false),
        Class::Extension(Extension::HalfVector) => vector(below.modifier, true),
        Class::Extension(Extension::Geometry) => {
            metadata.insert(EXTENSION_KEY.to_owned(), "geoarrow.wkb".to_owned());
            (Kind::Bytea, DataType::Binary)
        }
    };
    Mapping {
        kind,
        field: Field::new(name, arrow, true).with_metadata(metadata),
    }
}

fn scalar(type_oid: u32, modifier: i32) -> (Kind, DataType) {
    match type_oid {
        oid::BOOL => (Kind::Bool, DataType::Boolean),
        oid::INT2 => (Kind::Int2, DataType::Int16),
        oid::INT4 => (Kind::Int4, DataType::Int32),
        oid::INT8 => (Kind::Int8, DataType::Int64),
        oid::OID => (Kind::Oid, DataType::UInt32),
        oid::FLOAT4 => (Kind::Float4, DataType::Float32),
        oid::FLOAT8 => (Kind::Float8, DataType::Float64),
        oid::NUMERIC => decimal(modifier),
        oid::TEXT
        | oid::VARCHAR
        | oid::BPCHAR
        | oid::NAME
        | oid::JSON
        | oid::XML
        | oid::UNKNOWN => (Kind::Text, DataType::Utf8),
        oid::CHAR => (Kind::Char, DataType::Utf8),
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
    }
}

/// The Arrow extension type that says what the values of a type mean.
fn extension(type_oid: u32) -> Option<&'static str> {
    match type_oid {
        oid::UUID => Some("arrow.uuid"),
        oid::JSON | oid::JSONB => Some("arrow.json"),
        _ => None,
    }
}

fn without_extension(field: Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove(EXTENSION_KEY);
    metadata.remove(EXTENSION_METADATA_KEY);
    field.with_metadata(metadata)
}

fn list(element: Mapping, delimiter: char, levels: usize) -> (Kind, DataType) {
    let kind = match element.kind {
        Kind::Output | Kind::Char => Kind::TextList { delimiter, levels },
        kind if kind.is_binary() => Kind::List {
            element: Box::new(kind),
            levels,
        },
        // Parts of parts of which there is only text.
        _ => return (Kind::Output, DataType::Utf8),
    };
    let mut arrow = DataType::List(Arc::new(element.field));
    for _ in 1..levels {
        arrow = DataType::List(Arc::new(Field::new("item", arrow, true)));
    }
    (kind, arrow)
}

fn composite(attributes: &[Attribute]) -> (Kind, DataType) {
    let parts: Vec<_> = attributes
        .iter()
        .map(|attribute| natural(&attribute.name, &attribute.typed, 1))
        .collect();
    // Arrow has no way to tell parts of one name apart, nor a struct without parts.
    if parts.is_empty() || !parts.iter().all(|part| part.kind.is_binary()) {
        return (Kind::Output, DataType::Utf8);
    }
    let (kinds, fields): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .map(|part| (part.kind, part.field))
        .unzip();
    (Kind::Struct(kinds), DataType::Struct(Fields::from(fields)))
}

fn hstore() -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    let entries = Field::new("entries", DataType::Struct(entries), false);
    DataType::Map(Arc::new(entries), false)
}

/// How many elements a vector has at most. Source: pgvector, `VECTOR_MAX_DIM`.
const MOST_VECTOR: usize = 16_000;

fn vector(modifier: i32, half: bool) -> (Kind, DataType) {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let length = usize::try_from(modifier)
        .ok()
        .filter(|length| (1..=MOST_VECTOR).contains(length));
    let arrow = match length {
        Some(_) => DataType::FixedSizeList(item, modifier),
        None => DataType::List(item),
    };
    (Kind::Vector { length, half }, arrow)
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
    let text = (Kind::Numeric, DataType::Utf8);
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
