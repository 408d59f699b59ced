//! A new table from an Arrow schema.
//!
//! A field's metadata may say what type its column had (`dagflux:type`). That text is the
//! caller's, so it is never pasted: it is taken apart by a strict grammar, put together
//! again from its quoted parts, and used only if the server knows the type and it takes the
//! field's Arrow type. Otherwise the column gets the type that holds every value of the Arrow type.

use std::collections::{HashMap, HashSet};

use arrow_schema::{Field, Schema};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use super::fault::{Doing, Fault, combined};
use super::typed;
use crate::catalog::{columns_of, required};
use crate::dialect::{LONGEST_NAME, array, qualified, quote};
use crate::protocol::Violation;
use crate::protocol::backend::Message;
use crate::session::Session;
use crate::types::lookup;
use crate::types::mapping::{EXTENSION_KEY, TYPE_KEY, precision_and_scale};
use crate::types::name::TypeName;
use crate::types::oid;
use crate::types::pg_type::Typed;
use crate::types::target::{Target, natural};

/// Where a table is created.
#[derive(Debug, Clone, Copy)]
pub enum Place<'n> {
    /// In this schema, to stay.
    Schema(&'n str),
    /// For the open transaction only.
    Temporary,
}

/// Creates the table within the open transaction; returns the statement that does.
///
/// # Errors
/// `schema-mismatch`, with everything that cannot be a column; `already-exists`;
/// `schema-not-found`; `permission-denied`.
pub fn create(
    session: &mut Session,
    place: Place<'_>,
    table: &str,
    arrow: &Schema,
    types: &[(String, String)],
) -> Result<String> {
    let mut faults = name_faults(table, arrow);
    let (wanted, unusable) = typed::wanted(types, arrow);
    faults.extend(unusable);
    let named: Vec<_> = arrow
        .fields()
        .iter()
        .map(|field| match wanted.get(field.name()) {
            Some((name, _)) => Some(name.clone()),
            None => TypeName::parse(field.metadata().get(TYPE_KEY)?),
        })
        .collect();
    let known = look_up(session, &named)?;
    let version = session.version();
    let mut columns = Vec::new();
    for (field, named) in arrow.fields().iter().zip(&named) {
        let restored = named
            .as_ref()
            .filter(|name| restores(name, field, &known, version))
            .map(TypeName::sql);
        if let (None, Some((name, text))) = (&restored, wanted.get(field.name())) {
            faults.push(match known.contains_key(&name.bare()) {
                true => Fault::column(
                    field.name(),
                    format!(
                        "\"{}\" is {}, which does not fit {text}",
                        field.name(),
                        field.data_type()
                    ),
                ),
                false => typed::unknown(field.name(), text),
            });
            continue;
        }
        let extension = field.metadata().get(EXTENSION_KEY);
        match restored.or_else(|| natural(field.data_type(), extension.map(String::as_str))) {
            Some(type_) => columns.push(format!("{} {type_}", quote(field.name()))),
            None => faults.push(
                Fault::column(
                    field.name(),
                    format!(
                        "no column type holds \"{}\", which is {}",
                        field.name(),
                        field.data_type()
                    ),
                )
                .with_remedy("cast the columns named to text or to a plain type"),
            ),
        }
    }
    if let Some(error) = combined(&faults, Doing::Creating) {
        return Err(error);
    }
    let columns = columns.join(", ");
    let statement = match place {
        Place::Schema(schema) => format!("CREATE TABLE {} ({columns})", qualified(schema, table)),
        Place::Temporary => format!(
            "CREATE TEMPORARY TABLE {} ({columns}) ON COMMIT DROP",
            quote(table)
        ),
    };
    session.simple(&statement)?;
    while session.outstanding() > 0 {
        match session.receive().map_err(|error| match place {
            Place::Schema(schema) => {
                crate::sqlstate::about_schema(error, "CREATE", schema, session.user())
            }
            Place::Temporary => may_not_create(session, error),
        })? {
            Message::CommandComplete(_) | Message::ReadyForQuery(_) => {}
            _ => return Err(session.unexpected("where a table is created")),
        }
    }
    Ok(statement)
}

