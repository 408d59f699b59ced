//! What the server would change without a word is refused, and what it would not is not.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{Array, ArrayRef, Float32Array, Int32Array, StringArray, StructArray};
use arrow_schema::{DataType, Field, Fields};
use dagflux_host::{ErrorKind, ReadOptions, TableName, WriteMode, WriteOptions};

use super::{batch, insert};
use crate::assertions::{attribute, failure, rows, value};
use crate::fixture;

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_would_be_cut_off() -> Result<()> {
    let database = fixture::database("writes_cut").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE DOMAIN code AS varchar(3);
             CREATE TABLE t (v varchar(3), d code, n name, c \"char\", free varchar, addr inet)",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let long = "n".repeat(64);
    let octal = "\\303";
    for (column, fine, faulty) in [
        ("v", "日本語", "ab  "),
        ("d", "abc", "ab  "),
        ("n", &long[1..], long.as_str()),
        ("c", octal, "ab"),
    ] {
        // In both formats of COPY: an address has no binary form.
        for beside in ["free", "addr"] {
            let other = texts(&["10.0.0.1", "10.0.0.2"]);
            let offered = batch([(column, texts(&[fine, faulty])), (beside, other.clone())])?;
            let outcome = insert(&mut connection, "t", &[offered], WriteOptions::default()).await?;
            let error = failure(outcome, ErrorKind::Value);
            assert_eq!(attribute(&error, "column"), Some(column));
            assert_eq!(attribute(&error, "row"), Some("2"));
            assert_eq!(attribute(&error, "value"), Some(faulty));
            let offered = batch([(column, texts(&[fine, fine])), (beside, other)])?;
            let outcome = insert(&mut connection, "t", &[offered], WriteOptions::default()).await?;
            assert_eq!(outcome?, 2, "{column}");
        }
        let kept = format!("SELECT count(*) FROM t WHERE {column} = '{fine}'");
        assert_eq!(value(&client, &kept).await?, "4", "{column}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_keeps_its_characters() -> Result<()> {
    let database = fixture::database("writes_xml").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (x xml, list xml[])")
        .await?;
    let mut connection = fixture::connect(&database).await?;
    // The declaration is about bytes that are no more.
    let document = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>é</a>";
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some(document), None]);
    let offered = batch([("x", texts(&[document])), ("list", Arc::new(list.finish()))])?;
    let outcome = insert(&mut connection, "t", &[offered], WriteOptions::default()).await?;
    assert_eq!(outcome?, 1);
    let kept = "SELECT (x::text LIKE '%<a>é</a>') AND list[1]::text LIKE '%<a>é</a>' AND list[2] IS NULL FROM t";
    assert_eq!(value(&client, kept).await?, "t");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_would_get_lost() -> Result<()> {
    let database = fixture::database("writes_parts").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE EXTENSION hstore; CREATE TYPE address AS (street text, city text, zip text);
             CREATE TABLE t (h hstore, j jsonb, a address)",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    // A key that comes twice.
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for value in ["1", "2"] {
        map.keys().append_value("k");
        map.values().append_value(value);
    }
    map.append(true)?;
    let map: ArrayRef = Arc::new(map.finish());
    for column in ["h", "j"] {
        let offered = batch([(column, map.clone())])?;
        let outcome = insert(&mut connection, "t", &[offered], WriteOptions::default()).await?;
        let error = failure(outcome, ErrorKind::Value);
        assert_eq!(attribute(&error, "value"), Some("k"));
    }
    // An attribute that is not there.
    let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
    let fields = Fields::from(vec![field("street"), field("city")]);
    let record = StructArray::new(fields, vec![texts(&["s"]), texts(&["c"])], None);
    let offered = batch([("a", Arc::new(record) as ArrayRef)])?;
    let outcome = insert(&mut connection, "t", &[offered], WriteOptions::default()).await?;
    failure(outcome, ErrorKind::SchemaMismatch);
    // Numbers keep what they are.
    let small: ArrayRef = Arc::new(Float32Array::from(vec![0.1]));
    let fields = Fields::from(vec![Field::new("n", DataType::Float32, true)]);
    let record: ArrayRef = Arc::new(StructArray::new(fields, vec![small], None));
    let offered = batch([("j", record)])?;
    insert(&mut connection, "t", &[offered], WriteOptions::default()).await??;
    assert_eq!(value(&client, "SELECT j->>'n' FROM t").await?, "0.1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_of_arrays() -> Result<()> {
    let database = fixture::database("writes_arrays_of_arrays").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE DOMAIN scores AS int[];
             CREATE TABLE t (id int, grid scores[], bytes \"char\");
             INSERT INTO t VALUES (1, '{\"{1,2}\",\"{}\",NULL,\"{3}\"}', 'x'), (2, '{}', NULL), (3, NULL, '\\303')",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let read = connection
        .read(
            &TableName::new("t"),
            ReadOptions::default().with_columns(["id", "grid"]),
        )
        .await?;
    let all = fixture::batches(read).await?;
    let create = WriteOptions::new(WriteMode::Create);
    assert_eq!(insert(&mut connection, "copy", &all, create).await??, 3);
    let same = "SELECT bool_and(c.grid IS NOT DISTINCT FROM t.grid), \
                (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'copy'::regclass AND attname = 'grid') \
                FROM copy c JOIN t USING (id)";
    let found = rows(&client, same).await?;
    assert_eq!(
        found,
        [vec![Some("t".to_owned()), Some("scores[]".to_owned())]]
    );
    // Metadata of types that no column can have, or that are out of reach.
    client
        .batch_execute("CREATE SCHEMA closed; CREATE TYPE closed.mood AS ENUM ('sad')")
        .await?;
    let sly = [
        "record",
        "anyarray",
        "closed.mood",
        "numeric(3,a)",
        "geometry(Point,4326)",
    ];
    for (at, name) in sly.iter().enumerate() {
        let field = Field::new("v", DataType::Utf8, true).with_metadata(HashMap::from([(
            "dagflux:type".to_owned(),
            (*name).to_owned(),
        )]));
        let schema = Arc::new(arrow_schema::Schema::new(vec![
            field,
            Field::new("n", DataType::Int32, true),
        ]));
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let offered = arrow_array::RecordBatch::try_new(schema, vec![texts(&["sad"]), numbers])?;
        assert_eq!(offered.column(0).len(), 1);
        let table = format!("sly_{at}");
        let create = WriteOptions::new(WriteMode::Create);
        assert_eq!(
            insert(&mut connection, &table, &[offered], create).await??,
            1,
            "{name}"
        );
        let made = format!(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum = 1"
        );
        assert_eq!(value(&client, &made).await?, "text", "{name}");
    }
    Ok(())
}
