//! Several calls that take effect together.

mod examine;
mod store;
mod temporary;

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use dagflux_host::{
    Connection, ErrorKind, KeepsOut, TableName, TransactionOptions, WriteMode, WriteOptions,
};
use dagflux_test_support::Database;
use dagflux_test_support::tokio_postgres::Client;

use crate::assertions::{failure, query, still_works, value};
use crate::fixture;
use crate::hostile;

struct Scene {
    database: Database<'static>,
    admin: Client,
    connection: Connection,
}

impl Scene {
    async fn new(name: &str) -> Result<Self> {
        let database = fixture::database(name).await?;
        let admin = database.sql().await?;
        admin
            .batch_execute(
                "CREATE TABLE t (id int PRIMARY KEY, name text);
                 INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 3) g;
                 GRANT ALL ON t TO dagflux; GRANT CREATE ON SCHEMA public TO dagflux",
            )
            .await?;
        let connection = fixture::connect(&database).await?;
        Ok(Self {
            database,
            admin,
            connection,
        })
    }

    /// What everyone sees of `t`.
    async fn names(&self) -> Result<String> {
        let names = "SELECT coalesce(string_agg(name, ',' ORDER BY id), '') FROM t";
        value(&self.admin, names).await
    }

    /// How many transactions of the login are open.
    async fn open(&self) -> Result<String> {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";
        value(&self.admin, open).await
    }
}

