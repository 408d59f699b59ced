//! What becomes of values that a column does not hold, and the account of it.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{Loss, LossPolicy, OnLoss};

/// The longest value that an error or a ledger shows, in characters.
const SHOWN: usize = 80;

/// Why a value is none of its column's.
pub type Reason = Cow<'static, str>;

/// The choice for each of `columns`.
///
/// # Errors
/// `column-not-found` if there is a choice for a column that is none of them.
pub fn choices(policy: &LossPolicy, columns: &[String]) -> Result<Vec<OnLoss>> {
    match policy
        .chosen()
        .find(|name| !columns.iter().any(|c| c == name))
    {
        Some(name) => Err(Error::new(
            ErrorKind::ColumnNotFound,
            format!("\"{name}\" is none of the columns, so nothing can be chosen for its values"),
        )
        .with_hint(format!("the columns are: {}", listed(columns)))
        .with_attribute("column", name)),
        None => Ok(columns.iter().map(|name| policy.of(name)).collect()),
    }
}

/// Names in a row, not too many of them.
pub fn listed(names: &[String]) -> String {
    const MOST: usize = 100;
    let some: Vec<_> = names.iter().take(MOST).map(String::as_str).collect();
    match names.len().saturating_sub(MOST) {
        0 => some.join(", "),
        more => format!("{}, and {more} more", some.join(", ")),
    }
}

/// A value as errors show it.
pub fn cut(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// The account of values that were not kept as they are: one entry for each column and reason, of
/// which there are few.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    column: usize,
    reason: Reason,
    became: OnLoss,
    values: u64,
    first_row: u64,
    example: String,
}

impl Ledger {
    /// Enters a value.
    pub fn enter(&mut self, column: usize, reason: Reason, became: OnLoss, row: u64, value: &str) {
        let known = self.entries.iter_mut().find(|entry| {
            entry.column == column && entry.reason == reason && entry.became == became
        });
        match known {
            Some(entry) => entry.values = entry.values.saturating_add(1),
            None => self.entries.push(Entry {
                column,
                reason,
                became,
                values: 1,
                first_row: row,
                example: cut(value),
            }),
        }
    }

    /// The entries, by column in the order of `names`.
    pub fn losses(&self, names: &[String]) -> Vec<Loss> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| (entry.column, entry.first_row));
        let loss = |entry: &Entry| Loss {
            column: names.get(entry.column).cloned().unwrap_or_default(),
            reason: entry.reason.clone().into_owned(),
            became: entry.became,
            values: entry.values,
            first_row: entry.first_row,
            example: entry.example.clone(),
        };
        entries.into_iter().map(loss).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_for_column_and_reason() {
        let mut ledger = Ledger::default();
        ledger.enter(1, "text".into(), OnLoss::Null, 3, "a");
        ledger.enter(0, "NaN".into(), OnLoss::Text, 4, &"é".repeat(100));
        ledger.enter(1, "text".into(), OnLoss::Null, 5, "b");
        let losses = ledger.losses(&["x".into(), "y".into()]);
        let [first, second] = losses.as_slice() else {
            panic!("{losses:?}");
        };
        assert_eq!((first.column.as_str(), first.values), ("x", 1));
        assert_eq!(first.example.chars().count(), SHOWN + 1);
        assert_eq!((second.values, second.first_row), (2, 3));
        assert_eq!(second.example, "a");
    }

    #[test]
    fn a_choice_is_for_a_column_that_is_there() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let policy = LossPolicy::new(OnLoss::Null).with_column("b", OnLoss::Text);
        let chosen = choices(&policy, &columns).unwrap();
        assert_eq!(chosen, [OnLoss::Null, OnLoss::Text]);
        let error = choices(&policy.with_column("c", OnLoss::Fail), &columns).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ColumnNotFound);
        assert_eq!(error.hint(), Some("the columns are: a, b"));
    }
}
