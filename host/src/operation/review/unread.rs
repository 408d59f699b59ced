//! What shows in a text that only the server can read.

use super::judge::Judging;
use super::{Rule, Slot, functions, text};
use crate::operation::sql;
use crate::types::{Access, Examination, TableName};

/// Looks at the words of the text. Which tables it touches and what it calls, the server says.
pub(super) fn parts(judging: &mut Judging<'_>, examination: &Examination) {
    let tokens = &judging.reading.tokens;
    let selects = matches!(judging.slot, Slot::Select | Slot::Preview);
    if selects && tokens.iter().any(|token| token.is("into")) {
        text::into(judging);
    }
    let dialect = judging.context.dialect;
    for (token, next) in tokens.iter().zip(tokens.iter().skip(1)) {
        let locks = ["update", "share", "no", "key"];
        if token.is("for") && locks.iter().any(|word| next.is(word)) {
            judging.locks();
        }
        if next.is_symbol('(')
            && let Some(name) = dialect.name_of(token)
        {
            let function = TableName::new(name);
            if functions::is_hazard(dialect, &function) {
                judging.calls(Rule::SideEffects, &function);
            }
        }
    }
    // The server cannot tell a table that is named from one behind a view that is.
    let behind = examination.tables.iter().flatten();
    for table in behind.filter(|table| table.behind_view) {
        let names = tokens.iter().filter_map(|token| dialect.name_of(token));
        if names
            .into_iter()
            .any(|name| dialect.is_same(&name, &table.name))
        {
            let table = TableName::in_schema(table.schema.clone(), table.name.clone());
            judging.touch(&table, Access::Read);
        }
    }
    let changing = ["delete", "insert", "merge", "update"];
    let changes = tokens.iter().enumerate().filter(|(number, token)| {
        let before = number.checked_sub(1).and_then(|before| tokens.get(before));
        // FOR UPDATE, ON CONFLICT DO UPDATE.
        let other = before.is_some_and(|before| before.is("for") || before.is("do"));
        changing.iter().any(|word| token.is(word)) && !other
    });
    let most = usize::from(!selects);
    if changes.count() > most {
        text::changes_within(judging);
    }
    if judging.slot == Slot::Change && !is_bounded(judging) {
        text::unbounded(judging);
    }
}

/// Whether a condition says which rows a change is for: that after the last WHERE which is not in
/// parentheses.
fn is_bounded(judging: &Judging<'_>) -> bool {
    let mut depth = 0_usize;
    let mut condition = None;
    for token in &judging.reading.tokens {
        if token.is_symbol('(') {
            depth = depth.saturating_add(1);
        } else if token.is_symbol(')') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.is("where") {
            condition = judging.text.get(token.at..);
        }
    }
    let Some(condition) = condition else {
        return false;
    };
    let alone = format!("DELETE FROM t {condition}");
    let parsed = sql::read(judging.context.dialect, &alone).parsed;
    parsed.map_or(true, |facts| facts.bounded)
}
