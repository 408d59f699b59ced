//! The table as a whole: what it is, and what the login may do with it.

use dagflux_guest::Result;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;

use super::fault::Fault;
use crate::catalog::{columns_of, is_true, required};
use crate::dialect::{array, qualified, quote};
use crate::protocol::backend::TextRow;
use crate::session::Session;

/// What a write has to know of its table beside the columns.
#[derive(Debug, Clone, Default)]
pub struct Relation {
    pub schema: String,
    pub name: String,
    kind: String,
    /// Whether policies limit the rows that the login sees.
    pub row_security: bool,
    select: bool,
    /// The privilege on the table, or on every column offered.
    insert: bool,
    update: bool,
    delete: bool,
    usage: bool,
    temporary: bool,
    database: String,
}

/// Asks for it.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask<'n>(
    session: &mut Session,
    schema: &str,
    table: &str,
    offered: impl Iterator<Item = &'n str>,
) -> Result<()> {
    session.ask(
        "SELECT c.relkind, pg_catalog.row_security_active(c.oid), \
         pg_catalog.has_table_privilege(c.oid, 'SELECT'), \
         pg_catalog.has_table_privilege(c.oid, 'INSERT') OR NOT EXISTS (SELECT 1 \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
         AND NOT a.attisdropped AND a.attname::pg_catalog.text = ANY ($3::pg_catalog.text[]) \
         AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT')), \
         pg_catalog.has_table_privilege(c.oid, 'UPDATE'), \
         pg_catalog.has_table_privilege(c.oid, 'DELETE'), \
         pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
         pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY'), \
         pg_catalog.current_database() \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        &[Some(schema), Some(table), Some(&array(offered))],
    )
}

/// Takes it from the answer; none if there is no such table.
///
/// # Errors
/// `protocol`.
pub fn relation(schema: &str, table: &str, rows: Vec<TextRow>) -> Result<Option<Relation>> {
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let [
        kind,
        row_security,
        select,
        insert,
        update,
        delete,
        usage,
        temporary,
        database,
    ] = columns_of(row)?;
    Ok(Some(Relation {
        schema: schema.to_owned(),
        name: table.to_owned(),
        kind: required(kind)?,
        row_security: is_true(&row_security),
        select: is_true(&select),
        insert: is_true(&insert),
        update: is_true(&update),
        delete: is_true(&delete),
        usage: is_true(&usage),
        temporary: is_true(&temporary),
        database: required(database)?,
    }))
}

impl Relation {
    /// Its name as SQL.
    pub fn sql(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    /// Whether its rows lie in partitions.
    pub fn is_partitioned(&self) -> bool {
        self.kind == "p"
    }

    /// Whether the login may read it.
    pub fn may_select(&self) -> bool {
        self.select
    }

    /// A fault unless it is a table that holds rows of its own, or in its partitions.
    pub fn kind_fault(&self, doing: &str) -> Option<Fault> {
        let kind = match self.kind.as_str() {
            "r" | "p" => return None,
            "v" => "a view",
            "m" => "a materialized view",
            "f" => "a foreign table",
            _ => "no table",
        };
        Some(
            Fault::new(
                ErrorKind::Unsupported,
                "table",
                &self.name,
                format!("{} is {kind}", self.sql()),
            )
            .with_remedy(format!(
                "name a table to be {doing}: the one from which {} has its rows, or another",
                self.sql()
            )),
        )
    }

    /// A fault if it is partitioned on a server that carries no rows over into partitions.
    pub fn parts_fault(&self, version: u32) -> Option<Fault> {
        if version >= 110_000 || !self.is_partitioned() {
            return None;
        }
        Some(
            Fault::new(
                ErrorKind::Unsupported,
                "table",
                &self.name,
                format!(
                    "{} is partitioned, and PostgreSQL tells rows of such a table apart from version 11 on",
                    self.sql()
                ),
            )
            .with_remedy("upsert into its partitions; or update the server"),
        )
    }

    /// A fault for the privileges that are missing, of those that are needed.
    pub fn privilege_faults(&self, needed: &[&str], user: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut refused = |what, name: &str, text: String, grant: String| {
            let fault = Fault::new(ErrorKind::PermissionDenied, what, name, text);
            faults.push(fault.with_remedy(format!("have the owner run: {grant}")));
        };
        if !self.usage {
            refused(
                "schema",
                &self.schema,
                format!("the login may not use the schema {}", quote(&self.schema)),
                format!(
                    "GRANT USAGE ON SCHEMA {} TO {};",
                    quote(&self.schema),
                    quote(user)
                ),
            );
        }
        let missing: Vec<_> = needed
            .iter()
            .copied()
            .filter(|privilege| match *privilege {
                "SELECT" => !self.select,
                "INSERT" => !self.insert,
                "UPDATE" => !self.update,
                _ => !self.delete,
            })
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            refused(
                "table",
                &self.name,
                format!("the login lacks {missing} on {}", self.sql()),
                format!("GRANT {missing} ON {} TO {};", self.sql(), quote(user)),
            );
        }
        faults
    }

    /// A fault unless the login may create temporary tables.
    pub fn temporary_fault(&self, user: &str) -> Option<Fault> {
        if self.temporary {
            return None;
        }
        let fault = Fault::new(
            ErrorKind::PermissionDenied,
            "database",
            &self.database,
            "the login may not create temporary tables, in one of which the rows are gathered",
        );
        Some(fault.with_remedy(format!(
            "have the owner run: GRANT TEMPORARY ON DATABASE {} TO {};",
            quote(&self.database),
            quote(user)
        )))
    }
}
