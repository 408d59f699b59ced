//! Joins of sources that lie in different places.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use dagflux_host::operation::Rows;
use dagflux_test_support::tokio_postgres::Client;
use serde_json::json;

use super::*;

/// The four sources, each whole on one server, so that the join can be done there as well.
const TABLES: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, name text, region int);
    INSERT INTO customers SELECT g, 'customer ' || g, nullif(g % 7, 0) FROM generate_series(1, 200) g;
    CREATE TABLE orders (id int PRIMARY KEY, customer int, total numeric(12,2), placed timestamptz);
    INSERT INTO orders SELECT g, g % 250, g * 1.25, '2026-01-01'::timestamptz + g * interval '1 hour'
        FROM generate_series(1, 3000) g;
    CREATE TABLE regions (id bigint, title text);
    INSERT INTO regions SELECT g, 'region ' || g FROM generate_series(1, 9) g;
    CREATE TABLE ratings (customer bigint, stars bigint);
    INSERT INTO ratings SELECT g, g % 5 FROM generate_series(50, 300) g;
";

struct Scene {
    elsewhere: Database<'static>,
    target: Database<'static>,
    admin: Client,
    workspace: Workspace,
}

impl Scene {
    /// `customers` where the target is, `orders` on another server, `regions` in the workspace, and
    /// `ratings` in a file.
    async fn new(name: &str) -> Result<Self> {
        let target = fixture::database(name).await?;
        let admin = target.sql().await?;
        admin.batch_execute(TABLES).await?;
        admin
            .batch_execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO dagflux; GRANT CREATE ON SCHEMA public TO dagflux")
            .await?;
        let elsewhere = fixture::second().await?.database(name).await?;
        let client = elsewhere.sql().await?;
        client.batch_execute(TABLES).await?;
        client
            .batch_execute("GRANT SELECT ON orders TO dagflux")
            .await?;
        let workspace = Workspace::in_memory()?;
        let regions: [(&str, ArrayRef); 2] = [
            ("id", Arc::new(Int64Array::from_iter_values(1..=9))),
            (
                "title",
                Arc::new(StringArray::from_iter_values(
                    (1..=9).map(|n| format!("region {n}")),
                )),
            ),
        ];
        let regions = RecordBatch::try_from_iter(regions)?;
        let create = "CREATE TABLE regions (id INTEGER, title TEXT)";
        let mut writer = workspace.write(create, "regions", regions.schema(), &Options::new())?;
        writer.write(&regions)?;
        writer.finish()?;
        Ok(Self {
            elsewhere,
            target,
            admin,
            workspace,
        })
    }

    async fn resources(&self) -> Result<Resources> {
        let mut resources = connections([
            ("here", fixture::connect(&self.target).await?),
            ("there", fixture::connect(&self.elsewhere).await?),
        ]);
        resources.workspace = Some(self.workspace.clone());
        let ratings: [(&str, ArrayRef); 2] = [
            ("customer", Arc::new(Int64Array::from_iter_values(50..=300))),
            (
                "stars",
                Arc::new(Int64Array::from_iter_values((50..=300).map(|n| n % 5))),
            ),
        ];
        let ratings = RecordBatch::try_from_iter(ratings)?;
        let rows = Rows {
            schema: ratings.schema(),
            count: Some(251),
            batches: Box::new(
                vec![Ok(ratings.slice(0, 100)), Ok(ratings.slice(100, 151))].into_iter(),
            ),
        };
        resources.files.insert("ratings.parquet".to_owned(), rows);
        Ok(resources)
    }

    /// What differs between the target and the same join in one server.
    async fn differing(&self, table: &str, join: &str) -> Result<String> {
        let direct = join_of(["orders", "regions", "ratings"], join);
        let sql = format!(
            "SELECT count(*) FROM ((TABLE {table} EXCEPT ALL ({direct})) UNION ALL (({direct}) EXCEPT ALL TABLE {table})) d"
        );
        value(&self.admin, &sql).await
    }

