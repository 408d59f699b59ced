//! The scalar types, exactly; everything else as the server writes it.
//!
//! Each case goes through all three ways of reading: `read` (by COPY where every column has a
//! binary form), `preview` and `query` (a portal), which have to agree.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow_buffer::i256;
use arrow_schema::{Field, SchemaRef};
use dagflux_host::{
    BatchSize, ConnectOptions, Connection, ErrorKind, ReadOptions, RowStream, TableName,
};
use dagflux_test_support::Database;

use crate::assertions::{attribute, failure, query, read, rows, still_works, value};
use crate::fixture;

/// Schema and rows of a stream, as one batch.
async fn whole(rows: RowStream<'_>) -> Result<RecordBatch> {
    let schema = rows.schema().clone();
    let batches = fixture::batches(rows).await?;
    for batch in &batches {
        assert_eq!(batch.schema(), schema);
    }
    joined(&schema, &batches)
}

/// The batches one after the other. Copies value by value, which is slow and plain.
fn joined(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    match batches {
        [] => Ok(RecordBatch::new_empty(schema.clone())),
        [only] => Ok(only.clone()),
        _ => anyhow::bail!("{} batches where one was expected", batches.len()),
    }
}

/// The column `v` of the type, with the values given as text, by all three ways of reading.
async fn column(
    database: &Database<'_>,
    connection: &mut Connection,
    type_name: &str,
    values: &[Option<&str>],
) -> Result<(Field, ArrayRef)> {
    let client = database.sql().await?;
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS one_type; CREATE TABLE one_type (v {type_name})"
        ))
        .await?;
    for value in values {
        let sql = match value {
            None => "INSERT INTO one_type VALUES (NULL)".to_owned(),
            Some(value) => format!(
                "INSERT INTO one_type VALUES ('{}')",
                value.replace('\'', "''")
            ),
        };
        client
            .batch_execute(&sql)
            .await
            .with_context(|| format!("{type_name}: {value:?}"))?;
    }
    let table = TableName::new("one_type");
    let read = whole(connection.read(&table, ReadOptions::default()).await?).await?;
    let preview = whole(connection.preview(&table, u32::MAX).await?).await?;
    let query = whole(connection.query("SELECT v FROM one_type").await?).await?;
    assert_eq!(read, preview, "{type_name}");
    assert_eq!(read, query, "{type_name}");
    // The type's name is the one that the server gives.
    let name = value(
        &client,
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
         WHERE attrelid = 'one_type'::regclass AND attname = 'v'",
    )
    .await?;
    let field = read.schema().field(0).clone();
    assert!(field.is_nullable());
    // On the wire a domain is the type below it.
    let is_domain = "SELECT typtype = 'd' FROM pg_type JOIN pg_attribute ON atttypid = pg_type.oid \
                     WHERE attrelid = 'one_type'::regclass AND attname = 'v'";
    if value(&client, is_domain).await? == "f" {
        assert_eq!(field.metadata().get("dagflux:type"), Some(&name));
    }
    Ok((field, read.column(0).clone()))
}

/// A case: a type, its values as text, and the Arrow array they become. A NULL comes first.
struct Case {
    type_name: &'static str,
    values: Vec<&'static str>,
    expected: ArrayRef,
}

fn case(type_name: &'static str, values: &[&'static str], expected: impl Array + 'static) -> Case {
    Case {
        type_name,
        values: values.to_vec(),
        expected: Arc::new(expected),
    }
}

async fn check(name: &str, cases: Vec<Case>) -> Result<()> {
    let database = fixture::database(name).await?;
    let mut connection = fixture::connect(&database).await?;
    for Case {
        type_name,
        values,
        expected,
    } in cases
    {
        let mut given = vec![None];
        given.extend(values.iter().map(|value| Some(*value)));
        let (field, found) = column(&database, &mut connection, type_name, &given).await?;
        assert_eq!(field.data_type(), expected.data_type(), "{type_name}");
        assert_eq!(&found, &expected, "{type_name}");
        // Without rows the columns are the same.
        let (empty, rows) = column(&database, &mut connection, type_name, &[]).await?;
        assert_eq!(empty, field);
        assert_eq!(rows.len(), 0);
    }
    Ok(())
}

