//! Random rows of every type, there and back. From Arrow: written into a table that the write
//! creates, read, and compared in Arrow. From the server: read, written into a copy, and
//! compared in the server.
//!
//! The rows are the same on every run; `DAGFLUX_TEST_SEED` draws others.

mod columns;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::env::{self, VarError};

use anyhow::{Context, Result, ensure};
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use dagflux_host::{
    Connection, LossPolicy, OnLoss, ReadOptions, TableName, WriteMode, WriteOptions,
};
use dagflux_test_support::Database;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Handle;

use self::columns::Kind;
use super::whole;
use crate::assertions::value;
use crate::fixture;

/// How many rows there are in all at least, and in one table at most.
const ROWS: usize = 10_000;
const MOST_ROWS: usize = 1000;

/// How often a table that fails is made smaller.
const SHRINKS: u32 = 60;

fn seed() -> Result<u64> {
    let seed = match env::var("DAGFLUX_TEST_SEED") {
        Ok(chosen) => chosen
            .parse()
            .with_context(|| format!("DAGFLUX_TEST_SEED={chosen} is not a whole number"))?,
        Err(VarError::NotPresent) => 3,
        Err(error) => return Err(error).context("DAGFLUX_TEST_SEED"),
    };
    println!("DAGFLUX_TEST_SEED={seed}");
    Ok(seed)
}

/// Rows of all kinds at once.
fn tables() -> impl Strategy<Value = RecordBatch> {
    let kinds = columns::all();
    (1..=MOST_ROWS).prop_flat_map(move |rows| {
        let columns: Vec<_> = kinds.iter().map(|kind| kind.values(rows)).collect();
        let fields: Vec<_> = kinds.iter().map(|kind: &Kind| kind.field.clone()).collect();
        let schema: SchemaRef = Schema::new(fields).into();
        columns.prop_map(move |columns| {
            RecordBatch::try_new(schema.clone(), columns).expect("columns of one length")
        })
    })
}

