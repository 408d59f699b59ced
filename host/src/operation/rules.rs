//! What goes together in an operation, and what does not.

use std::collections::BTreeSet;

use serde::Serialize;

use super::rule::rules;
use super::{Column, Document, Mode, Node, Source, Statements, Storage, Target, VERSION};
use crate::types::TableName;

/// An operation that keeps to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Reshapes one source.
    Transform(Transform),
    /// Combines several.
    Join(Join),
}

/// A transformation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transform {
    /// The node's name.
    pub id: String,
    /// What it does.
    pub work: Transformation,
    /// The columns of the source that its statements use.
    pub columns: Vec<Column>,
    /// What its statements read beside the source, in the same place, and the columns of it that they
    /// use.
    pub beside: Vec<(Origin, Vec<Column>)>,
}

/// What a transformation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transformation {
    /// Makes a table in the database of the source.
    NewTable {
        /// What is read.
        source: TableOf,
        /// What is made, on the same connection.
        target: TableName,
        /// Makes it.
        create: String,
        /// Fills it.
        insert: String,
        /// Shows it.
        preview: Option<String>,
    },
    /// Makes a table in the workspace.
    Local {
        /// What is read: a table of a connection, or one of the workspace.
        source: Origin,
        /// What is made.
        target: String,
        /// Reads the source, where it is.
        select: String,
        /// Makes the table, in the workspace.
        create: String,
        /// Shows it.
        preview: Option<String>,
    },
    /// Changes the source.
    InPlace {
        /// The source.
        source: TableOf,
        /// What changes it, in this order and in one transaction.
        changes: Vec<String>,
        /// Shows it.
        preview: Option<String>,
    },
}

/// A join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The node's name.
    pub id: String,
    /// What is read, and the columns of it that the statement uses.
    pub sources: Vec<(Origin, Vec<Column>)>,
    /// What is written. Its connection is where everything is brought together.
    pub target: TableOf,
    /// Joins the sources.
    pub select: String,
    /// What becomes of the rows.
    pub merging: Merging,
    /// Shows the result.
    pub preview: Option<String>,
}

/// What becomes of the rows of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merging {
    /// They make a new table.
    NewTable,
    /// They go into one that is there, by these columns.
    ByKey(Vec<String>),
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On a connection.
    Table(TableOf),
    /// In the workspace.
    Workspace(String),
    /// In a file.
    File(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table(source) => write!(f, "{} on {}", source.table, source.connection),
            Self::Workspace(table) => write!(f, "{table} in the workspace"),
            Self::File(path) => f.write_str(path),
        }
    }
}

/// A table of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOf {
    /// The connection's name.
    pub connection: String,
    /// The table.
    pub table: TableName,
}

/// A rule that a document does not keep to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// Where: `target.connection`, `sources[1]`.
    pub at: String,
    /// The rule, as a sentence, and what to do.
    pub message: String,
}

rules! {
    /// What an operation keeps to.
    Rule
    Version / "version": "The version of the format is 1.",
    Id / "id": "An id is 1 to 40 lower-case letters, digits, `_` and `-`, and begins with a letter.",
    TransformMode / "transform-mode": "A transformation makes a new table or changes its source in place; only a join merges.",
    JoinMode / "join-mode": "A join makes a new table or merges into one that is there; it does not work in place.",
    OneSource / "one-source": "A transformation has a source: the first of `sources`.",
    Beside / "beside": "What the statements of a transformation read beside its source is in the same place: other tables of its connection, or of the workspace.",
    TwoSources / "two-sources": "A join has two sources or more.",
    FileOnce / "file-once": "A file is one source: a statement can use the table that it is loaded into as often as it likes.",
    OnePlace / "one-place": "A source is in one place: a `connection` with its `table`, or the `workspace`, or a `file`.",
    TableName / "table-name": "A table is written as table, schema.table, or with double quotes around odd parts.",
    FilesAreJoined / "files-are-joined": "A file is a source of a join only: import it to transform it.",
    InPlaceStorage / "in-place-storage": "What works in place has no storage: its source stays where it is.",
    InPlaceTarget / "in-place-target": "What works in place has no target: it changes its source.",
    InPlaceWorkspace / "in-place-workspace": "A table of the workspace is not changed in place: make a new one of it.",
    LocalStaysLocal / "local-stays-local": "What is made of a table of the workspace is stored in the workspace: `storage` is `local`.",
    JoinStorage / "join-storage": "A join has no storage: its rows go where its target is.",
    TargetMissing / "target-missing": "A new table, or one that is merged into, is named by `target`.",
    TargetConnection / "target-connection": "A transformation's new table is on the connection of its source, or in the workspace and on none; a join names the connection of its target.",
    TargetIsSource / "target-is-source": "A new table is none of the sources.",
    KeysMissing / "keys-missing": "Rows are merged by `keys`.",
    KeysUnused / "keys-unused": "Only what merges has `keys`.",
    Once / "once": "A column is named once.",
    StatementMissing / "statement-missing": "A new table in the database has `create` and `insert`, one in the workspace `create` and `select`, a join `select`, and what works in place `changes`.",
    StatementUnused / "statement-unused": "An operation has the statements that it uses and no others.",
}

