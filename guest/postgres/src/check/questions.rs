//! The questions to the server, and its answers: a constant number of statements in one
//! transaction, all but one in one flight.

use std::collections::HashMap;

use dagflux_guest::Result;

use super::facts::{Beyond, Facts, Future, Holding, Lack, Login, Schema, Sequence, Table};
use super::need::{Asked, Need};
use super::policies::{hides, hiding};
use crate::catalog::{NOT_SYSTEM, columns_of, is_true, required};
use crate::protocol::backend::TextRow;
use crate::session::{Access, Session};

const LOGIN: &str = "SELECT r.rolname, r.rolinherit, d.datname, pg_catalog.pg_get_userbyid(d.datdba), \
    pg_catalog.has_database_privilege(d.oid, 'TEMPORARY'), pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('default_transaction_read_only') = 'on', \
    EXISTS (SELECT 1 FROM pg_catalog.pg_settings s WHERE s.name = 'default_transaction_read_only' \
    AND s.source IN ('user', 'database user', 'client', 'session')), \
    EXISTS (SELECT 1 FROM pg_catalog.pg_roles a WHERE a.rolname = 'pg_read_all_data' AND pg_catalog.pg_has_role(a.oid, 'USAGE')), \
    EXISTS (SELECT 1 FROM pg_catalog.pg_roles a WHERE a.rolname = 'pg_write_all_data' AND pg_catalog.pg_has_role(a.oid, 'USAGE')) \
    FROM pg_catalog.pg_database d, pg_catalog.pg_roles r \
    WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user";

/// What can be read like a table.
const RELATIONS: &str = "c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// What an extension brought along is its own business: nobody writes to it, and its owner is
/// whoever made the extension.
const OWN: &str = "c.oid NOT IN (SELECT e.objid FROM pg_catalog.pg_depend e \
    WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AND e.deptype = 'e')";

/// The role that grants on something: its owner, or, where that cannot reach into the schema, a
/// superuser.
pub const GRANTOR: &str = "pg_catalog.pg_get_userbyid(CASE WHEN pg_catalog.has_schema_privilege(c.relowner, n.oid, 'USAGE') \
    THEN c.relowner ELSE 10::pg_catalog.oid END)";

/// Asks for everything.
///
/// # Errors
/// What the server reports.
pub fn gather(session: &mut Session, schema: Option<&str>, asked: &Asked) -> Result<Facts> {
    let scope = match schema {
        Some(_) => "n.nspname = $1",
        None => NOT_SYSTEM,
    };
    let name: Vec<_> = schema.into_iter().map(Some).collect();
    let writes = [Need::Insert, Need::Update, Need::Delete];
    let writes = writes.map(|need| asked.wants(need));
    session.start(Access::Read)?;
    session.ask(LOGIN, &[])?;
    session.ask(&schemas(scope), &name)?;
    session.ask(&holdings(scope), &name)?;
    session.ask(&tables(scope, writes, session.version()), &name)?;
    session.ask(&hiding(scope), &name)?;
    session.ask(&sequences(scope), &name)?;
    session.ask(&futures(scope), &name)?;
    session.ask(&beyond(scope), &name)?;

    let login = login(session.gather()?)?;
    let schemas = each(session.gather()?, |[name, owner, usage, create, open]| {
        Ok(Schema {
            name: required(name)?,
            owner: resolved(required(owner)?, &login),
            usage: is_true(&usage),
            create: is_true(&create),
            open: is_true(&open),
        })
    })?;
    let holdings = each(session.gather()?, holding)?;
    let mut tables = Vec::new();
    let mut numbers = HashMap::new();
    for row in session.gather()? {
        let (number, table) = table(row, &login)?;
        numbers.insert(number, tables.len());
        tables.push(table);
    }
    let hiding = each(session.gather()?, |row| hides(row, &login))?;
    let (mut sequences, mut drawn) = (Vec::new(), 0);
    for row in session.gather()? {
        sequences.extend(sequence(columns_of(row)?, &login, &mut drawn)?);
    }
    let futures = each(session.gather()?, |row| future(row, &login))?;
    let beyond = each(session.gather()?, what_is_beyond)?;
    if !tables.is_empty() {
        session.ask(&columns(scope), &name)?;
        for row in session.gather()? {
            by_column(row, &mut tables, &numbers)?;
        }
    }
    session.settle()?;
    tables.retain(|table| table.bare != Lack::default());
    Ok(Facts {
        login,
        schemas,
        holdings,
        tables,
        hiding,
        sequences,
        drawn,
        futures,
        beyond,
    })
}

