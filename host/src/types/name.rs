//! Names of tables.

use std::str::FromStr;

use serde::Serialize;

use crate::bindings;
use crate::error::{Error, ErrorKind};

/// The name of a table, with or without its schema.
///
/// Parsing keeps to SQL's rules as far as they are not folding: a dot parts
/// schema and name, and a part in double quotes can hold anything.
///
/// ```
/// # use dagflux_host::TableName;
/// let table: TableName = "sales.\"Order.Items\"".parse().unwrap();
/// assert_eq!(table.schema.as_deref(), Some("sales"));
/// assert_eq!(table.name, "Order.Items");
/// assert_eq!(table.to_string(), "sales.\"Order.Items\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct TableName {
    /// Its schema; without one, that of the configuration.
    pub schema: Option<String>,
    /// Its name, as it is stored.
    pub name: String,
}

impl TableName {
    /// A table in the configuration's schema.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }

    /// A table in a schema.
    pub fn in_schema(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: Some(schema.into()),
            name: name.into(),
        }
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::new(
                ErrorKind::TableNotFound,
                format!("{text:?} is not the name of a table"),
            )
            .with_hint(
                "write table, schema.table, or \"Odd.Schema\".\"Odd Table\" with double quotes",
            )
        };
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let part = parts.last_mut().ok_or_else(wrong)?;
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                _ => part.push(c),
            }
        }
        if quoted
            || parts
                .iter()
                .any(|part| part.is_empty() || part.contains('\0'))
        {
            return Err(wrong());
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, _) => Ok(Self { schema: None, name }),
            (Some(schema), Some(name), None) => Ok(Self {
                schema: Some(schema),
                name,
            }),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |part: &str| {
            if part.contains(['.', '"']) {
                format!("\"{}\"", part.replace('"', "\"\""))
            } else {
                part.to_owned()
            }
        };
        if let Some(schema) = &self.schema {
            write!(f, "{}.", part(schema))?;
        }
        f.write_str(&part(&self.name))
    }
}

impl From<&TableName> for bindings::TableName {
    fn from(table: &TableName) -> Self {
        Self {
            schema: table.schema.clone(),
            name: table.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_round_trip() {
        for (text, schema, name) in [
            ("t", None, "t"),
            ("s.t", Some("s"), "t"),
            ("\"a.b\".\"c\"\"d\"", Some("a.b"), "c\"d"),
            ("Ünïcode", None, "Ünïcode"),
            ("with space", None, "with space"),
        ] {
            let parsed: TableName = text.parse().unwrap();
            assert_eq!(
                (parsed.schema.as_deref(), parsed.name.as_str()),
                (schema, name),
                "{text}"
            );
            assert_eq!(parsed.to_string().parse::<TableName>().unwrap(), parsed);
        }
        for text in ["", ".", "a.", ".b", "a.b.c", "\"open", "a\0b"] {
            assert!(text.parse::<TableName>().is_err(), "{text:?}");
        }
    }
}
