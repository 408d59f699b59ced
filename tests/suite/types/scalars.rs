//! Numbers, texts, bytes.

use anyhow::{Context, Result};
use arrow_array::{
    BinaryArray, BooleanArray, Decimal256Array, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, StringArray, UInt32Array,
};
use arrow_buffer::i256;

use super::{after_null, case, check, column, decimal128};
use crate::fixture;

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
