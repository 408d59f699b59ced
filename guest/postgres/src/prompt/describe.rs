//! A table in words: in full, in short, and by its name.

use std::collections::BTreeSet;

use dagflux_guest::bindings::exports::dagflux::connector::relational::LoadedTable;

use super::facts::{Constraint, Facts, Known, MadeType};
use super::words::{COMMENT, EXPRESSION, LABEL, name, plain, quoted, table, thousands};

/// A table in words.
#[derive(Debug)]
pub struct Described {
    /// Its schema.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its name alone.
    pub by_name: String,
    /// Its name and those of its columns.
    pub in_short: String,
    /// All that is known.
    pub in_full: String,
    /// What is known of the types of its columns, a line each.
    pub types: BTreeSet<String>,
}

/// A table of the connection.
pub fn here(facts: &Facts, known: &Known) -> Described {
    let called = table(Some(&facts.schema), &facts.name);
    let mut in_full = called.clone();
    if facts.kind != "table" {
        in_full.push_str(&format!(", {}", facts.kind));
    }
    if let Some(by) = &facts.partitioned {
        in_full.push_str(&format!(" by {}", plain(by)));
    }
    if let Some(rows) = facts.estimated_rows {
        in_full.push_str(&format!(", about {} rows", thousands(rows)));
    }
    comment(facts.comment.as_deref(), &mut in_full);
    for column in &facts.columns {
        let (column_name, type_) = (name(&column.name), plain(&column.type_));
        in_full.push_str(&format!("\n  {column_name} {type_}"));
        if !column.nullable {
            in_full.push_str(" not null");
        }
        match (&column.default, column.computed) {
            (Some(by), true) => {
                in_full.push_str(&format!(" computed as {}", quoted(by, EXPRESSION)));
            }
            (Some(default), false) => {
                in_full.push_str(&format!(" default {}", quoted(default, EXPRESSION)));
            }
            (None, _) => {}
        }
        if let Some(identity) = column.identity {
            in_full.push_str(&format!(" {identity}"));
        }
        comment(column.comment.as_deref(), &mut in_full);
    }
    for constraint in &facts.constraints {
        let line = match constraint {
            Constraint::PrimaryKey(columns) => format!("primary key ({})", plain(columns)),
            Constraint::Unique(columns) => format!("unique ({})", plain(columns)),
            Constraint::ForeignKey(columns, table, referenced) => format!(
                "foreign key ({}) references {} ({})",
                plain(columns),
                plain(table),
                plain(referenced)
            ),
            Constraint::Check(check) => format!("check {}", quoted(check, EXPRESSION)),
        };
        in_full.push_str(&format!("\n  {line}"));
    }
    let columns = facts.columns.iter();
    let types = columns
        .filter_map(|column| known.types.get(&column.type_oid))
        .flatten()
        .map(told);
    Described {
        schema: Some(facts.schema.clone()),
        name: facts.name.clone(),
        in_short: short(
            &called,
            facts.columns.iter().map(|column| column.name.as_str()),
        ),
        by_name: called,
        in_full,
        types: types.collect(),
    }
}

/// A table that is loaded from elsewhere.
pub fn loaded(from: &LoadedTable) -> Described {
    let called = table(None, &from.name);
    let mut in_full = format!("{called}, loaded from {}", quoted(&from.origin, COMMENT));
    for column in &from.columns {
        in_full.push_str(&format!(
            "\n  {} {}",
            name(&column.name),
            plain(&column.type_)
        ));
        if !column.nullable {
            in_full.push_str(" not null");
        }
    }
    Described {
        schema: None,
        name: from.name.clone(),
        in_short: short(
            &called,
            from.columns.iter().map(|column| column.name.as_str()),
        ),
        by_name: called,
        in_full,
        types: BTreeSet::new(),
    }
}

fn short<'n>(called: &str, columns: impl Iterator<Item = &'n str>) -> String {
    let columns: Vec<String> = columns.map(name).collect();
    format!("{called} ({})", columns.join(", "))
}

fn comment(comment: Option<&str>, out: &mut String) {
    if let Some(comment) = comment {
        out.push_str(&format!(" -- {}", quoted(comment, COMMENT)));
    }
}

fn told(made: &MadeType) -> String {
    let called = plain(&made.name);
    if !made.labels.is_empty() {
        let labels: Vec<String> = made
            .labels
            .iter()
            .map(|label| quoted(label, LABEL))
            .collect();
        let more = match made.total.saturating_sub(made.labels.len()) {
            0 => String::new(),
            more => format!(", and {} more", thousands(more as u64)),
        };
        return format!("type {called}: enum of {}{more}", labels.join(", "));
    }
    if let Some(base) = &made.base {
        let mut line = format!("type {called}: domain over {}", plain(base));
        for check in &made.checks {
            line.push_str(&format!(" check {}", quoted(check, EXPRESSION)));
        }
        return line;
    }
    let attributes: Vec<String> = made
        .attributes
        .iter()
        .map(|attribute| plain(attribute))
        .collect();
    format!("type {called}: composite of {}", attributes.join(", "))
}
