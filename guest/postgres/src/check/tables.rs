//! What is there: tables, their rows, and sequences.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dagflux_guest::bindings::exports::dagflux::connector::relational::{Remedy, Severity};

use super::Seen;
use super::facts::{Beyond, Holding, Sequence, Table};
use super::grants::{Object, advice, all_of, counted, on_objects, some_of, words};
use super::need::{Findings, Need, by_severity, grave, graver};
use crate::keywords::name;

/// That tables may be read.
pub fn reading(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let total = sum(seen, |holding| holding.relations);
    privileges(seen, found, "reading", &[Need::Select], total);
}

/// That rows of tables may be added, changed and deleted.
pub fn writing(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let total = sum(seen, |holding| holding.tables);
    let needs = [Need::Insert, Need::Update, Need::Delete];
    privileges(seen, found, "writing", &needs, total);
}

fn sum(seen: &Seen<'_>, count: impl Fn(&Holding) -> u64) -> usize {
    let sum: u64 = seen.facts.holdings.iter().map(count).sum();
    usize::try_from(sum).unwrap_or(usize::MAX)
}

fn privileges(
    seen: &Seen<'_>,
    found: &mut Findings<'_>,
    subject: &str,
    needs: &[Need],
    total: usize,
) {
    let tables = &seen.facts.tables;
    let missing = needs
        .iter()
        .filter(|need| tables.iter().any(|table| table.lack.of(**need)))
        .map(|need| (*need, grave(*need)));
    let groups = by_severity(seen.asked, missing);
    if groups.is_empty() {
        let message = match total {
            0 => format!("there is nothing in {} yet", seen.place()),
            _ if needs == [Need::Select] => readable(seen, total),
            _ => format!("{} may be written to", all_of(total, "table")),
        };
        found.passed(needs, subject, message);
        return;
    }
    for (needs, grave) in groups {
        let lacking: Vec<(&Table, Vec<Need>)> = tables
            .iter()
            .map(|table| {
                let lack = needs.iter().filter(|need| table.lack.of(**need));
                (table, lack.copied().collect::<Vec<_>>())
            })
            .filter(|(_, needs)| !needs.is_empty())
            .collect();
        found.missing(
            grave,
            subject,
            lacking_message(seen, &needs, &lacking, total),
            granted(seen, &needs, &lacking),
        );
    }
}

/// How much can be read, where no privilege is missing: not what lies over something closed,
/// and partitions as part of their table.
fn readable(seen: &Seen<'_>, total: usize) -> String {
    let what = match total {
        2.. => "tables and view",
        _ => "table",
    };
    let closed: BTreeSet<_> = seen
        .facts
        .beyond
        .iter()
        .filter_map(|beyond| match beyond {
            Beyond::View { schema, name, .. } => Some((schema, name)),
            Beyond::Foreign { .. } => None,
        })
        .collect();
    let how_many = match closed.len() {
        0 => all_of(total, what),
        closed => format!(
            "{} of {}",
            total.saturating_sub(closed),
            counted(total, what)
        ),
    };
    let by_table = seen.facts.tables.iter().filter(|table| table.by_root);
    let partitions = match by_table.count() {
        0 => String::new(),
        1 => " (1 partition by way of its table)".to_owned(),
        many => format!(" ({many} partitions by way of their table)"),
    };
    format!("{how_many} may be read{partitions}")
}

/// Which privileges are missing on which tables.
fn lacking_message(
    seen: &Seen<'_>,
    needs: &[Need],
    lacking: &[(&Table, Vec<Need>)],
    total: usize,
) -> String {
    let shown = |table: &Table| seen.shown(&table.schema, &table.name);
    let mut parts: BTreeMap<&[Need], Vec<&Table>> = BTreeMap::new();
    for (table, needs) in lacking {
        parts.entry(needs).or_default().push(table);
    }
    let mut message = match parts.len() {
        1 if lacking.len() == total => {
            format!("{} missing on {}", is(needs), all_of(total, "table"))
        }
        _ => {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(needs, tables)| {
                    format!(
                        "{} missing on {} of {}: {}",
                        is(needs),
                        tables.len(),
                        counted(total, "table"),
                        some_of(tables.into_iter().map(shown))
                    )
                })
                .collect();
            parts.join("; ")
        }
    };
    let partly: Vec<_> = lacking
        .iter()
        .filter(|(table, needs)| needs.iter().any(|need| table.partly.of(*need)))
        .map(|(table, _)| shown(table))
        .collect();
    if !partly.is_empty() {
        message.push_str(&format!(
            " (granted on some columns only: {})",
            some_of(partly)
        ));
    }
    message
}