/// The schema in which the session's temporary tables are, as the catalog names it.
///
/// # Errors
/// What the server reports.
pub fn temporary_schema(session: &mut Session) -> Result<String> {
    let rows = session.rows(
        "SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid = pg_catalog.pg_my_temp_schema()",
        &[],
    )?;
    match rows.into_iter().next() {
        Some(row) => {
            let [name] = columns_of(row)?;
            Ok(required(name)?)
        }
        None => Err(session.unexpected("in place of where temporary tables are")),
    }
}

fn may_not_create(session: &Session, error: Error) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied => error.with_hint(format!(
            "have the owner of the database run: GRANT TEMPORARY ON DATABASE {} TO {};",
            quote(&session.parameters().database),
            quote(session.user())
        )),
        _ => error,
    }
}

/// Whether a column of the named type exists and takes the field's values.
fn restores(name: &TypeName, field: &Field, known: &HashMap<String, Typed>, version: u32) -> bool {
    known.get(&name.bare()).is_some_and(|typed| {
        let typed = name.modified(typed);
        // A scale beyond the precision, or below zero, exists since PostgreSQL 15.
        let old = typed.pg.oid == oid::NUMERIC
            && version < 150_000
            && precision_and_scale(typed.modifier)
                .is_some_and(|(precision, scale)| !(0..=precision).contains(&scale));
        !old && Target::of(&typed).takes(field.data_type())
    })
}

/// Which of the types the server knows, by their names without modifiers.
fn look_up(session: &mut Session, named: &[Option<TypeName>]) -> Result<HashMap<String, Typed>> {
    let names: HashSet<_> = named
        .iter()
        .flatten()
        .map(|name| (name.bare(), name.schema().unwrap_or_default()))
        .collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let schemas = array(names.iter().map(|(_, schema)| schema.as_str()));
    let names = array(names.iter().map(|(name, _)| name.as_str()));
    // Of a schema that may not be used, the server would refuse to say anything. Types that no
    // column can have, such as `record`, are none.
    let rows = session.rows(
        "SELECT u.name, t.oid FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), \
         pg_catalog.unnest($2::pg_catalog.text[])) AS u(name, schema) \
         JOIN pg_catalog.pg_type t ON t.oid = (CASE WHEN u.schema = '' OR EXISTS (SELECT 1 \
         FROM pg_catalog.pg_namespace n WHERE n.nspname::pg_catalog.text = u.schema \
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')) \
         THEN pg_catalog.to_regtype(u.name) END)::pg_catalog.oid AND t.typtype <> 'p'",
        &[Some(&names), Some(&schemas)],
    )?;
    let mut found = Vec::new();
    let mut wanted = Vec::new();
    for row in rows {
        let [name, type_oid] = columns_of(row)?;
        let type_oid = required(type_oid)?
            .parse()
            .map_err(|_| Violation::new("a type id that is not a number"))?;
        found.push(required(name)?);
        wanted.push((type_oid, -1));
    }
    let types = lookup::types(session, &wanted)?;
    Ok(found.into_iter().zip(types).collect())
}

fn name_faults(table: &str, arrow: &Schema) -> Vec<Fault> {
    let mut seen = HashSet::new();
    let mut faults = Vec::new();
    let mut fault = |name: &str, text: String| {
        faults.push(Fault::column(name, text).with_remedy("rename what is named"));
    };
    for name in arrow.fields().iter().map(|field| field.name()) {
        if !seen.insert(name) {
            fault(name, format!("\"{name}\" is offered more than once"));
        } else if let Some(text) = name_fault(name) {
            fault(name, text);
        }
    }
    if let Some(text) = name_fault(table) {
        fault(table, text);
    }
    faults
}

fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("a name is empty".into())
    } else if name.contains('\0') {
        Some(format!("\"{}\" holds a NUL byte", name.escape_debug()))
    } else if name.len() > LONGEST_NAME {
        Some(format!(
            "\"{name}\" is longer than the {LONGEST_NAME} bytes that PostgreSQL keeps of a name"
        ))
    } else {
        None
    }
}
