//! Writing rows to a table, all or none.
//!
//! One transaction: (create the table,) look at its columns and at what the mode depends on,
//! match the columns with the Arrow schema, report every fault at once, then
//! `COPY ... FROM STDIN`. The binary format if every column has a binary form; otherwise the
//! text format, which every type's own input function reads.
//!
//! | mode | before the rows | the rows go to | after them |
//! |---|---|---|---|
//! | create | `CREATE TABLE` | the table | |
//! | temporary | `CREATE TEMPORARY TABLE` | the table | `ANALYZE` |
//! | append | | the table | |
//! | replace | `LOCK TABLE`, `DELETE` (`replace`) | the table | |
//! | upsert | a temporary table (`upsert`) | that | `INSERT ... ON CONFLICT` |
//!
//! In the end sequences are advanced past the values written (`sequence`), and the transaction
//! is committed, or, on a dry run, rolled back; where the caller holds a transaction, a savepoint
//! stands for it. It ends with [`Sink::finish`] or not at all:
//! dropping the sink rolls back, and so does the server when the connection ends.

mod create;
mod culprit;
mod fault;
mod key;
mod relation;
mod replace;
mod rows;
mod sequence;
mod sink;
mod store;
mod table;
mod typed;
mod upsert;
mod violation;

use std::collections::VecDeque;

use arrow_schema::SchemaRef;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{WriteMode, WriteOptions};
use dagflux_guest::{Error, Result, ipc, log};

pub use sink::Sink;
pub use store::store;

use crate::catalog::require_table;
use crate::dialect::{self, quoted_list};
use crate::protocol::backend::{self, Message};
use crate::rows::Shared;
use crate::session::{Access, Held, Session};
use crate::sqlstate;
use fault::Doing;
use relation::Relation;
use rows::Encoder;
use sink::Begun;
use upsert::{Numbers, Upsert};

/// Begins a write.
///
/// # Errors
/// `table-not-found`, `schema-mismatch`, `permission-denied`, `already-exists`, ...
pub fn write(
    shared: &Shared,
    schema: Option<&str>,
    table: &str,
    arrow: &[u8],
    options: &WriteOptions,
) -> Result<Sink> {
    let arrow = ipc::read_schema(arrow)?;
    let mut session = shared.borrow_mut();
    session.begin()?;
    let begun = begin(&mut session, schema, table, arrow, options, copy)?;
    log::debug("postgres", "rows expected");
    drop(session);
    Ok(Sink::new(shared, begun))
}

/// Begins a write, up to the rows, for which `ready` is the last step.
fn begin(
    session: &mut Session,
    schema: Option<&str>,
    table: &str,
    arrow: SchemaRef,
    options: &WriteOptions,
    ready: impl FnOnce(&mut Session, &mut Begun) -> Result<()>,
) -> Result<Begun> {
    let named = schema;
    let schema = match schema {
        Some(schema) => schema.to_owned(),
        None => session.parameters().schema.clone(),
    };
    match options.mode {
        // The table's name is judged with those of its columns.
        WriteMode::Create => dialect::check_table(&schema, "")?,
        WriteMode::Temporary => check_temporary(session, named)?,
        WriteMode::Append | WriteMode::Replace | WriteMode::Upsert(_) => {
            dialect::check_table(&schema, table)?;
            typed::check_unused(&options.types)?;
        }
    }
    if let (WriteMode::Replace, Some(Held { snapshot: true, .. })) = (&options.mode, session.held())
    {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the rows of a table are not replaced in a transaction with one snapshot: rows that it does not see would stay",
        )
        .with_hint("begin the transaction without the snapshot"));
    }
    let begun = prepare(session, schema, table, arrow, options).and_then(|mut begun| {
        ready(session, &mut begun)?;
        Ok(begun)
    });
    if begun.is_err() && !session.is_lost() {
        // What was found wrong on this side leaves the transaction open.
        session.settle()?;
    }
    begun
}

/// A temporary table goes with the transaction it is made in, and is in no schema of its own.
fn check_temporary(session: &Session, schema: Option<&str>) -> Result<()> {
    if let Some(schema) = schema {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "a temporary table is in no schema, so not in {}",
                dialect::quote(schema)
            ),
        )
        .with_hint("name it without a schema"));
    }
    session.check_held()
}

