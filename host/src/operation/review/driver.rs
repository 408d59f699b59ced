//! Looking at the statements of an operation, one by one, as they would be run.

use super::context::{Context, Declared};
use super::judge::judge;
use super::{Finding, Review, Rule, Severity, Slot};
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::operation::sql::{self, Alteration, Kind};
use crate::operation::{Join, Merging, Operation, Origin, TableOf, Transform, Transformation};
use crate::types::{Examination, TableName, TransactionOptions};

/// The dialect of the workspace.
const WORKSPACE: &str = "sqlite";

/// Looks at the statements of an operation without running it.
///
/// `connection` is that of the source of a transformation, or of the target of a join; an operation
/// within the workspace has none. What is made on the way, so that what follows it can be looked at
/// (the new table, empty; an empty table for each source of a join that is elsewhere), is made in a
/// transaction that is rolled back. A table that exists is not altered: where a statement needs that,
/// a note says so.
///
/// # Errors
///
/// What the connection reports, where it is about the connection and not about a statement; and
/// [`ErrorKind::Unsupported`] for a dialect that there is no parser for.
pub async fn review(operation: &Operation, connection: Option<&mut Connection>) -> Result<Review> {
    let mut reviewing = Reviewing::default();
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

/// The table that stands for a source of a join, from 1, that is not where its target is.
fn stand_in(id: &str, number: usize) -> String {
    format!("dagflux_{}_{number}", id.replace('-', "_"))
}

#[derive(Default)]
struct Reviewing {
    findings: Vec<Finding>,
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
        let answer = about(connection.examine(text).await)?;
        Ok(self.judge(slot, at, text, Some(&answer), context))
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
                    if table.schema.is_none() {
                        context.schema = Some(first.schema.clone());
                    }
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
        Ok(declared)
    }

    async fn transform(
        &mut self,
        transform: &Transform,
        connection: Option<&mut Connection>,
    ) -> Result<()> {
        match &transform.work {
            Transformation::NewTable {
                source,
                target,
                create,
                insert,
                preview,
            } => {
                let connection = needed(connection)?;
                let work = (&source.table, target);
                let statements = (create.as_str(), insert.as_str(), preview.as_deref());
                self.new_table(work, statements, connection).await
            }
            Transformation::InPlace {
                source,
                changes,
                preview,
            } => {
                let connection = needed(connection)?;
                self.in_place(&source.table, changes, preview.as_deref(), connection)
                    .await
            }
            Transformation::Local {
                source,
                target,
                select,
                create,
                preview,
            } => {
                let target = Declared::new(TableName::new(target.clone()));
                let within = context(WORKSPACE)?.with_schema("main");
                let making = within.clone().with_target(target.clone());
                let sound = self.judge(Slot::Create, "statements.create", create, None, &making);
                let made = match sound {
                    true => columns_made(create),
                    false => Vec::new(),
                };
                let made = target.with_columns(made);
                let at = "statements.select";
                match source {
                    Origin::Table(TableOf { table, .. }) => {
                        let connection = needed(connection)?;
                        let mut reading = context(&dialect_of(connection))?;
                        let source = self
                            .declared("sources[0]", table, connection, &mut reading)
                            .await?;
                        // What it fills is elsewhere: only its columns count here.
                        let reading = reading
                            .with_sources([source])
                            .with_filled(made.columns.clone());
                        self.examine(Slot::Select, at, select, connection, &reading)
                            .await?;
                    }
                    Origin::Workspace(name) => {
                        let source = Declared::new(TableName::new(name.clone()));
                        let reading = within
                            .clone()
                            .with_sources([source])
                            .with_filled(made.columns.clone());
                        self.judge(Slot::Select, at, select, None, &reading);
                    }
                    // The rules have no such transformation.
                    Origin::File(_) => {}
                }
                if let Some(preview) = preview {
                    let showing = within.with_sources([made]);
                    self.judge(Slot::Preview, "statements.preview", preview, None, &showing);
                }
                Ok(())
            }
        }
    }

    async fn new_table(
        &mut self,
        (source, target): (&TableName, &TableName),
        (create, insert, preview): (&str, &str, Option<&str>),
        connection: &mut Connection,
    ) -> Result<()> {
        let mut context = context(&dialect_of(connection))?;
        let mut transaction = connection
            .transaction(TransactionOptions::default())
            .await?;
        let source = self
            .declared("sources[0]", source, &mut transaction, &mut context)
            .await?;
        let mut context = context
            .with_sources([source])
            .with_target(Declared::new(target.clone()));
        let at = "statements.create";
        let sound = self
            .examine(Slot::Create, at, create, &mut transaction, &context)
            .await?;
        let made = match sound {
            // It is rolled back with the transaction, and was found to make its table and no more.
            true => match about(transaction.execute(create).await)? {
                Ok(_) => true,
                Err(error) => {
                    self.judge(Slot::Create, at, create, Some(&Err(error)), &context);
                    false
                }
            },
            false => false,
        };
        if made {
            let target = self
                .declared("target", target, &mut transaction, &mut context)
                .await?;
            context = context.with_target(target);
        }
        let rest = [
            (Slot::Insert, "statements.insert", Some(insert)),
            (Slot::Preview, "statements.preview", preview),
        ];
        for (slot, at, text) in rest {
            match text {
                Some(text) if made => {
                    self.examine(slot, at, text, &mut transaction, &context)
                        .await?;
                }
                Some(text) => {
                    let why = "the table could not be made";
                    self.read_only(slot, at, text, why, &context);
                }
                None => {}
            }
        }
        transaction.roll_back().await
    }

    async fn in_place(
        &mut self,
        source: &TableName,
        changes: &[String],
        preview: Option<&str>,
        connection: &mut Connection,
    ) -> Result<()> {
        let mut context = context(&dialect_of(connection))?;
        let source = self
            .declared("sources[0]", source, connection, &mut context)
            .await?;
        let mut context = context.with_target(source);
        for (number, change) in changes.iter().enumerate() {
            let at = format!("statements.changes[{number}]");
            self.examine(Slot::Change, &at, change, connection, &context)
                .await?;
            foresee(change, &mut context);
        }
        if let Some(preview) = preview {
            let at = "statements.preview";
            self.examine(Slot::Preview, at, preview, connection, &context)
                .await?;
        }
        Ok(())
    }

    async fn join(&mut self, join: &Join, connection: &mut Connection) -> Result<()> {
        let mut context = context(&dialect_of(connection))?;
        let mut transaction = connection
            .transaction(TransactionOptions::default())
            .await?;
        let mut sources = Vec::new();
        let mut missing = None;
        for (number, (origin, columns)) in join.sources.iter().enumerate() {
            let at = format!("sources[{number}]");
            if let Origin::Table(TableOf { connection, table }) = origin
                && *connection == join.target.connection
            {
                let declared = self
                    .declared(&at, table, &mut transaction, &mut context)
                    .await?;
                sources.push(declared);
                continue;
            }
            let name = stand_in(&join.id, number.saturating_add(1));
            let names = columns.iter().map(|column| column.name.clone());
            let mut declared = Declared::new(TableName::new(name.clone())).with_columns(names);
            declared.temporary = true;
            let types: Vec<_> = columns
                .iter()
                .map(|column| (column.name.as_str(), column.data_type.as_str()))
                .collect();
            if !stands_in(&mut transaction, &context, &declared, &types).await? {
                missing = Some(name);
            }
            sources.push(declared);
        }
        context.sources = sources;
        let merges = matches!(join.merging, Merging::ByKey(_));
        let mut showing = context.clone();
        let target = &join.target.table;
        showing.target = Some(match merges {
            true => {
                let target = self
                    .declared("target", target, &mut transaction, &mut context)
                    .await?;
                context.target = Some(target.clone());
                target
            }
            false => Declared::new(target.clone()),
        });
        let at = "statements.select";
        match &missing {
            None => {
                self.examine(Slot::Select, at, &join.select, &mut transaction, &context)
                    .await?;
            }
            Some(name) => {
                let why = format!("what `{name}` has is not known here");
                self.read_only(Slot::Select, at, &join.select, &why, &context);
            }
        }
        if let Some(preview) = &join.preview {
            let at = "statements.preview";
            match merges && missing.is_none() {
                true => {
                    self.examine(Slot::Preview, at, preview, &mut transaction, &showing)
                        .await?;
                }
                false => {
                    let why = "its table is not there yet";
                    self.read_only(Slot::Preview, at, preview, why, &showing);
                }
            }
        }
        transaction.roll_back().await
    }
}