/// A null, then the values.
fn after_null<T>(values: impl IntoIterator<Item = T>) -> Vec<Option<T>> {
    std::iter::once(None)
        .chain(values.into_iter().map(Some))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn booleans_integers_and_floats() -> Result<()> {
    check(
        "types_numbers",
        vec![
            case(
                "boolean",
                &["t", "f"],
                BooleanArray::from(after_null([true, false])),
            ),
            case(
                "smallint",
                &["-32768", "0", "32767"],
                Int16Array::from(after_null([i16::MIN, 0, i16::MAX])),
            ),
            case(
                "integer",
                &["-2147483648", "-1", "2147483647"],
                Int32Array::from(after_null([i32::MIN, -1, i32::MAX])),
            ),
            case(
                "bigint",
                &["-9223372036854775808", "0", "9223372036854775807"],
                Int64Array::from(after_null([i64::MIN, 0, i64::MAX])),
            ),
            case(
                "oid",
                &["0", "4294967295"],
                UInt32Array::from(after_null([0, u32::MAX])),
            ),
            case(
                "real",
                &[
                    "0",
                    "-0",
                    "3.4028235e38",
                    "-3.4028235e38",
                    "1e-45",
                    "0.1",
                    "Infinity",
                    "-Infinity",
                    "NaN",
                ],
                Float32Array::from(after_null([
                    0.0,
                    -0.0,
                    f32::MAX,
                    f32::MIN,
                    f32::from_bits(1),
                    0.1,
                    f32::INFINITY,
                    f32::NEG_INFINITY,
                    f32::NAN,
                ])),
            ),
            case(
                "double precision",
                &[
                    "0",
                    "-0",
                    "1.7976931348623157e308",
                    "-1.7976931348623157e308",
                    "5e-324",
                    "0.1",
                    "Infinity",
                    "-Infinity",
                    "NaN",
                ],
                Float64Array::from(after_null([
                    0.0,
                    -0.0,
                    f64::MAX,
                    f64::MIN,
                    f64::from_bits(1),
                    0.1,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    f64::NAN,
                ])),
            ),
        ],
    )
    .await
}

fn decimal128(precision: u8, scale: i8, values: &[i128]) -> Result<Decimal128Array> {
    Ok(Decimal128Array::from(after_null(values.iter().copied()))
        .with_precision_and_scale(precision, scale)?)
}

fn decimal256(precision: u8, scale: i8, values: &[&str]) -> Result<Decimal256Array> {
    let values: Option<Vec<i256>> = values
        .iter()
        .map(|value| i256::from_string(value))
        .collect();
    Ok(
        Decimal256Array::from(after_null(values.context("not a number")?))
            .with_precision_and_scale(precision, scale)?,
    )
}

const NINES_38: &str = "99999999999999999999999999999999999999";
const NINES_76: &str =
    "9999999999999999999999999999999999999999999999999999999999999999999999999999";

#[tokio::test(flavor = "multi_thread")]
async fn decimals() -> Result<()> {
    check(
        "types_decimals",
        vec![
            case(
                "numeric(10,2)",
                &["0", "0.01", "-0.01", "99999999.99", "-99999999.99", "1", "1000.5", "10000", "12345678.9"],
                decimal128(10, 2, &[0, 1, -1, 9_999_999_999, -9_999_999_999, 100, 100_050, 1_000_000, 1_234_567_890])?,
            ),
            case("numeric(1)", &["-9", "0", "9"], decimal128(1, 0, &[-9, 0, 9])?),
            case(
                "numeric(38,0)",
                &[NINES_38, "-99999999999999999999999999999999999999", "10000000000000000", "0"],
                decimal128(38, 0, &[10_i128.pow(38) - 1, 1 - 10_i128.pow(38), 10_i128.pow(16), 0])?,
            ),
            case(
                "numeric(38,38)",
                &["0.00000000000000000000000000000000000001", "-0.99999999999999999999999999999999999999", "0.5"],
                decimal128(38, 38, &[1, 1 - 10_i128.pow(38), 5 * 10_i128.pow(37)])?,
            ),
            case(
                "numeric(38,17)",
                &["123456789012345678901.12345678901234567", "0.00010000000000000"],
                decimal128(38, 17, &[12_345_678_901_234_567_890_112_345_678_901_234_567, 10_000_000_000_000])?,
            ),
            // Rounded by the server to hundreds and to hundred-thousandths.
            case("numeric(5,-2)", &["1234567", "-9999900", "0"], decimal128(5, -2, &[12_346, -99_999, 0])?),
            case("numeric(3,5)", &["0.00999", "-0.00001"], decimal128(5, 5, &[999, -1])?),
            case(
                "numeric(39,0)",
                &["999999999999999999999999999999999999999", "-1"],
                decimal256(39, 0, &["999999999999999999999999999999999999999", "-1"])?,
            ),
            case(
                "numeric(76,0)",
                &[NINES_76, "0"],
                decimal256(76, 0, &[NINES_76, "0"])?,
            ),
            case(
                "numeric(76,38)",
                &["-12345678901234567890123456789012345678.12345678901234567890123456789012345678", "0.5"],
                decimal256(
                    76,
                    38,
                    &[
                        "-1234567890123456789012345678901234567812345678901234567890123456789012345678",
                        "50000000000000000000000000000000000000",
                    ],
                )?,
            ),
            // Beyond what Arrow has, and without a precision: exact, as text.
            case(
                "numeric(77,1)",
                &["1.5", "-0.1"],
                StringArray::from(after_null(["1.5", "-0.1"])),
            ),
            case(
                "numeric",
                &["0", "1.10", "-0.000000000000000000000000000000000000000001", "NaN", "Infinity", "-Infinity", "1e40"],
                StringArray::from(after_null([
                    "0", "1.10", "-0.000000000000000000000000000000000000000001", "NaN", "Infinity",
                    "-Infinity", "10000000000000000000000000000000000000000",
                ])),
            ),
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn texts() -> Result<()> {
    let long: &'static str = Box::leak("日本語 and a little more; ".repeat(5000).into_boxed_str());
    check(
        "types_texts",
        vec![
            case(
                "text",
                &["", " ", "Käse", "日本語 🧀", "a\tb\nc\\d", "\u{feff}", long],
                StringArray::from(after_null([
                    "",
                    " ",
                    "Käse",
                    "日本語 🧀",
                    "a\tb\nc\\d",
                    "\u{feff}",
                    long,
                ])),
            ),
            case(
                "character varying(5)",
                &["", "日本語日本", "ab   "],
                StringArray::from(after_null(["", "日本語日本", "ab   "])),
            ),
            case(
                "character varying",
                &["x"],
                StringArray::from(after_null(["x"])),
            ),
            // Padding is part of the value on the wire, and kept.
            case(
                "character(4)",
                &["", "ab", "日本"],
                StringArray::from(after_null(["    ", "ab  ", "日本  "])),
            ),
            case(
                "name",
                &["pg_class", ""],
                StringArray::from(after_null(["pg_class", ""])),
            ),
            case("\"char\"", &["a"], StringArray::from(after_null(["a"]))),
            case(
                "xml",
                &["<a>&lt;</a>"],
                StringArray::from(after_null(["<a>&lt;</a>"])),
            ),
            case(
                "money",
                &["-12.34", "1000"],
                StringArray::from(after_null(["-$12.34", "$1,000.00"])),
            ),
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_uuids_and_json() -> Result<()> {
    let uuids = [
        None,
        Some([0_u8; 16]),
        Some([
            0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38,
            0x0a, 0x11,
        ]),
        Some([0xff; 16]),
    ];
    let uuids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16)?;
    check(
        "types_bytes",
        vec![
            case(
                "bytea",
                &["\\x", "\\x00", "\\xdeadbeef00ff"],
                BinaryArray::from(after_null([
                    b"".as_slice(),
                    b"\0",
                    b"\xde\xad\xbe\xef\0\xff",
                ])),
            ),
            case(
                "uuid",
                &[
                    "00000000-0000-0000-0000-000000000000",
                    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                    "ffffffff-ffff-ffff-ffff-ffffffffffff",
                ],
                uuids,
            ),
            case(
                "json",
                &["{ \"b\": 1, \"a\": 1.0 }", "null", "\"日本\""],
                StringArray::from(after_null(["{ \"b\": 1, \"a\": 1.0 }", "null", "\"日本\""])),
            ),
            case(
                "jsonb",
                &["{ \"b\": 1, \"a\": 1.0 }", "null", "[]"],
                StringArray::from(after_null(["{\"a\": 1.0, \"b\": 1}", "null", "[]"])),
            ),
        ],
    )
    .await?;
    let database = fixture::database("types_extensions").await?;
    let mut connection = fixture::connect(&database).await?;
    for (type_name, extension) in [
        ("uuid", "arrow.uuid"),
        ("json", "arrow.json"),
        ("jsonb", "arrow.json"),
    ] {
        let (field, _) = column(&database, &mut connection, type_name, &[]).await?;
        assert_eq!(field.extension_type_name(), Some(extension), "{type_name}");
    }
    Ok(())
}

/// Days from 1970-01-01 to 4714-11-24 BC (proleptic Gregorian), PostgreSQL's first.
const FIRST_DAY: i32 = -2_440_588;
/// Days from 1970-01-01 to 5874897-12-31, PostgreSQL's last.
const LAST_DAY: i32 = 2_145_042_905;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

#[tokio::test(flavor = "multi_thread")]
async fn dates_and_times() -> Result<()> {
    let stamps = [
        // The first that PostgreSQL has, and the last that Arrow has.
        i64::from(FIRST_DAY) * DAY,
        i64::MAX,
        0,
        -1,
        946_684_800 * SECOND,
        -62_135_596_800 * SECOND - DAY,
    ];
    let texts: &[&'static str] = &[
        "4714-11-24 00:00:00 BC",
        "294247-01-10 04:00:54.775807",
        "1970-01-01 00:00:00",
        "1969-12-31 23:59:59.999999",
        "2000-01-01 00:00:00",
        "0001-12-31 00:00:00 BC",
    ];
    let zoned: Vec<&'static str> = texts
        .iter()
        .map(|text| match text.strip_suffix(" BC") {
            Some(text) => format!("{text}+00 BC"),
            None => format!("{text}+00"),
        })
        .map(|text| &*Box::leak(text.into_boxed_str()))
        .collect();
    check(
        "types_times",
        vec![
            case(
                "date",
                &[
                    "4714-11-24 BC",
                    "5874897-12-31",
                    "1970-01-01",
                    "1969-12-31",
                    "2000-02-29",
                    "0001-12-31 BC",
                ],
                Date32Array::from(after_null([FIRST_DAY, LAST_DAY, 0, -1, 11_016, -719_163])),
            ),
            case(
                "time",
                &["00:00", "23:59:59.999999", "12:30:01.5"],
                Time64MicrosecondArray::from(after_null([0, DAY - 1, 45_001_500_000])),
            ),
            case(
                "time(0)",
                &["12:30:01.5"],
                Time64MicrosecondArray::from(after_null([45_002 * SECOND])),
            ),
            case(
                "timestamp",
                texts,
                TimestampMicrosecondArray::from(after_null(stamps)),
            ),
            case(
                "timestamp(3)",
                &["2000-01-01 00:00:00.0015"],
                TimestampMicrosecondArray::from(after_null([946_684_800_002_000])),
            ),
            case(
                "timestamptz",
                &zoned,
                TimestampMicrosecondArray::from(after_null(stamps)).with_timezone("UTC"),
            ),
            case(
                "timestamptz(0)",
                &["1970-01-01 05:00:00+05"],
                TimestampMicrosecondArray::from(after_null([0])).with_timezone("UTC"),
            ),
            case(
                "timetz",
                &["12:30:00+05:30", "00:00:00-15:59:59", "24:00:00+00"],
                StringArray::from(after_null([
                    "12:30:00+05:30",
                    "00:00:00-15:59:59",
                    "24:00:00+00",
                ])),
            ),
            case(
                "interval",
                &[
                    "0",
                    "1 year 2 mons 3 days 04:05:06.789",
                    "-178000000 years",
                    "2147483647 days",
                    "-1 microsecond",
                    "1 mon -1 days +00:00:01",
                ],
                IntervalMonthDayNanoArray::from(after_null([
                    IntervalMonthDayNano::new(0, 0, 0),
                    IntervalMonthDayNano::new(14, 3, 14_706_789_000_000),
                    IntervalMonthDayNano::new(-2_136_000_000, 0, 0),
                    IntervalMonthDayNano::new(0, i32::MAX, 0),
                    IntervalMonthDayNano::new(0, 0, -1000),
                    IntervalMonthDayNano::new(1, -1, 1_000_000_000),
                ])),
            ),
            case(
                "interval day to second(2)",
                &["1 day 00:00:01.239"],
                IntervalMonthDayNanoArray::from(after_null([IntervalMonthDayNano::new(
                    0,
                    1,
                    1_240_000_000,
                )])),
            ),
        ],
    )
    .await
}

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
        let (field, found) = column(
            &database,
            &mut connection,
            type_name,
            &[None, Some("12.5"), Some("100")],
        )
        .await?;
        assert_eq!(field.metadata()["dagflux:type"], "numeric(5,2)");
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
            "9223372036854775807 microseconds",
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
    (
        "integer[]",
        &["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={5,6}"],
    ),
    ("text[]", &["{\"a,b\",\"c\\\"d\",NULL,\"NULL\",\"\"}"]),
    ("numeric(5,2)[]", &["{1.50,NaN}"]),
    ("date[]", &["{infinity,2000-01-01}"]),
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
    ("pair", &["(1,\"a,b\")", "(,)"]),
    ("pair[]", &["{\"(1,x)\"}"]),
    ("citext", &["MiXeD"]),
    ("hstore", &["\"a\"=>\"1\", \"b\"=>NULL"]),
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
            "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
             CREATE EXTENSION cube; CREATE TYPE pair AS (a int, b text)",
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

#[tokio::test(flavor = "multi_thread")]
async fn results_without_rows_or_columns_and_with_equal_names() -> Result<()> {
    let database = fixture::database("types_shapes").await?;
    let mut connection = fixture::connect(&database).await?;
    connection
        .execute("CREATE TABLE empty (id int, name varchar(10), made numeric(4,1))")
        .await?;
    let table = TableName::new("empty");
    for rows in [
        whole(connection.read(&table, ReadOptions::default()).await?).await?,
        whole(connection.preview(&table, 5).await?).await?,
        whole(connection.query("SELECT * FROM empty").await?).await?,
    ] {
        assert_eq!(rows.num_rows(), 0);
        let schema = rows.schema();
        let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, ["id", "name", "made"]);
        assert_eq!(
            schema.field(1).metadata()["dagflux:type"],
            "character varying(10)"
        );
        assert_eq!(schema.field(2).metadata()["dagflux:type"], "numeric(4,1)");
    }
    let rows = whole(connection.query("SELECT 1 AS a, 'x' AS a, NULL").await?).await?;
    assert_eq!(rows.num_columns(), 3);
    assert_eq!(rows.schema().field(1).name(), "a");
    connection.execute("CREATE TABLE bare ()").await?;
    connection
        .execute("INSERT INTO bare DEFAULT VALUES")
        .await?;
    let table = TableName::new("bare");
    let rows = whole(connection.read(&table, ReadOptions::default()).await?).await?;
    assert_eq!((rows.num_columns(), rows.num_rows()), (0, 1));
    let options = ReadOptions::default().with_columns(["made", "id"]);
    let rows = connection.read(&TableName::new("empty"), options).await?;
    assert_eq!(rows.schema().field(0).name(), "made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_bounded_by_rows_and_by_bytes() -> Result<()> {
    let database = fixture::database("types_batches").await?;
    database
        .sql()
        .await?
        .batch_execute(
            "CREATE TABLE t AS SELECT g AS id, repeat('x', 1000) AS body FROM generate_series(1, 5000) g;
             CREATE TABLE wide AS SELECT g AS id, repeat('x', 300000) AS body FROM generate_series(1, 4) g",
        )
        .await?;
    let connect = |batch: BatchSize| {
        let database = &database;
        async move {
            let options = ConnectOptions::default().with_batch(batch);
            anyhow::Ok(
                fixture::postgres()
                    .await?
                    .connect(
                        fixture::config(database),
                        fixture::secrets(database),
                        options,
                    )
                    .await?,
            )
        }
    };
    let table = TableName::new("t");
    for by_query in [false, true] {
        let mut connection = connect(BatchSize::default().with_rows(700)).await?;
        let rows = match by_query {
            true => connection.query("SELECT * FROM t").await?,
            false => connection.read(&table, ReadOptions::default()).await?,
        };
        let sizes: Vec<usize> = fixture::batches(rows)
            .await?
            .iter()
            .map(RecordBatch::num_rows)
            .collect();
        assert_eq!(sizes, [700, 700, 700, 700, 700, 700, 700, 100]);

        let limit = 100_000;
        let mut connection = connect(BatchSize::default().with_bytes(limit)).await?;
        let rows = match by_query {
            true => connection.query("SELECT * FROM t").await?,
            false => connection.read(&table, ReadOptions::default()).await?,
        };
        let batches = fixture::batches(rows).await?;
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            5000
        );
        for batch in &batches {
            let bytes: usize = batch
                .columns()
                .iter()
                .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
                .sum();
            assert!(bytes <= limit as usize, "{bytes}");
        }
        // As full as they may be: 100,000 bytes hold some 98 rows of about 1,010.
        assert!(batches.len() < 60, "{}", batches.len());
    }
    // A row that is larger than a batch may be comes alone.
    let mut connection = connect(BatchSize::default().with_bytes(100_000)).await?;
    let rows = connection
        .read(&TableName::new("wide"), ReadOptions::default())
        .await?;
    let batches = fixture::batches(rows).await?;
    assert!(batches.iter().all(|batch| batch.num_rows() == 1));
    assert_eq!(batches.len(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_reading_gives_the_same() -> Result<()> {
    let database = fixture::database("types_ways").await?;
    let client = database.sql().await?;
    client
        .batch_execute(
            "CREATE TABLE wide AS SELECT g AS id, g % 3 = 0 AS flag, (g % 1000)::int2 AS small, \
             g::int8 * 1000000007 AS big, g::float4 / 7 AS single, g::float8 / 7 AS double, \
             (g * 1.25)::numeric(12,3) AS amount, (g * 1.25)::numeric(60,3) AS large, \
             CASE WHEN g % 5 > 0 THEN 'text ' || g END AS text, ('c' || g % 10)::char(5) AS padded, \
             decode(md5(g::text), 'hex') AS bytes, md5(g::text)::uuid AS uuid, \
             json_build_object('g', g) AS json, jsonb_build_object('g', g) AS jsonb, \
             date '2000-01-01' + g AS day, time '00:00' + g * interval '1 second' AS time, \
             timestamp '2000-01-01' + g * interval '1 hour' AS at, \
             timestamptz '2000-01-01+00' + g * interval '1 hour' AS tz, g * interval '1 day 1 second' AS span, \
             g::oid AS oid, ('n' || g)::name AS name FROM generate_series(1, 20000) g",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    let table = TableName::new("wide");
    let copied = fixture::batches(connection.read(&table, ReadOptions::default()).await?).await?;
    let queried = fixture::batches(connection.query("SELECT * FROM wide").await?).await?;
    let limited = ReadOptions::default().with_limit(20_000);
    let limited = fixture::batches(connection.read(&table, limited).await?).await?;
    let previewed = fixture::batches(connection.preview(&table, 20_000).await?).await?;
    assert_eq!(
        copied.iter().map(RecordBatch::num_rows).sum::<usize>(),
        20_000
    );
    assert_eq!(copied, queried);
    assert_eq!(copied, limited);
    assert_eq!(copied, previewed);
    let few = fixture::batches(connection.preview(&table, 7).await?).await?;
    assert_eq!(few[0], copied[0].slice(0, 7));
    assert_eq!(
        fixture::count(connection.preview(&table, 0).await?).await?,
        0
    );
    Ok(())
}
