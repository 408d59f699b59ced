//! What `CREATE TABLE` and `ALTER TABLE` do beside what they are wanted for.

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable,
    CreateTableLikeKind, DataType, DropBehavior, RenameTableNameKind, Statement, TableConstraint,
};

use super::Dialect;
use super::gather::{name, table_name};
use crate::types::TableName;

/// Something about a definition that may reach beyond the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Feature {
    /// The rows are from a query.
    AsQuery,
    /// It does nothing if the table is there.
    IfNotExists,
    /// It replaces a table that is there.
    OrReplace,
    /// The table goes with the session.
    Temporary,
    /// It has the columns of another.
    Like(TableName),
    /// It is tied to another: inherits from it, is part of it, or refers to it.
    TiedTo(TableName),
    /// What depends on it is dropped, too.
    Cascade,
    /// Something that is kept outside of the table's own database.
    Elsewhere,
    /// What no operation needs, by its words.
    Unneeded(String),
}

/// One part of an `ALTER TABLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Alteration {
    /// A column comes to be.
    Add(String),
    /// A column goes.
    Drop(String),
    /// A column gets another name.
    Rename { from: String, to: String },
    /// A column gets another type, default, ...
    Change(String),
    /// A constraint comes, goes, or is renamed.
    Constraint,
}

/// Expressions that name the types which a definition gives columns, where these are somebody's own: a
/// domain has checks.
pub(super) fn types(statement: &Statement) -> Vec<String> {
    let types: Vec<&DataType> = match statement {
        Statement::CreateTable(create) => {
            let columns = create.columns.iter();
            columns.map(|column| &column.data_type).collect()
        }
        Statement::AlterTable(alter) => alter
            .operations
            .iter()
            .filter_map(|operation| match operation {
                AlterTableOperation::AddColumn { column_def, .. } => Some(&column_def.data_type),
                AlterTableOperation::AlterColumn {
                    op: AlterColumnOperation::SetDataType { data_type, .. },
                    ..
                } => Some(data_type),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    types
        .into_iter()
        .filter_map(|data_type| match data_type {
            DataType::Custom(name, modifiers) if modifiers.is_empty() => Some(name.to_string()),
            _ => None,
        })
        // No type, but a column with a sequence.
        .filter(|name| !name.to_ascii_lowercase().ends_with("serial"))
        .map(|name| format!("CAST(NULL AS {name})"))
        .collect()
}

pub(super) fn created(dialect: Dialect, create: &CreateTable) -> (Vec<String>, Vec<Feature>) {
    let mut features = Vec::new();
    let own = table_name(dialect, &create.name);
    let mut note = |is: bool, feature: Feature| {
        if is {
            features.push(feature);
        }
    };
    note(create.query.is_some(), Feature::AsQuery);
    note(create.if_not_exists, Feature::IfNotExists);
    note(create.or_replace, Feature::OrReplace);
    note(
        create.temporary || create.global.is_some() || create.volatile || create.transient,
        Feature::Temporary,
    );
    note(
        create.external
            || create.location.is_some()
            || create.external_volume.is_some()
            || create.with_connection.is_some()
            || create.base_location.is_some(),
        Feature::Elsewhere,
    );
    let like = match &create.like {
        Some(CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)) => {
            Some(&like.name)
        }
        None => create.clone.as_ref(),
    };
    features.extend(like.map(|table| Feature::Like(table_name(dialect, table))));
    let tied = create.inherits.iter().flatten();
    for table in tied.chain(create.partition_of.as_ref()) {
        features.push(Feature::TiedTo(table_name(dialect, table)));
    }
    let mut columns = Vec::new();
    for column in &create.columns {
        columns.push(name(dialect, &column.name));
        of_column(dialect, column, &own, &mut features);
    }
    for constraint in &create.constraints {
        of_constraint(dialect, constraint, &own, &mut features);
    }
    (columns, features)
}

fn of_column(dialect: Dialect, column: &ColumnDef, own: &TableName, features: &mut Vec<Feature>) {
    for option in &column.options {
        if let ColumnOption::ForeignKey(key) = &option.option {
            let table = table_name(dialect, &key.foreign_table);
            if table != *own {
                features.push(Feature::TiedTo(table));
            }
        }
    }
}

fn of_constraint(
    dialect: Dialect,
    constraint: &TableConstraint,
    own: &TableName,
    features: &mut Vec<Feature>,
) {
    if let TableConstraint::ForeignKey(key) = constraint {
        let table = table_name(dialect, &key.foreign_table);
        if table != *own {
            features.push(Feature::TiedTo(table));
        }
    }
}

pub(super) fn altered(dialect: Dialect, alter: &AlterTable) -> (Vec<Alteration>, Vec<Feature>) {
    use AlterTableOperation as Op;
    let own = table_name(dialect, &alter.name);
    let mut alterations = Vec::new();
    let mut features = Vec::new();
    let cascades = |behavior: &Option<DropBehavior>| *behavior == Some(DropBehavior::Cascade);
    for operation in &alter.operations {
        match operation {
            Op::AddColumn { column_def, .. } => {
                alterations.push(Alteration::Add(name(dialect, &column_def.name)));
                of_column(dialect, column_def, &own, &mut features);
            }
            Op::DropColumn {
                column_names,
                drop_behavior,
                ..
            } => {
                let names = column_names.iter();
                alterations.extend(names.map(|column| Alteration::Drop(name(dialect, column))));
                features.extend(cascades(drop_behavior).then_some(Feature::Cascade));
            }
            Op::RenameColumn {
                old_column_name,
                new_column_name,
            } => alterations.push(Alteration::Rename {
                from: name(dialect, old_column_name),
                to: name(dialect, new_column_name),
            }),
            Op::AlterColumn { column_name, op } => {
                alterations.push(Alteration::Change(name(dialect, column_name)));
                match op {
                    AlterColumnOperation::SetNotNull
                    | AlterColumnOperation::DropNotNull
                    | AlterColumnOperation::SetDefault { .. }
                    | AlterColumnOperation::DropDefault
                    | AlterColumnOperation::SetDataType { .. }
                    | AlterColumnOperation::AddGenerated { .. } => {}
                }
            }
            Op::ModifyColumn { col_name, .. } => {
                alterations.push(Alteration::Change(name(dialect, col_name)));
            }
            Op::ChangeColumn {
                old_name, new_name, ..
            } => alterations.push(Alteration::Rename {
                from: name(dialect, old_name),
                to: name(dialect, new_name),
            }),
            Op::AddConstraint { constraint, .. } => {
                alterations.push(Alteration::Constraint);
                of_constraint(dialect, constraint, &own, &mut features);
            }
            Op::DropConstraint { drop_behavior, .. }
            | Op::DropPrimaryKey { drop_behavior }
            | Op::DropForeignKey { drop_behavior, .. } => {
                alterations.push(Alteration::Constraint);
                features.extend(cascades(drop_behavior).then_some(Feature::Cascade));
            }
            Op::RenameConstraint { .. } | Op::ValidateConstraint { .. } => {
                alterations.push(Alteration::Constraint);
            }
            Op::RenameTable { table_name } => {
                let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = table_name;
                features.push(Feature::Unneeded(format!("RENAME TO {to}")));
            }
            other => features.push(Feature::Unneeded(words(&other.to_string()))),
        }
    }
    if alter.location.is_some() || alter.on_cluster.is_some() || alter.table_type.is_some() {
        features.push(Feature::Elsewhere);
    }
    (alterations, features)
}

/// The first few words.
fn words(text: &str) -> String {
    text.split_whitespace()
        .take(4)
        .collect::<Vec<_>>()
        .join(" ")
}
