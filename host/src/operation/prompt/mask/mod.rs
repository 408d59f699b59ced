//! What of rows is not shown.
//!
//! Two things tell what a value is: the name of its column, and how the value looks, wherever in a
//! text, a list or a document it stands. A rule can be wrong about either; what must not be shown in
//! any case is masked by its column.

mod names;
mod others;
mod patterns;

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::Serialize;

use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::types::TableName;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident / $text:literal,)*) => {
        /// What is masked wherever it is seen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum MaskRule {
            $($(#[$doc])* $name,)*
        }

        impl MaskRule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What stands in place of what it masks.
            fn placeholder(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("[", $text, "]"),)*
                }
            }
        }

        impl FromStr for MaskRule {
            type Err = String;

            fn from_str(text: &str) -> std::result::Result<Self, String> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(format!("there is no rule {text:?}: there are {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

rules! {
    /// Addresses of mail.
    Email / "email",
    /// Numbers of telephones.
    Phone / "phone",
    /// Numbers of payment cards.
    Card / "card",
    /// Numbers of bank accounts.
    Iban / "iban",
    /// Addresses of machines.
    Ip / "ip",
    /// Addresses on the web, and others with a scheme.
    Url / "url",
    /// Names, which only their column tells.
    Name / "name",
}

/// What of rows is not shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masks {
    rules: Vec<MaskRule>,
    columns: Vec<ColumnMask>,
}

/// A column that is not shown: `column`, `table.column`, `schema.table.column`, with double quotes
/// around odd parts. Capitals do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    table: Option<TableName>,
    column: String,
}

impl FromStr for ColumnMask {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(
                ErrorKind::ColumnNotFound,
                format!("{text:?} is not the name of a column"),
            )
            .with_hint("write column, table.column or schema.table.column, with double quotes around odd parts")
        };
        let mut quoted = false;
        let dot = text.char_indices().filter(|(_, c)| {
            quoted ^= *c == '"';
            *c == '.' && !quoted
        });
        let dot = dot.last().map(|(at, _)| at);
        let (table, column) = match dot.and_then(|at| text.split_at_checked(at)) {
            Some((table, column)) => {
                let table = table.parse().map_err(|_| wrong())?;
                (Some(table), column.trim_start_matches('.'))
            }
            None => (None, text),
        };
        // As the name of a table without a schema is written.
        let column: TableName = column.parse().map_err(|_| wrong())?;
        Ok(Self {
            table,
            column: column.name,
        })
    }
}

impl std::fmt::Display for ColumnMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "{table}.")?;
        }
        TableName::new(self.column.clone()).fmt(f)
    }
}

impl ColumnMask {
    fn is_of(&self, table: &TableName) -> bool {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        self.table.as_ref().is_none_or(|own| {
            // A schema that is not said is that of the configuration, which is not known here.
            let schemas = own.schema.as_deref().zip(table.schema.as_deref());
            same(&own.name, &table.name) && schemas.is_none_or(|(one, other)| same(one, other))
        })
    }
}

impl Masks {
    /// Every rule.
    pub fn all() -> Self {
        Self {
            rules: MaskRule::ALL.to_vec(),
            columns: Vec::new(),
        }
    }

    /// No rule.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rule.
    pub fn with_rule(mut self, rule: MaskRule) -> Self {
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
        self
    }

    /// Masks a column, whatever is in it.
    pub fn with_column(mut self, column: ColumnMask) -> Self {
        self.columns.push(column);
        self
    }

    /// Makes sure that every masked column is said to be of one of the tables.
    pub(super) fn are_of(&self, tables: &[&TableName]) -> Result<()> {
        let mut columns = self.columns.iter();
        match columns.find(|mask| !tables.iter().any(|table| mask.is_of(table))) {
            Some(mask) => Err(not_found(mask)),
            None => Ok(()),
        }
    }
}

/// A misspelt name would show what was to be masked.
fn not_found(mask: &ColumnMask) -> Error {
    Error::new(
        ErrorKind::ColumnNotFound,
        format!("none of the tables has the column {mask}, which is to be masked"),
    )
    .with_hint("check the spelling; a column of a single table is written table.column")
}

/// Masks rows, and remembers what it masked.
pub struct Masker<'m> {
    masks: &'m Masks,
    found: BTreeSet<usize>,
    seen: Vec<TableName>,
    originals: BTreeSet<String>,
}

/// What is in place of a column's value, and of a value that shows up elsewhere.
const MASKED: &str = "[masked]";

impl<'m> Masker<'m> {
    pub fn new(masks: &'m Masks) -> Self {
        Self {
            masks,
            found: BTreeSet::new(),
            seen: Vec::new(),
            originals: BTreeSet::new(),
        }
    }

