//! Values as exact text, and text as values: what CSV, JSON lines and the
//! tables for people have in common.
//!
//! | type | text |
//! |---|---|
//! | boolean | `true`, `false` |
//! | integers, decimals | all their digits |
//! | floats | the shortest digits that read back the same; `NaN`, `Infinity`, `-Infinity` |
//! | bytes | `\x` and hexadecimal digits |
//! | UUID | with hyphens |
//! | date, time, timestamp | ISO 8601; a timestamp with time zone ends in `Z` |
//! | interval | `1 mons 2 days 3 hours 4.5 secs` |
//! | list, record, map | JSON, as [`super::json`] writes it: `[1,null,2]`, `{"a":1}` |

mod era;
mod limit;
mod read;
mod write;

use arrow_array::{Array, ArrayRef, make_array};
use arrow_schema::{ArrowError, DataType, Field};

pub use era::with_eras;
pub use limit::Limit;
pub use read::{fits, from_text, from_text_at, kept, misfit};
pub use write::to_text;

/// UTC as an offset. Zones by their name would need the whole time zone
/// database; an instant is the same in all of them.
const UTC: &str = "+00:00";

/// A type with its time zone, if it has one, as an offset.
fn in_utc(kind: &DataType) -> DataType {
    match kind {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(UTC.into())),
        other => other.clone(),
    }
}

/// The same values under another name for the time zone.
fn renamed(values: &dyn Array, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(
        values
            .to_data()
            .into_builder()
            .data_type(kind.clone())
            .build()?,
    ))
}

/// Whether a column holds UUIDs.
fn is_uuid(field: &Field) -> bool {
    matches!(field.data_type(), DataType::FixedSizeBinary(16))
        && field.extension_type_name() == Some("arrow.uuid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
        Float32Array, Float64Array, Int64Array, IntervalMonthDayNanoArray, StringArray,
        Time64MicrosecondArray, TimestampMicrosecondArray,
    };
    use arrow_buffer::IntervalMonthDayNano;

    fn uuid_field() -> Field {
        Field::new("c", DataType::FixedSizeBinary(16), true)
            .with_extension_type(arrow_schema::extension::Uuid)
    }

    /// Every type: to text as expected, and back to the same values.
    #[test]
    fn round_trip() {
        let plain = |array: &ArrayRef| Field::new("c", array.data_type().clone(), true);
        let uuid: Vec<u8> = (0..16).collect();
        let cases: Vec<(ArrayRef, Option<Field>, &[&str])> = vec![
            (
                Arc::new(BooleanArray::from(vec![true, false])),
                None,
                &["true", "false"],
            ),
            (
                Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
                None,
                &["-9223372036854775808", "9223372036854775807"],
            ),
            (
                Arc::new(Float32Array::from(vec![0.1, f32::NAN])),
                None,
                &["0.1", "NaN"],
            ),
            (
                Arc::new(Float64Array::from(vec![
                    0.1,
                    1e300,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    -0.0,
                ])),
                None,
                &["0.1", "1e300", "Infinity", "-Infinity", "-0.0"],
            ),
            (
                Arc::new(
                    Decimal128Array::from(vec![123_450, -5])
                        .with_precision_and_scale(38, 2)
                        .unwrap(),
                ),
                None,
                &["1234.50", "-0.05"],
            ),
            (
                Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], &b""[..]])),
                None,
                &["\\x00ff", "\\x"],
            ),
            (
                Arc::new(FixedSizeBinaryArray::try_from_iter([uuid].into_iter()).unwrap()),
                Some(uuid_field()),
                &["00010203-0405-0607-0809-0a0b0c0d0e0f"],
            ),
            (
                Arc::new(Date32Array::from(vec![0, -719_162])),
                None,
                &["1970-01-01", "0001-01-01"],
            ),
            (
                Arc::new(Time64MicrosecondArray::from(vec![1, 86_399_999_999])),
                None,
                &["00:00:00.000001", "23:59:59.999999"],
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1])),
                None,
                &["1970-01-01T00:00:00.000001"],
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
                None,
                &["1970-01-01T00:00:00Z"],
            ),
            (
                Arc::new(
                    TimestampMicrosecondArray::from(vec![
                        -210_866_803_200_000_000,
                        253_402_300_800_000_001,
                        0,
                    ])
                    .with_timezone("UTC"),
                ),
                None,
                &[
                    "-4713-11-24T00:00:00Z",
                    "+10000-01-01T00:00:00.000001Z",
                    "1970-01-01T00:00:00Z",
                ],
            ),
            (
                Arc::new(IntervalMonthDayNanoArray::from(vec![
                    IntervalMonthDayNano::new(14, -3, 3_600_000_000_000),
                ])),
                None,
                &["14 mons -3 days 1 hours"],
            ),
        ];
        for (array, field, expected) in cases {
            let field = field.unwrap_or_else(|| plain(&array));
            let text = to_text(&field, &array).unwrap();
            assert_eq!(
                text.iter().flatten().collect::<Vec<_>>(),
                expected,
                "{}",
                field.data_type()
            );
            let back = from_text(&field, &text, 1).unwrap();
            assert_eq!(format!("{back:?}"), format!("{array:?}"));
        }
    }

    #[test]
    fn beyond_the_calendar_is_an_error() {
        let array = TimestampMicrosecondArray::from(vec![i64::MAX]);
        let field = Field::new("at", array.data_type().clone(), true);
        assert!(
            to_text(&field, &array)
                .unwrap_err()
                .message
                .contains("column \"at\"")
        );
    }

    #[test]
    fn faults_name_row_and_column() {
        for (kind, value, expected) in [
            (
                DataType::Int16,
                "40000",
                "row 12, column \"c\": this is no whole number that fits the column: \"40000\"",
            ),
            (
                DataType::Date32,
                "infinity",
                "row 12, column \"c\": this is no date (YYYY-MM-DD): \"infinity\"",
            ),
            (
                DataType::Decimal128(10, 2),
                "1.005",
                "row 12, column \"c\": the column keeps 2 decimals: \"1.005\"",
            ),
            (
                DataType::Decimal128(4, 2),
                "100.00",
                "row 12, column \"c\": this is no number that fits the column: \"100.00\"",
            ),
            (
                DataType::Binary,
                "00ff",
                "row 12, column \"c\": bytes are written as \\x and hexadecimal digits: \"00ff\"",
            ),
            (
                DataType::Boolean,
                "maybe",
                "row 12, column \"c\": this is no true or false: \"maybe\"",
            ),
        ] {
            let text = StringArray::from(vec![None, Some("1").filter(|_| false), Some(value)]);
            let failure = from_text(&Field::new("c", kind, true), &text, 10).unwrap_err();
            assert_eq!(failure.message, expected);
        }
        let text = StringArray::from(vec!["00010203-0405-0607-0809-0a0b0c0d0e"]);
        assert_eq!(
            from_text(&uuid_field(), &text, 1).unwrap_err().message,
            "row 1, column \"c\": this is no UUID: \"00010203-0405-0607-0809-0a0b0c0d0e\""
        );
    }
}
