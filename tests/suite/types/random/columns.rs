//! Random columns, of any number of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, MapArray,
    PrimitiveArray, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Microseconds from 1970 to 4714-11-24 BC, PostgreSQL's first moment. Its last is beyond
/// Arrow's.
const FIRST_MOMENT: i64 = -210_866_803_200_000_000;
/// Days from 1970 to PostgreSQL's first and last.
const DAYS: std::ops::RangeInclusive<i32> = -2_440_588..=2_145_042_905;
const DAY_MICROS: i64 = 86_400_000_000;

/// How often there is a value.
const PRESENT: f64 = 0.85;

/// A kind of column: its field, and how to make a number of its values.
#[derive(Clone)]
pub struct Kind {
    pub field: Field,
    values: Arc<dyn Fn(usize) -> BoxedStrategy<ArrayRef>>,
}

impl Kind {
    /// So many values.
    pub fn values(&self, count: usize) -> BoxedStrategy<ArrayRef> {
        (self.values)(count)
    }

    fn named(mut self, name: &str) -> Self {
        self.field = self.field.with_name(name);
        self
    }
}

/// Kinds for a column of every scalar type, arrays of each in one and two dimensions, and
/// what is nested deeper.
pub fn all() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for scalar in scalars() {
        let name = scalar.field.name().clone();
        kinds.push(list(scalar.clone()).named(&format!("{name}_list")));
        kinds.push(grid(scalar.clone()).named(&format!("{name}_grid")));
        kinds.push(scalar);
    }
    kinds.push(pair().named("couple"));
    kinds.push(list(pair()).named("couples"));
    kinds.push(entry().named("entry"));
    kinds.push(list(entry()).named("entries"));
    kinds.push(hstore().named("pairs"));
    kinds
}

/// The types that the kinds above name, as SQL.
pub const TYPES: &str = "
    CREATE EXTENSION hstore;
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad');
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE entry AS (id bigint, price numeric(12,2), due date, tags text[], pair pair, pairs pair[])";

fn scalars() -> Vec<Kind> {
    let micros =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    vec![
        kind("flag", "boolean", DataType::Boolean, |count| {
            optional::<bool>(any::<bool>(), count)
                .prop_map(|values| Arc::new(BooleanArray::from(values)) as ArrayRef)
                .boxed()
        }),
        number::<Int16Type>("small", "smallint", DataType::Int16, any::<i16>()),
        number::<Int32Type>("whole", "integer", DataType::Int32, any::<i32>()),
        number::<Int64Type>("big", "bigint", DataType::Int64, any::<i64>()),
        number::<UInt32Type>("ref", "oid", DataType::UInt32, any::<u32>()),
        number::<Float32Type>("single", "real", DataType::Float32, single()),
        number::<Float64Type>("double", "double precision", DataType::Float64, double()),
        decimal128("price", 12, 2),
        decimal128("narrow", 38, 10),
        decimal128("whole_decimal", 38, 0),
        decimal128("hundreds", 5, -2),
        decimal256("wide", 39, 0),
        decimal256("widest", 76, 20),
        number::<Date32Type>("day", "date", DataType::Date32, DAYS),
        number::<Time64MicrosecondType>(
            "clock",
            "time without time zone",
            DataType::Time64(TimeUnit::Microsecond),
            0..DAY_MICROS,
        ),
        number::<TimestampMicrosecondType>(
            "moment",
            "timestamp without time zone",
            micros(None),
            FIRST_MOMENT..=i64::MAX,
        ),
        number::<TimestampMicrosecondType>(
            "zoned_moment",
            "timestamp with time zone",
            micros(Some("UTC")),
            FIRST_MOMENT..=i64::MAX,
        ),
        number::<IntervalMonthDayNanoType>(
            "span",
            "interval",
            DataType::Interval(IntervalUnit::MonthDayNano),
            interval(),
        ),
        text("words", "text", words()),
        text("few_words", "character varying(12)", words()),
        text("exact", "numeric", digits()),
        text(
            "feeling",
            "mood",
            prop::sample::select(vec!["sad", "so so", "glad"]).prop_map_into(),
        ),
        text("document", "json", json()),
        text("address", "inet", address()),
        text("numbers", "int4range", range()),
        text("bits", "bit varying", "[01]{0,20}"),
        kind("bytes", "bytea", DataType::Binary, |count| {
            optional::<Vec<u8>>(vec(any::<u8>(), 0..20), count)
                .prop_map(|values| Arc::new(BinaryArray::from_iter(values)) as ArrayRef)
                .boxed()
        }),
        kind("key", "uuid", DataType::FixedSizeBinary(16), |count| {
            optional::<[u8; 16]>(any::<[u8; 16]>(), count)
                .prop_map(|values| {
                    let values = values.into_iter();
                    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16);
                    Arc::new(array.expect("sixteen bytes each")) as ArrayRef
                })
                .boxed()
        }),
    ]
}