/// Rows of a known number of columns, each as something.
fn each<const N: usize, T>(
    rows: Vec<TextRow>,
    read: impl Fn([Option<String>; N]) -> Result<T>,
) -> Result<Vec<T>> {
    rows.into_iter()
        .map(|row| columns_of(row).and_then(&read))
        .collect()
}

/// The role that acts for the owner: `pg_database_owner` is whoever owns the database.
pub fn resolved(owner: String, login: &Login) -> String {
    match owner.as_str() {
        "pg_database_owner" => login.database_owner.clone(),
        _ => owner,
    }
}

fn login(rows: Vec<TextRow>) -> Result<Login> {
    let [
        user,
        inherits,
        database,
        database_owner,
        temporary,
        replica,
        read_only,
        read_only_alone,
        reads_all,
        writes_all,
    ] = columns_of(rows.into_iter().next().unwrap_or_default())?;
    Ok(Login {
        user: required(user)?,
        inherits: is_true(&inherits),
        database: required(database)?,
        database_owner: required(database_owner)?,
        temporary: is_true(&temporary),
        replica: is_true(&replica),
        read_only: is_true(&read_only),
        read_only_alone: is_true(&read_only_alone),
        reads_all: is_true(&reads_all),
        writes_all: is_true(&writes_all),
    })
}

fn schemas(scope: &str) -> String {
    format!(
        "SELECT n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), \
         pg_catalog.has_schema_privilege(n.oid, 'USAGE'), pg_catalog.has_schema_privilege(n.oid, 'CREATE'), \
         EXISTS (SELECT 1 FROM pg_catalog.aclexplode(n.nspacl) x WHERE x.privilege_type = 'CREATE' AND x.grantee = 0::pg_catalog.oid) \
         FROM pg_catalog.pg_namespace n WHERE {scope} ORDER BY n.nspname"
    )
}

fn holdings(scope: &str) -> String {
    format!(
        "SELECT n.nspname, o.rolname, pg_catalog.pg_has_role(o.oid, 'USAGE'), \
         EXISTS (SELECT 1 FROM pg_catalog.pg_roles p WHERE p.rolsuper AND pg_catalog.pg_has_role(o.oid, p.oid, 'MEMBER')), \
         pg_catalog.count(*) FILTER (WHERE {RELATIONS}), \
         pg_catalog.count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'f') AND {OWN}), \
         pg_catalog.count(*) FILTER (WHERE c.relkind = 'S'), \
         pg_catalog.min(c.relname::pg_catalog.text) FILTER (WHERE c.relkind IN ('r', 'p', 'f') AND {OWN}) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_roles o ON o.oid = c.relowner \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {scope} \
         GROUP BY n.nspname, o.oid, o.rolname ORDER BY n.nspname, o.rolname"
    )
}

fn holding(
    [
        schema,
        owner,
        own,
        superuser,
        relations,
        tables,
        sequences,
        example,
    ]: [Option<String>; 8],
) -> Result<Holding> {
    let count = |value: Option<String>| value.and_then(|value| value.parse().ok()).unwrap_or(0);
    Ok(Holding {
        schema: required(schema)?,
        owner: required(owner)?,
        own: is_true(&own),
        superuser: is_true(&superuser),
        relations: count(relations),
        tables: count(tables),
        sequences: count(sequences),
        example,
    })
}

