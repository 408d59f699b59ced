//! Sequences behind the columns that values were written to: advanced past those values, so
//! that the next row without one does not collide.
//!
//! A sequence is moved by drawing values from it, as every INSERT does, which is safe beside
//! others that draw. Only where that would take long is it set, by a login that may: setting
//! looks and then moves, so a value that someone draws in between, beyond the one that is set,
//! comes a second time. (Writers of this connector keep each other out with a lock.)
//!
//! A sequence is never moved backwards, not moved if it is past the values already, and keeps
//! its step. It is moved outside the transaction, as every use of a sequence is: a write that
//! is rolled back in the end leaves a gap and no more.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, Schema};
use dagflux_guest::Result;

use crate::catalog::{columns_of, is_true, required};
use crate::dialect::{literal, qualified, quote};
use crate::protocol::backend::TextRow;
use crate::session::Session;

/// What the key of the lock begins with under which sequences are advanced: `seqs` in ASCII.
/// It keeps writers of this connector from overtaking each other between looking and setting.
const LOCK: i64 = 0x7365_7173 << 32;

/// How many values are drawn before a sequence that may be set is set: a tenth of a second.
const FEW: u64 = 100_000;

/// How many values are drawn at most from a sequence that may be used but not set: some seconds.
const MOST_DRAWN: u64 = 10_000_000;

/// How many values are drawn at most by one statement.
const AT_ONCE: u64 = 1_000_000;

/// A sequence whose column is written to.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// Where the column stands in the Arrow schema.
    at: usize,
    column: String,
    /// Its name as SQL.
    sql: String,
    oid: i64,
    ascending: bool,
    /// The last value it can give.
    last: i64,
    readable: bool,
    /// Whether it may be set.
    writable: bool,
    /// Whether values may be drawn from it.
    usable: bool,
    increment: i64,
    /// How many values a session takes at once, and then has in store.
    cache: u64,
    /// Whether the values are seen as they pass.
    watched: bool,
    /// The largest value that passed, or the smallest if it descends.
    extreme: Option<i64>,
}

/// Asks for the sequences of a table.
///
/// # Errors
/// When a name holds a NUL byte.
pub fn ask(session: &mut Session, schema: &str, table: &str) -> Result<()> {
    // The identity of a partition is that of the table it is part of.
    let root = match session.version() {
        120_000.. => "c.oid, pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid",
        _ => "c.oid",
    };
    session.ask(
        &format!(
            "SELECT a.attname, sn.nspname, s.relname, s.oid, q.seqincrement > 0, \
             CASE WHEN q.seqincrement > 0 THEN q.seqmax ELSE q.seqmin END, \
             pg_catalog.has_sequence_privilege(s.oid, 'SELECT') AND pg_catalog.has_schema_privilege(sn.oid, 'USAGE'), \
             pg_catalog.has_sequence_privilege(s.oid, 'UPDATE') AND pg_catalog.has_schema_privilege(sn.oid, 'USAGE'), \
             pg_catalog.has_sequence_privilege(s.oid, 'USAGE') AND pg_catalog.has_schema_privilege(sn.oid, 'USAGE'), \
             q.seqincrement, q.seqcache \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             JOIN LATERAL (SELECT d.objid AS seq FROM pg_catalog.pg_depend d \
             JOIN pg_catalog.pg_attribute o ON o.attrelid = d.refobjid AND o.attnum = d.refobjsubid \
             WHERE a.attidentity <> '' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid \
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid \
             AND d.refobjid IN ({root}) AND d.deptype = 'i' AND o.attname = a.attname \
             UNION SELECT d.refobjid FROM pg_catalog.pg_attrdef e \
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid \
             AND d.objid = e.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid \
             WHERE e.adrelid = c.oid AND e.adnum = a.attnum \
             AND a.atttypid IN ('pg_catalog.int2'::pg_catalog.regtype::pg_catalog.oid, \
             'pg_catalog.int4'::pg_catalog.regtype::pg_catalog.oid, 'pg_catalog.int8'::pg_catalog.regtype::pg_catalog.oid) \
             AND pg_catalog.pg_get_expr(e.adbin, e.adrelid) LIKE '%nextval%') u ON true \
             JOIN pg_catalog.pg_class s ON s.oid = u.seq AND s.relkind = 'S' \
             JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace \
             JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid \
             WHERE n.nspname = $1 AND c.relname = $2 ORDER BY s.oid"
        ),
        &[Some(schema), Some(table)],
    )
}

