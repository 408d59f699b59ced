//! Types for formats that have none: the table's own where it exists, and
//! otherwise what the first rows look like.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::extension::{Json, Uuid};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{Opened, Types, chosen, json, text};
use crate::failure::Failure;

/// The most rows of a batch. Also the sample that types are inferred from.
pub const BATCH_ROWS: usize = 16 * 1024;

/// About how many bytes of text a batch has at most.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// The significant digits that a double always tells apart, and two more that
/// its shortest form may have.
const FLOAT_DIGITS: usize = 17;

/// Rows as text.
pub struct TextBatch {
    /// The number of the first row in the file, counted from 1.
    pub first_row: u64,
    /// How many rows.
    pub rows: usize,
    /// The names of the columns.
    pub names: Vec<String>,
    /// What the format says of each column.
    pub natures: Vec<Nature>,
    /// The values.
    pub columns: Vec<StringArray>,
}

/// What a format says of a column's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// It may be anything. CSV says no more than that.
    Any,
    /// The values are texts, in quotes: digits may be a code as well as a number.
    Texts,
    /// The values are JSON objects or lists.
    Documents,
}

/// A source of rows as text.
pub trait TextRows: Send {
    /// The next rows; none at the end. Every batch has the same columns.
    ///
    /// # Errors
    /// When the file is malformed; the message names the line.
    fn next(&mut self) -> anyhow::Result<Option<TextBatch>>;

    /// The columns, once the first batch was read.
    fn names(&self) -> &[String];
}

/// Gives text its types, and keeps the `columns` that are wanted.
///
/// # Errors
/// When the first rows are malformed, or a column that is wanted is not there.
pub fn typed(
    mut rows: impl TextRows + 'static,
    types: &Types,
    columns: Option<&[String]>,
) -> anyhow::Result<Opened> {
    let mut first = rows.next()?;
    let chosen = chosen(columns, rows.names().iter())?;
    if let Some(batch) = &mut first {
        batch.keep(&chosen);
    }
    let plans: Vec<Plan> = match &first {
        Some(batch) => (batch.names.iter().zip(&batch.columns).zip(&batch.natures))
            .map(|((name, column), nature)| Plan::of(types, name, column, *nature))
            .collect(),
        None => (chosen.iter().filter_map(|at| rows.names().get(*at)))
            .map(|name| Plan::of(types, name, &StringArray::new_null(0), Nature::Any))
            .collect(),
    };
    let fields: Vec<Field> = plans.iter().map(|plan| plan.field.clone()).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let kept = schema.clone();
    let mut pending = first;
    let batches = std::iter::from_fn(move || {
        let next = match pending.take() {
            Some(batch) => Ok(Some(batch)),
            None => rows.next().map(|batch| {
                batch.map(|mut batch| {
                    batch.keep(&chosen);
                    batch
                })
            }),
        };
        next.and_then(|batch| {
            let converted = batch.map(|batch| convert(&kept, &plans, &batch));
            converted.transpose()
        })
        .transpose()
    });
    // After a fault nothing more is read.
    let mut failed = false;
    let batches = batches.take_while(move |batch| {
        let before = failed;
        failed |= batch.is_err();
        !before
    });
    Ok(Opened {
        schema,
        rows: None,
        batches: Box::new(batches),
    })
}

impl TextBatch {
    /// Keeps the columns at these places.
    fn keep(&mut self, chosen: &[usize]) {
        if chosen.len() == self.columns.len() {
            return;
        }
        fn kept<T: Clone>(all: &[T], chosen: &[usize]) -> Vec<T> {
            (chosen.iter())
                .filter_map(|at| all.get(*at).cloned())
                .collect()
        }
        self.names = kept(&self.names, chosen);
        self.natures = kept(&self.natures, chosen);
        self.columns = kept(&self.columns, chosen);
    }
}

/// How a column is carried.
struct Plan {
    field: Field,
    /// It goes as text, which has to be of this type but for the words for what such a type
    /// cannot hold: `NaN` in a column of decimals.
    but_for_words: Option<Field>,
}

