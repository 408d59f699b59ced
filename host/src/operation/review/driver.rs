//! Looking at the statements of an operation, one by one, as they would be run.

mod join;
mod transform;

use super::context::{Context, Declared};
use super::judge::judge;
use super::{Finding, Review, Rule, Severity, Slot};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::resources::Resources;
use crate::operation::sql::{self, Kind};
use crate::operation::{Operation, blocking};
use crate::types::{Examination, TableName};
use crate::workspace::Workspace;

/// The dialect of the workspace.
const WORKSPACE: &str = "sqlite";

/// Looks at the statements of an operation without running it.
///
/// Of `resources` it needs the connection of the source of a transformation, or of the target of a
/// join; or the workspace, for an operation within it. What is made on the way, so that what follows it can be looked at
/// (the new table, empty; an empty table for each source of a join that is elsewhere), is made in a
/// transaction that is rolled back. A table that exists is not altered: where a statement needs that,
/// a note says so.
///
/// # Errors
///
/// What the connection reports, where it is about the connection and not about a statement; and
/// [`ErrorKind::Unsupported`] for a dialect that there is no parser for.
pub async fn review(operation: &Operation, resources: &mut Resources) -> Result<Review> {
    let mut reviewing = Reviewing {
        findings: Vec::new(),
        workspace: resources.workspace.clone(),
    };
    let connection = match operation.venue() {
        Some(name) => Some(resources.connection(name)?),
        None => None,
    };
    match operation {
        Operation::Transform(transform) => reviewing.transform(transform, connection).await?,
        Operation::Join(join) => reviewing.join(join, needed(connection)?).await?,
    }
    Ok(Review {
        findings: reviewing.findings,
    })
}

fn needed(connection: Option<&mut Connection>) -> Result<&mut Connection> {
    connection.ok_or_else(|| {
        Error::new(ErrorKind::Configuration, "no connection was given")
            .with_hint("give the connection of the source, or of a join's target")
    })
}

fn context(dialect: &str) -> Result<Context> {
    Context::new(dialect).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("there is no parser for the dialect `{dialect}`"),
        )
        .with_hint("use a connector with another dialect")
    })
}

fn dialect_of(connection: &Connection) -> String {
    connection
        .shared
        .connector
        .descriptor()
        .dialect
        .name
        .clone()
}

/// Whether an error is about the statement, rather than about the connection or the time that it took.
fn is_about_statement(error: &Error) -> bool {
    use ErrorKind::*;
    matches!(
        error.kind(),
        PermissionDenied
            | TableNotFound
            | SchemaNotFound
            | ColumnNotFound
            | AlreadyExists
            | Syntax
            | Statement
            | UnsupportedStatement
            | ReadOnly
            | Constraint
            | Value
            | SchemaMismatch
            | Unsupported
    )
}

/// What became of asking the server, unless that was not about the statement.
fn about<T>(answer: Result<T>) -> Result<Result<T>> {
    match answer {
        Err(error) if !is_about_statement(&error) => Err(error),
        answer => Ok(answer),
    }
}

struct Reviewing {
    findings: Vec<Finding>,
    workspace: Option<Workspace>,
}

impl Reviewing {
    /// Judges a statement, and tells whether it passed.
    fn judge(
        &mut self,
        slot: Slot,
        at: &str,
        text: &str,
        answer: Option<&Result<Examination>>,
        context: &Context,
    ) -> bool {
        let answer = answer.map(Result::as_ref);
        let found = judge(slot, at, text, answer, context);
        let passed = found
            .iter()
            .all(|finding| finding.severity != Severity::Error);
        self.findings.extend(found);
        passed
    }

    /// Has the server look at a statement, and judges it.
    async fn examine(
        &mut self,
        slot: Slot,
        at: &str,
        text: &str,
        connection: &mut Connection,
        context: &Context,
    ) -> Result<bool> {
        let mut answer = about(connection.examine(text).await)?;
        let mut context = context.clone();
        if let Ok(examination) = &mut answer
            && examination.tables.is_none()
            && let Some(effects) = effects_of_definition(text, connection, &context).await?
        {
            context.expressions_looked_at = true;
            examination.effects.extend(effects);
        }
        Ok(self.judge(slot, at, text, Some(&answer), &context))
    }

