//! The rows of a query, written without their leaving the server.
//!
//! The query was looked at by itself before: it is one statement that returns rows, in whose plan
//! nothing is changed. It goes, as it is, behind the beginning of an `INSERT`, and with that into a
//! `Parse`, which takes exactly one statement: what is whole by itself has nothing in it that could
//! go on behind its end.

use std::sync::Arc;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{WriteOptions, WriteReport};
use dagflux_guest::{Error, Result};

use super::sequence::Sequence;
use super::sink::Begun;
use super::upsert::Numbers;
use super::{about, begin, violation};
use crate::dialect::quoted_list;
use crate::examine;
use crate::plan;
use crate::query::{self, Setting};
use crate::session::Session;
use crate::types::ledger::Choices;

/// Writes the rows of one query to a table.
///
/// # Errors
/// As for a write, and what is wrong with the query.
pub fn store(
    session: &mut Session,
    sql: &str,
    schema: Option<&str>,
    table: &str,
    options: &WriteOptions,
) -> Result<WriteReport> {
    session.begin()?;
    only_reads(session, sql)?;
    let plan = plan::prepare(session, sql, &Choices::default())?;
    session.settle()?;
    let mut taken = 0;
    let filled = |session: &mut Session, begun: &mut Begun| {
        taken = fill(session, sql, begun)?;
        Ok(())
    };
    let arrow = Arc::new(plan.schema);
    let mut begun = begin(session, schema, table, arrow, options, filled)?;
    let written = begun
        .conclude(session, taken)
        .and_then(|counts| begun.end(session).map(|()| counts));
    match written {
        Ok((inserted, updated)) => Ok(begun.report(inserted, updated)),
        Err(error) => {
            if !session.is_lost() {
                session.settle()?;
            }
            Err(violation::explained(session, begun.subject(), error))
        }
    }
}

/// Fails unless the statement is a query in which nothing is changed.
fn only_reads(session: &mut Session, sql: &str) -> Result<()> {
    let changed = examine::changed(session, sql)?;
    let refused = |message: String| {
        Error::new(ErrorKind::UnsupportedStatement, message)
            .with_hint("give one query that only reads: its rows are what is written")
    };
    match changed {
        None => Err(refused("the statement is no query".to_owned())),
        Some(tables) if tables.is_empty() => Ok(()),
        Some(tables) => Err(refused(format!(
            "the statement changes {}",
            quoted_list(tables.iter().map(String::as_str))
        ))),
    }
}

/// Has the server write the rows; returns how many it took.
fn fill(session: &mut Session, sql: &str, begun: &mut Begun) -> Result<u64> {
    begun.sequences = std::mem::take(&mut begun.sequences)
        .into_iter()
        .map(Sequence::unwatched)
        .collect();
    let insert = match &begun.upsert {
        Some(upsert) => {
            for statement in upsert.preparation(&begun.columns, Numbers::Counted) {
                session.simple(&statement)?;
                begun.statements.push(statement);
            }
            begun.remarks.extend(upsert.remarks());
            upsert.insert()
        }
        None => {
            let fields = begun.encoder.schema().fields().iter();
            format!(
                "INSERT INTO {} ({}){} ",
                begun.relation.sql(),
                quoted_list(fields.map(|field| field.name().as_str())),
                begun.overriding()
            )
        }
    };
    session.ask("SELECT pg_catalog.txid_current()", &[])?;
    let number = session.gather()?.into_iter().flatten().next().flatten();
    begun.transaction = number.and_then(|number| number.parse().ok());
    let statement = format!("{insert}{sql}");
    let taken = query::run(session, &statement, Setting::Held)
        .map_err(|error| about(session, error, "INSERT", &begun.relation))
        .map_err(|error| violation::explained(session, begun.subject(), error))?;
    begun.statements.push(statement);
    if let Some(upsert) = &begun.upsert {
        upsert.check_filled(session)?;
    }
    taken
        .rows
        .ok_or_else(|| session.unexpected("in place of the number of rows written"))
}
