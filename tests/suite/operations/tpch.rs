//! The queries of TPC-H as transformations: into a table of the same database, and into the workspace.

use arrow_array::StringArray;
use arrow_array::cast::AsArray;
use dagflux_test_support::tpch;
use futures_util::TryStreamExt;
use serde_json::json;

use super::*;

/// The bench measures at 0.1; here, what matters is that every query takes the way.
const SCALE: f64 = 0.01;

fn queries() -> Result<Vec<(String, String)>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/tpch");
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().context("a name")?.to_string_lossy();
        queries.push((name.into_owned(), std::fs::read_to_string(&path)?));
    }
    queries.sort();
    assert_eq!(queries.len(), 22);
    Ok(queries)
}

/// The sources of a query: the tables that it names, the first one first.
fn sources(sql: &str) -> Value {
    let tables = tpch::ALL.iter().map(|table| table.name());
    let named = tables.filter(|name| {
        sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .any(|word| word == *name)
    });
    named
        .map(|name| json!({ "connection": "tpch", "table": name }))
        .collect()
}

/// What the workspace keeps a type as, as its documentation says.
fn kept_as(data_type: &str) -> &str {
    match data_type {
        "bigint" | "integer" => "INTEGER",
        "date" => "DATE",
        numeric if numeric.starts_with("numeric(") => "TEXT",
        _ => "TEXT",
    }
}

/// Every value as text.
fn texts(batches: &[RecordBatch]) -> Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<StringArray> = batch
            .columns()
            .iter()
            .map(|column| {
                let text = arrow_cast::cast(column, &arrow_schema::DataType::Utf8)?;
                Ok(text.as_string::<i32>().clone())
            })
            .collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| {
                use arrow_array::Array;
                column.is_valid(row).then(|| column.value(row).to_owned())
            });
            rows.push(values.collect());
        }
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_tpch_makes_a_table() -> Result<()> {
    let scale = std::env::var("DAGFLUX_TPCH_SCALE").ok();
    let scale = scale.and_then(|scale| scale.parse().ok()).unwrap_or(SCALE);
    let database = fixture::database("operations_tpch").await?;
    tpch::load(&database, scale, &tpch::ALL).await?;
    let admin = database.sql().await?;
    admin
        .batch_execute(
            "CREATE INDEX ON lineitem (l_partkey, l_suppkey); CREATE INDEX ON orders (o_custkey);
             ANALYZE; GRANT ALL ON ALL TABLES IN SCHEMA public TO dagflux;
             GRANT CREATE ON SCHEMA public TO dagflux;
             COMMENT ON COLUMN customer.c_name IS 'who'",
        )
        .await?;
    let folder = tempfile::tempdir()?;
    let workspace = Workspace::open(folder.path().join("workspace.sqlite"))?;
    for (name, sql) in queries()? {
        let sql = sql.trim();
        let began = std::time::Instant::now();
        let mut connection = fixture::connect(&database).await?;
        let columns = connection.examine(sql).await?.columns.context("columns")?;
        let rows: Vec<RecordBatch> = connection.query(sql).await?.try_collect().await?;
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let direct = began.elapsed();

        let of = |kept: bool| -> String {
            let columns = columns.iter().map(|column| {
                let data_type = if kept {
                    kept_as(&column.data_type)
                } else {
                    &column.data_type
                };
                format!("{} {data_type}", column.name)
            });
            columns.collect::<Vec<_>>().join(", ")
        };
        let began = std::time::Instant::now();
        let new_table = operation(&json!({
            "version": 1, "id": name, "node": "transform", "mode": "new-table",
            "sources": sources(sql), "target": { "table": format!("result_{name}") },
            "statements": {
                "create": format!("CREATE TABLE result_{name} ({})", of(false)),
                "insert": format!("INSERT INTO result_{name} {sql}"),
            },
        }));
        let mut watch = Watch::default();
        let resources = connections([("tpch", connection)]);
        let done = plan_and_run(&new_table, resources, &mut watch).await;
        let done = done.with_context(|| name.clone())?;
        assert_eq!(done.rows, count as u64, "{name}");
        let differing = format!(
            "SELECT count(*) FROM ((TABLE result_{name} EXCEPT ALL ({sql})) UNION ALL (({sql}) EXCEPT ALL TABLE result_{name})) d"
        );
        assert_eq!(value(&admin, &differing).await?, "0", "{name}");
        let made = began.elapsed();

        let began = std::time::Instant::now();
        let kept = operation(&json!({
            "version": 1, "id": name, "node": "transform", "mode": "new-table", "storage": "local",
            "sources": sources(sql), "target": { "table": name },
            "statements": { "create": format!("CREATE TABLE {name} ({})", of(true)), "select": sql },
        }));
        let mut resources = connections([("tpch", fixture::connect(&database).await?)]);
        resources.workspace = Some(workspace.clone());
        let done = plan_and_run(&kept, resources, &mut Watch::default()).await;
        let done = done.with_context(|| name.clone())?;
        assert_eq!((done.rows, done.losses.len()), (count as u64, 0), "{name}");
        let local = local(&workspace, &format!("SELECT * FROM {name} ORDER BY rowid"))?;
        assert_eq!(texts(&local)?, texts(&rows)?, "{name}");
        println!(
            "{name}: {count} rows; direct {direct:.0?}, as a table {made:.0?}, in the workspace {:.0?}",
            began.elapsed()
        );
    }
    Ok(())
}
