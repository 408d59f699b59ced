//! All rows or none.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use dagflux_host::{ErrorKind, TableName, WriteMode, WriteOptions};

use super::{batch, count, insert, numbered};
use crate::assertions::{attribute, failure, rows, still_works, value};
use crate::fixture;

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
        .write(
            &TableName::new("t"),
            first.schema(),
            WriteOptions::default(),
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
    assert_eq!(sink.finish().await?.inserted, 20);
    assert_eq!(count(&client, "t").await?, "21");
    assert_eq!(
        value(&client, "SELECT name FROM t WHERE id = 15").await?,
        "row 15"
    );
    // Nothing written is nothing committed, and no failure.
    let sink = connection
        .write(
            &TableName::new("t"),
            first.schema(),
            WriteOptions::default(),
        )
        .await?;
    assert_eq!(sink.finish().await?.inserted, 0);
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
            let options = if create {
                WriteOptions::new(WriteMode::Create)
            } else {
                WriteOptions::default()
            };
            let mut sink = connection
                .write(&TableName::new(table), batch.schema(), options)
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
        .write(
            &TableName::new("t"),
            batch.schema(),
            WriteOptions::default(),
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
            WriteOptions::default(),
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
        insert(&mut connection, "t", &[names], WriteOptions::default()).await??,
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
        insert(&mut connection, "t", &[given], WriteOptions::default()).await??,
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
    let outcome = insert(&mut connection, "t", &batches, WriteOptions::default()).await?;
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
    let outcome = insert(&mut connection, "t", &faulty, WriteOptions::default()).await?;
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
    let outcome = insert(&mut connection, "t", &[large], WriteOptions::default()).await?;
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
        insert(&mut one, "t", &first, WriteOptions::default()),
        insert(&mut two, "t", &second, WriteOptions::default()),
    );
    assert_eq!((first??, second??), (20_000, 20_000));
    assert_eq!(count(&client, "t").await?, "40000");

    // A lock that is not had in time is told apart. What runs already may have committed on
    // its way, for all that is known, so that it is not said to be safe to repeat.
    one.execute("CREATE TABLE own (id bigint, name text)")
        .await?;
    let rows = numbered(0, 10)?;
    let mut sink = one
        .write(
            &TableName::new("own"),
            rows.schema(),
            WriteOptions::default(),
        )
        .await?;
    sink.write(&rows).await?;
    two.execute("SET lock_timeout = '200ms'").await?;
    let locked = two.execute("ALTER TABLE own ADD COLUMN more int").await;
    let error = failure(locked, ErrorKind::Conflict);
    assert_eq!(error.sqlstate(), Some("55P03"));
    assert!(!error.is_retryable());
    assert_eq!(sink.finish().await?.inserted, 10);
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
        insert(&mut connection, "parts", &rows, WriteOptions::default()).await??,
        10
    );
    assert_eq!(count(&client, "parts_low").await?, "10");
    let outside = [numbered(95, 10)?];
    let outcome = insert(&mut connection, "parts", &outside, WriteOptions::default()).await?;
    failure(outcome, ErrorKind::Constraint);
    assert_eq!(count(&client, "parts").await?, "10");
    for table in ["seen", "kept"] {
        let outcome = insert(&mut connection, table, &rows, WriteOptions::default()).await?;
        assert!(
            outcome.is_err_and(|error| error.hint().is_some()),
            "{table}"
        );
    }
    let outcome = insert(&mut connection, "closed", &rows, WriteOptions::default()).await?;
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
            WriteOptions::default()
        )
        .await??,
        1
    );
    still_works(&mut connection).await;
    Ok(())
}
