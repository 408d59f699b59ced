//! Types for formats that have none: the table's own where it exists, and
//! otherwise what the first rows look like.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::extension::Uuid;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{Opened, text};

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
    /// For each column, whether its text may be taken for a number. JSON says
    /// which values are text; CSV does not.
    pub numbers: Vec<bool>,
    /// The values.
    pub columns: Vec<StringArray>,
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

/// Gives text its types: those of `table`, or inferred ones.
///
/// # Errors
/// When the first rows are malformed.
pub fn typed(
    mut rows: impl TextRows + 'static,
    table: Option<&SchemaRef>,
) -> anyhow::Result<Opened> {
    let first = rows.next()?;
    let fields: Vec<Field> = match &first {
        Some(batch) => (batch.names.iter().zip(&batch.columns).zip(&batch.numbers))
            .map(|((name, column), numbers)| match table {
                Some(table) => of_table(table, name),
                None => infer(name, column, *numbers),
            })
            .collect(),
        None => rows
            .names()
            .iter()
            .map(|name| match table {
                Some(table) => of_table(table, name),
                None => Field::new(name, DataType::Utf8, true),
            })
            .collect(),
    };
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let kept = schema.clone();
    let mut pending = first;
    let batches = std::iter::from_fn(move || {
        let next = match pending.take() {
            Some(batch) => Ok(Some(batch)),
            None => rows.next(),
        };
        next.and_then(|batch| batch.map(|batch| convert(&kept, &batch)).transpose())
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

/// The table's column of that name. One that the table lacks goes as text; the
/// insert then names all such columns at once.
fn of_table(table: &SchemaRef, name: &str) -> Field {
    match table.field_with_name(name) {
        Ok(field) => field.clone().with_nullable(true),
        Err(_) => Field::new(name, DataType::Utf8, true),
    }
}

fn convert(schema: &SchemaRef, batch: &TextBatch) -> anyhow::Result<RecordBatch> {
    let columns = (schema.fields().iter().zip(&batch.columns))
        .map(|(field, column)| text::from_text(field, column, batch.first_row))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &rows,
    )?)
}

/// A column of the type that every value of a sample has.
fn infer(name: &str, sample: &StringArray, numbers: bool) -> Field {
    if sample.null_count() < sample.len() && sample.iter().flatten().all(is_uuid) {
        let uuid = Field::new(name, DataType::FixedSizeBinary(16), true);
        return uuid.with_extension_type(Uuid);
    }
    Field::new(name, kind(sample, numbers), true)
}

/// The type that every value of a sample has.
fn kind(sample: &StringArray, numbers: bool) -> DataType {
    let values = || sample.iter().flatten();
    if values().next().is_none() {
        return DataType::Utf8;
    }
    let all = |test: fn(&str) -> bool| values().all(test);
    let fits = |kind: &DataType| text::fits(sample, kind);
    if numbers {
        if all(|value| value == "true" || value == "false") {
            return DataType::Boolean;
        }
        if all(is_integer) && fits(&DataType::Int64) {
            return DataType::Int64;
        }
        if all(is_decimal) {
            // Exact, with as many decimals as the sample has.
            let scale = values()
                .map(|value| value.split_once('.').map_or(0, |(_, part)| part.len()))
                .max();
            let scale = i8::try_from(scale.unwrap_or(0)).unwrap_or(i8::MAX);
            if scale <= 38 && fits(&DataType::Decimal128(38, scale)) {
                return DataType::Decimal128(38, scale);
            }
        }
        if all(is_float) {
            return DataType::Float64;
        }
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
                *infer("c", &StringArray::from(values.to_vec()), true).data_type(),
                expected,
                "{values:?}"
            );
        }
        assert_eq!(kind(&StringArray::from(vec!["1"]), false), DataType::Utf8);
        assert_eq!(
            kind(&StringArray::from(vec![None::<&str>]), true),
            DataType::Utf8
        );
    }
}
