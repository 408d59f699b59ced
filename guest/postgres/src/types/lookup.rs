//! Asking the server what types are made of: one statement for any number of them.
//!
//! Nothing but `pg_catalog` is looked at, by full names, and with operators that it has for
//! exactly the types on both sides, so that no search path can put something else in their
//! place (see [`crate::catalog`]). What comes back is the server's, and is taken with care: a
//! type that is said to be made of itself is no loop.

use std::collections::HashMap;
use std::rc::Rc;

use dagflux_guest::Result;

use super::literal;
use super::pg_type::{Attribute, Class, Extension, PgType, Typed};
use crate::catalog::{columns_of, required};
use crate::protocol::Violation;
use crate::protocol::backend::TextRow;
use crate::session::Session;

/// How deep types are followed into one another; what is deeper than they may be
/// ([`PgType::new`]), and what is made of itself, is only known by its text.
const DEEPEST: usize = 64;

/// The most types that the columns of a result may be made of together, beyond one for each. With
/// what is kept of each, this is some tens of MiB.
const MOST_PARTS: usize = 50_000;

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub typed: Typed,
    /// How many dimensions it was declared with, if it is an array. The server does not hold
    /// values to it.
    pub dimensions: u32,
}

/// The statement that tells what the types in `roots` are made of. `roots` is a query of: a
/// number (64 bits), a type, a modifier, a name, a number of dimensions.
///
/// What was reached goes through an array, of which the server expects ten elements. Of the
/// recursion it expects thousands of rows, which to it seem worth compiling the statement: a
/// second, for what takes a millisecond.
fn statement(roots: &str) -> String {
    format!(
        "WITH RECURSIVE roots(ord, type, modifier, name, dims) AS ({roots}), \
         reached(oid) AS (SELECT type FROM roots UNION SELECT c.oid FROM reached r \
         JOIN pg_catalog.pg_type t ON t.oid = r.oid CROSS JOIN LATERAL (\
         SELECT t.typelem WHERE t.typtype = 'b' AND t.typoutput::pg_catalog.oid = 'pg_catalog.array_out'::pg_catalog.regproc::pg_catalog.oid \
         UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd' \
         UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' \
         AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) c(oid)) \
         SELECT ord, type, modifier, pg_catalog.format_type(type, modifier), name, dims::pg_catalog.text, \
         NULL, NULL, NULL, NULL, NULL FROM roots UNION ALL \
         SELECT NULL::pg_catalog.int8, t.oid, t.typtypmod, \
         CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, \
         t.typname::pg_catalog.text, \
         CASE WHEN t.typtype = 'b' AND t.typoutput::pg_catalog.oid = 'pg_catalog.array_out'::pg_catalog.regproc::pg_catalog.oid THEN 'a' ELSE t.typtype::pg_catalog.text END, \
         CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END::pg_catalog.text, \
         t.typdelim::pg_catalog.text, \
         (SELECT e.extname::pg_catalog.text FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
         WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid AND d.objid = t.oid \
         AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid AND d.deptype = 'e' LIMIT 1), \
         CASE WHEN t.typtype = 'e' THEN (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)::pg_catalog.text \
         FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END, \
         CASE WHEN t.typtype = 'c' THEN (SELECT pg_catalog.array_agg(v.part ORDER BY a.attnum, v.at)::pg_catalog.text \
         FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL (VALUES (1, a.attname::pg_catalog.text), \
         (2, a.atttypid::pg_catalog.text), (3, a.atttypmod::pg_catalog.text), \
         (4, pg_catalog.format_type(a.atttypid, a.atttypmod))) v(at, part) \
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END \
         FROM pg_catalog.pg_type t WHERE t.oid = ANY (ARRAY(SELECT oid FROM reached))"
    )
}

/// Puts the question for a table's columns into the flight; [`of_table`] reads the answer.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask_for_table(session: &mut Session, schema: &str, table: &str) -> Result<()> {
    let sql = statement(
        "SELECT a.attnum::pg_catalog.int8, a.atttypid, a.atttypmod, a.attname::pg_catalog.text, a.attndims::pg_catalog.int4 \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
         AND a.attnum > 0 AND NOT a.attisdropped",
    );
    session.ask(&sql, &[Some(schema), Some(table)])
}

