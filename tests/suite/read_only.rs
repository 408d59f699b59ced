//! `query`, `preview` and `read` change nothing, whatever they are given; `query` runs exactly
//! one statement.

use anyhow::Result;
use dagflux_host::{Connection, ErrorKind, ReadOptions, TableName, WriteOptions};
use dagflux_test_support::tokio_postgres::Client;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};

use crate::assertions::{failure, preview, query, read, rows, still_works};
use crate::fixture;

/// What every attempt is aimed at.
const FIXTURE: &str = "
    CREATE TABLE t (id int PRIMARY KEY, name text);
    INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 10) g;
    CREATE SEQUENCE s;
    GRANT ALL ON t, s TO dagflux;
    CREATE FUNCTION write_one() RETURNS int LANGUAGE sql AS
        'INSERT INTO t VALUES (1000, ''by a function'') RETURNING id';
    CREATE FUNCTION turn_writable() RETURNS int LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM set_config('transaction_read_only', 'off', true);
            INSERT INTO t VALUES (1001, 'by a function');
            RETURN 1;
        END $$;
    CREATE FUNCTION commits() RETURNS int LANGUAGE plpgsql AS $$
        BEGIN COMMIT; INSERT INTO t VALUES (1002, 'after a commit'); RETURN 1; END $$;
    CREATE PROCEDURE commits_too(INOUT n int) LANGUAGE plpgsql AS $$
        BEGIN COMMIT; INSERT INTO t VALUES (n, 'after a commit'); END $$;
    CREATE PROCEDURE writes(INOUT n int) LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO t VALUES (n, 'by a procedure'); END $$;
    CREATE VIEW sly AS SELECT write_one() AS id;
";

/// Everything that an attempt could have changed.
async fn state(client: &Client) -> Result<Vec<Vec<Option<String>>>> {
    let mut state = rows(
        client,
        "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY id)) FROM t",
    )
    .await?;
    state.extend(rows(client, "SELECT last_value, is_called FROM s").await?);
    state.extend(
        rows(
            client,
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
        )
        .await?,
    );
    Ok(state)
}

/// Statements that would change something, and how each is refused.
const ATTEMPTS: &[(&str, ErrorKind)] = &[
    ("COMMIT; DROP TABLE t", ErrorKind::UnsupportedStatement),
    ("SELECT 1; DROP TABLE t", ErrorKind::UnsupportedStatement),
    (
        "SELECT 1; COMMIT; DROP TABLE t; BEGIN",
        ErrorKind::UnsupportedStatement,
    ),
    (
        "SELECT 1;\n--\nDELETE FROM t",
        ErrorKind::UnsupportedStatement,
    ),
    ("COMMIT", ErrorKind::UnsupportedStatement),
    ("ROLLBACK", ErrorKind::UnsupportedStatement),
    ("END", ErrorKind::UnsupportedStatement),
    ("BEGIN READ WRITE", ErrorKind::UnsupportedStatement),
    (
        "SET TRANSACTION READ WRITE",
        ErrorKind::UnsupportedStatement,
    ),
    (
        "SET transaction_read_only = off",
        ErrorKind::UnsupportedStatement,
    ),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        ErrorKind::UnsupportedStatement,
    ),
    ("DROP TABLE t", ErrorKind::UnsupportedStatement),
    ("DELETE FROM t", ErrorKind::UnsupportedStatement),
    (
        "/* only reads */ DELETE FROM t",
        ErrorKind::UnsupportedStatement,
    ),
    ("-- SELECT\nDELETE FROM t", ErrorKind::UnsupportedStatement),
    (
        "/* /* */ SELECT */ DELETE FROM t RETURNING 1",
        ErrorKind::ReadOnly,
    ),
    ("DELETE FROM t RETURNING *", ErrorKind::ReadOnly),
    ("UPDATE t SET name = '' RETURNING id", ErrorKind::ReadOnly),
    (
        "INSERT INTO t VALUES (99, 'x') RETURNING id",
        ErrorKind::ReadOnly,
    ),
    (
        "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
        ErrorKind::ReadOnly,
    ),
    ("TABLE sly", ErrorKind::ReadOnly),
    ("SELECT write_one()", ErrorKind::ReadOnly),
    ("SELECT nextval('s')", ErrorKind::ReadOnly),
    ("SELECT setval('s', 100)", ErrorKind::ReadOnly),
    ("SELECT * FROM t FOR UPDATE", ErrorKind::ReadOnly),
    ("EXPLAIN ANALYZE DELETE FROM t", ErrorKind::ReadOnly),
    ("SELECT * INTO u FROM t", ErrorKind::UnsupportedStatement),
    (
        "CREATE TABLE u AS SELECT * FROM t",
        ErrorKind::UnsupportedStatement,
    ),
    (
        "DO $$ BEGIN DELETE FROM t; END $$",
        ErrorKind::UnsupportedStatement,
    ),
    ("CALL writes(99)", ErrorKind::ReadOnly),
    ("EXECUTE remove", ErrorKind::ReadOnly),
    ("TRUNCATE t", ErrorKind::UnsupportedStatement),
    (
        "COPY t FROM PROGRAM 'echo 99'",
        ErrorKind::UnsupportedStatement,
    ),
    ("COPY t TO STDOUT", ErrorKind::UnsupportedStatement),
    ("LOCK TABLE t", ErrorKind::UnsupportedStatement),
    ("VACUUM t", ErrorKind::UnsupportedStatement),
    (
        "REFRESH MATERIALIZED VIEW t",
        ErrorKind::UnsupportedStatement,
    ),
    (
        "ALTER TABLE t ADD COLUMN x int",
        ErrorKind::UnsupportedStatement,
    ),
];

