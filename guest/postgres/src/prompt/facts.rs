//! What the catalog knows of the tables that a prompt is about: four statements, in two flights.

use std::collections::{BTreeMap, BTreeSet};

use dagflux_guest::Result;

use crate::catalog::{columns_of, generated_column, is_true, required};
use crate::dialect::array;
use crate::protocol::backend::TextRow;
use crate::session::{Access, Session};

/// A table.
#[derive(Debug, Default)]
pub struct Facts {
    /// Where it stands among those that were asked for, from 0; none if a foreign key leads to it.
    pub asked: Vec<usize>,
    pub schema: String,
    pub name: String,
    /// What it is, in a word or two.
    pub kind: &'static str,
    /// How it is partitioned.
    pub partitioned: Option<String>,
    pub estimated_rows: Option<u64>,
    pub comment: Option<String>,
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    pub name: String,
    pub type_: String,
    pub nullable: bool,
    pub default: Option<String>,
    pub identity: Option<&'static str>,
    pub computed: bool,
    pub comment: Option<String>,
    /// Its type, as the catalog numbers it.
    pub type_oid: String,
}

/// A key, a reference, a check.
#[derive(Debug)]
pub enum Constraint {
    /// With the columns, quoted.
    PrimaryKey(String),
    Unique(String),
    /// The columns, the table and its columns.
    ForeignKey(String, String, String),
    Check(String),
}

/// A type that someone made, as far as it is told.
#[derive(Debug, Default)]
pub struct MadeType {
    pub name: String,
    /// What a domain stands for.
    pub base: Option<String>,
    pub labels: Vec<String>,
    pub attributes: Vec<String>,
    pub checks: Vec<String>,
    /// How many labels there are.
    pub total: usize,
}

/// All that is known.
#[derive(Debug, Default)]
pub struct Known {
    /// Those that were asked for, and behind them those that foreign keys tie to them.
    pub tables: Vec<Facts>,
    /// The types that someone made, by the type of the column that has to do with them.
    pub types: BTreeMap<String, Vec<MadeType>>,
    /// How many tables foreign keys tie to those that were asked for.
    pub related: usize,
}

/// The tables `$1`.`$2`, each with its place, and those that foreign keys tie to them, of which 50 are
/// more than there is room for.
const TABLES: &str = "WITH chosen AS (SELECT u.ord, c.oid FROM ROWS FROM \
    (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) \
    WITH ORDINALITY AS u(schema, name, ord) \
    JOIN pg_catalog.pg_namespace n ON n.nspname = u.schema::pg_catalog.name \
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.name::pg_catalog.name \
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')), \
    tied AS (SELECT k.confrelid AS oid, ch.ord FROM chosen ch \
    JOIN pg_catalog.pg_constraint k ON k.conrelid = ch.oid AND k.contype = 'f' \
    UNION ALL SELECT k.conrelid, ch.ord FROM chosen ch \
    JOIN pg_catalog.pg_constraint k ON k.confrelid = ch.oid AND k.contype = 'f'), \
    related AS (SELECT t.oid, pg_catalog.min(t.ord) AS first, pg_catalog.count(*) OVER () AS total FROM tied t \
    JOIN pg_catalog.pg_class c ON c.oid = t.oid AND NOT c.relispartition \
    WHERE NOT EXISTS (SELECT 1 FROM chosen ch WHERE ch.oid = t.oid) \
    GROUP BY t.oid ORDER BY 2, 1 LIMIT 50), \
    everything AS (SELECT ch.ord, ch.oid, 0::pg_catalog.int8 AS first, 0::pg_catalog.int8 AS total FROM chosen ch \
    UNION ALL SELECT NULL, r.oid, r.first, r.total FROM related r) \
    SELECT e.ord, e.oid, n.nspname, c.relname, c.relkind, c.relispartition, \
    CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END, \
    CASE WHEN c.relkind IN ('r', 'p', 'm', 'f') AND (c.reltuples > 0::pg_catalog.float4 \
    OR c.reltuples = 0::pg_catalog.float4 AND c.relpages > 0) THEN c.reltuples::pg_catalog.int8 END, \
    pg_catalog.obj_description(c.oid, 'pg_class'), e.total \
    FROM everything e JOIN pg_catalog.pg_class c ON c.oid = e.oid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY e.ord, e.first, n.nspname, c.relname";

