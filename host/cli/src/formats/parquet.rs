//! Parquet, through the `parquet` crate.
//!
//! Parquet has no type for PostgreSQL's intervals (months, days and time
//! apart): they are written as text, marked so that an import of the same file
//! reads them as intervals again. Nor has it decimals rounded to tens or
//! hundreds (a negative scale): those are written with all their digits. Both
//! hold for what lists, records and maps are made of as well.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, IntervalUnit,
    Schema, SchemaRef,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::infer::{BATCH_BYTES, BATCH_ROWS};
use super::{Counted, Encoder, Opened, chosen, nested, text, unreadable};
use crate::failure::Failure;

/// How many encoded bytes a row group holds. A group is held in memory until
/// it is complete, so this bounds the memory of an export; readers fetch and
/// skip by row group, and larger ones gain them nothing.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Marks a text column that holds intervals.
const MARK: (&str, &str) = ("dagflux:text-of", "interval");

/// The type of the columns that are written as text.
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Writes a Parquet file.
pub struct ParquetEncoder {
    writer: ArrowWriter<Counted>,
    schema: SchemaRef,
}

impl ParquetEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// When Parquet has no type for a column.
    pub fn new(schema: &SchemaRef, out: Counted) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder()
            // Cheap enough not to slow a read down, and every reader has it.
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(concat!("dagflux ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let schema = with_fields(schema, marked);
        // The Arrow schema is written into the file, with the types of the
        // source in its metadata, so that an import restores them.
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
        Ok(ParquetEncoder { writer, schema })
    }
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let batch = converted(
            batch,
            &self.schema,
            &|to, from, column| match from.data_type() == &INTERVAL {
                true => Ok(Arc::new(text::to_text(from, column)?)),
                false => cast(to, column),
            },
        )?;
        Ok(self.writer.write(&batch)?)
    }

    fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<u64> {
        self.writer.finish()?;
        std::io::Write::flush(self.writer.inner_mut())?;
        Ok(self.writer.inner().bytes())
    }
}

/// Opens a Parquet file.
///
/// # Errors
/// When it is not one, or lacks a column that is wanted.
pub fn open(file: File, columns: Option<&[String]>) -> anyhow::Result<Opened> {
    let damaged = |error| unreadable("Parquet file", error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).ok();
    let names = builder.schema().fields().iter().map(|field| field.name());
    let chosen = chosen(columns, names)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), chosen);
    readable(builder.metadata())?;
    let batch_rows = batch_rows(builder.metadata(), &mask);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(batch_rows)
        .build()
        .map_err(damaged)?;
    let schema = with_fields(&reader.schema(), unmarked);
    let kept = schema.clone();
    let mut first_row: u64 = 1;
    let batches = reader.map(move |batch| {
        let batch = batch.map_err(|error| unreadable("Parquet file", error))?;
        let start = first_row;
        first_row += batch.num_rows() as u64;
        converted(&batch, &kept, &|to, _, column| {
            match column.as_string_opt::<i32>() {
                // Within lists the row is that of the item.
                Some(text) => text::from_text(to, text, start),
                None => cast(to, column),
            }
        })
    });
    Ok(Opened {
        schema,
        rows,
        batches: Box::new(batches),
    })
}

/// Checks that the file is compressed in a way that can be undone here.
fn readable(file: &ParquetMetaData) -> Result<(), Failure> {
    let chunks = file.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let mut codecs = chunks.map(|column| column.compression());
    match codecs.find(|codec| matches!(codec, Compression::BROTLI(_) | Compression::LZO)) {
        None => Ok(()),
        Some(codec) => {
            let name = codec.to_string();
            let name = name.split('(').next().unwrap_or_default();
            Err(Failure::file(format!(
                "the file is compressed with {name}, which is not read"
            ))
            .hint("write it again with Snappy, Zstandard, gzip, LZ4 or no compression"))
        }
    }
}

