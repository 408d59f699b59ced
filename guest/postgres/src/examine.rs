//! Looking at a statement without carrying it out.
//!
//! The server parses it, alone, in a read-only transaction: that finds what is wrong with it, tells
//! its result, and locks every table and view that it touches, which is how they are had: a parse takes
//! the locks that the statement would. Then the server plans it, if it plans such statements. `EXPLAIN`
//! without `ANALYZE` carries nothing out, and goes out in a `Parse` of its own, which takes exactly
//! one statement; and the statement was one by itself before. Nobody's view of how the text looks
//! plays a part in what is safe, only in whether a plan is asked for.

mod calls;
mod tree;

use std::collections::BTreeSet;

use dagflux_guest::Result;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Access as Touch, Examination, ResultColumn, TouchedTable,
};

use crate::catalog::{columns_of, is_true, required};
use crate::dialect::array;
use crate::plan;
use crate::protocol::backend::{ColumnDescription, TextRow};
use crate::query;
use crate::session::{Access, Session};
use tree::Tree;

/// What begins a statement that the server plans.
const PLANNED: &[&str] = &[
    "select", "insert", "update", "delete", "merge", "with", "values", "table",
];

/// What the transaction has locked so far. It names no table itself, which would be one more.
const LOCKED: &str = "SELECT l.relation, l.mode FROM pg_catalog.pg_lock_status() l \
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'";

/// Looks at one statement.
///
/// # Errors
/// `syntax`, `table-not-found`, ...: what is wrong with it.
pub fn examine(session: &mut Session, sql: &str) -> Result<Examination> {
    session.begin()?;
    let examined = within(session, sql);
    if !session.is_lost() {
        session.settle()?;
    }
    examined
}

/// The tables whose rows a statement would change; none if the server does not plan it, or it returns
/// no rows.
///
/// # Errors
/// What is wrong with it.
pub fn changed(session: &mut Session, sql: &str) -> Result<Option<Vec<String>>> {
    session.begin()?;
    let changed = changed_within(session, sql);
    if !session.is_lost() {
        session.settle()?;
    }
    changed
}

fn changed_within(session: &mut Session, sql: &str) -> Result<Option<Vec<String>>> {
    session.start(Access::Read)?;
    session.describe(sql)?;
    if plan::of_statement(session)?.is_none() || !is_planned(sql) {
        return Ok(None);
    }
    let tree = planned(session, sql)?;
    let changes = tree.changes().into_iter();
    Ok(Some(changes.map(|(_, name, _)| name.to_owned()).collect()))
}

fn is_planned(sql: &str) -> bool {
    query::begins_with(query::beginning(sql, '('), PLANNED)
}

/// The plan of a statement that was parsed by itself before.
fn planned(session: &mut Session, sql: &str) -> Result<Tree> {
    session.ask(&format!("EXPLAIN (VERBOSE, FORMAT JSON) {sql}"), &[])?;
    let text: String = session.gather()?.into_iter().flatten().flatten().collect();
    Tree::read(&text)
}

fn within(session: &mut Session, sql: &str) -> Result<Examination> {
    session.start(Access::Read)?;
    session.ask(LOCKED, &[])?;
    let before = locks(session.gather()?)?;
    session.describe(sql)?;
    let columns = plan::of_statement(session)?;
    session.ask(LOCKED, &[])?;
    let after = locks(session.gather()?)?;
    let named: Vec<_> = after.difference(&before).cloned().collect();
    let columns = match columns {
        Some(columns) => Some(with_types(session, columns)?),
        None => None,
    };
    if !is_planned(sql) {
        return Ok(Examination {
            columns,
            tables: None,
            effects: Vec::new(),
            estimated_rows: None,
        });
    }
    let tree = planned(session, sql)?;
    Ok(Examination {
        columns,
        tables: Some(tables(session, &named, &tree)?),
        effects: calls::with_effects(session, &tree)?,
        estimated_rows: tree.estimated_rows(),
    })
}

/// What is locked, and how.
fn locks(rows: Vec<TextRow>) -> Result<BTreeSet<(String, String)>> {
    rows.into_iter()
        .map(|row| {
            let [relation, mode] = columns_of(row)?;
            Ok((required(relation)?, required(mode)?))
        })
        .collect()
}

