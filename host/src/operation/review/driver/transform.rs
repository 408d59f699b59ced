//! The statements of a transformation.

use super::super::Slot;
use super::super::context::{Context, Declared};
use super::{Reviewing, WORKSPACE, about, context, dialect_of, needed};
use crate::connection::Connection;
use crate::error::Result;
use crate::operation::sql::{self, Alteration, Kind};
use crate::operation::{Origin, TableOf, Transform, Transformation};
use crate::types::{TableName, TransactionOptions};

impl Reviewing {
    pub(super) async fn transform(
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
                let work = (read(&source.table, transform), target);
                let statements = (create.as_str(), insert.as_str(), preview.as_deref());
                self.new_table(work, statements, connection).await
            }
            Transformation::InPlace {
                source,
                changes,
                preview,
            } => {
                let connection = needed(connection)?;
                let tables = read(&source.table, transform);
                self.in_place(&tables, changes, preview.as_deref(), connection)
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
                        let tables = read(table, transform);
                        let sources = self.all(&tables, connection, &mut reading).await?;
                        // What it fills is elsewhere: only its columns count here.
                        let reading = reading
                            .with_sources(sources)
                            .with_filled(made.columns.clone());
                        self.examine(Slot::Select, at, select, connection, &reading)
                            .await?;
                    }
                    Origin::Workspace(name) => {
                        let beside = transform.beside.iter();
                        let beside = beside.filter_map(|(origin, _)| match origin {
                            Origin::Workspace(name) => Some(name),
                            Origin::Table(_) | Origin::File(_) => None,
                        });
                        let sources = std::iter::once(name).chain(beside);
                        let sources =
                            sources.map(|name| Declared::new(TableName::new(name.clone())));
                        let reading = within
                            .clone()
                            .with_sources(sources)
                            .with_filled(made.columns.clone());
                        let answer = self.refused_by_workspace(select).await?;
                        self.judge(Slot::Select, at, select, answer.as_ref(), &reading);
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
        (tables, target): (Vec<&TableName>, &TableName),
        (create, insert, preview): (&str, &str, Option<&str>),
        connection: &mut Connection,
    ) -> Result<()> {
        let mut context = context(&dialect_of(connection))?;
        let mut transaction = connection
            .transaction(TransactionOptions::default())
            .await?;
        let sources = self.all(&tables, &mut transaction, &mut context).await?;
        let mut context = context
            .with_sources(sources)
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
                    // With the table, its functions are looked at, too.
                    let mut context = context.clone();
                    context.functions_wait = true;
                    self.read_only(slot, at, text, why, &context);
                }
                None => {}
            }
        }
        transaction.roll_back().await
    }

    async fn in_place(
        &mut self,
        tables: &[&TableName],
        changes: &[String],
        preview: Option<&str>,
        connection: &mut Connection,
    ) -> Result<()> {
        let mut context = context(&dialect_of(connection))?;
        let mut sources = self
            .all(tables, connection, &mut context)
            .await?
            .into_iter();
        if let Some(source) = sources.next() {
            context = context.with_target(source);
        }
        let mut context = context.with_sources(sources);
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
}

/// The tables of one connection that the statements of a transformation read.
fn read<'t>(source: &'t TableName, transform: &'t Transform) -> Vec<&'t TableName> {
    let beside = transform
        .beside
        .iter()
        .filter_map(|(origin, _)| match origin {
            Origin::Table(TableOf { table, .. }) => Some(table),
            Origin::Workspace(_) | Origin::File(_) => None,
        });
    std::iter::once(source).chain(beside).collect()
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
