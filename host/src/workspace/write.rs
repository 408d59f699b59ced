//! Writing: a new table and its rows, in one transaction.

use std::time::Duration;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef, SchemaRef};
use rusqlite::Statement;

use super::encode::{self, Unknown};
use super::errors;
use super::guard::May;
use super::losses::{Ledger, Reason, choices};
use super::open::Opened;
use super::options::{Options, Written};
use super::read::described;
use super::table::{self, Table};
use super::types::quoted;
use super::values::{Place, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::types::OnLoss;

/// The table that is filled, and the account of it.
struct Filling {
    opened: Opened,
    target: String,
    insert: String,
    names: Vec<String>,
    places: Vec<Place>,
    choices: Vec<OnLoss>,
    ledger: Ledger,
    rows: u64,
}

impl Filling {
    /// Creates the table, in a transaction, for rows with these columns.
    fn begin(
        opened: Opened,
        wait: Duration,
        create: &str,
        target: &str,
        options: &Options,
        names: impl FnOnce(&Opened) -> Result<Vec<String>>,
    ) -> Result<Self> {
        table::nameable(target)?;
        opened.begin(wait)?;
        if let Some(known) = Table::find(&opened, target)? {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("the workspace has a table \"{}\" already", known.name),
            )
            .with_hint("drop the table first, or choose another name")
            .with_attribute("table", known.name));
        }
        let names = names(&opened)?;
        opened.guard.creating(&opened.connection, create, target)?;
        opened.guard.permit(May::Anything);
        let table = Table::find(&opened, target)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("the table \"{target}\" was not created"),
            )
            .with_hint("report this; nothing was changed")
        })?;
        let places = table.places(&names)?;
        let choices = choices(&options.losses, &names)?;
        let columns: Vec<_> = places.iter().map(|place| quoted(&place.name)).collect();
        let values: Vec<_> = (1..=places.len()).map(|at| format!("?{at}")).collect();
        // ABORT goes before what constraints say, such as ON CONFLICT IGNORE: every row counts.
        let insert = format!(
            "INSERT OR ABORT INTO main.{} ({}) VALUES ({})",
            quoted(&table.name),
            columns.join(", "),
            values.join(", ")
        );
        Ok(Self {
            target: table.name,
            opened,
            insert,
            names,
            places,
            choices,
            ledger: Ledger::default(),
            rows: 0,
        })
    }

    /// Gets ready to add rows.
    fn adding(&mut self) -> Result<Adding<'_>> {
        let opened = &self.opened;
        opened.guard.permit(May::Insert(self.target.clone()));
        let insert = opened.connection.prepare(&self.insert);
        Ok(Adding {
            insert: insert.map_err(|error| opened.guard.told(error))?,
            opened,
            places: &self.places,
            choices: &self.choices,
            ledger: &mut self.ledger,
            rows: &mut self.rows,
        })
    }

    fn finish(self) -> Result<Written> {
        self.opened.uninterrupted()?;
        self.opened.guard.permit(May::Anything);
        // Where this fails, closing the connection rolls back.
        self.opened
            .connection
            .execute_batch("COMMIT")
            .map_err(errors::told)?;
        Ok(Written {
            rows: self.rows,
            losses: self.ledger.losses(&self.names),
        })
    }
}

/// The statement that adds rows, and what it counts.
struct Adding<'f> {
    insert: Statement<'f>,
    opened: &'f Opened,
    places: &'f [Place],
    choices: &'f [OnLoss],
    ledger: &'f mut Ledger,
    rows: &'f mut u64,
}

impl Adding<'_> {
    /// Adds a row.
    fn add<'v>(
        &mut self,
        values: impl Iterator<Item = Result<Result<Stored<'v>, Unknown>>>,
    ) -> Result<()> {
        self.opened.uninterrupted()?;
        let told = |error| self.opened.guard.told(error);
        let row = self.rows.saturating_add(1);
        let columns = self.places.iter().zip(self.choices);
        for (at, ((place, choice), value)) in columns.zip(values).enumerate() {
            let value = kept(place, *choice, value?, row, |reason, value| {
                self.ledger.enter(at, reason, *choice, row, value);
            })?;
            self.insert
                .raw_bind_parameter(at + 1, value)
                .map_err(told)?;
        }
        let added = self.insert.raw_execute().map_err(told);
        added.map_err(|error| error.with_attribute("row", row.to_string()))?;
        *self.rows = row;
        Ok(())
    }
}