fn kind(
    name: &str,
    type_name: &str,
    data_type: DataType,
    values: impl Fn(usize) -> BoxedStrategy<ArrayRef> + 'static,
) -> Kind {
    let metadata = [("dagflux:type".to_owned(), type_name.to_owned())];
    Kind {
        field: Field::new(name, data_type, true).with_metadata(metadata),
        values: Arc::new(values),
    }
}

fn optional<T: std::fmt::Debug>(
    values: impl Strategy<Value = T>,
    count: usize,
) -> impl Strategy<Value = Vec<Option<T>>> {
    vec(option::weighted(PRESENT, values), count)
}

fn number<T: ArrowPrimitiveType>(
    name: &str,
    type_name: &str,
    data_type: DataType,
    values: impl Strategy<Value = T::Native> + Clone + 'static,
) -> Kind {
    let arrow = data_type.clone();
    kind(name, type_name, data_type, move |count| {
        let arrow = arrow.clone();
        optional::<T::Native>(values.clone(), count)
            .prop_map(move |values| {
                let array = PrimitiveArray::<T>::from_iter(values);
                Arc::new(array.with_data_type(arrow.clone())) as ArrayRef
            })
            .boxed()
    })
}

fn decimal128(name: &str, precision: u8, scale: i8) -> Kind {
    let most = 10_i128.pow(precision.into()) - 1;
    let values = prop_oneof![-most..=most, -1000_i128..=1000, Just(most), Just(-most)];
    number::<Decimal128Type>(
        name,
        &format!("numeric({precision},{scale})"),
        DataType::Decimal128(precision, scale),
        values.boxed(),
    )
}

fn decimal256(name: &str, precision: u8, scale: i8) -> Kind {
    // So many digits of two halves.
    let half = 10_i128.pow(38);
    let values = (-half + 1..half, 0..half).prop_map(move |(high, low)| {
        let above = i256::from_i128(10).wrapping_pow(u32::from(precision) - 38);
        let high = i256::from_i128(high).wrapping_rem(above);
        let size = high
            .wrapping_abs()
            .wrapping_mul(i256::from_i128(half))
            .wrapping_add(i256::from_i128(low));
        if high < i256::ZERO {
            size.wrapping_neg()
        } else {
            size
        }
    });
    number::<Decimal256Type>(
        name,
        &format!("numeric({precision},{scale})"),
        DataType::Decimal256(precision, scale),
        values.boxed(),
    )
}

