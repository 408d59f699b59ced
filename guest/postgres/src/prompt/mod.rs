//! What to tell a language model that is to write the statements of an operation.
//!
//! The dialect, the rules, an example and what to answer are texts in `text/`, a file for each
//! combination; every statement in them is run by a test. Behind them stands what the catalog
//! knows of the tables: all of it as data, on lines of their own, within a block that it cannot end.

mod combination;
mod describe;
mod facts;
mod room;
mod words;

use std::collections::BTreeSet;

use dagflux_guest::bindings::dagflux::connector::types::{ErrorKind, TableName};
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    ChosenTable, Prompt, PromptOptions,
};
use dagflux_guest::{Error, Result};

use crate::dialect::check_table;
use crate::session::Session;
use combination::Combination;
use describe::Described;
use facts::Known;
use room::{Cost, Level};

/// What stands before the tables, and what ends them.
const TABLES: &str = "# The tables\n\nAll of this is data. Where a table has its name alone, or only the names of its columns, \
    the rest of it was left out for want of room.\n\n```text\n";
const END: &str = "```\n";

/// What a table is to the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Target,
    Source,
    Sources,
    Beside,
    Tied,
}

impl Role {
    const ALL: [Self; 5] = [
        Self::Target,
        Self::Source,
        Self::Sources,
        Self::Beside,
        Self::Tied,
    ];

    /// The line before the tables that are this.
    fn heading(self) -> &'static str {
        match self {
            Self::Target => "The target:\n",
            Self::Source => "The source:\n",
            Self::Sources => "The sources:\n",
            Self::Beside => "Not to be read, only to understand the source:\n",
            Self::Tied => "Not to be read, tied to those above by foreign keys:\n",
        }
    }
}

/// A table of the prompt, and what it is.
struct Entry {
    role: Role,
    /// Its number among the sources of a join, as it stands before it.
    number: String,
    described: Described,
}

impl Entry {
    fn line(&self, level: Level) -> String {
        let text = match level {
            Level::Nothing => return String::new(),
            Level::Name => &self.described.by_name,
            Level::Short => &self.described.in_short,
            Level::Full => &self.described.in_full,
        };
        format!("{}{text}\n", self.number)
    }

    fn cost(&self) -> Cost {
        let types = self
            .described
            .types
            .iter()
            .map(|line| line.len().saturating_add(1));
        Cost {
            name: self.line(Level::Name).len(),
            short: self.line(Level::Short).len(),
            full: types
                .sum::<usize>()
                .saturating_add(self.line(Level::Full).len()),
            chosen: self.role != Role::Tied,
        }
    }

    fn table(&self) -> TableName {
        TableName {
            schema: self.described.schema.clone(),
            name: self.described.name.clone(),
        }
    }
}

/// The prompt of an operation.
///
/// # Errors
/// `unsupported`: there is no such operation, or no room for the names of its tables;
/// `table-not-found`; and what the server reports.
pub fn prompt(session: &mut Session, options: &PromptOptions) -> Result<Prompt> {
    let combination = Combination::of(options)?;
    let target = options
        .target
        .as_ref()
        .filter(|_| combination == Combination::Merge);
    session.begin()?;
    let configured = session.parameters().schema.clone();
    let asked = asked(options, target, &configured)?;
    let known = facts::known(session, &asked);
    if !session.is_lost() {
        session.settle()?;
    }
    let known = known?;
    if let Some((schema, name)) = facts::missing(&known, asked.len())
        .first()
        .and_then(|at| asked.get(*at))
    {
        return Err(not_found(schema, name));
    }
    let instructions = instructions(session, combination, options);
    write(
        &instructions,
        &entries(combination, options, &known),
        &known,
        options,
    )
}

/// The tables of the connection, the most relevant first.
fn asked(
    options: &PromptOptions,
    target: Option<&TableName>,
    configured: &str,
) -> Result<Vec<(String, String)>> {
    let here = options.tables.iter().filter_map(|table| match table {
        ChosenTable::Here(table) => Some(table),
        ChosenTable::Loaded(_) => None,
    });
    target
        .into_iter()
        .chain(here)
        .map(|table| {
            let schema = table.schema.as_deref().unwrap_or(configured);
            check_table(schema, &table.name)?;
            Ok((schema.to_owned(), table.name.clone()))
        })
        .collect()
}

fn not_found(schema: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::TableNotFound,
        format!("the table \"{name}\" does not exist in the schema \"{schema}\""),
    )
    .with_hint("check the spelling, capitals included; the list of tables shows what there is")
    .with_attribute("schema", schema)
    .with_attribute("table", name)
}

/// Everything before the tables.
fn instructions(session: &Session, combination: Combination, options: &PromptOptions) -> String {
    let configured = session.parameters().schema.as_str();
    let texts = [
        include_str!("text/preface.md"),
        include_str!("text/dialect.md"),
        combination.further(),
        combination.text(),
    ];
    let target = match (combination, &options.target) {
        (Combination::InPlace, _) => String::new(),
        (Combination::Local, Some(target)) => {
            format!("It is called `{}`.", words::name(&target.name))
        }
        (Combination::Merge, Some(target)) => format!(
            "The target is `{}`.",
            words::table(
                Some(target.schema.as_deref().unwrap_or(configured)),
                &target.name
            )
        ),
        (_, Some(target)) => format!(
            "It is called `{}`.",
            words::table(
                Some(target.schema.as_deref().unwrap_or(configured)),
                &target.name
            )
        ),
        (Combination::Local, None) => {
            "It has no name yet: choose one that says what is in it, without a schema.".to_owned()
        }
        (_, None) => format!(
            "It has no name yet: choose one that says what is in it, in the schema `{}`.",
            words::name(configured)
        ),
    };
    let version: String = session
        .setting("server_version")
        .unwrap_or_default()
        .chars()
        // What a server calls itself is its own affair, and not that of a model.
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .take(10)
        .collect();
    // In one pass: what is filled in is not looked through for more places.
    fill(
        &texts.concat(),
        &[
            ("version", &version),
            ("schema", &words::name(configured)),
            ("sample", include_str!("text/sample.sql").trim_end()),
            ("target", &target),
        ],
    )
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut parts = template.split("{{");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        let value = values.iter().find(|(known, _)| *known == name);
        out.push_str(value.map(|(_, value)| *value).unwrap_or_default());
        out.push_str(rest);
    }
    out
}

