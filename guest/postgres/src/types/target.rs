//! Which Arrow types a column of a PostgreSQL type takes, and how.

use arrow_schema::{DataType, IntervalUnit};

use super::mapping::{EXTENSION_KEY, precision_and_scale};
use super::oid;
use super::pg_type::{Class, Extension, Typed};

/// How many lists lie in one another at most. Source: PostgreSQL, `MAXDIM`.
const MOST_DIMENSIONS: usize = 6;

/// What a column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `boolean`.
    Bool,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `oid`.
    Oid,
    /// `real`.
    Float4,
    /// `double precision`.
    Float8,
    /// `numeric`.
    Numeric {
        /// The decimal places the column keeps; none if it keeps them all.
        scale: Option<i32>,
    },
    /// `text` and its like, enums.
    Text,
    /// `varchar` of so many characters: what is longer by blanks would be cut off.
    Varchar(usize),
    /// `name`: what is longer than it keeps would be cut off.
    Name,
    /// `"char"`: all but the first byte would be cut off.
    Char,
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `bytea`.
    Bytea,
    /// PostGIS geometry: EWKB, which is hexadecimal digits as text.
    Geometry,
    /// `uuid`.
    Uuid,
    /// `date`.
    Date,
    /// `time`.
    Time {
        /// What its values are a multiple of, in microseconds.
        grain: i64,
    },
    /// `timestamp` and `timestamptz`.
    Timestamp {
        /// What its values are a multiple of, in microseconds.
        grain: i64,
        /// Whether they are points in time, not readings of a clock.
        zone: bool,
    },
    /// `interval`.
    Interval {
        /// Down to what it keeps its values.
        finest: Finest,
    },
    /// An array.
    Array {
        /// What its elements take.
        element: Box<Target>,
        /// The type of its elements.
        element_oid: u32,
        /// What stands between them in text.
        delimiter: char,
    },
    /// A composite, by its attributes.
    Composite(Vec<Part>),
    /// `hstore`.
    Hstore,
    /// `vector`.
    Vector,
    /// `halfvec`.
    HalfVector,
    /// Any other type: text, which the type's own input function reads.
    Other,
}

/// An attribute of a composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_oid: u32,
    /// What it takes.
    pub target: Target,
}

/// The finest part of an interval that a column keeps; it keeps all that are coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finest {
    /// Whole years.
    Years,
    /// Months.
    Months,
    /// Days.
    Days,
    /// Time, in multiples of so many microseconds.
    Time(i64),
}

impl Target {
    /// What a column of the type takes.
    pub fn of(typed: &Typed) -> Self {
        let typed = typed.below_domains();
        match &typed.pg.class {
            Class::Base | Class::Domain(_) => Self::scalar(typed.pg.oid, typed.modifier),
            // The binary form of an enum is its label.
            Class::Enum(_) | Class::Extension(Extension::Citext) => Target::Text,
            Class::Array { element, delimiter } => Target::Array {
                element: Box::new(Self::of(&typed.element(element))),
                element_oid: element.oid,
                delimiter: *delimiter,
            },
            Class::Composite(attributes) => Target::Composite(
                attributes
                    .iter()
                    .map(|attribute| Part {
                        name: attribute.name.clone(),
                        type_oid: attribute.typed.pg.oid,
                        target: Self::of(&attribute.typed),
                    })
                    .collect(),
            ),
            Class::Extension(Extension::Hstore) => Target::Hstore,
            Class::Extension(Extension::Vector) => Target::Vector,
            Class::Extension(Extension::Geometry) => Target::Geometry,
            // Half-precision floats go as text.
            Class::Extension(Extension::HalfVector) => Target::HalfVector,
        }
    }

    fn scalar(type_oid: u32, modifier: i32) -> Self {
        match type_oid {
            oid::BOOL => Target::Bool,
            oid::INT2 => Target::Int2,
            oid::INT4 => Target::Int4,
            oid::INT8 => Target::Int8,
            oid::OID => Target::Oid,
            oid::FLOAT4 => Target::Float4,
            oid::FLOAT8 => Target::Float8,
            oid::NUMERIC => Target::Numeric {
                scale: precision_and_scale(modifier).map(|(_, scale)| scale),
            },
            oid::TEXT | oid::BPCHAR => Target::Text,
            oid::VARCHAR => match modifier.checked_sub(4).map(usize::try_from) {
                Some(Ok(length)) => Target::Varchar(length),
                _ => Target::Text,
            },
            oid::NAME => Target::Name,
            oid::CHAR => Target::Char,
            oid::JSON => Target::Json,
            oid::JSONB => Target::Jsonb,
            oid::BYTEA => Target::Bytea,
            oid::UUID => Target::Uuid,
            oid::DATE => Target::Date,
            oid::TIME => Target::Time {
                grain: grain(modifier),
            },
            oid::TIMESTAMP => Target::Timestamp {
                grain: grain(modifier),
                zone: false,
            },
            oid::TIMESTAMPTZ => Target::Timestamp {
                grain: grain(modifier),
                zone: true,
            },
            oid::INTERVAL => interval(modifier),
            _ => Target::Other,
        }
    }

