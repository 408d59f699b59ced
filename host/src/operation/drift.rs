//! What has become of the columns since the statements were written.

use serde::Serialize;

use super::resources::Resources;
use super::{Column, Operation, Origin, TableOf, Transformation};
use crate::error::{ErrorKind, Result};
use crate::types::ColumnInfo;

/// What has become of the columns of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Drift {
    /// Where the source is in the document: `sources[0]`.
    pub at: String,
    /// The source.
    pub source: String,
    /// The changes.
    pub changes: Vec<Change>,
}

/// A change of a column that the statements use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
#[non_exhaustive]
pub enum Change {
    /// It is not there any more.
    Gone {
        /// Its name.
        column: String,
    },
    /// It has another type.
    Type {
        /// Its name.
        column: String,
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// It can hold NULL, or it cannot any more.
    Nullable {
        /// Its name.
        column: String,
        /// Whether it can now.
        is: bool,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone { column } => write!(f, "the column `{column}` is not there any more"),
            Self::Type { column, was, is } => {
                write!(f, "the column `{column}` was {was} and is {is}")
            }
            Self::Nullable { column, is: true } => {
                write!(f, "the column `{column}` can be NULL now")
            }
            Self::Nullable { column, is: false } => {
                write!(f, "the column `{column}` cannot be NULL any more")
            }
        }
    }
}

/// How the columns of a table differ from what the statements know of them. Columns that they do not
/// use may come and go.
pub fn changes(known: &[Column], now: &[ColumnInfo]) -> Vec<Change> {
    let mut changes = Vec::new();
    for was in known {
        let column = was.name.clone();
        let Some(is) = now.iter().find(|is| is.name == was.name) else {
            changes.push(Change::Gone { column });
            continue;
        };
        if is.data_type != was.data_type {
            changes.push(Change::Type {
                column: column.clone(),
                was: was.data_type.clone(),
                is: is.data_type.clone(),
            });
        }
        if is.nullable != was.nullable {
            changes.push(Change::Nullable {
                column,
                is: is.nullable,
            });
        }
    }
    changes
}

/// How the sources of an operation differ from what its statements know of them. One that is not
/// there any more has none of its columns.
///
/// # Errors
///
/// What a connection or the workspace reports.
pub(super) async fn of(operation: &Operation, resources: &mut Resources) -> Result<Vec<Drift>> {
    let sources: Vec<(Origin, &[Column])> = match operation {
        Operation::Transform(transform) => {
            let origin = match &transform.work {
                Transformation::NewTable { source, .. }
                | Transformation::InPlace { source, .. } => Origin::Table(source.clone()),
                Transformation::Local { source, .. } => source.clone(),
            };
            let beside = transform.beside.iter();
            let mut sources = vec![(origin, transform.columns.as_slice())];
            sources.extend(beside.map(|(origin, columns)| (origin.clone(), columns.as_slice())));
            sources
        }
        Operation::Join(join) => {
            let sources = join.sources.iter();
            sources
                .map(|(origin, columns)| (origin.clone(), columns.as_slice()))
                .collect()
        }
    };
    let mut drift = Vec::new();
    for (number, (origin, known)) in sources.into_iter().enumerate() {
        if known.is_empty() {
            continue;
        }
        let now = now(&origin, resources).await?;
        let changes = changes(known, &now);
        if !changes.is_empty() {
            drift.push(Drift {
                at: format!("sources[{number}]"),
                source: origin.to_string(),
                changes,
            });
        }
    }
    Ok(drift)
}

/// The columns of a source as they are now.
async fn now(origin: &Origin, resources: &mut Resources) -> Result<Vec<ColumnInfo>> {
    let now = match origin {
        Origin::Table(TableOf { connection, table }) => {
            let connection = resources.connection(connection)?;
            connection
                .columns(table.schema.as_deref(), Some(&table.name))
                .await
        }
        Origin::Workspace(table) => {
            let (workspace, table) = (resources.workspace()?.clone(), table.clone());
            super::blocking(move || workspace.columns(&table)).await
        }
        Origin::File(path) => {
            let schema = &resources.file(path)?.schema;
            let columns = schema.fields().iter().zip(1..);
            return Ok(columns
                .map(|(field, ordinal)| ColumnInfo {
                    schema: String::new(),
                    table: path.clone(),
                    name: field.name().clone(),
                    ordinal,
                    data_type: field.data_type().to_string(),
                    nullable: field.is_nullable(),
                    primary_key: None,
                    default: None,
                    generated: None,
                    comment: None,
                })
                .collect());
        }
    };
    match now {
        Err(error) if error.kind() == ErrorKind::TableNotFound => Ok(Vec::new()),
        now => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, data_type: &str, nullable: bool) -> Column {
        Column {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            nullable,
        }
    }

    fn now(name: &str, data_type: &str, nullable: bool) -> ColumnInfo {
        ColumnInfo {
            schema: "s".to_owned(),
            table: "t".to_owned(),
            name: name.to_owned(),
            ordinal: 1,
            data_type: data_type.to_owned(),
            nullable,
            primary_key: None,
            default: None,
            generated: None,
            comment: None,
        }
    }

    #[test]
    fn only_what_the_statements_use_matters() {
        let is = [now("new", "text", true), now("a", "integer", false)];
        assert_eq!(changes(&[known("a", "integer", false)], &is), []);
        let was = [
            known("a", "bigint", true),
            known("b", "text", true),
            known("A", "integer", false),
        ];
        let told: Vec<String> = changes(&was, &is).iter().map(Change::to_string).collect();
        assert_eq!(
            told,
            [
                "the column `a` was bigint and is integer",
                "the column `a` cannot be NULL any more",
                "the column `b` is not there any more",
                "the column `A` is not there any more",
            ]
        );
    }
}