/// The tables that lack something that was asked for. Views are among them, since a grant on
/// all tables of a schema is one on its views.
fn tables(scope: &str, [insert, update, delete]: [bool; 3], version: u32) -> String {
    let root = match version {
        120_000.. => "pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid",
        _ => "(SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)",
    };
    let has = |oid: &str, wanted: bool, privilege: &str| match wanted {
        true => format!("pg_catalog.has_table_privilege({oid}, '{privilege}')"),
        false => "true".to_owned(),
    };
    let all = |oid: &str| {
        [
            has(oid, true, "SELECT"),
            has(oid, insert, "INSERT"),
            has(oid, update, "UPDATE"),
            has(oid, delete, "DELETE"),
        ]
    };
    let by_root = all(root).map(|has| format!("c.relispartition AND {has}"));
    format!(
        "SELECT c.oid, n.nspname, c.relname, {GRANTOR}, c.relkind IN ('r', 'p', 'f') AND {OWN}, {}, {} \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE {RELATIONS} AND {scope} AND NOT ({}) ORDER BY n.nspname, c.relname",
        all("c.oid").join(", "),
        by_root.join(", "),
        all("c.oid").join(" AND "),
    )
}

fn table(row: TextRow, login: &Login) -> Result<(String, Table)> {
    let [
        number,
        schema,
        name,
        grantor,
        holds_rows,
        select,
        insert,
        update,
        delete,
        root_select,
        root_insert,
        root_update,
        root_delete,
    ] = columns_of(row)?;
    let bare = Lack {
        select: !is_true(&select),
        insert: !is_true(&insert),
        update: !is_true(&update),
        delete: !is_true(&delete),
    };
    let holds_rows = is_true(&holds_rows);
    let table = Table {
        schema: required(schema)?,
        name: required(name)?,
        grantor: resolved(required(grantor)?, login),
        holds_rows,
        bare,
        by_root: bare.select && is_true(&root_select),
        lack: Lack {
            select: bare.select && !is_true(&root_select),
            insert: bare.insert && !is_true(&root_insert) && holds_rows,
            update: bare.update && !is_true(&root_update) && holds_rows,
            delete: bare.delete && !is_true(&root_delete) && holds_rows,
        },
        partly: Lack::default(),
    };
    Ok((required(number)?, table))
}

/// What grants on columns come to, of the tables that have any.
fn columns(scope: &str) -> String {
    let both = |privilege: &str| {
        let has = format!("pg_catalog.has_column_privilege(a.attrelid, a.attnum, '{privilege}')");
        format!("pg_catalog.bool_and({has}), pg_catalog.bool_or({has})")
    };
    format!(
        "SELECT a.attrelid, {}, {}, {} FROM pg_catalog.pg_attribute a \
         JOIN (SELECT DISTINCT g.attrelid FROM pg_catalog.pg_attribute g WHERE g.attacl IS NOT NULL) g ON g.attrelid = a.attrelid \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {RELATIONS} AND {scope} GROUP BY a.attrelid",
        both("SELECT"),
        both("INSERT"),
        both("UPDATE"),
    )
}

fn by_column(row: TextRow, tables: &mut [Table], numbers: &HashMap<String, usize>) -> Result<()> {
    let [
        number,
        select,
        some_select,
        insert,
        some_insert,
        update,
        some_update,
    ] = columns_of(row)?;
    let at = numbers.get(&required(number)?);
    let Some(table) = at.and_then(|at| tables.get_mut(*at)) else {
        return Ok(());
    };
    let lack = table.lack;
    table.lack = Lack {
        select: lack.select && !is_true(&select),
        insert: lack.insert && !is_true(&insert),
        update: lack.update && !is_true(&update),
        delete: lack.delete,
    };
    table.partly = Lack {
        select: table.lack.select && is_true(&some_select),
        insert: table.lack.insert && is_true(&some_insert),
        update: table.lack.update && is_true(&some_update),
        delete: false,
    };
    Ok(())
}