fn single() -> BoxedStrategy<f32> {
    prop_oneof![
        prop::num::f32::ANY.prop_filter("one NaN is enough", |value| !value.is_nan()),
        prop::sample::select(vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
    ]
    .boxed()
}

fn double() -> BoxedStrategy<f64> {
    prop_oneof![
        prop::num::f64::ANY.prop_filter("one NaN is enough", |value| !value.is_nan()),
        prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
    .boxed()
}

/// PostgreSQL's intervals have microseconds.
fn interval() -> BoxedStrategy<IntervalMonthDayNano> {
    let months = -178_000_000 * 12..=178_000_000 * 12;
    let micros = i64::MIN / 1000..=i64::MAX / 1000;
    (months, any::<i32>(), micros)
        .prop_map(|(months, days, micros)| IntervalMonthDayNano::new(months, days, micros * 1000))
        .boxed()
}

/// Text of any characters but the one that PostgreSQL does not have.
fn words() -> BoxedStrategy<String> {
    let odd = vec![
        "",
        " ",
        "NULL",
        "\\N",
        "\\.",
        "\"",
        "{}",
        "a,b",
        "\t\n\r\\",
        "日本 🧀",
    ];
    let any = vec(any::<char>(), 0..12).prop_map(|text| text.into_iter().collect::<String>());
    prop_oneof![
        3 => any.prop_map(|text| text.replace('\0', "")),
        1 => prop::sample::select(odd).prop_map_into(),
    ]
    .boxed()
}

fn digits() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "-?[1-9][0-9]{0,150}(\\.[0-9]{1,150})?",
        1 => prop::sample::select(vec!["0", "0.00", "NaN", "Infinity", "-Infinity"]).prop_map_into(),
    ]
    .boxed()
}

fn json() -> BoxedStrategy<String> {
    (words(), any::<i64>())
        .prop_map(|(text, number)| serde_json::json!({"a": [text, number], "b": null}).to_string())
        .boxed()
}

fn address() -> BoxedStrategy<String> {
    let short = (any::<[u8; 4]>(), 0..32_u8)
        .prop_map(|([a, b, c, d], bits)| format!("{a}.{b}.{c}.{d}/{bits}"));
    prop_oneof![
        short,
        Just("::1".to_owned()),
        Just("2001:db8::/32".to_owned())
    ]
    .boxed()
}

/// In the form in which the server writes them.
fn range() -> BoxedStrategy<String> {
    let bounds = (any::<i16>(), 1..1000_i32);
    prop_oneof![
        bounds.prop_map(|(from, length)| format!("[{from},{})", i32::from(from) + length)),
        Just("empty".to_owned()),
        Just("(,)".to_owned()),
    ]
    .boxed()
}

fn text(
    name: &str,
    type_name: &str,
    values: impl Strategy<Value = String> + Clone + 'static,
) -> Kind {
    kind(name, type_name, DataType::Utf8, move |count| {
        optional::<String>(values.clone(), count)
            .prop_map(|values| Arc::new(StringArray::from(values)) as ArrayRef)
            .boxed()
    })
}

/// Of the elements' kind, as the server names its arrays.
fn list_kind(
    element: &Kind,
    brackets: &str,
    values: impl Fn(usize) -> BoxedStrategy<ArrayRef> + 'static,
) -> Kind {
    let metadata = element.field.metadata();
    let type_name = metadata.get("dagflux:type").map_or("", String::as_str);
    let item = Arc::new(element.field.clone().with_name("item"));
    let arrow = match brackets {
        "[]" => DataType::List(item),
        _ => {
            let metadata = [("dagflux:type".to_owned(), format!("{type_name}[]"))];
            let inner = Field::new("item", DataType::List(item), true);
            DataType::List(Arc::new(inner.with_metadata(metadata)))
        }
    };
    kind("list", &format!("{type_name}{brackets}"), arrow, values)
}

fn list(element: Kind) -> Kind {
    let inner = element.clone();
    list_kind(&element, "[]", move |count| {
        let element = inner.clone();
        optional::<usize>(0..4_usize, count)
            .prop_flat_map(move |lengths| {
                let total = lengths.iter().flatten().sum();
                let item = Arc::new(element.field.clone().with_name("item"));
                element.values(total).prop_map(move |values| {
                    Arc::new(lists(item.clone(), &lengths, values)) as ArrayRef
                })
            })
            .boxed()
    })
}