/// The sequences of the columns that are offered, from the answer.
///
/// # Errors
/// `protocol`.
pub fn sequences(rows: Vec<TextRow>, arrow: &Schema) -> Result<Vec<Sequence>> {
    let mut found = Vec::new();
    for row in rows {
        let [
            column,
            schema,
            name,
            oid,
            ascending,
            last,
            readable,
            writable,
            usable,
            increment,
            cache,
        ] = columns_of(row)?;
        let column = required(column)?;
        let Some((at, field)) = arrow.column_with_name(&column) else {
            continue;
        };
        found.push(Sequence {
            at,
            sql: qualified(&required(schema)?, &required(name)?),
            oid: required(oid)?.parse().unwrap_or_default(),
            ascending: is_true(&ascending),
            last: required(last)?.parse().unwrap_or(i64::MAX),
            readable: is_true(&readable),
            writable: is_true(&writable),
            usable: is_true(&usable),
            increment: required(increment)?.parse().unwrap_or(1),
            cache: required(cache)?.parse().unwrap_or(1),
            watched: field.data_type().is_integer(),
            extreme: None,
            column,
        });
    }
    Ok(found)
}

impl Sequence {
    /// Values do not pass here: the server is asked for them.
    pub fn unwatched(self) -> Self {
        Self {
            watched: false,
            ..self
        }
    }

    /// Looks at the values of a batch as they pass.
    pub fn watch(&mut self, batch: &RecordBatch) {
        if !self.watched || self.at >= batch.num_columns() {
            return;
        }
        let column = batch.column(self.at).as_ref();
        let extreme = match column.data_type() {
            DataType::Int8 => self.of::<Int8Type>(column),
            DataType::Int16 => self.of::<Int16Type>(column),
            DataType::Int32 => self.of::<Int32Type>(column),
            DataType::Int64 => self.of::<Int64Type>(column),
            DataType::UInt8 => self.of::<UInt8Type>(column),
            DataType::UInt16 => self.of::<UInt16Type>(column),
            DataType::UInt32 => self.of::<UInt32Type>(column),
            DataType::UInt64 => self.of::<UInt64Type>(column),
            _ => None,
        };
        self.extreme = self.further(self.extreme, extreme);
    }

    fn of<T: ArrowPrimitiveType>(&self, column: &dyn Array) -> Option<i64>
    where
        i64: TryFrom<T::Native>,
    {
        // What does not fit is refused with the row it is in.
        let values = column.as_primitive_opt::<T>()?.iter().flatten();
        let values = values.filter_map(|value| i64::try_from(value).ok());
        match self.ascending {
            true => values.max(),
            false => values.min(),
        }
    }

    fn further(&self, one: Option<i64>, other: Option<i64>) -> Option<i64> {
        match self.ascending {
            true => one.max(other),
            false => [one, other].into_iter().flatten().min(),
        }
    }

    /// The statement that advances it past a value, if it is not past it, given as SQL.
    fn statement(&self, value: &str) -> String {
        let beyond = if self.ascending { '<' } else { '>' };
        format!(
            "SELECT pg_catalog.setval({}::pg_catalog.regclass, {value}) FROM {} \
             WHERE last_value {beyond} {value} OR last_value = {value} AND NOT is_called",
            literal(&self.sql),
            self.sql
        )
    }

    /// The statement that draws values from it until it is past a value, but no more than
    /// `most`. It returns a row if that was reached.
    fn draw(&self, most: u64, value: i64) -> String {
        let beyond = if self.ascending { '>' } else { '<' };
        format!(
            "SELECT d.v FROM (SELECT pg_catalog.nextval({}::pg_catalog.regclass) AS v \
             FROM pg_catalog.generate_series(1, {most}) OFFSET 0) AS d WHERE d.v {beyond} {} LIMIT 1",
            literal(&self.sql),
            int8(value.saturating_sub(self.increment))
        )
    }

    /// The value that it gives next; none if that cannot be told, as nothing was drawn yet.
    fn next(&self, session: &mut Session) -> Result<Option<i128>> {
        let rows = match self.readable {
            true => session.rows(
                &format!("SELECT last_value, is_called FROM {}", self.sql),
                &[],
            ),
            // All that GRANT USAGE gives.
            false => session.rows(
                &format!(
                    "SELECT pg_catalog.pg_sequence_last_value({}::pg_catalog.regclass), true",
                    literal(&self.sql)
                ),
                &[],
            ),
        }?;
        let [last, called] = columns_of(rows.into_iter().next().unwrap_or_default())?;
        let last = last.and_then(|last| last.parse::<i128>().ok());
        Ok(last.map(|last| match is_true(&called) {
            true => last.saturating_add(self.increment.into()),
            false => last,
        }))
    }

