//! Whether lineitem survives the way out and back, value by value.
//!
//! Out: the `dagflux` command exports the table to Parquet, and every column of the file
//! is summed up beside the server's own sums of the table. Back: the command imports the
//! file into an empty table, and the server compares both tables with `EXCEPT`.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Server, ServerOptions, connector_path, tpch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::product::Address;
use crate::report::Report;

/// What a column comes to: of numbers and days themselves, of text its octets.
#[derive(Clone, Default, PartialEq, Eq)]
struct Sums {
    count: i128,
    least: Option<Value>,
    most: Option<Value>,
    sum: i128,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i128),
    Text(String),
}

impl Sums {
    fn number(&mut self, value: i128) {
        self.sum += value;
        self.take(Value::Number(value));
    }

    fn text(&mut self, value: &str, padded: bool) {
        self.sum += value.len() as i128;
        // The server compares `char(n)` without its padding.
        let compared = if padded {
            value.trim_end_matches(' ')
        } else {
            value
        };
        self.take(Value::Text(compared.to_owned()));
    }

    fn take(&mut self, value: Value) {
        self.count += 1;
        if self.least.as_ref().is_none_or(|least| value < *least) {
            self.least = Some(value.clone());
        }
        if self.most.as_ref().is_none_or(|most| value > *most) {
            self.most = Some(value);
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
        let (least, most) = (shown(&self.least), shown(&self.most));
        write!(
            f,
            "{} values, {least:?} to {most:?}, sum {}",
            self.count, self.sum
        )
    }
}

/// Exports, compares, imports, compares.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(&ServerOptions::new().with_setting("autovacuum", "off")).await?;
    let database = server.database("exact").await?;
    eprintln!("loading lineitem at scale factor 1");
    tpch::load(&database, 1.0, &[tpch::Table::LineItem]).await?;
    let sql = database.sql().await?;
    sql.batch_execute("CREATE TABLE back (LIKE lineitem)")
        .await?;
    let folder = tempfile::tempdir()?;
    let command = Dagflux::new(folder.path(), &Address::of(&database))?;
    let file = folder.path().join("lineitem.parquet");
    let file_name = file.to_string_lossy();

    let start = Instant::now();
    command.run(&["export", "here", "lineitem", "--output", &file_name])?;
    eprintln!("exported in {:.2?}", start.elapsed());
    let (rows, theirs) = (rows(&sql, "lineitem").await?, server_sums(&sql).await?);
    let (file_rows, ours) = file_sums(&file)?;
    ensure!(rows == file_rows, "the file has {file_rows} rows of {rows}");
    let mut different = 0;
    for ((name, theirs), (_, ours)) in theirs.iter().zip(&ours) {
        eprintln!("  {name:<16} {ours}");
        if theirs != ours {
            eprintln!("  {:<16} {theirs}, says the server", "");
            different += 1;
        }
    }
    ensure!(
        theirs.len() == ours.len(),
        "the file has {} columns",
        ours.len()
    );

    let start = Instant::now();
    command.run(&["import", "here", &file_name, "back"])?;
    eprintln!("imported in {:.2?}", start.elapsed());
    let except = "SELECT (SELECT count(*) FROM (TABLE lineitem EXCEPT ALL TABLE back) a)
        + (SELECT count(*) FROM (TABLE back EXCEPT ALL TABLE lineitem) b)";
    let lost: i64 = sql.query_one(except, &[]).await?.get(0);
    report.amount(
        "lineitem out: columns that differ",
        f64::from(different),
        0.0,
        "",
    );
    report.amount(
        "lineitem out and back: rows that differ",
        lost as f64,
        0.0,
        "",
    );
    Ok(())
}

async fn rows(sql: &Client, table: &str) -> Result<i64> {
    Ok(sql
        .query_one(&format!("SELECT count(*) FROM {table}"), &[])
        .await?
        .get(0))
}

