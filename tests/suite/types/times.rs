//! Dates and times, to the ends of their ranges.

use anyhow::Result;
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    Date32Array, IntervalMonthDayNanoArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};

use super::{after_null, case, check};

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
