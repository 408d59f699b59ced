//! Default privileges: what the login will have on what others create from now on.

use super::Seen;
use super::facts::Future;
use super::grants::{by_default, counted, some_of, words};
use super::need::{Findings, Need, at_most_warning, by_severity, grave};
use crate::keywords::name;

/// On tables.
pub fn tables(seen: &Seen<'_>, found: &mut Findings<'_>) {
    const NEEDS: [Need; 4] = [Need::Select, Need::Insert, Need::Update, Need::Delete];
    report(
        seen,
        found,
        "future tables",
        "TABLE",
        &NEEDS,
        |future, need| future.tables.of(need),
    );
}

/// On sequences.
pub fn sequences(seen: &Seen<'_>, found: &mut Findings<'_>) {
    const NEEDS: [Need; 2] = [Need::Draw, Need::SeeSequence];
    report(
        seen,
        found,
        "future sequences",
        "SEQUENCE",
        &NEEDS,
        |future, need| match need {
            Need::Draw => future.draw,
            _ => future.see,
        },
    );
}

fn report(
    seen: &Seen<'_>,
    found: &mut Findings<'_>,
    subject: &str,
    kind: &str,
    needs: &[Need],
    lacks: impl Fn(&Future, Need) -> bool,
) {
    let futures = &seen.facts.futures;
    let missing = needs
        .iter()
        .filter(|need| futures.iter().any(|future| lacks(future, **need)))
        .map(|need| (*need, at_most_warning(grave(*need))));
    let groups = by_severity(seen.asked, missing);
    if groups.is_empty() {
        let mut roles: Vec<_> = futures.iter().map(|future| name(&future.role)).collect();
        roles.sort_unstable();
        roles.dedup();
        let by = match roles.is_empty() {
            true => "the login; nobody else is known to create any".to_owned(),
            false => some_of(roles),
        };
        // Whoever may log in, or be made a login, is not known.
        let others = match seen.facts.schemas.iter().any(|schema| schema.open) {
            true => "; everyone may create some (PUBLIC has CREATE): of others, this is not known",
            false => "",
        };
        let message = format!(
            "the login will have what it needs on {}s created from now on by {}{others}",
            kind.to_lowercase(),
            by,
        );
        found.passed(needs, subject, message);
        return;
    }
    for (needs, grave) in groups {
        let of = |future: &Future| -> Vec<Need> {
            let missing = needs.iter().filter(|need| lacks(future, **need));
            missing.copied().collect()
        };
        let wanted: Vec<_> = futures
            .iter()
            .map(|future| (future, of(future)))
            .filter(|(_, needs)| !needs.is_empty())
            .collect();
        let mut roles: Vec<_> = wanted
            .iter()
            .map(|(future, _)| name(&future.role))
            .collect();
        roles.dedup();
        let mut schemas: Vec<_> = wanted.iter().map(|(future, _)| &future.schema).collect();
        schemas.sort_unstable();
        schemas.dedup();
        let place = match seen.schema {
            Some(_) => String::new(),
            None => format!(" in {}", counted(schemas.len(), "schema")),
        };
        let message = format!(
            "the login will not have {} on {}s created from now on{place} by {}",
            words(&needs),
            kind.to_lowercase(),
            some_of(roles)
        );
        let remedies = by_default(
            kind,
            wanted.iter().map(|(future, needs)| {
                (future.role.as_str(), future.schema.as_str(), words(needs))
            }),
            seen.user(),
        );
        found.missing(grave, subject, message, remedies);
    }
}
