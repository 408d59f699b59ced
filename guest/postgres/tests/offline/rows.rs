//! Rows as bytes, into Arrow.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::Schema;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::OnLoss;
use dagflux_guest::{BatchLimits, Error, ipc};
use dagflux_postgres::types::decode::{RowDecoder, Source};
use dagflux_postgres::types::pg_type::Typed;
use dagflux_postgres::types::{
    mapping::{self, numeric_modifier},
    oid,
};

const LIMITS: BatchLimits = BatchLimits {
    rows: 1000,
    bytes: 1 << 20,
};

/// A row of the given values.
fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut row = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => row.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(value) => {
                row.extend_from_slice(&(value.len() as i32).to_be_bytes());
                row.extend_from_slice(value);
            }
        }
    }
    row
}

fn decoder(types: &[(u32, i32)], limits: BatchLimits) -> (RowDecoder, Arc<Schema>) {
    let mappings: Vec<_> = types
        .iter()
        .map(|(oid, modifier)| {
            let typed = Typed::known(*oid, *modifier).unwrap_or_else(|| Typed::unknown(*oid));
            mapping::map("c", &typed, 1, OnLoss::Fail, false)
        })
        .collect();
    let fields: Vec<_> = mappings.iter().map(|m| m.field.clone()).collect();
    let columns = mappings.into_iter().map(|mapping| Source {
        kind: mapping.kind,
        name: "c".to_owned(),
        choice: OnLoss::Fail,
    });
    (
        RowDecoder::new(columns, limits, false),
        Arc::new(Schema::new(fields)),
    )
}

/// One column of one type, from one value.
fn one(type_oid: u32, modifier: i32, value: &[u8]) -> Result<RecordBatch, Error> {
    let (mut decoder, schema) = decoder(&[(type_oid, modifier)], LIMITS);
    decoder.row(&row(&[Some(value)]))?;
    decoder.row(&row(&[None]))?;
    let batch = ipc::read_batch(decoder.take(), &schema)?;
    assert!(batch.column(0).is_null(1));
    Ok(batch)
}

#[test]
fn values_arrive_as_they_are() {
    let column = |type_oid, value: &[u8]| {
        one(type_oid, -1, value)
            .map(|batch| Arc::clone(batch.column(0)))
            .unwrap_or_else(|error| panic!("{type_oid}: {error}"))
    };
    assert!(column(oid::BOOL, &[1]).as_boolean().value(0));
    let value = column(oid::INT4, &(-5_i32).to_be_bytes());
    assert_eq!(value.as_primitive::<Int32Type>().value(0), -5);
    let value = column(oid::OID, &u32::MAX.to_be_bytes());
    assert_eq!(value.as_primitive::<UInt32Type>().value(0), u32::MAX);
    let value = column(oid::FLOAT8, &f64::NAN.to_be_bytes());
    assert!(value.as_primitive::<Float64Type>().value(0).is_nan());
    assert_eq!(
        column(oid::BPCHAR, b"a  ").as_string::<i32>().value(0),
        "a  "
    );
    assert_eq!(
        column(oid::JSONB, b"\x01{}").as_string::<i32>().value(0),
        "{}"
    );
    assert_eq!(
        column(oid::BYTEA, b"\0\xff").as_binary::<i32>().value(0),
        b"\0\xff"
    );
    let value = column(oid::DATE, &(-1_i32).to_be_bytes());
    assert_eq!(value.as_primitive::<Date32Type>().value(0), 10_956);
    let value = column(oid::TIMESTAMP, &1_i64.to_be_bytes());
    assert_eq!(
        value.as_primitive::<TimestampMicrosecondType>().value(0),
        946_684_800_000_001
    );
    let value = column(oid::TIME, &86_399_999_999_i64.to_be_bytes());
    assert_eq!(
        value.as_primitive::<Time64MicrosecondType>().value(0),
        86_399_999_999
    );
    let bytes = [
        &(-7_i64).to_be_bytes()[..],
        &2_i32.to_be_bytes(),
        &(-1_i32).to_be_bytes(),
    ]
    .concat();
    let value = column(oid::INTERVAL, &bytes);
    let value = value.as_primitive::<IntervalMonthDayNanoType>().value(0);
    assert_eq!(
        (value.months, value.days, value.nanoseconds),
        (-1, 2, -7000)
    );
    assert_eq!(
        column(oid::UUID, &[7; 16]).as_fixed_size_binary().value(0),
        [7; 16]
    );
}

