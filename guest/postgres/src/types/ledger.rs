//! What becomes of values that Arrow cannot hold, and the account of it.

use std::borrow::Cow;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Loss, OnLoss, StreamOptions,
};
use dagflux_guest::{Error, Result};

/// What the caller chose.
#[derive(Debug, Clone)]
pub struct Choices {
    default: OnLoss,
    columns: Vec<(String, OnLoss)>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            default: OnLoss::Fail,
            columns: Vec::new(),
        }
    }
}

impl From<&StreamOptions> for Choices {
    fn from(options: &StreamOptions) -> Self {
        Self {
            default: options.on_loss,
            columns: options.on_loss_of.clone(),
        }
    }
}

impl Choices {
    /// The choice for a column.
    pub fn of(&self, column: &str) -> OnLoss {
        let choice = self.columns.iter().rev().find(|(name, _)| name == column);
        choice.map_or(self.default, |(_, choice)| *choice)
    }

    /// Makes sure that every column with a choice of its own is one of `columns`.
    ///
    /// # Errors
    /// `column-not-found`.
    pub fn check<'a>(&self, columns: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        for (name, _) in &self.columns {
            if !columns.clone().any(|column| column == name) {
                let known: Vec<_> = columns.take(100).collect();
                return Err(Error::new(
                    ErrorKind::ColumnNotFound,
                    format!("\"{name}\" is not a column of the result, so nothing can be chosen for its values"),
                )
                .with_hint(format!("the columns are: {}", known.join(", ")))
                .with_attribute("column", name));
            }
        }
        Ok(())
    }
}

/// The account of values that were not carried as they are: one entry for each column and
/// reason, of which there are few.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    column: usize,
    reason: Cow<'static, str>,
    became: OnLoss,
    values: u64,
    first_row: u64,
    example: String,
}

impl Ledger {
    /// Enters a value. `example` is asked for only if it is the first of its kind.
    pub fn enter(
        &mut self,
        column: usize,
        reason: Cow<'static, str>,
        became: OnLoss,
        row: u64,
        example: impl FnOnce() -> String,
    ) {
        let known = self
            .entries
            .iter_mut()
            .find(|entry| entry.column == column && entry.reason == reason);
        match known {
            Some(entry) => entry.values = entry.values.saturating_add(1),
            None => self.entries.push(Entry {
                column,
                reason,
                became,
                values: 1,
                first_row: row,
                example: example(),
            }),
        }
    }

    /// The entries, by column in the order of `names`.
    pub fn losses<'a>(&self, names: impl Fn(usize) -> &'a str) -> Vec<Loss> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| (entry.column, entry.first_row));
        entries
            .into_iter()
            .map(|entry| Loss {
                column: names(entry.column).to_owned(),
                reason: entry.reason.clone().into_owned(),
                became: entry.became,
                values: entry.values,
                first_row: entry.first_row,
                example: entry.example.clone(),
            })
            .collect()
    }
}