/// The longest id: names of temporary tables have to fit into 63 bytes with it.
const ID: usize = 40;

impl Document {
    /// The operation that this describes.
    ///
    /// # Errors
    ///
    /// Every rule that it does not keep to.
    pub fn operation(&self) -> Result<Operation, Vec<Broken>> {
        let mut reading = Reading {
            document: self,
            broken: Vec::new(),
        };
        let operation = reading.operation();
        match operation {
            Some(operation) if reading.broken.is_empty() => Ok(operation),
            _ => Err(reading.broken),
        }
    }
}

/// A statement of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Create,
    Insert,
    Select,
    Preview,
    Changes,
}

impl Place {
    const ALL: [Self; 5] = [
        Self::Create,
        Self::Insert,
        Self::Select,
        Self::Preview,
        Self::Changes,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Insert => "insert",
            Self::Select => "select",
            Self::Preview => "preview",
            Self::Changes => "changes",
        }
    }

    fn is_given(self, statements: &Statements) -> bool {
        match self {
            Self::Create => statements.create.is_some(),
            Self::Insert => statements.insert.is_some(),
            Self::Select => statements.select.is_some(),
            Self::Preview => statements.preview.is_some(),
            Self::Changes => !statements.changes.is_empty(),
        }
    }
}

struct Reading<'d> {
    document: &'d Document,
    broken: Vec<Broken>,
}

impl<'d> Reading<'d> {
    fn break_rule(&mut self, rule: Rule, at: impl Into<String>) {
        self.broken.push(Broken {
            rule,
            at: at.into(),
            message: rule.sentence().to_owned(),
        });
    }

    fn expect(&mut self, holds: bool, rule: Rule, at: impl Into<String>) {
        if !holds {
            self.break_rule(rule, at);
        }
    }

    fn operation(&mut self) -> Option<Operation> {
        let document = self.document;
        self.expect(document.version == VERSION, Rule::Version, "version");
        self.expect(is_id(&document.id), Rule::Id, "id");
        let merges = document.mode == Mode::Merge;
        self.expect(merges || document.keys.is_empty(), Rule::KeysUnused, "keys");
        self.once(document.keys.iter(), "keys");
        for (number, source) in document.sources.iter().enumerate() {
            let names = source.columns.iter().map(|column| &column.name);
            self.once(names, &format!("sources[{number}].columns"));
        }
        match document.node {
            Node::Transform => self.transform().map(Operation::Transform),
            Node::Join => self.join().map(Operation::Join),
        }
    }

    fn transform(&mut self) -> Option<Transform> {
        let document = self.document;
        self.expect(!document.sources.is_empty(), Rule::OneSource, "sources");
        let origins = self.origins();
        for (number, origin) in origins.iter().enumerate() {
            if matches!(origin, Some(Origin::File(_))) {
                self.break_rule(Rule::FilesAreJoined, format!("sources[{number}].file"));
            }
        }
        let mut origins = origins.into_iter();
        let source = origins.next().flatten();
        let beside = self.beside(source.as_ref(), origins);
        if let Some(target) = self.new_beside(&beside) {
            self.break_rule(Rule::TargetIsSource, target);
        }
        let is_local = matches!(source, Some(Origin::Workspace(_)));
        let work = match document.mode {
            Mode::Merge => {
                self.break_rule(Rule::TransformMode, "mode");
                None
            }
            Mode::InPlace => {
                self.expect(document.storage.is_none(), Rule::InPlaceStorage, "storage");
                self.expect(document.target.is_none(), Rule::InPlaceTarget, "target");
                self.expect(!is_local, Rule::InPlaceWorkspace, "mode");
                self.statements(&[Place::Changes]);
                self.in_place(source)
            }
            Mode::NewTable if document.storage == Some(Storage::Local) => {
                self.statements(&[Place::Create, Place::Select]);
                self.local(source)
            }
            Mode::NewTable => {
                self.expect(!is_local, Rule::LocalStaysLocal, "storage");
                self.statements(&[Place::Create, Place::Insert]);
                self.new_table(source)
            }
        };
        let columns = document
            .sources
            .first()
            .map(|source| source.columns.clone());
        Some(Transform {
            id: document.id.clone(),
            work: work?,
            columns: columns?,
            beside,
        })
    }

