//! What every transaction is told, so that the same value is the same text whatever the server, the
//! database, the role or a pooler is set up to. Left to them are the time zone and the currency,
//! which are part of what their statements mean.
//!
//! `SET LOCAL` ends with the transaction: whoever is served next by the same server process, which
//! behind a pooler is someone else, does not see it.

use dagflux_guest::Result;

use super::{Parameters, Session, Startup, nul_in_statement};
use crate::dialect::quote;
use crate::protocol::frontend;

/// The settings, by name.
pub(super) fn of(parameters: &Parameters) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("search_path", quote(&parameters.schema)),
        ("client_encoding", "UTF8".into()),
        // What is carried as text must not depend on the server's settings.
        ("DateStyle", "ISO".into()),
        ("IntervalStyle", "postgres".into()),
        ("extra_float_digits", "3".into()),
        ("bytea_output", "hex".into()),
        ("quote_all_identifiers", "off".into()),
        // Nor what is read.
        ("array_nulls", "on".into()),
        // Nor where a string ends, which whoever looks at a statement has to know.
        ("standard_conforming_strings", "on".into()),
    ];
    if let Some(timeout) = parameters.statement_timeout {
        let timeout = timeout.as_millis().max(1).to_string();
        settings.push(("statement_timeout", timeout));
    }
    settings
}

impl Session {
    /// `begin`, which begins a transaction, and the settings after it.
    pub(super) fn with_settings(&self, begin: &str) -> String {
        let mut sql = begin.to_owned();
        for (name, value) in of(&self.parameters) {
            // A search path is a list of names; the rest are words and numbers.
            let value = match name {
                "search_path" => value,
                _ => format!("'{value}'"),
            };
            sql.push_str(&format!("; SET LOCAL {name} = {value}"));
        }
        sql
    }

    /// Whether the settings of the startup message are those of the server process at the other
    /// end: a pooler may have refused them, or have taken and forgotten them. Asked for once; what a
    /// statement of the user sets for the session later is meant to stay.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn settings_hold(&mut self) -> Result<bool> {
        if let Some(hold) = self.settings_hold {
            return Ok(hold);
        }
        let hold = self.parameters.startup == Startup::Complete && {
            self.ask("SELECT pg_catalog.current_setting('search_path')", &[])?;
            let rows = self.gather()?;
            // The server gives it back as it was written.
            rows == [[Some(quote(&self.parameters.schema))]]
        };
        self.settings_hold = Some(hold);
        Ok(hold)
    }

    /// Puts the settings into the flight of `sql`, a statement that has to run outside of a
    /// transaction block: they last until the `Sync` that ends it.
    ///
    /// # Errors
    /// When one of the two holds a NUL byte; nothing is put then.
    pub fn set_for(&mut self, sql: &str) -> Result<()> {
        if sql.contains('\0') {
            return Err(nul_in_statement());
        }
        let settings = of(&self.parameters);
        let calls: Vec<String> = (1..=settings.len())
            .map(|at| {
                let name = at * 2 - 1;
                format!("pg_catalog.set_config(${name}, ${}, true)", at * 2)
            })
            .collect();
        let parameters: Vec<Option<&str>> = settings
            .iter()
            .flat_map(|(name, value)| [Some(*name), Some(value.as_str())])
            .collect();
        self.parse(&format!("SELECT {}", calls.join(", ")))?;
        frontend::bind_and_execute(&parameters, std::iter::empty(), self.outbox())?;
        Ok(())
    }
}