/// The keys, references and checks of the tables `$1`.
const CONSTRAINTS: &str = "SELECT k.conrelid, k.contype, \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.ord) \
    FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(num, ord) \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num), \
    (SELECT pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(fc.relname) \
    FROM pg_catalog.pg_class fc JOIN pg_catalog.pg_namespace fn ON fn.oid = fc.relnamespace WHERE fc.oid = k.confrelid), \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.ord) \
    FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(num, ord) \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num), \
    CASE WHEN k.contype = 'c' THEN pg_catalog.pg_get_expr(k.conbin, k.conrelid) END \
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = ANY ($1::pg_catalog.oid[]) \
    AND k.contype IN ('p', 'u', 'f', 'c') \
    UNION ALL SELECT i.indrelid, 'u', \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.ord) \
    FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS u(num, ord) \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num WHERE u.ord <= KEYS), \
    NULL, NULL, NULL FROM pg_catalog.pg_index i WHERE i.indrelid = ANY ($1::pg_catalog.oid[]) \
    AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))";

/// The types that someone made and that the columns of the tables `$1` have to do with: of each, its
/// first 60 parts.
const TYPES: &str = "WITH RECURSIVE used(root, oid) AS (SELECT a.atttypid, a.atttypid FROM pg_catalog.pg_attribute a \
    WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped \
    UNION SELECT u.root, p.oid FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid CROSS JOIN LATERAL (\
    SELECT t.typelem AS oid UNION ALL SELECT t.typbasetype UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a \
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p \
    WHERE p.oid <> 0::pg_catalog.oid) \
    SELECT u.root, u.oid, pg_catalog.format_type(u.oid, NULL), p.what, p.text, p.total FROM used u \
    JOIN pg_catalog.pg_type t ON t.oid = u.oid AND t.typtype IN ('e', 'd', 'c') CROSS JOIN LATERAL (\
    SELECT 'label' AS what, pg_catalog.row_number() OVER (ORDER BY e.enumsortorder) AS ord, \
    e.enumlabel::pg_catalog.text AS text, pg_catalog.count(*) OVER () AS total \
    FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid \
    UNION ALL SELECT 'base', 0, pg_catalog.format_type(t.typbasetype, t.typtypmod) || \
    CASE WHEN t.typnotnull THEN ' not null' ELSE '' END, 1 WHERE t.typtype = 'd' \
    UNION ALL SELECT 'check', pg_catalog.row_number() OVER (ORDER BY k.conname), pg_catalog.pg_get_expr(k.conbin, 0), 1 \
    FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' \
    UNION ALL SELECT 'attribute', a.attnum, pg_catalog.quote_ident(a.attname) || ' ' || \
    pg_catalog.format_type(a.atttypid, a.atttypmod), 1 FROM pg_catalog.pg_attribute a \
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p \
    WHERE p.ord <= 60 ORDER BY u.root, u.oid, p.what, p.ord";

/// What is known of these tables, by schema and name.
///
/// # Errors
/// What the server reports.
pub fn known(session: &mut Session, tables: &[(String, String)]) -> Result<Known> {
    session.start(Access::Read)?;
    let schemas = array(tables.iter().map(|(schema, _)| schema.as_str()));
    let names = array(tables.iter().map(|(_, name)| name.as_str()));
    session.ask(TABLES, &[Some(&schemas), Some(&names)])?;
    let mut known = Known::default();
    let mut oids: Vec<String> = Vec::new();
    for row in session.gather()? {
        take_table(&mut known, &mut oids, row)?;
    }
    let list = array(oids.iter().map(String::as_str));
    let generated = generated_column(session);
    session.ask(&columns_sql(generated), &[Some(&list)])?;
    let keys = match session.version() {
        110_000.. => "i.indnkeyatts",
        _ => "i.indnatts",
    };
    session.ask(&CONSTRAINTS.replace("KEYS", keys), &[Some(&list)])?;
    session.ask(TYPES, &[Some(&list)])?;
    let place: BTreeMap<&str, usize> = oids.iter().map(String::as_str).zip(0..).collect();
    for row in session.gather()? {
        let (of, column) = column(row)?;
        if let Some(facts) = place
            .get(of.as_str())
            .and_then(|at| known.tables.get_mut(*at))
        {
            facts.columns.push(column);
        }
    }
    for row in session.gather()? {
        let (of, constraint) = constraint(row)?;
        let facts = place
            .get(of.as_str())
            .and_then(|at| known.tables.get_mut(*at));
        if let (Some(facts), Some(constraint)) = (facts, constraint) {
            facts.constraints.push(constraint);
        }
    }
    known.types = types(session.gather()?)?;
    Ok(known)
}