async fn prepared(connection: &mut Connection) -> Result<()> {
    connection
        .execute("PREPARE remove AS DELETE FROM t RETURNING id")
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_query_changes_anything() -> Result<()> {
    let database = fixture::database("read_only_query").await?;
    let client = database.sql().await?;
    client.batch_execute(FIXTURE).await?;
    let before = state(&client).await?;
    // The superuser: nothing is refused for lack of a privilege.
    let mut connection = fixture::connect_as_admin(&database).await?;
    prepared(&mut connection).await?;
    for (sql, kind) in ATTEMPTS {
        println!("{sql}");
        failure(query(&mut connection, sql).await, *kind);
        assert_eq!(state(&client).await?, before, "after {sql}");
    }
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_cannot_make_its_transaction_writable() -> Result<()> {
    let database = fixture::database("read_only_writable").await?;
    let client = database.sql().await?;
    client.batch_execute(FIXTURE).await?;
    let before = state(&client).await?;
    let mut connection = fixture::connect_as_admin(&database).await?;
    for sql in [
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT set_config('transaction_read_only', 'off', true), write_one()",
        "SELECT turn_writable()",
        "SELECT commits()",
        "CALL commits_too(99)",
    ] {
        println!("{sql}");
        let result = query(&mut connection, sql).await;
        assert!(result.is_err(), "{sql} went through");
        assert_eq!(state(&client).await?, before, "after {sql}");
    }
    // This one the server runs, read-only or not; the rollback at the end undoes it.
    query(
        &mut connection,
        "EXPLAIN ANALYZE CREATE TABLE u AS SELECT 1",
    )
    .await?;
    assert_eq!(state(&client).await?, before);
    // What a query sets does not outlive it: the next is read-only all the same.
    for sql in [
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT set_config('search_path', 'pg_catalog', false)",
    ] {
        query(&mut connection, sql).await?;
        failure(
            query(&mut connection, "DELETE FROM public.t RETURNING 1").await,
            ErrorKind::ReadOnly,
        );
    }
    let shown = query(&mut connection, "SELECT current_schema()").await?;
    assert!(format!("{shown:?}").contains("public"), "{shown:?}");
    assert_eq!(state(&client).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_reads_is_let_through() -> Result<()> {
    let database = fixture::database("read_only_reads").await?;
    database.sql().await?.batch_execute(FIXTURE).await?;
    let mut connection = fixture::connect_as_admin(&database).await?;
    for (sql, expected) in [
        ("SELECT * FROM t", 10),
        ("SELECT * FROM t;", 10),
        ("  /* a */ -- b\n SELECT * FROM t ; -- c", 10),
        ("(SELECT id FROM t) UNION ALL (SELECT 1)", 11),
        ("WITH x AS (SELECT * FROM t) TABLE x", 10),
        (
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n",
            5,
        ),
        ("VALUES (1), (2)", 2),
        ("TABLE t", 10),
        ("SHOW server_version", 1),
        ("EXPLAIN SELECT 1", 1),
        ("EXPLAIN DELETE FROM t", 2),
        ("SELECT 'DROP TABLE t; COMMIT'", 1),
        ("SELECT", 1),
    ] {
        let batches = query(&mut connection, sql).await?;
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, expected, "{sql}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_is_run() -> Result<()> {
    let database = fixture::database("read_only_program").await?;
    let mut connection = fixture::connect_as_admin(&database).await?;
    // The server's own folder for data: it may write there for sure.
    let folder = database.server().folder().join("data");
    let target = folder.join("touched");
    let path = target.display();
    // The control: this login could.
    connection
        .execute(&format!(
            "COPY (SELECT 1) TO PROGRAM 'cat > {path}-control'"
        ))
        .await?;
    assert!(folder.join("touched-control").exists());
    for sql in [
        format!("SELECT 1) TO PROGRAM 'touch {path}' --"),
        format!("SELECT 1) TO PROGRAM 'touch {path}'; SELECT (1"),
        format!("SELECT 1) TO '{path}' --"),
        format!("SELECT 1\n) TO PROGRAM 'touch {path}' /*"),
    ] {
        failure(query(&mut connection, &sql).await, ErrorKind::Syntax);
        assert!(!target.exists(), "{sql}");
    }
    for sql in [
        format!("COPY (SELECT 1) TO PROGRAM 'touch {path}'"),
        format!("COPY pg_class TO '{path}'"),
        format!("/* SELECT */ COPY (SELECT 1) TO PROGRAM 'touch {path}'"),
    ] {
        failure(
            query(&mut connection, &sql).await,
            ErrorKind::UnsupportedStatement,
        );
        assert!(!target.exists(), "{sql}");
    }
    for name in [
        format!("t\") TO PROGRAM 'touch {path}' --"),
        format!("pg_class) TO PROGRAM 'touch {path}' --"),
    ] {
        let table = TableName::new(name);
        failure(
            connection.read(&table, ReadOptions::default()).await,
            ErrorKind::TableNotFound,
        );
        failure(
            connection.preview(&table, 5).await,
            ErrorKind::TableNotFound,
        );
        assert!(!target.exists());
    }
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_names_whatever_is_in_them() -> Result<()> {
    let database = fixture::database("read_only_names").await?;
    let client = database.sql().await?;
    client.batch_execute(FIXTURE).await?;
    let before = state(&client).await?;
    let mut connection = fixture::connect_as_admin(&database).await?;
    let batch =
        RecordBatch::try_from_iter([("id", Arc::new(Int32Array::from(vec![99])) as ArrayRef)])?;
    for name in [
        "t\"; DROP TABLE t; --",
        "t; DROP TABLE t",
        "t\" WHERE (SELECT write_one()) = 1 --",
        "t, write_one()",
        "public.t",
        "T",
        "t\" (id) VALUES (99); COMMIT; --",
    ] {
        println!("{name}");
        for table in [TableName::new(name), TableName::in_schema("public", name)] {
            failure(
                connection.read(&table, ReadOptions::default()).await,
                ErrorKind::TableNotFound,
            );
            failure(
                connection.preview(&table, 5).await,
                ErrorKind::TableNotFound,
            );
            failure(
                connection
                    .write(&table, batch.schema(), WriteOptions::default())
                    .await,
                ErrorKind::TableNotFound,
            );
        }
        failure(
            connection.columns(None, Some(name)).await,
            ErrorKind::TableNotFound,
        );
        let column = ReadOptions::default().with_columns([name]);
        failure(
            connection.read(&TableName::new("t"), column).await,
            ErrorKind::ColumnNotFound,
        );
        assert_eq!(state(&client).await?, before, "after {name}");
    }
    failure(
        connection
            .read(&TableName::new("t\0"), ReadOptions::default())
            .await
            .map(drop)
            .inspect_err(|error| assert_ne!(error.kind(), ErrorKind::Trap)),
        ErrorKind::Syntax,
    );
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_view_that_writes_changes_nothing() -> Result<()> {
    let database = fixture::database("read_only_view").await?;
    let client = database.sql().await?;
    client.batch_execute(FIXTURE).await?;
    let before = state(&client).await?;
    let mut connection = fixture::connect_as_admin(&database).await?;
    let table = TableName::new("sly");
    failure(read(&mut connection, &table).await, ErrorKind::ReadOnly);
    failure(preview(&mut connection, &table).await, ErrorKind::ReadOnly);
    assert_eq!(state(&client).await?, before);
    still_works(&mut connection).await;
    Ok(())
}
