//! What `import` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dagflux_host::{Duplicates, TableName, WriteMode, WriteOptions};

use crate::failure::Failure;
use crate::formats::Format;

/// What to import, and where to.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The connection, as it is called in the connection file
    pub connection: String,
    /// The file; - reads standard input, and needs --format
    pub file: PathBuf,
    /// The table; "table", "schema.table", or with double quotes as in SQL
    pub table: TableName,
    /// What to do with the table and the rows it has
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Short for --mode create
    #[arg(long, conflicts_with = "mode")]
    pub create: bool,
    /// With --mode upsert: the columns that tell rows apart [default: the primary key]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub key: Vec<String>,
    /// With --mode upsert: what to do when several rows of the file have one key [default: fail]
    #[arg(long, value_enum, value_name = "CHOICE")]
    pub duplicates: Option<DuplicateRows>,
    /// Do all of it on the server, and then roll it back
    ///
    /// Counts and errors are those of the real import, and so are the locks. Values that defaults took
    /// from sequences stay taken.
    #[arg(long)]
    pub dry_run: bool,
    /// When creating: the type of a column, as the server writes types; can be given several times
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = column_type)]
    pub types: Vec<(String, String)>,
    /// When creating from csv or jsonl: all columns and their types; @FILE reads them from a file
    #[arg(long, value_name = "COLUMNS", conflicts_with = "types")]
    pub schema: Option<String>,
    /// Only these columns of the file, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// The format [default: what the file's name tells]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// What to do with the table and the rows it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Add the rows to those that are there
    #[default]
    Append,
    /// Create the table; it is an error if it exists
    Create,
    /// Put the rows in place of all that are there; the table itself stays as it is
    Replace,
    /// Change the rows that have the key of a new one, and add the rest
    Upsert,
}

/// What to do when several rows have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DuplicateRows {
    /// Stop, and show the keys
    Fail,
    /// The last of them counts
    Last,
}

impl Mode {
    /// Its name, as on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Append => "append",
            Mode::Create => "create",
            Mode::Replace => "replace",
            Mode::Upsert => "upsert",
        }
    }
}

impl ImportArgs {
    /// The mode, however it was given.
    pub fn mode(&self) -> Mode {
        if self.create { Mode::Create } else { self.mode }
    }

    /// Refuses what only means something in another mode, before anything is done.
    ///
    /// # Errors
    /// Names the first such argument, and what to write.
    pub fn checked(&self) -> Result<(), Failure> {
        let mode = self.mode();
        let needs = |argument: &str, needed: Mode| {
            Err(Failure::usage(format!(
                "{argument} has no meaning with --mode {}",
                mode.as_str()
            ))
            .hint(format!(
                "add --mode {}, or leave {argument} out",
                needed.as_str()
            )))
        };
        if mode != Mode::Upsert && !self.key.is_empty() {
            return needs("--key", Mode::Upsert);
        }
        if mode != Mode::Upsert && self.duplicates.is_some() {
            return needs("--duplicates", Mode::Upsert);
        }
        if mode != Mode::Create && !self.types.is_empty() {
            return needs("--type", Mode::Create);
        }
        if mode != Mode::Create && self.schema.is_some() {
            return needs("--schema", Mode::Create);
        }
        let mut names = self.types.iter().map(|(name, _)| name);
        while let Some(name) = names.next() {
            if names.clone().any(|other| other == name) {
                let message = format!("--type gives \"{name}\" two types");
                return Err(Failure::usage(message).hint("give it one"));
            }
        }
        Ok(())
    }

    /// What the write is to do, with the types of columns of a table that is created.
    pub fn options(&self, types: Vec<(String, String)>) -> WriteOptions {
        let mode = match self.mode() {
            Mode::Append => WriteMode::Append,
            Mode::Create => WriteMode::Create,
            Mode::Replace => WriteMode::Replace,
            Mode::Upsert => WriteMode::Upsert {
                key: self.key.clone(),
                duplicates: match self.duplicates {
                    Some(DuplicateRows::Last) => Duplicates::LastWins,
                    Some(DuplicateRows::Fail) | None => Duplicates::Fail,
                },
            },
        };
        let options = WriteOptions::new(mode).with_dry_run(self.dry_run);
        types.into_iter().fold(options, |options, (column, kind)| {
            options.with_type(column, kind)
        })
    }
}

/// Splits `COLUMN=TYPE` at its first `=`, which no type has.
fn column_type(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, kind)) if !column.is_empty() && !kind.trim().is_empty() => {
            Ok((column.to_owned(), kind.trim().to_owned()))
        }
        _ => Err("write a column and its type: amount=numeric(12,2)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn parsed(arguments: &str) -> Result<ImportArgs, String> {
        let all = format!("dagflux import db f.csv t {arguments}");
        let cli = Cli::try_parse_from(all.split_whitespace()).map_err(|error| error.to_string())?;
        let Command::Import(arguments) = cli.command else {
            return Err("another command".into());
        };
        arguments.checked().map_err(|failure| failure.message)?;
        Ok(arguments)
    }

    #[test]
    fn modes() {
        assert_eq!(parsed("").unwrap().mode(), Mode::Append);
        assert_eq!(parsed("--create").unwrap().mode(), Mode::Create);
        let upsert = parsed("--mode upsert --key a,b --duplicates last --dry-run").unwrap();
        let mode = WriteMode::Upsert {
            key: vec!["a".into(), "b".into()],
            duplicates: Duplicates::LastWins,
        };
        assert_eq!(
            upsert.options(Vec::new()),
            WriteOptions::new(mode).with_dry_run(true)
        );
        let create = parsed("--create --type a=numeric(12,2) --type b=int").unwrap();
        assert_eq!(
            create.options(create.types.clone()),
            WriteOptions::new(WriteMode::Create)
                .with_type("a", "numeric(12,2)")
                .with_type("b", "int")
        );
    }

    #[test]
    fn what_does_not_go_together() {
        for (arguments, expected) in [
            ("--create --mode append", "cannot be used with"),
            (
                "--mode create --schema x --type a=int",
                "cannot be used with",
            ),
            ("--key a", "--key has no meaning with --mode append"),
            (
                "--mode replace --duplicates last",
                "--duplicates has no meaning with --mode replace",
            ),
            ("--type a=int", "--type has no meaning with --mode append"),
            (
                "--mode upsert --schema x",
                "--schema has no meaning with --mode upsert",
            ),
            (
                "--create --type a=int --type a=text",
                "--type gives \"a\" two types",
            ),
            ("--create --type a", "write a column and its type"),
            ("--mode merge", "invalid value"),
        ] {
            let error = parsed(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments}: {error}");
        }
    }
}
