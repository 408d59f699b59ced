//! The rows that a statement touches, as a query.

use sqlparser::ast::{
    Expr, FromTable, SetExpr, Statement, TableFactor, TableWithJoins, UpdateTableFromKind, With,
};

/// The query whose rows are those that an `UPDATE` or `DELETE` touches, as they are before it. None
/// for other statements.
pub(super) fn touched(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Query(query) => match &*query.body {
            SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                of(statement, query.with.as_ref())
            }
            _ => None,
        },
        statement => of(statement, None),
    }
}

fn of(statement: &Statement, with: Option<&With>) -> Option<String> {
    let (table, beside, condition) = match statement {
        Statement::Update(update) => {
            let beside = match &update.from {
                Some(
                    UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from),
                ) => from.as_slice(),
                None => &[],
            };
            (&update.table, beside, update.selection.as_ref())
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let [table] = from.as_slice() else {
                return None;
            };
            let beside = delete.using.as_deref().unwrap_or_default();
            (table, beside, delete.selection.as_ref())
        }
        _ => return None,
    };
    select(table, beside, condition, with)
}

fn select(
    table: &TableWithJoins,
    beside: &[TableWithJoins],
    condition: Option<&Expr>,
    with: Option<&With>,
) -> Option<String> {
    let TableFactor::Table { name, alias, .. } = &table.relation else {
        return None;
    };
    let called = match alias {
        Some(alias) => alias.name.to_string(),
        None => name.0.last()?.to_string(),
    };
    let mut sql = match with {
        Some(with) => format!("{with} "),
        None => String::new(),
    };
    sql.push_str(&format!("SELECT {called}.* FROM {table}"));
    for beside in beside {
        sql.push_str(&format!(", {beside}"));
    }
    if let Some(condition) = condition {
        sql.push_str(&format!(" WHERE {condition}"));
    }
    Some(sql)
}
