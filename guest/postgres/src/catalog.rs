//! What is in the database: schemas, tables, columns.
//!
//! One statement each, however many tables there are, and at most one more to tell "empty"
//! from "not there". Works from PostgreSQL 10 on; what came later is asked for by version.
//!
//! # What a search path can put in place of something else
//!
//! Names are qualified. Operators cannot be, not in `IN` or `LIKE`: there, the server takes the
//! first in its search path that fits the types of both sides exactly. `pg_catalog` comes first,
//! so both sides have types for which that has an operator: `oid = oid`, not `oid = regclass`;
//! `text ~ text`, not `name ~ name`. Otherwise one that someone planted in the configured schema
//! would run as this login. This goes for every statement of the connector's own.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Column, Generation, Schema, Table, TableKind,
};
use dagflux_guest::{Error, Result};

use crate::dialect;
use crate::protocol::Violation;
use crate::session::Session;

/// The system's own schemas: users cannot make schemas that begin with `pg_`.
pub const NOT_SYSTEM: &str =
    "n.nspname::pg_catalog.text !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Every schema but the system's own, by name.
///
/// # Errors
/// What the server reports.
pub fn schemas(session: &mut Session) -> Result<Vec<Schema>> {
    session.begin()?;
    let rows = session.rows(
        &format!(
            "SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
             pg_catalog.obj_description(n.oid, 'pg_namespace') \
             FROM pg_catalog.pg_namespace n WHERE {NOT_SYSTEM} ORDER BY n.nspname"
        ),
        &[],
    )?;
    rows.into_iter()
        .map(|row| {
            let [name, usable, comment] = columns_of(row)?;
            Ok(Schema {
                name: required(name)?,
                usable: is_true(&usable),
                comment,
            })
        })
        .collect()
}