    /// Whether values of the Arrow type can be written to such a column.
    ///
    /// Text fits everything: the type's own input function reads it.
    pub fn takes(&self, arrow: &DataType) -> bool {
        if is_text(arrow) || *arrow == DataType::Null {
            return true;
        }
        match *self {
            Target::Bool => *arrow == DataType::Boolean,
            Target::Int2 | Target::Int4 | Target::Int8 | Target::Oid => arrow.is_integer(),
            Target::Float4 | Target::Float8 => arrow.is_integer() || arrow.is_floating(),
            Target::Numeric { .. } => {
                arrow.is_integer()
                    || matches!(arrow, DataType::Decimal128(..) | DataType::Decimal256(..))
            }
            Target::Bytea | Target::Geometry => is_bytes(arrow),
            Target::Uuid => *arrow == DataType::FixedSizeBinary(16),
            Target::Date => matches!(arrow, DataType::Date32 | DataType::Date64),
            Target::Time { .. } => matches!(arrow, DataType::Time32(_) | DataType::Time64(_)),
            Target::Timestamp { zone, .. } => {
                matches!(arrow, DataType::Timestamp(_, given) if given.is_some() == zone)
            }
            Target::Interval { .. } => matches!(
                arrow,
                DataType::Interval(
                    IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano
                ) | DataType::Duration(_)
            ),
            Target::Array { ref element, .. } => match elements(arrow, element) {
                Some((leaf, levels)) => levels <= MOST_DIMENSIONS && element.takes(leaf),
                None => false,
            },
            // All attributes, so that none becomes null unasked.
            Target::Composite(ref parts) => match arrow {
                DataType::Struct(fields) => {
                    fields.len() == parts.len()
                        && parts.iter().all(|part| {
                            let field = fields.iter().find(|field| *field.name() == part.name);
                            field.is_some_and(|field| part.target.takes(field.data_type()))
                        })
                }
                _ => false,
            },
            Target::Hstore => match arrow {
                DataType::Map(entries, _) => match entries.data_type() {
                    DataType::Struct(fields) => fields.iter().all(|f| is_text(f.data_type())),
                    _ => false,
                },
                _ => false,
            },
            Target::Vector | Target::HalfVector => {
                let leaf = list_of(arrow);
                matches!(leaf, Some(DataType::Float32 | DataType::Float16))
            }
            Target::Json | Target::Jsonb => is_document(arrow),
            Target::Text | Target::Varchar(_) | Target::Name | Target::Char | Target::Other => {
                false
            }
        }
    }

    /// Whether values of the Arrow type, which it takes, have a binary form for it.
    pub fn is_binary(&self, arrow: &DataType) -> bool {
        if *arrow == DataType::Null {
            return true;
        }
        match self {
            Target::Text | Target::Varchar(_) | Target::Name | Target::Json | Target::Jsonb => true,
            Target::Char | Target::Other | Target::HalfVector => false,
            Target::Array { element, .. } => {
                elements(arrow, element).is_some_and(|(leaf, _)| element.is_binary(leaf))
            }
            Target::Composite(parts) => match arrow {
                DataType::Struct(fields) => fields.iter().all(|field| {
                    parts.iter().any(|part| {
                        part.name == *field.name() && part.target.is_binary(field.data_type())
                    })
                }),
                _ => false,
            },
            _ => !is_text(arrow),
        }
    }

    /// Whether lists become values of it as they are: `of_text` if they are lists of text in
    /// the end, which for JSON are not values but lists of them.
    pub fn is_list(&self, of_text: bool) -> bool {
        match self {
            Target::Array { .. } | Target::Vector | Target::HalfVector => true,
            Target::Json | Target::Jsonb => !of_text,
            _ => false,
        }
    }

