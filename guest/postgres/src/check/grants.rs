//! The statements that give what is missing, for the roles that must run them.

use std::collections::{BTreeMap, BTreeSet};

use dagflux_guest::bindings::exports::dagflux::connector::relational::Remedy;

use super::need::Need;
use crate::keywords::{list, name, qualified};

/// How many tables one statement names.
const AT_ONCE: usize = 100;

/// Something in a schema, such as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object<'a> {
    /// Its schema.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The role that may grant on it.
    pub grantor: &'a str,
}

/// The word for a privilege.
pub fn word(need: Need) -> &'static str {
    match need {
        Need::Usage | Need::Draw | Need::DrawIdentity => "USAGE",
        Need::Select | Need::SeeSequence => "SELECT",
        Need::Insert => "INSERT",
        Need::Update => "UPDATE",
        Need::Delete => "DELETE",
        Need::Create => "CREATE",
        Need::Temporary => "TEMPORARY",
        Need::Change
        | Need::Own
        | Need::AllRows
        | Need::InsertRows
        | Need::UpdateRows
        | Need::DeleteRows => "",
    }
}

/// Privileges as SQL has them.
pub fn words(needs: &[Need]) -> String {
    let words: Vec<_> = needs.iter().map(|need| word(*need)).collect();
    words.join(", ")
}

/// Statements for one role.
pub fn run_as(role: &str, statements: Vec<String>) -> Remedy {
    Remedy {
        run_as: Some(role.to_owned()),
        statements,
        advice: None,
        gives_more: false,
    }
}

/// What to do where SQL of ours does not help.
pub fn advice(text: impl Into<String>) -> Remedy {
    Remedy {
        run_as: None,
        statements: Vec::new(),
        advice: Some(text.into()),
        gives_more: false,
    }
}

/// The same privilege on several schemas.
pub fn on_schemas<'a>(
    privilege: &str,
    schemas: impl IntoIterator<Item = (&'a str, &'a str)>,
    user: &str,
) -> Vec<Remedy> {
    let mut by_owner: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (schema, owner) in schemas {
        by_owner.entry(owner).or_default().push(schema);
    }
    by_owner
        .into_iter()
        .map(|(owner, schemas)| {
            let schemas = list(schemas);
            run_as(
                owner,
                vec![format!(
                    "GRANT {privilege} ON SCHEMA {schemas} TO {};",
                    name(user)
                )],
            )
        })
        .collect()
}

/// Privileges on tables or sequences, as few statements as are exactly right.
///
/// `wanted` has each object with what it is to be given. `whole` says whether everything that
/// ALL names in a schema is to be given the privileges, and one role may grant all of it.
pub fn on_objects<'a>(
    kind: &str,
    wanted: impl IntoIterator<Item = (Object<'a>, String)>,
    whole: impl Fn(&str, &str) -> bool,
    user: &str,
) -> Vec<Remedy> {
    let mut by_role: BTreeMap<&str, BTreeMap<String, BTreeMap<&str, BTreeSet<&str>>>> =
        BTreeMap::new();
    for (object, privileges) in wanted {
        by_role
            .entry(object.grantor)
            .or_default()
            .entry(privileges)
            .or_default()
            .entry(object.schema)
            .or_default()
            .insert(object.name);
    }
    let user = name(user);
    by_role
        .into_iter()
        .map(|(role, by_privileges)| {
            let mut statements = Vec::new();
            for (privileges, schemas) in by_privileges {
                let (all, some): (Vec<_>, Vec<_>) = schemas
                    .into_iter()
                    .partition(|(schema, _)| whole(schema, &privileges));
                if !all.is_empty() {
                    let schemas = list(all.into_iter().map(|(schema, _)| schema));
                    statements.push(format!(
                        "GRANT {privileges} ON ALL {kind}S IN SCHEMA {schemas} TO {user};"
                    ));
                }
                let names: Vec<_> = some
                    .into_iter()
                    .flat_map(|(schema, names)| {
                        names.into_iter().map(move |name| qualified(schema, name))
                    })
                    .collect();
                for names in names.chunks(AT_ONCE) {
                    statements.push(format!(
                        "GRANT {privileges} ON {kind} {} TO {user};",
                        names.join(", ")
                    ));
                }
            }
            run_as(role, statements)
        })
        .collect()
}

/// Privileges on what roles will create, a statement for each role and kind.
pub fn by_default<'a>(
    kind: &str,
    wanted: impl IntoIterator<Item = (&'a str, &'a str, String)>,
    user: &str,
) -> Vec<Remedy> {
    let mut by_role: BTreeMap<&str, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for (role, schema, privileges) in wanted {
        by_role
            .entry(role)
            .or_default()
            .entry(privileges)
            .or_default()
            .push(schema);
    }
    by_role
        .into_iter()
        .map(|(role, by_privileges)| {
            let statements = by_privileges.into_iter().map(|(privileges, schemas)| {
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT {privileges} ON {kind}S TO {};",
                    name(role),
                    list(schemas),
                    name(user)
                )
            });
            run_as(role, statements.collect())
        })
        .collect()
}

/// Some of many names, and how many more there are.
pub fn some_of(names: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 5;
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(SHOWN).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// "1 table", "2 tables".
pub fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// "the only table", "all 2 tables".
pub fn all_of(number: usize, what: &str) -> String {
    match number {
        1 => format!("the only {what}"),
        _ => format!("all {number} {what}s"),
    }
}