    /// A row of a table, masked.
    pub fn row(&mut self, table: &TableName, row: Vec<(String, Value)>) -> Value {
        if !self.seen.contains(table) {
            self.seen.push(table.clone());
        }
        let fields = row.into_iter().map(|(name, value)| {
            let mut masked = false;
            for (at, mask) in self.masks.columns.iter().enumerate() {
                if mask.is_of(table) && mask.column.to_lowercase() == name.to_lowercase() {
                    self.found.insert(at);
                    masked = true;
                }
            }
            let value = match masked {
                true => self.whole(value, MASKED),
                false => self.value(&name, value),
            };
            (name, value)
        });
        Value::Record(fields.collect())
    }

    fn value(&mut self, name: &str, value: Value) -> Value {
        if let Some(rule) = names::rule(&self.masks.rules, name) {
            return self.whole(value, rule.placeholder());
        }
        match value {
            Value::Null => Value::Null,
            Value::Bare(number) => self.number(number),
            Value::Text(text) => Value::Text(self.text(&text)),
            Value::List(items) => {
                let items = items.into_iter().map(|item| self.value("", item));
                Value::List(items.collect())
            }
            Value::Record(fields) => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let value = self.value(&name, value);
                    (self.text(&name), value)
                });
                Value::Record(fields.collect())
            }
        }
    }

    fn text(&mut self, text: &str) -> String {
        let (masked, originals) = patterns::masked(&self.masks.rules, text);
        match originals.is_empty() {
            true => text.to_owned(),
            false => {
                self.originals.extend(originals);
                masked
            }
        }
    }

    /// A number can be that of a card or of a telephone.
    fn number(&mut self, number: String) -> Value {
        let digits: Option<Vec<u32>> = number.chars().map(|c| c.to_digit(10)).collect();
        let digits = digits.unwrap_or_default();
        let card = (13..=19).contains(&digits.len()) && patterns::is_luhn(&digits);
        let looks = [
            (MaskRule::Card, card),
            (MaskRule::Phone, (10..=15).contains(&digits.len())),
        ];
        let looks = looks.into_iter();
        match looks
            .clone()
            .find(|(rule, looks)| *looks && self.masks.rules.contains(rule))
        {
            Some((rule, _)) => {
                self.originals.insert(number);
                Value::Text(rule.placeholder().to_owned())
            }
            None => Value::Bare(number),
        }
    }

    /// A value that is masked as a whole.
    fn whole(&mut self, value: Value, placeholder: &str) -> Value {
        match value {
            Value::Null => return Value::Null,
            Value::Bare(number) if number.len() < 6 => {}
            Value::Bare(text) | Value::Text(text) => {
                self.originals.insert(text);
            }
            Value::List(items) => {
                for item in items {
                    self.whole(item, placeholder);
                }
            }
            Value::Record(fields) => {
                for (name, value) in fields {
                    self.whole(Value::Text(name), placeholder);
                    self.whole(value, placeholder);
                }
            }
        }
        Value::Text(placeholder.to_owned())
    }

    /// Makes sure that every column that is to be masked was there, as far as rows were seen.
    pub fn all_were_found(&self, all_seen: bool) -> Result<()> {
        let mut columns = self.masks.columns.iter().enumerate();
        let lacking = columns.find(|(at, mask)| {
            let seen = match mask.table {
                Some(_) => self.seen.iter().any(|table| mask.is_of(table)),
                None => all_seen && !self.seen.is_empty(),
            };
            seen && !self.found.contains(at)
        });
        match lacking {
            Some((_, mask)) => Err(not_found(mask)),
            None => Ok(()),
        }
    }

    /// Takes what was masked out of the other values of a row, where it may stand as well.
    pub fn scrub(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bare(_) => {}
            Value::Text(text) => {
                *text = self.scrubbed(text, |original| original.chars().count() > 2)
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.scrub(item)),
            Value::Record(fields) => fields.iter_mut().for_each(|(_, value)| self.scrub(value)),
        }
    }

    /// Takes what was masked out of what is said of the tables: a default, a comment, a label can be
    /// someone's address. A value that could be an identifier stays: it may be one.
    pub fn scrub_text(&self, text: &mut String) {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        *text = self.scrubbed(text, |original| {
            original.chars().count() > 3 && !original.chars().all(is_name)
        });
    }

    fn scrubbed(&self, text: &str, counts: impl Fn(&str) -> bool) -> String {
        let mut out = text.to_owned();
        // The longest first, since one may hold another.
        let mut originals: Vec<&String> = self.originals.iter().filter(|o| counts(o)).collect();
        originals.sort_by_key(|original| std::cmp::Reverse(original.len()));
        for original in originals {
            out = replaced(&out, original);
        }
        out
    }
}

/// The text with `what` masked wherever it stands as words of its own.
fn replaced(text: &str, what: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(what) {
        let (before, found) = rest.split_at(at);
        let behind = found.get(what.len()..).unwrap_or_default();
        out.push_str(before);
        let goes_on = |one: Option<char>, other: Option<char>| {
            let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            word(one) && word(other)
        };
        let within = goes_on(out.chars().next_back(), what.chars().next())
            || goes_on(what.chars().next_back(), behind.chars().next());
        out.push_str(if within { what } else { MASKED });
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