    /// The decimal places the column keeps; none if it keeps them all.
    pub fn scale(&self) -> Option<i32> {
        match *self {
            Target::Numeric { scale } => scale,
            _ => None,
        }
    }

    /// What the column's values are a multiple of, in microseconds.
    pub fn grain(&self) -> i64 {
        match *self {
            Target::Time { grain } | Target::Timestamp { grain, .. } => grain,
            _ => 1,
        }
    }
}

/// The microseconds that a time of `modifier` decimal places is counted in.
fn grain(modifier: i32) -> i64 {
    match modifier {
        0 => 1_000_000,
        1 => 100_000,
        2 => 10_000,
        3 => 1000,
        4 => 100,
        5 => 10,
        _ => 1,
    }
}

/// The upper half of an interval's modifier says which of its parts it keeps, the lower one how
/// many decimal places of the seconds.
///
/// Source: PostgreSQL, `src/include/utils/timestamp.h`, and `AdjustIntervalForTypmod`, which
/// cuts off what is finer than the finest part named, and nothing else.
fn interval(modifier: i32) -> Target {
    const YEAR: i32 = 1 << 2;
    const MONTH: i32 = 1 << 1;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    let parts = modifier >> 16;
    let has = |part| parts & part != 0;
    let finest = if modifier < 0 {
        Finest::Time(1)
    } else if has(SECOND) {
        Finest::Time(grain(modifier & 0xffff))
    } else if has(MINUTE) {
        Finest::Time(60_000_000)
    } else if has(HOUR) {
        Finest::Time(3_600_000_000)
    } else if has(DAY) {
        Finest::Days
    } else if has(MONTH) {
        Finest::Months
    } else if has(YEAR) {
        Finest::Years
    } else {
        Finest::Time(1)
    };
    Target::Interval { finest }
}

/// What a list is a list of.
fn list_of(arrow: &DataType) -> Option<&DataType> {
    match arrow {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

/// What lists in one another are made of that become an array of `element`, and how many there
/// are. A list that is an element itself, such as a vector, is not one of them.
fn elements<'a>(arrow: &'a DataType, element: &Target) -> Option<(&'a DataType, usize)> {
    let first = list_of(arrow)?;
    let mut leaf = first;
    let mut levels = 1_usize;
    while let Some(inner) = list_of(leaf) {
        leaf = inner;
        levels = levels.saturating_add(1);
    }
    Some(match element.is_list(is_text(leaf)) {
        true => (first, 1),
        false => (leaf, levels),
    })
}

/// Whether it has parts, down to the last of which there is a form as JSON.
fn is_document(arrow: &DataType) -> bool {
    let fits = |part: &DataType| is_document(part) || natural(part, None).is_some();
    match arrow {
        DataType::Struct(fields) => fields.iter().enumerate().all(|(at, field)| {
            // Of two members of one name, one would get lost.
            let twice = fields.iter().take(at).any(|f| f.name() == field.name());
            !twice && fits(field.data_type())
        }),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.iter().all(|field| fits(field.data_type())),
            _ => false,
        },
        arrow => list_of(arrow).is_some_and(fits),
    }
}

/// Whether it is text.
pub fn is_text(arrow: &DataType) -> bool {
    matches!(
        arrow,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

fn is_bytes(arrow: &DataType) -> bool {
    matches!(
        arrow,
        DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
    )
}

/// The PostgreSQL type that holds every value of an Arrow type, for a new column. None if there
/// is no such type.
pub fn natural(arrow: &DataType, extension: Option<&str>) -> Option<String> {
    let name = match arrow {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 => "numeric(20,0)",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            return Some(match *scale {
                0.. => format!("numeric({precision},{scale})"),
                // Negative scales exist only since PostgreSQL 15.
                scale => {
                    let digits = i32::from(*precision).saturating_sub(scale.into());
                    format!("numeric({digits},0)")
                }
            });
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match extension {
            // `json` keeps the text as it is.
            Some("arrow.json") => "json",
            _ => "text",
        },
        DataType::Null => "text",
        DataType::FixedSizeBinary(16) if extension == Some("arrow.uuid") => "uuid",
        arrow if is_bytes(arrow) => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let extension = item.metadata().get(EXTENSION_KEY).map(String::as_str);
            return Some(format!("{}[]", natural(item.data_type(), extension)?));
        }
        arrow if is_document(arrow) => "jsonb",
        _ => return None,
    };
    Some(name.into())
}