/// Draws one table.
fn runner(seed: u64, number: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    let config = Config {
        cases: 1,
        max_shrink_iters: SHRINKS,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read() -> Result<()> {
    let database = fixture::database("types_random").await?;
    let client = database.sql().await?;
    client.batch_execute(columns::TYPES).await?;
    let mut connection = fixture::connect(&database).await?;
    let seed = seed()?;
    let runtime = Handle::current();
    let tests = || {
        let rows = Cell::new(0);
        let connection = RefCell::new(&mut connection);
        let test = |batch: RecordBatch| {
            rows.set(rows.get() + batch.num_rows());
            let connection = &mut connection.borrow_mut();
            runtime
                .block_on(there_and_back(connection, &batch))
                .map_err(|error| TestCaseError::fail(format!("{error:#}")))
        };
        let tables = tables();
        for number in 0_u64.. {
            match runner(seed, number).run(&tables, test) {
                Ok(()) if rows.get() >= ROWS => break,
                Ok(()) => {}
                Err(TestError::Fail(why, batch)) => anyhow::bail!(
                    "seed {seed}, table {number}, down to {} rows: {why}",
                    batch.num_rows()
                ),
                Err(error) => anyhow::bail!("seed {seed}, table {number}: {error}"),
            }
        }
        Ok(())
    };
    tokio::task::block_in_place(tests)
}

async fn there_and_back(connection: &mut Connection, batch: &RecordBatch) -> Result<()> {
    let table = TableName::new("random");
    connection.execute("DROP TABLE IF EXISTS random").await?;
    let create = WriteOptions::new(WriteMode::Create);
    let mut sink = connection.write(&table, batch.schema(), create).await?;
    sink.write(batch).await?;
    let report = sink.finish().await?;
    ensure!(report.inserted == batch.num_rows() as u64, "{report:?}");
    let read = whole(connection.read(&table, ReadOptions::default()).await?).await?;
    ensure!(
        names(&read) == names(batch),
        "the columns read are {:?}",
        names(&read)
    );
    ensure!(
        read.num_rows() == batch.num_rows(),
        "{} rows written, {} read",
        batch.num_rows(),
        read.num_rows()
    );
    let pairs = batch.columns().iter().zip(read.columns());
    let fields = batch.schema();
    for ((written, read), field) in pairs.zip(fields.fields()) {
        let (written, read) = (bare(written), bare(read));
        if written.as_ref() == read.as_ref() {
            continue;
        }
        let name = field.name();
        ensure!(
            written.data_type() == read.data_type(),
            "{name}: written as {}, read as {}",
            written.data_type(),
            read.data_type()
        );
        let different = |row: &usize| written.slice(*row, 1) != read.slice(*row, 1);
        let row = (0..written.len()).find(different).unwrap_or_default();
        anyhow::bail!(
            "{name}, row {}: written {:?}, read {:?}",
            row + 1,
            written.slice(row, 1),
            read.slice(row, 1)
        );
    }
    Ok(())
}

fn names(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    fields.map(|field| field.name().clone()).collect()
}

/// An array whose nested fields say nothing of themselves: the data alone counts.
fn bare(array: &ArrayRef) -> ArrayRef {
    let data_type = bare_type(array.data_type());
    make_array(retyped(array.to_data(), &data_type))
}

fn bare_type(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        let bare = field.as_ref().clone().with_metadata(HashMap::new());
        let data_type = bare_type(field.data_type());
        bare.with_data_type(data_type).into()
    };
    match data_type {
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

type Data = arrow_data::ArrayData;

fn retyped(data: Data, data_type: &DataType) -> Data {
    let inner: Vec<&DataType> = match data_type {
        DataType::List(item) => vec![item.data_type()],
        DataType::Map(entries, _) => vec![entries.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        _ => Vec::new(),
    };
    let children = data.child_data().iter().cloned().zip(inner);
    let children = children
        .map(|(child, inner)| retyped(child, inner))
        .collect();
    data.into_builder()
        .data_type(data_type.clone())
        .child_data(children)
        .build()
        .expect("only names have changed")
}

/// A table that the server fills with [`ROWS`] rows, and an empty copy.
const SERVED: &str = include_str!("served.sql");

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_written() -> Result<()> {
    let database = fixture::database("types_served").await?;
    serve(&database).await?;
    let client = database.sql().await?;
    let mut connection = fixture::connect(&database).await?;
    let losses = LossPolicy::new(OnLoss::Text);
    let options = ReadOptions::default().with_losses(losses);
    let served = TableName::new("served");
    let batches = fixture::batches(connection.read(&served, options).await?).await?;
    let schema = batches.first().context("no rows")?.schema();
    let copy = TableName::new("copy");
    let mut sink = connection
        .write(&copy, schema, WriteOptions::default())
        .await?;
    for batch in &batches {
        sink.write(batch).await?;
    }
    assert_eq!(sink.finish().await?.inserted, ROWS as u64);
    let names = value(
        &client,
        "SELECT string_agg(quote_ident(attname), ' ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = 'served'::regclass AND attnum > 0",
    );
    for name in names.await?.split(' ') {
        let differences = format!(
            "SELECT count(*) || coalesce(': ' || min(left(format('row %s: %s, %s', id, a, b), 300)), '')
             FROM (SELECT id, s.{name}::text AS a, c.{name}::text AS b
                   FROM served s FULL JOIN copy c USING (id)) AS joined
             WHERE a IS DISTINCT FROM b"
        );
        assert_eq!(value(&client, &differences).await?, "0", "{name}");
    }
    Ok(())
}

async fn serve(database: &Database<'_>) -> Result<()> {
    let client = database.sql().await?;
    let seed = format!("SELECT setseed({})", (seed()? % 1000) as f64 / 1000.0);
    client.batch_execute(&seed).await?;
    client.batch_execute(SERVED).await?;
    Ok(())
}