fn is(needs: &[Need]) -> String {
    let verb = match needs.len() {
        1 => "is",
        _ => "are",
    };
    format!("{} {verb}", words(needs))
}

fn granted(seen: &Seen<'_>, needs: &[Need], lacking: &[(&Table, Vec<Need>)]) -> Vec<Remedy> {
    let holdings = by_schema(seen);
    // How many relations of a schema are to be given all of `needs`.
    let mut wanted: HashMap<&str, u64> = HashMap::new();
    for (table, lack) in lacking {
        if lack.len() == needs.len() {
            let count = wanted.entry(&table.schema).or_default();
            *count = count.saturating_add(1);
        }
    }
    let all = words(needs);
    let whole = |schema: &str, privileges: &str| {
        let Some([only]) = holdings.get(schema).map(Vec::as_slice) else {
            return false;
        };
        privileges == all && wanted.get(schema) == Some(&only.relations)
    };
    let objects = lacking.iter().map(|(table, needs)| {
        let object = Object {
            schema: &table.schema,
            name: &table.name,
            grantor: &table.grantor,
        };
        (object, words(needs))
    });
    on_objects("TABLE", objects, whole, seen.user())
}

/// What each schema's roles have in it, but for those that have only sequences.
fn by_schema<'a>(seen: &Seen<'a>) -> HashMap<&'a str, Vec<&'a Holding>> {
    let mut holdings: HashMap<&str, Vec<&Holding>> = HashMap::new();
    for holding in &seen.facts.holdings {
        if holding.relations > 0 {
            holdings.entry(&holding.schema).or_default().push(holding);
        }
    }
    holdings
}

/// That sequences may be used. What is missing is given at once: the two privileges belong
/// together, as the set-up has them.
pub fn sequences(seen: &Seen<'_>, found: &mut Findings<'_>) {
    const NEEDS: [Need; 3] = [Need::Draw, Need::DrawIdentity, Need::SeeSequence];
    let total = usize::try_from(seen.facts.drawn).unwrap_or(usize::MAX);
    let sequences = &seen.facts.sequences;
    let lacks = |need: Need| {
        sequences.iter().any(|sequence| match need {
            Need::Draw => sequence.draw && !sequence.identity,
            Need::DrawIdentity => sequence.draw && sequence.identity,
            _ => sequence.see,
        })
    };
    let missing: Vec<Need> = NEEDS.into_iter().filter(|need| lacks(*need)).collect();
    if missing.is_empty() {
        let message = match total {
            0 => "no column draws from one".to_owned(),
            _ => format!("{} may be used", all_of(total, "sequence")),
        };
        found.passed(&NEEDS, "sequences", message);
        return;
    }
    let privileges = |sequence: &Sequence| match (sequence.draw, sequence.see) {
        (true, true) => "USAGE, SELECT",
        (true, false) => "USAGE",
        _ => "SELECT",
    };
    let mut words: Vec<&str> = sequences.iter().map(privileges).collect();
    words.sort_by_key(|words| std::cmp::Reverse(words.len()));
    words.dedup();
    let message = format!(
        "{} missing on {}: {}; {}",
        match words.as_slice() {
            ["USAGE, SELECT", ..] | ["SELECT", "USAGE"] | ["USAGE", "SELECT"] =>
                "USAGE, SELECT are".to_owned(),
            [word, ..] => format!("{word} is"),
            [] => String::new(),
        },
        match sequences.len() == total {
            true => all_of(total, "sequence"),
            false => format!("{} of {}", sequences.len(), counted(total, "sequence")),
        },
        some_of(
            sequences
                .iter()
                .map(|sequence| seen.shown(&sequence.schema, &sequence.name))
        ),
        match missing.as_slice() {
            [Need::Draw, ..] => "inserts into columns that draw from them fail",
            [Need::DrawIdentity, ..] =>
                "they cannot be advanced past values that an import brings along",
            _ =>
                "how far they are is only known once a value was drawn, so that importing values of their columns may leave gaps",
        }
    );
    let grave = missing
        .iter()
        .map(|need| grave(*need))
        .fold([Severity::Passed; 4], graver);
    let wanted: Vec<_> = sequences
        .iter()
        .map(|sequence| (sequence, privileges(sequence)))
        .collect();
    let objects = wanted.iter().map(|(sequence, privileges)| {
        let object = Object {
            schema: &sequence.schema,
            name: &sequence.name,
            grantor: &sequence.grantor,
        };
        (object, (*privileges).to_owned())
    });
    let remedies = on_objects(
        "SEQUENCE",
        objects,
        whole_sequences(seen, &wanted),
        seen.user(),
    );
    found.missing(grave, "sequences", message, remedies);
}