fn rows(ids: &[i32]) -> Result<RecordBatch> {
    let names: StringArray = ids.iter().map(|id| Some(format!("new {id}"))).collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int32Array::from(ids.to_vec()))),
        ("name", Arc::new(names)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

async fn write(
    connection: &mut Connection,
    table: &TableName,
    batch: &RecordBatch,
    options: WriteOptions,
) -> dagflux_host::Result<u64> {
    let mut sink = connection.write(table, batch.schema(), options).await?;
    sink.write(batch).await?;
    sink.finish().await.map(|report| report.inserted)
}

async fn count(connection: &mut Connection) -> Result<usize> {
    let batches = query(connection, "SELECT * FROM t").await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_take_effect_together() -> Result<()> {
    let mut scene = Scene::new("tx_together").await?;
    let before = scene.names().await?;
    let table = TableName::new("t");
    for commits in [false, true] {
        let mut transaction = scene.connection.transaction(Default::default()).await?;
        let changed = transaction.execute("UPDATE t SET name = 'changed'").await?;
        assert_eq!(
            (changed.command.as_str(), changed.rows),
            ("UPDATE 3", Some(3))
        );
        let append = WriteOptions::new(WriteMode::Append);
        assert_eq!(
            write(&mut transaction, &table, &rows(&[4])?, append).await?,
            1
        );
        let columns = transaction.columns(None, Some("t")).await?;
        assert_eq!(columns.len(), 2);
        // What it changed it sees, and nobody else does.
        assert_eq!(count(&mut transaction).await?, 4);
        let names = "SELECT coalesce(string_agg(name, ',' ORDER BY id), '') FROM t";
        assert_eq!(value(&scene.admin, names).await?, before);
        match commits {
            true => transaction.commit().await?,
            false => transaction.roll_back().await?,
        }
        still_works(&mut scene.connection).await;
        let after = if commits {
            "changed,changed,changed,new 4"
        } else {
            &before
        };
        assert_eq!(scene.names().await?, after);
        assert_eq!(scene.open().await?, "0");
    }
    Ok(())
}

/// Before anything else happens on the connection, and also if nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_rolled_back() -> Result<()> {
    let mut scene = Scene::new("tx_dropped").await?;
    let before = scene.names().await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction.execute("DELETE FROM t").await?;
    drop(transaction);
    assert_eq!(count(&mut scene.connection).await?, 3);
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction.execute("DELETE FROM t").await?;
    drop(transaction);
    while scene.open().await? != "0" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(scene.names().await?, before);
    // The connection goes in the middle of one.
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction.execute("DELETE FROM t").await?;
    drop(transaction);
    drop(scene.connection);
    while value(
        &scene.admin,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND backend_type = 'client backend'",
    )
    .await?
        != "0"
    {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let mut connection = fixture::connect(&scene.database).await?;
    assert_eq!(count(&mut connection).await?, 3);
    Ok(())
}

/// A call whose caller went away before it began is not made after the rollback.
#[tokio::test]
async fn what_is_dropped_before_it_began_is_not_done_later() -> Result<()> {
    let mut scene = Scene::new("tx_dropped_early").await?;
    let before = scene.names().await?;
    for _ in 0..20 {
        let mut transaction = scene.connection.transaction(Default::default()).await?;
        {
            let delete = transaction.execute("DELETE FROM t");
            let mut delete = std::pin::pin!(delete);
            assert!(futures_util::poll!(delete.as_mut()).is_pending());
        }
        drop(transaction);
        still_works(&mut scene.connection).await;
        assert_eq!(scene.names().await?, before);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_undone_by_itself() -> Result<()> {
    let mut scene = Scene::new("tx_failures").await?;
    let table = TableName::new("t");
    let append = || WriteOptions::new(WriteMode::Append);
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction
        .execute("UPDATE t SET name = 'one' WHERE id = 1")
        .await?;
    failure(
        transaction
            .execute("UPDATE t SET name = 'two', id = 2")
            .await,
        ErrorKind::Constraint,
    );
    failure(transaction.execute("UPDATE t SET").await, ErrorKind::Syntax);
    failure(
        query(&mut transaction, "SELECT nothing FROM t").await,
        ErrorKind::ColumnNotFound,
    );
    failure(
        query(&mut transaction, "SELECT 1 / (id - 2) FROM t").await,
        ErrorKind::Statement,
    );
    failure(
        transaction.examine("SELECT nothing FROM t").await,
        ErrorKind::ColumnNotFound,
    );
    failure(
        transaction.columns(None, Some("nowhere")).await,
        ErrorKind::TableNotFound,
    );
    failure(
        write(&mut transaction, &table, &rows(&[9, 1])?, append()).await,
        ErrorKind::Constraint,
    );
    // A dry run, and a sink that is not finished.
    let dry = append().with_dry_run(true);
    assert_eq!(write(&mut transaction, &table, &rows(&[8])?, dry).await?, 1);
    let batch = rows(&[7])?;
    let mut sink = transaction.write(&table, batch.schema(), append()).await?;
    sink.write(&batch).await?;
    drop(sink);
    // A stream that is not read to its end, and a statement that nobody waits for.
    drop(
        transaction
            .query("SELECT * FROM generate_series(1, 10000000)")
            .await?,
    );
    let sleep = transaction.execute("UPDATE t SET name = 'slept' FROM pg_sleep(60)");
    let waited = tokio::time::timeout(std::time::Duration::from_millis(200), sleep).await;
    assert!(waited.is_err());
    write(&mut transaction, &table, &rows(&[4])?, append()).await?;
    transaction.commit().await?;
    assert_eq!(scene.names().await?, "one,row 2,row 3,new 4");
    Ok(())
}

/// Each, however it is written, would end the transaction or break its savepoints.
const CONTROL: &[&str] = &[
    "COMMIT",
    "commit and chain",
    "/* a /* b */ c */ COMMIT",
    "-- only a remark\nCOMMIT",
    "-- only a remark\rCOMMIT",
    ";;COMMIT",
    "END",
    "ROLLBACK",
    "ROLLBACK TO SAVEPOINT dagflux_call",
    "RELEASE SAVEPOINT dagflux_call",
    "SAVEPOINT mine",
    "ABORT",
    "BEGIN",
    "START TRANSACTION",
    "PREPARE TRANSACTION 'two-phase'",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_ends_it() -> Result<()> {
    let mut scene = Scene::new("tx_control").await?;
    scene
        .admin
        .batch_execute(
            "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
             GRANT EXECUTE ON PROCEDURE commits TO dagflux",
        )
        .await?;
    let before = scene.names().await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction.execute("DELETE FROM t WHERE id = 1").await?;
    for sql in CONTROL {
        failure(
            transaction.execute(sql).await,
            ErrorKind::UnsupportedStatement,
        );
        failure(
            query(&mut transaction, sql).await,
            ErrorKind::UnsupportedStatement,
        );
    }
    for sql in ["COMMIT; SELECT 1", "SELECT 1; COMMIT"] {
        let kind = transaction.execute(sql).await.unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::UnsupportedStatement | ErrorKind::Syntax),
            "{kind}"
        );
    }
    for sql in ["CALL commits()", "DO $$ BEGIN COMMIT; END $$", "VACUUM t"] {
        assert!(transaction.execute(sql).await.is_err(), "{sql}");
    }
    failure(
        transaction.transaction(Default::default()).await,
        ErrorKind::Unsupported,
    );
    assert_eq!(count(&mut transaction).await?, 2);
    let names = "SELECT coalesce(string_agg(name, ',' ORDER BY id), '') FROM t";
    assert_eq!(value(&scene.admin, names).await?, before);
    transaction.commit().await?;
    assert_eq!(scene.names().await?, "row 2,row 3");
    Ok(())
}

/// What a query is held to outside of a transaction, it is held to within one that writes.
#[tokio::test(flavor = "multi_thread")]
async fn queries_change_nothing_in_it() -> Result<()> {
    let mut scene = Scene::new("tx_queries").await?;
    scene
        .admin
        .batch_execute(
            "CREATE FUNCTION turn_writable() RETURNS int LANGUAGE plpgsql AS $$
             BEGIN PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM t; RETURN 1; END $$;
             CREATE PROCEDURE deletes(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; END $$",
        )
        .await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction
        .execute("UPDATE t SET name = 'x' WHERE id = 1")
        .await?;
    for (sql, kind) in [
        ("DELETE FROM t", ErrorKind::UnsupportedStatement),
        ("DELETE FROM t RETURNING id", ErrorKind::ReadOnly),
        (
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            ErrorKind::ReadOnly,
        ),
        (
            "SET TRANSACTION READ WRITE",
            ErrorKind::UnsupportedStatement,
        ),
        ("SELECT turn_writable()", ErrorKind::Conflict),
        ("CALL deletes(1)", ErrorKind::ReadOnly),
        ("EXPLAIN ANALYZE DELETE FROM t", ErrorKind::ReadOnly),
    ] {
        println!("{sql}");
        let error = query(&mut transaction, sql).await.unwrap_err();
        if sql != "SELECT turn_writable()" {
            assert_eq!(error.kind(), kind, "{error}");
        }
        assert_eq!(count(&mut transaction).await?, 3);
    }
    // And what follows may write again.
    transaction
        .execute("UPDATE t SET name = 'y' WHERE id = 2")
        .await?;
    transaction.commit().await?;
    assert_eq!(scene.names().await?, "x,y,row 3");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_stays_as_it_is() -> Result<()> {
    let mut scene = Scene::new("tx_snapshot").await?;
    for (snapshot, expected) in [(true, 3), (false, 4)] {
        let options = TransactionOptions::default()
            .with_snapshot(snapshot)
            .with_read_only(true);
        let mut transaction = scene.connection.transaction(options).await?;
        assert_eq!(count(&mut transaction).await?, 3);
        scene
            .admin
            .batch_execute("INSERT INTO t VALUES (100, 'meanwhile')")
            .await?;
        assert_eq!(count(&mut transaction).await?, expected);
        failure(
            transaction.execute("DELETE FROM t").await,
            ErrorKind::ReadOnly,
        );
        let append = WriteOptions::new(WriteMode::Append);
        failure(
            write(&mut transaction, &TableName::new("t"), &rows(&[5])?, append).await,
            ErrorKind::ReadOnly,
        );
        transaction.commit().await?;
        scene
            .admin
            .batch_execute("DELETE FROM t WHERE id = 100")
            .await?;
    }
    // Rows that a snapshot does not have would stay behind.
    let options = TransactionOptions::default().with_snapshot(true);
    let mut transaction = scene.connection.transaction(options).await?;
    let replace = WriteOptions::new(WriteMode::Replace);
    let table = TableName::new("t");
    failure(
        write(&mut transaction, &table, &rows(&[5])?, replace).await,
        ErrorKind::Unsupported,
    );
    drop(transaction);
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    let replace = WriteOptions::new(WriteMode::Replace);
    assert_eq!(
        write(&mut transaction, &table, &rows(&[5])?, replace).await?,
        1
    );
    transaction.commit().await?;
    assert_eq!(scene.names().await?, "new 5");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_told_by_table() -> Result<()> {
    let mut scene = Scene::new("tx_locks").await?;
    scene
        .admin
        .batch_execute("CREATE TABLE own (id int); ALTER TABLE own OWNER TO dagflux")
        .await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    assert_eq!(transaction.locks().await?, []);
    // What a query locked is let go with it.
    count(&mut transaction).await?;
    assert_eq!(transaction.locks().await?, []);
    transaction
        .execute("UPDATE t SET name = 'x' WHERE id = 1")
        .await?;
    transaction
        .execute("ALTER TABLE own ADD COLUMN name text")
        .await?;
    let locks = transaction.locks().await?;
    let told: Vec<_> = locks
        .iter()
        .map(|lock| (lock.name.as_str(), lock.mode.as_str(), lock.keeps_out))
        .collect();
    assert_eq!(
        told,
        [
            ("own", "ACCESS EXCLUSIVE", KeepsOut::Everyone),
            ("t", "ROW EXCLUSIVE", KeepsOut::TheSameRows),
        ]
    );
    transaction.roll_back().await?;
    assert_eq!(scene.open().await?, "0");
    Ok(())
}

/// A constraint that waits for the commit fails it, and a server that goes takes everything along.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_leaves_nothing() -> Result<()> {
    let mut scene = Scene::new("tx_commit_fails").await?;
    scene
        .admin
        .batch_execute(
            "ALTER TABLE t ADD COLUMN parent int REFERENCES t DEFERRABLE INITIALLY DEFERRED",
        )
        .await?;
    let before = scene.names().await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction
        .execute("UPDATE t SET name = 'x', parent = 99")
        .await?;
    failure(transaction.commit().await, ErrorKind::Constraint);
    assert_eq!(scene.names().await?, before);
    still_works(&mut scene.connection).await;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction.execute("UPDATE t SET name = 'x'").await?;
    value(
        &scene.admin,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await?;
    let error = transaction.commit().await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ServerShutdown | ErrorKind::ConnectionLost
        ),
        "{error:?}"
    );
    assert_eq!(scene.names().await?, before);
    Ok(())
}

/// An instance that is ended in the middle of a commit may have sent it.
#[tokio::test(flavor = "multi_thread")]
async fn the_commit_of_a_connector_that_hangs_is_unknown() -> Result<()> {
    let connector = hostile::connector().await?;
    let mut connection = hostile::connect(&connector).await?;
    let transaction = connection.transaction(Default::default()).await?;
    failure(transaction.commit().await, ErrorKind::OutcomeUnknown);
    failure(connection.execute("ping").await, ErrorKind::Closed);
    Ok(())
}