/// What the server makes of every column of lineitem, in one pass each.
async fn server_sums(sql: &Client) -> Result<Vec<(String, Sums)>> {
    let mut sums = Vec::new();
    for column in tpch::Table::LineItem.columns().split(", ") {
        let (name, data_type) = column.split_once(' ').context("a column without a type")?;
        let is_text = data_type.contains("char");
        let (value, size) = match data_type {
            _ if is_text => (
                format!("{name}::text COLLATE \"C\""),
                format!("octet_length({name})"),
            ),
            "date" => (
                format!("({name} - date '1970-01-01')"),
                format!("({name} - date '1970-01-01')"),
            ),
            _ if data_type.starts_with("decimal") => {
                (format!("({name} * 100)::bigint"), format!("({name} * 100)"))
            }
            _ => (name.to_owned(), name.to_owned()),
        };
        let row = sql
            .query_one(
                &format!(
                    "SELECT count({name}), min({value})::text, max({value})::text,
                        sum({size})::numeric(38)::text FROM lineitem"
                ),
                &[],
            )
            .await?;
        let value = |at: usize| -> Result<Value> {
            let text: String = row.get(at);
            Ok(if is_text {
                Value::Text(text)
            } else {
                Value::Number(text.parse()?)
            })
        };
        let sum: String = row.get(3);
        sums.push((
            name.to_owned(),
            Sums {
                count: i128::from(row.get::<_, i64>(0)),
                least: Some(value(1)?),
                most: Some(value(2)?),
                sum: sum.parse()?,
            },
        ));
    }
    Ok(sums)
}

fn file_sums(file: &Path) -> Result<(i64, Vec<(String, Sums)>)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.build()?;
    let mut rows = 0;
    let mut sums: Vec<(String, Sums)> = Vec::new();
    for batch in reader {
        let batch = batch?;
        rows += batch.num_rows() as i64;
        if sums.is_empty() {
            let names = batch
                .schema_ref()
                .fields()
                .iter()
                .map(|field| field.name().clone());
            sums.extend(names.map(|name| (name, Sums::default())));
        }
        for (column, (name, sums)) in batch.columns().iter().zip(&mut sums) {
            add(column, is_padded(name), sums)?;
        }
    }
    Ok((rows, sums))
}

/// Whether a column of lineitem is a `char(n)`.
fn is_padded(name: &str) -> bool {
    let columns = tpch::Table::LineItem.columns();
    columns
        .split(", ")
        .filter_map(|column| column.split_once(' '))
        .any(|(known, data_type)| known == name && data_type.starts_with("char("))
}

fn add(column: &ArrayRef, padded: bool, sums: &mut Sums) -> Result<()> {
    match column.data_type() {
        DataType::Int32 => each(column.as_primitive::<Int32Type>().iter(), |value| {
            sums.number(value.into())
        }),
        DataType::Int64 => each(column.as_primitive::<Int64Type>().iter(), |value| {
            sums.number(value.into())
        }),
        DataType::Date32 => each(column.as_primitive::<Date32Type>().iter(), |value| {
            sums.number(value.into())
        }),
        DataType::Decimal128(15, 2) => {
            each(column.as_primitive::<Decimal128Type>().iter(), |value| {
                sums.number(value)
            });
        }
        DataType::Utf8 => each(column.as_string::<i32>().iter(), |value| {
            sums.text(value, padded)
        }),
        other => bail!("a column of the unexpected type {other}"),
    }
    Ok(())
}

fn each<T>(values: impl Iterator<Item = Option<T>>, take: impl FnMut(T)) {
    values.flatten().for_each(take);
}

/// The command, with a connection file that names one connection, `here`.
struct Dagflux {
    program: PathBuf,
    connections: PathBuf,
    connectors: PathBuf,
    password: String,
}

impl Dagflux {
    fn new(folder: &Path, address: &Address) -> Result<Self> {
        let connections = folder.join("connections.toml");
        let Address {
            host,
            port,
            database,
            username,
            ..
        } = address;
        std::fs::write(
            &connections,
            format!(
                "[here]\nconnector = \"postgres\"\nhost = \"{host}\"\nport = {port}\ndatabase = \"{database}\"\n\
                 username = \"{username}\"\npassword = {{ env = \"DAGFLUX_BENCH_PASSWORD\" }}\n"
            ),
        )?;
        let program = std::env::current_exe()?.with_file_name("dagflux");
        ensure!(
            program.exists(),
            "there is no `dagflux` beside this program: run `cargo xtask bench exact`"
        );
        let connector = connector_path("postgres")?;
        let connectors = connector
            .parent()
            .context("a connector in no folder")?
            .to_owned();
        Ok(Self {
            program,
            connections,
            connectors,
            password: address.password.clone(),
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let status = Command::new(&self.program)
            .args(arguments)
            .env("DAGFLUX_CONNECTIONS", &self.connections)
            .env(
                "DAGFLUX_GRANTS",
                self.connections.with_file_name("grants.toml"),
            )
            .env("DAGFLUX_CONNECTORS", &self.connectors)
            .env("DAGFLUX_BENCH_PASSWORD", &self.password)
            .status()?;
        ensure!(
            status.success(),
            "`dagflux {}` failed ({status})",
            arguments.join(" ")
        );
        Ok(())
    }
}
