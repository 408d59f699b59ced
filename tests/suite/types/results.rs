//! What holds for results of any type: their shape, their batches, the ways to get them.

use anyhow::Result;
use arrow_array::{Array, RecordBatch};
use dagflux_host::{BatchSize, ConnectOptions, ReadOptions, TableName};

use super::whole;
use crate::fixture;

#[tokio::test(flavor = "multi_thread")]
async fn results_without_rows_or_columns_and_with_equal_names() -> Result<()> {
    let database = fixture::database("types_shapes").await?;
    let mut connection = fixture::connect(&database).await?;
    connection
        .execute("CREATE TABLE empty (id int, name varchar(10), made numeric(4,1))")
        .await?;
    let table = TableName::new("empty");
    for rows in [
        whole(connection.read(&table, ReadOptions::default()).await?).await?,
        whole(connection.preview(&table, 5).await?).await?,
        whole(connection.query("SELECT * FROM empty").await?).await?,
    ] {
        assert_eq!(rows.num_rows(), 0);
        let schema = rows.schema();
        let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, ["id", "name", "made"]);
        assert_eq!(
            schema.field(1).metadata()["dagflux:type"],
            "character varying(10)"
        );
        assert_eq!(schema.field(2).metadata()["dagflux:type"], "numeric(4,1)");
    }
    let rows = whole(connection.query("SELECT 1 AS a, 'x' AS a, NULL").await?).await?;
    assert_eq!(rows.num_columns(), 3);
    assert_eq!(rows.schema().field(1).name(), "a");
    connection.execute("CREATE TABLE bare ()").await?;
    connection
        .execute("INSERT INTO bare DEFAULT VALUES")
        .await?;
    let table = TableName::new("bare");
    let rows = whole(connection.read(&table, ReadOptions::default()).await?).await?;
    assert_eq!((rows.num_columns(), rows.num_rows()), (0, 1));
    let options = ReadOptions::default().with_columns(["made", "id"]);
    let rows = connection.read(&TableName::new("empty"), options).await?;
    assert_eq!(rows.schema().field(0).name(), "made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_bounded_by_rows_and_by_bytes() -> Result<()> {
    let database = fixture::database("types_batches").await?;
    database
        .sql()
        .await?
        .batch_execute(
            "CREATE TABLE t AS SELECT g AS id, repeat('x', 1000) AS body FROM generate_series(1, 5000) g;
             CREATE TABLE wide AS SELECT g AS id, repeat('x', 300000) AS body FROM generate_series(1, 4) g",
        )
        .await?;
    let connect = |batch: BatchSize| {
        let database = &database;
        async move {
            let options = ConnectOptions::default().with_batch(batch);
            anyhow::Ok(
                fixture::postgres()
                    .await?
                    .connect(
                        fixture::config(database),
                        fixture::secrets(database),
                        options,
                    )
                    .await?,
            )
        }
    };
    let table = TableName::new("t");
    for by_query in [false, true] {
        let mut connection = connect(BatchSize::default().with_rows(700)).await?;
        let rows = match by_query {
            true => connection.query("SELECT * FROM t").await?,
            false => connection.read(&table, ReadOptions::default()).await?,
        };
        let sizes: Vec<usize> = fixture::batches(rows)
            .await?
            .iter()
            .map(RecordBatch::num_rows)
            .collect();
        assert_eq!(sizes, [700, 700, 700, 700, 700, 700, 700, 100]);

        let limit = 100_000;
        let mut connection = connect(BatchSize::default().with_bytes(limit)).await?;
        let rows = match by_query {
            true => connection.query("SELECT * FROM t").await?,
            false => connection.read(&table, ReadOptions::default()).await?,
        };
        let batches = fixture::batches(rows).await?;
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            5000
        );
        for batch in &batches {
            let bytes: usize = batch
                .columns()
                .iter()
                .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
                .sum();
            assert!(bytes <= limit as usize, "{bytes}");
        }
        // As full as they may be: 100,000 bytes hold some 98 rows of about 1,010.
        assert!(batches.len() < 60, "{}", batches.len());
    }
    // A row that is larger than a batch may be comes alone.
    let mut connection = connect(BatchSize::default().with_bytes(100_000)).await?;
    let rows = connection
        .read(&TableName::new("wide"), ReadOptions::default())
        .await?;
    let batches = fixture::batches(rows).await?;
    assert!(batches.iter().all(|batch| batch.num_rows() == 1));
    assert_eq!(batches.len(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_reading_gives_the_same() -> Result<()> {
    let database = fixture::database("types_ways").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE wide AS SELECT g AS id, g % 3 = 0 AS flag, (g % 1000)::int2 AS small, \
             g::int8 * 1000000007 AS big, g::float4 / 7 AS single, g::float8 / 7 AS double, \
             (g * 1.25)::numeric(12,3) AS amount, (g * 1.25)::numeric(60,3) AS large, \
             CASE WHEN g % 5 > 0 THEN 'text ' || g END AS text, ('c' || g % 10)::char(5) AS padded, \
             decode(md5(g::text), 'hex') AS bytes, md5(g::text)::uuid AS uuid, \
             json_build_object('g', g) AS json, jsonb_build_object('g', g) AS jsonb, \
             date '2000-01-01' + g AS day, time '00:00' + g * interval '1 second' AS time, \
             timestamp '2000-01-01' + g * interval '1 hour' AS at, \
             timestamptz '2000-01-01+00' + g * interval '1 hour' AS tz, g * interval '1 day 1 second' AS span, \
             g::oid AS oid, ('n' || g)::name AS name FROM generate_series(1, 20000) g",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let table = TableName::new("wide");
    let copied = fixture::batches(connection.read(&table, ReadOptions::default()).await?).await?;
    let queried = fixture::batches(connection.query("SELECT * FROM wide").await?).await?;
    let limited = ReadOptions::default().with_limit(20_000);
    let limited = fixture::batches(connection.read(&table, limited).await?).await?;
    let previewed = fixture::batches(connection.preview(&table, 20_000).await?).await?;
    assert_eq!(
        copied.iter().map(RecordBatch::num_rows).sum::<usize>(),
        20_000
    );
    assert_eq!(copied, queried);
    assert_eq!(copied, limited);
    assert_eq!(copied, previewed);
    let few = fixture::batches(connection.preview(&table, 7).await?).await?;
    assert_eq!(few[0], copied[0].slice(0, 7));
    assert_eq!(
        fixture::count(connection.preview(&table, 0).await?).await?,
        0
    );
    Ok(())
}
