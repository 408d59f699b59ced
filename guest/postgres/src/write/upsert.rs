//! Rows that change those with their key and add the rest.
//!
//! They are gathered in a temporary table made like the target, where types, NOT NULL and CHECK
//! are judged row by row as they come, and go from there in one `INSERT ... ON CONFLICT`. Each
//! row carries its number, so that whatever that statement finds can be traced to it
//! ([`super::culprit`]). The statement takes the rows in the order of their key: two upserts at
//! once then wait for each other instead of deadlocking.

use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::Duplicates;
use dagflux_guest::{Error, Result};

use super::culprit;
use super::fault::Fault;
use super::key;
use super::relation::Relation;
use super::table::Column;
use crate::catalog::{columns_of, required};
use crate::dialect::{literal, quote, quoted_list};
use crate::protocol::backend::TextRow;
use crate::session::Session;

/// What an upsert needs. Reading: a conflict is looked for in the columns of the key, and the
/// row that was there is looked at.
const PRIVILEGES: &[&str] = &["SELECT", "INSERT", "UPDATE"];

/// What it needs if the columns it changes are granted one by one, or there are none.
const LESS: &[&str] = &["SELECT", "INSERT"];

/// What the names of temporary tables begin with.
const STAGING: &str = "dagflux_staging";

/// What the target is called where rows are carried over: its name may be `excluded`, which is
/// what the new row is called.
const TARGET: &str = "dagflux_target";

/// How many keys are shown that come more than once, and how many of the rows of each.
const SHOWN: usize = 5;

/// How many rows were added, and how many changed.
const COUNTS: &str = "SELECT pg_catalog.count(*) FILTER (WHERE added), \
    pg_catalog.count(*) FILTER (WHERE NOT added) FROM written";

/// Where the numbers of the rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// They are sent with the rows.
    Sent,
    /// The server counts the rows.
    Counted,
}

/// An upsert that is under way.
#[derive(Debug, Clone)]
pub struct Upsert {
    pub key: Vec<String>,
    pub last_wins: bool,
    pub columns: Vec<String>,
    /// The columns that rows which were there keep: they cannot be set.
    kept: Vec<String>,
    overriding: bool,
    partitioned: bool,
    /// Whether the temporary table can have the constraints of the target.
    checks: bool,
    target: String,
    /// The temporary table, as SQL.
    pub staging: String,
    pub name: String,
    /// Its column with the number of the row, quoted.
    pub number: String,
}

/// The name of the sequence that says what became of a row, beside a temporary table.
fn fate(staging: &str) -> String {
    format!("{staging}_fate")
}

/// Asks for the names of temporary tables that are taken; for constraints that no other table
/// can have: they are about the row as a whole, which has the table's own type; for rules that
/// rewrite the statement; and for columns that the login may not change.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask(session: &mut Session, schema: &str, table: &str) -> Result<()> {
    session.ask(
        &format!(
            "WITH target AS (SELECT c.oid FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2) \
             SELECT 'taken', c.relname FROM pg_catalog.pg_class c \
             WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() \
             AND c.relname::pg_catalog.text LIKE '{STAGING}%' \
             UNION ALL SELECT 'whole', k.conname FROM target \
             JOIN pg_catalog.pg_constraint k ON k.conrelid = target.oid AND k.contype = 'c' \
             AND (k.conkey IS NULL OR 0 = ANY (k.conkey)) \
             UNION ALL SELECT 'rule', w.rulename FROM target \
             JOIN pg_catalog.pg_rewrite w ON w.ev_class = target.oid AND w.ev_type IN ('2', '3') \
             AND (w.ev_enabled IN ('O', 'A') OR w.ev_type = '2') \
             UNION ALL SELECT 'fixed', a.attname FROM target \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = target.oid AND a.attnum > 0 AND NOT a.attisdropped \
             AND NOT pg_catalog.has_column_privilege(target.oid, a.attnum, 'UPDATE')"
        ),
        &[Some(schema), Some(table)],
    )
}

