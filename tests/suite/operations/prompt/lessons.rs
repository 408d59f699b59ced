//! What the instructions teach is true: every statement in them runs, and the example answer of each
//! combination passes the review and is carried out.

use std::collections::BTreeMap;

use anyhow::ensure;
use dagflux_host::operation::review::{Context, Declared, Severity, Slot, judge};
use dagflux_host::operation::{self, Document, Operation, Resources, Rows};
use dagflux_host::workspace::{Options, Workspace};
use dagflux_test_support::ServerOptions;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::*;
use crate::assertions::{query, value};
use crate::operations::{Watch, plan_and_run};

const ROWS: &str = r#"
    INSERT INTO shop.customers (name, "Region", signed_up)
        SELECT 'Dr. Smith ' || g, (ARRAY['north', 'south', NULL])[1 + g % 3], date '2023-12-01' + g
        FROM generate_series(1, 30) g;
    INSERT INTO shop.orders (customer_id, placed_at, status, total, discount, tags, details)
        SELECT 1 + g % 25, timestamptz '2023-12-20 00:00:00+00' + g * interval '7 hours',
            (ARRAY['new', 'paid', 'shipped', 'cancelled'])[1 + g % 4]::shop.order_status, g * 1.25,
            CASE WHEN g % 3 = 0 THEN g % 20 END, CASE WHEN g % 5 > 0 THEN ARRAY['gift', 'web'] END,
            CASE g % 4 WHEN 0 THEN '{"channel": "web", "weight": "1.5", "due": "2024-03-01",
                "items": [{"sku": "a", "quantity": 2}], "address": {"city": "Ulm"}}'
            WHEN 1 THEN '{"weight": "heavy", "items": {}}' WHEN 2 THEN '[1]' END::jsonb
        FROM generate_series(1, 200) g;
    INSERT INTO shop.customer_totals VALUES (1, 'old', 0, 0), (99, 'kept', 1, 2);
    ANALYZE;
"#;

/// One of the five, and the tables that its example is about, `None` being the one from elsewhere.
struct Lesson {
    node: Node,
    mode: Mode,
    storage: Option<Storage>,
    sources: &'static [Option<&'static str>],
    target: Option<&'static str>,
    /// What tells on the server, or in the workspace, that the example did what it was to do.
    proof: &'static str,
    proved: &'static str,
}

const LESSONS: [Lesson; 5] = [
    Lesson {
        node: Node::Transform,
        mode: Mode::NewTable,
        storage: Some(Storage::Database),
        sources: &[Some("orders")],
        target: Some("monthly_revenue"),
        proof: "SELECT count(*) || ' ' || (sum(orders) = (SELECT count(*) FROM shop.orders WHERE status IN ('paid', 'shipped')))
            FROM shop.monthly_revenue",
        proved: "3 true",
    },
    Lesson {
        node: Node::Transform,
        mode: Mode::NewTable,
        storage: Some(Storage::Local),
        sources: &[Some("orders")],
        target: Some("customer_revenue"),
        proof: "",
        proved: "",
    },
    Lesson {
        node: Node::Transform,
        mode: Mode::InPlace,
        storage: None,
        sources: &[Some("orders")],
        target: None,
        proof: "SELECT count(*) FILTER (WHERE status = 'cancelled') || ' ' || bool_and(net = total - COALESCE(discount, 0)) FROM shop.orders",
        proved: "0 true",
    },
    Lesson {
        node: Node::Join,
        mode: Mode::NewTable,
        storage: None,
        sources: &[Some("orders"), None, Some("customers")],
        target: Some("goals_reached"),
        proof: "SELECT count(*) || ' ' || count(*) FILTER (WHERE revenue > 0) FROM shop.goals_reached",
        proved: "3 2",
    },
    Lesson {
        node: Node::Join,
        mode: Mode::Merge,
        storage: None,
        sources: &[Some("orders"), Some("customers")],
        target: Some("customer_totals"),
        proof: "SELECT count(*) || ' ' || min(region) FILTER (WHERE customer_id = 99) || ' ' ||
            count(*) FILTER (WHERE customer_id = 1 AND region <> 'old') FROM shop.customer_totals",
        proved: "26 kept 1",
    },
];

impl Lesson {
    fn options(&self) -> PromptOptions {
        let mut options = PromptOptions::new("goals", self.node, self.mode);
        options.storage = self.storage;
        options.target = self.target.map(|target| match self.storage {
            Some(Storage::Local) => TableName::new(target),
            _ => shop(target),
        });
        self.sources
            .iter()
            .fold(options, |options, source| match source {
                Some(table) => options.with_table(shop(table)),
                None => options.with_elsewhere("goals.csv", goal_columns()),
            })
    }