#[test]
fn numbers_arrive_exactly() {
    let number = |weight: i16, sign: u16, digits: &[u16]| {
        let mut bytes = (digits.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&weight.to_be_bytes());
        bytes.extend_from_slice(&sign.to_be_bytes());
        bytes.extend_from_slice(&[0, 2]);
        digits
            .iter()
            .for_each(|digit| bytes.extend_from_slice(&digit.to_be_bytes()));
        bytes
    };
    for (weight, sign, digits, expected) in [
        (0, 0, &[][..], 0),
        (0, 0, &[17], 1700),
        (1, 0, &[2, 1168, 2300], 2_116_823),
        (-1, 0, &[500], 5),
        (0, 0x4000, &[1, 100], -101),
        (2, 0, &[100], 1_000_000_000_000),
        (3, 0, &[9, 9999, 9999, 9999, 9900], 999_999_999_999_999),
    ] {
        let batch = one(
            oid::NUMERIC,
            numeric_modifier(15, 2),
            &number(weight, sign, digits),
        );
        let batch = batch.unwrap_or_else(|error| panic!("{digits:?}: {error}"));
        let column = batch.column(0).as_primitive::<Decimal128Type>();
        assert_eq!(column.value(0), expected, "{digits:?}");
    }
    for (weight, sign, digits, kind) in [
        (0, 0xC000, &[][..], ErrorKind::Value),
        (0, 0xD000, &[], ErrorKind::Value),
        (0, 0xF000, &[], ErrorKind::Value),
        (0, 0, &[1, 1], ErrorKind::Value),
        (-2, 0, &[1], ErrorKind::Value),
        (4, 0, &[1, 0, 0, 0, 0], ErrorKind::Value),
        (i16::MAX, 0, &[1], ErrorKind::Value),
        (i16::MIN, 0, &[1], ErrorKind::Value),
        (0, 0, &[10_000], ErrorKind::Protocol),
        (0, 1, &[1], ErrorKind::Protocol),
    ] {
        let result = one(
            oid::NUMERIC,
            numeric_modifier(15, 2),
            &number(weight, sign, digits),
        );
        let error = result.expect_err("a misfit");
        assert_eq!(error.kind(), kind, "{weight} {sign:x} {digits:?}");
    }
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_names_it() {
    for (type_oid, bytes, value) in [
        (oid::DATE, &i32::MAX.to_be_bytes()[..], "infinity"),
        (oid::DATE, &i32::MIN.to_be_bytes(), "-infinity"),
        (oid::TIMESTAMP, &i64::MAX.to_be_bytes(), "infinity"),
        (oid::TIMESTAMPTZ, &i64::MIN.to_be_bytes(), "-infinity"),
        // 294276-12-31 23:59:59.999999, the last that PostgreSQL has.
        (
            oid::TIMESTAMP,
            &9_223_371_331_199_999_999_i64.to_be_bytes(),
            "294276-12-31 23:59:59.999999",
        ),
        (oid::TIME, &86_400_000_000_i64.to_be_bytes(), "24:00:00"),
        (oid::TEXT, b"\xff", "\\xff"),
    ] {
        let error = one(type_oid, -1, bytes).expect_err("a misfit");
        assert_eq!(error.kind(), ErrorKind::Value, "{value}");
        let attributes = &error.as_record().attributes;
        let expected = [("column", "c"), ("row", "1"), ("value", value)];
        assert_eq!(
            *attributes,
            expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert!(error.has_hint());
    }
}

#[test]
fn rows_are_counted_across_batches() {
    let (mut decoder, _) = decoder(&[(oid::DATE, -1)], LIMITS);
    let good = row(&[Some(&[0; 4])]);
    for _ in 0..3 {
        decoder.row(&good).expect("a row");
    }
    decoder.take();
    decoder.row(&good).expect("a row");
    let error = decoder
        .row(&row(&[Some(&i32::MAX.to_be_bytes())]))
        .expect_err("a misfit");
    assert!(
        error
            .as_record()
            .attributes
            .contains(&("row".into(), "5".into()))
    );
}

#[test]
fn batches_keep_to_their_limits_and_a_large_row_comes_alone() {
    let limits = BatchLimits {
        rows: 10,
        bytes: 1000,
    };
    let (mut decoder, schema) = decoder(&[(oid::TEXT, -1), (oid::INT4, -1)], limits);
    let sizes = [
        10_usize, 10, 5000, 10, 400, 400, 400, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ];
    let mut batches = Vec::new();
    for size in sizes {
        let text = vec![b'x'; size];
        let row = row(&[Some(&text), Some(&[0; 4])]);
        if !decoder.has_room(row.len()) {
            batches.push(ipc::read_batch(decoder.take(), &schema).expect("rows"));
        }
        decoder.row(&row).expect("a row");
    }
    batches.push(ipc::read_batch(decoder.take(), &schema).expect("rows"));
    let counts: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(counts.iter().sum::<usize>(), sizes.len());
    assert_eq!(counts, [2, 1, 3, 10, 3]);
    assert!(decoder.is_empty());
}

#[test]
fn a_row_cut_anywhere_is_a_violation_and_not_a_panic() {
    let types = [
        (oid::INT8, -1),
        (oid::NUMERIC, numeric_modifier(15, 2)),
        (oid::NUMERIC, numeric_modifier(60, 2)),
        (oid::TEXT, -1),
        (oid::INTERVAL, -1),
        (oid::JSONB, -1),
    ];
    let number = b"\x00\x02\x00\x00\x00\x00\x00\x02\x00\x01\x09\xc4";
    let whole = row(&[
        Some(&[1; 8]),
        Some(number),
        Some(number),
        Some(b"text"),
        Some(&[0; 16]),
        Some(b"\x01{}"),
    ]);
    let (mut decoder, _) = decoder(&types, LIMITS);
    decoder.row(&whole).expect("a row");
    for length in 0..whole.len() {
        let (mut decoder, _) = self::decoder(&types, LIMITS);
        let error = decoder.row(&whole[..length]).expect_err("a cut row");
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            let (mut decoder, _) = self::decoder(&types, LIMITS);
            let _ = decoder.row(&changed).map(|()| decoder.take());
        }
    }
}

#[test]
fn a_row_whose_values_grow_is_refused_before_they_fill_the_memory() {
    // 10 to the power of 131071: twelve bytes that become 131,072 digits.
    let number = b"\x00\x01\x7f\xff\x00\x00\x00\x00\x03\xe8";
    let columns = |count| vec![(oid::NUMERIC, -1); count];
    let values = |count| row(&vec![Some(&number[..]); count]);
    let (mut few, _) = decoder(&columns(400), LIMITS);
    few.row(&values(400)).expect("a row");
    let (mut many, _) = decoder(&columns(600), LIMITS);
    let error = many.row(&values(600)).expect_err("a row that is too large");
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(
        error.message(),
        "row 1 takes more than 64 MiB, which is too large to be handed over"
    );
    let hint = error.as_record().hint.as_deref();
    let expected = "leave columns out, or take parts of them in a query";
    assert_eq!(hint, Some(expected));
}
