//! Row-level security: which rows the login may see, add, change and delete.

use std::collections::BTreeMap;

use dagflux_guest::bindings::exports::dagflux::connector::relational::Remedy;

use super::Seen;
use super::facts::{Hiding, Permits};
use super::grants::{advice, run_as, some_of};
use super::need::{Findings, Need, at_most_warning, by_severity, grave};
use crate::keywords::{name, qualified};

/// What stands before the rows that a command is about.
struct Command {
    need: Need,
    /// The end of "no policy lets the login ...".
    closed: &'static str,
    /// The beginning of a sentence on what policies limit.
    limited: &'static str,
    /// What a policy that permits all of it is called: not after the login, whose name is
    /// nobody's business.
    policy: &'static str,
    /// What it is for, and whether it is about rows that come or that are there.
    kind: &'static str,
    clause: &'static str,
}

const SELECT: Command = Command {
    need: Need::AllRows,
    closed: "see any row of",
    limited: "policies may silently hide rows of",
    policy: "sees_all_rows",
    kind: "SELECT",
    clause: "USING",
};

const WRITES: [Command; 3] = [
    Command {
        need: Need::InsertRows,
        closed: "add rows to",
        limited: "policies limit which rows the login may add to",
        policy: "adds_any_row",
        kind: "INSERT",
        clause: "WITH CHECK",
    },
    Command {
        need: Need::UpdateRows,
        closed: "change rows of",
        limited: "policies limit which rows the login may change in",
        policy: "changes_any_row",
        kind: "UPDATE",
        clause: "USING",
    },
    Command {
        need: Need::DeleteRows,
        closed: "delete rows of",
        limited: "policies limit which rows the login may delete from",
        policy: "deletes_any_row",
        kind: "DELETE",
        clause: "USING",
    },
];

/// That no table hides rows.
pub fn reading(seen: &Seen<'_>, found: &mut Findings<'_>) {
    const SUBJECT: &str = "row-level security";
    let parts: Vec<_> = [Permits::Nothing, Permits::Some]
        .into_iter()
        .filter_map(|permits| said(seen, &SELECT, permits))
        .collect();
    if parts.is_empty() {
        found.passed(
            &[Need::AllRows],
            SUBJECT,
            "no table hides rows from the login",
        );
        return;
    }
    let pairs = pairs(seen, &[&SELECT], &[Permits::Nothing, Permits::Some]);
    found.missing(
        grave(Need::AllRows),
        SUBJECT,
        parts.join("; "),
        remedies(seen, pairs),
    );
}

/// That policies let rows be written. Without policies, nothing is said.
pub fn writing(seen: &Seen<'_>, found: &mut Findings<'_>) {
    const SUBJECT: &str = "row-level security on writes";
    if seen.facts.hiding.is_empty() {
        return;
    }
    let mut in_order = true;
    for permits in [Permits::Nothing, Permits::Some] {
        let missing = WRITES
            .iter()
            .filter(|command| tables(seen, command.need, permits).next().is_some())
            .map(|command| match permits {
                Permits::Nothing => (command.need, grave(command.need)),
                _ => (command.need, at_most_warning(grave(command.need))),
            });
        for (needs, grave) in by_severity(seen.asked, missing) {
            in_order = false;
            let commands: Vec<_> = WRITES
                .iter()
                .filter(|command| needs.contains(&command.need))
                .collect();
            let parts: Vec<_> = commands
                .iter()
                .filter_map(|command| said(seen, command, permits))
                .collect();
            let pairs = pairs(seen, &commands, &[permits]);
            found.missing(grave, SUBJECT, parts.join("; "), remedies(seen, pairs));
        }
    }
    if in_order {
        found.passed(
            &WRITES.map(|command| command.need),
            SUBJECT,
            "policies let the login write every row",
        );
    }
}

/// The tables whose policies permit just so much.
fn tables<'a>(
    seen: &Seen<'a>,
    need: Need,
    permits: Permits,
) -> impl Iterator<Item = &'a Hiding> + use<'a> {
    let hiding = seen.facts.hiding.iter();
    hiding.filter(move |table| table.of(need).in_effect() == permits)
}

fn said(seen: &Seen<'_>, command: &Command, permits: Permits) -> Option<String> {
    let names: Vec<_> = tables(seen, command.need, permits)
        .map(|table| seen.shown(&table.schema, &table.name))
        .collect();
    match (names.is_empty(), permits) {
        (true, _) => None,
        (false, Permits::Nothing) => Some(format!(
            "no policy lets the login {} {}",
            command.closed,
            some_of(names)
        )),
        (false, _) => Some(format!("{} {}", command.limited, some_of(names))),
    }
}

fn pairs<'a, 'c>(
    seen: &Seen<'a>,
    commands: &[&'c Command],
    permits: &[Permits],
) -> Vec<(&'a Hiding, &'c Command)> {
    let mut pairs = Vec::new();
    for command in commands {
        for permits in permits {
            pairs.extend(tables(seen, command.need, *permits).map(|table| (table, *command)));
        }
    }
    pairs.sort_by_key(|(table, _)| (&table.schema, &table.name));
    pairs
}

/// A policy for each table and command, unless there is one already that permits everything.
/// No policy that permits undoes one that restricts.
fn remedies(seen: &Seen<'_>, pairs: Vec<(&Hiding, &Command)>) -> Vec<Remedy> {
    let user = name(seen.user());
    let mut by_grantor: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut restricted = Vec::new();
    for (table, command) in pairs {
        let policies = table.of(command.need);
        if policies.restricted {
            restricted.push(seen.shown(&table.schema, &table.name));
        }
        if policies.permits != Permits::All {
            by_grantor.entry(&table.grantor).or_default().push(format!(
                "CREATE POLICY {} ON {} FOR {} TO {user} {} (true);",
                table.free(command.policy),
                qualified(&table.schema, &table.name),
                command.kind,
                command.clause
            ));
        }
    }
    let mut remedies: Vec<_> = by_grantor
        .into_iter()
        .map(|(grantor, statements)| {
            let mut remedy = run_as(grantor, statements);
            remedy.advice = Some(
                "only if the login is meant to have every row: someone chose to keep them from it"
                    .into(),
            );
            remedy.gives_more = true;
            remedy
        })
        .collect();
    restricted.dedup();
    if !restricted.is_empty() {
        remedies.push(advice(format!(
            "restrictive policies of {} go on whatever else permits: only their owner can change them, or a superuser let the login past all policies (BYPASSRLS)",
            some_of(restricted)
        )));
    }
    remedies
}
