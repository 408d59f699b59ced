//! Tables of a workspace, as SQLite's catalogue has them.

use rusqlite::OptionalExtension;

use super::open::Opened;
use super::values::Place;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::types::{ColumnInfo, Generation, TableInfo, TableKind};

/// The only schema.
const SCHEMA: &str = "main";

/// A table or view.
#[derive(Debug)]
pub struct Table {
    /// Its name, as it was created.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    strict: bool,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    declared: String,
    required: bool,
    default: Option<String>,
    primary_key: Option<u32>,
    computed: bool,
}

fn kind(text: &str) -> TableKind {
    match text {
        "table" => TableKind::Table,
        "view" => TableKind::View,
        _ => TableKind::Other,
    }
}

/// Makes sure that a table can be named so.
pub fn nameable(name: &str) -> Result<()> {
    let reserved = name
        .get(..7)
        .is_some_and(|text| text.eq_ignore_ascii_case("sqlite_"));
    match name.is_empty() || name.contains('\0') || reserved {
        true => Err(Error::new(
            ErrorKind::UnsupportedStatement,
            format!("{name:?} cannot be the name of a table"),
        )
        .with_hint("choose a name that does not begin with sqlite_")),
        false => Ok(()),
    }
}

/// The tables and views, by name.
pub fn all(opened: &Opened) -> rusqlite::Result<Vec<TableInfo>> {
    let mut statement = opened.connection.prepare(
        "SELECT name, type FROM pragma_table_list
         WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         ORDER BY name",
    )?;
    let tables = statement.query_map([], |row| {
        Ok(TableInfo {
            schema: SCHEMA.to_owned(),
            name: row.get(0)?,
            kind: kind(&row.get::<_, String>(1)?),
            readable: true,
            estimated_rows: None,
            comment: None,
        })
    })?;
    tables.collect()
}

impl Table {
    /// The table of a name, in which case does not count, as in SQLite.
    pub fn find(opened: &Opened, name: &str) -> Result<Option<Self>> {
        let connection = &opened.connection;
        let found = connection
            .query_row(
                "SELECT name, type, strict FROM pragma_table_list
                 WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
                [name],
                |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get(2)?,
                    ))
                },
            )
            .optional()
            .map_err(|error| opened.guard.told(error))?;
        let Some((name, kind_text, strict)) = found else {
            return Ok(None);
        };
        let columns = columns(connection, &name).map_err(|error| opened.guard.told(error))?;
        Ok(Some(Self {
            name,
            kind: kind(&kind_text),
            strict,
            columns,
        }))
    }

    /// As [`find`](Self::find).
    ///
    /// # Errors
    /// `table-not-found`, with what there is.
    pub fn existing(opened: &Opened, name: &str) -> Result<Self> {
        if let Some(table) = Self::find(opened, name)? {
            return Ok(table);
        }
        let tables = all(opened).map_err(|error| opened.guard.told(error))?;
        let names: Vec<_> = tables.into_iter().map(|table| table.name).collect();
        let hint = match (nearest(&names, name), names.is_empty()) {
            (Some(near), _) => format!("did you mean \"{near}\"?"),
            (None, true) => "the workspace has no tables yet".to_owned(),
            (None, false) => format!("its tables are: {}", super::losses::listed(&names)),
        };
        Err(Error::new(
            ErrorKind::TableNotFound,
            format!("the workspace has no table \"{name}\""),
        )
        .with_hint(hint)
        .with_attribute("table", name))
    }

    /// Its columns.
    pub fn infos(self) -> Vec<ColumnInfo> {
        let table = self.name;
        let info = |(column, ordinal): (Column, u32)| ColumnInfo {
            schema: SCHEMA.to_owned(),
            table: table.clone(),
            name: column.name,
            ordinal,
            data_type: column.declared,
            nullable: !column.required,
            primary_key: column.primary_key,
            default: column.default,
            generated: column.computed.then_some(Generation::Computed),
            comment: None,
        };
        self.columns.into_iter().zip(1..).map(info).collect()
    }

    /// The columns that rows with columns of these names go into.
    ///
    /// # Errors
    /// `schema-mismatch`, with everything that does not fit.
    pub fn places(&self, names: &[String]) -> Result<Vec<Place>> {
        let mut faults = Vec::new();
        let mut fault = |name: &str, message: String| faults.push(Fault::new(name, message));
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let mut places = Vec::new();
        for (at, name) in names.iter().enumerate() {
            if names.iter().take(at).any(|known| same(known, name)) {
                fault(
                    name,
                    format!(
                        "there are two columns \"{name}\": give one of them another name in the query"
                    ),
                );
                continue;
            }
            match self.columns.iter().find(|column| same(&column.name, name)) {
                Some(column) if column.computed => fault(
                    name,
                    format!("the table computes \"{name}\" itself: leave it out of the query"),
                ),
                Some(column) => places.push(Place::new(
                    column.name.clone(),
                    column.declared.clone(),
                    self.strict,
                )),
                None => fault(
                    name,
                    format!(
                        "the table has no column for \"{name}\": add it to CREATE TABLE, or leave it out of the query"
                    ),
                ),
            }
        }
        let given = |column: &Column| names.iter().any(|name| same(name, &column.name));
        for column in &self.columns {
            if !column.fills_itself() && !given(column) {
                let name = &column.name;
                fault(
                    name,
                    format!(
                        "nothing goes into the column \"{name}\": select something under this name, or leave it out of CREATE TABLE"
                    ),
                );
            }
        }
        if names.is_empty() {
            fault(
                "",
                "there are rows without columns: select at least one".to_owned(),
            );
        }
        match faults.is_empty() {
            true => Ok(places),
            false => Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("the rows do not fit the table \"{}\"", self.name),
            )
            .with_hint("make the columns of the query and of CREATE TABLE the same")
            .with_faults(faults)),
        }
    }
}

