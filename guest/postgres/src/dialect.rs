//! How PostgreSQL's SQL is written.

/// The most bytes of a name that PostgreSQL keeps apart; what is longer it cuts off silently.
pub const LONGEST_NAME: usize = 63;

/// `name` as a quoted identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name with its schema, both quoted.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}
