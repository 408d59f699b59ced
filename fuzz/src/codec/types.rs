//! Types made up by a fuzzer.

use std::rc::Rc;

use dagflux_postgres::types::oid;
use dagflux_postgres::types::pg_type::{Attribute, Class, Extension, PgType, Typed};

use super::Input;

/// The types that the connector knows.
const SCALARS: [u32; 24] = [
    oid::BOOL,
    oid::BYTEA,
    oid::CHAR,
    oid::NAME,
    oid::INT8,
    oid::INT2,
    oid::INT4,
    oid::TEXT,
    oid::OID,
    oid::JSON,
    oid::XML,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::UNKNOWN,
    oid::BPCHAR,
    oid::VARCHAR,
    oid::DATE,
    oid::TIME,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::NUMERIC,
    oid::UUID,
    oid::JSONB,
];

const EXTENSIONS: [Extension; 5] = [
    Extension::Hstore,
    Extension::Citext,
    Extension::Vector,
    Extension::HalfVector,
    Extension::Geometry,
];

/// How deep types lie in one another.
const DEEPEST: u32 = 5;

/// The next type.
pub fn typed(input: &mut Input<'_>) -> Typed {
    nested(input, DEEPEST)
}

fn nested(input: &mut Input<'_>, depth: u32) -> Typed {
    let kind = usize::from(input.byte());
    let mut type_oid = 100_000;
    let class = match (kind % 48, depth.checked_sub(1)) {
        (at, _) if at < SCALARS.len() => {
            type_oid = SCALARS[at];
            Class::Base
        }
        (at @ 24..29, _) => Class::Extension(EXTENSIONS[at - 24]),
        (29, _) => Class::Enum("[\"a\",\"b\"]".into()),
        (30..36, Some(depth)) => Class::Array {
            element: nested(input, depth).pg,
            delimiter: match input.byte() % 4 {
                0 => ';',
                _ => ',',
            },
        },
        (36..42, Some(depth)) => {
            let attributes = 0..input.byte() % 4;
            let attributes = attributes.map(|at| Attribute {
                name: format!("a{at}"),
                typed: nested(input, depth),
            });
            Class::Composite(attributes.collect())
        }
        (42..45, Some(depth)) => Class::Domain(nested(input, depth)),
        // A type that only the server knows.
        _ => Class::Base,
    };
    Typed {
        pg: Rc::new(PgType::new(type_oid, class)),
        modifier: modifier(input),
        name: "a type".into(),
    }
}

/// A modifier: most types have none, and few have one of more than two digits.
fn modifier(input: &mut Input<'_>) -> i32 {
    match input.byte() {
        0..128 => -1,
        // A `numeric` of a precision and a scale.
        128..192 => (i32::from(input.byte()) << 16 | i32::from(input.short() & 0x7ff)) + 4,
        192..224 => i32::from(input.byte()),
        _ => input.word() as i32,
    }
}
