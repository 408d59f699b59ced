//! The modes of `import`, and the types of what it creates.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_test_support::tokio_postgres::Client;
use serde_json::{Value, json};

use super::{Desk, Run};
use crate::assertions::{rows, value};
use crate::fixture;

const STOCK: &str = "
    CREATE TABLE stock (sku text PRIMARY KEY, name text, qty int, UNIQUE (name));
    INSERT INTO stock VALUES ('a', 'apple', 1), ('b', 'pear', 2), ('c', 'plum', 3);
    GRANT ALL ON stock TO dagflux;
";

async fn stock(client: &Client) -> Result<String> {
    value(
        client,
        "SELECT string_agg(sku || ':' || name || ':' || qty, ' ' ORDER BY sku) FROM stock",
    )
    .await
}

fn counts(summary: &Value) -> Value {
    json!([
        summary["rows"],
        summary["inserted"],
        summary["updated"],
        summary["deleted"]
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_and_its_dry_run() -> Result<()> {
    let database = fixture::database("cli_modes").await?;
    let client = database.sql().await?;
    client.batch_execute(STOCK).await?;
    let desk = Desk::new(&database)?;
    fs::write(desk.path("new.csv"), "sku,name,qty\nd,fig,4\ne,\"\",\n")?;
    fs::write(
        desk.path("changed.csv"),
        "sku,name,qty\nb,quince,20\nf,date,6\n",
    )?;
    fs::write(desk.path("all.csv"), "sku,name,qty\nz,nut,9\n")?;
    let before = stock(&client).await?;
    for (arguments, expected, after) in [
        (
            &["new.csv", "stock"][..],
            json!([2, 2, 0, 0]),
            "a:apple:1 b:pear:2 c:plum:3 d:fig:4",
        ),
        (
            &["changed.csv", "stock", "--mode", "upsert"],
            json!([2, 1, 1, 0]),
            "a:apple:1 b:quince:20 c:plum:3 f:date:6",
        ),
        (
            &["changed.csv", "stock", "--mode", "upsert", "--key", "sku"],
            json!([2, 1, 1, 0]),
            "a:apple:1 b:quince:20 c:plum:3 f:date:6",
        ),
        (
            &["all.csv", "stock", "--mode", "replace"],
            json!([1, 1, 0, 3]),
            "z:nut:9",
        ),
        (
            &["all.csv", "stock_copy", "--create"],
            json!([1, 1, 0, 0]),
            &before,
        ),
    ] {
        let arguments = [&["import", "db"][..], arguments].concat();
        let rehearsed = [&arguments[..], &["--dry-run"]].concat();
        let dry = &desk.json(&rehearsed)?[0];
        assert_eq!(counts(dry), expected, "{rehearsed:?}");
        assert_eq!(dry["dry_run"], true);
        assert_eq!(dry["created"], false);
        assert!(
            dry["statements"].as_array().context("no statements")?.len() > 1,
            "{dry}"
        );
        let run = desk.run(&rehearsed)?;
        assert!(
            run.err.starts_with("dry run: would have ") && run.err.contains("nothing was changed"),
            "{run:?}"
        );
        assert!(run.err.contains("COPY "), "{run:?}");
        assert_eq!(stock(&client).await?, before, "{rehearsed:?}");
        assert_eq!(
            value(&client, "SELECT (to_regclass('stock_copy') IS NULL)::text").await?,
            "true"
        );
        let done = &desk.json(&arguments)?[0];
        assert_eq!(counts(done), expected, "{arguments:?}");
        assert_eq!(done["dry_run"], false);
        let but_last = |summary: &Value| {
            let mut statements = summary["statements"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            (statements.pop(), statements)
        };
        let ((commit, done_before), (rollback, dry_before)) = (but_last(done), but_last(dry));
        assert_eq!(done_before, dry_before);
        assert_eq!(
            (commit, rollback),
            (Some(json!("COMMIT")), Some(json!("ROLLBACK")))
        );
        // A table that is there says itself what its text means.
        let (kind, arrow) = match arguments.contains(&"--create") {
            true => ("bigint", "Int64"),
            false => ("integer", "Utf8"),
        };
        assert_eq!(
            done["columns"],
            json!([
                { "name": "sku", "type": "text", "arrow": "Utf8" },
                { "name": "name", "type": "text", "arrow": "Utf8" },
                { "name": "qty", "type": kind, "arrow": arrow },
            ])
        );
        assert_eq!(stock(&client).await?, after, "{arguments:?}");
        client
            .batch_execute(&format!("DROP TABLE stock; {STOCK}"))
            .await?;
    }
    assert_eq!(
        value(&client, "SELECT sku || qty FROM stock_copy").await?,
        "z9"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_shows_keys_that_are_there_twice() -> Result<()> {
    let database = fixture::database("cli_upsert").await?;
    let client = database.sql().await?;
    client.batch_execute(STOCK).await?;
    let desk = Desk::new(&database)?;
    fs::write(
        desk.path("twice.csv"),
        "sku,name,qty\nb,quince,20\nb,peach,30\ng,lime,7\n",
    )?;
    let before = stock(&client).await?;
    let upsert = ["import", "db", "twice.csv", "stock", "--mode", "upsert"];
    let (text, _) = desk.fail(&upsert, 8)?;
    assert!(
        text.contains("nothing was imported from twice.csv"),
        "{text}"
    );
    assert_eq!(stock(&client).await?, before);
    let last = [&upsert[..], &["--duplicates", "last"]].concat();
    let done = &desk.json(&last)?[0];
    assert_eq!(counts(done), json!([3, 1, 1, 0]));
    assert_eq!(
        stock(&client).await?,
        "a:apple:1 b:peach:30 c:plum:3 g:lime:7"
    );
    let run = desk.run(&last)?;
    assert!(
        run.err.starts_with("imported 3 rows (")
            && run
                .err
                .contains(") into stock: updated 2 rows and inserted 0 rows; "),
        "{run:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_are_given() -> Result<()> {
    let database = fixture::database("cli_given_types").await?;
    let client = database.sql().await?;
    let desk = Desk::new(&database)?;
    fs::write(
        desk.path("odd.csv"),
        "id,\"Unit price\",code,tags,seen\n1,1.5,007,\"[\"\"x,y\"\",null]\",infinity\n2,,12,\"[]\",2024-02-29\n",
    )?;
    fs::write(
        desk.path("odd.jsonl"),
        "{\"id\":1,\"Unit price\":1.5,\"code\":\"007\",\"tags\":[\"x,y\",null],\"seen\":\"infinity\"}\n\
         {\"id\":2,\"code\":\"12\",\"tags\":[],\"seen\":\"2024-02-29\"}\n",
    )?;
    let schema = "id bigint, \"Unit price\" numeric(12,2), code varchar(5), tags text[], seen date";
    fs::write(desk.path("odd.schema"), schema.replace(", ", ",\n"))?;
    let types = |table: &str| {
        format!(
            "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0"
        )
    };
    let mut number = 0;
    for file in ["odd.csv", "odd.jsonl"] {
        for given in [
            &["--schema", schema][..],
            &["--schema", "@odd.schema"],
            &[
                "--type",
                "id=bigint",
                "--type",
                "Unit price=numeric(12,2)",
                "--type",
                "code=varchar(5)",
                "--type",
                "tags=text[]",
                "--type",
                "seen=date",
            ],
        ] {
            number += 1;
            let table = format!("odd_{number}");
            let arguments = ["import", "db", file, &table, "--create"];
            desk.succeed(&[&arguments[..], given].concat())?;
            assert_eq!(
                value(&client, &types(&table)).await?,
                "bigint, numeric(12,2), character varying(5), text[], date",
                "{given:?}"
            );
            assert_eq!(
                rows(
                    &client,
                    &format!("SELECT t::text FROM {table} t ORDER BY id")
                )
                .await?,
                [
                    [Some(
                        "(1,1.50,007,\"{\"\"x,y\"\",NULL}\",infinity)".to_owned()
                    )],
                    [Some("(2,,12,{},2024-02-29)".to_owned())]
                ],
                "{file} {given:?}"
            );
        }
    }
    let create = |given: &[&'static str]| {
        [&["import", "db", "odd.csv", "t", "--create"][..], given].concat()
    };
    for (arguments, code, expected) in [
        (
            create(&["--schema", "id bigint, nope text"]),
            8,
            "the file has no column \"nope\"; --schema has no type for \"Unit price\", \"code\", \"tags\", \"seen\"",
        ),
        (
            create(&["--type", "nope=text"]),
            8,
            "the file has no column \"nope\"",
        ),
        (
            create(&["--schema", "id"]),
            2,
            "this is no column and its type: \"id\"",
        ),
        (
            create(&["--schema", "@no.schema"]),
            13,
            "cannot read the columns from no.schema",
        ),
        (
            create(&["--columns", "id,nope"]),
            8,
            "the file has no column \"nope\"",
        ),
        (
            vec!["import", "db", "odd.csv", "t", "--type", "id=bigint"],
            2,
            "--type has no meaning with --mode append",
        ),
        (
            vec![
                "import", "db", "odd.csv", "t", "--mode", "replace", "--key", "id",
            ],
            2,
            "--key has no meaning with --mode replace",
        ),
    ] {
        let (text, _) = desk.fail(&arguments, code)?;
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert_eq!(
            value(&client, "SELECT (to_regclass('t') IS NULL)::text").await?,
            "true"
        );
    }
    let (_, error) = desk.fail(
        &create(&["--columns", "id", "--schema", "id no_such_type"]),
        8,
    )?;
    assert!(error["message"].is_string());
    Ok(())
}

/// The server says what the text for its columns means, at every place of the file.
#[tokio::test(flavor = "multi_thread")]
async fn text_means_what_the_server_reads() -> Result<()> {
    let database = fixture::database("cli_meaning").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id int, day date, at timestamp, clock time, seen timestamptz, exact numeric(10,2),
                             coarse numeric(5,-2), short timestamp(3), list int[]);
             CREATE TABLE psql (LIKE t); GRANT ALL ON t, psql TO dagflux",
        )
        .await?;
    let desk = Desk::new(&database)?;
    let names = "id,day,at,clock,seen,exact,coarse,short,list";
    let odd = [
        "1,2024-01-01 00:30:00+02:00,2024-02-29 12:30:00+02:00,040506,2024-02-29 12:30:00+02,1.5e-1,12300,2024-02-29,",
        "2,infinity,-infinity,24:00:00,infinity,NaN,1.2e3,2024-02-29 12:30:00.125,{1}",
        "3,-0043-03-15,0000-02-29T00:00:00,12:30,-4713-11-24T00:00:00Z,2.500,,,\"{1,NULL}\"",
        "4,+10000-01-01,+294276-12-31T23:59:59.999999,12:30 PM,+10000-01-01T00:00:00.000001Z,,,,",
    ];
    let values = "
        (1, '2024-01-01 00:30:00+02:00', '2024-02-29 12:30:00+02:00', '040506', '2024-02-29 12:30:00+02', 0.15, 12300, '2024-02-29', NULL::int[]),
        (2, 'infinity', '-infinity', '24:00:00', 'infinity', 'NaN', 1200, '2024-02-29 12:30:00.125', '{1}'),
        (3, '0044-03-15 BC', '0001-02-29 BC', '12:30', '4714-11-24 00:00:00Z BC', 2.5, NULL, NULL, '{1,NULL}'),
        (4, '10000-01-01', '294276-12-31 23:59:59.999999', '12:30 PM', '10000-01-01 00:00:00.000001Z', NULL, NULL, NULL, NULL)";
    client
        .batch_execute(&format!("INSERT INTO psql VALUES {values}"))
        .await?;
    let plain = "0,2024-02-29,2024-02-29 12:30:00,12:30:00,2024-02-29T12:30:00Z,1.50,100,2024-02-29 00:00:00,{2}\n";
    for before in [0, 20_000] {
        let text = format!("{names}\n{}{}\n", plain.repeat(before), odd.join("\n"));
        fs::write(desk.path("odd.csv"), text)?;
        desk.succeed(&["import", "db", "odd.csv", "t", "--mode", "replace"])?;
        let different = "SELECT (SELECT count(*) FROM (TABLE psql EXCEPT ALL SELECT * FROM t WHERE id > 0) x)
                              + (SELECT count(*) FROM (SELECT * FROM t WHERE id > 0 EXCEPT ALL TABLE psql) x)";
        let found = rows(&client, "SELECT t::text FROM t WHERE id > 0 ORDER BY id").await?;
        assert_eq!(value(&client, different).await?, "0", "{before} {found:?}");
    }
    // What the server would round is refused, wherever it comes.
    for (column, text, why) in [
        ("exact", "1.005", "the column keeps 2 decimals"),
        ("exact", "1e-7", "the column keeps 2 decimals"),
        ("coarse", "12345", "the column keeps multiples of 100"),
        (
            "at",
            "2024-02-29 12:30:00.1234567",
            "the column keeps 6 digits of a second",
        ),
        (
            "clock",
            "040506.1234567",
            "the column keeps 6 digits of a second",
        ),
        (
            "short",
            "2024-02-29 12:30:00.1234",
            "the column keeps 3 digits of a second",
        ),
    ] {
        let first = match column {
            "exact" | "coarse" => "100\n",
            "clock" => "12:30:00\n",
            _ => "2024-02-29 12:30:00\n",
        };
        fs::write(
            desk.path("round.csv"),
            format!("{column}\n{}{text}\n", first.repeat(20_000)),
        )?;
        let (shown, _) = desk.fail(&["import", "db", "round.csv", "t"], 8)?;
        let expected = format!("row 20001, column \"{column}\": {why}: \"{text}\"");
        assert!(shown.contains(&expected), "{shown}");
    }
    // What the server refuses is named with its row as well.
    fs::write(desk.path("bad.csv"), "id\n1\nmany\n")?;
    let (shown, _) = desk.fail(&["import", "db", "bad.csv", "t"], 8)?;
    assert!(shown.contains("many") && shown.contains("row 2"), "{shown}");
    Ok(())
}

/// A table that is created has the types of the first rows; later ones have to look like them.
#[tokio::test(flavor = "multi_thread")]
async fn later_rows_look_like_the_first() -> Result<()> {
    let database = fixture::database("cli_later").await?;
    let client = database.sql().await?;
    let desk = Desk::new(&database)?;
    fs::write(
        desk.path("codes.csv"),
        format!("code\n{}01234\n", "12\n".repeat(20_000)),
    )?;
    let create = ["import", "db", "codes.csv", "t", "--create"];
    let (text, _) = desk.fail(&create, 8)?;
    assert!(
        text.contains(
            "row 20001, column \"code\": this is no whole number, as those before it are: \"01234\""
        ) && text.contains("next: give the column its type, such as --type code=text"),
        "{text}"
    );
    desk.succeed(&[&create[..], &["--type", "code=text"]].concat())?;
    assert_eq!(
        value(&client, "SELECT max(code) FROM t WHERE code < '1'").await?,
        "01234"
    );
    fs::write(
        desk.path("documents.jsonl"),
        format!("{}{{\"d\":\"12\"}}\n", "{\"d\":[1]}\n".repeat(20_000)),
    )?;
    let (text, _) = desk.fail(&["import", "db", "documents.jsonl", "d", "--create"], 8)?;
    assert!(
        text.contains("row 20001, column \"d\": this is no JSON object or list, as those before it are: \"12\""),
        "{text}"
    );
    fs::write(desk.path("round.csv"), "n\n1.005\n")?;
    let given = [
        "import",
        "db",
        "round.csv",
        "n",
        "--create",
        "--type",
        "n=numeric(10,2)",
    ];
    let (text, _) = desk.fail(&given, 8)?;
    assert!(
        text.contains("row 1, column \"n\": the column keeps 2 decimals"),
        "{text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_left_out() -> Result<()> {
    let database = fixture::database("cli_columns").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE made (id int, n int, twice int GENERATED ALWAYS AS (n * 2) STORED);
             INSERT INTO made (id, n) VALUES (1, 10), (2, NULL); CREATE TABLE copy (LIKE made INCLUDING ALL);
             GRANT ALL ON made, copy TO dagflux",
        )
        .await?;
    let desk = Desk::new(&database)?;
    for format in ["parquet", "arrow", "csv", "jsonl"] {
        let file = format!("made.{format}");
        desk.succeed(&["export", "db", "made", "-o", &file])?;
        let (text, _) = desk.fail(&["import", "db", &file, "copy"], 8)?;
        assert!(text.contains("--columns id,n leaves them out"), "{text}");
        let chosen = ["import", "db", &file, "copy", "--columns", "n,id"];
        let done = &desk.json(&[&chosen[..], &["--mode", "replace"]].concat())?[0];
        assert_eq!(done["columns"].as_array().map(Vec::len), Some(2), "{done}");
        assert_eq!(
            value(
                &client,
                "SELECT string_agg(c::text, ' ' ORDER BY id) FROM copy c"
            )
            .await?,
            "(1,10,20) (2,,)",
            "{format}"
        );
        let (text, _) = desk.fail(&["import", "db", &file, "copy", "--columns", "id,nope"], 8)?;
        assert!(
            text.contains("the file has no column \"nope\"")
                && text.contains("next: its columns are id, n, twice"),
            "{text}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inferred_types_of_json_lines() -> Result<()> {
    let database = fixture::database("cli_inferred").await?;
    let client = database.sql().await?;
    let desk = Desk::new(&database)?;
    fs::write(
        desk.path("f.jsonl"),
        "{\"id\":1,\"price\":\"1.50\",\"code\":\"12\",\"extra\":{\"a\":[1]}}\n{\"id\":2,\"price\":\"-20.00\",\"code\":null}\n",
    )?;
    desk.succeed(&["import", "db", "f.jsonl", "t", "--create"])?;
    let types = value(
        &client,
        "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = 't'::regclass AND attnum > 0",
    )
    .await?;
    assert_eq!(types, "bigint, numeric(38,2), text, json");
    assert_eq!(
        value(
            &client,
            "SELECT sum(price) || ' ' || min(extra #>> '{a,0}') FROM t"
        )
        .await?,
        "-18.50 1"
    );
    Ok(())
}

/// A Ctrl-C in a pipeline ends the program that writes as well: what it wrote is not all there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_ends_at_the_signal_is_not_committed() -> Result<()> {
    let database = fixture::database("cli_import_pipe").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id int); GRANT ALL ON t TO dagflux")
        .await?;
    let desk = Desk::new(&database)?;
    let writing = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = 'cli_import_pipe' \
                   AND application_name = 'dagflux' AND query LIKE 'COPY%'";
    for _ in 0..5 {
        let mut child = desk
            .command(&["import", "db", "-", "t", "--format", "csv"])?
            .stdin(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no pipe")?;
        let text: String = (0..20_000).map(|id| format!("{id}\n")).collect();
        input.write_all(format!("id\n{text}").as_bytes())?;
        let began = Instant::now();
        while value(&client, writing).await? != "1" {
            ensure!(began.elapsed() < Duration::from_secs(10), "no rows arrive");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let status = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()?;
        drop(input);
        assert!(status.success());
        let run = Run::from(child.wait_with_output()?);
        assert_eq!(run.code, Some(130), "{run:?}");
        assert_eq!(value(&client, "SELECT count(*)::text FROM t").await?, "0");
    }
    Ok(())
}

/// What is only asked for the summary keeps nobody waiting.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_ends_when_it_is_done() -> Result<()> {
    let database = fixture::database("cli_summary").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id int); GRANT ALL ON t TO dagflux")
        .await?;
    let desk = Desk::new(&database)?;
    fs::write(desk.path("t.csv"), "id\n1\n")?;
    // Comments of columns are read there, and by nothing that an import needs.
    client
        .batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_description IN ACCESS EXCLUSIVE MODE")
        .await?;
    let child = desk
        .command(&["import", "db", "t.csv", "t", "--json"])?
        .spawn()?;
    let began = Instant::now();
    let run = Run::from(tokio::task::spawn_blocking(|| child.wait_with_output()).await??);
    let took = began.elapsed();
    client.batch_execute("COMMIT").await?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        Duration::from_secs(2) <= took && took < Duration::from_secs(10),
        "{took:?} {run:?}"
    );
    let summary: Value = serde_json::from_str(run.out.trim())?;
    assert_eq!(counts(&summary), json!([1, 1, 0, 0]));
    assert_eq!(summary["columns"][0]["name"], "id");
    Ok(())
}

/// What was not committed is not there, and is not said to be in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_changes_nothing() -> Result<()> {
    let database = fixture::database("cli_import_interrupt").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id int); INSERT INTO t VALUES (1); GRANT ALL ON t TO dagflux",
        )
        .await?;
    let desk = Desk::new(&database)?;
    let mut child = desk
        .command(&[
            "import", "db", "-", "t", "--format", "csv", "--mode", "replace",
        ])?
        .stdin(Stdio::piped())
        .spawn()?;
    // More than a batch, and the pipe stays open: more rows may come.
    let mut input = child.stdin.take().context("no pipe")?;
    let text: String = (0..50_000).map(|id| format!("{id}\n")).collect();
    input.write_all(format!("id\n{text}").as_bytes())?;
    let writing = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = 'cli_import_interrupt' \
                   AND application_name = 'dagflux' AND query LIKE 'COPY%'";
    let began = Instant::now();
    while value(&client, writing).await? != "1" {
        ensure!(began.elapsed() < Duration::from_secs(10), "no rows arrive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()?;
    assert!(status.success());
    let run = Run::from(child.wait_with_output()?);
    drop(input);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(!run.err.contains("not known"), "{run:?}");
    let began = Instant::now();
    while value(&client, writing).await? != "0" {
        ensure!(
            began.elapsed() < Duration::from_secs(10),
            "the server writes on"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        value(&client, "SELECT string_agg(id::text, ',') FROM t").await?,
        "1"
    );
    Ok(())
}
