//! New rows in place of all others, in the table as it is.
//!
//! `DELETE`, not `TRUNCATE` or another table under the old name: readers go on reading the old
//! rows until the commit, snapshots stay right, and what belongs to the table (grants, owner,
//! comments, views, indexes, policies) is never touched. What would make it change more than the
//! table's own rows, or fewer than all of them, is looked for before anything is touched, and
//! again under the lock, where it cannot change any more.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Error, Result};

use super::fault::Fault;
use super::relation::Relation;
use crate::catalog::{columns_of, is_true, required};
use crate::dialect::{qualified, quote};
use crate::protocol::backend::TextRow;
use crate::session::Session;

/// What a replace needs.
pub const PRIVILEGES: &[&str] = &["INSERT", "DELETE"];

/// Asks for what depends on the table's rows.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask(session: &mut Session, schema: &str, table: &str) -> Result<()> {
    // Foreign keys to partitioned tables came later.
    let parent = match session.version() {
        110_000.. => "fk.conparentid",
        _ => "0::pg_catalog.oid",
    };
    // The table with all that is part of it, once and for all: there may be many thousands of
    // foreign keys and triggers. An array is found out before they are looked at.
    let tree = "ANY (ARRAY(SELECT oid FROM tree))";
    session.ask(
        &format!(
            "WITH RECURSIVE target AS (SELECT c.oid, c.relname, c.relkind, n.nspname \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')), \
             tree(oid, relkind) AS (SELECT oid, relkind FROM target UNION SELECT p.oid, p.relkind FROM tree \
             JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid AND tree.relkind = 'p' \
             JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid) \
             SELECT 'key', fk.conname, rn.nspname, r.relname, fk.confdeltype, \
             fk.condeferred, pg_catalog.has_schema_privilege(rn.oid, 'USAGE') \
             AND NOT pg_catalog.row_security_active(r.oid) \
             AND (SELECT pg_catalog.bool_and(pg_catalog.has_column_privilege(r.oid, k.attnum, 'SELECT')) \
             FROM pg_catalog.unnest(fk.conkey) AS k(attnum)), \
             (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname) || ' IS NOT NULL', ' AND ') \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnum = ANY (fk.conkey)) \
             FROM target c \
             JOIN pg_catalog.pg_constraint fk ON fk.contype = 'f' AND fk.confrelid = {tree} \
             JOIN pg_catalog.pg_class r ON r.oid = fk.conrelid AND NOT r.oid = {tree} \
             JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace \
             WHERE {parent} = 0::pg_catalog.oid OR fk.confrelid = c.oid AND NOT r.relispartition \
             UNION ALL SELECT 'child', NULL, rn.nspname, r.relname, NULL, false, false, NULL \
             FROM target c \
             JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid \
             JOIN pg_catalog.pg_class r ON r.oid = i.inhrelid \
             JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace \
             WHERE c.relkind = 'r' \
             UNION ALL SELECT 'rule', w.rulename, c.nspname, c.relname, NULL, false, false, NULL \
             FROM target c \
             JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid AND w.ev_type = '4' AND w.ev_enabled IN ('O', 'A') \
             UNION ALL SELECT 'trigger', t.tgname, c.nspname, c.relname, NULL, false, false, NULL \
             FROM target c \
             JOIN pg_catalog.pg_trigger t ON t.tgrelid = {tree} AND NOT t.tgisinternal \
             AND t.tgenabled IN ('O', 'A') AND t.tgtype & 11::pg_catalog.int2 = 11::pg_catalog.int2 \
             ORDER BY 1, 3, 4, 2"
        ),
        &[Some(schema), Some(table)],
    )
}

/// What was found.
pub struct Dependents {
    pub faults: Vec<Fault>,
    /// The trigger that may keep rows from being deleted.
    pub trigger: Option<String>,
}

