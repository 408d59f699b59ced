//! Types for formats that have none: the table's own where it exists, and
//! otherwise what the first rows look like.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::shape::Shape;
use super::text::Limit;
use super::{Opened, Types, chosen, json, text};
use crate::args::quoted;
use crate::failure::Failure;

/// The most rows of a batch. Also the sample that types are inferred from.
pub const BATCH_ROWS: usize = 16 * 1024;

/// About how many bytes of text a batch has at most.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// The most levels of lists within lists that any server has arrays of.
const MOST_LEVELS: usize = 6;

/// Rows as text.
pub struct TextBatch {
    /// The number of the first row in the file, counted from 1.
    pub first_row: u64,
    /// How many rows.
    pub rows: usize,
    /// The names of the columns.
    pub names: Vec<String>,
    /// The values.
    pub columns: Vec<TextColumn>,
}

/// A column as text.
#[derive(Clone, Debug)]
pub struct TextColumn {
    /// The values.
    pub text: StringArray,
    /// What the format says of them all.
    pub nature: Nature,
    /// Where the first is that the format calls a text, but for the words for floats.
    pub first_text: Option<usize>,
    /// Where the first is that the format calls neither an object nor a list.
    pub first_plain: Option<usize>,
}

impl TextColumn {
    /// Values of which the format says nothing.
    pub fn bare(text: StringArray) -> Self {
        Self {
            text,
            nature: Nature::Any,
            first_text: None,
            first_plain: None,
        }
    }
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
        Some(batch) => (batch.names.iter().zip(&batch.columns))
            .map(|(name, column)| Plan::of(types, name, column))
            .collect(),
        None => (chosen.iter().filter_map(|at| rows.names().get(*at)))
            .map(|name| Plan::of(types, name, &TextColumn::bare(StringArray::new_null(0))))
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
        self.columns = kept(&self.columns, chosen);
    }
}

/// How a column is carried.
struct Plan {
    field: Field,
    check: Check,
}

/// What every batch of a column is looked at for.
#[derive(Debug, PartialEq, Eq)]
enum Check {
    /// Nothing: what does not fit cannot become a value.
    Nothing,
    /// The server reads it, and would round what is more exact than this.
    Limit(Option<Limit>),
    /// As for other columns; and its years are written as servers write them.
    Years(Option<Limit>),
    /// It is to look as the first rows do, which is all that its type is known from.
    Shape(Shape),
}

impl Plan {
    fn of(types: &Types, name: &str, sample: &TextColumn) -> Self {
        let known = match types {
            Types::Table(table) => table.field_with_name(name).ok(),
            Types::Inferred(given) => match given.iter().find(|field| field.name() == name) {
                Some(field) => Some(field),
                None => return Self::inferred(name, sample),
            },
        };
        match known {
            Some(field) => Self::known(field, &sample.text),
            // One that the table lacks goes as text; the write then names all
            // such columns at once.
            None => Self {
                field: Field::new(name, DataType::Utf8, true),
                check: Check::Nothing,
            },
        }
    }

    fn inferred(name: &str, sample: &TextColumn) -> Self {
        let shape = Shape::of(sample);
        Self {
            field: shape.field(name),
            check: Check::Shape(shape),
        }
    }

    /// A column of which the server's type is known. The server reads its text: it knows more
    /// than Arrow, such as infinite dates and its own notation of arrays, and what a text means
    /// is for it to say. Only what is made of others is made here, from JSON.
    fn known(field: &Field, sample: &StringArray) -> Self {
        let kind = field.data_type();
        if json::is_nested_json(kind, sample)
            && let Some(field) = deepened(field, sample)
        {
            return Self {
                field,
                check: Check::Nothing,
            };
        }
        let limit = Limit::of(field);
        let years = matches!(kind, DataType::Date32 | DataType::Timestamp(..));
        Self {
            field: match kind {
                DataType::Utf8 => field.clone().with_nullable(true),
                _ => Field::new(field.name(), DataType::Utf8, true),
            },
            check: match years {
                true => Check::Years(limit),
                false => Check::Limit(limit),
            },
        }
    }

