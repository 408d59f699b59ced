//! Arrow into tables.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampNanosecondArray,
};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{WriteMode, WriteOptions};
use dagflux_guest::ipc;
use dagflux_postgres::read::Selection;
use dagflux_postgres::rows::Shared;
use dagflux_postgres::{query, write};

use crate::harness::{
    LIMITS, collect, failure, major_version, open, rows_of_query, rows_of_table, sql, with_database,
};

/// Begins to append rows to a table, or to a table that it creates.
pub fn insert(
    session: &Shared,
    schema: Option<&str>,
    table: &str,
    arrow: &[u8],
    create: bool,
) -> dagflux_guest::Result<write::Sink> {
    let mode = match create {
        true => WriteMode::Create,
        false => WriteMode::Append,
    };
    let options = WriteOptions {
        mode,
        types: Vec::new(),
        dry_run: false,
    };
    write::write(session, schema, table, arrow, &options)
}

/// The message that carries a batch.
pub fn message(batch: &RecordBatch) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::default();
    let (_, encoded) = IpcDataGenerator::default().encode(
        batch,
        &mut DictionaryTracker::new(false),
        &options,
        &mut Default::default(),
    )?;
    let mut message = Vec::new();
    write_message(&mut message, encoded, &options)?;
    Ok(message)
}

/// A batch of the given columns.
pub fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )?)
}

fn write_all(session: &Shared, table: &str, batch: &RecordBatch, create: bool) -> Result<u64> {
    let schema = ipc::schema_message(&batch.schema())?;
    let mut sink = insert(session, None, table, &schema, create)?;
    sink.write(message(batch)?)?;
    Ok(sink.finish()?.inserted)
}

/// The one value of a query, as text.
pub fn count(session: &Shared, query_text: &str) -> Result<String> {
    let text = format!("SELECT ({query_text})::text");
    let (_, batches) = collect(rows_of_query(session, &text, LIMITS)?)?;
    let column = batches[0].column(0);
    let column = column.as_any().downcast_ref::<StringArray>().expect("text");
    Ok(column.value(0).to_owned())
}

/// Reads a table and writes it into a new one made from its Arrow schema: the two are equal,
/// rows and types.
fn round_trip(session: &Shared, table: &str) -> Result<()> {
    let (schema, batches) = collect(rows_of_table(
        session,
        None,
        table,
        &Selection::default(),
        LIMITS,
    )?)?;
    let copy = format!("{table}_copy");
    let mut sink = insert(session, None, &copy, &ipc::schema_message(&schema)?, true)?;
    for batch in &batches {
        sink.write(message(batch)?)?;
    }
    sink.finish()?;
    drop(sink);
    let rows = |table: &str| format!("SELECT t::text FROM {table} t");
    let differences = count(
        session,
        &format!(
            "SELECT count(*) FROM (({a} EXCEPT ALL {b}) UNION ALL ({b} EXCEPT ALL {a})) d",
            a = rows(table),
            b = rows(&copy)
        ),
    )?;
    assert_eq!(differences, "0", "{table}");
    let types = |table: &str| {
        format!(
            "SELECT string_agg(format_type(atttypid, atttypmod), '|' ORDER BY attnum) \
             FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0"
        )
    };
    assert_eq!(
        count(session, &types(table))?,
        count(session, &types(&copy))?
    );
    Ok(())
}

