//! Types that say how values are stored, replaced by those of the values: files of other
//! tools have dictionaries, runs and views, and no table has.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Schema};

use super::{Batches, Opened};

/// The same rows in plain types.
///
/// # Errors
/// None today.
pub fn plain(opened: Opened) -> anyhow::Result<Opened> {
    let fields: Vec<FieldRef> = opened.schema.fields().iter().map(field).collect();
    let schema = Schema::new_with_metadata(fields, opened.schema.metadata().clone());
    if schema == *opened.schema {
        return Ok(opened);
    }
    let schema = Arc::new(schema);
    let kept = schema.clone();
    let batches: Batches = Box::new(opened.batches.map(move |batch| {
        let batch = batch?;
        let columns = (kept.fields().iter().zip(batch.columns()))
            .map(|(field, column)| unpacked(field, column))
            .collect::<anyhow::Result<_>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            kept.clone(),
            columns,
            &rows,
        )?)
    }));
    Ok(Opened {
        schema,
        rows: opened.rows,
        batches,
    })
}

fn unpacked(field: &Field, column: &ArrayRef) -> anyhow::Result<ArrayRef> {
    if field.data_type() == column.data_type() {
        return Ok(column.clone());
    }
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(column, field.data_type(), &exact)?)
}

fn field(field: &FieldRef) -> FieldRef {
    let plain = kind(field.data_type());
    if plain == *field.data_type() {
        return field.clone();
    }
    let named = Field::new(field.name(), plain, field.is_nullable());
    Arc::new(named.with_metadata(field.metadata().clone()))
}

fn kind(packed: &DataType) -> DataType {
    match packed {
        DataType::Dictionary(_, values) => kind(values),
        DataType::RunEndEncoded(_, values) => kind(values.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(field(item))
        }
        DataType::FixedSizeList(item, width) => DataType::FixedSizeList(field(item), *width),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entry, ordered) => DataType::Map(field(entry), *ordered),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Int32Type;
    use arrow_array::{Array, DictionaryArray, ListArray, StringArray, StringViewArray};
    use arrow_buffer::OffsetBuffer;

    #[test]
    fn dictionaries_and_views_become_their_values() {
        let words: DictionaryArray<Int32Type> =
            vec![Some("a"), None, Some("a")].into_iter().collect();
        let item = Arc::new(Field::new("item", words.data_type().clone(), true));
        let lists = ListArray::new(
            item,
            OffsetBuffer::from_lengths([2, 0, 1]),
            Arc::new(words.clone()),
            None,
        );
        let columns: [(&str, ArrayRef); 3] = [
            ("words", Arc::new(words)),
            ("lists", Arc::new(lists)),
            (
                "views",
                Arc::new(StringViewArray::from(vec!["x", "y", "z"])),
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let opened = plain(Opened {
            schema: batch.schema(),
            rows: None,
            batches: Box::new([Ok(batch)].into_iter()),
        })
        .unwrap();
        let kinds: Vec<_> = opened
            .schema
            .fields()
            .iter()
            .map(|field| field.data_type())
            .collect();
        let list = DataType::new_list(DataType::Utf8, true);
        assert_eq!(kinds, [&DataType::Utf8, &list, &DataType::Utf8]);
        let batches: Vec<RecordBatch> = opened.batches.collect::<Result<_, _>>().unwrap();
        let words = StringArray::from(vec![Some("a"), None, Some("a")]);
        assert_eq!(batches[0].column(0).as_ref(), &words as &dyn Array);
    }
}