    /// Waits until nothing is open any more.
    async fn comes_to_rest(&self) -> Result<()> {
        let began = std::time::Instant::now();
        loop {
            let left = self.leftovers().await?;
            if left.starts_with("0 ") && left.ends_with(" 0") {
                return Ok(());
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{left}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Temporary tables, tables beside the four, and open transactions, of which there should be none.
    async fn leftovers(&self) -> Result<String> {
        let sql = "SELECT (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relpersistence = 't') || ' ' ||
            (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace) || ' ' ||
            (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle')";
        value(&self.admin, sql).await
    }
}

/// The query, with the names that three of the sources have.
fn join_of([orders, regions, ratings]: [&str; 3], kind: &str) -> String {
    format!(
        "SELECT c.id AS customer, c.name, r.title, s.stars, o.id AS order_id, o.total, o.placed
         FROM customers c {kind} JOIN {orders} o ON o.customer = c.id
         {kind} JOIN {regions} r ON r.id = c.region {kind} JOIN {ratings} s ON s.customer = c.id"
    )
}

fn document(id: &str, kind: &str, target: &str) -> Value {
    let name = |number: usize| format!("dagflux_{}_{number}", id.replace('-', "_"));
    let (orders, regions, ratings) = (name(2), name(3), name(4));
    json!({
        "version": 1, "id": id, "node": "join", "mode": "new-table",
        "sources": [
            { "connection": "here", "table": "customers" },
            { "connection": "there", "table": "orders" },
            { "workspace": "regions" },
            { "file": "ratings.parquet" },
        ],
        "target": { "connection": "here", "table": target },
        "statements": { "select": join_of([&orders, &regions, &ratings], kind) },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn four_sources_are_joined_as_in_one_server() -> Result<()> {
    let scene = Scene::new("join_four").await?;
    for kind in ["INNER", "LEFT", "FULL"] {
        let target = format!("joined_{}", kind.to_lowercase());
        let operation = operation(&document("four-places", kind, &target));
        let mut watch = Watch::default();
        let done = plan_and_run(&operation, scene.resources().await?, &mut watch).await?;
        assert!(done.rows > 1000, "{kind}: {}", done.rows);
        assert_eq!(scene.differing(&target, kind).await?, "0", "{kind}");
        let loaded: Vec<_> = watch
            .records
            .iter()
            .take(3)
            .map(|record| record.rows)
            .collect();
        assert_eq!(loaded, [Some(3000), Some(9), Some(251)]);
    }
    scene.comes_to_rest().await?;
    assert_eq!(scene.leftovers().await?, "0 7 0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_merged_by_key() -> Result<()> {
    let scene = Scene::new("join_merge").await?;
    scene
        .admin
        .batch_execute(
            "CREATE TABLE summary (customer int PRIMARY KEY, orders bigint, note text);
             INSERT INTO summary VALUES (1, 0, 'kept'), (9999, 7, 'kept'); GRANT ALL ON summary TO dagflux",
        )
        .await?;
    let merge = json!({
        "version": 1, "id": "merge", "node": "join", "mode": "merge", "keys": ["customer"],
        "sources": [
            { "connection": "here", "table": "customers" },
            { "connection": "there", "table": "orders", "columns": [
                { "name": "customer", "type": "integer", "nullable": true },
                { "name": "id", "type": "integer", "nullable": false },
            ] },
        ],
        "target": { "connection": "here", "table": "summary" },
        "statements": { "select": "SELECT c.id AS customer, count(o.id) AS orders FROM customers c \
            JOIN dagflux_merge_2 o ON o.customer = c.id GROUP BY c.id" },
    });
    for _ in 0..2 {
        let done = plan_and_run(
            &operation(&merge),
            scene.resources().await?,
            &mut Watch::default(),
        )
        .await?;
        assert_eq!(done.rows, 200);
        let state = "SELECT count(*) || ' ' || sum(orders) || ' ' || count(note) FROM summary";
        assert_eq!(value(&scene.admin, state).await?, "201 2407 2");
    }
    // Keys that come twice.
    let mut twice = merge.clone();
    twice["statements"]["select"] = json!(
        "SELECT 1 AS customer, o.id::bigint AS orders FROM dagflux_merge_2 o JOIN customers c ON c.id = o.customer"
    );
    let failed = plan_and_run(
        &operation(&twice),
        scene.resources().await?,
        &mut Watch::default(),
    )
    .await;
    match failed.unwrap_err() {
        Failure::Step { error, .. } => assert_eq!(error.kind(), ErrorKind::Constraint, "{error}"),
        other => panic!("{other:?}"),
    }
    scene.comes_to_rest().await?;
    assert_eq!(scene.leftovers().await?, "0 5 0");
    Ok(())
}

/// The same operation, twice at once: their temporary tables do not meet.
#[tokio::test(flavor = "multi_thread")]
async fn two_joins_at_once_do_not_collide() -> Result<()> {
    let scene = Scene::new("join_twice").await?;
    let (one, other) = (
        document("twice", "LEFT", "first"),
        document("twice", "LEFT", "second"),
    );
    let (one, other) = (operation(&one), operation(&other));
    let (mut first, mut second) = (Watch::default(), Watch::default());
    let (first, second) = tokio::join!(
        plan_and_run(&one, scene.resources().await?, &mut first),
        plan_and_run(&other, scene.resources().await?, &mut second),
    );
    assert_eq!(first?.rows, second?.rows);
    assert_eq!(scene.differing("first", "LEFT").await?, "0");
    assert_eq!(scene.differing("second", "LEFT").await?, "0");
    scene.comes_to_rest().await?;
    assert_eq!(scene.leftovers().await?, "0 6 0");
    Ok(())
}

/// Given up at any point, it leaves no temporary table and no part of the target.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_is_given_up_leaves_nothing() -> Result<()> {
    let scene = Scene::new("join_given_up").await?;
    let operation = operation(&document("given-up", "FULL", "target"));
    let began = std::time::Instant::now();
    operation::run(
        &operation,
        scene.resources().await?,
        &Settings::default(),
        &mut Watch::default(),
    )
    .await?;
    let mut whole = began.elapsed();
    scene.admin.batch_execute("DROP TABLE target").await?;
    let (mut given_up, mut committed, mut done) = (0, 0, 0);
    // Now and then one is done sooner than those before.
    let mut points = (0..20).cycle().take(100);
    while given_up < 20
        && let Some(point) = points.next()
    {
        let resources = scene.resources().await?;
        let settings = Settings::default();
        let mut watch = Watch::default();
        let run = operation::run(&operation, resources, &settings, &mut watch);
        let limit = whole.mul_f64(f64::from(point) / 20.0);
        let began = std::time::Instant::now();
        match tokio::time::timeout(limit, run).await {
            Err(_) => given_up += 1,
            Ok(outcome) => {
                outcome?;
                done += 1;
                whole = whole.min(began.elapsed());
                scene.admin.batch_execute("DROP TABLE target").await?;
            }
        }
        scene.comes_to_rest().await?;
        if scene.leftovers().await? == "0 5 0" {
            // The commit was on its way: all of it is there, and not a part.
            committed += 1;
            assert_eq!(scene.differing("target", "FULL").await?, "0");
            scene.admin.batch_execute("DROP TABLE target").await?;
        }
        scene.comes_to_rest().await?;
        assert_eq!(scene.leftovers().await?, "0 4 0");
    }
    println!("given up {given_up} times, of which {committed} in the commit; done {done} times");
    assert_eq!(given_up, 20);
    Ok(())
}

/// What is wrong with a source is said, and the target is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_fails_the_join() -> Result<()> {
    let scene = Scene::new("join_fails").await?;
    let document = document("fails", "INNER", "target");
    let settings = Settings::default();
    let mut missing = document.clone();
    missing["sources"][1]["table"] = json!("nowhere");
    let mut columns = document.clone();
    columns["sources"][3]["columns"] =
        json!([{ "name": "nothing", "type": "Int64", "nullable": true }]);
    for (document, kind) in [(missing, Some(ErrorKind::TableNotFound)), (columns, None)] {
        let operation = operation(&document);
        let failed = operation::run(
            &operation,
            scene.resources().await?,
            &settings,
            &mut Watch::default(),
        )
        .await;
        match (failed.unwrap_err(), kind) {
            (Failure::Step { error, .. }, Some(kind)) => assert_eq!(error.kind(), kind, "{error}"),
            (Failure::Drift(_), None) => {}
            (other, _) => panic!("{other:?}"),
        }
        scene.comes_to_rest().await?;
        assert_eq!(scene.leftovers().await?, "0 4 0");
    }
    // A reader that gives up without a word.
    let mut resources = scene.resources().await?;
    let rows = resources
        .files
        .get_mut("ratings.parquet")
        .context("the file")?;
    let first = std::mem::replace(&mut rows.batches, Box::new(std::iter::empty()));
    rows.batches = Box::new(first.enumerate().map(|(number, batch)| {
        assert!(number == 0, "a reader that panics");
        batch
    }));
    let silent = operation(&document);
    let failed = operation::run(&silent, resources, &settings, &mut Watch::default()).await;
    assert!(matches!(failed, Err(Failure::Step { .. })), "{failed:?}");
    scene.comes_to_rest().await?;
    assert_eq!(scene.leftovers().await?, "0 4 0");
    // A file that breaks off.
    let mut resources = scene.resources().await?;
    let rows = resources
        .files
        .get_mut("ratings.parquet")
        .context("the file")?;
    let broken: Box<dyn std::error::Error + Send + Sync> = "it breaks off".into();
    let first = std::mem::replace(&mut rows.batches, Box::new(std::iter::empty()));
    rows.batches = Box::new(first.take(1).chain(std::iter::once(Err(broken))));
    let failed = operation::run(
        &operation(&document),
        resources,
        &settings,
        &mut Watch::default(),
    )
    .await;
    match failed.unwrap_err() {
        Failure::Step { error, .. } => {
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(
                error.to_string().contains("ratings.parquet: it breaks off"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
    scene.comes_to_rest().await?;
    assert_eq!(scene.leftovers().await?, "0 4 0");
    Ok(())
}
