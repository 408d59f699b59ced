//! What a syntax tree says, collected.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FromTable, Ident, Insert, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, TableObject, TableWithJoins, UpdateTableFromKind, Visit, Visitor,
};

use super::statement::{Facts, Kind};
use super::{Dialect, condition, definition};
use crate::types::{Access, TableName};

/// The name that is written, folded.
pub(super) fn name(dialect: Dialect, ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => dialect.folded(&ident.value),
    }
}

/// The table or function that is named. What stands before the schema is left in front of it, so
/// that it is nobody's schema.
pub(super) fn table_name(dialect: Dialect, object: &ObjectName) -> TableName {
    let mut parts: Vec<String> = object
        .0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => name(dialect, ident),
            None => part.to_string(),
        })
        .collect();
    let last = parts.pop().unwrap_or_default();
    TableName {
        schema: (!parts.is_empty()).then(|| parts.join(".")),
        name: last,
    }
}

pub(super) fn facts(dialect: Dialect, statement: &Statement) -> Facts {
    let main = main_of(statement);
    let mut gathering = Gathering {
        dialect,
        top: std::ptr::from_ref(statement),
        main: std::ptr::from_ref(main),
        parts: HashMap::new(),
        scopes: Vec::new(),
        within: 0,
        marked: HashMap::new(),
        facts: Facts {
            kind: kind(main),
            touched: Vec::new(),
            functions: Vec::new(),
            changes_within: false,
            into: false,
            locking: false,
            bounded: true,
            from_query: false,
            columns: None,
            outputs: None,
            features: Vec::new(),
            expressions: Vec::new(),
            alterations: Vec::new(),
        },
    };
    gathering.main(main);
    let _ = statement.visit(&mut gathering);
    gathering.facts
}

/// What is done: that behind a `WITH`, if there is one.
fn main_of(statement: &Statement) -> &Statement {
    let Statement::Query(query) = statement else {
        return statement;
    };
    let mut body = &*query.body;
    loop {
        match body {
            SetExpr::Insert(main)
            | SetExpr::Update(main)
            | SetExpr::Delete(main)
            | SetExpr::Merge(main) => return main,
            SetExpr::Query(inner) => body = &inner.body,
            _ => return statement,
        }
    }
}

fn kind(statement: &Statement) -> Kind {
    match statement {
        Statement::Query(_) => Kind::Select,
        Statement::Insert(_) => Kind::Insert,
        Statement::Update(_) => Kind::Update,
        Statement::Delete(_) => Kind::Delete,
        Statement::Merge(_) => Kind::Merge,
        Statement::CreateTable(_) => Kind::CreateTable,
        Statement::AlterTable(_) => Kind::AlterTable,
        _ => Kind::Other,
    }
}

struct Gathering {
    dialect: Dialect,
    top: *const Statement,
    main: *const Statement,
    /// The queries of a `WITH`, and the names that they get when they end.
    parts: HashMap<*const Query, String>,
    /// The names that the queries around have given so far.
    scopes: Vec<Vec<String>>,
    /// How many expressions are around.
    within: usize,
    /// What is done with a table where it is named; none if it is none.
    marked: HashMap<*const ObjectName, Option<Access>>,
    facts: Facts,
}

impl Gathering {
    fn main(&mut self, statement: &Statement) {
        let dialect = self.dialect;
        self.facts.expressions = definition::types(statement);
        match statement {
            Statement::Query(query) => self.facts.columns = outputs(dialect, query),
            Statement::Insert(insert) => {
                self.facts.from_query = insert.source.as_deref().is_some_and(is_query);
                self.facts.columns = filled(dialect, insert);
                let rows = insert.source.as_deref();
                self.facts.outputs = rows
                    .and_then(|query| outputs(dialect, query))
                    .map(|columns| columns.len());
            }
            Statement::Update(update) => {
                self.facts.bounded =
                    is_bounded(update.selection.as_ref()) || update.limit.is_some();
            }
            Statement::Delete(delete) => {
                self.facts.bounded =
                    is_bounded(delete.selection.as_ref()) || delete.limit.is_some();
            }
            Statement::CreateTable(create) => {
                let (columns, features) = definition::created(dialect, create);
                self.facts.columns = Some(columns.into_iter().map(Some).collect());
                self.facts.features = features;
            }
            Statement::AlterTable(alter) => {
                let (alterations, features) = definition::altered(dialect, alter);
                self.facts.alterations = alterations;
                self.facts.features = features;
            }
            _ => {}
        }
    }

    /// Whether a `WITH` around has given this name.
    fn is_given(&self, name: &str) -> bool {
        let mut given = self.scopes.iter().flatten();
        given.any(|given| self.dialect.is_same(given, name))
    }

    fn mark(&mut self, factor: &TableFactor, access: Access) {
        if let TableFactor::Table { name, .. } = factor {
            self.marked.insert(std::ptr::from_ref(name), Some(access));
        }
    }

    fn mark_all(&mut self, tables: &[TableWithJoins], access: Access) {
        for table in tables {
            self.mark(&table.relation, access);
        }
    }

    fn touch(&mut self, table: TableName, access: Access) {
        let touched = (table, access);
        if !self.facts.touched.contains(&touched) {
            self.facts.touched.push(touched);
        }
    }

