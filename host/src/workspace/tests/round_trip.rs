//! Types beside those of the mapping: what they become.

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{DataType, Fields, TimeUnit};

use super::*;
use crate::workspace::types::{create_table, declaration};

/// The declared type, and all values as read.
fn read_back(field: Field, array: ArrayRef) -> (String, ArrayRef) {
    let workspace = Workspace::in_memory().unwrap();
    let declared = declaration(&field);
    let rows = single(field, array);
    let written = write(
        &workspace,
        &create_table("t", &rows.schema()),
        &rows,
        &options(),
    )
    .unwrap();
    assert_eq!(written.losses, Vec::new());
    let read = all(&workspace, "SELECT * FROM t").unwrap();
    (declared, read.column(0).clone())
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn scalars_become_the_next_wider() {
    let integers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let decimal = |values: Vec<i128>, p, s| -> ArrayRef {
        Arc::new(
            Decimal128Array::from(values)
                .with_precision_and_scale(p, s)
                .unwrap(),
        )
    };
    let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let cases: Vec<(ArrayRef, &str, ArrayRef)> = vec![
        (
            Arc::new(Int8Array::from(vec![i8::MIN, i8::MAX])),
            "BIGINT",
            integers(vec![-128, 127]),
        ),
        (
            Arc::new(UInt32Array::from(vec![u32::MAX])),
            "BIGINT",
            integers(vec![4_294_967_295]),
        ),
        (
            Arc::new(UInt64Array::from(vec![0, u64::MAX])),
            "DECIMAL_TEXT(20,0)",
            decimal(vec![0, u64::MAX.into()], 20, 0),
        ),
        (
            Arc::new(Float32Array::from(vec![0.1, f32::MAX])),
            "DOUBLE",
            Arc::new(Float64Array::from(vec![
                f64::from(0.1_f32),
                f32::MAX.into(),
            ])),
        ),
        (
            Arc::new(
                Decimal256Array::from(vec![arrow_buffer::i256::from_i128(-12345)])
                    .with_precision_and_scale(30, 3)
                    .unwrap(),
            ),
            "DECIMAL_TEXT(30,3)",
            decimal(vec![-12345], 30, 3),
        ),
        (
            Arc::new(
                Decimal256Array::from(vec![arrow_buffer::i256::MAX])
                    .with_precision_and_scale(76, 0)
                    .unwrap(),
            ),
            "TEXT",
            texts(&[
                "57896044618658097711785492504343953926634992332820282019728792003956564819967",
            ]),
        ),
        (
            decimal(vec![12], 3, -2),
            "DECIMAL(5,0)",
            decimal(vec![1200], 5, 0),
        ),
        (
            Arc::new(NullArray::new(2)),
            "TEXT",
            Arc::new(StringArray::new_null(2)),
        ),
        (
            Arc::new(LargeStringArray::from(vec!["é"])),
            "TEXT",
            texts(&["é"]),
        ),
        (
            Arc::new(StringViewArray::from(vec!["007"])),
            "TEXT",
            texts(&["007"]),
        ),
        (Arc::new(words), "TEXT", texts(&["a", "b", "a"])),
        (
            Arc::new(LargeBinaryArray::from(vec![&b"\0\xff"[..], b""])),
            "BLOB",
            Arc::new(BinaryArray::from(vec![&b"\0\xff"[..], b""])),
        ),
        (
            Arc::new(IntervalMonthDayNanoArray::from(vec![
                IntervalMonthDayNano::new(14, -3, 3_600_000_000_000),
            ])),
            "TEXT",
            texts(&["14 mons -3 days 1 hours"]),
        ),
        (
            Arc::new(DurationSecondArray::from(vec![90])),
            "TEXT",
            texts(&["PT90S"]),
        ),
    ];
    for (array, declared, expected) in cases {
        let field = Field::new("a", array.data_type().clone(), true);
        let (found, read) = read_back(field, array.clone());
        assert_eq!(found, declared, "{}", array.data_type());
        assert_eq!(&read, &expected, "{}", array.data_type());
    }
}

#[test]
fn what_is_nested_becomes_json() {
    let mut lists = ListBuilder::new(Int32Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value([]);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    maps.keys().append_value("a\"b");
    maps.values().append_value(1);
    maps.append(true).unwrap();
    let fields: Fields = vec![
        Field::new("yes", DataType::Boolean, true),
        Field::new("real", DataType::Float64, true),
        Field::new("nan", DataType::Float64, true),
        Field::new("price", DataType::Decimal128(5, 2), true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            true,
        ),
        Field::new("bytes", DataType::Binary, true),
        Field::new("big", DataType::UInt64, true),
        Field::new("text", DataType::Utf8, true),
    ]
    .into();
    let record = StructArray::new(
        fields,
        vec![
            Arc::new(BooleanArray::from(vec![true])),
            Arc::new(Float64Array::from(vec![1e300])),
            Arc::new(Float64Array::from(vec![f64::NAN])),
            Arc::new(
                Decimal128Array::from(vec![150])
                    .with_precision_and_scale(5, 2)
                    .unwrap(),
            ),
            Arc::new(TimestampNanosecondArray::from(vec![1]).with_timezone("UTC")),
            Arc::new(BinaryArray::from(vec![&b"\xff"[..]])),
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            Arc::new(StringArray::from(vec!["\u{1}\"\\é"])),
        ],
        None,
    );
    let json = r#"{"yes":true,"real":1e300,"nan":"NaN","price":"1.50","at":"1970-01-01 00:00:00.000000001Z","bytes":"\\xff","big":18446744073709551615,"text":"\u0001\"\\é"}"#;
    for (array, expected) in [
        (
            Arc::new(lists.finish()) as ArrayRef,
            vec![Some("[1,null]"), None, Some("[]")],
        ),
        (Arc::new(maps.finish()), vec![Some(r#"{"a\"b":1}"#)]),
        (Arc::new(record), vec![Some(json)]),
    ] {
        for text in expected.iter().flatten() {
            serde_json::from_str::<serde_json::Value>(text).unwrap();
        }
        let field = Field::new("a", array.data_type().clone(), true);
        let (declared, read) = read_back(field, array);
        assert_eq!(declared, "JSON_TEXT");
        let expected: ArrayRef = Arc::new(StringArray::from(expected));
        assert_eq!(&read, &expected);
    }
}

/// Texts with which SQLite's own functions count, compare and sort.
#[test]
fn times_are_those_of_sqlite() {
    let workspace = Workspace::in_memory().unwrap();
    let rows = batch(vec![
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![1, 0, -1])),
        ),
        (
            "tz",
            Arc::new(TimestampMicrosecondArray::from(vec![1, 0, -1]).with_timezone("UTC")),
        ),
    ]);
    write(
        &workspace,
        &create_table("t", &rows.schema()),
        &rows,
        &options(),
    )
    .unwrap();
    let found = all(
        &workspace,
        "SELECT group_concat(datetime(at), ' ') AS at, count(*) FILTER (WHERE at > datetime('1970-01-01')) AS n,
                group_concat(datetime(tz, '+1 day'), ' ') AS tz
         FROM (SELECT * FROM t ORDER BY tz)",
    )
    .unwrap();
    let text = |at: usize| arrow_cast::display::array_value_to_string(found.column(at), 0).unwrap();
    assert_eq!(
        text(0),
        "1969-12-31 23:59:59 1970-01-01 00:00:00 1970-01-01 00:00:00"
    );
    assert_eq!(text(1), "2");
    assert_eq!(
        text(2),
        "1970-01-01 23:59:59 1970-01-02 00:00:00 1970-01-02 00:00:00"
    );
    // What they give is read as what it is, and UTC without saying so.
    let select = "SELECT datetime(0, 'unixepoch') AS at, datetime(0, 'unixepoch') AS tz, date(0, 'unixepoch') AS d";
    let create = "CREATE TABLE u (at DATETIME, tz TIMESTAMPTZ, d TIMESTAMP)";
    workspace
        .create_as(create, select, "u", &options())
        .unwrap();
    let read = all(&workspace, "SELECT * FROM u").unwrap();
    let zero = TimestampMicrosecondArray::from(vec![0]);
    let expected: [ArrayRef; 3] = [
        Arc::new(zero.clone()),
        Arc::new(zero.clone().with_timezone("UTC")),
        Arc::new(zero),
    ];
    assert_eq!(read.columns(), expected);
}
