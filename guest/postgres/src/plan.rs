//! What a statement will return, before it runs: columns, their types, and how to decode them.

use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{BatchLimits, Error, Result};

use crate::protocol::backend::{self, ColumnDescription, Message};
use crate::session::{Access, Session};
use crate::types::decode::{RowDecoder, Source};
use crate::types::ledger::Choices;
use crate::types::lookup;
use crate::types::mapping::{self, Mapping};
use crate::types::pg_type::Typed;

/// The columns of a result.
#[derive(Debug)]
pub struct Plan {
    /// How each is decoded.
    sources: Vec<Source>,
    /// The Arrow schema.
    pub schema: Schema,
    /// Whether text is known to be UTF-8.
    checked: bool,
    /// The statement, if it has to be parsed again: the question what its types are has taken
    /// its place as the unnamed statement. (A named one would get lost behind a pooler.)
    pub parse_again: Option<String>,
}

impl Plan {
    /// Whether every column can be had in the binary format.
    pub fn is_binary(&self) -> bool {
        self.sources.iter().all(|source| source.kind.is_binary())
    }

    /// The format to ask for, per column.
    pub fn formats(&self) -> impl Iterator<Item = i16> + '_ {
        self.sources
            .iter()
            .map(|source| i16::from(source.kind.is_binary()))
    }

    /// A decoder for the rows.
    pub fn decoder(&self, limits: BatchLimits) -> RowDecoder {
        RowDecoder::new(self.sources.iter().cloned(), limits, self.checked)
    }
}

/// Opens a read-only transaction and has the server parse `sql` in it, which must be exactly
/// one statement that returns rows. Nothing of it runs.
///
/// One flight, and one more if the result has types that only the server knows.
///
/// # Errors
/// `syntax`, `table-not-found`, `unsupported-statement`, ...: the session is then idle again.
pub fn prepare(session: &mut Session, sql: &str, choices: &Choices) -> Result<Plan> {
    session.start(Access::Read)?;
    session.describe(sql)?;
    let columns = described(session)?;
    let wanted: Vec<_> = columns
        .iter()
        .map(|column| (column.type_oid, column.modifier))
        .collect();
    let asks = wanted
        .iter()
        .any(|(type_oid, modifier)| Typed::known(*type_oid, *modifier).is_none());
    let types = lookup::types(session, &wanted)?;
    let mut plan = plan(
        session,
        columns
            .iter()
            .zip(&types)
            .map(|(column, typed)| (column, typed, 1)),
        choices,
    )?;
    plan.parse_again = asks.then(|| sql.to_owned());
    Ok(plan)
}

/// Opens a read-only transaction and has the server parse `sql` in it, a statement of the
/// connector's own that returns columns of a table.
///
/// Always one flight: what the table's columns are made of is asked for before it is known
/// whether that is needed. The answer also tells what a description does not: domains, and the
/// dimensions that arrays were declared with.
///
/// # Errors
/// `table-not-found`, `column-not-found`, ...: the session is then idle again.
pub fn prepare_table(
    session: &mut Session,
    schema: &str,
    table: &str,
    sql: &str,
    choices: &Choices,
) -> Result<Plan> {
    session.start(Access::Read)?;
    lookup::ask_for_table(session, schema, table)?;
    session.describe(sql)?;
    let known = lookup::of_table(session.gather()?)?;
    let columns = described(session)?;
    let mut found = Vec::new();
    for column in &columns {
        let known = known
            .iter()
            .find(|known| known.name == column.name)
            .filter(|known| known.typed.below_domains().pg.oid == column.type_oid);
        let Some(known) = known else {
            session.settle()?;
            return Err(Error::new(
                ErrorKind::Conflict,
                "the table was altered while it was being looked at",
            )
            .with_hint("read it again")
            .retryable());
        };
        found.push((column, &known.typed, known.dimensions));
    }
    plan(session, found.into_iter(), choices)
}

/// The columns of the statement that was described, once all of the flight was answered; none if it
/// returns no rows.
///
/// # Errors
/// What the server reports; `unsupported-statement` for one with parameters.
pub fn of_statement(session: &mut Session) -> Result<Option<Vec<ColumnDescription>>> {
    let mut columns = None;
    let mut parameters = 0;
    while session.outstanding() > 0 {
        match session.receive()? {
            Message::CommandComplete(_)
            | Message::ParseComplete
            | Message::NoData
            | Message::ReadyForQuery(_) => {}
            Message::ParameterDescription(body) => parameters = backend::parameter_count(&body)?,
            Message::RowDescription(body) => columns = Some(backend::columns(&body)?),
            _ => return Err(session.unexpected("where a statement is described")),
        }
    }
    if parameters > 0 {
        session.settle()?;
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            format!("the statement has {parameters} parameters that nothing gives a value to"),
        )
        .with_hint("write values into the statement in place of $1, $2, ..."));
    }
    Ok(columns)
}

/// The columns of the statement that was described, which must return rows.
fn described(session: &mut Session) -> Result<Vec<ColumnDescription>> {
    let Some(columns) = of_statement(session)? else {
        session.settle()?;
        return Err(Error::new(
            ErrorKind::UnsupportedStatement,
            "the statement returns no rows, so it was not run",
        )
        .with_hint("use a SELECT here, and `execute` for a statement that changes something"));
    };
    Ok(columns)
}

fn plan<'c>(
    session: &mut Session,
    columns: impl Iterator<Item = (&'c ColumnDescription, &'c Typed, u32)> + Clone,
    choices: &Choices,
) -> Result<Plan> {
    if let Err(error) = choices.check(columns.clone().map(|(column, ..)| column.name.as_str())) {
        session.settle()?;
        return Err(error);
    }
    let checked = !session.text_is_unchecked();
    let (sources, fields): (Vec<_>, Vec<_>) = columns
        .map(|(column, typed, dimensions)| {
            let choice = choices.of(&column.name);
            let Mapping { kind, field } =
                mapping::map(&column.name, typed, dimensions, choice, checked);
            let source = Source {
                kind,
                name: column.name.clone(),
                choice,
            };
            (source, field)
        })
        .unzip();
    Ok(Plan {
        sources,
        schema: Schema::new(fields),
        checked,
        parse_again: None,
    })
}