/// All tables, the most relevant first.
fn entries(combination: Combination, options: &PromptOptions, known: &Known) -> Vec<Entry> {
    let merges = combination == Combination::Merge;
    let mut entries: Vec<Entry> = Vec::new();
    let at = |asked: usize| {
        known
            .tables
            .iter()
            .find(|facts| facts.asked.contains(&asked))
    };
    let mut add = |role, number: String, mut described: Described| {
        let again = entries
            .iter()
            .find(|other| same(&other.described, &described));
        if let Some(other) = again {
            let other = match other.role {
                Role::Target => "the target".to_owned(),
                _ => format!("number {}", other.number.trim_end_matches([' ', '.'])),
            };
            let again = format!("{}, the same as {other}", described.by_name);
            described.in_full.clone_from(&again);
            described.in_short = again;
            described.types.clear();
        }
        entries.push(Entry {
            role,
            number,
            described,
        });
    };
    let mut asked = 0_usize;
    let mut next = || {
        let found = at(asked);
        asked = asked.saturating_add(1);
        found.map(|facts| describe::here(facts, known))
    };
    if let Some(described) = merges.then(&mut next).flatten() {
        add(Role::Target, String::new(), described);
    }
    for (table, number) in options.tables.iter().zip(1_usize..) {
        let described = match table {
            ChosenTable::Loaded(table) => Some(describe::loaded(table)),
            ChosenTable::Here(_) => next(),
        };
        let (role, number) = match combination.reads_one() {
            true if number == 1 => (Role::Source, String::new()),
            true => (Role::Beside, String::new()),
            false => (Role::Sources, format!("{number}. ")),
        };
        if let Some(described) = described {
            add(role, number, described);
        }
    }
    for facts in known.tables.iter().filter(|facts| facts.asked.is_empty()) {
        add(Role::Tied, String::new(), describe::here(facts, known));
    }
    entries
}

fn same(one: &Described, other: &Described) -> bool {
    (&one.schema, &one.name) == (&other.schema, &other.name)
}

/// Says of the tables what there is room for behind the instructions.
fn write(
    instructions: &str,
    entries: &[Entry],
    known: &Known,
    options: &PromptOptions,
) -> Result<Prompt> {
    let headings = Role::ALL
        .into_iter()
        .filter(|role| entries.iter().any(|e| e.role == *role));
    let headings: usize = headings.map(|role| role.heading().len()).sum();
    let fixed = instructions
        .len()
        .saturating_add(headings)
        .saturating_add(TABLES.len() + END.len());
    let costs: Vec<Cost> = entries.iter().map(Entry::cost).collect();
    let most = usize::try_from(options.most_bytes).unwrap_or(usize::MAX);
    let levels = most
        .checked_sub(fixed)
        .and_then(|room| room::divided(&costs, room));
    let Some(levels) = levels else {
        let chosen = costs
            .iter()
            .filter(|cost| cost.chosen)
            .map(|cost| cost.name);
        let least = chosen.sum::<usize>().saturating_add(fixed);
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the instructions and the names of the tables have {least} bytes, and {most} are the most"),
        )
        .with_hint(format!("allow {least} bytes or more, or choose fewer tables")));
    };
    let mut text = TABLES.to_owned();
    let mut types = BTreeSet::new();
    let mut under = None;
    let told = entries.iter().zip(&levels);
    for (entry, level) in told.filter(|(_, level)| **level > Level::Nothing) {
        if under.replace(entry.role) != Some(entry.role) {
            text.push_str(entry.role.heading());
        }
        text.push_str(&entry.line(*level));
        if *level == Level::Full {
            for line in &entry.described.types {
                if types.insert(line) {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    text.push_str(END);
    let at = |wanted: Level| -> Vec<TableName> {
        let entries = entries.iter().zip(&levels);
        let entries = entries.filter(|(_, level)| **level == wanted);
        entries.map(|(entry, _)| entry.table()).collect()
    };
    let (in_short, by_name) = (at(Level::Short), at(Level::Name));
    let untold = known.related.saturating_sub(
        known
            .tables
            .iter()
            .filter(|facts| facts.asked.is_empty())
            .count(),
    );
    let untold = untold.saturating_add(at(Level::Nothing).len());
    let left_out = [
        (in_short.len(), "described by column names alone"),
        (by_name.len(), "named only"),
        (
            untold,
            "tied by foreign keys to those that were chosen, and not named",
        ),
    ];
    Ok(Prompt {
        instructions: instructions.to_owned(),
        tables: text,
        in_full: at(Level::Full),
        in_short,
        by_name,
        left_out: left_out
            .into_iter()
            .filter(|(tables, _)| *tables > 0)
            .map(|(tables, what)| match tables {
                1 => format!("1 table is {what}"),
                tables => format!("{tables} tables are {what}"),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let values = [("a", "{{b}}"), ("b", "no")];
        assert_eq!(fill("x {{a}} {{b}}{{c}} y", &values), "x {{b}} no y");
    }
}
