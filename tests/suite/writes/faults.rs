//! What does not fit is named.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    StringArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use dagflux_host::{ErrorKind, TableName, WriteOptions};

use super::{batch, count, insert, numbered};
use crate::assertions::{attribute, failure, still_works};
use crate::fixture;

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_does_not_fit_is_named_at_once() -> Result<()> {
    let database = fixture::database("writes_mismatch").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, name text, needed int NOT NULL, \
             twice int GENERATED ALWAYS AS (1 + 1) STORED, at timestamp, key uuid, blob bytea)",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int32, true),
        Field::new("Name", DataType::Utf8, true),
        Field::new("twice", DataType::Int32, true),
        Field::new("at", DataType::Float64, true),
        Field::new("key", DataType::Int64, true),
        Field::new("blob", DataType::Boolean, true),
        Field::new("unknown", DataType::Utf8, true),
    ]));
    let table = TableName::new("t");
    let result = connection
        .write(&table, schema, WriteOptions::default())
        .await;
    let error = failure(result, ErrorKind::SchemaMismatch);
    for name in ["Name", "twice", "at", "key", "blob", "unknown", "needed"] {
        assert!(
            error.to_string().contains(&format!("\"{name}\"")),
            "{name}: {error}"
        );
        let mut attributes = error.attributes().iter();
        assert!(
            attributes.any(|(key, value)| key == "column" && value == name),
            "{name}"
        );
    }
    still_works(&mut connection).await;
    let none = Arc::new(Schema::empty());
    failure(
        connection
            .write(&table, none, WriteOptions::default())
            .await,
        ErrorKind::SchemaMismatch,
    );
    let twice = Arc::new(Schema::new(vec![
        Field::new("needed", DataType::Int32, true),
        Field::new("needed", DataType::Int32, true),
    ]));
    failure(
        connection
            .write(&table, twice, WriteOptions::default())
            .await,
        ErrorKind::SchemaMismatch,
    );
    // Another schema than the sink was opened with.
    let fine = batch([("needed", Arc::new(Int32Array::from(vec![1])) as ArrayRef)])?;
    let other = numbered(0, 1)?;
    let mut sink = connection
        .write(&table, fine.schema(), WriteOptions::default())
        .await?;
    failure(sink.write(&other).await, ErrorKind::SchemaMismatch);
    drop(sink);
    still_works(&mut connection).await;
    assert_eq!(count(&client, "t").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_out_of_range_name_row_and_column() -> Result<()> {
    let database = fixture::database("writes_range").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (small smallint, n int, amount numeric(5,2), single real, \
             words text, short varchar(3), at timestamp(3), id oid, day date, mixed int[], \
             months interval year to month, hours interval hour)",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let long = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    let intervals = |fine: (i32, i32, i64), other: (i32, i32, i64)| {
        let interval = |(months, days, nanos)| IntervalMonthDayNano::new(months, days, nanos);
        let values = vec![interval(fine), interval(other)];
        Arc::new(IntervalMonthDayNanoArray::from(values)) as ArrayRef
    };
    let decimals = Decimal128Array::from(vec![1000, 1001]).with_precision_and_scale(10, 3)?;
    let cases: Vec<(&str, ArrayRef)> = vec![
        ("small", long(vec![1, 32_768])),
        ("n", long(vec![1, -2_147_483_649])),
        ("amount", Arc::new(decimals)),
        ("amount", long(vec![1, 1000])),
        ("single", long(vec![1, 16_777_217])),
        ("words", text(vec!["fine", "not\0fine"])),
        ("short", text(vec!["abc", "abcd"])),
        (
            "at",
            Arc::new(TimestampNanosecondArray::from(vec![1_000_000, 1_000])),
        ),
        ("id", long(vec![0, -1])),
        ("months", intervals((12, 0, 0), (12, 1, 0))),
        (
            "hours",
            intervals((1, 1, 3_600_000_000_000), (1, 1, 60_000_000_000)),
        ),
        // Read by the server's own input functions.
        ("n", text(vec!["1", "one"])),
        ("day", text(vec!["2000-01-01", "2000-13-01"])),
        ("mixed", text(vec!["{1,2}", "{1,two}"])),
    ];
    for (name, values) in cases {
        // A batch before it: rows are counted from the first of the insert.
        let first = values.slice(0, 1);
        let batches = [batch([(name, first)])?, batch([(name, values.clone())])?];
        let outcome = insert(&mut connection, "t", &batches, WriteOptions::default()).await?;
        let error = failure(outcome, ErrorKind::Value);
        assert_eq!(attribute(&error, "row"), Some("3"), "{name}: {error}");
        assert!(
            attribute(&error, "column") == Some(name)
                || error.to_string().contains(name)
                || error.detail().is_some_and(|detail| detail.contains(name)),
            "{name}: {error} {:?} {:?}",
            error.detail(),
            error.attributes()
        );
        assert_eq!(count(&client, "t").await?, "0", "{name}");
        still_works(&mut connection).await;
    }
    // A float is not silently made a decimal.
    let floats = batch([(
        "amount",
        Arc::new(Float64Array::from(vec![1.5])) as ArrayRef,
    )])?;
    let outcome = insert(&mut connection, "t", &[floats], WriteOptions::default()).await?;
    failure(outcome, ErrorKind::SchemaMismatch);
    Ok(())
}
