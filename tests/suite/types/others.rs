//! Enums, domains, types without an Arrow type, and values that cannot be carried.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, StringArray};
use dagflux_host::{ErrorKind, TableName};

use super::{column, decimal128};
use crate::assertions::{attribute, failure, query, read, rows, still_works};
use crate::fixture;

#[tokio::test(flavor = "multi_thread")]
async fn enums_and_domains() -> Result<()> {
    let database = fixture::database("types_enums").await?;
    database
        .sql()
        .await?
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('sad', 'so so', 'hap\"py', '日本');
             ALTER TYPE mood ADD VALUE 'angry' BEFORE 'sad';
             CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE <= 100);
             CREATE DOMAIN inner_mood AS mood;
             CREATE DOMAIN outer_percent AS percent",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let (field, found) = column(
        &database,
        &mut connection,
        "mood",
        &[Some("sad"), None, Some("日本")],
    )
    .await?;
    assert_eq!(field.metadata()["dagflux:type"], "mood");
    let labels: Vec<String> = serde_json::from_str(&field.metadata()["dagflux:enum"])?;
    assert_eq!(labels, ["angry", "sad", "so so", "hap\"py", "日本"]);
    let expected: ArrayRef = Arc::new(StringArray::from(vec![Some("sad"), None, Some("日本")]));
    assert_eq!(&found, &expected);
    for type_name in ["percent", "outer_percent"] {
        // A table's column carries the name of its domain.
        let (field, found) = column(
            &database,
            &mut connection,
            type_name,
            &[None, Some("12.5"), Some("100")],
        )
        .await?;
        assert_eq!(field.metadata()["dagflux:type"], type_name);
        let expected: ArrayRef = Arc::new(decimal128(5, 2, &[1250, 10_000])?);
        assert_eq!(&found, &expected, "{type_name}");
    }
    let (_, found) = column(&database, &mut connection, "inner_mood", &[Some("sad")]).await?;
    let expected: ArrayRef = Arc::new(StringArray::from(vec!["sad"]));
    assert_eq!(&found, &expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_cannot_be_carried_are_named() -> Result<()> {
    let database = fixture::database("types_misfits").await?;
    let client = database.sql().await?;
    let mut connection = fixture::connect(&database).await?;
    for (type_name, fine, misfit, named) in [
        ("numeric(10,2)", "1.00", "NaN", "NaN"),
        ("numeric(50,2)", "1.00", "NaN", "NaN"),
        ("date", "2000-01-01", "infinity", "infinity"),
        ("date", "2000-01-01", "-infinity", "-infinity"),
        ("timestamp", "2000-01-01", "infinity", "infinity"),
        ("timestamptz", "2000-01-01", "-infinity", "-infinity"),
        (
            "timestamp",
            "2000-01-01",
            "294247-01-10 04:00:54.775808",
            "294247-01-10 04:00:54.775808",
        ),
        (
            "timestamptz",
            "2000-01-01+00",
            "294276-12-31 23:59:59.999999+00",
            "294276-12-31 23:59:59.999999",
        ),
        ("time", "12:00", "24:00:00", "24:00:00"),
        (
            "interval",
            "1 day",
            "2562047788:00:54.775807",
            "2562047788:00:54.775807",
        ),
    ] {
        client
            .batch_execute(&format!(
                "DROP TABLE IF EXISTS misfit;
                 CREATE TABLE misfit (id int, \"The Value\" {type_name});
                 INSERT INTO misfit SELECT g, CASE g WHEN 5000 THEN '{misfit}' ELSE '{fine}' END::{type_name}
                 FROM generate_series(1, 6000) g"
            ))
            .await?;
        let table = TableName::new("misfit");
        let read = read(&mut connection, &table).await;
        let queried = query(&mut connection, "SELECT * FROM misfit").await;
        for result in [read, queried] {
            let error = failure(result, ErrorKind::Value);
            assert_eq!(
                attribute(&error, "column"),
                Some("The Value"),
                "{type_name}"
            );
            assert_eq!(attribute(&error, "row"), Some("5000"), "{type_name}");
            let value = attribute(&error, "value").unwrap_or_default();
            assert!(value.contains(named), "{type_name}: {value}");
            let message = error.to_string();
            assert!(
                message.contains("The Value") && message.contains("5000"),
                "{message}"
            );
        }
        still_works(&mut connection).await;
        // The next step works: as text it can be had.
        let rows = query(
            &mut connection,
            "SELECT \"The Value\"::text AS v FROM misfit WHERE id = 5000",
        )
        .await?;
        let found: ArrayRef = rows[0].column(0).clone();
        let expected: ArrayRef = Arc::new(StringArray::from(vec![misfit]));
        assert_eq!(&found, &expected);
    }
    Ok(())
}

/// Types that have no Arrow type of their own here, with values of each.
const OTHERS: &[(&str, &[&str])] = &[
    ("int4range", &["[1,5)", "empty", "(,)"]),
    (
        "tstzrange",
        &["[2000-01-01 00:00:00+00,2000-01-02 00:00:00+00)"],
    ),
    ("int4multirange", &["{[1,3),[5,8)}", "{}"]),
    ("inet", &["127.0.0.1", "10.0.0.0/8", "::1"]),
    ("cidr", &["10.0.0.0/8", "2001:db8::/32"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("bit(3)", &["101"]),
    ("bit varying", &["", "10101"]),
    ("point", &["(1.5,-2)"]),
    ("line", &["{1,2,3}"]),
    ("lseg", &["[(0,0),(1,1)]"]),
    ("box", &["(1,1),(0,0)"]),
    ("path", &["((0,0),(1,1))"]),
    ("polygon", &["((0,0),(1,1),(2,0))"]),
    ("circle", &["<(0,0),0.1>"]),
    ("tsvector", &["'a':1A 'b':2 'ünï':3"]),
    ("tsquery", &["'a' & ( 'b' | 'c' )"]),
    ("pg_lsn", &["16/B374D848"]),
    ("xid8", &["18446744073709551615"]),
    ("txid_snapshot", &["10:20:10,14,15"]),
    ("regclass", &["pg_class"]),
    ("regtype", &["integer"]),
    ("jsonpath", &["$.\"a\"[*]"]),
    ("tid", &["(0,1)"]),
    // Parts of which there is only text, in parts.
    ("odd", &["(1,10.0.0.1)", "(,)"]),
    ("citext", &["MiXeD"]),
    ("ltree", &["top.science"]),
    ("cube", &["(1, 2, 3)"]),
    ("numeric", &["1.50", "NaN"]),
    ("money", &["$1.50"]),
    ("timetz", &["12:00:00+02"]),
    ("interval year to month", &["1 year 2 mons"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_is_what_the_server_writes() -> Result<()> {
    let database = fixture::database("types_others").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube;
             CREATE TYPE odd AS (a int, b inet)",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    for (type_name, values) in OTHERS {
        let mut given = vec![None];
        given.extend(values.iter().map(|value| Some(*value)));
        let (field, found) = column(&database, &mut connection, type_name, &given).await?;
        if field.data_type() != &arrow_schema::DataType::Utf8 {
            assert!(type_name.starts_with("interval"), "{type_name}: {field}");
            continue;
        }
        let expected: Vec<Option<String>> = rows(
            &client,
            "SELECT CASE WHEN v IS DISTINCT FROM NULL THEN format('%s', v) END FROM one_type",
        )
        .await?
        .into_iter()
        .flatten()
        .collect();
        let expected: ArrayRef = Arc::new(StringArray::from(expected));
        assert_eq!(&found, &expected, "{type_name}");
    }
    Ok(())
}