    /// The values, if they are what they are to be.
    fn convert(&self, column: &TextColumn, first_row: u64) -> Result<ArrayRef, Failure> {
        let name = self.field.name();
        let text = &column.text;
        let row = |at: usize| first_row + at as u64;
        match &self.check {
            Check::Nothing => text::from_text(&self.field, text, first_row),
            Check::Limit(limit) | Check::Years(limit) => {
                if let Some(limit) = limit {
                    text::kept(*limit, name, text, &row)?;
                }
                Ok(match self.check {
                    Check::Years(_) => Arc::new(text::with_eras(text)),
                    _ => Arc::new(text.clone()),
                })
            }
            Check::Shape(shape) => {
                let next = |failure: Failure| {
                    let argument = quoted(&format!("{name}=text"));
                    failure.hint(format!(
                        "give the column its type, such as --type {argument}, or correct the \
                         value; nothing was imported"
                    ))
                };
                if let Some(at) = shape.stranger(column) {
                    let why = format!("this is no {}, as those before it are", shape.word());
                    return Err(next(text::misfit(name, row(at), &why, text.value(at))));
                }
                text::from_text(&self.field, text, first_row).map_err(next)
            }
        }
    }
}

/// The field, as a list of as many levels as the sample has: columns of arrays take values of
/// more dimensions than they were declared with. None if no server has so many.
fn deepened(field: &Field, sample: &StringArray) -> Option<Field> {
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
    let deepest = deepest.unwrap_or_default();
    if deepest > MOST_LEVELS.max(levels) {
        return None;
    }
    let kind = (levels..deepest)
        .filter(|_| list)
        .fold(field.data_type().clone(), |kind, _| {
            DataType::new_list(kind, true)
        });
    Some(field.clone().with_data_type(kind).with_nullable(true))
}