/// The tables of one schema, or of every schema but the system's own.
///
/// # Errors
/// `schema-not-found` for a schema that is not there.
pub fn tables(session: &mut Session, schema: Option<&str>) -> Result<Vec<Table>> {
    session.begin()?;
    if let Some(schema) = schema {
        dialect::check_name("schema", ErrorKind::SchemaNotFound, schema)?;
    }
    let condition = match schema {
        Some(_) => "n.nspname = $1",
        None => NOT_SYSTEM,
    };
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind, c.relispartition, \
         pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND CASE \
         WHEN pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN true \
         ELSE COALESCE((SELECT pg_catalog.bool_and(pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')) \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), false) END, \
         CASE WHEN c.relkind IN ('r', 'p', 'm', 'f') AND (c.reltuples > 0::pg_catalog.float4 OR c.reltuples = 0::pg_catalog.float4 AND c.relpages > 0) \
         THEN c.reltuples::pg_catalog.int8 END, \
         pg_catalog.obj_description(c.oid, 'pg_class') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {condition} ORDER BY n.nspname, c.relname"
    );
    let rows = session.rows(&sql, schema.map(Some).as_slice())?;
    if let (true, Some(schema)) = (rows.is_empty(), schema) {
        require_schema(session, schema)?;
    }
    rows.into_iter()
        .map(|row| {
            let [schema, name, kind, partition, readable, estimate, comment] = columns_of(row)?;
            Ok(Table {
                schema: required(schema)?,
                name: required(name)?,
                kind: match kind.as_deref() {
                    Some("r") if is_true(&partition) => TableKind::Partition,
                    Some("r") => TableKind::Table,
                    Some("p") => TableKind::PartitionedTable,
                    Some("v") => TableKind::View,
                    Some("m") => TableKind::MaterializedView,
                    Some("f") => TableKind::ForeignTable,
                    _ => TableKind::Other,
                },
                readable: is_true(&readable),
                estimated_rows: estimate.and_then(|estimate| estimate.parse().ok()),
                comment,
            })
        })
        .collect()
}

/// The columns of one table, of one schema, or of every schema but the system's own. A table
/// without a schema is looked up in the schema of the configuration.
///
/// # Errors
/// `schema-not-found`, `table-not-found`.
pub fn columns(
    session: &mut Session,
    schema: Option<&str>,
    table: Option<&str>,
) -> Result<Vec<Column>> {
    session.begin()?;
    let configured = session.parameters().schema.clone();
    let schema = schema.or(table.map(|_| configured.as_str()));
    if let Some(schema) = schema {
        dialect::check_name("schema", ErrorKind::SchemaNotFound, schema)?;
    }
    if let Some(table) = table {
        dialect::check_name("table", ErrorKind::TableNotFound, table)?;
    }
    let mut parameters = Vec::new();
    let condition = match (schema, table) {
        (Some(schema), Some(table)) => {
            parameters.extend([Some(schema), Some(table)]);
            "n.nspname = $1 AND c.relname = $2"
        }
        (Some(schema), None) => {
            parameters.push(Some(schema));
            "n.nspname = $1"
        }
        (None, _) => NOT_SYSTEM,
    };
    let generated = generated_column(session);
    let sql = format!(
        "SELECT n.nspname, c.relname, a.attname, \
         pg_catalog.row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), \
         pg_catalog.format_type(a.atttypid, a.atttypmod), \
         NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull), \
         pg_catalog.array_position(k.conkey, a.attnum), \
         CASE WHEN {generated} = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
         a.attidentity, {generated}, \
         pg_catalog.col_description(a.attrelid, a.attnum) \
         FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
         AND {condition} ORDER BY n.nspname, c.relname, a.attnum"
    );
    let rows = session.rows(&sql, &parameters)?;
    if let (true, Some(schema)) = (rows.is_empty(), schema) {
        match table {
            Some(table) => require_table(session, schema, table)?,
            None => require_schema(session, schema)?,
        }
    }
    rows.into_iter().map(column).collect()
}

/// The expression for `attgenerated`, which PostgreSQL has since version 12.
pub fn generated_column(session: &Session) -> &'static str {
    match session.version() {
        120_000.. => "a.attgenerated",
        _ => "''::pg_catalog.\"char\"",
    }
}

fn column(row: Vec<Option<String>>) -> Result<Column> {
    let [
        schema,
        table,
        name,
        ordinal,
        type_,
        nullable,
        primary_key,
        default,
        identity,
        generated,
        comment,
    ] = columns_of(row)?;
    Ok(Column {
        schema: required(schema)?,
        table: required(table)?,
        name: required(name)?,
        ordinal: required(ordinal)?
            .parse()
            .map_err(|_| Violation::new("an ordinal that is not a number"))?,
        type_: required(type_)?,
        nullable: is_true(&nullable),
        primary_key: primary_key.and_then(|position| position.parse().ok()),
        default,
        generated: match (identity.as_deref(), generated.as_deref()) {
            (Some("a"), _) => Some(Generation::IdentityAlways),
            (Some("d"), _) => Some(Generation::IdentityByDefault),
            (_, Some("s" | "v")) => Some(Generation::Computed),
            _ => None,
        },
        comment,
    })
}

/// Fails if the schema does not exist.
///
/// # Errors
/// `schema-not-found`.
pub fn require_schema(session: &mut Session, schema: &str) -> Result<()> {
    let found = session.rows(
        "SELECT 1 FROM pg_catalog.pg_namespace n WHERE n.nspname = $1",
        &[Some(schema)],
    )?;
    if found.is_empty() {
        return Err(Error::new(
            ErrorKind::SchemaNotFound,
            format!("the schema \"{schema}\" does not exist"),
        )
        .with_hint("check the spelling, capitals included; the list of schemas shows what there is")
        .with_attribute("schema", schema));
    }
    Ok(())
}

/// Fails if the table does not exist.
///
/// # Errors
/// `table-not-found`, `schema-not-found`.
pub fn require_table(session: &mut Session, schema: &str, table: &str) -> Result<()> {
    let found = session.rows(
        "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        &[Some(schema), Some(table)],
    )?;
    if found.is_empty() {
        require_schema(session, schema)?;
        return Err(Error::new(
            ErrorKind::TableNotFound,
            format!("the table \"{table}\" does not exist in the schema \"{schema}\""),
        )
        .with_hint("check the spelling, capitals included; the list of tables shows what there is")
        .with_attribute("schema", schema)
        .with_attribute("table", table));
    }
    Ok(())
}

/// The values of a row, which has as many as were asked for.
///
/// # Errors
/// `protocol` otherwise.
pub fn columns_of<const N: usize>(row: Vec<Option<String>>) -> Result<[Option<String>; N]> {
    row.try_into()
        .map_err(|_| Violation::new("a row with another number of columns than asked for").into())
}

/// A value that is never null.
///
/// # Errors
/// `protocol` if it is.
pub fn required(value: Option<String>) -> Result<String> {
    value.ok_or_else(|| Violation::new("a null where the catalog has none").into())
}

/// A boolean as the server writes it.
pub fn is_true(value: &Option<String>) -> bool {
    value.as_deref() == Some("t")
}
