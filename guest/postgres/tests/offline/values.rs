//! Arrow values, into both formats of COPY.

use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Float64Array,
    Int64Array, NullArray, StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow_buffer::i256;
use dagflux_postgres::types::cell::Cell;
use dagflux_postgres::types::pg_type::Typed;
use dagflux_postgres::types::source::Source;
use dagflux_postgres::types::target::Target;
use dagflux_postgres::types::{encode, numeric};
use dagflux_postgres::types::{mapping::numeric_modifier, oid};

fn target(type_oid: u32, modifier: i32) -> Target {
    let known = Typed::known(type_oid, modifier).unwrap_or_else(|| Typed {
        modifier,
        ..Typed::unknown(type_oid)
    });
    Target::of(&known)
}

fn text(cell: Cell<'_>) -> String {
    let mut plain = String::new();
    encode::plain(cell, &mut plain);
    let mut out = Vec::new();
    encode::escape(&plain, &mut out);
    String::from_utf8(out).expect("text")
}

fn binary(cell: Cell<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode::binary(cell, &mut out);
    out
}

#[test]
fn a_cell_as_text_is_what_the_server_reads() {
    for (cell, expected) in [
        (Cell::Bool(true), "t"),
        (Cell::Float8(0.1), "0.1"),
        (Cell::Float8(1e300), "1e300"),
        (Cell::Float8(f64::NEG_INFINITY), "-inf"),
        (Cell::Float4(f32::NAN), "NaN"),
        (Cell::Decimal(-5, 2), "-0.05"),
        (Cell::Decimal(12_345, 2), "123.45"),
        (Cell::Decimal(12, -3), "12000"),
        (Cell::WideDecimal(i256::from_i128(7), 1), "0.7"),
        (Cell::Text("a\tb\\\n\r"), "a\\tb\\\\\\n\\r"),
        (Cell::Bytes(b"\x00\xff"), "\\\\x00ff"),
        (Cell::Date(0), "2000-01-01"),
        (Cell::Date(59), "2000-02-29"),
        (Cell::Date(-10_957), "1970-01-01"),
        (Cell::Date(-730_119), "0001-01-01"),
        (Cell::Date(-730_120), "0001-12-31 BC"),
        (Cell::Time(86_399_000_001), "23:59:59.000001"),
        (Cell::Timestamp(-1), "1999-12-31 23:59:59.999999"),
        (Cell::TimestampTz(0), "2000-01-01 00:00:00.000000+00"),
        (
            Cell::Interval {
                months: 1,
                days: -2,
                micros: 3,
            },
            "1 mons -2 days +00:00:00.000003",
        ),
    ] {
        assert_eq!(text(cell), expected, "{cell:?}");
    }
}

#[test]
fn a_cell_in_binary_is_these_bytes() {
    assert_eq!(binary(Cell::Null), [0xff; 4]);
    assert_eq!(binary(Cell::Int2(-1)), b"\0\0\0\x02\xff\xff");
    assert_eq!(binary(Cell::Jsonb("{}")), b"\0\0\0\x03\x01{}");
    assert_eq!(
        binary(Cell::Decimal(2_116_823, 2)),
        b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x02\0\x02\x04\x90\x08\xfc"
    );
    assert_eq!(binary(Cell::Decimal(0, 2)), b"\0\0\0\x08\0\0\0\0\0\0\0\x02");
}

#[test]
fn numbers_written_and_read_are_the_same() {
    let mut numbers = vec![
        0,
        1,
        9,
        10,
        9999,
        10_000,
        10_001,
        99_999_999,
        i64::MAX.into(),
    ];
    let mut power = 1_i128;
    for _ in 0..38 {
        numbers.extend([power, power - 1, power + 1, power / 7 * 6]);
        power = power.saturating_mul(10);
    }
    let most = 10_i128.pow(38) - 1;
    numbers.push(most);
    for scale in [-38, -5, -4, -3, -1, 0, 1, 2, 3, 4, 5, 10, 37, 38] {
        for number in numbers.iter().copied().filter(|number| *number <= most) {
            for number in [number, -number] {
                let mut out = Vec::new();
                numeric::encode_i128(number, scale, &mut out);
                assert_eq!(
                    numeric::to_i128(&out, 38, scale),
                    Ok(number),
                    "scale {scale}"
                );
                let wide = i256::from_i128(number);
                assert_eq!(numeric::to_i256(&out, 76, scale), Ok(wide), "scale {scale}");
                let mut wide_out = Vec::new();
                numeric::encode_i256(wide, scale, &mut wide_out);
                assert_eq!(wide_out, out, "{number} scale {scale}");
            }
        }
    }
}