impl Plan {
    fn of(types: &Types, name: &str, sample: &StringArray, nature: Nature) -> Self {
        let as_text = || Field::new(name, DataType::Utf8, true);
        match types {
            Types::Table(table) => match table.field_with_name(name) {
                Ok(field) => Self::of_table(field.clone().with_nullable(true), sample),
                // One that the table lacks goes as text; the write then names all
                // such columns at once.
                Err(_) => Self::plain(as_text()),
            },
            Types::Inferred(given) => match given.iter().find(|field| field.name() == name) {
                Some(field) if json::is_nested_json(field.data_type(), sample) => {
                    Self::plain(deepened(field, sample))
                }
                Some(_) => Self::plain(as_text()),
                None => Self::plain(infer(name, sample, nature)),
            },
        }
    }

    fn plain(field: Field) -> Self {
        Self {
            field,
            but_for_words: None,
        }
    }

    /// The table's type where the text is of it. Otherwise the text goes as it is, for the
    /// server to read: it knows more than Arrow, such as infinite dates and its own notation
    /// of arrays.
    fn of_table(field: Field, sample: &StringArray) -> Self {
        let as_text = Field::new(field.name(), DataType::Utf8, true);
        let kind = field.data_type();
        let fits = |sample: &StringArray| text::from_text(&field, sample, 1).is_ok();
        if kind.is_nested() {
            let json = json::is_nested_json(kind, sample);
            return Self::plain(if json {
                deepened(&field, sample)
            } else {
                as_text
            });
        }
        if kind.is_temporal() && !fits(sample) {
            return Self::plain(as_text);
        }
        // Servers round what has too many decimals, so these are still looked at.
        if kind.is_decimal() && !fits(sample) && fits(&without_words(sample)) {
            return Self {
                field: as_text,
                but_for_words: Some(field),
            };
        }
        Self::plain(field)
    }
}

/// The field, as a list of as many levels as the sample has: columns of arrays take values of
/// more dimensions than they were declared with.
fn deepened(field: &Field, sample: &StringArray) -> Field {
    let mut levels = 0;
    let mut kind = field.data_type();
    while let DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) =
        kind
    {
        levels += 1;
        kind = item.data_type();
    }
    let list = matches!(field.data_type(), DataType::List(_));
    let deepest = sample.iter().flatten().map(json::list_depth).max();
    let more = deepest.unwrap_or_default().saturating_sub(levels);
    let kind = (0..more)
        .filter(|_| list)
        .fold(field.data_type().clone(), |kind, _| {
            DataType::new_list(kind, true)
        });
    field.clone().with_data_type(kind).with_nullable(true)
}