/// How many rows a batch has, so that it takes about [`BATCH_BYTES`] of the widest rows.
fn batch_rows(file: &ParquetMetaData, mask: &ProjectionMask) -> usize {
    let of_group = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().enumerate();
        let bytes: i64 = columns
            .filter(|(at, _)| mask.leaf_included(*at))
            .map(|(_, column)| {
                // What a dictionary holds once may be there in every row.
                let values = column.unencoded_byte_array_data_bytes().unwrap_or_default();
                column.uncompressed_size().max(values)
            })
            .fold(0, i64::saturating_add);
        let bytes = usize::try_from(bytes).unwrap_or_default();
        bytes.div_ceil(usize::try_from(group.num_rows()).unwrap_or_default().max(1))
    };
    let widest = file.row_groups().iter().map(of_group).max();
    (BATCH_BYTES / widest.unwrap_or_default().max(1)).clamp(1, BATCH_ROWS)
}

fn with_fields(schema: &SchemaRef, change: fn(&FieldRef) -> FieldRef) -> SchemaRef {
    let fields: Vec<FieldRef> = (schema.fields().iter())
        .map(|field| nested::field(field, change))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The field as it is written.
fn marked(field: &FieldRef) -> FieldRef {
    if let Some(digits) = all_digits(field.data_type()) {
        return Arc::new(field.as_ref().clone().with_data_type(digits));
    }
    if field.data_type() != &INTERVAL {
        return field.clone();
    }
    let mut metadata = field.metadata().clone();
    metadata.insert(MARK.0, MARK.1);
    let text = Field::new(field.name(), DataType::Utf8, field.is_nullable());
    Arc::new(text.with_metadata(metadata))
}

/// For a decimal of negative scale, the type that has the digits before the
/// point as well; text where no decimal has so many.
fn all_digits(kind: &DataType) -> Option<DataType> {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = kind
    else {
        return None;
    };
    let precision = match scale {
        ..0 => precision.saturating_add(scale.unsigned_abs()),
        _ => return None,
    };
    Some(if precision <= DECIMAL128_MAX_PRECISION {
        DataType::Decimal128(precision, 0)
    } else if precision <= DECIMAL256_MAX_PRECISION {
        DataType::Decimal256(precision, 0)
    } else {
        DataType::Utf8
    })
}

/// The column with another type that holds the same values.
fn cast(field: &Field, column: &ArrayRef) -> Result<ArrayRef, Failure> {
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, field.data_type(), &exact).map_err(|error| {
        Failure::data(format!(
            "the column \"{}\" cannot be written as {}: {error}",
            field.name(),
            field.data_type()
        ))
    })
}

/// The field as it was before it was written.
fn unmarked(field: &FieldRef) -> FieldRef {
    let interval = field
        .metadata()
        .get(MARK.0)
        .is_some_and(|mark| mark == MARK.1);
    if !interval || field.data_type() != &DataType::Utf8 {
        return field.clone();
    }
    let mut metadata = field.metadata().clone();
    metadata.remove(MARK.0);
    let original = Field::new(field.name(), INTERVAL, field.is_nullable());
    Arc::new(original.with_metadata(metadata))
}

