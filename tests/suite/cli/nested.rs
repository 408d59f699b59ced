//! Lists, records and maps through every format.

use std::fs;

use anyhow::Result;

use super::Desk;
use crate::assertions::{rows, value};
use crate::fixture;

const NESTED: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'so so');
    CREATE TYPE pair AS (a int, \"b c\" text);
    CREATE TYPE deep AS (pairs pair[], amount numeric(10,2), at timestamptz);
    CREATE DOMAIN grades AS int[];
    CREATE TABLE nested (id int PRIMARY KEY, numbers int[], grid int[][], words text[], amounts numeric(12,3)[],
        floats float8[], days date[], times timestamptz[], keys uuid[], raw bytea[], docs jsonb[], flags boolean[],
        spans interval[], moods mood[], couple pair, couples pair[], deep deep, grades grades, ranges int4range[]);
    INSERT INTO nested (id) VALUES (0);
    INSERT INTO nested VALUES (1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        ROW(NULL, NULL), '{}', ROW(NULL, NULL, NULL), '{}', '{}');
    INSERT INTO nested SELECT g, ARRAY[g, NULL, -2147483648], CASE WHEN g % 2 = 0 THEN ARRAY[[1, g], [NULL, -4]] END,
        ARRAY['', 'NULL', NULL, E'a,\"b\"\\\\c\\n{}', 'ü🧀'], ARRAY[g * 1.125, NULL, -999999999.999],
        ARRAY['NaN', 'Infinity', '-Infinity', '-0', 0.1, 1e300, NULL]::float8[], ARRAY[date '2024-02-29', NULL, '0044-03-15 BC'],
        ARRAY[timestamptz '2024-02-29 12:00:00.000001+00', NULL], ARRAY[md5(g::text)::uuid, NULL],
        ARRAY['\\x00ff', '', NULL]::bytea[], ARRAY['{\"a\": [1, \"x\"]}', 'null', NULL]::jsonb[], ARRAY[true, NULL, false],
        ARRAY[interval '1 mon -2 days 3.5 s', NULL], ARRAY['so so', NULL]::mood[],
        ROW(g, E'x,\"y\" \\\\')::pair, ARRAY[ROW(1, NULL)::pair, NULL, ROW(NULL, '')::pair],
        ROW(ARRAY[ROW(g, 'z')::pair], 12.50, '2024-01-01 00:00+00')::deep, ARRAY[g], ARRAY['[1,5)', NULL, 'empty']::int4range[]
        FROM generate_series(2, 200) g;
    GRANT ALL ON nested TO dagflux;
";

const FORMATS: [&str; 4] = ["parquet", "arrow", "csv", "jsonl"];

fn different(table: &str) -> String {
    let texts = |table: &str| format!("SELECT t::text FROM {table} t");
    let (one, other) = (texts("nested"), texts(table));
    format!(
        "SELECT (SELECT count(*) FROM ({one} EXCEPT ALL {other}) x) + (SELECT count(*) FROM ({other} EXCEPT ALL {one}) x)"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_values_out_and_in_again() -> Result<()> {
    let database = fixture::database("cli_nested").await?;
    let client = database.sql().await?;
    client.batch_execute(NESTED).await?;
    let desk = Desk::new(&database)?;
    let types = |table: &str| {
        format!(
            "SELECT format('%I %s%s', attname, format_type(atttypid, atttypmod), repeat('[]', attndims - 1)) FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
    };
    let expected = rows(&client, &types("nested")).await?;
    let schema: Vec<String> = expected.iter().flatten().flatten().cloned().collect();
    fs::write(desk.path("nested.schema"), schema.join(",\n"))?;
    for format in FORMATS {
        let (file, like, new) = (
            format!("nested.{format}"),
            format!("like_{format}"),
            format!("new_{format}"),
        );
        desk.succeed(&["export", "db", "nested", "-o", &file])?;
        client
            .batch_execute(&format!(
                "CREATE TABLE {like} (LIKE nested); GRANT ALL ON {like} TO dagflux"
            ))
            .await?;
        desk.succeed(&["import", "db", &file, &like])?;
        assert_eq!(
            value(&client, &different(&like)).await?,
            "0",
            "{format}, existing"
        );
        let mut create = vec!["import", "db", &file, &new, "--create"];
        if matches!(format, "csv" | "jsonl") {
            create.extend(["--schema", "@nested.schema"]);
        }
        desk.succeed(&create)?;
        assert_eq!(rows(&client, &types(&new)).await?, expected, "{format}");
        assert_eq!(
            value(&client, &different(&new)).await?,
            "0",
            "{format}, new"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_values_are_json_in_text() -> Result<()> {
    let database = fixture::database("cli_nested_text").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int, list float8[], grid int[][], couple pair);
             INSERT INTO t VALUES (1, '{NaN,-0,0.5,NULL}', '{{1,2},{3,4}}', ROW(1, 'x,\"y\"')), (2, '{}', NULL, ROW(NULL, NULL));
             GRANT ALL ON t TO dagflux",
        )
        .await?;
    let desk = Desk::new(&database)?;
    let export = |format: &str| {
        desk.succeed(&[
            "export",
            "db",
            "--query",
            "SELECT id, list, couple FROM t ORDER BY id",
            "-o",
            "-",
            "--format",
            format,
        ])
    };
    assert_eq!(
        export("csv")?,
        "id,list,couple\n1,\"[\"\"NaN\"\",-0.0,0.5,null]\",\"{\"\"a\"\":1,\"\"b\"\":\"\"x,\\\"\"y\\\"\"\"\"}\"\n\
         2,[],\"{\"\"a\"\":null,\"\"b\"\":null}\"\n"
    );
    assert_eq!(
        export("jsonl")?,
        "{\"id\":1,\"list\":[\"NaN\",-0.0,0.5,null],\"couple\":{\"a\":1,\"b\":\"x,\\\"y\\\"\"}}\n\
         {\"id\":2,\"list\":[],\"couple\":{\"a\":null,\"b\":null}}\n"
    );
    let shown = desk.succeed(&["query", "db", "SELECT id, list FROM t ORDER BY id"])?;
    assert!(
        shown.starts_with(
            "id  list\n--  ---------------------\n 1  [\"NaN\",-0.0,0.5,null]\n 2  []\n"
        ),
        "{shown}"
    );
    let documents = desk.json(&["query", "db", "SELECT couple FROM t WHERE id = 1"])?;
    assert_eq!(
        documents[1],
        serde_json::json!([{ "a": 1, "b": "x,\"y\"" }])
    );
    // The server's own notation goes in as well.
    fs::write(
        desk.path("psql.csv"),
        "id,list,grid,couple\n3,\"{1,NULL}\",\"[0:1]={5,6}\",\"(7,\"\"a b\"\")\"\n",
    )?;
    desk.fail(
        &["import", "db", "psql.csv", "t", "--columns", "id,nope"],
        8,
    )?;
    desk.succeed(&["import", "db", "psql.csv", "t"])?;
    assert_eq!(
        value(&client, "SELECT t::text FROM t WHERE id = 3").await?,
        "(3,\"{1,NULL}\",\"[0:1]={5,6}\",\"(7,\"\"a b\"\")\")"
    );
    fs::write(desk.path("faulty.csv"), "id,list\n4,\"[1,\"\"x\"\"]\"\n")?;
    let (text, _) = desk.fail(&["import", "db", "faulty.csv", "t"], 8)?;
    assert!(
        text.contains("row 1, column \"list\": this is no number"),
        "{text}"
    );
    Ok(())
}
