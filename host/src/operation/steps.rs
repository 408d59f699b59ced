//! An operation as the steps that it is carried out in.

use serde::Serialize;

use super::{Join, Merging, Operation, Origin, TableOf, Transform, Transformation};
use crate::types::{KeepsOut, TableName};

/// A step of an operation: what a plan shows, and a run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Where: the connection; none is the workspace.
    pub connection: Option<String>,
    /// What is done, as a sentence.
    pub what: String,
    /// The SQL that is given for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// How many rows it returns or changes, as far as that can be told before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
    /// What it locks until the end, beside tables that nobody else knows yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    #[serde(skip)]
    pub(super) task: Task,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// Loads a source from elsewhere into a temporary table.
    Load,
    /// Makes the new table.
    Create,
    /// Fills it.
    Insert,
    /// Gives it the comments of the source.
    Comment,
    /// Changes the source.
    Change,
    /// Writes the rows of a query.
    Store,
    /// Shows the result.
    Preview,
    /// Makes it last.
    Commit,
}

impl Action {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Create => "create",
            Self::Insert => "insert",
            Self::Comment => "comment",
            Self::Change => "change",
            Self::Store => "store",
            Self::Preview => "preview",
            Self::Commit => "commit",
        }
    }
}

/// A lock that a step takes on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Lock {
    /// The table.
    pub table: String,
    /// Whom it keeps waiting.
    pub keeps_out: KeepsOut,
}

/// What is needed to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// Runs a statement.
    Execute(String),
    /// Makes sure of a table, and runs the statement that makes it.
    Create { sql: String, table: TableName },
    /// Copies comments.
    Comment { source: TableName, to: TableName },
    /// Loads a source, by its number from 0, into a temporary table.
    Load { source: usize, table: String },
    /// Writes the rows of a query.
    Store {
        sql: String,
        table: TableName,
        merging: Merging,
    },
    /// Writes the rows of a query to the workspace.
    Keep { select: String, table: String },
    /// Makes a table in the workspace, as its rows begin to come.
    CreateLocal(String),
    /// Shows what a query gives, or the first rows of a table.
    Preview {
        sql: Option<String>,
        table: TableName,
    },
    /// Commits.
    Commit,
}

/// The temporary table that stands for a source of a join, by its number from 0, that is not where
/// its target is.
pub(crate) fn stand_in(id: &str, source: usize) -> String {
    format!(
        "dagflux_{}_{}",
        id.replace('-', "_"),
        source.saturating_add(1)
    )
}

/// The steps of an operation, in order.
pub(super) fn steps(operation: &Operation) -> Vec<Step> {
    match operation {
        Operation::Transform(transform) => of_transform(transform),
        Operation::Join(join) => of_join(join),
    }
}

fn of_transform(transform: &Transform) -> Vec<Step> {
    match &transform.work {
        Transformation::NewTable {
            source,
            target,
            create,
            insert,
            preview,
        } => {
            let at = Some(source.connection.as_str());
            vec![
                Step::new(
                    Action::Create,
                    at,
                    format!("make {target}"),
                    Task::Create {
                        sql: create.clone(),
                        table: target.clone(),
                    },
                ),
                Step::new(
                    Action::Insert,
                    at,
                    format!("fill {target} from {}", source.table),
                    Task::Execute(insert.clone()),
                ),
                Step::new(
                    Action::Comment,
                    at,
                    format!("copy the comments of {}", source.table),
                    Task::Comment {
                        source: source.table.clone(),
                        to: target.clone(),
                    },
                ),
                shown(at, preview, target),
                Step::commit(at),
            ]
        }
        Transformation::Local {
            source,
            target,
            select,
            create,
            preview,
        } => {
            let at = match source {
                Origin::Table(source) => Some(source.connection.as_str()),
                Origin::Workspace(_) | Origin::File(_) => None,
            };
            let table = TableName::new(target.clone());
            vec![
                Step::new(
                    Action::Create,
                    None,
                    format!("make {target} in the workspace"),
                    Task::CreateLocal(create.clone()),
                ),
                Step::new(
                    Action::Store,
                    at,
                    format!("read {source} and keep the rows"),
                    Task::Keep {
                        select: select.clone(),
                        table: target.clone(),
                    },
                ),
                Step::commit(None),
                shown(None, preview, &table),
            ]
        }
        Transformation::InPlace {
            source,
            changes,
            preview,
        } => {
            let at = Some(source.connection.as_str());
            let mut steps: Vec<Step> = changes
                .iter()
                .map(|change| {
                    let what = format!("change {}", source.table);
                    Step::new(Action::Change, at, what, Task::Execute(change.clone()))
                })
                .collect();
            steps.push(shown(at, preview, &source.table));
            steps.push(Step::commit(at));
            steps
        }
    }
}

fn of_join(join: &Join) -> Vec<Step> {
    let TableOf { connection, table } = &join.target;
    let at = Some(connection.as_str());
    let mut steps = Vec::new();
    for (number, (origin, _)) in join.sources.iter().enumerate() {
        if is_at(origin, connection) {
            continue;
        }
        let temporary = stand_in(&join.id, number);
        let what = format!("load {origin} into the temporary table {temporary}");
        let task = Task::Load {
            source: number,
            table: temporary,
        };
        steps.push(Step::new(Action::Load, at, what, task));
    }
    let what = match &join.merging {
        Merging::NewTable => format!("join, and make {table} of the rows"),
        Merging::ByKey(keys) => {
            format!(
                "join, and merge the rows into {table} by {}",
                keys.join(", ")
            )
        }
    };
    let store = Task::Store {
        sql: join.select.clone(),
        table: table.clone(),
        merging: join.merging.clone(),
    };
    steps.push(Step::new(Action::Store, at, what, store));
    steps.push(shown(at, &join.preview, table));
    steps.push(Step::commit(at));
    steps
}

/// Whether a source is on a connection.
pub(super) fn is_at(origin: &Origin, connection: &str) -> bool {
    matches!(origin, Origin::Table(source) if source.connection == connection)
}

fn shown(at: Option<&str>, preview: &Option<String>, table: &TableName) -> Step {
    let task = Task::Preview {
        sql: preview.clone(),
        table: table.clone(),
    };
    Step::new(Action::Preview, at, format!("show {table}"), task)
}

impl Step {
    fn new(action: Action, connection: Option<&str>, what: String, task: Task) -> Self {
        let sql = match &task {
            Task::Execute(sql)
            | Task::CreateLocal(sql)
            | Task::Create { sql, .. }
            | Task::Store { sql, .. }
            | Task::Keep { select: sql, .. } => Some(sql.clone()),
            Task::Preview { sql, .. } => sql.clone(),
            Task::Load { .. } | Task::Comment { .. } | Task::Commit => None,
        };
        Self {
            action,
            connection: connection.map(str::to_owned),
            what,
            sql,
            estimated_rows: None,
            locks: Vec::new(),
            task,
        }
    }

    fn commit(at: Option<&str>) -> Self {
        Self::new(Action::Commit, at, "commit".to_owned(), Task::Commit)
    }
}
