//! `dagflux plan`, `run` and `review`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dagflux_test_support::Database;
use dagflux_test_support::tokio_postgres::Client;
use serde_json::{Value, json};

use super::{Desk, prepared};
use crate::assertions::value;
use crate::fixture;

struct Scene {
    _database: Database<'static>,
    admin: Client,
    desk: Desk,
}

impl Scene {
    async fn new(name: &str) -> Result<Self> {
        let (database, desk) = prepared(name).await?;
        let admin = database.sql().await?;
        admin
            .batch_execute("CREATE TABLE own AS SELECT id, customer, total FROM orders; ALTER TABLE own ADD PRIMARY KEY (id); ALTER TABLE own OWNER TO dagflux")
            .await?;
        Ok(Self {
            _database: database,
            admin,
            desk,
        })
    }

    fn save(&self, name: &str, document: &Value) -> Result<()> {
        Ok(fs::write(self.desk.path(name), document.to_string())?)
    }
}

fn revenue() -> Value {
    json!({
        "version": 1, "id": "revenue", "node": "transform", "mode": "new-table",
        "sources": [{ "connection": "db", "table": "orders", "columns": [
            { "name": "day", "type": "date", "nullable": true },
            { "name": "total", "type": "numeric(10,2)", "nullable": false },
        ] }],
        "target": { "table": "revenue" },
        "statements": {
            "create": "CREATE TABLE revenue (month date, total numeric(12,2))",
            "insert": "INSERT INTO revenue SELECT date_trunc('month', day)::date, sum(total) FROM orders GROUP BY 1",
            "preview": "SELECT * FROM revenue ORDER BY month",
        },
    })
}

