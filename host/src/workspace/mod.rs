//! The workspace on this machine: one SQLite database in which DagFlux keeps local tables.
//!
//! A [`Workspace`] reads ([`query`](Workspace::query), [`read`](Workspace::read)) and makes new
//! tables, of rows from elsewhere ([`write`](Workspace::write)) and of its own
//! ([`create_as`](Workspace::create_as)). Every write is one transaction: it is there as a whole
//! or not at all. Which Arrow type a column becomes, and how values are stored, is said in
//! [`types`].
//!
//! The SQL may come from anyone, a language model above all: what reads can only read, what
//! creates can only create the table it is for, and neither reaches another file.
//!
//! Every call blocks: from asynchronous code, use it in `spawn_blocking`, with an [`Interrupt`]
//! for when the caller goes away.
//!
//! ```
//! # use std::sync::Arc;
//! # use arrow_array::{Int64Array, RecordBatch};
//! # use dagflux_host::workspace::{Options, Workspace};
//! # let orders = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap();
//! let workspace = Workspace::in_memory()?;
//! let options = Options::new();
//! let create = "CREATE TABLE orders (id INTEGER PRIMARY KEY)";
//! let mut writer = workspace.write(create, "orders", orders.schema(), &options)?;
//! writer.write(&orders)?;
//! assert_eq!(writer.finish()?.rows, 2);
//!
//! let rows = workspace.query("SELECT count(*) AS orders FROM orders", &options)?;
//! for batch in rows {
//!     println!("{:?}", batch?);
//! }
//! # Ok::<(), dagflux_host::Error>(())
//! ```

mod calendar;
mod columns;
mod encode;
mod errors;
mod guard;
mod losses;
mod numbers;
mod open;
mod options;
mod read;
mod table;
#[cfg(test)]
mod tests;
pub mod types;
mod values;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;

pub use options::{Examined, Interrupt, Options, Written};
pub use read::Reader;
pub use write::Writer;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{ColumnInfo, TableInfo, TableKind};
use open::{Location, Opened};
use table::Table;

/// How long a write waits for another to be done, if nothing else is chosen: as long as a person
/// does.
const WAIT: Duration = Duration::from_secs(10);

/// The workspace. Clones are the same workspace; each call has a connection of its own.
#[derive(Debug, Clone)]
pub struct Workspace {
    location: Arc<Location>,
    wait: Duration,
}

impl Workspace {
    /// Opens the workspace in a file, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if it is no SQLite database or cannot be opened;
    /// [`ErrorKind::Conflict`] if another program has locked it; [`ErrorKind::ReadOnly`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            location: Arc::new(Location::file(path.as_ref(), WAIT)?),
            wait: WAIT,
        })
    }

    /// An empty workspace in memory, for tests. A write waits until nobody reads.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Ok(Self {
            location: Arc::new(Location::memory()?),
            wait: WAIT,
        })
    }

    /// Sets how long a write waits for another to be done. Default: 10 s.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Its file; none if it is in memory.
    pub fn path(&self) -> Option<&PathBuf> {
        match self.location.as_ref() {
            Location::File(path) => Some(path),
            Location::Memory(..) => None,
        }
    }

    /// Its tables and views, by name.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        let opened = self.connect(&Interrupt::new())?;
        table::all(&opened).map_err(|error| opened.guard.told(error))
    }

    /// The columns of a table or view, with their types as they were declared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`].
    pub fn columns(&self, table: &str) -> Result<Vec<ColumnInfo>> {
        Ok(Table::existing(&self.connect(&Interrupt::new())?, table)?.infos())
    }

    /// Runs one statement that reads. It sees the workspace as it is now, whatever is written
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReadOnly`] and [`ErrorKind::UnsupportedStatement`] if it is anything else;
    /// [`ErrorKind::Syntax`], [`ErrorKind::TableNotFound`], [`ErrorKind::ColumnNotFound`] and
    /// [`ErrorKind::Statement`], with the position; those of
    /// [`next_batch`](Reader::next_batch), if the first batch fails.
    pub fn query(&self, sql: &str, options: &Options) -> Result<Reader> {
        let dropped = Interrupt::new();
        let opened = self.open_with([options.interrupt.clone(), dropped.clone()])?;
        let read_only = opened.connection.pragma_update(None, "query_only", true);
        read_only.map_err(|error| opened.guard.told(error))?;
        Reader::begin(opened, sql.to_owned(), options.clone(), dropped)
    }

    /// Looks at one statement that reads, and does not run it.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), as far as they show before the first row.
    pub fn examine(&self, sql: &str) -> Result<Examined> {
        let opened = self.connect(&Interrupt::new())?;
        let statement = opened.reading(sql)?;
        Ok(Examined {
            columns: read::described(&statement),
            tables: opened.guard.reads(),
        })
    }

    /// Reads all of a table or view.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`]; those of [`query`](Self::query).
    pub fn read(&self, table: &str, options: &Options) -> Result<Reader> {
        let table = Table::existing(&self.connect(&options.interrupt)?, table)?;
        let sql = format!("SELECT * FROM main.{}", types::quoted(&table.name));
        self.query(&sql, options)
    }

    /// Creates a table and takes rows of a schema for it, which go into the columns of the same
    /// names; upper and lower case are one. `create` is one `CREATE TABLE`, and nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedStatement`] if it is anything else, or creates another table;
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::SchemaMismatch`], with everything that does not
    /// fit; [`ErrorKind::Conflict`] if another write goes on for longer than this waits.
    pub fn write(
        &self,
        create: &str,
        target: &str,
        schema: SchemaRef,
        options: &Options,
    ) -> Result<Writer> {
        let opened = self.connect(&options.interrupt)?;
        Writer::begin(opened, self.wait, create, target, schema, options)
    }

    /// Creates a table and fills it with the rows of a query over the workspace, which go into the
    /// columns of the same names. A value that does not fit the declared type of its column is a
    /// loss; where text is chosen for it, it is kept as it is written.
    ///
    /// # Errors
    ///
    /// Those of [`query`](Self::query), [`write`](Self::write) and [`Writer::write`]; nothing was
    /// written.
    pub fn create_as(
        &self,
        create: &str,
        select: &str,
        target: &str,
        options: &Options,
    ) -> Result<Written> {
        let opened = self.connect(&options.interrupt)?;
        write::create_as(opened, self.wait, create, select, target, options)
    }

    /// Drops a table.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TableNotFound`]; [`ErrorKind::UnsupportedStatement`] if it is a view.
    pub fn drop_table(&self, table: &str) -> Result<()> {
        table::nameable(table)?;
        let opened = self.connect(&Interrupt::new())?;
        opened.begin(self.wait)?;
        let table = Table::existing(&opened, table)?;
        if table.kind != TableKind::Table {
            return Err(Error::new(
                ErrorKind::UnsupportedStatement,
                format!("\"{}\" is a {}", table.name, table.kind.as_str()),
            )
            .with_hint(
                "name a table; what is none was made by another program, and is dropped there",
            ));
        }
        let drop = format!("DROP TABLE main.{}; COMMIT", types::quoted(&table.name));
        let dropped = opened.connection.execute_batch(&drop);
        dropped.map_err(|error| opened.guard.told(error))
    }

    fn connect(&self, interrupt: &Interrupt) -> Result<Opened> {
        self.open_with([interrupt.clone(), Interrupt::new()])
    }

    fn open_with(&self, interrupts: [Interrupt; 2]) -> Result<Opened> {
        self.location.open(self.wait, interrupts)
    }
}
