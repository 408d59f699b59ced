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

/// Functions that compute a value, or the time, or chance. What a server does not plan may call
/// these and no others: that a name is not known here says nothing against it, only that there
/// is nobody to ask.
const KNOWN: &[&str] = &[
    "abs",
    "age",
    "array_append",
    "array_cat",
    "array_length",
    "array_ndims",
    "array_position",
    "array_prepend",
    "array_remove",
    "array_replace",
    "array_to_string",
    "array_upper",
    "ascii",
    "bit_length",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "clock_timestamp",
    "coalesce",
    "concat",
    "concat_ws",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "date",
    "date_bin",
    "date_part",
    "date_trunc",
    "datetime",
    "daterange",
    "decode",
    "digest",
    "div",
    "encode",
    "exp",
    "extract",
    "floor",
    "format",
    "gen_random_uuid",
    "getdate",
    "greatest",
    "hstore",
    "ifnull",
    "iif",
    "initcap",
    "instr",
    "int4range",
    "int8range",
    "isempty",
    "isnull",
    "json",
    "json_array",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_extract",
    "json_object",
    "json_typeof",
    "json_valid",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_path_exists",
    "jsonb_path_match",
    "jsonb_set",
    "jsonb_typeof",
    "julianday",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "lcase",
    "least",
    "left",
    "len",
    "length",
    "ln",
    "localtime",
    "localtimestamp",
    "log",
    "log10",
    "lower",
    "lower_inc",
    "lower_inf",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "mod",
    "newid",
    "now",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "numrange",
    "nvl",
    "octet_length",
    "overlay",
    "pi",
    "position",
    "power",
    "pow",
    "printf",
    "quote_ident",
    "quote_literal",
    "radians",
    "random",
    "regexp_count",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "regexp_substr",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_to_json",
    "rpad",
    "rtrim",
    "scale",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "statement_timestamp",
    "strftime",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "timezone",
    "to_char",
    "to_date",
    "to_hex",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trim",
    "trim_array",
    "trunc",
    "tsrange",
    "tstzrange",
    "typeof",
    "ucase",
    "unicode",
    "unixepoch",
    "unistr",
    "upper",
    "upper_inc",
    "upper_inf",
    "uuid",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
    "width_bucket",
];

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
    let known = KNOWN.contains(&&*name) || HARMLESS_OF_SERVER.contains(&&*name);
    known && plain(function).schema.is_none()
}
