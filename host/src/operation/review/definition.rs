//! What a definition does beside defining its table.

use super::judge::Judging;
use super::{Rule, Severity, Slot};
use crate::operation::sql::{Facts, Feature, Kind};

/// Looks at what a `CREATE TABLE`, `ALTER TABLE` or `INSERT` says of columns.
pub(super) fn judge(judging: &mut Judging<'_>, facts: &Facts) {
    for feature in &facts.features {
        found(judging, facts, feature);
    }
    if facts.kind == Kind::Insert && judging.slot == Slot::Insert {
        filled(judging, facts);
    }
}

fn found(judging: &mut Judging<'_>, facts: &Facts, feature: &Feature) {
    let form = |message: &str| (Rule::CreateForm, message.to_owned());
    let (rule, message) = match feature {
        Feature::AsQuery => form("its rows are from a query: those are for the INSERT"),
        Feature::IfNotExists => form("IF NOT EXISTS would let it go on with a table that is there"),
        Feature::OrReplace => form("OR REPLACE would drop a table that is there"),
        Feature::Temporary => form("the table would be gone with the session"),
        Feature::Elsewhere => form("the table would be kept somewhere else"),
        // Whether it may be read is judged with the tables.
        Feature::Like(_) => return,
        Feature::TiedTo(table) => (
            Rule::WritesOutsideTarget,
            format!(
                "it ties the table to `{}`, which changes that, too",
                judging.context.told(table)
            ),
        ),
        Feature::Cascade => (
            Rule::WritesOutsideTarget,
            "CASCADE drops whatever else depends on it".to_owned(),
        ),
        Feature::Unneeded(words) => (
            Rule::AlterOperation,
            format!("`{words}` is not about columns"),
        ),
    };
    let repair = match (rule, &facts.kind) {
        (Rule::CreateForm, _) => "write CREATE TABLE name (column type, …) and nothing else",
        (Rule::AlterOperation, _) => {
            "add, drop, rename or change columns, their types, defaults and constraints only"
        }
        (_, Kind::CreateTable) => "leave out REFERENCES, INHERITS and PARTITION OF",
        _ => "leave out REFERENCES and CASCADE",
    };
    judging.find(Severity::Error, rule, message, repair);
}

/// Whether an `INSERT` gives as many values as it names columns, or as the table has.
fn filled(judging: &mut Judging<'_>, facts: &Facts) {
    let Some(given) = facts.outputs else {
        return;
    };
    let table = judging
        .context
        .target
        .as_ref()
        .map(|target| &target.columns);
    let (named, whose) = match (&facts.columns, table) {
        (Some(named), _) => (named.len(), "it names"),
        (None, Some(columns)) if !columns.is_empty() => (columns.len(), "the table has"),
        _ => return,
    };
    if given == named {
        return;
    }
    let fewer = given < named && facts.columns.is_none();
    judging.find(
        if fewer { Severity::Warning } else { Severity::Error },
        Rule::ResultMismatch,
        format!("it selects {given} columns, and {whose} {named}"),
        "name the columns that are filled, INSERT INTO target (a, b) SELECT …, and select as many, in that order",
    );
}
