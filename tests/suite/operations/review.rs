//! What a model may have written: nothing valid is refused, nothing dangerous passes, and looking at
//! it changes nothing.
//!
//! The statements are in `tests/data/review`; the head of `valid.sql` says in which form.

use anyhow::{Context, Result, ensure};
use dagflux_host::operation::review::{Review, Rule, Severity};
use dagflux_host::operation::{self, Document, Operation, Resources};
use dagflux_test_support::Database;
use dagflux_test_support::tokio_postgres::Client;
use serde_json::{Value, json};

use super::connections;
use crate::assertions::{rows, still_works};
use crate::fixture;

const SCHEMA: &str = include_str!("../../data/review/schema.sql");
const VALID: &str = include_str!("../../data/review/valid.sql");
const REFUSED: &str = include_str!("../../data/review/refused.sql");

/// An operation whose statements are to be looked at.
struct Case {
    name: String,
    operation: Operation,
    /// The rules that it breaks.
    rules: Vec<String>,
}

fn cases(data: &str) -> Result<Vec<Case>> {
    data.split("\n=== ")
        .skip(1)
        .map(|text| case(text).with_context(|| format!("reading {text}")))
        .collect()
}

fn case(text: &str) -> Result<Case> {
    let (head, body) = text.split_once('\n').context("no statements")?;
    let mut head = head.split('|').map(str::trim);
    let mut next = || head.next().unwrap_or_default().to_owned();
    let (name, mode, sources, rules) = (next(), next(), next(), next());
    let list = |text: &str| -> Vec<String> {
        let parts = text.split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut statements = json!({});
    for part in body.split("--- ").skip(1) {
        let (place, sql) = part.split_once('\n').context("no SQL")?;
        let sql = json!(sql.trim_end());
        match place {
            "changes" => match statements["changes"].as_array_mut() {
                Some(changes) => changes.push(sql),
                None => statements["changes"] = json!([sql]),
            },
            place => statements[place] = sql,
        }
    }
    let sources: Vec<Value> = list(&sources)
        .iter()
        .map(|table| json!({ "connection": "shop", "table": table }))
        .collect();
    let mut document = json!({
        "version": 1,
        "id": "case",
        "node": if mode == "join" { "join" } else { "transform" },
        "mode": if mode == "in-place" { "in-place" } else { "new-table" },
        "sources": sources,
        "statements": statements,
    });
    match mode.as_str() {
        "join" => document["target"] = json!({ "connection": "shop", "table": "shop.result" }),
        "new-table" => document["target"] = json!({ "table": "shop.result" }),
        "local" => {
            document["storage"] = json!("local");
            document["target"] = json!({ "table": "result" });
        }
        _ => {}
    }
    let document = Document::parse(&document.to_string())?;
    let operation = document.operation();
    let operation = operation.map_err(|broken| anyhow::anyhow!("{broken:?}"))?;
    Ok(Case {
        name,
        operation,
        rules: list(&rules),
    })
}

/// Everything that a statement could have changed.
async fn state(client: &Client) -> Result<Vec<Vec<Option<String>>>> {
    let mut state = Vec::new();
    for table in [
        "shop.customers",
        "shop.orders",
        "shop.order_lines",
        "shop.products",
        "vault.cards",
    ] {
        let sql = format!(
            "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
        );
        state.extend(rows(client, &sql).await?);
    }
    for sql in [
        "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1",
        "SELECT n.nspname, c.relname, c.relkind, c.relowner, c.relacl::text FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('shop', 'vault') OR n.nspname LIKE 'pg_temp%' ORDER BY 1, 2",
        "SELECT attrelid::regclass::text, attname, atttypid::regtype::text, attnotnull, attisdropped FROM pg_attribute a \
         JOIN pg_class c ON c.oid = attrelid WHERE relnamespace IN ('shop'::regnamespace, 'vault'::regnamespace) ORDER BY 1, attnum",
        "SELECT conname, conrelid::regclass::text FROM pg_constraint ORDER BY 1, 2",
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'shop'::regnamespace ORDER BY 1",
        "SELECT mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE relnamespace = 'shop'::regnamespace",
    ] {
        state.extend(rows(client, sql).await?);
    }
    Ok(state)
}

/// What a review finds, which has to leave everything as it was.
async fn reviewed(
    database: &Database<'_>,
    resources: &mut Resources,
    case: &Case,
    before: &[Vec<Option<String>>],
) -> Result<Review> {
    println!("{}", case.name);
    let review = operation::review(&case.operation, resources).await?;
    let client = database.sql().await?;
    ensure!(
        state(&client).await? == before,
        "{} changed something",
        case.name
    );
    for finding in &review.findings {
        println!("  {}", serde_json::to_string(finding)?);
    }
    Ok(review)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_valid_passes() -> Result<()> {
    let database = fixture::database("review_valid").await?;
    let client = database.sql().await?;
    client.batch_execute(SCHEMA).await?;
    let before = state(&client).await?;
    let mut resources = connections([("shop", fixture::connect(&database).await?)]);
    let cases = cases(VALID)?;
    assert_eq!(cases.len(), 50);
    let mut refused = Vec::new();
    for case in &cases {
        let review = reviewed(&database, &mut resources, case, &before).await?;
        if review
            .findings
            .iter()
            .any(|found| found.severity != Severity::Note)
        {
            refused.push((&case.name, review.findings));
        }
    }
    assert!(refused.is_empty(), "refused: {refused:#?}");
    still_works(
        resources
            .connections
            .get_mut("shop")
            .context("the connection")?,
    )
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_or_dangerous_does_not() -> Result<()> {
    let database = fixture::database("review_refused").await?;
    let client = database.sql().await?;
    client.batch_execute(SCHEMA).await?;
    let before = state(&client).await?;
    let cases = cases(REFUSED)?;
    assert_eq!(cases.len(), 50);
    // The superuser: nothing is refused for lack of a privilege.
    let mut resources = connections([("shop", fixture::connect_as_admin(&database).await?)]);
    let mut passed = Vec::new();
    for case in &cases {
        ensure!(!case.rules.is_empty(), "{}: no rules", case.name);
        let review = reviewed(&database, &mut resources, case, &before).await?;
        let found = |rule: &String| {
            let mut grave = review.findings.iter();
            grave.any(|finding| finding.rule.as_str() == rule && finding.severity != Severity::Note)
        };
        // A change of every row may be meant: it is asked about. Nothing else is.
        let stopped = match case.rules.as_slice() {
            [only] if *only == Rule::UnboundedChange.as_str() => review.asks(),
            _ => !review.passes(),
        };
        if !stopped || !case.rules.iter().all(found) {
            passed.push((&case.name, &case.rules, review.findings.clone()));
        }
        for finding in &review.findings {
            assert!(
                !finding.message.is_empty() && !finding.repair.is_empty(),
                "{finding:?}"
            );
        }
    }
    assert!(
        passed.is_empty(),
        "passed, or for other reasons: {passed:#?}"
    );
    still_works(
        resources
            .connections
            .get_mut("shop")
            .context("the connection")?,
    )
    .await;
    Ok(())
}

/// What the lists do not have: statements that depend on each other, and functions of definitions.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_whole_operation_tells() -> Result<()> {
    let database = fixture::database("review_whole").await?;
    let client = database.sql().await?;
    client.batch_execute(SCHEMA).await?;
    client
        .batch_execute(
            "CREATE FUNCTION shop.notes(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
             CREATE DOMAIN shop.noted AS int CHECK (shop.notes(VALUE));
             CREATE FUNCTION public.side(shop.orders) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
        )
        .await?;
    let before = state(&client).await?;
    let mut resources = connections([("shop", fixture::connect_as_admin(&database).await?)]);
    let add = "--- changes\nALTER TABLE shop.orders ADD COLUMN extra text\n";
    let search = "WITH RECURSIVE a AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM a WHERE id < 3) SEARCH DEPTH FIRST BY id SET o";
    for (text, passes, rule) in [
        // A function of the user's own that only computes, in a definition.
        (
            "a | in-place | shop.orders\n--- changes\nALTER TABLE shop.orders ALTER note TYPE numeric USING shop.euros(note::bigint)".to_owned(),
            true,
            "",
        ),
        (
            "b | new-table | shop.orders\n--- create\nCREATE TABLE shop.result (id bigint, euros numeric DEFAULT shop.euros(100))\n--- insert\nINSERT INTO shop.result (id) SELECT id FROM shop.orders".to_owned(),
            true,
            "",
        ),
        (
            "c | new-table | shop.orders\n--- create\nCREATE TABLE shop.result (LIKE shop.orders INCLUDING ALL EXCLUDING INDEXES)\n--- insert\nINSERT INTO shop.result (id, customer_id) SELECT id, customer_id FROM shop.orders".to_owned(),
            true,
            "",
        ),
        // What has to wait for a column, and what hides behind that.
        (
            format!("d | in-place | shop.orders\n{add}--- changes\nUPDATE shop.orders SET extra = upper(note) WHERE id = 1"),
            true,
            "not-examined",
        ),
        (
            format!("e | in-place | shop.orders\n{add}--- changes\nUPDATE shop.orders SET extra = shop.normalised(note) WHERE id = 1"),
            false,
            "unknown-function",
        ),
        (
            format!("f | in-place | shop.orders\n{add}--- changes\nUPDATE shop.orders SET extra = number FROM vault.cards WHERE id = 1"),
            false,
            "table-not-declared",
        ),
        // Changes in words that only the server reads.
        (
            format!("g | in-place | shop.orders\n--- changes\n{search} DELETE FROM shop.orders WHERE id IN (SELECT id FROM a)"),
            true,
            "not-parsed",
        ),
        (
            format!("h | in-place | shop.orders\n--- changes\n{search}, b AS (DELETE FROM shop.orders) DELETE FROM shop.orders WHERE id = 1"),
            false,
            "data-changing-cte",
        ),
        (
            format!("i | join | shop.order_totals, shop.customers\n--- select\n{search} SELECT a.id, t.total, o.note FROM a, shop.order_totals t, shop.orders o"),
            false,
            "table-not-declared",
        ),
        // Functions behind types, and in a notation that looks like a column.
        (
            "l | in-place | shop.orders\n--- changes\nALTER TABLE shop.orders ADD COLUMN z shop.noted DEFAULT 3".to_owned(),
            false,
            "side-effects",
        ),
        (
            "m | in-place | shop.orders\n--- changes\nALTER TABLE shop.orders ALTER note TYPE int USING orders.side".to_owned(),
            false,
            "side-effects",
        ),
        (
            "n | in-place | shop.orders\n--- changes\nALTER TABLE shop.orders ADD COLUMN price shop.cents DEFAULT 3".to_owned(),
            true,
            "",
        ),
        // A table that is there.
        (
            "j | new-table | shop.orders\n--- create\nCREATE TABLE shop.result (id bigint)\n--- insert\nINSERT INTO shop.result SELECT id FROM shop.orders\n--- preview\nSELECT idd FROM shop.result".to_owned(),
            false,
            "column-not-found",
        ),
        (
            "k | new-table | shop.nothing\n--- create\nCREATE TABLE shop.result (id bigint)\n--- insert\nINSERT INTO shop.result SELECT id FROM shop.nothing".to_owned(),
            false,
            "table-not-found",
        ),
    ] {
        let review = reviewed(&database, &mut resources, &case(&text)?, &before).await?;
        let rules: Vec<_> = review.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(review.passes(), passes, "{text}: {rules:?}");
        assert!(rule.is_empty() || rules.contains(&rule), "{text}: {rules:?}");
    }
    still_works(
        resources
            .connections
            .get_mut("shop")
            .context("the connection")?,
    )
    .await;
    Ok(())
}

/// Names without a schema are looked up where the connection's own are; what is on another
/// connection is stood in for.
#[tokio::test(flavor = "multi_thread")]
async fn sources_of_other_connections_and_names_without_a_schema() -> Result<()> {
    let database = fixture::database("review_elsewhere").await?;
    let client = database.sql().await?;
    client.batch_execute(SCHEMA).await?;
    let before = state(&client).await?;
    let connector = fixture::postgres().await?;
    let config = fixture::config(&database).with("schema", "shop");
    let connection = connector
        .connect(config, fixture::secrets(&database), Default::default())
        .await?;
    let mut resources = connections([("shop", connection)]);
    let join = |select: &str, columns: Value| -> Result<Operation> {
        let document = json!({
            "version": 1, "id": "far-away", "node": "join", "mode": "new-table",
            "sources": [
                { "connection": "shop", "table": "orders" },
                { "connection": "other", "table": "people", "columns": columns },
                { "file": "rates.csv", "columns": [{ "name": "Rate", "type": "numeric(6,4)", "nullable": true }] },
            ],
            "target": { "connection": "shop", "table": "result" },
            "statements": { "select": select },
        });
        let operation = Document::parse(&document.to_string())?.operation();
        operation.map_err(|broken| anyhow::anyhow!("{broken:?}"))
    };
    let columns = |data_type: &str| json!([{ "name": "id", "type": data_type, "nullable": false }]);
    const SELECT: &str = "SELECT o.id, p.id AS person, o.total * r.\"Rate\" AS total FROM orders o \
        JOIN dagflux_far_away_2 p ON p.id = o.customer_id CROSS JOIN dagflux_far_away_3 r";
    for (select, columns, passes, rule) in [
        (SELECT, columns("bigint"), true, None),
        // Without the columns, there is nothing to stand in.
        (SELECT, json!([]), true, Some("not-examined")),
        (
            "SELECT shop.normalised(p.name) AS name FROM dagflux_far_away_2 p",
            json!([]),
            false,
            Some("unknown-function"),
        ),
        // The type of a column is no place for anything else.
        (
            SELECT,
            columns("bigint DEFAULT nextval('shop.tickets')"),
            true,
            Some("not-examined"),
        ),
        (
            SELECT,
            columns("bigint); DROP TABLE shop.order_lines; --"),
            true,
            Some("not-examined"),
        ),
        (SELECT, columns("date"), false, Some("type-mismatch")),
        (
            "SELECT id FROM pg_temp.dagflux_far_away_4",
            columns("bigint"),
            false,
            Some("table-not-found"),
        ),
        (
            "SELECT nam FROM customers",
            columns("bigint"),
            false,
            Some("column-not-found"),
        ),
        (
            "SELECT number FROM vault.cards",
            columns("bigint"),
            false,
            Some("table-not-declared"),
        ),
    ] {
        let operation = join(select, columns)?;
        let review = operation::review(&operation, &mut resources).await?;
        ensure!(
            state(&client).await? == before,
            "{select} changed something"
        );
        let rules: Vec<_> = review
            .findings
            .iter()
            .map(|finding| finding.rule.as_str())
            .collect();
        assert_eq!(review.passes(), passes, "{select}: {:?}", review.findings);
        match rule {
            Some(rule) => assert!(rules.contains(&rule), "{select}: {rules:?}"),
            None => assert_eq!(rules, [""; 0], "{select}: {:?}", review.findings),
        }
    }
    still_works(
        resources
            .connections
            .get_mut("shop")
            .context("the connection")?,
    )
    .await;
    Ok(())
}