    /// The tables that the prompt says its examples are about, with rows in them.
    async fn scene(&self, server: &'static Server, name: &str) -> Result<Scene> {
        // Whatever the tables are like that it is asked for, the examples are the same.
        let tables = "CREATE TABLE shop.orders (id int); CREATE TABLE shop.customers (id int); CREATE TABLE shop.customer_totals (id int)";
        let mut scene = Scene::on(server, name, tables).await?;
        let prompt = scene.connection.prompt(&self.options()).await?;
        let first = blocks(&prompt.instructions, "sql-tables")
            .into_iter()
            .next();
        let sample = first.context("no tables of the examples")?;
        let drop =
            "DROP TABLE shop.orders, shop.customers, shop.customer_totals; SET ROLE dagflux;";
        scene
            .admin
            .batch_execute(&[drop, &sample, ROWS].concat())
            .await?;
        Ok(scene)
    }

    /// The answer as a saved operation, with the columns as they are.
    async fn document(&self, answer: &Value, connection: &mut Connection) -> Result<Value> {
        let mut sources = Vec::new();
        let used = answer["columns"].as_array().context("columns")?;
        assert_eq!(used.len(), self.sources.len());
        for (source, used) in self.sources.iter().zip(used) {
            let known: Vec<Column> = match source {
                Some(table) => connection
                    .columns(Some("shop"), Some(table))
                    .await?
                    .into_iter()
                    .map(|info| Column {
                        name: info.name,
                        data_type: info.data_type,
                        nullable: info.nullable,
                    })
                    .collect(),
                None => goal_columns(),
            };
            let mut columns = Vec::new();
            for name in used.as_array().context("a list of columns")? {
                let column = known.iter().find(|column| *name == column.name);
                columns.push(column.with_context(|| format!("there is no column {name}"))?);
            }
            sources.push(match source {
                Some(table) => json!({ "connection": "db", "table": format!("shop.{table}"), "columns": columns }),
                None => json!({ "file": "goals.csv", "columns": columns }),
            });
        }
        let mut document = json!({
            "version": 1, "id": "goals", "node": self.node, "mode": self.mode, "sources": sources,
            "statements": answer["statements"],
        });
        if let Some(storage) = self.storage {
            document["storage"] = json!(storage);
        }
        if let Some(keys) = answer.get("keys") {
            document["keys"] = keys.clone();
        }
        let target = self.options().target;
        if let Some(target) = target {
            document["target"] = json!({ "table": target.to_string() });
            if self.node == Node::Join {
                document["target"]["connection"] = json!("db");
            }
        }
        Ok(document)
    }
}

fn goal_columns() -> Vec<Column> {
    let column = |(name, data_type): (&str, &str)| Column {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        nullable: true,
    };
    [
        ("region", "Utf8"),
        ("year", "Int32"),
        ("goal", "Decimal128(12, 2)"),
    ]
    .map(column)
    .to_vec()
}