/// Whether all sequences of a schema are to be given the same, by one role.
fn whole_sequences(seen: &Seen<'_>, wanted: &[(&Sequence, &str)]) -> impl Fn(&str, &str) -> bool {
    let mut counts: HashMap<(String, String), u64> = HashMap::new();
    for (sequence, privileges) in wanted {
        let key = (sequence.schema.clone(), (*privileges).to_owned());
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }
    let mut totals: HashMap<String, Option<u64>> = HashMap::new();
    for holding in &seen.facts.holdings {
        if holding.sequences > 0 {
            totals
                .entry(holding.schema.clone())
                .and_modify(|total| *total = None)
                .or_insert(Some(holding.sequences));
        }
    }
    move |schema, privileges| {
        let wanted = counts.get(&(schema.to_owned(), privileges.to_owned()));
        wanted.is_some() && totals.get(schema).and_then(Option::as_ref) == wanted
    }
}

/// That tables may be altered, which no grant on them gives.
pub fn ownership(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let others: Vec<&Holding> = seen
        .facts
        .holdings
        .iter()
        .filter(|holding| holding.tables > 0 && !holding.own)
        .collect();
    if others.is_empty() {
        let message = match sum(seen, |holding| holding.tables) {
            0 => format!("there are no tables in {} yet", seen.place()),
            _ => "the login may alter every table".to_owned(),
        };
        found.passed(&[Need::Own], "ownership", message);
        return;
    }
    let mut by_owner: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for holding in &others {
        let (tables, superuser) = by_owner.entry(&holding.owner).or_default();
        *tables = tables.saturating_add(holding.tables);
        *superuser = holding.superuser;
    }
    let parts: Vec<_> = by_owner
        .iter()
        .map(|(owner, (tables, _))| format!("{} ({tables})", name(owner)))
        .collect();
    let examples = others.iter().filter_map(|holding| {
        let example = holding.example.as_deref()?;
        Some(seen.shown(&holding.schema, example))
    });
    let message = format!(
        "ALTER TABLE needs the owner's rights, which no grant on a table gives; {} of {} belong to other roles: {}; such as {}",
        others
            .iter()
            .map(|holding| holding.tables)
            .fold(0, u64::saturating_add),
        counted(sum(seen, |holding| holding.tables), "table"),
        some_of(parts),
        some_of(examples),
    );
    let remedies = by_owner
        .into_iter()
        .map(|(owner, (_, superuser))| match superuser {
            true => advice(format!(
                "{} is a superuser, or a member of one: a member of it could become one. Give the tables to a role of their own (ALTER TABLE ... OWNER TO ...), and make the login a member of that",
                name(owner)
            )),
            false => {
                let mut remedy = membership(seen, owner);
                remedy.gives_more = true;
                remedy
            }
        })
        .collect();
    found.missing(grave(Need::Own), "ownership", message, remedies);
}

/// Makes the login a member that has the owner's rights without asking for them. Who may do so
/// is not one role: where superusers are the provider's own, others are meant to.
fn membership(seen: &Seen<'_>, owner: &str) -> Remedy {
    let (owner, user) = (name(owner), name(seen.user()));
    let (statements, who) = match seen.version {
        // It goes by the membership, and may have been turned off for one that there is.
        160_000.. => (
            vec![format!("GRANT {owner} TO {user} WITH INHERIT TRUE;")],
            format!("a superuser or a role with ADMIN OPTION on {owner}"),
        ),
        _ => {
            let mut statements = vec![format!("GRANT {owner} TO {user};")];
            if !seen.facts.login.inherits {
                statements.push(format!("ALTER ROLE {user} INHERIT;"));
            }
            (
                statements,
                format!("a superuser, or a role with CREATEROLE or with ADMIN OPTION on {owner}"),
            )
        }
    };
    let mut remedy = advice(format!(
        "only if tables are to be altered: the login can then do all that {owner} can, dropping its tables included; {who} can run it"
    ));
    remedy.statements = statements;
    remedy
}