/// What becomes of every value of a column.
fn cells(array: &dyn Array, target: Target) -> Vec<Result<Cell<'_>, &'static str>> {
    let source = Source::new(array).expect("a column");
    (0..array.len())
        .map(|row| source.cell(row, &target).map_err(|misfit| misfit.reason))
        .collect()
}

#[test]
fn integers_are_checked_against_the_column() {
    let values = Int64Array::from(vec![Some(40_000), None, Some(-5), Some(1 << 60)]);
    let small = cells(&values, target(oid::INT2, -1));
    assert!(small[0].is_err());
    assert_eq!(small[1], Ok(Cell::Null));
    assert_eq!(small[2], Ok(Cell::Int2(-5)));
    assert!(cells(&values, target(oid::OID, -1))[2].is_err());
    let double = cells(&values, target(oid::FLOAT8, -1));
    assert_eq!(double[0], Ok(Cell::Float8(40_000.0)));
    assert!(double[3].is_err());
    let large = UInt64Array::from(vec![u64::MAX]);
    assert!(cells(&large, target(oid::INT8, -1))[0].is_err());
    assert_eq!(
        cells(&large, target(oid::NUMERIC, -1))[0],
        Ok(Cell::Decimal(u64::MAX.into(), 0))
    );
}

#[test]
fn what_the_server_would_round_is_refused() {
    let values = Decimal128Array::from(vec![1230, 1234]).with_precision_and_scale(10, 3);
    let values = values.expect("a precision");
    let kept = cells(&values, target(oid::NUMERIC, numeric_modifier(10, 2)));
    assert_eq!(kept[0], Ok(Cell::Decimal(1230, 3)));
    assert!(kept[1].is_err());
    assert!(cells(&values, target(oid::NUMERIC, -1))[1].is_ok());

    let values = TimestampNanosecondArray::from(vec![946_684_800_000_000_000, 1]);
    let kept = cells(&values, target(oid::TIMESTAMP, -1));
    assert_eq!(kept[0], Ok(Cell::Timestamp(0)));
    assert!(kept[1].is_err());
    let values = TimestampMillisecondArray::from(vec![946_684_800_000, 946_684_800_001]);
    let kept = cells(&values, target(oid::TIMESTAMP, 0));
    assert_eq!(kept[0], Ok(Cell::Timestamp(0)));
    assert!(kept[1].is_err());

    let values = Date64Array::from(vec![86_400_000, 1]);
    let kept = cells(&values, target(oid::DATE, -1));
    assert_eq!(kept[0], Ok(Cell::Date(-10_956)));
    assert!(kept[1].is_err());

    let values = Float64Array::from(vec![0.5, 0.1, f64::NAN]);
    let kept = cells(&values, target(oid::FLOAT4, -1));
    assert_eq!(kept[0], Ok(Cell::Float4(0.5)));
    assert!(kept[1].is_err());
    assert!(kept[2].is_ok());
}

#[test]
fn what_would_read_as_infinity_is_refused() {
    // The limits mean infinity on the wire.
    let days = Date32Array::from(vec![i32::MIN + 10_957, i32::MIN]);
    assert!(
        cells(&days, target(oid::DATE, -1))
            .iter()
            .all(Result::is_err)
    );
}

#[test]
fn text_with_a_nul_and_bytes_of_the_wrong_length_are_refused() {
    let values = StringArray::from(vec!["a\0b", "ab"]);
    let kept = cells(&values, target(oid::TEXT, -1));
    assert!(kept[0].is_err());
    assert_eq!(kept[1], Ok(Cell::Text("ab")));
    let values = BinaryArray::from(vec![&b"short"[..]]);
    assert!(cells(&values, Target::Uuid)[0].is_err());
}

#[test]
fn nothing_is_null_and_booleans_are_booleans() {
    let nothing = NullArray::new(2);
    assert_eq!(
        cells(&nothing, Target::Bool),
        [Ok(Cell::Null), Ok(Cell::Null)]
    );
    let flags = BooleanArray::from(vec![true]);
    assert_eq!(cells(&flags, Target::Bool), [Ok(Cell::Bool(true))]);
}
