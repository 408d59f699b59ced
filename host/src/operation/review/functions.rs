//! What functions do, by their names.
//!
//! A server that plans a statement tells this better, from how its functions are declared. The names
//! here are for what it does not plan, and for what it declares harmless and is not.

use crate::operation::sql::Dialect;
use crate::types::TableName;

/// Those of PostgreSQL that change something, reach beyond the database, wait, run a text as SQL, or
/// read tables that they are told by name. Beside them, all that begin with `pg_`.
const POSTGRES: &[&str] = &[
    "connectby",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "crosstabn",
    "currval",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "lastval",
    "loread",
    "lowrite",
    "nextval",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "set_config",
    "setval",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];

/// Beginnings of such names.
const POSTGRES_BEGINNINGS: &[&str] = &["binary_upgrade_", "dblink", "lo_"];

const SQLITE: &[&str] = &[
    "edit",
    "fts3_tokenizer",
    "load_extension",
    "readfile",
    "sqlite_dbpage",
    "writefile",
];

/// Of MySQL, SQL Server, BigQuery and Snowflake.
const OTHERS: &[&str] = &[
    "benchmark",
    "external_query",
    "get_lock",
    "load_file",
    "opendatasource",
    "openquery",
    "openrowset",
    "openxml",
    "release_all_locks",
    "release_lock",
    "result_scan",
    "sleep",
];

const OTHER_BEGINNINGS: &[&str] = &["sp_", "system$", "xp_"];

/// Of those that begin with `pg_`, the ones that only tell something of their arguments.
const HARMLESS_OF_SERVER: &[&str] = &[
    "pg_client_encoding",
    "pg_column_compression",
    "pg_column_size",
    "pg_collation_for",
    "pg_input_is_valid",
    "pg_size_bytes",
    "pg_size_pretty",
    "pg_typeof",
];

/// Functions that compute a value, or tell the time or chance: those of PostgreSQL that are declared
/// stable or immutable and read no table by its name, and those of other dialects that are alike.
/// What no server looks at may call these and no others: that a name is not among them says nothing
/// against it, only that there is nobody to ask.
const KNOWN: &str = include_str!("functions/known.txt");

/// A function without the schema of the server's own.
pub(super) fn plain(function: &TableName) -> TableName {
    match function.schema.as_deref() {
        Some("pg_catalog") => TableName::new(function.name.clone()),
        _ => function.clone(),
    }
}

/// Whether a function is known to do more than compute a value, whatever is called like it.
pub(super) fn is_hazard(dialect: Dialect, function: &TableName) -> bool {
    let name = function.name.to_ascii_lowercase();
    let (names, beginnings): (&[&str], &[&str]) = match dialect {
        Dialect::Postgres | Dialect::Redshift => (POSTGRES, POSTGRES_BEGINNINGS),
        Dialect::Sqlite => (SQLITE, &[]),
        _ => (OTHERS, OTHER_BEGINNINGS),
    };
    let of_server = matches!(dialect, Dialect::Postgres | Dialect::Redshift)
        && name.starts_with("pg_")
        && !HARMLESS_OF_SERVER.contains(&&*name);
    of_server || names.contains(&&*name) || beginnings.iter().any(|begins| name.starts_with(begins))
}

/// Whether a function is known to compute a value and nothing else.
pub(super) fn is_known(function: &TableName) -> bool {
    let name = function.name.to_ascii_lowercase();
    let known =
        KNOWN.split_whitespace().any(|known| known == name) || HARMLESS_OF_SERVER.contains(&&*name);
    known && plain(function).schema.is_none()
}