async fn goals(connection: &mut Connection) -> Result<Rows> {
    let sql = "SELECT region, year, goal::numeric(12,2) AS goal FROM (VALUES ('north', 2024, 100), ('south', 2024, 50.5), ('west', 2024, 7)) AS g(region, year, goal)";
    let batches = query(connection, sql).await?;
    let schema = batches.first().context("rows")?.schema();
    Ok(Rows {
        schema,
        count: Some(3),
        batches: Box::new(batches.into_iter().map(Ok)),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_that_is_taught_runs() -> Result<()> {
    every_idiom(Server::shared().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taught_holds_for_the_oldest_and_the_newest_server() -> Result<()> {
    static SERVERS: [OnceCell<Server>; 2] = [OnceCell::const_new(), OnceCell::const_new()];
    for (server, major) in SERVERS.iter().zip([10, 18]) {
        let options = ServerOptions::new().with_version(major);
        let start = async || Server::start(&options).await;
        let server = server.get_or_try_init(start).await?;
        every_idiom(server)
            .await
            .with_context(|| format!("on {major}"))?;
    }
    Ok(())
}

/// Runs every statement of every prompt.
async fn every_idiom(server: &'static Server) -> Result<()> {
    for (number, lesson) in LESSONS.iter().enumerate() {
        let mut scene = lesson
            .scene(server, &format!("prompt_idioms_{number}"))
            .await?;
        let prompt = scene.connection.prompt(&lesson.options()).await?;
        let set_up = blocks(&prompt.instructions, "sql-tables");
        let idioms = blocks(&prompt.instructions, "sql");
        assert!(idioms.len() > 10, "{number}");
        let mut context = Context::new("postgresql")
            .context("the dialect")?
            .with_schema("public");
        let tables = ["customers", "orders", "customer_totals"];
        context.sources = tables.map(|table| Declared::new(shop(table))).to_vec();
        let mut goals = Declared::new(TableName::new("dagflux_goals_2"));
        goals.temporary = true;
        context.sources.push(goals);
        context.target = Some(Declared::new(shop("orders")));
        for sql in &idioms {
            let told = format!("{:?} {:?}: {sql}", lesson.node, lesson.mode);
            ensure!(!sql.contains(';'), "more than one statement: {told}");
            let mut transaction = scene.connection.transaction(Default::default()).await?;
            for more in set_up.iter().skip(1) {
                transaction.execute(more).await?;
                transaction
                    .execute(
                        "INSERT INTO dagflux_goals_2 VALUES ('north', 2023, 5), (NULL, 2024, 6)",
                    )
                    .await?;
            }
            let examined = transaction
                .examine(sql)
                .await
                .with_context(|| told.clone())?;
            let selects = examined.columns.is_some();
            let slot = if selects { Slot::Preview } else { Slot::Change };
            let findings = judge(slot, "idiom", sql, Some(Ok(&examined)), &context);
            let errors: Vec<_> = findings
                .iter()
                .filter(|f| f.severity > Severity::Note)
                .collect();
            ensure!(errors.is_empty(), "{told}: {errors:#?}");
            match selects {
                true => drop(query(&mut transaction, sql).await.with_context(|| told)?),
                false => drop(transaction.execute(sql).await.with_context(|| told)?),
            }
        }
        local_idioms(
            &blocks(&prompt.instructions, "sqlite"),
            &mut scene.connection,
        )
        .await?;
        let local = lesson.storage == Some(Storage::Local);
        assert_eq!(prompt.instructions.contains("```sqlite"), local);
    }
    Ok(())
}

/// The workspace's statements: the first makes a table, the others read it.
async fn local_idioms(idioms: &[String], connection: &mut Connection) -> Result<()> {
    let Some((create, queries)) = idioms.split_first() else {
        return Ok(());
    };
    let rows = "SELECT 1::bigint AS id, 'a' AS name, 12.5::numeric(14,2) AS revenue, 0.25::float8 AS share, true AS active,
        date '2024-02-29' AS since, timestamptz '2024-02-29 10:00:00+00' AS last_order, '{}'::jsonb AS details";
    let batches = query(connection, rows).await?;
    let batch = batches.first().context("a row")?;
    let workspace = Workspace::in_memory()?;
    let mut writer = workspace.write(create, "example_types", batch.schema(), &Options::new())?;
    writer.write(batch)?;
    writer.finish()?;
    ensure!(!queries.is_empty(), "nothing is read");
    for sql in queries {
        let rows = workspace.query(sql, &Options::new())?;
        let batches: Vec<_> = rows.collect::<dagflux_host::Result<_>>()?;
        assert_eq!(
            batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
            1,
            "{sql}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_answer_passes_the_review_and_is_carried_out() -> Result<()> {
    for (number, lesson) in LESSONS.iter().enumerate() {
        let server = Server::shared().await?;
        let mut scene = lesson
            .scene(server, &format!("prompt_example_{number}"))
            .await?;
        let prompt = scene.connection.prompt(&lesson.options()).await?;
        let [answer] = &blocks(&prompt.instructions, "json")[..] else {
            anyhow::bail!("one example, not {}", prompt.instructions);
        };
        let answer: Value = serde_json::from_str(answer)?;
        let document = lesson.document(&answer, &mut scene.connection).await?;
        let document = Document::parse(&document.to_string())?;
        let operation: Operation = document
            .operation()
            .map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
        let workspace = Workspace::in_memory()?;
        let file = goals(&mut scene.connection).await?;
        let mut resources = Resources {
            connections: BTreeMap::from([(
                "db".to_owned(),
                fixture::connect(&scene.database).await?,
            )]),
            files: BTreeMap::from([("goals.csv".to_owned(), file)]),
            workspace: Some(workspace.clone()),
        };
        let review = operation::review(&operation, &mut resources).await?;
        let errors: Vec<_> = review
            .findings
            .iter()
            .filter(|f| f.severity > Severity::Note)
            .collect();
        ensure!(errors.is_empty(), "{errors:#?}");
        let mut watch = Watch::says_yes();
        watch.every_row = true;
        let done = plan_and_run(&operation, resources, &mut watch).await?;
        assert!(
            done.preview.iter().any(|batch| batch.num_rows() > 0),
            "{number}"
        );
        match lesson.storage {
            Some(Storage::Local) => {
                let rows = workspace.query(
                    "SELECT count(*) AS n FROM customer_revenue WHERE revenue > 0",
                    &Options::new(),
                )?;
                let rows: Vec<_> = rows.collect::<dagflux_host::Result<_>>()?;
                assert_eq!(
                    format!("{:?}", rows.first().context("a row")?.column(0))
                        .matches("25")
                        .count(),
                    1,
                    "{rows:?}"
                );
            }
            _ => assert_eq!(
                value(&scene.admin, lesson.proof).await?,
                lesson.proved,
                "{number}"
            ),
        }
    }
    Ok(())
}
