//! The types of columns: those that are given, and what the server makes of them.

use std::path::Path;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use dagflux_host::{Connection, Error, ErrorKind, ReadOptions, TableName};

use crate::args::{ImportArgs, Mode};
use crate::failure::Failure;
use crate::formats::{Format, Types};

/// The longest file of columns that is read; one with the most columns a table can have, and
/// long names, is well below.
const MOST_BYTES: u64 = 1024 * 1024;

/// The types that `--type` or `--schema` gives, by column.
///
/// # Errors
/// When the file named cannot be read, or what is given is no list of columns.
pub fn given(args: &ImportArgs, format: Format) -> Result<Vec<(String, String)>, Failure> {
    let Some(schema) = &args.schema else {
        return Ok(args.types.clone());
    };
    if matches!(format, Format::Parquet | Format::Arrow) {
        return Err(Failure::usage(
            "--schema is for csv and jsonl: this file has types of its own",
        )
        .hint("give single columns another type with --type COLUMN=TYPE"));
    }
    let text = match schema.strip_prefix('@') {
        Some(path) => read(Path::new(path))?,
        None => schema.clone(),
    };
    parse(&text)
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::file(format!(
            "cannot read the columns from {}: {error}",
            path.display()
        ))
        .hint("check the path, and that the file is UTF-8 text")
    };
    let bytes = path.metadata().map_err(unreadable)?.len();
    if bytes > MOST_BYTES {
        let message = format!("{} is too long for a list of columns", path.display());
        return Err(Failure::file(message)
            .hint("--schema @FILE names the file with the types, not the rows"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Parses `id bigint, "Unit price" numeric(12,2)`: names as in the file, without folding.
fn parse(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("--schema: {why}")).hint(
            "write every column and its type: --schema 'id bigint, \"Unit price\" numeric(12,2)'",
        )
    };
    let mut columns: Vec<(String, String)> = Vec::new();
    let parts = split(text).map_err(|why| wrong(why.into()))?;
    let last = parts.len().saturating_sub(1);
    for (at, part) in parts.into_iter().enumerate() {
        let part = part.trim();
        if part.is_empty() && at == last && at > 0 {
            // As lists in files often end.
            continue;
        }
        let (name, kind) = column(part)
            .ok_or_else(|| wrong(format!("this is no column and its type: \"{part}\"")))?;
        if columns.iter().any(|(known, _)| *known == name) {
            return Err(wrong(format!("the column \"{name}\" is there twice")));
        }
        columns.push((name, kind));
    }
    Ok(columns)
}

/// Splits at commas that are in no quotes and no parentheses.
fn split(text: &str) -> Result<Vec<&str>, &'static str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted) = (0, 0_u32, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or("a parenthesis is closed that was not opened")?
            }
            ',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    match (quoted, depth) {
        (true, _) => Err("a quote is not closed"),
        (_, 1..) => Err("a parenthesis is not closed"),
        _ => {
            parts.push(text.get(start..).unwrap_or_default());
            Ok(parts)
        }
    }
}

/// A name, in quotes or up to the first blank, and the type behind it.
fn column(text: &str) -> Option<(String, String)> {
    let (name, kind) = match text.strip_prefix('"') {
        Some(rest) => {
            // The quote that ends the name is the first that is not doubled.
            let mut end = 0;
            loop {
                end += rest.get(end..)?.find('"')?;
                match rest
                    .get(end + 1..)
                    .is_some_and(|rest| rest.starts_with('"'))
                {
                    true => end += 2,
                    false => break,
                }
            }
            (rest.get(..end)?.replace("\"\"", "\""), rest.get(end + 1..)?)
        }
        None => {
            let (name, kind) = text.split_once(char::is_whitespace)?;
            (name.to_owned(), kind)
        }
    };
    let kind = kind.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty() && !kind.is_empty()).then_some((name, kind))
}

