//! The command line.

mod check;
mod examples;
mod import;
mod losses;
mod operate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dagflux_host::TableName;

use crate::formats::Format;

pub use check::{CheckArgs, SetUpArgs};
pub use import::{ImportArgs, Mode};
pub use losses::{LossArgs, word};
pub use operate::{OperationArgs, PlacedTable, PromptArgs, RunArgs};

/// Databases through sandboxed connectors, from a terminal.
///
/// A connection is named in a connection file; the connector it names runs in a
/// sandbox that can reach the one address of that connection and never holds
/// its password.
#[derive(Debug, Parser)]
#[command(name = "dagflux", version, max_term_width = 100, after_long_help = crate::help::after_help())]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What applies to every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The connection file [default: dagflux/connections.toml in the user's configuration folder]
    #[arg(long, global = true, value_name = "FILE", env = "DAGFLUX_CONNECTIONS")]
    pub connections: Option<PathBuf>,

    /// A folder with connectors; can be given several times
    ///
    /// `connector = "postgres"` means postgres.wasm in the first of these folders that has it. After the
    /// folders given: `connectors` beside this program, target/connectors of a source tree it was built
    /// in, and dagflux/connectors in the user's data folder. In the variable, folders are separated as in
    /// PATH.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "DAGFLUX_CONNECTORS",
        value_delimiter = if cfg!(windows) { ';' } else { ':' }
    )]
    pub connectors: Vec<PathBuf>,

    /// Print JSON instead of text, errors included; see below for the shapes
    #[arg(long, global = true)]
    pub json: bool,

    /// How long a statement may run, such as 30s, 5m or 500ms [default: the server's own limit]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub statement_timeout: Option<Duration>,

    /// For how long to try again, where nothing can have happened: 30s, 5m
    ///
    /// A server that refuses connections, has too many or is starting up, and a change or an import that
    /// lost against another transaction. Not a wrong password, a certificate, or a time limit.
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub retry: Option<Duration>,

    /// Where a connection is given by a URL: take what is not in it from PG* variables and ~/.pgpass
    ///
    /// As psql would. In the connection file, `libpq = true` says so.
    #[arg(long, global = true)]
    pub libpq: bool,

    /// Set a limit of the sandbox, such as memory=512MiB; can be given several times
    ///
    /// `dagflux limits` lists them. A limit that the connection file sets for a connection gives way to this.
    #[arg(long = "limit", global = true, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub limits: Vec<(String, String)>,

    /// Say at the end what the command's sandbox used, on standard error
    #[arg(long, global = true)]
    pub receipt: bool,

    /// The file that records what connectors were granted [default: dagflux/grants.toml in the user's data folder]
    #[arg(long, global = true, value_name = "FILE", env = "DAGFLUX_GRANTS")]
    pub grants: Option<PathBuf>,

    /// Log what happens to standard error; -vv for more. Never SQL text, never secrets
    #[arg(short, long, visible_alias = "trace", global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a connector is and which fields a connection of it has
    #[command(
        after_long_help = "Example:\n  dagflux describe postgres\n  dagflux describe postgres --json-schema > postgres.schema.json"
    )]
    Describe {
        /// A connector's name, or the path of its .wasm file
        connector: String,
        /// Print the JSON Schema (draft 2020-12) of a connection instead
        #[arg(long)]
        json_schema: bool,
    },

    /// Show what a connector's file holds and asks for, or what one asks for and another does not
    #[command(after_long_help = examples::INSPECT)]
    Inspect {
        /// A connector's name, or the path of its .wasm file
        connector: String,
        /// Another one, such as a new version: shows what it asks for beyond the first
        other: Option<String>,
    },

    /// Grant a connector what it asks for
    #[command(after_long_help = examples::GRANT)]
    Grant {
        /// The connector, as the connection file calls it: by name, or by path
        connector: String,
    },

    /// Show the limits of the sandbox, and where each comes from
    #[command(
        after_long_help = "Example:\n  dagflux limits\n  dagflux limits sales --limit memory=1GiB"
    )]
    Limits {
        /// A connection, for what the connection file says of it
        connection: Option<String>,
    },

    /// Compile a component from standard input to standard output
    #[command(name = COMPILE, hide = true)]
    Compile,

    /// List the connections of the connection file, and whether each is complete
    #[command(after_long_help = "Shows no sensitive values.\n\nExample:\n  dagflux connections")]
    Connections,

    /// Connect, and say what stands in the way of using the connection, and the SQL that mends it
    #[command(after_long_help = examples::CHECK)]
    Check(CheckArgs),

    /// Print the SQL that creates a user with what it needs; connects to nothing
    #[command(name = "setup-sql", after_long_help = examples::SETUP_SQL)]
    SetupSql(SetUpArgs),

    /// Show the certificate of a server, without logging in, and whether it is accepted
    #[command(after_long_help = examples::CERTIFICATE)]
    Certificate(CertificateArgs),

    /// List the schemas, without the system's own
    #[command(after_long_help = "Example:\n  dagflux schemas sales")]
    Schemas {
        /// The connection, as it is called in the connection file, or a URL without its password
        connection: String,
    },

    /// List tables, views and whatever else can be read like them
    #[command(after_long_help = "Example:\n  dagflux tables sales --schema public")]
    Tables {
        /// The connection, as it is called in the connection file, or a URL without its password
        connection: String,
        /// Only the tables of this schema
        #[arg(long)]
        schema: Option<String>,
    },

    /// List the columns of a table, or of every table of a schema
    #[command(after_long_help = "Example:\n  dagflux columns sales public.orders")]
    Columns {
        /// The connection, as it is called in the connection file, or a URL without its password
        connection: String,
        /// The table; "table", "schema.table", or with double quotes as in SQL
        table: Option<TableName>,
        /// Only the columns of this schema
        #[arg(long, conflicts_with = "table")]
        schema: Option<String>,
    },

    /// Show the first rows of a table
    #[command(after_long_help = examples::PREVIEW)]
    Preview {
        /// The connection, as it is called in the connection file, or a URL without its password
        connection: String,
        /// The table; "table", "schema.table", or with double quotes as in SQL
        table: TableName,
        /// How many rows
        #[arg(short = 'n', long, default_value_t = 5)]
        rows: u32,
        /// What becomes of values that Arrow cannot hold.
        #[command(flatten)]
        losses: LossArgs,
    },

    /// Run one statement that returns rows and changes nothing
    #[command(after_long_help = examples::QUERY)]
    Query {
        /// The connection, as it is called in the connection file, or a URL without its password
        connection: String,
        /// The statement
        #[command(flatten)]
        statement: StatementArgs,
        /// What becomes of values that Arrow cannot hold.
        #[command(flatten)]
        losses: LossArgs,
    },

    /// Run one statement that may change things; it takes effect at once
    #[command(
        after_long_help = "Rows that it returns are discarded.\n\nExample:\n  dagflux execute sales 'DROP TABLE orders_copy'"
    )]
    Execute {
        /// The connection, as it is called in the connection file, or a URL without its password
        connection: String,
        /// The statement
        #[command(flatten)]
        statement: StatementArgs,
    },

    /// Write a table or the result of a query to a file
    #[command(after_long_help = examples::EXPORT)]
    Export(ExportArgs),

    /// Write the rows of a file to a table, all or none
    #[command(after_long_help = examples::IMPORT)]
    Import(ImportArgs),

    /// Show what running a saved operation would do, and what stands in its way
    #[command(after_long_help = examples::PLAN)]
    Plan(OperationArgs),

    /// Run a saved operation; when it fails, nothing was changed
    #[command(after_long_help = examples::RUN)]
    Run(RunArgs),

    /// Say what is wrong with the statements of a saved operation, without running them
    #[command(after_long_help = examples::REVIEW)]
    Review(OperationArgs),

    /// Print what to tell a language model that is to write the statements of an operation
    #[command(after_long_help = examples::PROMPT)]
    Prompt(PromptArgs),

    /// Look at a saved operation: what a node of a workflow does with tables
    #[command(subcommand)]
    Operation(OperationCommand),

    /// Keep a secret of a connection in the operating system's key store
    #[command(subcommand)]
    Secret(SecretCommand),
}