/// What stands in the way, from the answer. Looks into the tables that refer to this one, so
/// that a reference without rows does not count.
///
/// # Errors
/// What the server reports.
pub fn dependents(
    session: &mut Session,
    relation: &Relation,
    rows: Vec<TextRow>,
) -> Result<Dependents> {
    let mut found = Dependents {
        faults: Vec::new(),
        trigger: None,
    };
    for row in rows {
        let [
            what,
            name,
            schema,
            table,
            on_delete,
            deferred,
            readable,
            filled,
        ] = columns_of(row)?;
        let name = name.unwrap_or_default();
        let other = qualified(&required(schema)?, &required(table)?);
        match what.as_deref() {
            Some("key") => {
                let key = Reference {
                    name,
                    table: other,
                    on_delete: on_delete.unwrap_or_default(),
                    deferred: is_true(&deferred),
                    readable: is_true(&readable),
                    filled: filled.unwrap_or_else(|| "true".into()),
                };
                found.faults.extend(key.fault(session)?);
            }
            Some("child") => found.faults.push(
                Fault::new(
                    ErrorKind::Unsupported,
                    "table",
                    &other,
                    format!("{other} inherits from it, and its rows would be deleted as well"),
                )
                .with_remedy(format!(
                    "ALTER TABLE {other} NO INHERIT {}; or replace that table",
                    relation.sql()
                )),
            ),
            Some("rule") => found.faults.push(
                Fault::new(
                    ErrorKind::Unsupported,
                    "rule",
                    &name,
                    format!("the rule {} rewrites DELETE on it", quote(&name)),
                )
                .with_remedy(format!(
                    "ALTER TABLE {} DISABLE RULE {};",
                    relation.sql(),
                    quote(&name)
                )),
            ),
            _ => found.trigger = Some(name),
        }
    }
    if relation.row_security {
        found.faults.push(
            Fault::new(
                ErrorKind::Unsupported,
                "table",
                &relation.name,
                "row-level security hides rows of it from the login, which would stay",
            )
            .with_remedy(format!(
                "ALTER ROLE {} BYPASSRLS; or have the owner replace the rows",
                quote(session.user())
            )),
        );
    }
    Ok(found)
}

/// A foreign key of another table to this one.
struct Reference {
    name: String,
    table: String,
    on_delete: String,
    /// Whether it is looked at only when the transaction commits.
    deferred: bool,
    readable: bool,
    /// The condition for a row that refers to anything.
    filled: String,
}

impl Reference {
    fn fault(&self, session: &mut Session) -> Result<Option<Fault>> {
        let Self { name, table, .. } = self;
        let key = quote(name);
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {key};");
        let action = match self.on_delete.as_str() {
            "c" => Some("CASCADE"),
            "n" => Some("SET NULL"),
            "d" => Some("SET DEFAULT"),
            _ => None,
        };
        let fault = |kind, text: String, remedy: String| {
            Ok(Some(
                Fault::new(kind, "constraint", name, text).with_remedy(remedy),
            ))
        };
        if let Some(action) = action {
            return fault(
                ErrorKind::Unsupported,
                format!(
                    "the foreign key {key} of {table} would change that table as well (ON DELETE {action})"
                ),
                format!("{drop} or upsert instead"),
            );
        }
        // Looked at when all the new rows are there.
        if self.deferred && self.on_delete == "a" {
            return Ok(None);
        }
        if !self.readable {
            return fault(
                ErrorKind::PermissionDenied,
                format!(
                    "the foreign key {key} of {table} may refer to rows of it: that table may not be read, so this is not known"
                ),
                format!(
                    "GRANT SELECT ON {table} TO {}; or {drop} or upsert instead",
                    quote(session.user())
                ),
            );
        }
        let probe = format!(
            "SELECT EXISTS (SELECT 1 FROM {table} WHERE {})",
            self.filled
        );
        let rows = session.rows(&probe, &[])?;
        let referred = rows
            .first()
            .and_then(|row| row.first())
            .is_some_and(is_true);
        if !referred {
            return Ok(None);
        }
        fault(
            ErrorKind::Constraint,
            format!("rows of {table} refer to rows of it (foreign key {key})"),
            format!(
                "ALTER TABLE {table} ALTER CONSTRAINT {key} DEFERRABLE INITIALLY DEFERRED; if the new rows have what is referred to, or {drop} or upsert instead"
            ),
        )
    }
}

/// Fails if a trigger kept rows from being deleted.
///
/// # Errors
/// `unsupported`, naming the trigger; what the server reports.
pub fn check_empty(session: &mut Session, relation: &Relation, trigger: &str) -> Result<()> {
    let trigger = quote(trigger);
    let remedy = format!("ALTER TABLE {} DISABLE TRIGGER {trigger};", relation.sql());
    let left = !relation.may_select() || {
        let probe = format!("SELECT EXISTS (SELECT 1 FROM {})", relation.sql());
        let rows = session.rows(&probe, &[])?;
        rows.first()
            .and_then(|row| row.first())
            .is_some_and(is_true)
    };
    match left {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the table cannot be replaced: its trigger {trigger} can keep rows from being deleted{}",
                match relation.may_select() {
                    true => ", and has",
                    false => ", and the login may not read whether it has",
                }
            ),
        )
        .with_hint(remedy)
        .with_attribute("table", relation.name.clone())),
    }
}
