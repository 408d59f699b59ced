//! `dagflux prompt`.

use std::fs;

use anyhow::Result;
use serde_json::json;

use super::Desk;
use crate::fixture;

const TABLES: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, email text, note text);
    COMMENT ON TABLE orders IS 'What was ordered';
    INSERT INTO orders VALUES (1, 'ann@example.com', 'hush'), (2, NULL, 'ask ann@example.com');
    CREATE TABLE totals (id int PRIMARY KEY, total numeric(10,2));
    GRANT SELECT ON orders, totals TO dagflux;
";

async fn desk(name: &str) -> Result<Desk> {
    let database = fixture::database(name).await?;
    database.sql().await?.batch_execute(TABLES).await?;
    Desk::new(&database)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_printed() -> Result<()> {
    let desk = desk("cli_prompt").await?;
    let arguments = [
        "prompt",
        "db",
        "--node",
        "transform",
        "--mode",
        "new-table",
        "--table",
        "orders",
        "--target",
        "revenue",
    ];
    let run = desk.run(&arguments)?;
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    for words in [
        "# Rules\n",
        "It is called `public.revenue`.",
        "public.orders -- \"What was ordered\"\n",
    ] {
        assert!(run.out.contains(words), "{words}: {}", run.out);
    }
    assert!(!run.out.contains("ann@") && !run.out.contains("hush"));
    let json = desk.json(&arguments)?;
    assert_eq!(
        json[0]["in-full"],
        json!([{ "schema": "public", "name": "orders" }])
    );
    let text = [&json[0]["instructions"], &json[0]["tables"]]
        .map(|text| text.as_str().unwrap_or_default());
    assert_eq!(text.concat(), run.out);
    assert_eq!(json[0]["left-out"], json!([]));

    let samples = |more: &[&'static str]| -> Vec<&'static str> {
        [&arguments, &["--samples", "2"][..], more].concat()
    };
    let masked = desk.succeed(&samples(&[]))?;
    assert!(
        masked.contains(r#"{"table":"orders","row":{"id":1,"email":"[email]","note":"hush"}}"#),
        "{masked}"
    );
    assert!(!masked.contains("ann@"), "{masked}");
    let column = desk.succeed(&samples(&[
        "--mask",
        "phone,card",
        "--mask-column",
        "orders.note",
    ]))?;
    assert!(
        column.contains("ann@example.com") && !column.contains("hush"),
        "{column}"
    );
    let all = desk.succeed(&samples(&["--no-mask"]))?;
    assert!(all.contains("ask ann@example.com"), "{all}");
    let (text, error) = desk.fail(&samples(&["--mask-column", "orders.notes"]), 6)?;
    assert!(text.contains("orders.notes"), "{text}");
    assert_eq!(error["kind"], "column-not-found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_a_join_lie_anywhere() -> Result<()> {
    let desk = desk("cli_prompt_join").await?;
    fs::write(desk.path("goals.csv"), "region,goal\nnorth,1.5\n")?;
    let file = fs::read_to_string(desk.path("connections.toml"))?;
    fs::write(
        desk.path("connections.toml"),
        format!("{file}\n{}", file.replace("[db]", "[other]")),
    )?;
    let run = desk.run(&[
        "prompt",
        "db",
        "--node",
        "join",
        "--mode",
        "merge",
        "--id",
        "to-totals",
        "--table",
        "orders",
        "--table",
        "other:public.orders",
        "--table",
        "file:goals.csv",
        "--target",
        "totals",
        "--most-bytes",
        "16000",
    ])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.len() <= 16_000);
    for words in [
        "The target:\npublic.totals\n",
        "1. public.orders -- ",
        "2. dagflux_to_totals_2, loaded from \"other:public.orders\"\n  id integer not null\n",
        "3. dagflux_to_totals_3, loaded from \"goals.csv\"\n  region Utf8\n",
    ] {
        assert!(run.out.contains(words), "{words}: {}", run.out);
    }
    // What there is no room for is said beside it.
    let run = desk.run(&[
        "prompt",
        "db",
        "--node",
        "transform",
        "--mode",
        "in-place",
        "--table",
        "orders",
        "--most-bytes",
        "11700",
    ])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    let named = run.out.contains("public.orders\n");
    assert_eq!(
        named,
        run.err.contains("left out: 1 table is named only"),
        "{run:?}"
    );
    Ok(())
}

#[test]
fn what_goes_with_what_is_told() -> Result<()> {
    let desk = Desk::with_file("")?;
    let transform = ["prompt", "db", "--node", "transform", "--mode", "new-table"];
    for more in [
        &[][..],
        &["--table", "a.b.c.d"],
        &["--table", "t", "--mask", "email"],
        &["--table", "t", "--samples", "0"],
        &["--table", "t", "--samples", "1", "--mask", "shoe-size"],
        &[
            "--table",
            "t",
            "--samples",
            "1",
            "--mask",
            "email",
            "--no-mask",
        ],
    ] {
        let run = desk.run(&[&transform, more].concat())?;
        assert_eq!(run.code, Some(2), "{more:?}: {run:?}");
    }
    Ok(())
}