fn with_types(session: &mut Session, columns: Vec<ColumnDescription>) -> Result<Vec<ResultColumn>> {
    let list = |values: Vec<String>| array(values.iter().map(String::as_str));
    let types = list(columns.iter().map(|c| c.type_oid.to_string()).collect());
    let modifiers = list(columns.iter().map(|c| c.modifier.to_string()).collect());
    session.ask(
        "SELECT pg_catalog.format_type(u.type, u.modifier) FROM ROWS FROM \
         (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[])) \
         WITH ORDINALITY AS u(type, modifier, ord) ORDER BY u.ord",
        &[Some(&types), Some(&modifiers)],
    )?;
    let names = session.gather()?;
    columns
        .into_iter()
        .zip(names)
        .map(|(column, row)| {
            let [type_] = columns_of(row)?;
            Ok(ResultColumn {
                name: column.name,
                type_: required(type_)?,
            })
        })
        .collect()
}

/// The tables and views that were locked, by `$1` and `$2`: their ids and the modes; and whether each
/// is behind a view among them, or in a policy that says which rows the login sees.
const NAMES: &str = "WITH RECURSIVE locked AS (SELECT u.oid, u.mode FROM ROWS FROM \
    (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[])) AS u(oid, mode)), \
    behind(oid, seen) AS (SELECT l.oid, true FROM locked l UNION \
    SELECT d.refobjid, false FROM locked l JOIN pg_catalog.pg_policy p ON p.polrelid = l.oid \
    JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.refobjid <> l.oid \
    AND d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass::pg_catalog.oid \
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid UNION \
    SELECT d.refobjid, false FROM behind b JOIN pg_catalog.pg_rewrite r ON r.ev_class = b.oid AND r.ev_type = '1' \
    JOIN pg_catalog.pg_depend d ON d.objid = r.oid AND d.refobjid <> r.ev_class \
    AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid \
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid) \
    SELECT n.nspname, c.relname, l.mode, EXISTS (SELECT 1 FROM behind b WHERE NOT b.seen AND b.oid = l.oid) \
    FROM locked l JOIN pg_catalog.pg_class c ON c.oid = l.oid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1, 2, 3";

/// The tables and views that the statement reads and changes: what its parse has locked, and, for
/// those that were locked before, what its plan says.
fn tables(
    session: &mut Session,
    named: &[(String, String)],
    tree: &Tree,
) -> Result<Vec<TouchedTable>> {
    let oids = array(named.iter().map(|(oid, _)| oid.as_str()));
    let modes = array(named.iter().map(|(_, mode)| mode.as_str()));
    session.ask(NAMES, &[Some(&oids), Some(&modes)])?;
    let changes = tree.changes();
    let only = match changes.as_slice() {
        [(.., access)] => Some(*access),
        _ => None,
    };
    let mut tables = Vec::new();
    for row in session.gather()? {
        let [schema, name, mode, behind_view] = columns_of(row)?;
        let (schema, name) = (required(schema)?, required(name)?);
        let touches = match required(mode)?.as_str() {
            "AccessShareLock" => vec![Touch::Read],
            "RowShareLock" => vec![Touch::Lock],
            _ => {
                let told: Vec<_> = changes
                    .iter()
                    .filter(|(s, n, _)| (*s, *n) == (schema.as_str(), name.as_str()))
                    .map(|(.., access)| *access)
                    .collect();
                // Of a view that passes its changes on, the plan names what is behind it.
                match told.is_empty() {
                    true => vec![only.unwrap_or(Touch::Update)],
                    false => told,
                }
            }
        };
        tables.extend(touches.into_iter().map(|access| TouchedTable {
            schema: schema.clone(),
            name: name.clone(),
            access,
            behind_view: is_true(&behind_view),
        }));
    }
    for (schema, name, access) in changes {
        let told = tables.iter().any(|table| {
            (table.schema.as_str(), table.name.as_str(), table.access) == (schema, name, access)
        });
        if !told {
            tables.push(TouchedTable {
                schema: schema.to_owned(),
                name: name.to_owned(),
                access,
                behind_view: false,
            });
        }
    }
    Ok(tables)
}