    fn call(&mut self, function: &ObjectName) {
        let function = table_name(self.dialect, function);
        if !self.facts.functions.contains(&function) {
            self.facts.functions.push(function);
        }
    }

    /// What is written to, where statements name it.
    fn targets(&mut self, statement: &Statement) {
        match statement {
            Statement::Insert(insert) => {
                if let TableObject::TableName(table) = &insert.table {
                    let access = Some(Access::Insert);
                    self.marked.insert(std::ptr::from_ref(table), access);
                }
                // What MySQL and SQLite replace, they delete first.
                let replaces = insert.replace_into || insert.or.is_some() || insert.overwrite;
                if replaces && let TableObject::TableName(table) = &insert.table {
                    self.touch(table_name(self.dialect, table), Access::Merge);
                }
            }
            Statement::Update(update) => {
                self.mark(&update.table.relation, Access::Update);
                // Without a condition or a table beside it, these are read.
                if let Some(
                    UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables),
                ) = &update.from
                {
                    self.mark_all(tables, Access::Read);
                }
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) =
                    &delete.from;
                self.mark_all(tables, Access::Delete);
                for table in &delete.tables {
                    self.touch(table_name(self.dialect, table), Access::Delete);
                }
            }
            Statement::Merge(merge) => self.mark(&merge.table, Access::Merge),
            _ => {}
        }
    }
}

impl Visitor for Gathering {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.targets(statement);
        let here = std::ptr::from_ref(statement);
        let changes = !matches!(statement, Statement::Query(_));
        self.facts.changes_within |= changes && here != self.top && here != self.main;
        match statement {
            Statement::CreateTable(create) => {
                self.marked.insert(&raw const create.name, None);
                for feature in &self.facts.features.clone() {
                    if let definition::Feature::Like(table) = feature {
                        self.touch(table.clone(), Access::Read);
                    }
                }
                let access = Access::Insert;
                self.touch(table_name(self.dialect, &create.name), access);
            }
            Statement::AlterTable(alter) => {
                self.marked.insert(&raw const alter.name, None);
                let access = Access::Update;
                self.touch(table_name(self.dialect, &alter.name), access);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut scope = Vec::new();
        if let Some(with) = &query.with {
            for part in &with.cte_tables {
                let given = name(self.dialect, &part.alias.name);
                if with.recursive {
                    scope.push(given.clone());
                }
                self.parts.insert(&raw const *part.query, given);
            }
        }
        self.scopes.push(scope);
        self.facts.locking |= !query.locks.is_empty();
        if let SetExpr::Table(table) = &*query.body
            && let Some(table_name) = &table.table_name
            && (table.schema_name.is_some() || !self.is_given(table_name))
        {
            let table = TableName {
                schema: table.schema_name.clone(),
                name: table_name.clone(),
            };
            self.touch(table, Access::Read);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        if let Some(given) = self.parts.remove(&std::ptr::from_ref(query))
            && let Some(around) = self.scopes.last_mut()
        {
            around.push(given);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.facts.into |= select.into.is_some();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            } => {
                self.marked.insert(std::ptr::from_ref(name), None);
                self.call(name);
            }
            TableFactor::Function { name, .. } => self.call(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let marked = self.marked.get(&std::ptr::from_ref(relation)).copied();
        let Some(access) = marked.unwrap_or(Some(Access::Read)) else {
            return ControlFlow::Continue(());
        };
        let table = table_name(self.dialect, relation);
        let given = table.schema.is_none() && access == Access::Read && self.is_given(&table.name);
        if !given {
            self.touch(table, access);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let defines = matches!(self.facts.kind, Kind::CreateTable | Kind::AlterTable);
        if defines && self.within == 0 {
            self.facts.expressions.push(expression.to_string());
        }
        self.within = self.within.saturating_add(1);
        if let Expr::Function(function) = expression {
            self.call(&function.name);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.within = self.within.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

fn is_bounded(condition: Option<&Expr>) -> bool {
    condition.is_some_and(|condition| !condition::is_always_true(condition))
}

/// Whether rows are selected rather than written out.
fn is_query(query: &Query) -> bool {
    let mut left = vec![&*query.body];
    while let Some(body) = left.pop() {
        match body {
            SetExpr::Select(_) | SetExpr::Table(_) => return true,
            SetExpr::Query(inner) => left.push(&inner.body),
            SetExpr::SetOperation {
                left: one, right, ..
            } => left.extend([&**one, &**right]),
            _ => {}
        }
    }
    false
}

/// The columns that an `INSERT` names.
fn filled(dialect: Dialect, insert: &Insert) -> Option<Vec<Option<String>>> {
    if insert.columns.is_empty() {
        return None;
    }
    let columns = insert.columns.iter();
    Some(
        columns
            .map(|column| Some(table_name(dialect, column).name))
            .collect(),
    )
}

/// What the columns of a result are called; none if it has all the columns of something.
fn outputs(dialect: Dialect, query: &Query) -> Option<Vec<Option<String>>> {
    let mut body = &*query.body;
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(inner) => body = &inner.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    };
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(Some(name(dialect, alias))),
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => Some(Some(name(dialect, column))),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(path)) => {
                Some(path.last().map(|column| name(dialect, column)))
            }
            SelectItem::UnnamedExpr(_) => Some(None),
            _ => None,
        })
        .collect()
}
