//! Values to JSON and back.

use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeListBuilder, Float32Builder, Int32Builder, ListBuilder, MapBuilder, StringBuilder,
};
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, StringArray,
    StructArray,
};
use arrow_schema::{DataType, Field, Fields};

use super::is_nested_json;
use crate::formats::text::{from_text, to_text};

/// Writes the column, compares it, and reads it back to the same values.
#[track_caller]
fn check(column: ArrayRef, expected: &[Option<&str>]) {
    let field = Field::new("c", column.data_type().clone(), true);
    let text = to_text(&field, &column).unwrap();
    assert_eq!(text.iter().collect::<Vec<_>>(), expected);
    assert!(is_nested_json(column.data_type(), &text));
    let back = from_text(&field, &text, 1).unwrap();
    assert_eq!(&back, &column);
    // A part of a column is that part of its text.
    let part = column.slice(1, column.len() - 1);
    let text = to_text(&field, &part).unwrap();
    assert_eq!(text.iter().collect::<Vec<_>>(), &expected[1..]);
}

fn numbers() -> ArrayRef {
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for value in [Some(1), None, Some(-3)] {
        lists.values().values().append_option(value);
    }
    lists.values().append(true);
    lists.values().append(false);
    lists.append(true);
    lists.append(false);
    lists.append(true);
    lists.values().append(true);
    lists.append(true);
    Arc::new(lists.finish())
}

#[test]
fn lists_within_lists() {
    check(
        numbers(),
        &[Some("[[1,null,-3],null]"), None, Some("[]"), Some("[[]]")],
    );
}

#[test]
fn records_of_everything() {
    let decimals = Decimal128Array::from(vec![Some(1250), None, None])
        .with_precision_and_scale(30, 2)
        .unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int32Array::from(vec![Some(1), None, None]))),
        ("d", Arc::new(decimals)),
        (
            "f\"",
            Arc::new(Float64Array::from(vec![-0.0, f64::NAN, f64::INFINITY])),
        ),
        (
            "t",
            Arc::new(StringArray::from(vec!["a\"\n,ü", "", "null"])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(0), None, None])),
        ),
    ];
    let fields: Fields = (columns.iter())
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, column)| column).collect();
    check(
        Arc::new(StructArray::new(fields, arrays, None)),
        &[
            Some(
                "{\"n\":1,\"d\":\"12.50\",\"f\\\"\":-0.0,\"t\":\"a\\\"\\n,ü\",\"day\":\"1970-01-01\"}",
            ),
            Some("{\"n\":null,\"d\":null,\"f\\\"\":\"NaN\",\"t\":\"\",\"day\":null}"),
            Some("{\"n\":null,\"d\":null,\"f\\\"\":\"Infinity\",\"t\":\"null\",\"day\":null}"),
        ],
    );
}

#[test]
fn maps_and_vectors() {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    maps.keys().append_value("b");
    maps.values().append_value("1");
    maps.keys().append_value("a");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    check(
        Arc::new(maps.finish()),
        &[Some("{\"b\":\"1\",\"a\":null}"), Some("{}"), None],
    );
    let mut vectors = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    for values in [Some([0.1, -0.0]), None, Some([1e-20, f32::NEG_INFINITY])] {
        for value in values.unwrap_or_default() {
            vectors.values().append_option(values.map(|_| value));
        }
        vectors.append(values.is_some());
    }
    check(
        Arc::new(vectors.finish()),
        &[Some("[0.1,-0.0]"), None, Some("[1e-20,\"-Infinity\"]")],
    );
}

#[test]
fn faults_name_row_and_place() {
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    let record = DataType::Struct(Fields::from(vec![Field::new("a", DataType::Int32, true)]));
    let vector = DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Int32, true)), 2);
    for (kind, value, expected) in [
        (
            list(DataType::Int32),
            "{1,2}",
            "row 8, column \"c\": this is no JSON list: \"{1,2}\"",
        ),
        (
            list(DataType::Int32),
            "[1,99999999999]",
            "row 8, column \"c\": this is no whole number that fits the column: \"99999999999\"",
        ),
        (
            record.clone(),
            "{\"a\":1.5}",
            "row 8, column \"c.a\": this is no whole number that fits the column: \"1.5\"",
        ),
        (
            list(record.clone()),
            "[{\"a\":1},{\"b\":1}]",
            "row 8, column \"c\": the column's records have no \"b\": \"{\\\"b\\\":1}\"",
        ),
        (
            record.clone(),
            "{\"a\":1,\"a\":2}",
            "row 8, column \"c\": the key \"a\" is there twice: \"{\\\"a\\\":1,\\\"a\\\":2}\"",
        ),
        (
            vector,
            "[1]",
            "row 8, column \"c\": this list has 1 items instead of 2: \"[1]\"",
        ),
    ] {
        let text = StringArray::from(vec![None, Some(value)]);
        let failure = from_text(&Field::new("c", kind, true), &text, 7).unwrap_err();
        assert_eq!(failure.message, expected);
    }
}

#[test]
fn what_looks_like_json() {
    let list = numbers().data_type().clone();
    for (values, expected) in [
        (&[Some("[1]"), None][..], true),
        (&[None], true),
        (&[Some("{1,2}")], false),
        (&[Some("[0:1]={1,2}")], false),
        (&[Some("{\"a\":1}")], false),
    ] {
        assert_eq!(
            is_nested_json(&list, &StringArray::from(values.to_vec())),
            expected
        );
    }
}
