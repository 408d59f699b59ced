//! The statements of a join.

use super::super::context::{Context, Declared};
use super::super::judge::judge;
use super::super::{Finding, Rule, Severity, Slot};
use super::{Reviewing, about, context, dialect_of};
use crate::connection::Connection;
use crate::error::Result;
use crate::operation::steps::stand_in;
use crate::operation::{Join, Merging, Origin, TableOf};
use crate::types::{TableName, TransactionOptions};

impl Reviewing {
    pub(super) async fn join(&mut self, join: &Join, connection: &mut Connection) -> Result<()> {
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
            let name = stand_in(&join.id, number);
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
            false => {
                let there = transaction.columns(target.schema.as_deref(), Some(&target.name));
                if about(there.await)?.is_ok() {
                    self.findings.push(Finding {
                        severity: Severity::Error,
                        rule: Rule::Rejected,
                        at: "target".to_owned(),
                        position: None,
                        message: format!("{target} is there already"),
                        repair:
                            "name a table that is not there yet, or merge into this one by `keys`"
                                .to_owned(),
                    });
                }
                Declared::new(target.clone())
            }
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