/// A table of the types with an Arrow type of their own, and one of others.
const ROUND_TRIP: &str = r#"
            CREATE TABLE scalars (b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, o oid,
                n numeric(15,2), nn numeric(38,10), wide numeric(60,20), negative NEGATIVE, small SMALL,
                t text, v varchar(10), c char(5), by bytea, u uuid, j json, jb jsonb,
                d date, tm time(3), ts timestamp, tz timestamptz(3), iv interval);
            INSERT INTO scalars VALUES
                (true, -32768, 2147483647, -9223372036854775808, 1.5, 'NaN', 4294967295,
                 -1234567890123.45, 1234567890123456789012345678.0123456789, 12345678901234567890123456789.00000000000000000001, 12345000, 0.00999,
                 E'tab\tline\nbackslash\\ ü', 'x', 'ab', '\x00ff5c', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": 1,  "b":2}', '{"b": [1]}',
                 '2024-02-29', '23:59:59.999', '1969-12-31 23:59:59.999999', '2024-06-30 12:00:00.5+02', '1 year -3 days 04:05:06.789'),
                (false, 32767, -2147483648, 9223372036854775807, 'Infinity', -0.0, 0, 0, 0.0000000001, 0.5, 0, -0.00001,
                 '', '', '', '', '00000000-0000-0000-0000-000000000000', 'null', '"x"',
                 '4713-01-01 BC', '00:00', '0001-01-01 BC', '9999-12-31 23:59:59.999+00', '-1 month'),
                (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
            CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"');
            CREATE DOMAIN cents AS numeric(10,2) CHECK (VALUE >= 0);
            CREATE TABLE others (m mood, bare numeric, cash money, i inet, ci cidr, mac macaddr, arr int[][], words text[],
                r int4range, bits bit varying(8), x xml, ts tsvector, p point, "c" "char", ttz timetz(2), iv interval day to second(2), js jsonb);
            INSERT INTO others VALUES
                ('it''s "fine"', 123456789012345678901234567890.123456789, 12.34, '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '{{1,2},{3,null}}', '{"a,b",null,"\\"}',
                 '[1,5)', '101', '<a>1</a>', 'a:1 b:2', '(1,2)', 'x', '12:00:00+02', '1 day 2.25', '{}'),
                (null, 'NaN', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
"#;

#[test]
fn a_table_read_and_written_is_the_same_table() {
    with_database("round_trip", |runtime, database| {
        // Scales below 0 and above the precision exist since PostgreSQL 15.
        let (negative, small) = match major_version(runtime, database)? {
            15.. => ("numeric(5,-3)", "numeric(3,5)"),
            _ => ("numeric(8,0)", "numeric(5,5)"),
        };
        let fixture = ROUND_TRIP
            .replace("NEGATIVE", negative)
            .replace("SMALL", small);
        sql(runtime, database, &fixture)?;
        let session = open(database)?;
        round_trip(&session, "scalars")?;
        round_trip(&session, "others")
    });
}

#[test]
fn many_rows_are_written_in_chunks_and_counted() {
    with_database("chunks", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id bigint PRIMARY KEY, name text, made int DEFAULT 7)",
        )?;
        let session = open(database)?;
        let mut schema = None;
        let mut sink = None;
        for part in 0..10_i64 {
            let ids = Int64Array::from_iter_values((0..50_000).map(|id| part * 50_000 + id));
            let names = StringArray::from_iter_values((0..50_000).map(|id| format!("name {id}")));
            let batch = batch(vec![("name", Arc::new(names)), ("id", Arc::new(ids))])?;
            let schema = schema.get_or_insert(ipc::schema_message(&batch.schema())?);
            if sink.is_none() {
                sink = Some(insert(&session, None, "t", schema, false)?);
            }
            if let Some(sink) = &mut sink {
                sink.write(message(&batch)?)?;
            }
        }
        let mut sink = sink.expect("a sink");
        assert_eq!(sink.finish()?.inserted, 500_000);
        drop(sink);
        assert_eq!(
            count(
                &session,
                "SELECT count(*) || ' ' || sum(id) || ' ' || sum(made) FROM t"
            )?,
            "500000 124999750000 3500000"
        );
        Ok(())
    });
}

#[test]
fn a_failed_or_dropped_write_leaves_nothing() {
    with_database("rollback", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int PRIMARY KEY, price numeric(5,2), at timestamp(3))",
        )?;
        let session = open(database)?;
        let ids = |ids: Vec<i64>| -> Result<RecordBatch> {
            batch(vec![("id", Arc::new(Int64Array::from(ids)))])
        };

        // Dropped.
        let good = ids(vec![1, 2])?;
        let schema = ipc::schema_message(&good.schema())?;
        let mut sink = insert(&session, None, "t", &schema, false)?;
        sink.write(message(&good)?)?;
        let busy = failure(rows_of_query(&session, "SELECT 1", LIMITS))?;
        assert_eq!(busy.kind(), ErrorKind::Unsupported);
        drop(sink);
        assert_eq!(count(&session, "SELECT count(*) FROM t")?, "0");

        // A value out of range, after a good batch.
        let mut sink = insert(&session, None, "t", &schema, false)?;
        sink.write(message(&good)?)?;
        let error = failure(sink.write(message(&ids(vec![3, 1 << 40])?)?))?;
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(
            error
                .message()
                .contains("row 4, column \"id\": 1099511627776"),
            "{error}"
        );
        assert_eq!(failure(sink.finish())?.kind(), ErrorKind::Value);
        drop(sink);

        // A duplicate, which the server finds.
        let error = write_all(&session, "t", &ids(vec![1, 2, 1])?, false);
        let error = error
            .expect_err("a duplicate")
            .downcast::<dagflux_guest::Error>()?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        let attributes = &error.as_record().attributes;
        assert!(
            attributes.contains(&("constraint".into(), "t_pkey".into())),
            "{attributes:?}"
        );
        assert!(
            attributes.contains(&("row".into(), "3".into())),
            "{attributes:?}"
        );

        // What PostgreSQL would round.
        let prices = Decimal128Array::from(vec![1230, 1234]).with_precision_and_scale(10, 3)?;
        let batch_of = batch(vec![
            ("id", Arc::new(Int32Array::from(vec![1, 2]))),
            ("price", Arc::new(prices)),
        ])?;
        let error = write_all(&session, "t", &batch_of, false).expect_err("rounding");
        assert!(
            error.to_string().contains("row 2, column \"price\": 1.234"),
            "{error}"
        );
        let stamps = TimestampNanosecondArray::from(vec![1_000_000, 1_000]);
        let batch_of = batch(vec![
            ("id", Arc::new(Int32Array::from(vec![1, 2]))),
            ("at", Arc::new(stamps)),
        ])?;
        let error = write_all(&session, "t", &batch_of, false).expect_err("rounding");
        assert!(
            error.to_string().contains("row 2, column \"at\""),
            "{error}"
        );

        // Text that the type's input function rejects.
        let texts = batch(vec![("id", Arc::new(StringArray::from(vec!["1", "x"])))])?;
        let error = write_all(&session, "t", &texts, false).expect_err("not a number");
        let error = error.downcast::<dagflux_guest::Error>()?;
        assert_eq!(error.kind(), ErrorKind::Value);
        assert_eq!(count(&session, "SELECT count(*) FROM t")?, "0");
        Ok(())
    });
}

