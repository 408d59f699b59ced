//! Values with parts that the server has no type for become JSON.

use std::sync::Arc;

use anyhow::Result;
use arrow_array::builder::{Float64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Decimal128Array, Float64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Fields};
use dagflux_host::{ErrorKind, WriteMode, WriteOptions};

use super::{batch, insert};
use crate::assertions::{attribute, failure, rows, value};
use crate::fixture;

fn documents(numbers: &[f64]) -> Result<RecordBatch> {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a \"b\"\\\n\u{1}", "日本"]));
    let amounts: ArrayRef =
        Arc::new(Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(10, 2)?);
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC"));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], b""]));
    let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
    let fields = Fields::from(vec![
        field("text", &texts),
        field("amount", &amounts),
        field("at", &at),
        field("bytes", &bytes),
    ]);
    let record = StructArray::new(fields, vec![texts, amounts, at, bytes], None);
    let mut lists = ListBuilder::new(Float64Builder::new());
    for number in numbers {
        lists.append_value([Some(*number), None]);
    }
    let mut map = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1e300);
    map.append(true)?;
    map.append(false)?;
    batch([
        ("record", Arc::new(record)),
        ("list", Arc::new(lists.finish())),
        ("map", Arc::new(map.finish())),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_maps_become_json() -> Result<()> {
    let database = fixture::database("writes_documents").await?;
    let client = database.sql().await?;
    let mut connection = fixture::connect(&database).await?;
    let fine = documents(&[0.5, -3.0])?;
    let create = WriteOptions::new(WriteMode::Create).with_type("list", "json");
    let outcome = insert(&mut connection, "docs", std::slice::from_ref(&fine), create).await?;
    assert_eq!(outcome?, 2);
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) \
                 FROM pg_attribute WHERE attrelid = 'docs'::regclass AND attnum > 0";
    assert_eq!(value(&client, types).await?, "jsonb json jsonb");
    let found = rows(
        &client,
        "SELECT record->>'text', record->>'amount', record->>'at', record->>'bytes', list::text, \
         map->>'k' FROM docs ORDER BY record->>'text' DESC",
    )
    .await?;
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(
        found,
        [
            vec![
                text("日本"),
                None,
                text("1970-01-01 00:00:00.000001+00"),
                text("\\x"),
                text("[-3.0,null]"),
                None
            ],
            vec![
                text("a \"b\"\\\n\u{1}"),
                text("1.50"),
                text("1970-01-01 00:00:00.000000+00"),
                text("\\x00ff"),
                text("[0.5,null]"),
                text(&format!("1{}", "0".repeat(300)))
            ],
        ]
    );
    // Also beside a column that goes as text.
    client
        .batch_execute("ALTER TABLE docs ADD addr inet")
        .await?;
    let addresses: ArrayRef = Arc::new(StringArray::from(vec!["10.0.0.1", "::1"]));
    let mut columns = fine.columns().to_vec();
    columns.push(addresses);
    let mut fields = fine.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("addr", DataType::Utf8, true)));
    let beside = RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(fields)), columns)?;
    let outcome = insert(&mut connection, "docs", &[beside], WriteOptions::default()).await?;
    assert_eq!(outcome?, 2);
    let distinct = "SELECT count(DISTINCT (record, list::text, map)) FROM docs";
    assert_eq!(value(&client, distinct).await?, "2");
    // JSON has no infinity.
    let odd = {
        let batch = documents(&[1.0, 2.0])?;
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::INFINITY]));
        let field = Fields::from(vec![Field::new("n", DataType::Float64, true)]);
        let record: ArrayRef = Arc::new(StructArray::new(field, vec![numbers], None));
        RecordBatch::try_from_iter_with_nullable([
            ("record", record, true),
            ("map", batch.column(2).clone(), true),
        ])?
    };
    let outcome = insert(&mut connection, "docs", &[odd], WriteOptions::default()).await?;
    let error = failure(outcome, ErrorKind::Value);
    assert_eq!(attribute(&error, "row"), Some("2"));
    assert_eq!(attribute(&error, "column"), Some("record"));
    Ok(())
}