/// The batch in another schema, with those values changed that have another type there.
fn converted(
    batch: &RecordBatch,
    schema: &SchemaRef,
    change: &dyn Fn(&Field, &Field, &ArrayRef) -> Result<ArrayRef, Failure>,
) -> anyhow::Result<RecordBatch> {
    let before = batch.schema();
    let columns = (schema
        .fields()
        .iter()
        .zip(before.fields())
        .zip(batch.columns()))
    .map(|((to, from), column)| nested::array(to, from, column, change))
    .collect::<Result<Vec<_>, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &rows,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Decimal128Array, Int32Array, IntervalMonthDayNanoArray, StringArray};
    use arrow_buffer::IntervalMonthDayNano;

    #[test]
    fn decimals_of_negative_scale_keep_their_values() {
        for (kind, written) in [
            (DataType::Decimal128(5, -2), DataType::Decimal128(7, 0)),
            (DataType::Decimal128(38, -1), DataType::Decimal256(39, 0)),
            (DataType::Decimal256(70, -10), DataType::Utf8),
        ] {
            assert_eq!(all_digits(&kind), Some(written));
        }
        assert_eq!(all_digits(&DataType::Decimal128(5, 2)), None);
        let hundreds = Decimal128Array::from(vec![Some(12_345), None, Some(-1)])
            .with_precision_and_scale(5, -2)
            .unwrap();
        let field = Field::new("n", DataType::Decimal128(7, 0), true);
        let all = cast(&field, &(Arc::new(hundreds) as ArrayRef)).unwrap();
        let all: Vec<_> = all
            .as_primitive::<arrow_array::types::Decimal128Type>()
            .iter()
            .collect();
        assert_eq!(all, [Some(1_234_500), None, Some(-100)]);
    }

    /// Writes the batch, and reads the file.
    #[track_caller]
    fn check(batch: &RecordBatch) {
        let path = tempfile::NamedTempFile::new().unwrap();
        let out = Box::new(path.reopen().unwrap());
        let counted = Counted { out, bytes: 0 };
        let mut encoder = Box::new(ParquetEncoder::new(&batch.schema(), counted).unwrap());
        encoder.write(batch).unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(bytes, path.as_file().metadata().unwrap().len());
        let opened = open(path.reopen().unwrap(), None).unwrap();
        assert_eq!(opened.rows, Some(batch.num_rows() as u64));
        assert_eq!(opened.schema.fields(), batch.schema().fields());
        let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
        assert_eq!(batches[0].columns(), batch.columns());
        let last = batch.schema().fields().len() - 1;
        let name = batch.schema().field(last).name().clone();
        let opened = open(path.reopen().unwrap(), Some(&[name])).unwrap();
        let one: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
        assert_eq!(one[0].columns(), &batch.columns()[last..]);
    }

    #[test]
    fn compressed_files() {
        let words = StringArray::from(vec![Some("word"); 1000]);
        let batch = RecordBatch::try_from_iter([("w", Arc::new(words) as ArrayRef)]).unwrap();
        for codec in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::ZSTD(Default::default()),
        ] {
            let path = tempfile::NamedTempFile::new().unwrap();
            let properties = WriterProperties::builder().set_compression(codec).build();
            let mut writer =
                ArrowWriter::try_new(path.reopen().unwrap(), batch.schema(), Some(properties))
                    .unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let opened = open(path.reopen().unwrap(), None).unwrap();
            let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
            assert_eq!(batches[0].columns(), batch.columns(), "{codec}");
        }
    }

    /// Nobody here writes such a file, so the metadata is made by hand.
    #[test]
    fn compression_that_is_not_read() {
        use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData};
        use parquet::schema::parser::parse_message_type;
        use parquet::schema::types::SchemaDescriptor;

        let schema = parse_message_type("message m { required int32 n; }").unwrap();
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(schema)));
        let column = ColumnChunkMetaData::builder(schema.column(0))
            .set_compression(Compression::BROTLI(Default::default()))
            .build()
            .unwrap();
        let group = RowGroupMetaData::builder(schema.clone())
            .set_column_metadata(vec![column])
            .build()
            .unwrap();
        let file = FileMetaData::new(1, 0, None, None, schema, None);
        let failure = readable(&ParquetMetaData::new(file, vec![group])).unwrap_err();
        assert_eq!(
            failure.message,
            "the file is compressed with BROTLI, which is not read"
        );
    }

    /// Batches are bounded by what is in them, and by what a dictionary repeats.
    #[test]
    fn wide_rows_come_in_small_batches() {
        let rows = 2000;
        let different: Vec<String> = (0..rows).map(|n| format!("{n:0>50000}")).collect();
        let repeated = vec!["x".repeat(50_000); rows];
        for wide in [different, repeated] {
            let columns: [(&str, ArrayRef); 2] = [
                ("n", Arc::new(Int32Array::from_iter_values(0..rows as i32))),
                ("wide", Arc::new(StringArray::from(wide))),
            ];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let path = tempfile::NamedTempFile::new().unwrap();
            let out = Box::new(path.reopen().unwrap());
            let mut encoder =
                Box::new(ParquetEncoder::new(&batch.schema(), Counted { out, bytes: 0 }).unwrap());
            encoder.write(&batch).unwrap();
            encoder.finish().unwrap();
            let opened = open(path.reopen().unwrap(), None).unwrap();
            let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
            let most = batches.iter().map(RecordBatch::num_rows).max();
            assert!(most < Some(200) && most > Some(100), "{most:?}");
            let opened = open(path.reopen().unwrap(), Some(&["n".to_owned()])).unwrap();
            let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
            let most = batches.iter().map(RecordBatch::num_rows).max();
            assert_eq!(most, Some(rows));
        }
    }

    #[test]
    fn intervals_survive() {
        let intervals = [Some(IntervalMonthDayNano::new(14, -3, 1_000)), None];
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int32Array::from(vec![1, 2]))),
            (
                "iv",
                Arc::new(IntervalMonthDayNanoArray::from(intervals.to_vec())),
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        check(&batch);
    }

    /// With the metadata of what they are made of.
    #[test]
    fn lists_records_and_maps_survive() {
        let typed = |name: &str, kind: DataType, key: &str| {
            let metadata =
                std::collections::HashMap::from([("dagflux:type".to_owned(), key.to_owned())]);
            Field::new(name, kind, true).with_metadata(metadata)
        };
        let list = |item: Field| DataType::List(Arc::new(item));
        let record = DataType::Struct(
            vec![
                typed("days", DataType::Date32, "date"),
                typed("span", INTERVAL, "interval"),
                typed("large", DataType::Decimal256(60, 5), "numeric(60,5)"),
                typed("key", DataType::FixedSizeBinary(16), "uuid"),
            ]
            .into(),
        );
        let item = typed("item", DataType::Float32, "real");
        let entries = DataType::Struct(
            vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Utf8, true),
            ]
            .into(),
        );
        let columns: Vec<(DataType, &[Option<&str>])> = vec![
            (
                list(typed("item", INTERVAL, "interval")),
                &[Some("[\"1 mons\",null]"), None, Some("[]")],
            ),
            (
                list(typed("item", record, "couple")),
                &[
                    Some(
                        "[{\"days\":\"2024-02-29\",\"span\":\"1 mons\",\"large\":\"-1.5\",\"key\":\"\\\\x000102030405060708090a0b0c0d0e0f\"},null]",
                    ),
                    None,
                    Some("[{}]"),
                ],
            ),
            (
                list(Field::new("item", list(item.clone()), true)),
                &[Some("[[0.5,null],[]]"), None, None],
            ),
            (
                DataType::Map(Arc::new(Field::new("entries", entries, false)), false),
                &[Some("{\"b\":null,\"a\":\"x\"}"), Some("{}"), None],
            ),
            (
                DataType::FixedSizeList(Arc::new(item), 2),
                &[Some("[1.5,-0.0]"), None, Some("[null,1]")],
            ),
            (DataType::Null, &[None, None, None]),
        ];
        let fields: Vec<Field> = (columns.iter().enumerate())
            .map(|(at, (kind, _))| typed(&format!("c{at}"), kind.clone(), "outer"))
            .collect();
        let arrays = (fields.iter().zip(&columns))
            .map(|(field, (_, values))| {
                text::from_text(field, &StringArray::from(values.to_vec()), 1).unwrap()
            })
            .collect();
        check(&RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap());
    }
}
