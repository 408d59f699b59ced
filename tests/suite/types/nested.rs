//! Arrays, composites, maps, and domains over them.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::DataType;
use dagflux_host::{Connection, ErrorKind, LossPolicy, OnLoss, ReadOptions, TableName};
use dagflux_test_support::tokio_postgres::Client;

use super::{column, whole};
use crate::assertions::{attribute, failure, query, still_works};
use crate::fixture;

const TYPES: &str = "
    CREATE EXTENSION hstore;
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TYPE inside AS (label text, amounts numeric(6,2)[]);
    CREATE TYPE pair AS (a int, \"B c\" text, feeling mood, inner_one inside);
    ALTER TYPE pair DROP ATTRIBUTE a;
    ALTER TYPE pair ADD ATTRIBUTE z bigint;
    CREATE DOMAIN scores AS int[] CHECK (array_length(VALUE, 1) < 10);
";

#[tokio::test(flavor = "multi_thread")]
async fn lists() -> Result<()> {
    let database = fixture::database("types_lists").await?;
    database.sql().await?.batch_execute(TYPES).await?;
    let mut connection = fixture::connect(&database).await?;
    let given = [None, Some("{}"), Some("{1,NULL,3}"), Some("{NULL}")];
    for type_name in ["integer[]", "scores"] {
        let (field, found) = column(&database, &mut connection, type_name, &given).await?;
        assert_eq!(field.metadata()["dagflux:type"], type_name);
        let mut expected = ListBuilder::new(Int32Builder::new());
        expected.append_null();
        expected.append_value([]);
        expected.append_value([Some(1), None, Some(3)]);
        expected.append_value([None]);
        let expected = expected.finish();
        let found = found.as_list::<i32>();
        assert_eq!(found.offsets(), expected.offsets());
        assert_eq!(found.nulls(), expected.nulls());
        assert_eq!(found.values(), expected.values());
        let DataType::List(item) = field.data_type() else {
            panic!("{field}");
        };
        assert_eq!(item.metadata()["dagflux:type"], "integer");
    }
    // Elements without an Arrow type of their own are the server's text.
    for (type_name, value, elements) in [
        (
            "text[]",
            r#"{"a,b","c\\\"d",NULL,"NULL",""}"#,
            &[Some("a,b"), Some("c\\\"d"), None, Some("NULL"), Some("")][..],
        ),
        (
            "inet[]",
            "{10.0.0.1,NULL,::1/64}",
            &[Some("10.0.0.1"), None, Some("::1/64")],
        ),
        (
            "int4range[]",
            r#"{"[1,5)",empty}"#,
            &[Some("[1,5)"), Some("empty")],
        ),
        (
            "box[]",
            "{(1,1),(0,0);(2,2),(1,1)}",
            &[Some("(1,1),(0,0)"), Some("(2,2),(1,1)")],
        ),
        ("numeric[]", "{1.50,NaN}", &[Some("1.50"), Some("NaN")]),
        ("mood[]", "{sad,NULL}", &[Some("sad"), None]),
    ] {
        let (_, found) = column(&database, &mut connection, type_name, &[Some(value)]).await?;
        let mut expected = ListBuilder::new(StringBuilder::new());
        expected.append_value(elements.iter().copied());
        assert_eq!(
            found.as_list::<i32>().values(),
            expected.finish().values(),
            "{type_name}"
        );
    }
    // As many lists in one another as were declared.
    let given = [Some("{{1,2},{3,NULL}}"), Some("{}"), None];
    let client = database.sql().await?;
    let (field, found) = declared(&client, &mut connection, "int[][]", &given).await?;
    assert_eq!(field, "integer[][]");
    let outer = found.as_list::<i32>();
    assert_eq!(
        (outer.value(0).len(), outer.value(1).len(), outer.is_null(2)),
        (2, 0, true)
    );
    let inner = outer.value(0);
    let second = inner.as_list::<i32>().value(1);
    assert_eq!(second.as_primitive::<Int32Type>().value(0), 3);
    assert!(second.is_null(1));
    Ok(())
}

/// A table's column, whose dimensions a query would not know.
async fn declared(
    client: &Client,
    connection: &mut Connection,
    type_name: &str,
    values: &[Option<&str>],
) -> Result<(String, ArrayRef)> {
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS declared; CREATE TABLE declared (v {type_name})"
        ))
        .await?;
    for value in values {
        let value = value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
        client
            .batch_execute(&format!("INSERT INTO declared VALUES ({value})"))
            .await?;
    }
    let table = TableName::new("declared");
    let rows = whole(connection.read(&table, ReadOptions::default()).await?).await?;
    let name = rows.schema().field(0).metadata()["dagflux:type"].clone();
    Ok((name, rows.column(0).clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn composites_and_maps() -> Result<()> {
    let database = fixture::database("types_composites").await?;
    database.sql().await?.batch_execute(TYPES).await?;
    let mut connection = fixture::connect(&database).await?;
    let given = [
        None,
        Some(r#"("a ""b"", c",glad,"(x,""{1.50,NULL}"")",9)"#),
        Some("(,,,)"),
    ];
    let (field, found) = column(&database, &mut connection, "pair", &given).await?;
    assert_eq!(field.metadata()["dagflux:type"], "pair");
    let pair = found.as_struct();
    assert_eq!(pair.column_names(), ["B c", "feeling", "inner_one", "z"]);
    assert!(pair.is_null(0) && pair.is_valid(2) && pair.column(0).is_null(2));
    assert_eq!(pair.column(0).as_string::<i32>().value(1), "a \"b\", c");
    let inner = pair.column(2).as_struct();
    let amounts = inner.column(1).as_list::<i32>().value(1);
    assert_eq!(amounts.as_primitive::<Decimal128Type>().value(0), 150);
    assert!(amounts.is_null(1));
    let (_, found) = column(
        &database,
        &mut connection,
        "hstore",
        &[Some("\"a\"=>\"1\", \"b\"=>NULL"), Some(""), None],
    )
    .await?;
    let map = found.as_map();
    assert_eq!(
        (map.value_length(0), map.value_length(1), map.is_null(2)),
        (2, 0, true)
    );
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    assert_eq!(map.keys(), &keys);
    assert_eq!(
        map.values().as_string::<i32>(),
        &StringArray::from(vec![Some("1"), None])
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_do_not_fit() -> Result<()> {
    let database = fixture::database("types_parts").await?;
    let client = database.sql().await?;
    client.batch_execute(TYPES).await?;
    client
        .batch_execute(
            "CREATE TABLE t (id int, amounts numeric(6,2)[], record inside);
             INSERT INTO t VALUES (1, '{1.50,NaN,NULL,NaN}', '(x,\"{NaN,2.00}\")'), (2, '{{1,2}}', NULL),
             (3, '[0:1]={3,4}', '(y,\"{5.00}\")')",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let table = TableName::new("t");
    for (column, row, value) in [("amounts", "1", "NaN"), ("record", "1", "NaN")] {
        let options = ReadOptions::default().with_columns([column]);
        let stream = connection.read(&table, options).await?;
        let error = failure(fixture::batches(stream).await, ErrorKind::Value);
        assert_eq!(attribute(&error, "column"), Some(column));
        assert_eq!(attribute(&error, "row"), Some(row));
        assert_eq!(attribute(&error, "value"), Some(value));
    }
    // A part becomes null by itself.
    let options = ReadOptions::default().with_losses(LossPolicy::new(OnLoss::Null));
    let (rows, losses) = with_losses(connection.read(&table, options).await?).await?;
    let amounts = rows.column(1).as_list::<i32>();
    assert!(amounts.is_valid(0) && amounts.is_null(1) && amounts.is_null(2));
    assert_eq!(amounts.value(0).null_count(), 3);
    assert_eq!(
        losses,
        [
            ("amounts", "NaN", 2, 1, "NaN"),
            ("amounts", "2 dimensions", 1, 2, "{{1.00,2.00}}"),
            (
                "amounts",
                "other lower bound than 1",
                1,
                3,
                "[0:1]={3.00,4.00}"
            ),
            ("record", "NaN", 1, 1, "NaN"),
        ]
        .map(owned)
    );
    // As text, columns of types that have such values are the server's; others stay.
    let options = ReadOptions::default()
        .with_losses(LossPolicy::new(OnLoss::Text).with_column("record", OnLoss::Null));
    let (rows, losses) = with_losses(connection.read(&table, options).await?).await?;
    assert_eq!(rows.schema().field(0).data_type(), &DataType::Int32);
    let amounts = rows.column(1).as_string::<i32>();
    assert_eq!(amounts.value(0), "{1.50,NaN,NULL,NaN}");
    assert_eq!(amounts.value(2), "[0:1]={3.00,4.00}");
    assert_eq!(
        losses,
        [
            ("amounts", "NaN", 2, 1, "{1.50,NaN,NULL,NaN}"),
            ("amounts", "2 dimensions", 1, 2, "{{1.00,2.00}}"),
            (
                "amounts",
                "other lower bound than 1",
                1,
                3,
                "[0:1]={3.00,4.00}"
            ),
            ("record", "NaN", 1, 1, "NaN"),
        ]
        .map(owned)
    );
    // A choice for a column that is not there is a mistake.
    let options = ReadOptions::default()
        .with_losses(LossPolicy::default().with_column("amount", OnLoss::Null));
    let error = failure(
        connection.read(&table, options).await,
        ErrorKind::ColumnNotFound,
    );
    assert!(error.hint().unwrap_or_default().contains("amounts"));
    Ok(())
}

/// Ten bytes each on the wire, and as text a hundred thousand.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_grow_are_bounded() -> Result<()> {
    let database = fixture::database("types_growing").await?;
    let mut connection = fixture::connect(&database).await?;
    let sql = "SELECT array_agg('1e131071'::numeric) AS v FROM generate_series(1, 3000)";
    let error = failure(query(&mut connection, sql).await, ErrorKind::Value);
    assert_eq!(attribute(&error, "column"), Some("v"));
    still_works(&mut connection).await;
    // One by one they are handed over, in batches of a size as any other.
    let sql = "SELECT '1e131071'::numeric AS v FROM generate_series(1, 400)";
    let batches = query(&mut connection, sql).await?;
    assert!(batches.len() > 3, "{}", batches.len());
    Ok(())
}

type Entry = (String, String, u64, u64, String);

fn owned((column, reason, values, row, example): (&str, &str, u64, u64, &str)) -> Entry {
    (column.into(), reason.into(), values, row, example.into())
}

/// All rows as one batch, and the ledger.
async fn with_losses(
    mut rows: dagflux_host::RowStream<'_>,
) -> Result<(arrow_array::RecordBatch, Vec<Entry>)> {
    use futures_util::TryStreamExt;
    let batch = rows.try_next().await?.expect("rows");
    assert!(rows.try_next().await?.is_none());
    let losses = rows.losses().iter().map(|loss| {
        let (column, reason) = (loss.column.clone(), loss.reason.clone());
        (
            column,
            reason,
            loss.values,
            loss.first_row,
            loss.example.clone(),
        )
    });
    let losses = losses.collect();
    Ok((batch, losses))
}
