//! What is read back is what was written, also from a table that the insert creates.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use dagflux_host::{ErrorKind, ReadOptions, TableName, WriteMode, WriteOptions};
use dagflux_test_support::tokio_postgres::Client;

use super::{count, insert};
use crate::assertions::{attribute, failure, rows, still_works, value};
use crate::fixture;

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

/// A table with a column of every kind of type, and rows with nulls and extremes.
pub const EVERYTHING: &str = "
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
    let outcome = insert(&mut connection, "copy", &all, WriteOptions::default()).await?;
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
        WriteOptions::default(),
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
    let create = WriteOptions::new(WriteMode::Create);
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
        assert_eq!(found, expected);
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
    let create = || WriteOptions::new(WriteMode::Create);
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
        insert(&mut connection, "t", std::slice::from_ref(&fine), create()).await??,
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
        connection.write(&elsewhere, schema, create()).await,
        ErrorKind::SchemaNotFound,
    );
    still_works(&mut connection).await;
    Ok(())
}
