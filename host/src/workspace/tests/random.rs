//! Random rows of every type of the documented mapping: what is written is what is read.

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::*;
use arrow_schema::extension::{Json, Uuid};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::workspace::types::create_table;

/// A column, its values, and a field for it.
type Column = (Field, ArrayRef);

fn column<A: Array + 'static>(name: &str, array: A) -> Column {
    let field = Field::new(name, array.data_type().clone(), true);
    (field, Arc::new(array))
}

/// Values of type `T` with those at its ends more often than chance has them.
fn with_edges<T: Clone + std::fmt::Debug + 'static>(
    any: impl Strategy<Value = T> + 'static,
    edges: Vec<T>,
) -> BoxedStrategy<T> {
    prop_oneof![3 => any, 1 => proptest::sample::select(edges)].boxed()
}

const DAY: i64 = 86_400_000_000;

fn decimals(rows: usize) -> impl Strategy<Value = Column> {
    let type_ = (1_u8..=38).prop_flat_map(|precision| (Just(precision), 0..=precision as i8));
    type_.prop_flat_map(move |(precision, scale)| {
        let most = 10_i128.pow(precision.into()) - 1;
        let value = with_edges(-most..=most, vec![0, 1, -1, most, -most]);
        vec(of(value), rows).prop_map(move |values| {
            let array = Decimal128Array::from(values);
            column(
                "decimal",
                array.with_precision_and_scale(precision, scale).unwrap(),
            )
        })
    })
}

fn texts(rows: usize) -> impl Strategy<Value = Column> {
    let odd = [
        "",
        "007",
        "1.10",
        " 5 ",
        "1e5",
        "NaN",
        "NULL",
        "'; DROP TABLE t; --",
        "\u{0}",
        "a\u{0}b",
        "é\n",
    ];
    let text = with_edges(any::<String>(), odd.map(str::to_owned).to_vec());
    vec(of(text), rows).prop_map(|values| column("text", StringArray::from(values)))
}