    /// How many values have to be drawn until it is past a value.
    fn steps(&self, next: i128, value: i64) -> u64 {
        let distance = i128::from(value).saturating_sub(next);
        if distance != 0 && (distance > 0) != self.ascending {
            return 0;
        }
        let whole = distance.checked_div(self.increment.into()).unwrap_or(0);
        u64::try_from(whole).unwrap_or(0).saturating_add(1)
    }

    /// Moves it past a value, unless it is; tells whether it is then. Adds the statements.
    fn move_past(
        &self,
        session: &mut Session,
        value: i64,
        dry_run: bool,
        statements: &mut Vec<String>,
    ) -> Result<bool> {
        if !self.readable && !self.usable {
            return Ok(false);
        }
        let next = self.next(session)?;
        // The first value that is drawn tells where it stands.
        let mut steps = next.map_or(1, |next| self.steps(next, value));
        if let (Some(next), true) = (next, self.readable && self.writable && steps > FEW) {
            // The last of its values that is not beyond.
            let value = i128::from(steps)
                .saturating_sub(1)
                .saturating_mul(self.increment.into())
                .saturating_add(next);
            let set = self.statement(&int8(i64::try_from(value).unwrap_or(self.last)));
            if !dry_run {
                session.simple(&format!(
                    "SELECT pg_catalog.pg_advisory_xact_lock({})",
                    LOCK | self.oid
                ))?;
                if session.rows(&set, &[])?.is_empty() {
                    return Ok(true);
                }
            }
            statements.push(set);
            return Ok(true);
        }
        let mut left = MOST_DRAWN;
        while steps > 0 {
            if steps > left || !self.usable && !self.writable {
                return Ok(false);
            }
            let most = steps.min(AT_ONCE);
            let draw = self.draw(most, value);
            let past = dry_run || !session.rows(&draw, &[])?.is_empty();
            statements.push(draw);
            if past {
                break;
            }
            left = left.saturating_sub(most);
            // What this session had in store came first.
            let next = self.next(session)?;
            steps = next
                .map_or(1, |next| self.steps(next, value))
                .max(self.cache);
        }
        Ok(true)
    }

    /// The query for the extreme value in a relation.
    fn query(&self, from: &str) -> String {
        let function = if self.ascending { "max" } else { "min" };
        format!(
            "SELECT pg_catalog.{function}({}) FROM {from}",
            quote(&self.column)
        )
    }
}

/// Where values that were not seen as they passed are found.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The table, as SQL.
    pub table: &'a str,
    /// What it is read from: the table itself, or where the rows were gathered.
    pub source: &'a str,
    /// Whether that may be read.
    pub readable: bool,
}

/// Advances sequences past the values that were written; returns the statements for it and
/// what is left to someone who may.
///
/// # Errors
/// What the server reports.
pub fn advance(
    session: &mut Session,
    sequences: &[Sequence],
    written: Written<'_>,
    dry_run: bool,
) -> Result<(Vec<String>, Vec<String>)> {
    let (mut statements, mut remarks) = (Vec::new(), Vec::new());
    for sequence in sequences {
        let extreme = match (sequence.watched, written.readable) {
            (true, _) => sequence.extreme,
            (false, true) => {
                let rows = session.rows(&sequence.query(written.source), &[])?;
                let value = rows.into_iter().flatten().next().flatten();
                value.and_then(|value| value.parse().ok())
            }
            (false, false) => {
                let value = format!("({})", sequence.query(written.table));
                remarks.push(remark(
                    sequence,
                    &sequence.statement(&value),
                    session.user(),
                ));
                continue;
            }
        };
        let Some(extreme) = extreme else {
            continue;
        };
        // Beyond its end it gives no values that could collide.
        let value = match sequence.ascending {
            true => extreme.min(sequence.last),
            false => extreme.max(sequence.last),
        };
        if !sequence.move_past(session, value, dry_run, &mut statements)? {
            let statement = sequence.statement(&int8(value));
            remarks.push(remark(sequence, &statement, session.user()));
        }
    }
    Ok((statements, remarks))
}

/// A number as SQL. The minus of the smallest is not part of the number to the server.
fn int8(value: i64) -> String {
    match value {
        0.. => value.to_string(),
        _ => format!("'{value}'::pg_catalog.int8"),
    }
}

fn remark(sequence: &Sequence, statement: &str, user: &str) -> String {
    format!(
        "the sequence {name} of column {column} could not be advanced past the values written: have its owner run {statement}; \
         or, for the next time, GRANT SELECT, UPDATE ON SEQUENCE {name} TO {user};",
        name = sequence.sql,
        column = quote(&sequence.column),
        user = quote(user)
    )
}
