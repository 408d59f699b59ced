//! Reading a table.
//!
//! The statement is the connector's own, with nothing of the caller's in it but quoted names
//! and a number. It is described first, which gives columns and types. If every column has a
//! binary decoder the rows come by `COPY ... (FORMAT binary)`, the server's fastest way out;
//! otherwise as a query, where each column can have its own format, so that a type the
//! connector does not know comes as its output function writes it.

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{BatchLimits, Result};

use crate::dialect::{self, qualified, quote};
use crate::plan;
use crate::rows::{Rows, Shared};
use crate::sqlstate;
use crate::types::ledger::Choices;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The columns; none for all.
    pub columns: Option<Vec<String>>,
    /// The most rows; none for all.
    pub limit: Option<u64>,
}

/// Reads a table, read-only.
///
/// # Errors
/// `table-not-found`, `column-not-found`, `permission-denied`, ...
pub fn read(
    shared: &Shared,
    schema: Option<&str>,
    table: &str,
    selection: &Selection,
    limits: BatchLimits,
    choices: &Choices,
) -> Result<Rows> {
    let (plan, select, schema) = {
        let mut session = shared.borrow_mut();
        session.begin()?;
        let schema = match schema {
            Some(schema) => schema.to_owned(),
            None => session.parameters().schema.clone(),
        };
        dialect::check_table(&schema, table)?;
        for column in selection.columns.iter().flatten() {
            dialect::check_name("column", ErrorKind::ColumnNotFound, column)?;
        }
        let select = statement(&schema, table, selection);
        let plan = plan::prepare_table(&mut session, &schema, table, &select, choices).map_err(
            |error| sqlstate::about_table(error, "SELECT", &schema, table, session.user()),
        )?;
        (plan, select, schema)
    };
    // A few rows are not worth a statement of their own.
    let few = selection.limit.is_some_and(|limit| limit <= 1000);
    let rows = if plan.is_binary() && !few {
        let copy = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
        Rows::copy(shared, &plan, limits, &copy)?
    } else {
        Rows::portal(shared, &plan, limits)?
    };
    Ok(rows.of_table(schema, table.to_owned()))
}

fn statement(schema: &str, table: &str, selection: &Selection) -> String {
    let columns = match &selection.columns {
        None => "*".to_owned(),
        Some(columns) => columns
            .iter()
            .map(|column| quote(column))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let mut select = format!("SELECT {columns} FROM {}", qualified(schema, table));
    if let Some(limit) = selection.limit {
        // The server counts in 63 bits.
        select.push_str(&format!(" LIMIT {}", limit.min(i64::MAX as u64)));
    }
    select
}