/// Rows with a column of each type.
fn rows() -> impl Strategy<Value = RecordBatch> {
    (0_usize..12).prop_flat_map(|rows| {
        let micros = || with_edges(any::<i64>(), vec![0, -1, DAY, i64::MAX, i64::MIN + DAY]);
        // SQLite has no NaN, which is a loss, and but one zero.
        let float = any::<f64>()
            .prop_filter("NaN", |value| !value.is_nan())
            .prop_map(|v| v + 0.0);
        let float = with_edges(
            float,
            vec![0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324, 2e9],
        );
        let integer = with_edges(any::<i64>(), vec![i64::MIN, i64::MAX, 0]);
        let first = (
            vec(of(any::<bool>()), rows),
            vec(of(integer), rows),
            vec(of(float), rows),
            vec(
                of(with_edges(
                    any::<i32>(),
                    vec![i32::MIN, i32::MAX, 0, -719_528],
                )),
                rows,
            ),
            vec(of(with_edges(0..=DAY, vec![0, DAY])), rows),
            vec(of(micros()), rows),
            vec(of(micros()), rows),
        );
        let second = (
            vec(of(any::<[u8; 16]>()), rows),
            vec(of(vec(any::<u8>(), 0..20)), rows),
            vec(
                of(proptest::sample::select(vec![
                    "{}", "[1.10]", "1.0", "\"a\"", "007",
                ])),
                rows,
            ),
            texts(rows),
            decimals(rows),
        );
        (first, second).prop_map(|(first, second)| {
            let (booleans, integers, floats, dates, times, local, utc) = first;
            let (uuids, bytes, documents, text, decimal) = second;
            let mut uuid = FixedSizeBinaryBuilder::new(16);
            for value in uuids {
                match value {
                    Some(bytes) => uuid.append_value(bytes).unwrap(),
                    None => uuid.append_null(),
                }
            }
            let sixteen = Field::new("uuid", DataType::FixedSizeBinary(16), true);
            let json = Field::new("json", DataType::Utf8, true);
            let bytes: Vec<Option<&[u8]>> = bytes.iter().map(Option::as_deref).collect();
            let columns = vec![
                column("boolean", BooleanArray::from(booleans)),
                column("integer", Int64Array::from(integers)),
                column("float", Float64Array::from(floats)),
                column("date", Date32Array::from(dates)),
                column("time", Time64MicrosecondArray::from(times)),
                column("local", TimestampMicrosecondArray::from(local)),
                column(
                    "utc",
                    TimestampMicrosecondArray::from(utc).with_timezone("UTC"),
                ),
                (
                    sixteen.with_extension_type(Uuid),
                    Arc::new(uuid.finish()) as ArrayRef,
                ),
                column("bytes", BinaryArray::from(bytes)),
                (
                    json.with_extension_type(Json::default()),
                    Arc::new(StringArray::from(documents)) as ArrayRef,
                ),
                text,
                decimal,
            ];
            let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(rows in rows()) {
        let workspace = Workspace::in_memory().unwrap();
        let written = write(&workspace, &create_table("t", &rows.schema()), &rows, &options()).unwrap();
        prop_assert_eq!(written.rows, rows.num_rows() as u64);
        prop_assert_eq!(written.losses, Vec::new());
        let mut reader = workspace.read("t", &options()).unwrap();
        prop_assert_eq!(reader.schema(), &rows.schema());
        match reader.next_batch().unwrap() {
            Some(read) => prop_assert_eq!(&read, &rows),
            None => prop_assert_eq!(rows.num_rows(), 0),
        }
        // And from table to table.
        let create = create_table("u", &rows.schema());
        let written = workspace.create_as(&create, "SELECT * FROM t", "u", &options()).unwrap();
        prop_assert_eq!(written.losses, Vec::new());
        let (t, u) = (all(&workspace, "SELECT * FROM t"), all(&workspace, "SELECT * FROM u"));
        prop_assert_eq!(t.unwrap(), u.unwrap());
    }

    /// Decimals in a column of numbers are exact or a loss, and never another number.
    #[test]
    fn no_decimal_is_changed(column in decimals(5)) {
        let (field, array) = column;
        let DataType::Decimal128(precision, scale) = *field.data_type() else { unreachable!() };
        let workspace = Workspace::in_memory().unwrap();
        let create = format!("CREATE TABLE t (decimal DECIMAL({precision},{scale}))");
        let lossy = options().with_losses(crate::LossPolicy::new(crate::OnLoss::Null));
        let rows = single(field, array.clone());
        write(&workspace, &create, &rows, &lossy).unwrap();
        let read = all(&workspace, "SELECT * FROM t").unwrap();
        let read = read.column(0).as_any().downcast_ref::<Decimal128Array>().unwrap();
        let array = array.as_any().downcast_ref::<Decimal128Array>().unwrap();
        for (read, wanted) in read.iter().zip(array) {
            let digits = wanted.map_or(0, |value| value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1);
            prop_assert!(read == wanted || read.is_none() && digits > 15, "{:?} {:?}", read, wanted);
        }
    }
}

/// Microseconds are all there is, wherever the value comes from.
#[test]
fn other_units() {
    let workspace = Workspace::in_memory().unwrap();
    let rows = batch(vec![
        ("s", Arc::new(TimestampSecondArray::from(vec![-1]))),
        (
            "ms",
            Arc::new(TimestampMillisecondArray::from(vec![-1]).with_timezone("+02:00")),
        ),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![-1000]))),
        ("t", Arc::new(Time32SecondArray::from(vec![3661]))),
        ("tms", Arc::new(Time32MillisecondArray::from(vec![1]))),
        ("tns", Arc::new(Time64NanosecondArray::from(vec![1000]))),
        ("d", Arc::new(Date64Array::from(vec![-86_400_000]))),
    ]);
    write(
        &workspace,
        &create_table("t", &rows.schema()),
        &rows,
        &options(),
    )
    .unwrap();
    let read = all(&workspace, "SELECT * FROM t").unwrap();
    let micros = |value: i64| TimestampMicrosecondArray::from(vec![value]);
    let expected: [ArrayRef; 7] = [
        Arc::new(micros(-1_000_000)),
        Arc::new(micros(-1000).with_timezone("UTC")),
        Arc::new(micros(-1)),
        Arc::new(Time64MicrosecondArray::from(vec![3_661_000_000])),
        Arc::new(Time64MicrosecondArray::from(vec![1000])),
        Arc::new(Time64MicrosecondArray::from(vec![1])),
        Arc::new(Date32Array::from(vec![-1])),
    ];
    assert_eq!(read.columns(), expected);
    let texts = all(
        &workspace,
        "SELECT s || '' AS s, ms || '' AS ms, t || '' AS t, d || '' AS d FROM t",
    )
    .unwrap();
    let text = |at: usize| arrow_cast::display::array_value_to_string(texts.column(at), 0).unwrap();
    assert_eq!(text(0), "1969-12-31 23:59:59.000000");
    assert_eq!(text(1), "1969-12-31 23:59:59.999000Z");
    assert_eq!([text(2), text(3)], ["01:01:01.000000", "1969-12-31"]);
    let DataType::Timestamp(TimeUnit::Microsecond, Some(_)) = read.column(1).data_type() else {
        panic!("{}", read.column(1).data_type());
    };
}
