//! What a statement will return, before it runs: columns, their types, and how to decode them.

use std::collections::HashMap;

use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{BatchLimits, Error, Result};

use crate::protocol::backend::{self, ColumnDescription, Message};
use crate::session::{Session, unexpected};
use crate::types::decode::RowDecoder;
use crate::types::mapping::{self, Kind, Mapping};

/// The columns of a result.
#[derive(Debug)]
pub struct Plan {
    /// How each arrives, and its name.
    columns: Vec<(Kind, String)>,
    /// The Arrow schema.
    pub schema: Schema,
    /// The statement, if it has to be parsed again: the question what its types are called has
    /// taken its place as the unnamed statement. (A named one would get lost behind a pooler.)
    pub parse_again: Option<String>,
}

impl Plan {
    /// Whether every column can be had in the binary format.
    pub fn is_binary(&self) -> bool {
        self.columns.iter().all(|(kind, _)| kind.is_binary())
    }

    /// The format to ask for, per column.
    pub fn formats(&self) -> impl Iterator<Item = i16> + '_ {
        self.columns
            .iter()
            .map(|(kind, _)| i16::from(kind.is_binary()))
    }

    /// A decoder for the rows.
    pub fn decoder(&self, limits: BatchLimits, check_text: bool) -> RowDecoder {
        RowDecoder::new(self.columns.iter().cloned(), limits, check_text)
    }
}

/// Opens a read-only transaction and has the server parse `sql` in it, which must be exactly
/// one statement that returns rows. Nothing of it runs.
///
/// One flight, and one more if the result has types whose names only the server knows.
///
/// # Errors
/// `syntax`, `table-not-found`, `unsupported-statement`, ...: the session is then idle again.
pub fn prepare(session: &mut Session, sql: &str) -> Result<Plan> {
    session.simple("BEGIN READ ONLY")?;
    session.describe(sql)?;
    let mut columns = None;
    let mut parameters = 0;
    while session.outstanding() > 0 {
        match session.receive()? {
            Message::CommandComplete(_)
            | Message::ParseComplete
            | Message::NoData
            | Message::ReadyForQuery(_) => {}
            Message::ParameterDescription(body) => parameters = backend::parameter_count(&body)?,
            Message::RowDescription(body) => columns = Some(backend::columns(&body)?),
            _ => return Err(unexpected("where a statement is described")),
        }
    }
    if parameters > 0 {
        session.settle()?;
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            format!("the statement has {parameters} parameters that nothing gives a value to"),
        )
        .with_hint("write values into the statement in place of $1, $2, ..."));
    }
    let Some(columns) = columns else {
        session.settle()?;
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            "the statement returns no rows, so it was not run",
        )
        .with_hint("use a SELECT here, and `execute` for a statement that changes something"));
    };
    plan(session, sql, columns)
}

fn plan(session: &mut Session, sql: &str, columns: Vec<ColumnDescription>) -> Result<Plan> {
    let mappings: Vec<_> = columns
        .iter()
        .map(|column| mapping::map(column.type_oid, column.modifier))
        .collect();
    let named = name_types(session, &columns, &mappings)?;
    let fields: Vec<_> = columns
        .iter()
        .zip(&mappings)
        .map(|(column, mapping)| {
            let server = named.get(&(column.type_oid, column.modifier));
            mapping.field(
                &column.name,
                server.map(|server| server.name.as_str()),
                server.and_then(|server| server.labels.as_deref()),
            )
        })
        .collect();
    Ok(Plan {
        columns: mappings
            .iter()
            .zip(columns)
            .map(|(mapping, column)| (mapping.kind, column.name))
            .collect(),
        schema: Schema::new(fields),
        parse_again: (!named.is_empty()).then(|| sql.to_owned()),
    })
}

/// What the server says of a type that only it can name.
struct NamedType {
    name: String,
    labels: Option<String>,
}

/// Asks, once for all of them, what the types are called that are not in the static table.
fn name_types(
    session: &mut Session,
    columns: &[ColumnDescription],
    mappings: &[Mapping],
) -> Result<HashMap<(u32, i32), NamedType>> {
    let unknown: Vec<_> = columns
        .iter()
        .zip(mappings)
        .filter(|(_, mapping)| mapping.name.is_none())
        .map(|(column, _)| (column.type_oid, column.modifier))
        .collect();
    if unknown.is_empty() {
        return Ok(HashMap::new());
    }
    let array = |values: Vec<String>| format!("{{{}}}", values.join(","));
    let oids = array(unknown.iter().map(|(oid, _)| oid.to_string()).collect());
    let modifiers = array(unknown.iter().map(|(_, m)| m.to_string()).collect());
    let rows = session.rows(
        "SELECT u.ord, pg_catalog.format_type(u.type, u.modifier), CASE t.typtype WHEN 'e' THEN \
         (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)::pg_catalog.text \
         FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END \
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[])) \
         WITH ORDINALITY AS u(type, modifier, ord) \
         LEFT JOIN pg_catalog.pg_type t ON t.oid = u.type",
        &[Some(&oids), Some(&modifiers)],
    )?;
    let mut named = HashMap::new();
    for row in rows {
        if let [Some(ordinal), Some(name), labels] = row.as_slice()
            && let Some(key) = ordinal
                .parse::<usize>()
                .ok()
                .and_then(|ordinal| unknown.get(ordinal.checked_sub(1)?))
        {
            named.insert(
                *key,
                NamedType {
                    name: name.clone(),
                    labels: labels.clone(),
                },
            );
        }
    }
    Ok(named)
}