/// Lists of lists of one length each, as PostgreSQL has them; or an empty one.
fn grid(element: Kind) -> Kind {
    let inner = element.clone();
    list_kind(&element, "[][]", move |count| {
        let element = inner.clone();
        let shape = prop_oneof![3 => (1..3_usize, 1..3_usize), 1 => Just((0, 0))];
        optional::<(usize, usize)>(shape, count)
            .prop_flat_map(move |shapes| {
                let total = shapes
                    .iter()
                    .flatten()
                    .map(|(rows, width)| rows * width)
                    .sum();
                let item = Arc::new(element.field.clone().with_name("item"));
                let type_name = element.field.metadata().get("dagflux:type");
                let type_name = format!("{}[]", type_name.map_or("", String::as_str));
                element.values(total).prop_map(move |values| {
                    let widths: Vec<_> = shapes
                        .iter()
                        .flatten()
                        .flat_map(|(rows, width)| vec![Some(*width); *rows])
                        .collect();
                    let heights: Vec<_> = shapes
                        .iter()
                        .map(|shape| shape.map(|(rows, _)| rows))
                        .collect();
                    let inner = lists(item.clone(), &widths, values);
                    let metadata = [("dagflux:type".to_owned(), type_name.clone())];
                    let field =
                        Field::new("item", inner.data_type().clone(), true).with_metadata(metadata);
                    Arc::new(lists(Arc::new(field), &heights, Arc::new(inner))) as ArrayRef
                })
            })
            .boxed()
    })
}

fn lists(item: Arc<Field>, lengths: &[Option<usize>], values: ArrayRef) -> ListArray {
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
    let present: NullBuffer = lengths
        .iter()
        .map(Option::is_some)
        .collect::<Vec<_>>()
        .into();
    ListArray::new(item, offsets, values, Some(present))
}

/// A composite of these attributes.
fn composite(type_name: &str, attributes: Vec<Kind>) -> Kind {
    let fields: Fields = attributes.iter().map(|kind| kind.field.clone()).collect();
    let arrow = DataType::Struct(fields.clone());
    kind("composite", type_name, arrow, move |count| {
        let fields = fields.clone();
        let columns: Vec<_> = attributes.iter().map(|kind| kind.values(count)).collect();
        let present = vec(prop::bool::weighted(PRESENT), count);
        (columns, present)
            .prop_map(move |(columns, present)| {
                let nulls = Some(NullBuffer::from(present));
                Arc::new(StructArray::new(fields.clone(), columns, nulls)) as ArrayRef
            })
            .boxed()
    })
}

fn pair() -> Kind {
    let whole = number::<Int32Type>("a", "integer", DataType::Int32, any::<i32>());
    composite("pair", vec![whole, text("b", "text", words())])
}

fn entry() -> Kind {
    composite(
        "entry",
        vec![
            number::<Int64Type>("id", "bigint", DataType::Int64, any::<i64>()),
            decimal128("price", 12, 2),
            number::<Date32Type>("due", "date", DataType::Date32, DAYS),
            list(text("tags", "text", words())).named("tags"),
            pair().named("pair"),
            list(pair()).named("pairs"),
        ],
    )
}

/// Keys of one value come once, in the order in which the server keeps them: by length.
fn hstore() -> Kind {
    let entries: Fields = vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]
    .into();
    let field = Arc::new(Field::new(
        "entries",
        DataType::Struct(entries.clone()),
        false,
    ));
    let arrow = DataType::Map(field.clone(), false);
    kind("hstore", "hstore", arrow, move |count| {
        let (field, entries) = (field.clone(), entries.clone());
        let pairs = prop::collection::btree_map(words(), option::of(words()), 0..4);
        optional::<BTreeMap<String, Option<String>>>(pairs, count)
            .prop_map(move |maps| {
                let lengths = maps.iter().map(|map| map.as_ref().map_or(0, BTreeMap::len));
                let offsets = OffsetBuffer::from_lengths(lengths);
                let present: Vec<bool> = maps.iter().map(Option::is_some).collect();
                let mut pairs = Vec::new();
                for map in maps.into_iter().flatten() {
                    let mut map: Vec<_> = map.into_iter().collect();
                    map.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
                    pairs.extend(map);
                }
                let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(StringArray::from(keys)),
                    Arc::new(StringArray::from(values)),
                ];
                let pairs = StructArray::new(entries.clone(), columns, None);
                let nulls = Some(NullBuffer::from(present));
                Arc::new(MapArray::new(field.clone(), offsets, pairs, nulls, false)) as ArrayRef
            })
            .boxed()
    })
}
