//! What may be read and still cannot be: views over closed tables, foreign tables without a
//! login over there.

use std::collections::{BTreeMap, BTreeSet};

use dagflux_guest::bindings::exports::dagflux::connector::relational::Severity;

use super::Seen;
use super::facts::Beyond;
use super::grants::{advice, counted, run_as, some_of};
use super::need::{Findings, Grave, Need, at_most_warning, grave};
use crate::keywords::{name, qualified};

/// How grave it is that a view cannot be read, though it may be: reading is what sources are for.
const UNREADABLE: Grave = [
    Severity::Failed,
    Severity::Warning,
    Severity::Warning,
    Severity::Warning,
];

/// That what is beneath views may be read. Views that are in order are not mentioned.
pub fn views(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let mut parts = Vec::new();
    let mut by_grantor: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for beyond in &seen.facts.beyond {
        let Beyond::View {
            schema,
            name: view,
            base_schema,
            base,
            reader,
            grantor,
        } = beyond
        else {
            continue;
        };
        parts.push(format!(
            "{} (SELECT on {} is missing for {})",
            seen.shown(schema, view),
            seen.shown(base_schema, base),
            name(reader)
        ));
        let statement = format!(
            "GRANT SELECT ON TABLE {} TO {};",
            qualified(base_schema, base),
            name(reader)
        );
        by_grantor.entry(grantor).or_default().insert(statement);
    }
    if parts.is_empty() {
        return;
    }
    found.missing(
        UNREADABLE,
        "views",
        format!(
            "they may be read, but something beneath them may not: {}",
            some_of(parts)
        ),
        by_grantor
            .into_iter()
            .map(|(grantor, statements)| {
                let mut remedy = run_as(grantor, statements.into_iter().collect());
                remedy.advice = Some(
                    "only if whoever is named is meant to read all of what is beneath, past what the view shows of it"
                        .into(),
                );
                remedy.gives_more = true;
                remedy
            })
            .collect(),
    );
}

/// That foreign servers know whom to log in as. Without foreign tables, nothing is said.
pub fn foreign_tables(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let servers: Vec<(&str, u64)> = seen
        .facts
        .beyond
        .iter()
        .filter_map(|beyond| match beyond {
            Beyond::Foreign { server, tables } => Some((server.as_str(), *tables)),
            Beyond::View { .. } => None,
        })
        .collect();
    let Some((first, _)) = servers.first() else {
        return;
    };
    let parts = servers.iter().map(|(server, tables)| {
        let tables = usize::try_from(*tables).unwrap_or(usize::MAX);
        format!("{} ({})", name(server), counted(tables, "table"))
    });
    let example = format!(
        "CREATE USER MAPPING FOR {} SERVER {} OPTIONS (user '...', password '...')",
        name(seen.user()),
        name(first)
    );
    found.missing(
        at_most_warning(grave(Need::Select)),
        "foreign tables",
        format!(
            "there is no user mapping for the login, which most wrappers need, for {}",
            some_of(parts)
        ),
        vec![advice(format!(
            "have the owner of the server tell whom to log in as: {example}"
        ))],
    );
}
