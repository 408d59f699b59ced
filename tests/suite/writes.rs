//! An insert is all rows or none, and what is read back is what was written.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use dagflux_host::{Connection, ErrorKind, InsertOptions, ReadOptions, TableName};
use dagflux_test_support::tokio_postgres::Client;

use crate::assertions::{attribute, failure, rows, still_works, value};
use crate::fixture;

/// A batch of columns that may hold nulls.
fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch> {
    let columns = columns.map(|(name, array)| (name, array, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn numbered(from: i64, count: i64) -> Result<RecordBatch> {
    batch([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(from..from + count)),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                (from..from + count).map(|n| format!("row {n}")),
            )),
        ),
    ])
}

/// Writes batches of one schema and commits.
async fn insert(
    connection: &mut Connection,
    table: &str,
    batches: &[RecordBatch],
    options: InsertOptions,
) -> Result<dagflux_host::Result<u64>> {
    let schema = batches.first().context("no batch")?.schema();
    let write = async {
        let mut sink = connection
            .insert(&TableName::new(table), schema, options)
            .await?;
        for batch in batches {
            sink.write(batch).await?;
        }
        sink.finish().await
    };
    Ok(write.await)
}

async fn count(client: &Client, table: &str) -> Result<String> {
    value(client, &format!("SELECT count(*) FROM {table}")).await
}

