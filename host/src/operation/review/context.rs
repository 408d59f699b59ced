//! What a statement may touch.

use crate::operation::sql::Dialect;
use crate::types::TableName;

/// What a statement is judged by.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    pub(super) dialect: Dialect,
    /// The schema that names without one are looked up in, where it is known.
    pub schema: Option<String>,
    /// What may be read.
    pub sources: Vec<Declared>,
    /// What may be changed; it may be read as well.
    pub target: Option<Declared>,
    /// The columns of the table that a query fills somewhere else; empty if they are not known.
    pub filled: Vec<String>,
    /// Whether the server has looked at the expressions of a definition, and found no function in them
    /// that does more than compute a value.
    pub(super) expressions_looked_at: bool,
    /// Whether the operation is not run before the server has looked at the functions of a statement.
    pub(super) functions_wait: bool,
    /// Columns that earlier statements of the operation add, rename or change, so that the server
    /// does not know them yet as they will be.
    pub pending: Vec<String>,
}

/// A table that an operation has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declared {
    /// Its name.
    pub table: TableName,
    /// Its columns, as far as they are known.
    pub columns: Vec<String>,
    /// Whether it is made for the operation and goes with it.
    pub temporary: bool,
}

impl Declared {
    /// A table.
    pub fn new(table: TableName) -> Self {
        Self {
            table,
            columns: Vec::new(),
            temporary: false,
        }
    }

    /// With these columns.
    pub fn with_columns<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.columns = columns.into_iter().map(Into::into).collect();
        self
    }
}

impl Context {
    /// For statements in a dialect, by the name that a connector's descriptor gives it. None if there
    /// is no parser for it.
    pub fn new(dialect: &str) -> Option<Self> {
        Some(Self {
            dialect: Dialect::by_name(dialect)?,
            schema: None,
            sources: Vec::new(),
            target: None,
            filled: Vec::new(),
            expressions_looked_at: false,
            functions_wait: false,
            pending: Vec::new(),
        })
    }

    /// With tables that may be read.
    pub fn with_sources(mut self, sources: impl IntoIterator<Item = Declared>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// With a table that may be changed.
    pub fn with_target(mut self, target: Declared) -> Self {
        self.target = Some(target);
        self
    }

    /// With the columns of the table that a query fills somewhere else.
    pub fn with_filled(mut self, columns: Vec<String>) -> Self {
        self.filled = columns;
        self
    }

    /// With the schema that names without one are looked up in.
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    pub(super) fn is_target(&self, table: &TableName) -> bool {
        let mut target = self.target.iter();
        target.any(|target| self.is(target, table))
    }

    pub(super) fn may_read(&self, table: &TableName) -> bool {
        self.declared().any(|known| self.is(known, table))
    }

    pub(super) fn declared(&self) -> impl Iterator<Item = &Declared> {
        self.sources.iter().chain(&self.target)
    }

    fn is(&self, declared: &Declared, table: &TableName) -> bool {
        let temporary = declared.temporary
            && (table.schema.as_deref()).is_none_or(|schema| schema.starts_with("pg_temp"))
            && self.dialect.is_same(&declared.table.name, &table.name);
        temporary || self.is_same(&declared.table, table)
    }

    fn is_same(&self, one: &TableName, other: &TableName) -> bool {
        let schemas = match (self.schema_of(one), self.schema_of(other)) {
            (Some(one), Some(other)) => self.dialect.is_same(one, other),
            (None, None) => true,
            _ => false,
        };
        schemas && self.dialect.is_same(&one.name, &other.name)
    }

    fn schema_of<'t>(&'t self, table: &'t TableName) -> Option<&'t str> {
        table.schema.as_deref().or(self.schema.as_deref())
    }

    /// The table with its schema, if that is known, for people.
    pub(super) fn told(&self, table: &TableName) -> String {
        let schema = self.schema_of(table).map(str::to_owned);
        let name = table.name.clone();
        TableName { schema, name }.to_string()
    }

    /// The tables that may be read, for people.
    pub(super) fn readable(&self) -> String {
        let names: Vec<String> = self
            .declared()
            .map(|known| format!("`{}`", self.told(&known.table)))
            .collect();
        match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        }
    }
}

/// Whether a table is the server's own.
pub(super) fn is_system(table: &TableName) -> bool {
    let name = table.name.to_ascii_lowercase();
    match table
        .schema
        .as_deref()
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some(schema) => {
            let own = [
                "pg_catalog",
                "pg_toast",
                "information_schema",
                "sys",
                "mysql",
                "performance_schema",
                "account_usage",
            ];
            own.contains(&schema)
        }
        None => ["pg_", "sqlite_", "pragma_", "svv_", "stv_", "stl_"]
            .iter()
            .any(|own| name.starts_with(own)),
    }
}