/// The columns of a table, from the answer to [`ask_for_table`]; none if there is no such table.
///
/// # Errors
/// When the answer is no such answer.
pub fn of_table(rows: Vec<TextRow>) -> Result<Vec<Column>> {
    let answer = Answer::read(rows)?;
    let mut known = HashMap::new();
    let mut parts = Parts::default();
    let mut roots = answer.roots.clone();
    roots.sort_by_key(|root| root.ordinal);
    roots
        .into_iter()
        .map(|root| {
            let typed = answer.typed(root.type_oid, root.modifier, root.type_name, &mut known)?;
            Ok(Column {
                typed: parts.within(typed),
                name: required(root.name)?,
                dimensions: root.dimensions,
            })
        })
        .collect()
}

/// The types with these object ids and modifiers, in their order. Asks only if there is one
/// that needs asking.
///
/// # Errors
/// What the server reports.
pub fn types(session: &mut Session, wanted: &[(u32, i32)]) -> Result<Vec<Typed>> {
    let known: Option<Vec<_>> = wanted
        .iter()
        .map(|(type_oid, modifier)| Typed::known(*type_oid, *modifier))
        .collect();
    if let Some(known) = known {
        return Ok(known);
    }
    let array = |values: Vec<String>| format!("{{{}}}", values.join(","));
    let oids = array(wanted.iter().map(|(oid, _)| oid.to_string()).collect());
    let modifiers = array(wanted.iter().map(|(_, m)| m.to_string()).collect());
    let sql = statement(
        "SELECT u.ord, u.type, u.modifier, NULL::pg_catalog.text, 1 \
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[])) \
         WITH ORDINALITY AS u(type, modifier, ord)",
    );
    let rows = session.rows(&sql, &[Some(&oids), Some(&modifiers)])?;
    let answer = Answer::read(rows)?;
    let names: HashMap<_, _> = answer
        .roots
        .iter()
        .map(|root| ((root.type_oid, root.modifier), root.type_name.clone()))
        .collect();
    let mut known = HashMap::new();
    let mut parts = Parts::default();
    wanted
        .iter()
        .map(|key| match names.get(key) {
            Some(name) => {
                let typed = answer.typed(key.0, key.1, name.clone(), &mut known)?;
                Ok(parts.within(typed))
            }
            None => Ok(Typed::unknown(key.0)),
        })
        .collect()
}

/// How many types the columns so far are made of. They share what they are made of, but what is
/// decoded and encoded by does not.
#[derive(Default)]
struct Parts(usize);

impl Parts {
    /// The type of the next column; only known by its text if it would be too much.
    fn within(&mut self, typed: Typed) -> Typed {
        let parts = self.0.saturating_add(typed.pg.parts.saturating_sub(1));
        if parts > MOST_PARTS {
            return typed.opaque();
        }
        self.0 = parts;
        typed
    }
}

/// What was asked for, and what it is made of.
struct Answer {
    roots: Vec<Root>,
    types: HashMap<u32, Described>,
}

#[derive(Clone)]
struct Root {
    ordinal: i64,
    type_oid: u32,
    modifier: i32,
    type_name: String,
    name: Option<String>,
    dimensions: u32,
}

/// A type as the catalog has it.
struct Described {
    name: String,
    class: char,
    /// The type of the elements, or the one below a domain.
    below: u32,
    below_modifier: i32,
    below_name: Option<String>,
    delimiter: char,
    extension: Option<String>,
    labels: Option<String>,
    attributes: Vec<(String, u32, i32, String)>,
}