/// The answer to [`ask`].
#[derive(Debug, Default)]
pub struct Findings {
    /// Names of temporary tables.
    taken: Vec<String>,
    /// Whether there is a constraint about the row as a whole.
    whole: bool,
    rules: Vec<String>,
    /// Columns that the login may not change.
    fixed: Vec<String>,
}

/// Takes them from the answer.
///
/// # Errors
/// `protocol`.
pub fn findings(rows: Vec<TextRow>) -> Result<Findings> {
    let mut found = Findings::default();
    for row in rows {
        let [what, name] = columns_of(row)?;
        let name = required(name)?;
        match what.as_deref() {
            Some("taken") => found.taken.push(name),
            Some("whole") => found.whole = true,
            Some("rule") => found.rules.push(name),
            _ => found.fixed.push(name),
        }
    }
    Ok(found)
}

impl Upsert {
    /// Plans it.
    pub fn new(
        key: Vec<String>,
        duplicates: Duplicates,
        relation: &Relation,
        columns: &[Column],
        arrow: &Schema,
        findings: &Findings,
    ) -> Self {
        let is_taken = |name: &String| findings.taken.contains(name);
        let mut name = STAGING.to_owned();
        let mut number = 1_u64;
        while is_taken(&name) || is_taken(&fate(&name)) {
            number = number.saturating_add(1);
            name = format!("{STAGING}_{number}");
        }
        let mut row = "dagflux_row".to_owned();
        while columns.iter().any(|column| column.name == row) {
            row.push('_');
        }
        let always = |name: &String| {
            let mut always = columns.iter().filter(|column| column.identity_always);
            always.any(|column| column.name == *name)
        };
        let offered: Vec<_> = arrow.fields().iter().map(|f| f.name().clone()).collect();
        Self {
            kept: offered
                .iter()
                .filter(|name| always(name) && !key.contains(name))
                .cloned()
                .collect(),
            overriding: offered.iter().any(always),
            last_wins: duplicates == Duplicates::LastWins,
            partitioned: relation.is_partitioned(),
            target: relation.sql(),
            staging: format!("pg_temp.{}", quote(&name)),
            number: quote(&row),
            columns: offered,
            checks: !findings.whole,
            key,
            name,
        }
    }

    /// What stands in its way.
    pub fn faults(&self, findings: &Findings, relation: &Relation, user: &str) -> Vec<Fault> {
        let rule = |name: &String| {
            let rule = quote(name);
            let text = format!("the rule {rule} rewrites what an upsert does to it");
            // One that is disabled stands in the way as well, if it is ON UPDATE.
            Fault::new(ErrorKind::Unsupported, "rule", name, text)
                .with_remedy(format!("DROP RULE {rule} ON {};", self.target))
        };
        let mut faults: Vec<_> = findings.rules.iter().map(rule).collect();
        let changes = |name: &String| self.changed().any(|changed| changed == name);
        let needed = match findings.fixed.iter().any(changes) {
            true => PRIVILEGES,
            false => LESS,
        };
        faults.extend(relation.privilege_faults(needed, user));
        faults
    }

    /// The statements that make the temporary table.
    pub fn preparation(&self, table: &[Column], numbers: Numbers) -> Vec<String> {
        let mut statements = vec![format!(
            "CREATE TEMPORARY TABLE {} (LIKE {}{}) ON COMMIT DROP",
            quote(&self.name),
            self.target,
            match self.checks {
                true => " INCLUDING CONSTRAINTS",
                false => "",
            }
        )];
        let mut changes: Vec<_> = table
            .iter()
            .filter(|column| !self.columns.contains(&column.name))
            .map(|column| format!("DROP COLUMN {}", quote(&column.name)))
            .collect();
        let counted = match numbers {
            Numbers::Sent => "",
            Numbers::Counted => " GENERATED ALWAYS AS IDENTITY",
        };
        changes.push(format!("ADD COLUMN {} bigint{counted}", self.number));
        statements.push(format!(
            "ALTER TABLE {} {}",
            self.staging,
            changes.join(", ")
        ));
        if self.partitioned {
            statements.push(format!(
                "CREATE TEMPORARY SEQUENCE {} OWNED BY {}.{}",
                self.fate(),
                self.staging,
                self.number
            ));
        }
        statements
    }

