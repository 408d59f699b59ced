//! Comments that go along to another table.

use dagflux_guest::Result;
use dagflux_guest::bindings::dagflux::connector::types::TableName;

use crate::catalog::{columns_of, require_table, required};
use crate::dialect::{check_table, literal, qualified, quote};
use crate::protocol::backend::Message;
use crate::session::{Access, Session};

/// The comments on the table `$1`.`$2`, and on those of its columns that `$3`.`$4` has, too.
const COMMENTS: &str = "SELECT a.attname, d.description \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_description d ON d.objoid = c.oid \
    AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND a.attnum > 0 \
    WHERE n.nspname = $1 AND c.relname = $2 AND (d.objsubid = 0 OR EXISTS (SELECT 1 \
    FROM pg_catalog.pg_class tc JOIN pg_catalog.pg_namespace tn ON tn.oid = tc.relnamespace \
    JOIN pg_catalog.pg_attribute ta ON ta.attrelid = tc.oid AND ta.attnum > 0 AND NOT ta.attisdropped \
    WHERE tn.nspname = $3 AND tc.relname = $4 AND ta.attname = a.attname)) ORDER BY d.objsubid";

/// Copies them; returns the statements.
///
/// # Errors
/// `table-not-found`, `permission-denied`, ...
pub fn copy(session: &mut Session, source: &TableName, to: &TableName) -> Result<Vec<String>> {
    session.begin()?;
    let configured = session.parameters().schema.clone();
    let schema = |table: &TableName| table.schema.clone().unwrap_or_else(|| configured.clone());
    let (source_schema, to_schema) = (schema(source), schema(to));
    check_table(&source_schema, &source.name)?;
    check_table(&to_schema, &to.name)?;
    require_table(session, &source_schema, &source.name)?;
    require_table(session, &to_schema, &to.name)?;
    let rows = session.rows(
        COMMENTS,
        &[
            Some(&source_schema),
            Some(&source.name),
            Some(&to_schema),
            Some(&to.name),
        ],
    )?;
    let table = qualified(&to_schema, &to.name);
    let mut statements = Vec::new();
    for row in rows {
        let [column, text] = columns_of(row)?;
        let text = literal(&required(text)?);
        statements.push(match column {
            Some(column) => format!("COMMENT ON COLUMN {table}.{} IS {text}", quote(&column)),
            None => format!("COMMENT ON TABLE {table} IS {text}"),
        });
    }
    if statements.is_empty() {
        return Ok(statements);
    }
    session.start(Access::Write)?;
    for statement in &statements {
        session.simple(statement)?;
    }
    while session.outstanding() > 0 {
        match session.receive()? {
            Message::CommandComplete(_) | Message::ReadyForQuery(_) => {}
            _ => return Err(session.unexpected("where comments are written")),
        }
    }
    match session.held() {
        Some(_) => session.keep().map(drop)?,
        None => crate::transaction::commit(session, None)?,
    }
    Ok(statements)
}