/// How many rows two tables do not share, compared as text, duplicates counted.
async fn difference(client: &Client, one: &str, other: &str) -> Result<String> {
    value(
        client,
        &format!(
            "SELECT (SELECT count(*) FROM (SELECT t::text FROM {one} t EXCEPT ALL SELECT t::text FROM {other} t) x) \
             + (SELECT count(*) FROM (SELECT t::text FROM {other} t EXCEPT ALL SELECT t::text FROM {one} t) x)"
        ),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_appends_in_one_transaction() -> Result<()> {
    let database = fixture::database("writes_append").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (name text, id bigint); INSERT INTO t VALUES ('old', -1)")
        .await?;
    let mut connection = fixture::connect(&database).await?;
    // Columns are matched by name, not by place.
    let first = numbered(0, 10)?;
    let mut sink = connection
        .insert(
            &TableName::new("t"),
            first.schema(),
            InsertOptions::default(),
        )
        .await?;
    sink.write(&first).await?;
    sink.write(&numbered(10, 10)?).await?;
    sink.write(&first.slice(0, 0)).await?;
    assert_eq!(
        count(&client, "t").await?,
        "1",
        "rows show before the commit"
    );
    assert_eq!(sink.finish().await?, 20);
    assert_eq!(count(&client, "t").await?, "21");
    assert_eq!(
        value(&client, "SELECT name FROM t WHERE id = 15").await?,
        "row 15"
    );
    // Nothing written is nothing committed, and no failure.
    let sink = connection
        .insert(
            &TableName::new("t"),
            first.schema(),
            InsertOptions::default(),
        )
        .await?;
    assert_eq!(sink.finish().await?, 0);
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_sink_writes_nothing() -> Result<()> {
    let database = fixture::database("writes_drop").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id bigint, name text)")
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let batch = numbered(0, 50_000)?;
    for written in [0, 1, 5] {
        for create in [false, true] {
            let table = if create { "made" } else { "t" };
            let options = InsertOptions::default().with_create(create);
            let mut sink = connection
                .insert(&TableName::new(table), batch.schema(), options)
                .await?;
            for _ in 0..written {
                sink.write(&batch).await?;
            }
            drop(sink);
            still_works(&mut connection).await;
            assert_eq!(count(&client, "t").await?, "0");
            let made = rows(&client, "SELECT 1 FROM pg_class WHERE relname = 'made'").await?;
            assert!(made.is_empty());
        }
    }
    // A connection that goes away with its sink leaves nothing either.
    let mut sink = connection
        .insert(
            &TableName::new("t"),
            batch.schema(),
            InsertOptions::default(),
        )
        .await?;
    sink.write(&batch).await?;
    drop(sink);
    drop(connection);
    assert_eq!(count(&client, "t").await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_the_middle_writes_nothing() -> Result<()> {
    let database = fixture::database("writes_failure").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id bigint CONSTRAINT t_key PRIMARY KEY, name text NOT NULL, \
             n int CONSTRAINT small CHECK (n < 100)); GRANT ALL ON t TO dagflux",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let with_n = |id: i64, name: Option<&str>, n: Option<i32>| {
        batch([
            (
                "id",
                Arc::new(Int64Array::from(vec![id, id + 1])) as ArrayRef,
            ),
            (
                "name",
                Arc::new(StringArray::from(vec![Some("fine"), name])),
            ),
            ("n", Arc::new(Int32Array::from(vec![Some(1), n]))),
        ])
    };
    let fine = with_n(1, Some("x"), Some(1))?;
    for (faulty, sqlstate, constraint) in [
        (with_n(10, None, Some(1))?, "23502", None),
        (with_n(10, Some("x"), Some(100))?, "23514", Some("small")),
        (with_n(0, Some("x"), None)?, "23505", Some("t_key")),
    ] {
        let outcome = insert(
            &mut connection,
            "t",
            &[fine.clone(), faulty, with_n(20, Some("x"), None)?],
            InsertOptions::default(),
        )
        .await?;
        let error = failure(outcome, ErrorKind::Constraint);
        assert_eq!(error.sqlstate(), Some(sqlstate));
        assert_eq!(attribute(&error, "constraint"), constraint);
        assert_eq!(attribute(&error, "table"), Some("t"));
        assert!(
            attribute(&error, "row").is_some(),
            "{error:?} {:?}",
            error.attributes()
        );
        assert_eq!(count(&client, "t").await?, "0");
        still_works(&mut connection).await;
    }
    Ok(())
}

/// A table with a column of every kind of type, and rows with nulls and extremes.
const EVERYTHING: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN percent AS numeric(5,2);
    CREATE DOMAIN short AS varchar(5);
    CREATE TABLE every (
        id int, flag boolean, small smallint, big bigint, single real, double double precision,
        amount numeric(12,3), large numeric(60,5), exact numeric, hundreds numeric(5,-2),
        words text, somewhat varchar(20), padded char(6), ident name, bytes bytea, key uuid,
        plain json, packed jsonb, day date, clock time, rough time(0), zoned_clock timetz,
        at timestamp, tz timestamptz, milli timestamptz(3), span interval, months interval year to month,
        years interval year, hours interval day to hour, thousandths interval second(3),
        ref oid, feeling mood, percent percent, short short, cash money,
        list int[], names text[], span_of int4range, addr inet, spot point, couple pair, bits varbit, lex tsvector
    );
    INSERT INTO every (id) VALUES (0);
    INSERT INTO every SELECT g, g % 2 = 0, g - 500, g * 9000000000000, g / 7.0, g / 7.0::float8,
        g * 1234.567, g * 1e40::numeric / 7, g / 3.0, g * 1000,
        E'wörds \\t\\n\\\\ \\\\N ' || g, 'some ' || g, 'p' || g % 10, 'n' || g, decode(md5(g::text), 'hex'), md5(g::text)::uuid,
        json_build_object('g', g, 'b', E'\\\\'), jsonb_build_object('g', g), date '1999-06-01' + g, time '00:00' + g * interval '1.5 s',
        time '00:00' + g * interval '1 s', timetz '12:00+02',
        timestamp '1999-12-31' + g * interval '1.000001 s', timestamptz '1969-12-31 12:00+00' + g * interval '1 min',
        timestamptz '1969-12-31 12:00+00' + g * interval '1 ms', g * interval '1 mon -2 days 3.5 s', g * interval '1 month',
        g * interval '1 month', g * interval '1 day 90 min', g * interval '1.00049 s',
        g, (ARRAY['sad', 'so so', 'glad'])[1 + g % 3]::mood, g % 100, 's' || g % 100, g::money,
        ARRAY[g, NULL, -g], ARRAY['a,' || g, E'b\\\\\\\\\"', NULL, 'NULL'], int4range(g, g + 5), ('10.0.' || g % 256 || '.1')::inet,
        point(g, -g), (g, E'x\\\\,\\ty')::pair, (g::bit(10))::varbit, to_tsvector('english', 'word ' || g)
        FROM generate_series(1, 1000) g;
    INSERT INTO every (id, day, at, tz, clock, span, amount, double, words, bytes, small, big) VALUES
        (-1, '4714-11-24 BC', '4714-11-24 BC', '4714-11-24 00:00:00+00 BC', '00:00', '0', -999999999.999, '-Infinity', '', '', -32768, -9223372036854775808),
        (-2, '5874897-12-31', '294247-01-10 04:00:54.775807', '294247-01-10 04:00:54.775807+00', '23:59:59.999999', '-178000000 years', 999999999.999, 'NaN', '日本語 🧀', '\\x00ff', 32767, 9223372036854775807);
    CREATE TABLE copy (LIKE every);
    CREATE TABLE narrow_copy (LIKE every);
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_and_written_is_the_same() -> Result<()> {
    let database = fixture::database("writes_round_trip").await?;
    let client = database.sql().await?;
    client.batch_execute(EVERYTHING).await?;
    let mut connection = fixture::connect(&database).await?;
    // All columns: some have no binary form, so that the rows go as text.
    let every = TableName::new("every");
    let read = connection.read(&every, ReadOptions::default()).await?;
    let all = fixture::batches(read).await?;
    let outcome = insert(&mut connection, "copy", &all, InsertOptions::default()).await?;
    assert_eq!(outcome?, 1003);
    assert_eq!(difference(&client, "every", "copy").await?, "0");
    // Only those that have one: the rows go in binary.
    let binary = [
        "id", "flag", "small", "big", "single", "double", "amount", "large", "hundreds", "words",
        "somewhat", "padded", "ident", "bytes", "key", "plain", "packed", "day", "clock", "rough",
        "at", "tz", "milli", "span", "ref", "feeling",
    ];
    let options = ReadOptions::default().with_columns(binary);
    let narrow = fixture::batches(connection.read(&every, options).await?).await?;
    let outcome = insert(
        &mut connection,
        "narrow_copy",
        &narrow,
        InsertOptions::default(),
    )
    .await?;
    assert_eq!(outcome?, 1003);
    let list = binary.map(|name| format!("{name}::text")).join(", ");
    let narrow = |table: &str| format!("(SELECT {list} FROM {table})");
    assert_eq!(
        difference(&client, &narrow("every"), &narrow("narrow_copy")).await?,
        "0"
    );
    Ok(())
}

const TYPES: &str = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
    WHERE attnum > 0 AND attrelid = ";

#[tokio::test(flavor = "multi_thread")]
async fn a_created_table_has_the_types_it_was_read_with() -> Result<()> {
    let database = fixture::database("writes_create").await?;
    let client = database.sql().await?;
    client.batch_execute(EVERYTHING).await?;
    let mut connection = fixture::connect(&database).await?;
    let read = connection
        .read(&TableName::new("every"), ReadOptions::default())
        .await?;
    let all = fixture::batches(read).await?;
    let create = InsertOptions::default().with_create(true);
    let outcome = insert(&mut connection, "created", &all, create.clone()).await?;
    assert_eq!(outcome?, 1003);
    assert_eq!(difference(&client, "every", "created").await?, "0");
    let expected = rows(
        &client,
        &format!("{TYPES} 'every'::regclass ORDER BY attnum"),
    )
    .await?;
    let found = rows(
        &client,
        &format!("{TYPES} 'created'::regclass ORDER BY attnum"),
    )
    .await?;
    for (found, expected) in found.iter().zip(&expected) {
        match expected[1].as_deref() {
            // On the wire a domain is the type below it.
            Some("percent") => assert_eq!(found[1].as_deref(), Some("numeric(5,2)")),
            Some("short") => assert_eq!(found[1].as_deref(), Some("character varying(5)")),
            _ => assert_eq!(found, expected),
        }
    }
    // It exists now: an error, and it stays as it is.
    let outcome = insert(&mut connection, "created", &all, create).await?;
    let error = failure(outcome, ErrorKind::AlreadyExists);
    assert_eq!(error.sqlstate(), Some("42P07"));
    assert_eq!(count(&client, "created").await?, "1003");
    still_works(&mut connection).await;
    Ok(())
}

/// What a field carries of a column's type.
fn metadata(type_name: &str) -> HashMap<String, String> {
    HashMap::from([("dagflux:type".to_owned(), type_name.to_owned())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_create_leaves_no_table() -> Result<()> {
    let database = fixture::database("writes_create_failure").await?;
    let client = database.sql().await?;
    let mut connection = fixture::connect(&database).await?;
    let create = || InsertOptions::default().with_create(true);
    let field = Field::new("n", DataType::Utf8, true).with_metadata(metadata("numeric(5,2)"));
    let schema = Arc::new(Schema::new(vec![field]));
    let column = |text: &'static str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let fine = RecordBatch::try_new(schema.clone(), vec![column("1.5")])?;
    let faulty = RecordBatch::try_new(schema.clone(), vec![column("many")])?;
    let outcome = insert(&mut connection, "t", &[fine.clone(), faulty], create()).await?;
    let error = failure(outcome, ErrorKind::Value);
    assert_eq!(attribute(&error, "row"), Some("2"));
    assert!(
        rows(&client, "SELECT 1 FROM pg_class WHERE relname = 't'")
            .await?
            .is_empty()
    );
    assert_eq!(
        insert(&mut connection, "t", &[fine.clone()], create()).await??,
        1
    );

    // A type's name in the metadata is the caller's word: it is not SQL.
    for sly in [
        "int); DROP TABLE t; --",
        "int, other int",
        "int DEFAULT (SELECT 1)",
        "serial",
        "no_such_type",
        "",
    ] {
        let field = Field::new("n", DataType::Utf8, true).with_metadata(metadata(sly));
        let schema = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(schema, vec![column("1")])?;
        client.batch_execute("DROP TABLE IF EXISTS sly").await?;
        assert_eq!(
            insert(&mut connection, "sly", &[batch], create()).await??,
            1,
            "{sly}"
        );
        let types = rows(&client, &format!("{TYPES} 'sly'::regclass")).await?;
        assert_eq!(
            types,
            [[Some("n".to_owned()), Some("text".to_owned())]],
            "{sly}"
        );
        assert_eq!(count(&client, "t").await?, "1");
    }
    let elsewhere = TableName::in_schema("not_there", "t");
    failure(
        connection.insert(&elsewhere, schema, create()).await,
        ErrorKind::SchemaNotFound,
    );
    still_works(&mut connection).await;
    Ok(())
}

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
        .insert(&table, schema, InsertOptions::default())
        .await;
    let error = failure(result, ErrorKind::SchemaMismatch);
    for name in [
        "id", "Name", "twice", "at", "key", "blob", "unknown", "needed",
    ] {
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
            .insert(&table, none, InsertOptions::default())
            .await,
        ErrorKind::SchemaMismatch,
    );
    let twice = Arc::new(Schema::new(vec![
        Field::new("needed", DataType::Int32, true),
        Field::new("needed", DataType::Int32, true),
    ]));
    failure(
        connection
            .insert(&table, twice, InsertOptions::default())
            .await,
        ErrorKind::SchemaMismatch,
    );
    // Another schema than the sink was opened with.
    let fine = batch([("needed", Arc::new(Int32Array::from(vec![1])) as ArrayRef)])?;
    let other = numbered(0, 1)?;
    let mut sink = connection
        .insert(&table, fine.schema(), InsertOptions::default())
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
        let outcome = insert(&mut connection, "t", &batches, InsertOptions::default()).await?;
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
    let outcome = insert(&mut connection, "t", &[floats], InsertOptions::default()).await?;
    failure(outcome, ErrorKind::SchemaMismatch);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_takes_its_default() -> Result<()> {
    let database = fixture::database("writes_defaults").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (always int GENERATED ALWAYS AS IDENTITY, by_default int GENERATED BY DEFAULT AS IDENTITY, \
             serial serial, n int NOT NULL DEFAULT 7, name text, twice text GENERATED ALWAYS AS (name || name) STORED, free int);
             GRANT ALL ON t TO dagflux; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO dagflux",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let names = batch([(
        "name",
        Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef,
    )])?;
    assert_eq!(
        insert(&mut connection, "t", &[names], InsertOptions::default()).await??,
        2
    );
    let found = rows(&client, "SELECT * FROM t ORDER BY always").await?;
    let row = |values: [Option<&str>; 7]| values.map(|value| value.map(str::to_owned)).to_vec();
    assert_eq!(
        found,
        [
            row([
                Some("1"),
                Some("1"),
                Some("1"),
                Some("7"),
                Some("a"),
                Some("aa"),
                None
            ]),
            row([
                Some("2"),
                Some("2"),
                Some("2"),
                Some("7"),
                Some("b"),
                Some("bb"),
                None
            ]),
        ]
    );
    // Given, it counts.
    let given = batch([
        (
            "by_default",
            Arc::new(Int32Array::from(vec![100])) as ArrayRef,
        ),
        ("n", Arc::new(Int32Array::from(vec![8]))),
    ])?;
    assert_eq!(
        insert(&mut connection, "t", &[given], InsertOptions::default()).await??,
        1
    );
    assert_eq!(
        value(&client, "SELECT n FROM t WHERE by_default = 100").await?,
        "8"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_rows_in_many_batches() -> Result<()> {
    let database = fixture::database("writes_many").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let batches: Vec<RecordBatch> = (0..40)
        .map(|n| numbered(n * 5000, 5000))
        .collect::<Result<_>>()?;
    let outcome = insert(&mut connection, "t", &batches, InsertOptions::default()).await?;
    assert_eq!(outcome?, 200_000);
    assert_eq!(
        value(
            &client,
            "SELECT count(*) || ' ' || sum(id) || ' ' || bool_and(name = 'row ' || id) FROM t"
        )
        .await?,
        "200000 19999900000 true"
    );
    // A fault in the very last row undoes all of them.
    let mut faulty = vec![numbered(200_000, 5000)?; 1];
    faulty.extend(
        (41..80)
            .map(|n| numbered(n * 5000, 5000))
            .collect::<Result<Vec<_>>>()?,
    );
    faulty.push(numbered(0, 1)?);
    let outcome = insert(&mut connection, "t", &faulty, InsertOptions::default()).await?;
    failure(outcome, ErrorKind::Constraint);
    assert_eq!(count(&client, "t").await?, "200000");
    // One batch larger than may be handed over at once is cut.
    let body = "x".repeat(1000);
    let large = batch([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(1_000_000..1_020_000)) as ArrayRef,
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values((0..20_000).map(|_| &body))),
        ),
    ])?;
    let outcome = insert(&mut connection, "t", &[large], InsertOptions::default()).await?;
    assert_eq!(outcome?, 20_000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_write_at_once() -> Result<()> {
    let database = fixture::database("writes_concurrent").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
        .await?;
    let (mut one, mut two) = (
        fixture::connect(&database).await?,
        fixture::connect(&database).await?,
    );
    let batches = |from: i64| -> Result<Vec<RecordBatch>> {
        (0..20).map(|n| numbered(from + n * 1000, 1000)).collect()
    };
    let (first, second) = (batches(0)?, batches(1_000_000)?);
    let (first, second) = tokio::join!(
        insert(&mut one, "t", &first, InsertOptions::default()),
        insert(&mut two, "t", &second, InsertOptions::default()),
    );
    assert_eq!((first??, second??), (20_000, 20_000));
    assert_eq!(count(&client, "t").await?, "40000");

    // A lock that is not had in time is told apart: nothing was changed, try again.
    one.execute("CREATE TABLE own (id bigint, name text)")
        .await?;
    let rows = numbered(0, 10)?;
    let mut sink = one
        .insert(
            &TableName::new("own"),
            rows.schema(),
            InsertOptions::default(),
        )
        .await?;
    sink.write(&rows).await?;
    two.execute("SET lock_timeout = '200ms'").await?;
    let locked = two.execute("ALTER TABLE own ADD COLUMN more int").await;
    let error = failure(locked, ErrorKind::Conflict);
    assert_eq!(error.sqlstate(), Some("55P03"));
    assert!(error.is_retryable());
    assert_eq!(sink.finish().await?, 10);
    two.execute("ALTER TABLE own ADD COLUMN more int").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_kinds_of_tables() -> Result<()> {
    let database = fixture::database("writes_kinds").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE parts (id bigint, name text) PARTITION BY RANGE (id);
             CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
             CREATE TABLE base (id bigint, name text);
             CREATE VIEW seen AS SELECT * FROM base;
             CREATE MATERIALIZED VIEW kept AS SELECT * FROM base;
             CREATE TABLE \"Odd \"\"Name\"\".x\" (\"Id \"\"x\"\"\" bigint);
             CREATE TABLE closed (id bigint, name text); REVOKE ALL ON closed FROM dagflux",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let rows = [numbered(0, 10)?];
    assert_eq!(
        insert(&mut connection, "parts", &rows, InsertOptions::default()).await??,
        10
    );
    assert_eq!(count(&client, "parts_low").await?, "10");
    let outside = [numbered(95, 10)?];
    let outcome = insert(&mut connection, "parts", &outside, InsertOptions::default()).await?;
    failure(outcome, ErrorKind::Constraint);
    assert_eq!(count(&client, "parts").await?, "10");
    for table in ["seen", "kept"] {
        let outcome = insert(&mut connection, table, &rows, InsertOptions::default()).await?;
        assert!(
            outcome.is_err_and(|error| error.hint().is_some()),
            "{table}"
        );
    }
    let outcome = insert(&mut connection, "closed", &rows, InsertOptions::default()).await?;
    let error = failure(outcome, ErrorKind::PermissionDenied);
    assert!(
        error.hint().unwrap_or_default().contains("INSERT"),
        "{:?}",
        error.hint()
    );
    let odd = [batch([(
        "Id \"x\"",
        Arc::new(Int64Array::from(vec![1])) as ArrayRef,
    )])?];
    assert_eq!(
        insert(
            &mut connection,
            "Odd \"Name\".x",
            &odd,
            InsertOptions::default()
        )
        .await??,
        1
    );
    still_works(&mut connection).await;
    Ok(())
}