/// What is stored of a value: itself, or what the caller chose in its place.
fn kept<'a>(
    place: &Place,
    choice: OnLoss,
    value: Result<Stored<'a>, Unknown>,
    row: u64,
    lost: impl FnOnce(Reason, &str),
) -> Result<Stored<'a>> {
    let (reason, text) = match value.map(|value| place.fit(value)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err((reason, value))) => (reason, value.text().into_owned()),
        Err(unknown) if place.is_text() => return Ok(Stored::Text(unknown.text.into())),
        Err(unknown) => (unknown.reason, unknown.text),
    };
    let instead = match choice {
        OnLoss::Fail => None,
        OnLoss::Null => Some(Stored::Null),
        OnLoss::Text => place.plain(text.clone().into()),
    };
    match instead {
        Some(instead) => {
            lost(reason, &text);
            Ok(instead)
        }
        None => Err(errors::misfit(place, row, &reason, &text)),
    }
}

/// Rows on their way into a new table, all of them or none.
///
/// [`finish`](Self::finish) commits; dropping the writer rolls back, and there is no table. Nobody
/// else writes to the workspace meanwhile.
#[must_use = "a writer that is not finished writes nothing"]
pub struct Writer {
    /// None after a failure.
    filling: Option<Filling>,
    schema: SchemaRef,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("columns", &self.schema.fields().len())
            .finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn begin(
        opened: Opened,
        wait: Duration,
        create: &str,
        target: &str,
        schema: SchemaRef,
        options: &Options,
    ) -> Result<Self> {
        let names = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let filling = Filling::begin(opened, wait, create, target, options, |_| Ok(names))?;
        Ok(Self {
            filling: Some(filling),
            schema,
        })
    }

    /// Lets the file grow to so many pages and no further.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        let filling = self.filling.as_ref().unwrap();
        filling.opened.guard.permit(May::Anything);
        let limit = format!("PRAGMA max_page_count = {pages}");
        let limited = filling
            .opened
            .connection
            .query_row(&limit, [], |row| row.get(0));
        assert_eq!(limited, Ok(pages));
    }

    /// Writes a batch of the schema that the writer was opened with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SchemaMismatch`] if the batch has other columns; [`ErrorKind::Value`] for a
    /// value that does not fit its column, with column, row and value; [`ErrorKind::Constraint`].
    /// After any error everything is rolled back.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let filling = self.filling.take();
        if batch.schema().fields() != self.schema.fields() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                "the batch has other columns than the writer was opened with",
            )
            .with_hint("write batches of one schema; nothing was written"));
        }
        let mut filling = filling.ok_or_else(over)?;
        let unreadable = |error: arrow_schema::ArrowError| {
            Error::new(
                ErrorKind::Unsupported,
                format!("a value that has no text: {error}"),
            )
            .with_hint("convert the column to a plain type; nothing was written")
        };
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .map(unpacked)
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        let columns: Vec<(&FieldRef, &dyn Array)> = self
            .schema
            .fields()
            .iter()
            .zip(columns.iter().map(AsRef::as_ref))
            .collect();
        let mut adding = filling.adding()?;
        for row in 0..batch.num_rows() {
            let values = columns
                .iter()
                .map(|(field, column)| encode::stored(field, *column, row).map_err(unreadable));
            adding.add(values)?;
        }
        drop(adding);
        self.filling = Some(filling);
        Ok(())
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// Nothing was written.
    pub fn finish(mut self) -> Result<Written> {
        self.filling.take().ok_or_else(over)?.finish()
    }
}

fn over() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "an earlier batch failed, and all of it was rolled back",
    )
    .with_hint("nothing was written; open a new writer and write from the first batch on")
}

/// The values themselves, where a column has them in a dictionary or in runs.
fn unpacked(column: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    match column.data_type() {
        DataType::Dictionary(_, values) => arrow_cast::cast(column, values),
        DataType::RunEndEncoded(_, values) => arrow_cast::cast(column, values.data_type()),
        _ => Ok(column.clone()),
    }
}

/// Creates a table and fills it with the rows of a query, value by value as they are.
pub fn create_as(
    opened: Opened,
    wait: Duration,
    create: &str,
    select: &str,
    target: &str,
    options: &Options,
) -> Result<Written> {
    // Compiled before the table is there, so that it cannot read what it adds.
    let mut filling = Filling::begin(opened, wait, create, target, options, |opened| {
        let statement = opened.reading(select)?;
        Ok(described(&statement)
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    })?;
    let mut adding = filling.adding()?;
    let opened = adding.opened;
    let mut statement = opened.reading(select)?;
    let guard = &opened.guard;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| guard.told(error))? {
        let values = (0..adding.places.len()).map(|at| match row.get_ref(at) {
            Ok(value) => Ok(Ok(Stored::from(value))),
            Err(error) => Err(guard.told(error)),
        });
        adding.add(values)?;
    }
    drop(rows);
    drop(statement);
    drop(adding);
    filling.finish()
}