fn take_table(known: &mut Known, oids: &mut Vec<String>, row: TextRow) -> Result<()> {
    let [
        ord,
        oid,
        schema,
        name,
        kind,
        partition,
        partitioned,
        estimate,
        comment,
        total,
    ] = columns_of(row)?;
    let oid = required(oid)?;
    let asked = ord.and_then(|ord| ord.parse::<usize>().ok()?.checked_sub(1));
    if asked.is_none() {
        known.related = total
            .and_then(|total| total.parse().ok())
            .unwrap_or_default();
    }
    if let Some(at) = oids.iter().position(|known| *known == oid) {
        // Asked for twice.
        let twice = known.tables.get_mut(at).into_iter();
        twice.for_each(|facts| facts.asked.extend(asked));
        return Ok(());
    }
    oids.push(oid);
    known.tables.push(Facts {
        asked: asked.into_iter().collect(),
        schema: required(schema)?,
        name: required(name)?,
        kind: match kind.as_deref() {
            Some("r") if is_true(&partition) => "partition",
            Some("p") => "partitioned table",
            Some("v") => "view",
            Some("m") => "materialized view",
            Some("f") => "foreign table",
            _ => "table",
        },
        partitioned,
        estimated_rows: estimate.and_then(|estimate| estimate.parse().ok()),
        comment,
        ..Facts::default()
    });
    Ok(())
}

fn columns_sql(generated: &str) -> String {
    format!(
        "SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull), \
         pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attidentity, {generated}, \
         pg_catalog.col_description(a.attrelid, a.attnum), a.atttypid \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attrelid, a.attnum"
    )
}

fn column(row: TextRow) -> Result<(String, Column)> {
    let [
        of,
        name,
        type_,
        nullable,
        default,
        identity,
        generated,
        comment,
        oid,
    ] = columns_of(row)?;
    let column = Column {
        name: required(name)?,
        type_: required(type_)?,
        nullable: is_true(&nullable),
        default,
        identity: match identity.as_deref() {
            Some("a") => Some("identity always"),
            Some("d") => Some("identity by default"),
            _ => None,
        },
        computed: matches!(generated.as_deref(), Some("s" | "v")),
        comment,
        type_oid: required(oid)?,
    };
    Ok((required(of)?, column))
}

fn constraint(row: TextRow) -> Result<(String, Option<Constraint>)> {
    let [of, kind, columns, table, referenced, check] = columns_of(row)?;
    let constraint = match (kind.as_deref(), columns, table, referenced, check) {
        (Some("p"), Some(columns), ..) => Some(Constraint::PrimaryKey(columns)),
        (Some("u"), Some(columns), ..) => Some(Constraint::Unique(columns)),
        (Some("f"), Some(columns), Some(table), Some(referenced), _) => {
            Some(Constraint::ForeignKey(columns, table, referenced))
        }
        (Some("c"), .., Some(check)) => Some(Constraint::Check(check)),
        _ => None,
    };
    Ok((required(of)?, constraint))
}

fn types(rows: Vec<TextRow>) -> Result<BTreeMap<String, Vec<MadeType>>> {
    let mut types: BTreeMap<String, Vec<MadeType>> = BTreeMap::new();
    let mut last = None;
    for row in rows {
        let [root, oid, name, what, text, total] = columns_of(row)?;
        let (root, oid, text) = (required(root)?, required(oid)?, text.unwrap_or_default());
        let of_root = types.entry(root.clone()).or_default();
        let place = Some((root, oid));
        if last != place {
            last = place;
            of_root.push(MadeType {
                name: required(name)?,
                ..MadeType::default()
            });
        }
        let Some(made) = of_root.last_mut() else {
            continue;
        };
        match what.as_deref() {
            Some("label") => {
                made.labels.push(text);
                made.total = total
                    .and_then(|total| total.parse().ok())
                    .unwrap_or_default();
            }
            Some("base") => made.base = Some(text),
            Some("check") => made.checks.push(text),
            _ => made.attributes.push(text),
        }
    }
    Ok(types)
}

/// Those that were asked for and are not there, by their places.
pub fn missing(known: &Known, asked: usize) -> Vec<usize> {
    let found: BTreeSet<usize> = known
        .tables
        .iter()
        .flat_map(|facts| facts.asked.clone())
        .collect();
    (0..asked).filter(|at| !found.contains(at)).collect()
}