/// A statement: as an argument, from standard input, or from a file.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct StatementArgs {
    /// The statement; - reads it from standard input
    #[arg(value_name = "SQL")]
    pub sql: Option<String>,
    /// Read the statement from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// What to export, and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The connection, as it is called in the connection file, or a URL without its password
    pub connection: String,
    /// What to export.
    #[command(flatten)]
    pub what: ExportSource,
    /// Only these columns, in this order, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with_all = ["query", "query_file"])]
    pub columns: Option<Vec<String>>,
    /// At most so many rows
    #[arg(long, value_name = "ROWS", conflicts_with_all = ["query", "query_file"])]
    pub limit: Option<u64>,
    /// The file; - writes to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The format [default: what the file's name tells]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// What becomes of values that Arrow cannot hold.
    #[command(flatten)]
    pub losses: LossArgs,
}

/// A table or a query.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ExportSource {
    /// The table; "table", "schema.table", or with double quotes as in SQL
    pub table: Option<TableName>,
    /// A statement that returns rows; - reads it from standard input
    #[arg(long, value_name = "SQL")]
    pub query: Option<String>,
    /// Read the statement from a file
    #[arg(long, value_name = "FILE")]
    pub query_file: Option<PathBuf>,
}

/// Whose certificate to show, and what to do with it.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// The connection, as it is called in the connection file, or a URL without its password
    pub connection: String,
    /// Print the certificates in PEM form, and nothing else
    #[arg(long, conflicts_with = "pin")]
    pub pem: bool,
    /// Write the fingerprint into the connection file, so that this certificate is trusted and no other
    #[arg(long)]
    pub pin: bool,
    /// The fingerprint that you were told; without one, you are asked
    #[arg(long, value_name = "SHA256", requires = "pin")]
    pub fingerprint: Option<String>,
}