/// Makes an empty table in place of a source that is elsewhere. Returns whether that could be done:
/// its columns may not be known, or be of types that only its own server has.
async fn stands_in(
    connection: &mut Connection,
    context: &Context,
    declared: &Declared,
    columns: &[(&str, &str)],
) -> Result<bool> {
    if columns.is_empty() {
        return Ok(false);
    }
    let dialect = connection.shared.connector.descriptor().dialect.clone();
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, data_type)| format!("{} {data_type}", dialect.quote(name)))
        .collect();
    let name = dialect.quote(&declared.table.name);
    let columns = columns.join(", ");
    // The types are of the document, and may be anything: the table is made only if that makes a
    // table and no more. `TEMPORARY` is what no statement of an operation may say itself.
    let create = format!("CREATE TABLE {name} ({columns})");
    let making = Context {
        target: Some(declared.clone()),
        sources: Vec::new(),
        ..context.clone()
    };
    if !judge(Slot::Create, "", &create, None, &making).is_empty() {
        return Ok(false);
    }
    let create = format!("CREATE TEMPORARY TABLE {name} ({columns})");
    Ok(about(connection.execute(&create).await)?.is_ok())
}

/// The columns of a table that is made in the workspace.
fn columns_made(create: &str) -> Vec<String> {
    let facts = sql::read(sql::Dialect::Sqlite, create).parsed;
    let columns = facts.ok().and_then(|facts| facts.columns);
    columns.into_iter().flatten().flatten().collect()
}

/// Takes note of what a change does to the columns of its table.
fn foresee(change: &str, context: &mut Context) {
    let Ok(facts) = sql::read(context.dialect, change).parsed else {
        return;
    };
    if facts.kind != Kind::AlterTable {
        return;
    }
    let Some(target) = &mut context.target else {
        return;
    };
    for alteration in facts.alterations {
        match alteration {
            Alteration::Add(column) => {
                target.columns.push(column.clone());
                context.pending.push(column);
            }
            Alteration::Drop(column) => target.columns.retain(|known| *known != column),
            Alteration::Rename { from, to } => {
                target.columns.retain(|known| *known != from);
                target.columns.push(to.clone());
                context.pending.push(to);
            }
            Alteration::Change(column) => context.pending.push(column),
            Alteration::Constraint => {}
        }
    }
}