    /// Where the target is named, if it is one of the tables that are read beside the source.
    fn new_beside(&self, beside: &[(Origin, Vec<Column>)]) -> Option<&'static str> {
        let target = self.document.target.as_ref()?;
        let is_local = self.document.storage == Some(Storage::Local);
        let table: TableName = target.table.parse().ok()?;
        beside
            .iter()
            .any(|(origin, _)| match origin {
                Origin::Table(other) => !is_local && other.table == table,
                Origin::Workspace(name) => is_local && *name == table.name,
                Origin::File(_) => false,
            })
            .then_some("target.table")
    }

    /// What is read beside the source.
    fn beside(
        &mut self,
        source: Option<&Origin>,
        others: impl Iterator<Item = Option<Origin>>,
    ) -> Vec<(Origin, Vec<Column>)> {
        let mut beside = Vec::new();
        for ((number, origin), known) in (1..).zip(others).zip(self.document.sources.iter().skip(1))
        {
            let Some(origin) = origin else {
                continue;
            };
            let is_beside = match (source, &origin) {
                (Some(Origin::Table(source)), Origin::Table(other)) => {
                    source.connection == other.connection
                }
                (Some(Origin::Workspace(_)), Origin::Workspace(_)) => true,
                // What is wrong with these is told already.
                (None, _) | (_, Origin::File(_)) => true,
                _ => false,
            };
            self.expect(is_beside, Rule::Beside, format!("sources[{number}]"));
            beside.push((origin, known.columns.clone()));
        }
        beside
    }

    fn in_place(&mut self, source: Option<Origin>) -> Option<Transformation> {
        let statements = &self.document.statements;
        let Some(Origin::Table(source)) = source else {
            return None;
        };
        Some(Transformation::InPlace {
            source,
            changes: statements.changes.clone(),
            preview: statements.preview.clone(),
        })
    }

    fn local(&mut self, source: Option<Origin>) -> Option<Transformation> {
        let statements = &self.document.statements;
        let target = self.target()?;
        self.expect(
            target.connection.is_none(),
            Rule::TargetConnection,
            "target.connection",
        );
        let table = self.table(&target.table, "target.table")?;
        // The workspace has no schemas.
        self.expect(table.schema.is_none(), Rule::TableName, "target.table");
        if matches!(&source, Some(Origin::Workspace(name)) if *name == table.name) {
            self.break_rule(Rule::TargetIsSource, "target.table");
        }
        Some(Transformation::Local {
            source: source?,
            target: table.name,
            select: statements.select.clone()?,
            create: statements.create.clone()?,
            preview: statements.preview.clone(),
        })
    }

    fn new_table(&mut self, source: Option<Origin>) -> Option<Transformation> {
        let statements = &self.document.statements;
        let target = self.target()?;
        let table = self.table(&target.table, "target.table");
        let Some(Origin::Table(source)) = source else {
            return None;
        };
        let elsewhere = |connection: &String| *connection != source.connection;
        if target.connection.as_ref().is_some_and(elsewhere) {
            self.break_rule(Rule::TargetConnection, "target.connection");
        }
        let table = table?;
        self.expect(table != source.table, Rule::TargetIsSource, "target.table");
        Some(Transformation::NewTable {
            source,
            target: table,
            create: statements.create.clone()?,
            insert: statements.insert.clone()?,
            preview: statements.preview.clone(),
        })
    }

    fn join(&mut self) -> Option<Join> {
        let document = self.document;
        self.expect(document.sources.len() >= 2, Rule::TwoSources, "sources");
        self.expect(document.storage.is_none(), Rule::JoinStorage, "storage");
        let merging = match document.mode {
            Mode::InPlace => {
                self.break_rule(Rule::JoinMode, "mode");
                None
            }
            Mode::NewTable => Some(Merging::NewTable),
            Mode::Merge => {
                self.expect(!document.keys.is_empty(), Rule::KeysMissing, "keys");
                Some(Merging::ByKey(document.keys.clone()))
            }
        };
        self.statements(&[Place::Select]);
        let origins = self.origins();
        let target = self.target().and_then(|target| {
            let table = self.table(&target.table, "target.table");
            let connection = target.connection.clone().filter(|name| !name.is_empty());
            if connection.is_none() {
                self.break_rule(Rule::TargetConnection, "target.connection");
            }
            Some(TableOf {
                connection: connection?,
                table: table?,
            })
        });
        if merging == Some(Merging::NewTable)
            && let Some(target) = &target
            && origins
                .iter()
                .flatten()
                .any(|origin| *origin == Origin::Table(target.clone()))
        {
            self.break_rule(Rule::TargetIsSource, "target.table");
        }
        for (number, origin) in origins.iter().enumerate() {
            let is_file = matches!(origin, Some(Origin::File(_)));
            let is_known = origins.iter().take(number).any(|known| known == origin);
            self.expect(
                !(is_file && is_known),
                Rule::FileOnce,
                format!("sources[{number}].file"),
            );
        }
        let origins: Option<Vec<Origin>> = origins.into_iter().collect();
        let columns = document.sources.iter().map(|source| source.columns.clone());
        Some(Join {
            id: document.id.clone(),
            sources: origins?.into_iter().zip(columns).collect(),
            target: target?,
            select: document.statements.select.clone()?,
            merging: merging?,
            preview: document.statements.preview.clone(),
        })
    }

    /// Where each source is, as far as that is said.
    fn origins(&mut self) -> Vec<Option<Origin>> {
        let sources = self.document.sources.iter().enumerate();
        sources
            .map(|(number, source)| self.origin(number, source))
            .collect()
    }

    fn origin(&mut self, number: usize, source: &Source) -> Option<Origin> {
        let at = format!("sources[{number}]");
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let places = (
            filled(&source.connection).zip(filled(&source.table)),
            filled(&source.workspace),
            filled(&source.file),
        );
        let given = [
            &source.connection,
            &source.table,
            &source.workspace,
            &source.file,
        ];
        let given = given.iter().filter(|place| place.is_some()).count();
        match places {
            (Some((connection, table)), None, None) if given == 2 => {
                let table = self.table(&table, &format!("{at}.table"))?;
                Some(Origin::Table(TableOf { connection, table }))
            }
            (None, Some(table), None) if given == 1 => Some(Origin::Workspace(table)),
            (None, None, Some(path)) if given == 1 => Some(Origin::File(path)),
            _ => {
                self.break_rule(Rule::OnePlace, at);
                None
            }
        }
    }

    fn target(&mut self) -> Option<&'d Target> {
        let target = self.document.target.as_ref();
        self.expect(target.is_some(), Rule::TargetMissing, "target");
        target
    }

    fn table(&mut self, text: &str, at: &str) -> Option<TableName> {
        let table = text.parse().ok();
        self.expect(table.is_some(), Rule::TableName, at);
        table
    }

    /// Those that are needed are there, and no others; any can be shown.
    fn statements(&mut self, needed: &[Place]) {
        let statements = &self.document.statements;
        for place in Place::ALL {
            let at = format!("statements.{}", place.name());
            let is_needed = needed.contains(&place);
            let is_given = place.is_given(statements);
            self.expect(is_given || !is_needed, Rule::StatementMissing, &*at);
            let is_used = is_needed || place == Place::Preview;
            self.expect(is_used || !is_given, Rule::StatementUnused, at);
        }
        let single = [
            (Place::Create, &statements.create),
            (Place::Insert, &statements.insert),
            (Place::Select, &statements.select),
            (Place::Preview, &statements.preview),
        ];
        for (place, text) in single {
            let is_empty = text.as_ref().is_some_and(|text| text.trim().is_empty());
            let at = format!("statements.{}", place.name());
            self.expect(!is_empty, Rule::StatementMissing, at);
        }
        for (number, text) in statements.changes.iter().enumerate() {
            let at = format!("statements.changes[{number}]");
            self.expect(!text.trim().is_empty(), Rule::StatementMissing, at);
        }
    }

    fn once<'n>(&mut self, names: impl Iterator<Item = &'n String>, at: &str) {
        let mut seen = BTreeSet::new();
        for (number, name) in names.enumerate() {
            self.expect(seen.insert(name), Rule::Once, format!("{at}[{number}]"));
        }
    }
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() <= ID
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests;