fn prepare(
    session: &mut Session,
    mut schema: String,
    table: &str,
    arrow: SchemaRef,
    options: &WriteOptions,
) -> Result<Begun> {
    let mut statements = vec![session.start(Access::Write)?.to_owned()];
    let types = &options.types;
    match options.mode {
        WriteMode::Create => {
            let of = create::Place::Schema(&schema);
            statements.push(create::create(session, of, table, &arrow, types)?);
        }
        WriteMode::Temporary => {
            let of = create::Place::Temporary;
            statements.push(create::create(session, of, table, &arrow, types)?);
            schema = create::temporary_schema(session)?;
        }
        WriteMode::Append | WriteMode::Replace | WriteMode::Upsert(_) => {}
    }
    let schema = schema.as_str();
    // One flight for all that is asked.
    table::ask(session, schema, table)?;
    let offered = arrow.fields().iter().map(|field| field.name().as_str());
    relation::ask(session, schema, table, offered.clone())?;
    sequence::ask(session, schema, table)?;
    match options.mode {
        WriteMode::Replace => replace::ask(session, schema, table)?,
        WriteMode::Upsert(_) => {
            key::ask(session, schema, table)?;
            upsert::ask(session, schema, table)?;
        }
        WriteMode::Create | WriteMode::Temporary | WriteMode::Append => {}
    }
    let columns = session.gather()?;
    let relation = session.gather()?;
    let sequences = session.gather()?;
    // What the mode asked for; all of it before anything else is asked.
    let mut answers = VecDeque::new();
    while session.outstanding() > 0 {
        answers.push_back(session.gather()?);
    }
    let mut answer = || answers.pop_front().unwrap_or_default();
    let columns = table::columns(session, columns)?;
    let relation = relation::relation(schema, table, relation)?;
    let sequences = sequence::sequences(sequences, &arrow)?;
    let (targets, mut faults) = table::match_columns(&arrow, &columns);
    let mut begun = Begun {
        encoder: Encoder::new(
            arrow.clone(),
            targets,
            matches!(options.mode, WriteMode::Upsert(_)),
        ),
        // None if there is no table, which is found out below.
        relation: relation.clone().unwrap_or_default(),
        columns,
        sequences,
        upsert: None,
        dry_run: options.dry_run,
        temporary: matches!(options.mode, WriteMode::Temporary),
        transaction: None,
        deleted: 0,
        statements,
        remarks: Vec::new(),
    };
    let user = session.user().to_owned();
    let mut trigger = None;
    let doing = match &options.mode {
        WriteMode::Create | WriteMode::Temporary | WriteMode::Append => {
            found(session, relation.as_ref(), schema, table)?;
            Doing::Appending
        }
        WriteMode::Replace => {
            let rows = answer();
            found(session, relation.as_ref(), schema, table)?;
            let relation = &begun.relation;
            match relation.kind_fault("replaced") {
                Some(fault) => faults.push(fault),
                None => {
                    let dependents = replace::dependents(session, relation, rows)?;
                    trigger = dependents.trigger;
                    faults.extend(dependents.faults);
                }
            }
            faults.extend(relation.privilege_faults(replace::PRIVILEGES, &user));
            Doing::Replacing
        }
        WriteMode::Upsert(wanted) => {
            let (indexes, others) = (answer(), answer());
            found(session, relation.as_ref(), schema, table)?;
            let relation = &begun.relation;
            let fault = relation.kind_fault("upserted");
            match fault.or_else(|| relation.parts_fault(session.version())) {
                Some(fault) => faults.push(fault),
                None => {
                    let findings = upsert::findings(others)?;
                    let indexes = key::indexes(indexes)?;
                    let (key, wrong) = key::key(&wanted.key, &indexes, relation, &arrow);
                    faults.extend(wrong);
                    let upsert = Upsert::new(
                        key,
                        wanted.duplicates,
                        relation,
                        &begun.columns,
                        &arrow,
                        &findings,
                    );
                    faults.extend(upsert.faults(&findings, relation, &user));
                    begun.upsert = Some(upsert);
                }
            }
            faults.extend(relation.temporary_fault(&user));
            Doing::Upserting
        }
    };
    if let Some(error) = fault::combined(&faults, doing) {
        return Err(error);
    }
    if let WriteMode::Replace = options.mode {
        clear(session, &mut begun, trigger.as_deref())?;
    }
    Ok(begun)
}

