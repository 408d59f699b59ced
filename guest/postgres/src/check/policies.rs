//! Asking what policies of row-level security come to.

use dagflux_guest::Result;

use super::facts::{Hiding, Login, Permits, Policies};
use super::questions::{GRANTOR, resolved};
use crate::catalog::{is_true, required};

/// What the policies of a table come to for a role: for each command, what those permit that
/// permit anything, and whether others restrict that.
fn policies(table: &str, reader: &str) -> String {
    let of = |command: char, given: &str, open: &str| {
        let of = format!("p.polcmd IN ('{command}', '*')");
        let permissive = format!("p.polpermissive AND {of} AND {given} IS NOT NULL");
        format!(
            "CASE WHEN pg_catalog.bool_or({permissive} AND {open}) THEN 'all' \
             WHEN pg_catalog.bool_or({permissive}) THEN 'some' ELSE 'none' END AS permits_{command}, \
             COALESCE(pg_catalog.bool_or(NOT p.polpermissive AND {of} AND NOT COALESCE({open}, true)), false) AS restricts_{command}"
        )
    };
    // What may be changed is what may be seen to be changed, and may be there afterwards.
    let uses = "p.uses = 'true'";
    let both = format!("{uses} AND p.checks = 'true'");
    format!(
        "SELECT {}, {}, {}, {} FROM (SELECT p.polcmd, p.polpermissive, \
         pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS uses, \
         COALESCE(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), pg_catalog.pg_get_expr(p.polqual, p.polrelid)) AS checks \
         FROM pg_catalog.pg_policy p WHERE p.polrelid = {table} \
         AND EXISTS (SELECT 1 FROM pg_catalog.unnest(p.polroles) AS r (oid) \
         WHERE r.oid = 0::pg_catalog.oid OR pg_catalog.pg_has_role({reader}, r.oid, 'USAGE'))) p",
        of('r', "p.uses", uses),
        of('a', "p.checks", "p.checks = 'true'"),
        of('w', "p.uses", &both),
        of('d', "p.uses", uses),
    )
}

/// The tables whose policies apply to the login.
pub fn hiding(scope: &str) -> String {
    format!(
        "SELECT n.nspname, c.relname, {GRANTOR}, \
         (SELECT pg_catalog.string_agg(p.polname::pg_catalog.text, E'\\n') FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid), l.* \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN LATERAL ({}) l \
         WHERE c.relrowsecurity AND {scope} AND pg_catalog.row_security_active(c.oid) \
         ORDER BY n.nspname, c.relname",
        policies("c.oid", "current_user")
    )
}

/// One of them.
///
/// # Errors
/// `protocol`.
pub fn hides(row: [Option<String>; 12], login: &Login) -> Result<Hiding> {
    let [
        schema,
        name,
        grantor,
        names,
        select,
        select_restricted,
        insert,
        insert_restricted,
        update,
        update_restricted,
        delete,
        delete_restricted,
    ] = row;
    let policies = |permits: Option<String>, restricted: Option<String>| Policies {
        permits: match permits.as_deref() {
            Some("all") => Permits::All,
            Some("some") => Permits::Some,
            _ => Permits::Nothing,
        },
        restricted: is_true(&restricted),
    };
    Ok(Hiding {
        schema: required(schema)?,
        name: required(name)?,
        grantor: resolved(required(grantor)?, login),
        select: policies(select, select_restricted),
        insert: policies(insert, insert_restricted),
        update: policies(update, update_restricted),
        delete: policies(delete, delete_restricted),
        names: names.unwrap_or_default(),
    })
}