/// What to do with a saved operation.
#[derive(Debug, Subcommand)]
pub enum OperationCommand {
    /// Hold it against the rules, without a connection; says every one that it breaks
    #[command(after_long_help = examples::OPERATION_CHECK)]
    Check {
        /// The file; - reads it from standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the form of such a file, as JSON Schema
    #[command(after_long_help = "Example:\n  dagflux operation schema > operation.schema.json")]
    Schema,
}

/// What to do with a secret.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a value; it is asked for, or read from standard input
    #[command(
        after_long_help = "The value is never an argument: arguments can be seen by every user of a machine.\n\nExample:\n  dagflux secret set sales.password\n  pass show sales | dagflux secret set sales.password"
    )]
    Set {
        /// The connection and the field, such as sales.password
        #[arg(value_name = "CONNECTION.FIELD", value_parser = field_path)]
        field: (String, String),
    },
    /// Delete a value
    #[command(after_long_help = "Example:\n  dagflux secret delete sales.password")]
    Delete {
        /// The connection and the field, such as sales.password
        #[arg(value_name = "CONNECTION.FIELD", value_parser = field_path)]
        field: (String, String),
    },
}

/// An argument as one types it in a shell.
pub fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '=' | ',');
    if argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}

/// The command by which this program is its own compiler.
pub const COMPILE: &str = "compile-component";

/// Splits `name=value`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write a limit and its value, such as memory=512MiB".into()),
    }
}

/// Reads a duration: a number and `ms`, `s`, `m` or `h`.
fn duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a number and a unit: 500ms, 30s, 5m or 1h".into()),
    };
    let milliseconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    match milliseconds {
        Some(0) | None => Err("write a number above 0 and a unit: 500ms, 30s, 5m or 1h".into()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

/// Splits `connection.field` at its last dot: a connection's name may have one.
fn field_path(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('.') {
        Some((connection, field)) if !connection.is_empty() && !field.is_empty() => {
            Ok((connection.to_owned(), field.to_owned()))
        }
        _ => Err("write the connection and the field, such as sales.password".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for text in ["", "5", "s", "0s", "-1s", "99999999999999999999s", "1 day"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arguments_as_typed() {
        assert_eq!(quoted("a,größe=null"), "a,größe=null");
        assert_eq!(quoted("unit price"), "'unit price'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn no_password_on_the_command_line() {
        for arguments in [
            ["dagflux", "check", "sales", "--password"],
            ["dagflux", "secret", "set", "--value"],
        ] {
            assert!(Cli::try_parse_from(arguments).is_err());
        }
        assert!(
            Cli::try_parse_from(["dagflux", "secret", "set", "sales.password", "hunter2"]).is_err()
        );
    }

    #[test]
    fn one_source_and_one_statement() {
        for arguments in [
            &["dagflux", "query", "sales"][..],
            &["dagflux", "query", "sales", "SELECT 1", "--file", "x.sql"],
            &["dagflux", "export", "sales", "-o", "x.csv"],
            &[
                "dagflux", "export", "sales", "t", "--query", "SELECT 1", "-o", "x.csv",
            ],
            &[
                "dagflux", "export", "sales", "--query", "SELECT 1", "--limit", "3", "-o", "x.csv",
            ],
        ] {
            assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
