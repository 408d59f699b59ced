//! What running an operation would do.

use serde::Serialize;

use super::drift::{self, Drift};
use super::resources::Resources;
use super::review::{self, Review};
use super::sql::{self, Kind};
use super::steps::{self, Lock, Step, Task};
use super::{Operation, Origin, TableOf, Transformation};
use crate::connection::Connection;
use crate::error::Result;
use crate::report::{CheckOptions, Finding, Purpose, Severity};
use crate::types::{Access, Examination, KeepsOut, TableName, TransactionOptions};

/// What running an operation would do, and what stands in its way.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Plan {
    /// The node's name.
    pub id: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What was found in the statements.
    pub review: Review,
    /// How the columns that the statements use have changed.
    pub drift: Vec<Drift>,
    /// What the connections lack, by name.
    pub lacks: Vec<Lack>,
}

/// What a connection lacks for an operation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Lack {
    /// The connection.
    pub connection: String,
    /// What the check found.
    pub finding: Finding,
}

impl Plan {
    /// Whether nothing is known to stand in the way. What the check of a connection finds may be about
    /// other tables of its schema, and does not count.
    pub fn can_run(&self) -> bool {
        self.drift.is_empty() && self.review.passes()
    }
}

/// Plans an operation. Nothing is changed; the server makes new tables that stay empty, to look at
/// what follows them, and rolls that back.
///
/// # Errors
///
/// What a connection or the workspace reports, where it is not about a statement.
pub async fn plan(operation: &Operation, resources: &mut Resources) -> Result<Plan> {
    let drift = drift::of(operation, resources).await?;
    let mut steps = steps::steps(operation);
    let venue = operation.venue();
    let id = match operation {
        Operation::Transform(transform) => &transform.id,
        Operation::Join(join) => &join.id,
    };
    let review = review::review(operation, resources).await?;
    // What is not fit to be run is not made either.
    if let Some(name) = venue.filter(|_| review.passes()) {
        let connection = resources.connection(name)?;
        let dialect = connection
            .shared
            .connector
            .descriptor()
            .dialect
            .name
            .clone();
        estimate(connection, sql::Dialect::by_name(&dialect), &mut steps).await?;
    }
    of_loads(operation, resources, &mut steps).await?;
    let mut lacks = Vec::new();
    for (name, purpose) in purposes(operation) {
        let options = CheckOptions::new().with_purpose(purpose);
        let report = resources.connection(&name)?.check(options).await?;
        let failed = |finding: &Finding| finding.severity == Severity::Failed;
        lacks.extend(
            report
                .findings
                .into_iter()
                .filter(failed)
                .map(|finding| Lack {
                    connection: name.clone(),
                    finding,
                }),
        );
    }
    Ok(Plan {
        id: id.clone(),
        steps,
        review,
        drift,
        lacks,
    })
}

/// What each connection is used for.
fn purposes(operation: &Operation) -> Vec<(String, Purpose)> {
    match operation {
        Operation::Transform(transform) => {
            let purpose = match &transform.work {
                Transformation::NewTable { .. } => Purpose::NewTable,
                Transformation::InPlace { .. } => Purpose::InPlace,
                Transformation::Local { .. } => Purpose::Source,
            };
            let name = operation.venue().map(str::to_owned);
            name.into_iter().map(|name| (name, purpose)).collect()
        }
        Operation::Join(join) => {
            let mut purposes = vec![(join.target.connection.clone(), Purpose::Join)];
            for (origin, _) in &join.sources {
                if let Origin::Table(TableOf { connection, .. }) = origin
                    && !purposes.iter().any(|(known, _)| known == connection)
                {
                    purposes.push((connection.clone(), Purpose::Source));
                }
            }
            purposes
        }
    }
}

/// Asks the server what it expects of the statements that run on it, one after the other in a
/// transaction that is rolled back. Of those that it plans none is carried out, and tables are made
/// only where they are new.
async fn estimate(
    connection: &mut Connection,
    dialect: Option<sql::Dialect>,
    steps: &mut [Step],
) -> Result<()> {
    let mut transaction = connection
        .transaction(TransactionOptions::default())
        .await?;
    for step in steps.iter_mut() {
        match &step.task {
            Task::Create { sql, .. } => {
                // The review tells what is wrong with it, and refuses what makes no table.
                let kind = dialect.and_then(|dialect| sql::read(dialect, sql).parsed.ok());
                if kind.is_some_and(|facts| facts.kind == Kind::CreateTable) {
                    let _ = transaction.execute(sql).await;
                }
            }
            Task::Execute(text) => {
                let Ok(examined) = transaction.examine(text).await else {
                    continue;
                };
                step.estimated_rows = examined.estimated_rows;
                step.locks = match &examined.tables {
                    Some(_) => locks(&examined),
                    None => altered(dialect, text),
                };
            }
            Task::Keep { select, .. } => {
                let examined = transaction.examine(select).await.ok();
                step.estimated_rows = examined.and_then(|examined| examined.estimated_rows);
            }
            Task::Store { sql, .. } => {
                // The temporary tables are not there: what they hold is not known to the server.
                if let Ok(examined) = transaction.examine(sql).await {
                    step.estimated_rows = examined.estimated_rows;
                }
            }
            Task::CreateLocal(_)
            | Task::Load { .. }
            | Task::Comment { .. }
            | Task::Preview { .. }
            | Task::Commit => {}
        }
    }
    transaction.roll_back().await
}

/// What the changes of a planned statement lock. That readers keep tables from being altered is no
/// news.
fn locks(examined: &Examination) -> Vec<Lock> {
    let mut locks: Vec<Lock> = Vec::new();
    for table in examined.tables.iter().flatten() {
        let keeps_out = match table.access {
            Access::Read => continue,
            Access::Lock | Access::Insert | Access::Update | Access::Delete | Access::Merge => {
                KeepsOut::TheSameRows
            }
        };
        let table = TableName::in_schema(&table.schema, &table.name).to_string();
        if !locks.iter().any(|lock| lock.table == table) {
            locks.push(Lock { table, keeps_out });
        }
    }
    locks
}

/// What a statement locks that the server does not plan: all of what it alters.
fn altered(dialect: Option<sql::Dialect>, text: &str) -> Vec<Lock> {
    let facts = dialect.and_then(|dialect| sql::read(dialect, text).parsed.ok());
    let touched = facts.into_iter().flat_map(|facts| facts.touched);
    touched
        .filter(|(_, access)| *access != Access::Read)
        .map(|(table, _)| Lock {
            table: table.to_string(),
            keeps_out: KeepsOut::Everyone,
        })
        .collect()
}

/// How many rows the sources have that are loaded.
async fn of_loads(
    operation: &Operation,
    resources: &mut Resources,
    steps: &mut [Step],
) -> Result<()> {
    let Operation::Join(join) = operation else {
        return Ok(());
    };
    for step in steps.iter_mut() {
        let Task::Load { source, .. } = &step.task else {
            continue;
        };
        let Some((origin, _)) = join.sources.get(*source) else {
            continue;
        };
        step.estimated_rows = match origin {
            Origin::Table(TableOf { connection, table }) => {
                let tables = resources
                    .connection(connection)?
                    .tables(table.schema.as_deref())
                    .await?;
                let mut named = tables.into_iter().filter(|known| known.name == table.name);
                named.next().and_then(|table| table.estimated_rows)
            }
            Origin::Workspace(_) => None,
            Origin::File(path) => resources.file(path)?.count,
        };
    }
    Ok(())
}