/// The name that a misspelt one is likely to be.
fn nearest<'n>(names: &'n [String], misspelt: &str) -> Option<&'n String> {
    let misspelt = misspelt.to_lowercase();
    let distance = |name: &&String| strsim::damerau_levenshtein(&name.to_lowercase(), &misspelt);
    let most = misspelt.chars().count().div_ceil(3).min(3);
    let near = names.iter().min_by_key(distance);
    near.filter(|name| distance(name) <= most)
}

/// An error about a name that is not there, with the one that may be meant.
pub fn with_nearest(opened: &Opened, error: Error) -> Error {
    let sql = match error.kind() {
        ErrorKind::TableNotFound => "SELECT name FROM pragma_table_list WHERE schema = 'main'",
        ErrorKind::ColumnNotFound => {
            "SELECT c.name FROM pragma_table_list t, pragma_table_xinfo(t.name, 'main') c
             WHERE t.schema = 'main' AND t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
        _ => return error,
    };
    let names = || -> rusqlite::Result<Vec<String>> {
        let mut statement = opened.connection.prepare(sql)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    // As in "no such column: o.nme". Without the names the error is good enough.
    let message = error.to_string();
    let misspelt = message.rsplit([' ', '.']).next().unwrap_or_default();
    match nearest(&names().unwrap_or_default(), misspelt) {
        Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
        None => error,
    }
}

impl Column {
    fn fills_itself(&self) -> bool {
        let rowid = self.primary_key.is_some() && self.declared.eq_ignore_ascii_case("INTEGER");
        self.computed || self.default.is_some() || rowid
    }
}

fn columns(connection: &rusqlite::Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    // Hidden are the parameters of table-valued functions (1) and what is computed (2, 3).
    let mut statement = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden
         FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1",
    )?;
    let columns = statement.query_map([table], |row| {
        let (declared, key): (String, u32) = (row.get(1)?, row.get(4)?);
        Ok(Column {
            name: row.get(0)?,
            required: row.get(2)?,
            default: row.get(3)?,
            primary_key: (key > 0).then_some(key),
            computed: row.get::<_, i64>(5)? != 0,
            declared,
        })
    })?;
    let mut columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
    // Alone, it is the number of the row, which is never NULL.
    if let [key] = columns
        .iter_mut()
        .filter(|column| column.primary_key.is_some())
        .collect::<Vec<_>>()
        .as_mut_slice()
    {
        key.required |= key.declared.eq_ignore_ascii_case("INTEGER");
    }
    Ok(columns)
}