/// The sequences that columns of the tables draw from, wherever they are: how many there are,
/// and then those that lack something.
fn sequences(scope: &str) -> String {
    const CLASS: &str = "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid";
    const DRAW: &str = "pg_catalog.has_sequence_privilege(c.oid, 'USAGE, UPDATE')";
    const SEE: &str = "pg_catalog.has_sequence_privilege(c.oid, 'SELECT')";
    let tables = "pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace";
    let grantor = GRANTOR.replace("n.oid", "m.oid");
    format!(
        "WITH drawn AS (SELECT u.seq, pg_catalog.bool_and(u.identity) AS identity FROM ( \
         SELECT d.objid AS seq, true AS identity FROM {tables} \
         JOIN pg_catalog.pg_depend d ON d.refobjid = t.oid AND d.refclassid = {CLASS} AND d.classid = {CLASS} AND d.deptype = 'i' \
         WHERE t.relkind IN ('r', 'p', 'f') AND {scope} \
         UNION ALL SELECT d.refobjid, false FROM {tables} \
         JOIN pg_catalog.pg_attrdef e ON e.adrelid = t.oid \
         JOIN pg_catalog.pg_depend d ON d.objid = e.oid AND d.refclassid = {CLASS} \
         AND d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid \
         WHERE t.relkind IN ('r', 'p', 'f') AND {scope}) u \
         JOIN pg_catalog.pg_class c ON c.oid = u.seq AND c.relkind = 'S' \
         WHERE {OWN} GROUP BY u.seq) \
         SELECT NULL AS schema, pg_catalog.count(*)::pg_catalog.text AS name, NULL, NULL, NULL, NULL FROM drawn \
         UNION ALL SELECT m.nspname::pg_catalog.text, c.relname::pg_catalog.text, {grantor}::pg_catalog.text, \
         ({DRAW})::pg_catalog.text, ({SEE})::pg_catalog.text, d.identity::pg_catalog.text \
         FROM drawn d JOIN pg_catalog.pg_class c ON c.oid = d.seq JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace \
         WHERE CASE WHEN c.relkind = 'S' THEN NOT ({DRAW} AND {SEE}) END ORDER BY 1 NULLS FIRST, 2"
    )
}

/// A sequence; or, without a schema, how many there are.
fn sequence(
    [schema, name, grantor, draw, see, identity]: [Option<String>; 6],
    login: &Login,
    total: &mut u64,
) -> Result<Option<Sequence>> {
    let holds = |value: &Option<String>| value.as_deref() == Some("true");
    let name = required(name)?;
    let Some(schema) = schema else {
        *total = name.parse().unwrap_or(0);
        return Ok(None);
    };
    Ok(Some(Sequence {
        schema,
        name,
        grantor: resolved(required(grantor)?, login),
        draw: !holds(&draw),
        see: !holds(&see),
        identity: holds(&identity),
    }))
}

/// For every role that owns a schema, has tables in it and may create more, was granted the right
/// to, or logs in with the rights of one that was: what the login will have on what that role creates there. What the login creates itself,
/// or a role whose rights it has, is left out.
fn futures(scope: &str) -> String {
    let has = |kind: &str, privilege: &str| {
        format!(
            "COALESCE(pg_catalog.bool_or(d.defaclobjtype = '{kind}' AND a.privilege_type = '{privilege}'), false)"
        )
    };
    format!(
        "SELECT n.nspname, r.rolname, {}, {}, {}, {}, {}, {} FROM ( \
         SELECT q.schema, q.role FROM (SELECT DISTINCT c.relnamespace AS schema, c.relowner AS role \
         FROM pg_catalog.pg_class c WHERE {RELATIONS} AND {OWN}) q \
         WHERE pg_catalog.has_schema_privilege(q.role, q.schema, 'CREATE') \
         UNION SELECT s.oid, CASE WHEN pg_catalog.pg_get_userbyid(s.nspowner) = 'pg_database_owner' \
         THEN (SELECT b.datdba FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) \
         ELSE s.nspowner END FROM pg_catalog.pg_namespace s \
         UNION SELECT s.oid, g.oid FROM pg_catalog.pg_namespace s CROSS JOIN LATERAL pg_catalog.aclexplode(s.nspacl) x \
         JOIN pg_catalog.pg_roles g ON g.oid = x.grantee OR (g.rolcanlogin AND NOT g.rolsuper AND pg_catalog.pg_has_role(g.oid, x.grantee, 'USAGE')) \
         WHERE x.privilege_type = 'CREATE' AND x.grantee <> 0::pg_catalog.oid) m \
         JOIN pg_catalog.pg_namespace n ON n.oid = m.schema \
         JOIN pg_catalog.pg_roles r ON r.oid = m.role \
         LEFT JOIN pg_catalog.pg_default_acl d ON d.defaclrole = r.oid AND d.defaclnamespace IN (0::pg_catalog.oid, n.oid) \
         LEFT JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a \
         ON a.grantee = 0::pg_catalog.oid OR pg_catalog.pg_has_role(a.grantee, 'USAGE') \
         WHERE {scope} AND NOT pg_catalog.pg_has_role(r.oid, 'USAGE') AND r.rolname <> 'pg_database_owner' \
         GROUP BY n.nspname, r.rolname ORDER BY r.rolname, n.nspname",
        has("r", "SELECT"),
        has("r", "INSERT"),
        has("r", "UPDATE"),
        has("r", "DELETE"),
        has("S", "USAGE"),
        has("S", "SELECT"),
    )
}

