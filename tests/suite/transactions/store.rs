//! The rows of a query, written without their leaving the server.

use dagflux_host::Duplicates;

use super::*;

fn upsert() -> WriteOptions {
    WriteOptions::new(WriteMode::Upsert {
        key: vec!["id".to_owned()],
        duplicates: Duplicates::Fail,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_takes_the_rows_of_a_query() -> Result<()> {
    let mut scene = Scene::new("store_modes").await?;
    scene
        .admin
        .batch_execute(
            "CREATE TABLE k (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(20));
             GRANT ALL ON k TO dagflux; GRANT ALL ON SEQUENCE k_id_seq TO dagflux",
        )
        .await?;
    let connection = &mut scene.connection;
    let made = TableName::new("made");
    let create = || WriteOptions::new(WriteMode::Create);
    let query =
        "SELECT id, name::varchar(7), 1.5::numeric(8,3) AS price, ARRAY[id] AS list FROM t -- all";
    let dry = connection
        .store(query, &made, create().with_dry_run(true))
        .await?;
    assert_eq!(dry.inserted, 3);
    let report = connection.store(query, &made, create()).await?;
    assert_eq!((report.inserted, report.updated), (3, 0));
    assert_eq!(report.statements.last().map(String::as_str), Some("COMMIT"));
    let types: Vec<_> = connection.columns(None, Some("made")).await?;
    let types: Vec<_> = types.iter().map(|c| c.data_type.as_str()).collect();
    assert_eq!(
        types,
        [
            "integer",
            "character varying(7)",
            "numeric(8,3)",
            "integer[]"
        ]
    );
    failure(
        connection.store(query, &made, create()).await,
        ErrorKind::AlreadyExists,
    );
    let append = WriteOptions::new(WriteMode::Append);
    let one = "(VALUES (9, 'nine')) ";
    failure(
        connection.store(one, &made, append.clone()).await,
        ErrorKind::SchemaMismatch,
    );
    let one = "SELECT * FROM (VALUES (9, 'nine')) AS v(id, name)";
    assert_eq!(
        connection.store(one, &made, append.clone()).await?.inserted,
        1
    );
    let replace = WriteOptions::new(WriteMode::Replace);
    let replaced = connection.store(one, &made, replace).await?;
    assert_eq!((replaced.deleted, replaced.inserted), (4, 1));
    // An identity is set, and its sequence goes past what was set.
    let k = TableName::new("k");
    connection
        .store("SELECT id::bigint, name FROM t", &k, append)
        .await?;
    let upserted = connection
        .store(
            "WITH n AS (SELECT id + 1 AS id FROM t) SELECT id::bigint, 'new' AS name FROM n",
            &k,
            upsert(),
        )
        .await?;
    assert_eq!((upserted.inserted, upserted.updated), (1, 2));
    connection
        .execute("INSERT INTO k (name) VALUES ('next')")
        .await?;
    let all = "SELECT string_agg(id || name, ',' ORDER BY id) FROM k";
    assert_eq!(
        value(&scene.admin, all).await?,
        "1row 1,2new,3new,4new,5next"
    );
    // In a transaction, with what it made, and gone with it.
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    let temporary = WriteOptions::new(WriteMode::Temporary);
    transaction
        .store(
            "SELECT 7::bigint AS id, 'temporary' AS name",
            &TableName::new("staged"),
            temporary,
        )
        .await?;
    let merged = transaction
        .store("SELECT * FROM staged", &k, upsert())
        .await?;
    assert_eq!((merged.inserted, merged.updated), (1, 0));
    transaction.roll_back().await?;
    assert_eq!(value(&scene.admin, "SELECT count(*) FROM k").await?, "5");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_query_is_taken() -> Result<()> {
    let mut scene = Scene::new("store_only").await?;
    let table = TableName::new("made");
    for (sql, kind) in [
        (
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            ErrorKind::UnsupportedStatement,
        ),
        (
            "DELETE FROM t RETURNING id",
            ErrorKind::UnsupportedStatement,
        ),
        ("UPDATE t SET name = 'x'", ErrorKind::UnsupportedStatement),
        ("DEFAULT VALUES", ErrorKind::Syntax),
        ("SELECT id FROM t ON CONFLICT DO NOTHING", ErrorKind::Syntax),
        ("SELECT id FROM t RETURNING id", ErrorKind::Syntax),
        ("SHOW all", ErrorKind::UnsupportedStatement),
        ("EXPLAIN SELECT 1", ErrorKind::UnsupportedStatement),
        (
            "SELECT 1 AS a; DELETE FROM t",
            ErrorKind::UnsupportedStatement,
        ),
        ("SELECT 1 AS a, 2 AS a", ErrorKind::SchemaMismatch),
        ("SELECT nothing FROM t", ErrorKind::ColumnNotFound),
    ] {
        println!("{sql}");
        let create = WriteOptions::new(WriteMode::Create);
        failure(scene.connection.store(sql, &table, create).await, kind);
        assert_eq!(scene.names().await?, "row 1,row 2,row 3");
    }
    // Faults of rows are told as those of a write.
    let twice = "SELECT 1 AS id, 'x' AS name FROM t";
    let error = failure(
        scene
            .connection
            .store(twice, &TableName::new("t"), upsert())
            .await,
        ErrorKind::Constraint,
    );
    assert!(error.to_string().contains("more than once"), "{error}");
    let without = "SELECT nullif(id, 2) AS id, 'x' AS name FROM t";
    let error = failure(
        scene
            .connection
            .store(without, &TableName::new("t"), upsert())
            .await,
        ErrorKind::Constraint,
    );
    assert!(error.to_string().contains("null"), "{error}");
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('made', 'dagflux_staging')";
    assert_eq!(value(&scene.admin, left).await?, "0");
    assert_eq!(scene.names().await?, "row 1,row 2,row 3");
    still_works(&mut scene.connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_go_along() -> Result<()> {
    let mut scene = Scene::new("store_comments").await?;
    scene
        .admin
        .batch_execute("COMMENT ON TABLE t IS 'it''s \\ a table'; COMMENT ON COLUMN t.name IS 'who'; COMMENT ON COLUMN t.id IS 'key'")
        .await?;
    let (t, made) = (TableName::new("t"), TableName::new("made"));
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction
        .execute("CREATE TABLE made (name text, other int)")
        .await?;
    assert_eq!(transaction.copy_comments(&t, &made).await?.len(), 2);
    transaction.commit().await?;
    let comments =
        "SELECT obj_description('made'::regclass) || '|' || col_description('made'::regclass, 1)";
    assert_eq!(value(&scene.admin, comments).await?, "it's \\ a table|who");
    failure(
        scene
            .connection
            .copy_comments(&t, &TableName::new("nowhere"))
            .await,
        ErrorKind::TableNotFound,
    );
    assert_eq!(scene.connection.copy_comments(&made, &made).await?.len(), 2);
    Ok(())
}