/// Fails unless there is such a table.
fn found(
    session: &mut Session,
    relation: Option<&Relation>,
    schema: &str,
    table: &str,
) -> Result<()> {
    match relation {
        Some(_) => Ok(()),
        None => require_table(session, schema, table),
    }
}

/// Locks the table against other writers, looks again at what stands in the way, and deletes
/// its rows.
fn clear(session: &mut Session, begun: &mut Begun, trigger: Option<&str>) -> Result<()> {
    let relation = &begun.relation;
    let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", relation.sql());
    session.simple(&lock)?;
    replace::ask(session, &relation.schema, &relation.name)?;
    let rows = session
        .gather()
        .map_err(|error| about(session, error, "DELETE", relation))?;
    let dependents = replace::dependents(session, relation, rows)?;
    if let Some(error) = fault::combined(&dependents.faults, Doing::Replacing) {
        return Err(error);
    }
    let delete = format!("DELETE FROM {}", relation.sql());
    session.simple(&delete)?;
    loop {
        match session
            .receive()
            .map_err(|error| about(session, error, "DELETE", relation))?
        {
            Message::CommandComplete(body) => {
                begun.deleted = crate::query::outcome(&body)?.rows.unwrap_or_default();
            }
            Message::ReadyForQuery(_) => break,
            _ => return Err(session.unexpected("where rows are deleted")),
        }
    }
    if let Some(trigger) = dependents.trigger.as_deref().or(trigger) {
        replace::check_empty(session, relation, trigger)?;
    }
    begun.statements.extend([lock, delete]);
    Ok(())
}

/// Begins the `COPY`. The number of the transaction is had on the way.
fn copy(session: &mut Session, begun: &mut Begun) -> Result<()> {
    let Begun {
        relation,
        encoder,
        upsert,
        remarks,
        transaction,
        ..
    } = begun;
    let relation = &*relation;
    let format = encoder.format();
    let mut statements = Vec::new();
    let copy = match upsert {
        Some(upsert) => {
            statements.extend(upsert.preparation(&begun.columns, Numbers::Sent));
            remarks.extend(upsert.remarks());
            upsert.copy(format)
        }
        None => {
            let fields = encoder.schema().fields().iter();
            format!(
                "COPY {} ({}) FROM STDIN (FORMAT {format})",
                relation.sql(),
                quoted_list(fields.map(|field| field.name().as_str())),
            )
        }
    };
    for statement in &statements {
        session.simple(statement)?;
    }
    session.simple("SELECT pg_catalog.txid_current()")?;
    session.simple(&copy)?;
    statements.push(copy);
    loop {
        match session
            .receive()
            .map_err(|error| about(session, error, "INSERT", relation))?
        {
            Message::CopyInResponse(_) => break,
            Message::DataRow(row) => {
                let told = backend::text_row(&row).map_err(|v| session.violated(v))?;
                // It becomes part of a statement that a person is told to run.
                let number = |text: String| text.parse::<u64>().ok();
                *transaction = told.into_iter().next().flatten().and_then(number);
            }
            // With nothing outstanding, the COPY has ended before it began.
            Message::ReadyForQuery(_) if session.outstanding() == 0 => {
                return Err(session.unexpected("where a COPY should begin"));
            }
            Message::RowDescription(_)
            | Message::ReadyForQuery(_)
            | Message::CommandComplete(_) => {}
            _ => return Err(session.unexpected("where a COPY should begin")),
        }
    }
    encoder.begin(session);
    begun.statements.extend(statements);
    Ok(())
}

fn about(
    session: &Session,
    error: dagflux_guest::Error,
    privilege: &str,
    on: &Relation,
) -> dagflux_guest::Error {
    sqlstate::about_table(error, privilege, &on.schema, &on.name, session.user())
}
