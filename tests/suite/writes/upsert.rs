//! An upsert changes the rows that have the key of a new one, and adds the rest.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use dagflux_host::{Duplicates, ErrorKind, WriteMode, WriteOptions};

use super::{batch, count, numbered, report};
use crate::assertions::{attribute, failure, rows, still_works, value};
use crate::fixture;

fn by(key: &[&str], duplicates: Duplicates) -> WriteOptions {
    WriteOptions::new(WriteMode::Upsert {
        key: key.iter().map(|&column| column.to_owned()).collect(),
        duplicates,
    })
}

fn named(ids: Vec<i64>, names: Vec<Option<&str>>) -> Result<RecordBatch> {
    batch([
        ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
        ("name", Arc::new(StringArray::from(names))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_changed_by_their_key_and_the_rest_added() -> Result<()> {
    let database = fixture::database("upsert").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text, made text NOT NULL DEFAULT 'by default');
             INSERT INTO t SELECT g, 'old ' || g, 'before' FROM generate_series(0, 999) g;
             CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY HASH (id);
             CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE parts_1 (name text, id bigint NOT NULL); ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
             INSERT INTO parts SELECT g, 'old' FROM generate_series(0, 99) g",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let batches = [numbered(500, 600)?, numbered(1100, 400)?];
    let report_of = report(&mut connection, "t", &batches, by(&[], Duplicates::Fail)).await??;
    assert_eq!(
        (report_of.inserted, report_of.updated, report_of.deleted),
        (500, 500, 0)
    );
    assert_eq!(
        value(
            &client,
            "SELECT count(*) || ' ' || count(*) FILTER (WHERE name = 'row ' || id) || ' ' || count(*) FILTER (WHERE made = 'before') FROM t"
        )
        .await?,
        "1500 1000 1000"
    );
    assert!(report_of.statements.iter().any(|sql| {
        sql.contains("ON CONFLICT (\"id\") DO UPDATE SET \"name\" = EXCLUDED.\"name\"")
    }));
    let parts = report(
        &mut connection,
        "parts",
        &[numbered(50, 100)?],
        by(&["id"], Duplicates::Fail),
    )
    .await??;
    assert_eq!((parts.inserted, parts.updated), (50, 50));
    // The last row of a key wins only where that is asked for.
    let twice = named(vec![1, 1, 2000], vec![Some("first"), Some("last"), None])?;
    let outcome = report(
        &mut connection,
        "t",
        std::slice::from_ref(&twice),
        by(&[], Duplicates::Fail),
    )
    .await?;
    let error = failure(outcome, ErrorKind::Constraint);
    assert!(error.to_string().contains("(1) in rows 1, 2"), "{error}");
    assert_eq!(attribute(&error, "row"), Some("2"));
    assert_eq!(count(&client, "t").await?, "1500");
    let won = report(
        &mut connection,
        "t",
        &[twice],
        by(&[], Duplicates::LastWins),
    )
    .await??;
    assert_eq!((won.inserted, won.updated), (1, 1));
    assert_eq!(
        value(&client, "SELECT name FROM t WHERE id = 1").await?,
        "last"
    );
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upsert_leaves_the_old_rows_and_names_the_new_one() -> Result<()> {
    let database = fixture::database("upsert_failure").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE owner (name text PRIMARY KEY); INSERT INTO owner VALUES ('a'), ('b');
             CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL UNIQUE REFERENCES owner DEFERRABLE INITIALLY DEFERRED, CHECK (id < 100));
             INSERT INTO t VALUES (1, 'a')",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    for (ids, names, sqlstate, column, row, wrong) in [
        (
            vec![2, 1, 3],
            vec![Some("b"), Some("a"), Some("c")],
            "23503",
            "name",
            "3",
            "c",
        ),
        (
            vec![3, 2],
            vec![Some("b"), Some("a")],
            "23505",
            "name",
            "2",
            "a",
        ),
        (
            vec![1, 100],
            vec![Some("a"), Some("b")],
            "23514",
            "id",
            "2",
            "100",
        ),
        (
            vec![1, 2],
            vec![Some("a"), None],
            "23502",
            "name",
            "2",
            "null",
        ),
    ] {
        let outcome = report(
            &mut connection,
            "t",
            &[named(ids, names)?],
            by(&[], Duplicates::Fail),
        )
        .await?;
        let error = failure(outcome, ErrorKind::Constraint);
        assert_eq!(error.sqlstate(), Some(sqlstate), "{error}");
        assert_eq!(attribute(&error, "row"), Some(row), "{error}");
        assert_eq!(attribute(&error, "column"), Some(column), "{error}");
        assert_eq!(attribute(&error, "value"), Some(wrong), "{error}");
        assert_eq!(attribute(&error, "table"), Some("t"), "{error}");
        assert_eq!(
            value(&client, "SELECT string_agg(id || name, ',') FROM t").await?,
            "1a"
        );
        still_works(&mut connection).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_upserts_at_once_both_take_effect() -> Result<()> {
    let database = fixture::database("upsert_concurrent").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)")
        .await?;
    let (mut one, mut two) = (
        fixture::connect(&database).await?,
        fixture::connect(&database).await?,
    );
    for round in 0..5 {
        // The same keys in opposite orders.
        let up = numbered(round * 1000, 3000)?;
        let indexes: Int64Array = (0..3000).rev().collect::<Vec<_>>().into();
        let ids: Vec<i64> = indexes
            .values()
            .iter()
            .map(|at| round * 1000 + at)
            .collect();
        let down = named(ids, vec![Some("down"); 3000])?;
        let (up, down) = ([up], [down]);
        let (first, second) = tokio::join!(
            report(&mut one, "t", &up, by(&[], Duplicates::Fail)),
            report(&mut two, "t", &down, by(&[], Duplicates::Fail)),
        );
        let (first, second) = (first??, second??);
        // Each row was added by one of the two and changed by the other, or was there before.
        assert_eq!(first.inserted + first.updated, 3000);
        assert_eq!(second.inserted + second.updated, 3000);
        let new = if round == 0 { 3000 } else { 1000 };
        assert_eq!(first.inserted + second.inserted, new, "round {round}");
        let mixed = format!(
            "SELECT count(DISTINCT name = 'down')::text FROM t WHERE id >= {}",
            round * 1000
        );
        assert_eq!(value(&client, &mixed).await?, "1", "the rows are of both");
    }
    assert_eq!(count(&client, "t").await?, "7000");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_login_lacks_is_named_with_the_grant() -> Result<()> {
    let database = fixture::database("upsert_privileges").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text); REVOKE ALL ON t FROM dagflux;
             REVOKE TEMPORARY ON DATABASE upsert_privileges FROM PUBLIC",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let offered = [numbered(0, 3)?];
    let outcome = report(&mut connection, "t", &offered, by(&[], Duplicates::Fail)).await?;
    let error = failure(outcome, ErrorKind::PermissionDenied);
    // What it says to run is enough.
    let hint = error.hint().unwrap_or_default();
    let grants: Vec<_> = hint
        .split("run: ")
        .skip(1)
        .filter_map(|part| part.split_once(';'))
        .collect();
    assert_eq!(grants.len(), 2, "{hint}");
    for (grant, _) in grants {
        client.batch_execute(grant).await?;
    }
    let done = report(&mut connection, "t", &offered, by(&[], Duplicates::Fail)).await??;
    assert_eq!(done.inserted, 3);
    client.batch_execute("REVOKE ALL ON t FROM dagflux").await?;
    let outcome = report(
        &mut connection,
        "t",
        &offered,
        WriteOptions::new(WriteMode::Replace),
    )
    .await?;
    let error = failure(outcome, ErrorKind::PermissionDenied);
    let hint = error.hint().unwrap_or_default();
    let (_, grant) = hint.split_once("run: ").unwrap_or_default();
    client.batch_execute(grant).await?;
    let done = report(
        &mut connection,
        "t",
        &offered,
        WriteOptions::new(WriteMode::Replace),
    )
    .await??;
    assert_eq!((done.deleted, done.inserted), (3, 3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_no_trace() -> Result<()> {
    let database = fixture::database("dry_runs").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'old')",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    for (table, mode, counts) in [
        ("made", WriteMode::Create, (3, 0, 0)),
        ("t", WriteMode::Replace, (3, 0, 1)),
        (
            "t",
            WriteMode::Upsert {
                key: Vec::new(),
                duplicates: Duplicates::LastWins,
            },
            (2, 1, 0),
        ),
    ] {
        let options = WriteOptions::new(mode).with_dry_run(true);
        let done = report(&mut connection, table, &[numbered(0, 3)?], options).await??;
        assert_eq!(
            (done.inserted, done.updated, done.deleted),
            counts,
            "{table}"
        );
        assert_eq!(
            done.statements.first().map(String::as_str),
            Some("BEGIN ISOLATION LEVEL READ COMMITTED")
        );
        assert_eq!(done.statements.last().map(String::as_str), Some("ROLLBACK"));
        assert_eq!(
            rows(&client, "SELECT id::text, name FROM t").await?,
            [[Some("1".to_owned()), Some("old".to_owned())]]
        );
        assert!(
            rows(
                &client,
                "SELECT 1 FROM pg_class WHERE relname = 'made' OR relname LIKE 'dagflux%'"
            )
            .await?
            .is_empty()
        );
        still_works(&mut connection).await;
    }
    let dry = WriteOptions::default().with_dry_run(true);
    let outcome = report(&mut connection, "t", &[numbered(0, 3)?], dry.clone()).await?;
    failure(outcome, ErrorKind::Constraint);
    let done = report(&mut connection, "t", &[numbered(5, 3)?], dry).await??;
    assert_eq!(done.inserted, 3);
    assert_eq!(count(&client, "t").await?, "1");
    Ok(())
}