/// The numbers among a column's text.
fn without_words(column: &StringArray) -> StringArray {
    let word = |value: &str| {
        let value = value.trim().trim_start_matches(['-', '+']);
        ["nan", "inf", "infinity"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
    };
    (column.iter())
        .map(|value| value.filter(|value| !word(value)))
        .collect()
}

fn convert(schema: &SchemaRef, plans: &[Plan], batch: &TextBatch) -> anyhow::Result<RecordBatch> {
    let columns = (plans.iter().zip(&batch.columns))
        .map(|(plan, column)| {
            if let Some(field) = &plan.but_for_words {
                text::from_text(field, &without_words(column), batch.first_row)?;
            }
            text::from_text(&plan.field, column, batch.first_row)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &rows,
    )?)
}

/// A column of the type that every value of a sample has.
fn infer(name: &str, sample: &StringArray, nature: Nature) -> Field {
    if nature == Nature::Documents {
        return Field::new(name, DataType::Utf8, true).with_extension_type(Json::default());
    }
    if sample.null_count() < sample.len() && sample.iter().flatten().all(is_uuid) {
        let uuid = Field::new(name, DataType::FixedSizeBinary(16), true);
        return uuid.with_extension_type(Uuid);
    }
    Field::new(name, kind(sample, nature), true)
}

/// The type that every value of a sample has.
fn kind(sample: &StringArray, nature: Nature) -> DataType {
    let values = || sample.iter().flatten();
    if values().next().is_none() {
        return DataType::Utf8;
    }
    let all = |test: fn(&str) -> bool| values().all(test);
    let fits = |kind: &DataType| text::fits(sample, kind);
    if nature == Nature::Any {
        if all(|value| value == "true" || value == "false") {
            return DataType::Boolean;
        }
        if all(is_integer) && fits(&DataType::Int64) {
            return DataType::Int64;
        }
        if let Some(decimal) = decimal(sample, false) {
            return decimal;
        }
        if all(is_float) {
            return DataType::Float64;
        }
    }
    if nature == Nature::Texts
        && let Some(decimal) = decimal(sample, true)
    {
        return decimal;
    }
    if all(is_bytes) {
        return DataType::Binary;
    }
    let time = DataType::Time64(TimeUnit::Microsecond);
    if all(|value| value.as_bytes().get(2) == Some(&b':') && value.len() >= 8) && fits(&time) {
        return time;
    }
    if all(|value| value.len() == 10 && is_date(value)) && fits(&DataType::Date32) {
        return DataType::Date32;
    }
    if all(|value| is_date(value) && value.get(10..).is_some_and(|rest| rest.contains(':'))) {
        let zoned = |value: &str| {
            value.ends_with('Z')
                || value
                    .get(11..)
                    .is_some_and(|time| time.contains(['+', '-']))
        };
        let zone = match (values().all(zoned), values().any(zoned)) {
            (true, _) => Some("UTC".into()),
            (false, false) => None,
            // Some with and some without a zone: these are not one type.
            (false, true) => return DataType::Utf8,
        };
        let kind = DataType::Timestamp(TimeUnit::Microsecond, zone);
        if fits(&kind) {
            return kind;
        }
    }
    DataType::Utf8
}

/// The type of decimals, exact, with as many decimals as the sample has. Texts are decimals
/// if all have the same number of them, above none, as exports write them: other texts of
/// digits may be codes, or versions.
fn decimal(sample: &StringArray, texts: bool) -> Option<DataType> {
    let decimals = |value: &str| value.split_once('.').map_or(0, |(_, part)| part.len());
    let values = || sample.iter().flatten();
    let most = values().map(decimals).max()?;
    if texts && (most == 0 || values().any(|value| decimals(value) != most)) {
        return None;
    }
    let scale = i8::try_from(most).ok().filter(|scale| *scale <= 38)?;
    let kind = DataType::Decimal128(38, scale);
    (values().all(is_decimal) && text::fits(sample, &kind)).then_some(kind)
}

/// Digits as a person writes a number: no leading zeros, as codes have them.
fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

fn is_decimal(value: &str) -> bool {
    match value.split_once('.') {
        Some((whole, fraction)) => {
            is_integer(whole)
                && !fraction.is_empty()
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => is_integer(value),
    }
}

/// A number that a double keeps, as far as its digits tell.
fn is_float(value: &str) -> bool {
    let mantissa = value
        .split_once(['e', 'E'])
        .map_or(value, |(mantissa, _)| mantissa);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    is_special_float(value)
        || (is_decimal(mantissa) && digits <= FLOAT_DIGITS && value.parse::<f64>().is_ok())
}

/// A float that has no digits.
pub fn is_special_float(value: &str) -> bool {
    matches!(value, "NaN" | "Infinity" | "-Infinity")
}

/// Bytes as [`text`] writes them.
fn is_bytes(value: &str) -> bool {
    let digits = value.strip_prefix("\\x").unwrap_or("?");
    digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(value: &str) -> bool {
    let in_place = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    value.len() == 36 && value.bytes().enumerate().all(in_place)
}

fn is_date(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() >= 10
        && bytes
            .iter()
            .take(10)
            .enumerate()
            .all(|(at, byte)| match at {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inferred_types() {
        let micros =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (values, expected) in [
            (&["1", "-20"][..], DataType::Int64),
            (&["007", "1"], DataType::Utf8),
            (&["1.5", "20", "0.125"], DataType::Decimal128(38, 3)),
            (&["9223372036854775808"], DataType::Decimal128(38, 0)),
            (&["1e3", "2.5"], DataType::Float64),
            (&["NaN", "1"], DataType::Float64),
            (&["true", "false"], DataType::Boolean),
            (&["t", "f"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2024-02-30"], DataType::Utf8),
            (
                &["2024-02-29 12:00:00", "2024-02-29T12:00:00.5"],
                micros(None),
            ),
            (
                &["2024-02-29T12:00:00Z", "2024-02-29 12:00:00+02:00"],
                micros(Some("UTC")),
            ),
            (
                &["2024-02-29T12:00:00Z", "2024-02-29 12:00:00"],
                DataType::Utf8,
            ),
            (&["x", ""], DataType::Utf8),
            (&["\\x00ff", "\\x"], DataType::Binary),
            (&["\\x00f"], DataType::Utf8),
            (
                &["12:30:00", "23:59:59.999999"],
                DataType::Time64(TimeUnit::Microsecond),
            ),
            (&["12:30:00", "24:00:00"], DataType::Utf8),
            (&["0.1234567890123456789", "NaN"], DataType::Utf8),
            (
                &["00010203-0405-0607-0809-0a0b0c0d0e0f"],
                DataType::FixedSizeBinary(16),
            ),
        ] {
            assert_eq!(
                *infer("c", &StringArray::from(values.to_vec()), Nature::Any).data_type(),
                expected,
                "{values:?}"
            );
        }
        for (values, expected) in [
            (&["1", "20"][..], DataType::Utf8),
            (&["1.50", "-20.00"], DataType::Decimal128(38, 2)),
            (&["1.5", "20.25"], DataType::Utf8),
            (&["1.2.3"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
        ] {
            let sample = StringArray::from(values.to_vec());
            assert_eq!(kind(&sample, Nature::Texts), expected, "{values:?}");
        }
        assert_eq!(
            kind(&StringArray::from(vec![None::<&str>]), Nature::Any),
            DataType::Utf8
        );
        let document = infer("c", &StringArray::from(vec!["{}"]), Nature::Documents);
        assert_eq!(document.extension_type_name(), Some("arrow.json"));
    }

    /// What a table's column cannot hold in Arrow goes to the server as text.
    #[test]
    fn text_that_only_the_server_reads() {
        let list = DataType::new_list(DataType::Int32, true);
        for (kind, values, typed) in [
            (DataType::Decimal128(10, 2), &["1.50", "20"][..], true),
            (DataType::Decimal128(10, 2), &["1.50", "NaN"], false),
            (DataType::Decimal128(10, 2), &["1.505"], true),
            (DataType::Decimal128(10, 2), &["1.505", "NaN"], true),
            (DataType::Date32, &["2024-02-29", "infinity"], false),
            (DataType::Date32, &["0044-03-15 BC"], false),
            (DataType::Int32, &["many"], true),
            (list.clone(), &["[1,null]"], true),
            (list.clone(), &["{1,NULL}"], false),
        ] {
            let field = Field::new("c", kind.clone(), true);
            let sample = StringArray::from(values.to_vec());
            let plan = Plan::of_table(field, &sample);
            assert_eq!(*plan.field.data_type() == kind, typed, "{kind} {values:?}");
            let words = kind.is_decimal() && !typed;
            assert_eq!(plan.but_for_words.is_some(), words, "{kind} {values:?}");
        }
        let sample = StringArray::from(vec![Some("[]"), None, Some("[[1],[2]]")]);
        let plan = Plan::of_table(Field::new("c", list.clone(), true), &sample);
        assert_eq!(*plan.field.data_type(), DataType::new_list(list, true));
    }
}