/// Checks the types given against the columns there are: `--type` names only columns that
/// the file has, `--schema` all of them.
///
/// # Errors
/// Names everything that does not fit.
pub fn check(
    args: &ImportArgs,
    given: &[(String, String)],
    schema: &Schema,
) -> Result<(), Failure> {
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let listed = |names: Vec<&str>| {
        let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        names.join(", ")
    };
    let unknown: Vec<&str> = (given.iter().map(|(name, _)| name.as_str()))
        .filter(|name| !names.contains(name))
        .collect();
    let mut faults = Vec::new();
    if !unknown.is_empty() {
        faults.push(format!("the file has no column {}", listed(unknown)));
    }
    if args.schema.is_some() {
        let typeless: Vec<&str> = (names.iter().copied())
            .filter(|name| given.iter().all(|(known, _)| known != name))
            .collect();
        if !typeless.is_empty() {
            faults.push(format!("--schema has no type for {}", listed(typeless)));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::data(faults.join("; ")).hint(format!(
        "the columns to import are {}; --columns chooses among those of the file",
        names.join(", ")
    )))
}

/// Where the types of a file come from that has none.
///
/// # Errors
/// When the table does not exist, or the connection fails.
pub async fn of_text(
    connection: &mut Connection,
    args: &ImportArgs,
    given: &[(String, String)],
) -> anyhow::Result<Types> {
    if args.mode() == Mode::Create {
        return Ok(Types::Inferred(in_arrow(connection, given).await?));
    }
    let table = of_table(connection, &args.table).await?;
    Ok(table.map(Types::Table).unwrap_or_default())
}

/// The columns of the table as a read of it has them. None when the login may write the
/// table but not read it.
async fn of_table(
    connection: &mut Connection,
    table: &TableName,
) -> anyhow::Result<Option<SchemaRef>> {
    let options = ReadOptions::default().with_limit(0);
    match connection.read(table, options).await {
        Ok(stream) => Ok(Some(stream.schema().clone())),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The Arrow types that the server's types become. A type that cannot be asked for like this
/// goes as text, and is refused by the write itself if it is none.
///
/// # Errors
/// When the server did not answer: that says nothing of the type.
async fn in_arrow(
    connection: &mut Connection,
    given: &[(String, String)],
) -> Result<Vec<Field>, Error> {
    let mut fields = Vec::new();
    for (name, kind) in given {
        // A query: whatever the text is, the server runs one statement, and changes nothing.
        let sql = format!("SELECT CAST(NULL AS {kind}) AS given");
        let field = match connection.query(&sql).await {
            Ok(stream) => stream.schema().fields().first().cloned(),
            Err(error) if is_of_the_type(error.kind()) => None,
            Err(error) => return Err(error),
        };
        let text = || Field::new(name, DataType::Utf8, true);
        fields.push(field.map_or_else(text, |field| field.as_ref().clone().with_name(name)));
    }
    Ok(fields)
}

/// Whether a failure to ask for a type may come from the type.
fn is_of_the_type(kind: ErrorKind) -> bool {
    use ErrorKind::*;
    matches!(
        kind,
        Syntax | Statement | UnsupportedStatement | SchemaNotFound | PermissionDenied | Value
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_their_types() {
        let expected = [
            ("id", "bigint"),
            ("Unit \"net\", price", "numeric(12,2)"),
            ("at", "timestamp(3) with time zone"),
            ("tags", "text[]"),
            ("mood", "\"My Schema\".\"a,b\""),
        ];
        let text = "id bigint,\n  \"Unit \"\"net\"\", price\"numeric(12,2), at  timestamp(3)\twith time zone,\
                    tags text[], mood \"My Schema\".\"a,b\",\n";
        let columns = parse(text).unwrap();
        let columns: Vec<_> = (columns.iter())
            .map(|(name, kind)| (name.as_str(), kind.as_str()))
            .collect();
        assert_eq!(columns, expected);
    }

    #[test]
    fn what_says_nothing_of_a_type() {
        let others: Vec<ErrorKind> = (ErrorKind::ALL.iter().copied())
            .filter(|kind| is_of_the_type(*kind))
            .collect();
        assert_eq!(others.len(), 6);
        for kind in [
            ErrorKind::Cancelled,
            ErrorKind::ConnectionLost,
            ErrorKind::StatementTimeout,
        ] {
            assert!(!is_of_the_type(kind), "{kind}");
        }
    }

    #[test]
    fn faults_of_a_schema() {
        for (text, expected) in [
            ("", "this is no column and its type: \"\""),
            ("id", "this is no column and its type: \"id\""),
            ("id bigint,,n int", "this is no column and its type: \"\""),
            ("id bigint, id int", "the column \"id\" is there twice"),
            ("n numeric(12,2", "a parenthesis is not closed"),
            ("n numeric)", "a parenthesis is closed that was not opened"),
            ("\"n int", "a quote is not closed"),
            ("\"\" int", "this is no column and its type: \"\"\" int\""),
        ] {
            let failure = parse(text).unwrap_err();
            assert_eq!(failure.message, format!("--schema: {expected}"), "{text}");
        }
    }
}