fn in_place(changes: &[&str]) -> Value {
    json!({
        "version": 1, "id": "clean-up", "node": "transform", "mode": "in-place",
        "sources": [{ "connection": "db", "table": "own" }],
        "statements": { "changes": changes },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_planned_reviewed_and_run() -> Result<()> {
    let scene = Scene::new("cli_operate").await?;
    let desk = &scene.desk;
    scene.save("revenue.json", &revenue())?;
    let plan = desk.succeed(&["plan", "revenue.json"])?;
    for words in [
        "fill revenue from orders",
        "copy the comments of orders",
        "public.revenue: keeps out who changes the same rows",
        "-- step 2\nINSERT INTO revenue SELECT",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let plan = desk.json(&["plan", "revenue.json"])?;
    assert_eq!(plan[0]["steps"][1]["action"], "insert");
    assert_eq!(plan[0]["drift"], json!([]));
    assert_eq!(
        desk.succeed(&["review", "revenue.json"])?,
        "nothing was found\n"
    );
    assert_eq!(
        desk.json(&["review", "revenue.json"])?[0]["findings"],
        json!([])
    );
    let ran = desk.json(&["run", "revenue.json", "--log", "runs.jsonl", "-n", "2"])?;
    let steps = ran
        .iter()
        .filter_map(|line| line["step"]["action"].as_str());
    assert_eq!(
        steps.collect::<Vec<_>>(),
        ["create", "insert", "comment", "preview", "commit"]
    );
    let done = &ran.last().context("a last line")?["done"];
    assert_eq!(done["preview"]["columns"], json!(["month", "total"]));
    assert_eq!(done["preview"]["rows"].as_array().map(Vec::len), Some(2));
    let months = value(&scene.admin, "SELECT count(*) FROM revenue").await?;
    assert_eq!(done["rows"].to_string(), months);
    let log = fs::read_to_string(desk.path("runs.jsonl"))?;
    let log: Vec<Value> = log
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(log.len(), 5);
    assert_eq!(log[1]["rows"].to_string(), months);
    // A second time it is there already, and the log says so.
    let (people, error) = desk.fail(&["run", "revenue.json", "--log", "runs.jsonl"], 14)?;
    assert!(people.contains("already exists"), "{people}");
    assert_eq!(error["kind"], "review");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_said_and_nothing_is_done() -> Result<()> {
    let scene = Scene::new("cli_operate_not").await?;
    let desk = &scene.desk;
    let mut wrong = revenue();
    wrong["statements"]["insert"] = json!(
        "INSERT INTO revenue SELECT date_trunc('month', dya)::date, sum(total) FROM orders GROUP BY 1"
    );
    scene.save("wrong.json", &wrong)?;
    for command in ["plan", "review"] {
        let told = desk.run(&[command, "wrong.json"])?;
        assert_eq!(told.code, Some(14), "{told:?}");
        assert!(
            told.out.contains("statements.insert, line 1, column"),
            "{told:?}"
        );
        assert!(told.out.contains("`day`"), "the nearest name: {told:?}");
    }
    let (people, error) = desk.fail(&["run", "wrong.json"], 14)?;
    assert!(
        people.contains("not fit to be run") && people.contains("`day`"),
        "{people}"
    );
    assert_eq!(error["kind"], "review");
    let mut drifted = revenue();
    drifted["sources"][0]["columns"][1]["type"] = json!("numeric(8,2)");
    scene.save("drifted.json", &drifted)?;
    let (people, error) = desk.fail(&["run", "drifted.json"], 14)?;
    assert!(
        people.contains("`total` was numeric(8,2) and is numeric(10,2)"),
        "{people}"
    );
    assert_eq!(error["kind"], "drift");
    scene.save(
        "rule.json",
        &json!({ "version": 1, "id": "x", "node": "join", "mode": "in-place", "sources": [] }),
    )?;
    let (people, _) = desk.fail(&["run", "rule.json"], 14)?;
    assert!(people.contains("does not work in place"), "{people}");
    let there = "SELECT count(*) FROM pg_class WHERE relname = 'revenue'";
    assert_eq!(value(&scene.admin, there).await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_rehearsed_and_done_only_when_told_so() -> Result<()> {
    let scene = Scene::new("cli_operate_in_place").await?;
    let desk = &scene.desk;
    let sum = "SELECT sum(total) || ' ' || count(*) FROM own";
    let before = value(&scene.admin, sum).await?;
    scene.save(
        "some.json",
        &in_place(&["UPDATE own SET total = 0 WHERE id <= 100"]),
    )?;
    scene.save("all.json", &in_place(&["DELETE FROM own WHERE id > 0"]))?;
    let shown = desk.succeed(&["run", "some.json", "--rehearse"])?;
    for words in [
        "rehearsed on own, and rolled back: 100 rows updated, 0 rows deleted, 0 alterations",
        "UPDATE 100 of 2,000 rows",
        "before:",
        "after:",
        "locks public.own (ROW EXCLUSIVE): keeps out who changes the same rows until it is done",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // Nobody is there to answer.
    let asked = desk.run(&["run", "some.json"])?;
    assert_eq!(asked.code, Some(2), "{asked:?}");
    let refused = desk.run(&["run", "all.json", "--yes"])?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("--every-row"), "{refused:?}");
    assert_eq!(value(&scene.admin, sum).await?, before);
    let ran = desk.json(&["run", "some.json", "--yes"])?;
    let rehearsal = ran
        .iter()
        .find_map(|line| line.get("rehearsal"))
        .context("a rehearsal")?;
    assert_eq!(rehearsal["changes"][0]["rows"], 100);
    assert_eq!(
        rehearsal["changes"][0]["after"]["rows"]
            .as_array()
            .map(Vec::len),
        Some(5)
    );
    assert_eq!(
        value(&scene.admin, "SELECT count(*) FROM own WHERE total = 0").await?,
        "100"
    );
    desk.succeed(&["run", "all.json", "--yes", "--every-row"])?;
    assert_eq!(value(&scene.admin, "SELECT count(*) FROM own").await?, "0");
    Ok(())
}

/// Sources: the server, the workspace, a Parquet file. The command is killed at 20 points.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_is_killed_leaves_nothing() -> Result<()> {
    let scene = Scene::new("cli_operate_join").await?;
    let desk = &scene.desk;
    desk.succeed(&[
        "export",
        "db",
        "--query",
        "SELECT id, customer FROM orders WHERE id % 2 = 0",
        "-o",
        "even.parquet",
    ])?;
    let local = json!({
        "version": 1, "id": "local", "node": "transform", "mode": "new-table", "storage": "local",
        "sources": [{ "connection": "db", "table": "orders" }], "target": { "table": "totals" },
        "statements": { "create": "CREATE TABLE totals (id INTEGER, total DECIMAL(10,2))",
            "select": "SELECT id, total FROM orders" },
    });
    scene.save("local.json", &local)?;
    let workspace = ["--workspace", "workspace.sqlite"];
    desk.succeed(&[&["run", "local.json"][..], &workspace].concat())?;
    let join = json!({
        "version": 1, "id": "joined", "node": "join", "mode": "new-table",
        "sources": [
            { "connection": "db", "table": "orders" }, { "workspace": "totals" }, { "file": "even.parquet" },
        ],
        "target": { "connection": "db", "table": "joined" },
        "statements": { "select": "SELECT o.id, o.day, t.total, e.customer FROM orders o \
            JOIN dagflux_joined_2 t ON t.id = o.id LEFT JOIN dagflux_joined_3 e ON e.id = o.id" },
    });
    scene.save("join.json", &join)?;
    let arguments = [&["run", "join.json"][..], &workspace].concat();
    let began = Instant::now();
    let shown = desk.succeed(&arguments)?;
    let mut whole = began.elapsed();
    assert!(shown.contains("customer"), "{shown}");
    let same = "SELECT count(*) FROM joined j JOIN orders o USING (id, day, total)
        WHERE j.customer IS NOT DISTINCT FROM CASE WHEN o.id % 2 = 0 THEN o.customer END";
    assert_eq!(value(&scene.admin, same).await?, "2000");
    let left = "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'dagflux%') || ' ' ||
        (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())";
    let mut killed = 0;
    // Now and then one is done sooner than those before.
    let mut points = (0..20).cycle().take(100);
    while killed < 20
        && let Some(point) = points.next()
    {
        scene
            .admin
            .batch_execute("DROP TABLE IF EXISTS joined")
            .await?;
        let mut child = desk.command(&arguments)?.spawn()?;
        std::thread::sleep(whole.mul_f64(f64::from(point) / 20.0));
        child.kill()?;
        match child.wait()?.success() {
            true => whole = whole.mul_f64(0.9),
            false => killed += 1,
        }
        let began = Instant::now();
        while value(&scene.admin, left).await? != "0 0" {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{}",
                value(&scene.admin, left).await?
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let there = "SELECT count(*) FROM pg_class WHERE relname = 'joined'";
        if value(&scene.admin, there).await? != "0" {
            assert_eq!(
                value(&scene.admin, same).await?,
                "2000",
                "all of it or nothing"
            );
        }
    }
    assert_eq!(killed, 20);
    Ok(())
}

/// Two servers, the workspace and a Parquet file, compared with the same join in one server.
#[tokio::test(flavor = "multi_thread")]
async fn four_sources_are_joined_as_in_one_server() -> Result<()> {
    let scene = Scene::new("cli_operate_four").await?;
    let desk = &scene.desk;
    let there = fixture::second()
        .await?
        .database("cli_operate_four")
        .await?;
    there
        .sql()
        .await?
        .batch_execute(
            "CREATE TABLE lines (order_id bigint, quantity numeric(8,2), shipped timestamptz);
             INSERT INTO lines SELECT g % 2500, g * 0.25, '2026-01-01'::timestamptz + g * interval '1 s' FROM generate_series(1, 5000) g;
             GRANT SELECT ON lines TO dagflux",
        )
        .await?;
    // The same, where it can be compared.
    scene
        .admin
        .batch_execute(
            "CREATE TABLE lines AS SELECT (g % 2500)::bigint AS order_id, (g * 0.25)::numeric(8,2) AS quantity,
             '2026-01-01'::timestamptz + g * interval '1 s' AS shipped FROM generate_series(1, 5000) g;
             CREATE TABLE totals AS SELECT id, total FROM orders WHERE id <= 1500;
             CREATE TABLE even AS SELECT id, customer FROM orders WHERE id % 2 = 0;
             GRANT SELECT ON totals, even TO dagflux",
        )
        .await?;
    let server = there.server();
    let other = format!(
        "[there]\nconnector = \"postgres\"\nhost = \"{}\"\nport = {}\ndatabase = \"{}\"\n\
         username = \"{}\"\npassword = {{ file = \"other\" }}\n",
        server.host(),
        server.port(),
        there.name(),
        server.username(),
    );
    let file = desk.path("connections.toml");
    fs::write(&file, fs::read_to_string(&file)? + &other)?;
    fs::write(desk.path("other"), server.password())?;
    fs::set_permissions(desk.path("other"), fs::Permissions::from_mode(0o600))?;
    desk.succeed(&["export", "db", "even", "-o", "even.parquet"])?;
    let workspace = ["--workspace", "workspace.sqlite"];
    let local = json!({
        "version": 1, "id": "local", "node": "transform", "mode": "new-table", "storage": "local",
        "sources": [{ "connection": "db", "table": "totals" }], "target": { "table": "totals" },
        "statements": { "create": "CREATE TABLE totals (id INTEGER, total DECIMAL(10,2))", "select": "SELECT * FROM totals" },
    });
    scene.save("local.json", &local)?;
    desk.succeed(&[&["run", "local.json"][..], &workspace].concat())?;
    for kind in ["INNER", "LEFT", "FULL"] {
        let join = |lines: &str, totals: &str, even: &str| {
            format!(
                "SELECT o.id, o.day, l.quantity, l.shipped, t.total, e.customer FROM orders o \
                 {kind} JOIN {lines} l ON l.order_id = o.id {kind} JOIN {totals} t ON t.id = o.id \
                 {kind} JOIN {even} e ON e.id = o.id"
            )
        };
        let target = format!("four_{}", kind.to_lowercase());
        let document = json!({
            "version": 1, "id": "four", "node": "join", "mode": "new-table",
            "sources": [
                { "connection": "db", "table": "orders" }, { "connection": "there", "table": "lines" },
                { "workspace": "totals" }, { "file": "even.parquet" },
            ],
            "target": { "connection": "db", "table": target },
            "statements": { "select": join("dagflux_four_2", "dagflux_four_3", "dagflux_four_4") },
        });
        scene.save("four.json", &document)?;
        desk.succeed(&[&["plan", "four.json"][..], &workspace].concat())?;
        desk.succeed(&[&["run", "four.json"][..], &workspace].concat())?;
        let direct = join("lines", "totals", "even");
        let differing = format!(
            "SELECT count(*) FROM ((TABLE {target} EXCEPT ALL ({direct})) UNION ALL (({direct}) EXCEPT ALL TABLE {target})) d"
        );
        assert_eq!(value(&scene.admin, &differing).await?, "0", "{kind}");
        let rows = value(&scene.admin, &format!("SELECT count(*) FROM {target}")).await?;
        assert!(rows.parse::<u32>()? >= 1500, "{kind}: {rows}");
    }
    Ok(())
}