fn future(row: [Option<String>; 8], login: &Login) -> Result<Future> {
    let [schema, role, select, insert, update, delete, draw, see] = row;
    let lacks = |has: &Option<String>, anyway: bool| !is_true(has) && !anyway;
    Ok(Future {
        schema: required(schema)?,
        role: required(role)?,
        tables: Lack {
            select: lacks(&select, login.reads_all),
            insert: lacks(&insert, login.writes_all),
            update: lacks(&update, login.writes_all),
            delete: lacks(&delete, login.writes_all),
        },
        draw: lacks(&draw, login.writes_all),
        see: lacks(&see, login.reads_all),
    })
}

/// Views with something beneath that is not readable, and foreign servers without a user
/// mapping for the login. Files need none.
fn beyond(scope: &str) -> String {
    // The grantor is that of what is beneath.
    let grantor = GRANTOR
        .replace("c.relowner", "b.relowner")
        .replace("n.oid", "m.oid");
    format!(
        "SELECT DISTINCT 'view', n.nspname::pg_catalog.text, c.relname::pg_catalog.text, m.nspname::pg_catalog.text, \
         b.relname::pg_catalog.text, i.reader::pg_catalog.text, {grantor}::pg_catalog.text \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_rewrite w ON w.ev_class = c.oid AND w.ev_type = '1' \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid \
         AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid \
         AND d.refobjid <> c.oid \
         JOIN pg_catalog.pg_class b ON b.oid = d.refobjid AND b.relkind IN ('r', 'p', 'v', 'm', 'f') \
         JOIN pg_catalog.pg_namespace m ON m.oid = b.relnamespace \
         CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.unnest(c.reloptions) AS o (given) \
         WHERE o.given ~ '^security_invoker=(true|on|yes|1)$') THEN current_user \
         ELSE pg_catalog.pg_get_userbyid(c.relowner) END AS reader) i \
         WHERE c.relkind = 'v' AND {scope} AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         AND NOT CASE d.refobjsubid WHEN 0 THEN pg_catalog.has_any_column_privilege(i.reader, b.oid, 'SELECT') \
         ELSE pg_catalog.has_column_privilege(i.reader, b.oid, d.refobjsubid::pg_catalog.int2, 'SELECT') END \
         UNION ALL SELECT 'server', s.srvname::pg_catalog.text, pg_catalog.count(*)::pg_catalog.text, NULL, NULL, NULL, NULL \
         FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver \
         JOIN pg_catalog.pg_foreign_data_wrapper f ON f.oid = s.srvfdw \
         WHERE {scope} AND f.fdwname <> 'file_fdw' AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_user_mappings u WHERE u.srvid = s.oid \
         AND (u.umuser = 0::pg_catalog.oid OR u.usename = current_user)) \
         GROUP BY s.srvname ORDER BY 1 DESC, 2, 3, 4, 5"
    )
}

fn what_is_beyond([what, one, two, three, four, five, six]: [Option<String>; 7]) -> Result<Beyond> {
    Ok(match what.as_deref() {
        Some("view") => Beyond::View {
            schema: required(one)?,
            name: required(two)?,
            base_schema: required(three)?,
            base: required(four)?,
            reader: required(five)?,
            grantor: required(six)?,
        },
        _ => Beyond::Foreign {
            server: required(one)?,
            tables: two.and_then(|count| count.parse().ok()).unwrap_or(0),
        },
    })
}
