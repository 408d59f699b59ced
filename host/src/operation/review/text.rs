//! What the text says.

use super::judge::Judging;
use super::server::Answer;
use super::{Rule, Severity, Slot, functions};
use crate::operation::sql::{Dialect, Facts, Kind, Token, TokenKind};
use crate::types::TableName;

/// Looks at the pieces of the text: whether it is one statement that hides nothing. Returns whether
/// there is one.
pub(super) fn pieces(judging: &mut Judging<'_>) -> bool {
    let reading = judging.reading;
    for token in &reading.tokens {
        let place = judging.place(token.at);
        match token.kind {
            TokenKind::Unended => judging.find_at(
                Severity::Error,
                Rule::Syntax,
                place,
                "a quote or comment that begins here does not end",
                "end it; in a text, write a quote twice",
            ),
            TokenKind::RunComment => judging.find_at(
                Severity::Error,
                Rule::HiddenText,
                place,
                "some servers run what is in this comment",
                "leave comments of the form /*! … */ out",
            ),
            TokenKind::Escaped => judging.find_at(
                Severity::Error,
                Rule::EscapedName,
                place,
                "this name is written with escapes",
                "write the name itself, in double quotes if it needs them",
            ),
            TokenKind::Placeholder => judging.find_at(
                Severity::Error,
                Rule::Parameters,
                place,
                format!(
                    "`{}` is a parameter, and there is no value for it",
                    token.text
                ),
                "write the value itself",
            ),
            _ => {}
        }
    }
    if let Some(second) = reading.second_statement() {
        let place = judging.place(second.at);
        judging.find_at(
            Severity::Error,
            Rule::OneStatement,
            place,
            format!("a second statement begins here, with `{}`", second.text),
            "write one statement, without a semicolon within it",
        );
    }
    for word in beginnings(&reading.tokens) {
        if let Some((rule, message, repair)) = forbidden(word.text) {
            let place = judging.place(word.at);
            judging.find_at(Severity::Error, rule, place, message, repair);
        }
    }
    let is_empty = reading.tokens.iter().all(|token| token.is_symbol(';'));
    if is_empty {
        judging.find(
            Severity::Error,
            Rule::OneStatement,
            "there is no statement",
            wanted(judging.slot),
        );
    }
    !is_empty
}

/// The first word of each statement.
fn beginnings<'t>(tokens: &'t [Token<'t>]) -> impl Iterator<Item = &'t Token<'t>> {
    tokens
        .split(|token| token.is_symbol(';'))
        .filter_map(|statement| statement.iter().find(|token| !token.is_symbol('(')))
        .filter(|token| token.kind == TokenKind::Word)
}

/// What no place of an operation is for, by its first word.
fn forbidden(word: &str) -> Option<(Rule, String, &'static str)> {
    let word = word.to_ascii_uppercase();
    let transaction = [
        "ABORT",
        "BEGIN",
        "COMMIT",
        "END",
        "RELEASE",
        "ROLLBACK",
        "SAVEPOINT",
        "START",
    ];
    let said = match word.as_str() {
        _ if transaction.contains(&&*word) => (
            Rule::TransactionControl,
            format!("`{word}` begins or ends a transaction"),
            "leave it out: all statements of an operation are one transaction already",
        ),
        "COPY" | "UNLOAD" | "LOAD" | "PUT" | "GET" => (
            Rule::Copy,
            format!("`{word}` moves rows past the operation"),
            "use INSERT … SELECT, or a SELECT whose rows are stored",
        ),
        _ => return None,
    };
    Some(said)
}

/// What its place is for.
pub(super) fn wanted(slot: Slot) -> &'static str {
    match slot {
        Slot::Create => "write CREATE TABLE with the columns of the new table",
        Slot::Insert => "write INSERT INTO the target … SELECT from the sources",
        Slot::Select => "write a SELECT that gives the rows that are to be stored",
        Slot::Preview => "write a SELECT that shows the result",
        Slot::Change => "write ALTER TABLE, UPDATE or DELETE for the source",
    }
}

fn is_wanted(slot: Slot, kind: &Kind) -> bool {
    match slot {
        Slot::Create => *kind == Kind::CreateTable,
        Slot::Insert => *kind == Kind::Insert,
        Slot::Select | Slot::Preview => *kind == Kind::Select,
        Slot::Change => matches!(kind, Kind::Update | Kind::Delete | Kind::AlterTable),
    }
}

/// Whether it is of the kind that its place is for.
pub(super) fn kind(judging: &mut Judging<'_>, facts: &Facts) {
    if !is_wanted(judging.slot, &facts.kind) {
        wrong_kind(judging);
    }
    let insert = facts.kind == Kind::Insert && judging.slot == Slot::Insert;
    if insert && !facts.from_query {
        judging.find(
            Severity::Error,
            Rule::StatementKind,
            "its rows are written out, and not selected",
            "write INSERT INTO the target … SELECT from the sources",
        );
    }
}

/// Whether it could be of the kind, by its first word.
pub(super) fn may_be_of_kind(judging: &mut Judging<'_>) -> bool {
    let first = judging.reading.first_word();
    let words: &[&str] = match judging.slot {
        Slot::Create => &["create"],
        Slot::Insert => &["insert", "with"],
        Slot::Select | Slot::Preview => &["select", "with", "values", "table"],
        Slot::Change => &["alter", "update", "delete", "with"],
    };
    let may_be = first.is_some_and(|first| words.iter().any(|word| first.is(word)));
    if !may_be {
        wrong_kind(judging);
    }
    may_be
}

