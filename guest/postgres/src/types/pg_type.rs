//! A type of the server: what it is made of, and what it is called.

use std::rc::Rc;

use super::mapping::precision_and_scale;
use super::oid;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgType {
    /// Its object id.
    pub oid: u32,
    /// What it is made of.
    pub class: Class,
    /// How many types it is made of in the end, each counted as often as it occurs.
    pub parts: usize,
    /// How deep types lie in one another in it.
    pub depth: usize,
}

/// The most types that one may be made of. A table has at most 1,600 columns.
const MOST_PARTS: usize = 10_000;

/// How deep types may lie in one another. People stop at three.
const DEEPEST: usize = 16;

impl PgType {
    /// A type of that class; one that is made of too much is only known by its text.
    pub fn new(oid: u32, class: Class) -> Self {
        let below: Vec<&PgType> = match &class {
            Class::Domain(base) => vec![&base.pg],
            Class::Array { element, .. } => vec![element],
            Class::Composite(attributes) => attributes
                .iter()
                .map(|part| part.typed.pg.as_ref())
                .collect(),
            Class::Base | Class::Enum(_) | Class::Extension(_) => Vec::new(),
        };
        let parts = below
            .iter()
            .fold(1, |sum: usize, part| sum.saturating_add(part.parts));
        let depth = below.iter().map(|part| part.depth).max().unwrap_or(0);
        let depth = depth.saturating_add(1);
        if parts > MOST_PARTS || depth > DEEPEST {
            return Self::new(oid, Class::Base);
        }
        Self {
            oid,
            class,
            parts,
            depth,
        }
    }
}

/// What a type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Nothing else: its object id says what it is, if the connector knows it.
    Base,
    /// Labels, as a JSON array in order.
    Enum(String),
    /// Another type, of whose values it takes some.
    Domain(Typed),
    /// Elements.
    Array {
        /// Their type; they share the array's modifier.
        element: Rc<PgType>,
        /// What stands between them in text: a comma for nearly all.
        delimiter: char,
    },
    /// Named attributes.
    Composite(Vec<Attribute>),
    /// What an extension makes of it.
    Extension(Extension),
}

/// A part of a composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub typed: Typed,
}

/// A type of an extension whose binary form the connector knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// Keys and values, of `hstore`.
    Hstore,
    /// Text that is compared without regard to case, of `citext`.
    Citext,
    /// Single-precision floats, of `vector`.
    Vector,
    /// Half-precision floats, of `vector`.
    HalfVector,
    /// Geometry and geography, of PostGIS.
    Geometry,
}

impl Extension {
    /// The type that the extension called `extension` calls `name`.
    pub fn of(extension: &str, name: &str) -> Option<Self> {
        Some(match (extension, name) {
            ("hstore", "hstore") => Self::Hstore,
            ("citext", "citext") => Self::Citext,
            ("vector", "vector") => Self::Vector,
            ("vector", "halfvec") => Self::HalfVector,
            ("postgis", "geometry" | "geography") => Self::Geometry,
            _ => return None,
        })
    }
}

/// A type with a modifier, such as a length or a precision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The type.
    pub pg: Rc<PgType>,
    /// The modifier, or -1.
    pub modifier: i32,
    /// Both, as the server writes them: `numeric(15,2)`.
    pub name: String,
}

impl Typed {
    /// A type that needs no asking: the common ones that every server has.
    pub fn known(type_oid: u32, modifier: i32) -> Option<Self> {
        Some(Self {
            name: known_name(type_oid, modifier)?,
            pg: Rc::new(PgType::new(type_oid, Class::Base)),
            modifier,
        })
    }

    /// A type that the server does not know: text, as far as anyone can tell.
    pub fn unknown(type_oid: u32) -> Self {
        Self {
            pg: Rc::new(PgType::new(type_oid, Class::Base)),
            modifier: -1,
            name: "unknown".into(),
        }
    }

    /// The type, only known by its text; of a domain the one below it, which results are
    /// described by.
    pub fn opaque(self) -> Self {
        let type_oid = self.below_domains().pg.oid;
        Self {
            pg: Rc::new(PgType::new(type_oid, Class::Base)),
            ..self
        }
    }

    /// The type below all domains.
    pub fn below_domains(&self) -> &Typed {
        let mut typed = self;
        while let Class::Domain(base) = &typed.pg.class {
            typed = base;
        }
        typed
    }

    /// The type of the elements, if it is an array of the type `element`.
    pub fn element(&self, element: &Rc<PgType>) -> Typed {
        Typed {
            pg: Rc::clone(element),
            modifier: self.modifier,
            // An array is called as its elements are, with brackets behind.
            name: self
                .name
                .strip_suffix("[]")
                .unwrap_or(&self.name)
                .to_owned(),
        }
    }
}

/// The type as `format_type` writes it, for the built-in types that are common enough not to
/// ask for.
fn known_name(type_oid: u32, modifier: i32) -> Option<String> {
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
        oid::XML => "xml",
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