fn convert(schema: &SchemaRef, plans: &[Plan], batch: &TextBatch) -> anyhow::Result<RecordBatch> {
    let columns = (plans.iter().zip(&batch.columns))
        .map(|(plan, column)| plan.convert(column, batch.first_row))
        .collect::<Result<Vec<_>, Failure>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &rows,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::csv::read::CsvRows;
    use arrow_array::Array;

    fn known(kind: &DataType, values: &[&str]) -> Plan {
        let sample = StringArray::from(values.to_vec());
        Plan::known(&Field::new("c", kind.clone(), true), &sample)
    }

    /// What a value means is for the server to say; what it would round is found here.
    #[test]
    fn text_that_the_server_reads() {
        let list = DataType::new_list(DataType::Int32, true);
        for (kind, values, made_here) in [
            (DataType::Decimal128(10, 2), &["1.50", "NaN"][..], false),
            (DataType::Date32, &["2024-02-29"], false),
            (DataType::Int32, &["1"], false),
            (DataType::Boolean, &["yes"], false),
            (list.clone(), &["[1,null]"], true),
            (list.clone(), &["{1,NULL}"], false),
            (list.clone(), &["[[[[[[1]]]]]]"], true),
            (list.clone(), &["[[[[[[[1]]]]]]]"], false),
        ] {
            let plan = known(&kind, values);
            assert_eq!(
                plan.field.data_type().is_nested(),
                made_here,
                "{kind} {values:?}"
            );
            assert!(made_here || *plan.field.data_type() == DataType::Utf8);
        }
        let sample = StringArray::from(vec![Some("[]"), None, Some("[[1],[2]]")]);
        let plan = Plan::known(&Field::new("c", list.clone(), true), &sample);
        assert_eq!(*plan.field.data_type(), DataType::new_list(list, true));
    }

    /// A megabyte of opening brackets is no reason to run out of stack.
    #[test]
    fn lists_without_end() {
        let value = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        let kind = DataType::new_list(DataType::Int32, true);
        let column = TextColumn::bare(StringArray::from(vec![value.as_str()]));
        let plan = known(&kind, &[&value]);
        assert_eq!(*plan.field.data_type(), DataType::Utf8);
        assert!(plan.convert(&column, 1).is_ok());
        // Beyond the first batch the type is no longer open.
        let failure = known(&kind, &["[1]"]).convert(&column, 9).unwrap_err();
        assert!(
            failure.message.starts_with("row 9, column \"c\": "),
            "{failure}"
        );
    }

    #[test]
    fn years_and_digits_of_a_table() {
        let micros = DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, None);
        let plan = known(&micros, &["2024-02-29 12:30:00"]);
        let column = |value: &str| TextColumn::bare(StringArray::from(vec![value]));
        let failure = plan.convert(&column("2024-02-29 12:30:00.123456789"), 20_000);
        assert_eq!(
            failure.unwrap_err().message,
            "row 20000, column \"c\": the column keeps 6 digits of a second: \
             \"2024-02-29 12:30:00.123456789\""
        );
        let written = plan.convert(&column("-0043-03-15T00:00:00"), 1).unwrap();
        let expected = StringArray::from(vec!["0044-03-15T00:00:00 BC"]);
        assert_eq!(written.as_ref(), &expected as &dyn Array);
    }

    fn opened(first: &str, last: &str, types: &Types) -> Vec<anyhow::Result<RecordBatch>> {
        let mut file = String::from("c,n\n");
        (0..BATCH_ROWS).for_each(|_| file.push_str(&format!("{first},1\n")));
        file.push_str(&format!("{last},1\n"));
        let rows = CsvRows::new(Box::new(std::io::Cursor::new(file))).unwrap();
        typed(rows, types, None).unwrap().batches.collect()
    }

    /// Whatever the first batch looks like, later rows keep their meaning, or are refused.
    #[test]
    fn values_beyond_the_first_batch() {
        for (first, last, why) in [
            (
                "12",
                "01234",
                "this is no whole number, as those before it are",
            ),
            (
                "12",
                " 7 ",
                "this is no whole number, as those before it are",
            ),
            (
                "true",
                "yes",
                "this is no true or false, as those before it are",
            ),
            (
                "2024-02-29",
                "2024-02-29 12:30:00",
                "this is no date (YYYY-MM-DD), as those before it are",
            ),
            (
                "2024-02-29",
                "20240229",
                "this is no date (YYYY-MM-DD), as those before it are",
            ),
            (
                "2024-02-29 12:30:00",
                "2024-02-29 12:30:00+02:00",
                "this is no timestamp (YYYY-MM-DD HH:MM:SS), as those before it are",
            ),
            ("1.25", "1.255", "the column keeps 2 decimals"),
            ("2024-02-28", "2024-02-30", "this is no date (YYYY-MM-DD)"),
        ] {
            let batches = opened(first, last, &Types::default());
            let error = batches[1].as_ref().unwrap_err();
            let failure = error.downcast_ref::<Failure>().unwrap();
            let expected = format!("row {}, column \"c\": {why}: \"{last}\"", BATCH_ROWS + 1);
            assert_eq!(failure.message, expected);
            let hint = failure.hint.as_deref().unwrap_or_default();
            assert!(hint.contains("--type c=text"), "{hint}");
        }
        // Words for what Arrow cannot hold may come at any place of a table's column.
        for (kind, first, last) in [
            (DataType::Date32, "2024-02-29", "infinity"),
            (DataType::Decimal128(10, 2), "1.50", "NaN"),
        ] {
            let table = Types::Table(Arc::new(Schema::new(vec![Field::new("c", kind, true)])));
            let batches = opened(first, last, &table);
            let expected = StringArray::from(vec![last]);
            let batch = batches[1].as_ref().unwrap();
            assert_eq!(batch.column(0).as_ref(), &expected as &dyn Array);
        }
    }
}