fn wrong_kind(judging: &mut Judging<'_>) {
    let first = judging.reading.first_word();
    let first = first.map(|first| first.text.to_ascii_uppercase());
    if first
        .as_deref()
        .is_some_and(|first| forbidden(first).is_some())
    {
        return;
    }
    judging.find(
        Severity::Error,
        Rule::StatementKind,
        match first.as_deref() {
            Some(first @ ("CREATE" | "ALTER" | "WITH")) => {
                format!("this {first} is not what its place is for")
            }
            Some(first) => format!("{first} is not what its place is for"),
            None => "it does not begin with a word".to_owned(),
        },
        wanted(judging.slot),
    );
}

/// What is in it that its place does not allow.
pub(super) fn parts(judging: &mut Judging<'_>, facts: &Facts) {
    if facts.changes_within {
        changes_within(judging);
    }
    if facts.into {
        into(judging);
    }
    if facts.locking {
        judging.locks();
    }
    let changes = matches!(facts.kind, Kind::Update | Kind::Delete);
    if changes && !facts.bounded {
        unbounded(judging);
    }
}

/// Looks at the tables that it names.
pub(super) fn tables(judging: &mut Judging<'_>, facts: &Facts, answer: Answer<'_>) {
    let dialect = judging.context.dialect;
    for (table, access) in &facts.touched {
        let examined = match answer {
            Answer::Planned(examination) => examination.tables.as_deref().unwrap_or_default(),
            _ => &[],
        };
        // Where a name is looked up that has no schema, the server knows best.
        let found = examined
            .iter()
            .find(|known| dialect.is_same(&known.name, &table.name));
        let table = match (&table.schema, found) {
            (None, Some(found)) => TableName::in_schema(found.schema.clone(), found.name.clone()),
            _ => table.clone(),
        };
        judging.touch(&table, *access);
    }
}

/// Looks at the functions that it calls. Unless the server has done so, they have to be known here.
pub(super) fn functions(judging: &mut Judging<'_>, facts: &Facts, answer: Answer<'_>) {
    let definition = matches!(facts.kind, Kind::CreateTable | Kind::AlterTable);
    let dialect = judging.context.dialect;
    // What functions the workspace has is known: none that do more than `is_hazard` tells.
    let looked_at = match answer {
        Answer::Planned(_) => true,
        // What is refused for itself is not run. What has to wait is.
        Answer::Refused(_) => judging.context.pending.is_empty(),
        _ => false,
    };
    let looked_at = looked_at
        || (definition && judging.context.expressions_looked_at)
        || judging.context.functions_wait
        || dialect == Dialect::Sqlite;
    for function in &facts.functions {
        if functions::is_hazard(dialect, function) {
            judging.calls(Rule::SideEffects, function);
        } else if !looked_at && !functions::is_known(function) {
            judging.calls(Rule::UnknownFunction, function);
        }
    }
}

pub(super) fn changes_within(judging: &mut Judging<'_>) {
    judging.find(
        Severity::Error,
        Rule::DataChangingCte,
        "a part of it that is to give rows changes some",
        "write a SELECT in that part",
    );
}

pub(super) fn unbounded(judging: &mut Judging<'_>) {
    judging.find(
        Severity::Warning,
        Rule::UnboundedChange,
        "it touches every row",
        "say with WHERE which rows are meant; if all are, whoever runs it is asked twice",
    );
}

pub(super) fn into(judging: &mut Judging<'_>) {
    judging.find(
        Severity::Error,
        Rule::SelectInto,
        "it makes a table with SELECT … INTO",
        "leave INTO out: the operation has a place for the table that is made",
    );
}

/// Whether the columns of a result can be stored, as far as the text tells.
pub(super) fn columns(judging: &mut Judging<'_>, facts: &Facts) {
    if judging.slot == Slot::Select
        && let Some(columns) = &facts.columns
    {
        let names: Vec<&str> = columns.iter().flatten().map(String::as_str).collect();
        stored(judging, &names);
        // What an expression is called without a name is the server's affair.
        if judging.context.dialect == Dialect::Sqlite && columns.contains(&None) {
            unnamed(judging, 1);
        }
    }
}

pub(super) fn unnamed(judging: &mut Judging<'_>, number: usize) {
    judging.find(
        Severity::Error,
        Rule::UnnamedColumn,
        match number {
            1 => "a column of its result has no name".to_owned(),
            number => format!("{number} columns of its result have no name"),
        },
        "give each expression a name with AS",
    );
}

/// Whether columns of these names can be stored.
pub(super) fn stored(judging: &mut Judging<'_>, names: &[&str]) {
    let dialect = judging.context.dialect;
    let mut twice: Vec<&str> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let before = names.get(..number).unwrap_or_default();
        if before.iter().any(|other| dialect.is_same(other, name)) && !twice.contains(name) {
            twice.push(name);
        }
    }
    for name in twice {
        judging.find(
            Severity::Error,
            Rule::ResultMismatch,
            format!("its result has more than one column `{name}`"),
            "name the columns one by one, each with another name by AS",
        );
    }
    // What a query fills that is stored elsewhere.
    let columns = &judging.context.filled;
    if judging.slot != Slot::Select || columns.is_empty() {
        return;
    }
    let missing: Vec<String> = names
        .iter()
        .filter(|name| {
            !columns
                .iter()
                .any(|column| column.eq_ignore_ascii_case(name))
        })
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        judging.find(
            Severity::Error,
            Rule::ResultMismatch,
            format!(
                "the table that it fills has no column {}",
                missing.join(", ")
            ),
            format!(
                "name its columns as that table does: {}",
                columns.join(", ")
            ),
        );
    }
}