    /// The `COPY` that the rows go to.
    pub fn copy(&self, format: &str) -> String {
        format!(
            "COPY {} ({}, {}) FROM STDIN (FORMAT {format})",
            self.staging,
            self.list(&self.columns),
            self.number
        )
    }

    /// What goes in front of the query whose rows they are.
    pub fn insert(&self) -> String {
        format!(
            "INSERT INTO {} ({}) ",
            self.staging,
            self.list(&self.columns)
        )
    }

    /// Fails if a row that was gathered has no value in a column of the key.
    ///
    /// # Errors
    /// `constraint`, naming row and column.
    pub fn check_filled(&self, session: &mut Session) -> Result<()> {
        for column in &self.key {
            let number = &self.number;
            let without = format!(
                "SELECT {number} FROM {} WHERE {} IS NULL ORDER BY {number} LIMIT 1",
                self.staging,
                quote(column)
            );
            let row = session.rows(&without, &[])?.into_iter().flatten().next();
            if let Some(row) = row.flatten() {
                return Err(key::not_filled(column, &row));
            }
        }
        Ok(())
    }

    /// What rows that were there keep, for someone who expects otherwise.
    pub fn remarks(&self) -> Vec<String> {
        let remark = |name: &String| {
            format!(
                "rows that were there keep their value of {}: the server sets a column that is GENERATED ALWAYS AS IDENTITY in new rows only",
                quote(name)
            )
        };
        self.kept.iter().map(remark).collect()
    }

    fn list(&self, names: &[String]) -> String {
        quoted_list(names.iter().map(String::as_str))
    }

    fn fate(&self) -> String {
        format!("pg_temp.{}", quote(&fate(&self.name)))
    }

    /// The columns that a row which was there gets anew.
    fn changed(&self) -> impl Iterator<Item = &str> {
        let fixed = |name: &String| self.key.contains(name) || self.kept.contains(name);
        let changed = self.columns.iter().filter(move |name| !fixed(name));
        changed.map(String::as_str)
    }

    /// The statement that carries the rows over. Its result: how many rows were added, and how
    /// many changed.
    ///
    /// A row that was added has never been locked or changed: its `xmax` is 0. The server does
    /// not tell the `xmax` of a row that went to a partition. There, a sequence of this session
    /// is set to 1 as a row is taken up, and to 2 when that row meets one with its key. The
    /// server takes up a row only when it is done with the one before, so what the sequence
    /// says when a row is told of is said of that row. (`OFFSET 0` keeps the planner from setting
    /// it before the rows are put in order.) Rows that a trigger passes over are not told of.
    pub fn statement(&self) -> String {
        let key = self.list(&self.key);
        let columns = self.list(&self.columns);
        let changed: Vec<_> = self
            .changed()
            .map(|name| format!("{0} = EXCLUDED.{0}", quote(name)))
            .collect();
        let source = match self.last_wins {
            true => format!(
                "SELECT DISTINCT ON ({key}) {columns} FROM {} ORDER BY {key}, {} DESC",
                self.staging, self.number
            ),
            false => format!("SELECT {columns} FROM {} ORDER BY {key}", self.staging),
        };
        let overriding = match self.overriding {
            true => " OVERRIDING SYSTEM VALUE",
            false => "",
        };
        let insert = format!(
            "INSERT INTO {} AS {TARGET} ({columns}){overriding}",
            self.target
        );
        if changed.is_empty() {
            return format!(
                "WITH written AS ({insert} {source} ON CONFLICT ({key}) DO NOTHING RETURNING 1) \
                 SELECT pg_catalog.count(*), 0 FROM written"
            );
        }
        let update = format!("ON CONFLICT ({key}) DO UPDATE SET {}", changed.join(", "));
        if self.partitioned {
            let fate = format!("{}::pg_catalog.regclass", literal(&self.fate()));
            return format!(
                "WITH written AS ({insert} SELECT {columns} FROM ({source} OFFSET 0) AS offered \
                 WHERE pg_catalog.setval({fate}, 1) > 0 \
                 {update} WHERE pg_catalog.setval({fate}, 2) > 0 \
                 RETURNING pg_catalog.currval({fate}) = 1 AS added) {COUNTS}"
            );
        }
        format!("WITH written AS ({insert} {source} {update} RETURNING xmax = 0 AS added) {COUNTS}")
    }

