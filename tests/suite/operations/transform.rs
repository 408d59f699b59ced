//! Transformations that make new tables, and what becomes of those that fail.

use dagflux_test_support::tokio_postgres::Client;
use serde_json::json;

use super::*;

struct Scene {
    database: Database<'static>,
    admin: Client,
}

impl Scene {
    async fn new(name: &str) -> Result<Self> {
        let database = fixture::database(name).await?;
        let admin = database.sql().await?;
        admin
            .batch_execute(
                "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, total numeric(10,2));
                 INSERT INTO orders SELECT g, g % 5, g * 1.5 FROM generate_series(1, 100) g;
                 COMMENT ON TABLE orders IS 'all of them'; COMMENT ON COLUMN orders.total IS 'in euros';
                 ANALYZE orders; GRANT SELECT ON orders TO dagflux; GRANT CREATE ON SCHEMA public TO dagflux",
            )
            .await?;
        Ok(Self { database, admin })
    }

    async fn resources(&self) -> Result<Resources> {
        let connection = fixture::connect(&self.database).await?;
        let mut resources = connections([("shop", connection)]);
        resources.workspace = Some(Workspace::in_memory()?);
        Ok(resources)
    }

    /// How many tables there are beside the source.
    async fn tables(&self) -> Result<String> {
        let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        value(&self.admin, tables).await
    }
}

fn revenue() -> Value {
    json!({
        "version": 1, "id": "revenue", "node": "transform", "mode": "new-table",
        "sources": [{ "connection": "shop", "table": "orders", "columns": [
            { "name": "customer", "type": "integer", "nullable": false },
            { "name": "total", "type": "numeric(10,2)", "nullable": true },
        ] }],
        "target": { "table": "revenue" },
        "statements": {
            "create": "CREATE TABLE revenue (customer integer PRIMARY KEY, total numeric)",
            "insert": "INSERT INTO revenue SELECT customer, sum(total) FROM orders GROUP BY customer",
            "preview": "SELECT * FROM revenue ORDER BY customer LIMIT 2",
        },
    })
}

fn with(mut document: Value, statement: &str, sql: &str) -> Operation {
    document["statements"][statement] = json!(sql);
    operation(&document)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_what_a_run_does() -> Result<()> {
    let scene = Scene::new("transform_plan").await?;
    let mut resources = scene.resources().await?;
    let plan = operation::plan(&operation(&revenue()), &mut resources).await?;
    assert!(plan.can_run());
    assert_eq!(scene.tables().await?, "1", "a plan makes nothing");
    let insert = &plan.steps[1];
    assert!(
        insert
            .estimated_rows
            .is_some_and(|rows| (1..=100).contains(&rows))
    );
    let mut watch = Watch::default();
    let done = plan_and_run(&operation(&revenue()), resources, &mut watch).await?;
    assert_eq!(done.rows, 5);
    assert_eq!(
        done.preview
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>(),
        2
    );
    let rows: Vec<_> = watch.records.iter().map(|record| record.rows).collect();
    assert_eq!(rows, [None, Some(5), None, None, None]);
    let comments = "SELECT obj_description('revenue'::regclass) || ', ' || col_description('revenue'::regclass, 2)";
    assert_eq!(
        value(&scene.admin, comments).await?,
        "all of them, in euros"
    );
    Ok(())
}

/// What is made is made, whether or not it can be shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_fails_fails_nothing_else() -> Result<()> {
    let scene = Scene::new("transform_preview").await?;
    let preview = "SELECT 1 / (customer - 3) AS x FROM revenue";
    let operation = with(revenue(), "preview", preview);
    let mut watch = Watch::default();
    let done = plan_and_run(&operation, scene.resources().await?, &mut watch).await?;
    assert_eq!((done.rows, done.preview.len()), (5, 0));
    let told = watch.records[3].error.as_deref();
    assert_eq!(told, Some("division by zero"));
    assert_eq!(scene.tables().await?, "2");
    Ok(())
}