impl Answer {
    fn read(rows: Vec<TextRow>) -> Result<Self> {
        let mut answer = Self {
            roots: Vec::new(),
            types: HashMap::new(),
        };
        for row in rows {
            let [
                ordinal,
                type_oid,
                modifier,
                type_name,
                name,
                class,
                below,
                delimiter,
                extension,
                labels,
                attributes,
            ] = columns_of(row)?;
            let type_oid = number(&required(type_oid)?)?;
            let modifier = number(&required(modifier)?)?;
            if let Some(ordinal) = ordinal {
                answer.roots.push(Root {
                    ordinal: number(&ordinal)?,
                    type_oid,
                    modifier,
                    // A type that is gone has none.
                    type_name: type_name.unwrap_or_else(|| "unknown".into()),
                    name,
                    dimensions: number(&required(class)?)?,
                });
                continue;
            }
            let described = Described {
                name: required(name)?,
                class: first(class)?,
                below: number(&required(below)?)?,
                below_modifier: modifier,
                below_name: type_name,
                delimiter: first(delimiter)?,
                extension,
                labels,
                attributes: attributes
                    .as_deref()
                    .map_or(Ok(Vec::new()), attributes_of)?,
            };
            answer.types.insert(type_oid, described);
        }
        Ok(answer)
    }

    fn typed(
        &self,
        type_oid: u32,
        modifier: i32,
        name: String,
        known: &mut HashMap<u32, Rc<PgType>>,
    ) -> Result<Typed> {
        Ok(Typed {
            pg: self.pg_type(type_oid, known, DEEPEST)?,
            modifier,
            name,
        })
    }

    fn pg_type(
        &self,
        type_oid: u32,
        known: &mut HashMap<u32, Rc<PgType>>,
        depth: usize,
    ) -> Result<Rc<PgType>> {
        if let Some(pg_type) = known.get(&type_oid) {
            return Ok(Rc::clone(pg_type));
        }
        let class = match (self.types.get(&type_oid), depth.checked_sub(1)) {
            (Some(described), Some(depth)) => self.class(described, known, depth)?,
            _ => Class::Base,
        };
        let pg_type = Rc::new(PgType::new(type_oid, class));
        known.insert(type_oid, Rc::clone(&pg_type));
        Ok(pg_type)
    }

    fn class(
        &self,
        described: &Described,
        known: &mut HashMap<u32, Rc<PgType>>,
        depth: usize,
    ) -> Result<Class> {
        Ok(match described.class {
            'a' => Class::Array {
                element: self.pg_type(described.below, known, depth)?,
                delimiter: described.delimiter,
            },
            'e' => Class::Enum(described.labels.clone().unwrap_or_else(|| "[]".into())),
            'd' => Class::Domain(Typed {
                pg: self.pg_type(described.below, known, depth)?,
                modifier: described.below_modifier,
                name: required(described.below_name.clone())?,
            }),
            'c' => Class::Composite(
                described
                    .attributes
                    .iter()
                    .map(|(name, type_oid, modifier, type_name)| {
                        Ok(Attribute {
                            name: name.clone(),
                            typed: Typed {
                                pg: self.pg_type(*type_oid, known, depth)?,
                                modifier: *modifier,
                                name: type_name.clone(),
                            },
                        })
                    })
                    .collect::<Result<_>>()?,
            ),
            _ => described
                .extension
                .as_deref()
                .and_then(|extension| Extension::of(extension, &described.name))
                .map_or(Class::Base, Class::Extension),
        })
    }
}

/// Attributes, four elements of an array each.
fn attributes_of(text: &str) -> Result<Vec<(String, u32, i32, String)>> {
    let malformed = || Violation::new("attributes of a type that cannot be read");
    let array = literal::array(text, ',').ok_or_else(malformed)?;
    let mut attributes = Vec::new();
    let mut parts = array.elements.into_iter();
    while let Some(name) = parts.next() {
        let mut part =
            || -> Result<String> { Ok(parts.next().flatten().ok_or_else(malformed)?.into_owned()) };
        let (type_oid, modifier, type_name) = (part()?, part()?, part()?);
        attributes.push((
            name.ok_or_else(malformed)?.into_owned(),
            number(&type_oid)?,
            number(&modifier)?,
            type_name,
        ));
    }
    Ok(attributes)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Violation::new("a number of the catalog that is not one").into())
}

fn first(text: Option<String>) -> Result<char> {
    Ok(text
        .as_deref()
        .and_then(|text| text.chars().next())
        .ok_or_else(|| Violation::new("nothing where the catalog has a letter"))?)
}