    /// Carries the rows over; returns how many were added and how many changed. Constraints
    /// that wait for the end of the transaction are looked at now, while the rows can be traced.
    ///
    /// # Errors
    /// What the server reports, with the row it is about where that can be told.
    pub fn carry_over(&self, session: &mut Session, relation: &Relation) -> Result<(u64, u64)> {
        if !self.last_wins && self.changed().next().is_none() {
            // The statement would pass over them.
            if let Some(error) = self.duplicates(session, false)? {
                return Err(error);
            }
        }
        let statement = self.statement();
        let attempt = session.attempt(&[
            "SAVEPOINT dagflux",
            &statement,
            "SET CONSTRAINTS ALL IMMEDIATE",
        ])?;
        let rows = match attempt {
            Ok(rows) => rows,
            Err(error) if error.as_record().sqlstate.as_deref() == Some("21000") => {
                return Err(self.duplicates(session, true)?.unwrap_or(error));
            }
            Err(error) => return Err(culprit::named(session, self, relation, error)),
        };
        let mut numbers = rows
            .iter()
            .flatten()
            .map(|value| value.as_deref().and_then(|text| text.parse::<u64>().ok()));
        let mut number = || {
            let number = numbers.next().flatten();
            number.ok_or_else(|| session.unexpected("in place of the number of rows written"))
        };
        Ok((number()?, number()?))
    }

    /// The failure that keys are which come more than once; none if there are none.
    fn duplicates(&self, session: &mut Session, failed: bool) -> Result<Option<Error>> {
        let Self { number, .. } = self;
        let key = self.list(&self.key);
        let texts: Vec<_> = self
            .key
            .iter()
            .map(|column| format!("{}::pg_catalog.text", quote(column)))
            .collect();
        let query = format!(
            "SELECT pg_catalog.count(*) OVER (), pg_catalog.min({number}), \
             pg_catalog.array_to_string((pg_catalog.array_agg({number} ORDER BY {number}))[1:{SHOWN}], ', '), \
             pg_catalog.count(*), {} FROM {} \
             GROUP BY {key} HAVING pg_catalog.count(*) > 1 ORDER BY 2 LIMIT {SHOWN}",
            texts.join(", "),
            self.staging
        );
        let rows = match failed {
            true => session.attempt(&["ROLLBACK TO SAVEPOINT dagflux", &query])??,
            false => session.rows(&query, &[])?,
        };
        let mut shown = Vec::new();
        let (mut total, mut first, mut second) = (0_u64, None, None);
        for row in rows {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten().unwrap_or_default();
            total = next().parse().unwrap_or(total);
            let (_, lines, count) = (next(), next(), next());
            let value: Vec<String> = values.map(Option::unwrap_or_default).collect();
            let value = value.join(", ");
            let more = match count.parse::<usize>() {
                Ok(count) if count > SHOWN => format!(" and {} more", count.saturating_sub(SHOWN)),
                _ => String::new(),
            };
            if first.is_none() {
                // The first is fine by itself.
                second = lines.split(", ").nth(1).map(str::to_owned);
                first = Some(value.clone());
            }
            shown.push(format!("({value}) in rows {lines}{more}"));
        }
        let (Some(value), Some(row)) = (first, second) else {
            return Ok(None);
        };
        let rest = match usize::try_from(total).unwrap_or(usize::MAX) {
            total if total > shown.len() => {
                format!("; and {} more", total.saturating_sub(shown.len()))
            }
            _ => String::new(),
        };
        let keys = if total == 1 { "key comes" } else { "keys come" };
        Ok(Some(
            Error::new(
                ErrorKind::Constraint,
                format!(
                    "{total} {keys} more than once in the new rows: ({}) = {}{rest}",
                    self.key.join(", "),
                    shown.join("; ")
                ),
            )
            .with_hint("leave one row for each key, or let the last one win; nothing was written")
            .with_attribute("column", self.key.join(", "))
            .with_attribute("row", row)
            .with_attribute("value", value),
        ))
    }
}