    /// What the workspace says against a query; none if it has nothing against it.
    async fn refused_by_workspace(&self, sql: &str) -> Result<Option<Result<Examination>>> {
        let Some(workspace) = self.workspace.clone() else {
            return Ok(None);
        };
        let sql = sql.to_owned();
        let answer = blocking(move || workspace.examine(&sql)).await;
        Ok(about(answer)?.err().map(Err))
    }

    /// Judges a statement that the server cannot look at yet.
    fn read_only(&mut self, slot: Slot, at: &str, text: &str, why: &str, context: &Context) {
        let found = judge(slot, at, text, None, context);
        let sound = found.is_empty();
        self.findings.extend(found);
        if sound {
            self.note(at, format!("only its text was looked at: {why}"));
        }
    }

    fn note(&mut self, at: &str, message: String) {
        self.findings.push(Finding {
            severity: Severity::Note,
            rule: Rule::NotExamined,
            at: at.to_owned(),
            position: None,
            message,
            repair: "nothing has to be changed: the server looks at it when the operation is run"
                .to_owned(),
        });
    }

    /// What the server knows of the sources of an operation.
    async fn all(
        &mut self,
        tables: &[&TableName],
        connection: &mut Connection,
        context: &mut Context,
    ) -> Result<Vec<Declared>> {
        let mut declared = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            let at = format!("sources[{number}]");
            declared.push(self.declared(&at, table, connection, context).await?);
        }
        Ok(declared)
    }

    /// What the server knows of a table that the operation has; none if there is no such table.
    async fn declared(
        &mut self,
        at: &str,
        table: &TableName,
        connection: &mut Connection,
        context: &mut Context,
    ) -> Result<Declared> {
        let mut declared = Declared::new(table.clone());
        let columns = connection.columns(table.schema.as_deref(), Some(&table.name));
        match about(columns.await)? {
            Ok(columns) => {
                if let Some(first) = columns.first() {
                    declared.table.schema = Some(first.schema.clone());
                }
                declared.columns = columns.into_iter().map(|column| column.name).collect();
            }
            Err(error) => self.findings.push(Finding {
                severity: Severity::Error,
                rule: match error.kind() {
                    ErrorKind::PermissionDenied => Rule::PermissionDenied,
                    _ => Rule::TableNotFound,
                },
                at: at.to_owned(),
                position: None,
                message: error.to_string(),
                repair: error
                    .hint()
                    .unwrap_or("name a table that there is")
                    .to_owned(),
            }),
        }
        // Where names are looked up that have no schema.
        let columns = connection.columns(None, Some(&table.name));
        if let Some(first) = about(columns.await)?
            .ok()
            .and_then(|columns| columns.into_iter().next())
        {
            context.schema = Some(first.schema);
        }
        Ok(declared)
    }
}

/// What the functions in a definition do, other than compute values. The server plans no definition;
/// but it plans a query of the same expressions. None if there is nothing to ask, or it cannot tell.
async fn effects_of_definition(
    text: &str,
    connection: &mut Connection,
    context: &Context,
) -> Result<Option<Vec<String>>> {
    let Ok(facts) = sql::read(context.dialect, text).parsed else {
        return Ok(None);
    };
    let dialect = connection.shared.connector.descriptor().dialect.clone();
    let from = match (&facts.kind, &context.target) {
        (Kind::AlterTable, Some(target)) => {
            let schema = target.table.schema.iter();
            let parts = schema.chain([&target.table.name]);
            let parts: Vec<String> = parts.map(|part| dialect.quote(part)).collect();
            format!(" FROM {}", parts.join("."))
        }
        _ => String::new(),
    };
    let mut effects = Vec::new();
    for expression in &facts.expressions {
        let query = format!("SELECT {expression}{from}");
        match about(connection.examine(&query).await)? {
            Ok(examination) if examination.tables.is_some() => effects.extend(examination.effects),
            _ => return Ok(None),
        }
    }
    Ok(Some(effects))
}
