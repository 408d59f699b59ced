//! A plan, as the server tells it. Manual: `EXPLAIN`, "FORMAT JSON".

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::Access;
use dagflux_guest::{Error, Result};
use serde_json::{Map, Value};

/// A plan.
#[derive(Debug)]
pub struct Tree(Map<String, Value>);

/// A node of a plan.
type Node = Map<String, Value>;

impl Tree {
    /// Reads a plan.
    ///
    /// # Errors
    /// `protocol` if it is none; `unsupported` if it is too deep.
    pub fn read(text: &str) -> Result<Self> {
        let plans: Value = serde_json::from_str(text).map_err(|error| {
            let (kind, what) = match text.len() {
                // More levels than a statement has that a person or a model writes.
                _ if error.to_string().contains("recursion limit") => (
                    ErrorKind::Unsupported,
                    "the statement is nested too deeply to be looked at".to_owned(),
                ),
                _ => (
                    ErrorKind::Protocol,
                    format!("a plan that is no JSON: {error}"),
                ),
            };
            Error::new(kind, what).with_hint("split the statement up, by way of a view or a table")
        })?;
        match plans {
            Value::Array(plans) => plans.into_iter().next(),
            _ => None,
        }
        .and_then(|plan| match plan {
            Value::Object(mut plan) => plan.remove("Plan"),
            _ => None,
        })
        .and_then(|plan| match plan {
            Value::Object(plan) => Some(Self(plan)),
            _ => None,
        })
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "a plan without nodes"))
    }

    /// How many rows are returned or, by a statement that changes rows, changed.
    pub fn estimated_rows(&self) -> Option<u64> {
        let rows = |node: &Node| node.get("Plan Rows").and_then(Value::as_u64);
        if !is_change(&self.0) {
            return rows(&self.0);
        }
        let below = self.0.get("Plans").and_then(Value::as_array)?;
        below
            .iter()
            .filter_map(Value::as_object)
            // Others are run beside it: subqueries, and the parts of a WITH.
            .filter(|node| node.get("Parent Relationship").and_then(Value::as_str) == Some("Outer"))
            .try_fold(0_u64, |sum, node| Some(sum.saturating_add(rows(node)?)))
    }

    /// The tables whose rows are changed, and how.
    pub fn changes(&self) -> Vec<(&str, &str, Access)> {
        let mut changes = Vec::new();
        self.each(&mut |node| {
            if !is_change(node) {
                return;
            }
            let access = match text(node, "Operation") {
                "Insert" => Access::Insert,
                "Delete" => Access::Delete,
                "Merge" => Access::Merge,
                _ => Access::Update,
            };
            let change = (text(node, "Schema"), text(node, "Relation Name"), access);
            if !change.1.is_empty() && !changes.contains(&change) {
                changes.push(change);
            }
        });
        changes
    }

    /// Calls `visit` with every node.
    fn each<'t>(&'t self, visit: &mut impl FnMut(&'t Node)) {
        let mut left = vec![&self.0];
        while let Some(node) = left.pop() {
            visit(node);
            let below = node.get("Plans").and_then(Value::as_array);
            left.extend(below.into_iter().flatten().filter_map(Value::as_object));
        }
    }

    /// Every text of the plan that may hold an expression.
    pub fn expressions(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        self.each(&mut |node| {
            for (key, value) in node {
                match value {
                    // A function in FROM is written out in "Function Call", too.
                    _ if NAMES.contains(&key.as_str()) || key == "Plans" => {}
                    Value::String(text) => texts.push(text.as_str()),
                    Value::Array(parts) => texts.extend(deep(parts)),
                    _ => {}
                }
            }
        });
        texts
    }
}

/// What holds a name and no expression.
const NAMES: &[&str] = &[
    "Node Type",
    "Parent Relationship",
    "Relation Name",
    "Schema",
    "Alias",
    "Index Name",
    "Function Name",
    "Operation",
    "Subplan Name",
    "CTE Name",
    "Tuplestore Name",
    "Strategy",
    "Partial Mode",
    "Join Type",
    "Scan Direction",
    "Command",
    "Conflict Resolution",
    "Conflict Arbiter Indexes",
];

/// The texts in lists of lists, such as those of grouping sets.
fn deep(parts: &[Value]) -> Vec<&str> {
    let mut texts = Vec::new();
    let mut left: Vec<&Value> = parts.iter().collect();
    while let Some(part) = left.pop() {
        match part {
            Value::String(text) => texts.push(text.as_str()),
            Value::Array(parts) => left.extend(parts),
            Value::Object(parts) => left.extend(parts.values()),
            _ => {}
        }
    }
    texts
}

fn is_change(node: &Node) -> bool {
    text(node, "Node Type") == "ModifyTable"
}

fn text<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}