/// Whatever fails, at whatever step: the database is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_behind() -> Result<()> {
    let scene = Scene::new("transform_fails").await?;
    let document = revenue();
    let cases = [
        (
            "insert",
            "INSERT INTO revenue SELECT customer, total FROM orders",
            2,
        ),
        (
            "insert",
            "INSERT INTO revenue SELECT customer, 1 / (customer - 3) FROM orders",
            2,
        ),
    ];
    for (statement, sql, step) in cases {
        let operation = with(document.clone(), statement, sql);
        let mut watch = Watch::default();
        let resources = scene.resources().await?;
        let failure = operation::run(&operation, resources, &Settings::default(), &mut watch).await;
        match failure.unwrap_err() {
            Failure::Step { number, error, .. } => {
                assert_eq!(number, step, "{error}");
                let last = watch.records.last().context("a record")?;
                assert_eq!(last.error.as_deref(), Some(error.to_string().as_str()));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(scene.tables().await?, "1", "{sql}");
    }
    // What the review refuses is not begun.
    for (statement, sql) in [
        ("create", "CREATE TABLE other (a int)"),
        (
            "insert",
            "INSERT INTO revenue SELECT customer, sum(amount) FROM orders GROUP BY 1",
        ),
        ("insert", "DELETE FROM orders"),
        ("preview", "SELECT pg_terminate_backend(1)"),
    ] {
        let operation = with(document.clone(), statement, sql);
        let mut watch = Watch::default();
        let resources = scene.resources().await?;
        let failure = operation::run(&operation, resources, &Settings::default(), &mut watch).await;
        assert!(
            matches!(failure, Err(Failure::Refused(_))),
            "{sql}: {failure:?}"
        );
        assert_eq!(watch.records, []);
    }
    assert_eq!(scene.tables().await?, "1");
    assert_eq!(
        value(&scene.admin, "SELECT count(*) FROM orders").await?,
        "100"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_when_columns_have_changed() -> Result<()> {
    let scene = Scene::new("transform_drift").await?;
    let operation = operation(&revenue());
    plan_and_run(&operation, scene.resources().await?, &mut Watch::default()).await?;
    scene
        .admin
        .batch_execute(
            "DROP TABLE revenue; ALTER TABLE orders ADD COLUMN other text;
             ALTER TABLE orders ALTER COLUMN total TYPE text; ALTER TABLE orders DROP COLUMN customer",
        )
        .await?;
    let mut watch = Watch::default();
    let mut resources = scene.resources().await?;
    let plan = operation::plan(&operation, &mut resources).await?;
    assert!(!plan.can_run());
    let failure = operation::run(&operation, resources, &Settings::default(), &mut watch).await;
    let Err(Failure::Drift(drift)) = failure else {
        panic!("{failure:?}");
    };
    let told: Vec<String> = drift
        .iter()
        .flat_map(|drift| drift.changes.iter().map(ToString::to_string))
        .collect();
    assert_eq!(
        told,
        [
            "the column `customer` is not there any more",
            "the column `total` was numeric(10,2) and is text"
        ]
    );
    assert_eq!(scene.tables().await?, "1");
    scene.admin.batch_execute("DROP TABLE orders").await?;
    let resources = scene.resources().await?;
    let gone = operation::run(&operation, resources, &Settings::default(), &mut watch).await;
    assert!(matches!(gone, Err(Failure::Drift(_))), "{gone:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_in_the_workspace_and_made_anew_of_it() -> Result<()> {
    let scene = Scene::new("transform_local").await?;
    let workspace = Workspace::in_memory()?;
    let mut document = revenue();
    document["storage"] = json!("local");
    document["statements"] = json!({
        "create": "CREATE TABLE revenue (customer INTEGER, total DECIMAL(12,2))",
        "select": "SELECT customer, sum(total)::numeric(12,2) AS total FROM orders GROUP BY customer",
    });
    let mut resources = scene.resources().await?;
    resources.workspace = Some(workspace.clone());
    let done = plan_and_run(&operation(&document), resources, &mut Watch::default()).await?;
    assert_eq!((done.rows, done.losses.len()), (5, 0));
    let again = json!({
        "version": 1, "id": "top", "node": "transform", "mode": "new-table", "storage": "local",
        "sources": [{ "workspace": "revenue" }], "target": { "table": "top" },
        "statements": {
            "create": "CREATE TABLE top (customer INTEGER, total DECIMAL(12,2))",
            "select": "SELECT customer, total FROM revenue WHERE total > 1500",
        },
    });
    let resources = || Resources {
        workspace: Some(workspace.clone()),
        ..Resources::default()
    };
    let done = plan_and_run(&operation(&again), resources(), &mut Watch::default()).await?;
    let expected = "SELECT count(*) FROM (SELECT sum(total) AS t FROM orders GROUP BY customer) s WHERE t > 1500";
    assert_eq!(done.rows.to_string(), value(&scene.admin, expected).await?);
    // The table is there by now, and stays as it is.
    let settings = Settings::default();
    let top = operation(&again);
    let mut watch = Watch::default();
    let twice = operation::run(&top, resources(), &settings, &mut watch).await;
    match twice.unwrap_err() {
        Failure::Step { error, .. } => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
        other => panic!("{other:?}"),
    }
    // A query that fails half way leaves no table.
    document["target"]["table"] = json!("half");
    document["statements"] = json!({
        "create": "CREATE TABLE half (x INTEGER)",
        "select": "SELECT 1 / (50000 - g) AS x FROM generate_series(1, 100000) g, orders WHERE orders.id = 1",
    });
    let mut given = scene.resources().await?;
    given.workspace = Some(workspace.clone());
    let failed = operation::run(
        &operation(&document),
        given,
        &settings,
        &mut Watch::default(),
    )
    .await;
    assert!(failed.is_err());
    let tables: Vec<_> = workspace
        .tables()?
        .into_iter()
        .map(|table| table.name)
        .collect();
    assert_eq!(tables, ["revenue", "top"]);
    Ok(())
}