#[test]
fn a_constraint_checked_at_the_commit_undoes_the_write() {
    with_database("deferred", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE parent (id int PRIMARY KEY);
             CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        )?;
        let session = open(database)?;
        let one = batch(vec![("id", Arc::new(Int32Array::from(vec![1])))])?;
        let error = write_all(&session, "child", &one, false).expect_err("no parent");
        let error = error.downcast::<dagflux_guest::Error>()?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert_eq!(count(&session, "SELECT count(*) FROM child")?, "0");
        Ok(())
    });
}

#[test]
fn everything_that_does_not_fit_is_reported_at_once() {
    with_database("mismatch", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int NOT NULL, \"Name\" text, made int GENERATED ALWAYS AS (1 + 1) STORED, flag bool, seq int GENERATED ALWAYS AS IDENTITY);
             CREATE TABLE hidden (id int); REVOKE ALL ON hidden FROM dagflux",
        )?;
        let session = open(database)?;
        let offered = batch(vec![
            ("name", Arc::new(StringArray::from(vec!["a"]))),
            ("made", Arc::new(Int32Array::from(vec![1]))),
            ("flag", Arc::new(Date32Array::from(vec![1]))),
            ("seq", Arc::new(Int32Array::from(vec![1]))),
        ])?;
        let schema = ipc::schema_message(&offered.schema())?;
        let error = failure(insert(&session, None, "t", &schema, false))?;
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        let columns: Vec<_> = error
            .as_record()
            .attributes
            .iter()
            .map(|(_, c)| c.as_str())
            .collect();
        assert_eq!(columns, ["name", "made", "flag", "id"]);

        for (table, create, kind) in [
            ("nope", false, ErrorKind::TableNotFound),
            ("t", true, ErrorKind::AlreadyExists),
        ] {
            let error = failure(insert(&session, None, table, &schema, create))?;
            assert_eq!(error.kind(), kind);
        }
        let one = batch(vec![("id", Arc::new(Int32Array::from(vec![1])))])?;
        let schema = ipc::schema_message(&one.schema())?;
        let error = failure(insert(&session, None, "hidden", &schema, false))?;
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let hint = error.as_record().hint.clone().unwrap_or_default();
        assert!(
            hint.ends_with(r#"GRANT INSERT ON "public"."hidden" TO "dagflux";"#),
            "{hint}"
        );
        let long = "ü".repeat(32);
        let one = batch(vec![(&long, Arc::new(Int32Array::from(vec![1])))])?;
        let schema = ipc::schema_message(&one.schema())?;
        let error = failure(insert(&session, None, "fresh", &schema, true))?;
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        Ok(())
    });
}

#[test]
fn a_type_named_by_the_caller_cannot_smuggle_anything_in() {
    with_database("smuggle", |runtime, database| {
        sql(runtime, database, "CREATE TABLE victim (id int)")?;
        let session = open(database)?;
        for named in [
            "integer); DROP TABLE victim; --",
            "integer PRIMARY KEY",
            "integer --",
            "\"integer",
            "text",
            "no_such_type",
            "numeric(1,2",
        ] {
            let one = batch(vec![("id", Arc::new(Int32Array::from(vec![1])))])?;
            let field = one
                .schema()
                .field(0)
                .clone()
                .with_metadata([("dagflux:type".to_owned(), named.to_owned())]);
            let one = one.with_schema(Arc::new(Schema::new(vec![field])))?;
            write_all(&session, "made", &one, true)?;
            let type_ = count(
                &session,
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum = 1",
            )?;
            assert_eq!(type_, "integer", "{named}");
            query::execute(&session, "DROP TABLE made")?;
        }
        assert_eq!(count(&session, "SELECT count(*) FROM victim")?, "0");
        Ok(())
    });
}
