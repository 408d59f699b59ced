//! Columns become messages that `arrow-ipc` reads back as they were.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, NullArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use dagflux_guest::{BatchLimits, ColumnBuilder, Layout, ipc};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int32, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("nothing", DataType::Null, true),
    ]))
}

/// Rows of which every `gap`-th value is null; 0 for none.
fn build(columns: &mut [ColumnBuilder], rows: usize, gap: usize) -> RecordBatch {
    let is_null = |row: usize| gap != 0 && row.is_multiple_of(gap);
    for row in 0..rows {
        for (at, column) in columns.iter_mut().enumerate() {
            match at {
                3 => column.push_null(),
                _ if is_null(row) => column.push_null(),
                0 => column.push_fixed((row as i32).to_le_bytes()),
                1 => column.push_bit(row.is_multiple_of(3)),
                _ => column.push_bytes("é".repeat(row % 5).as_bytes()),
            }
        }
    }
    let values = |row: usize| (!is_null(row)).then_some(row);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter(
            (0..rows).map(|row| values(row).map(|row| row as i32)),
        )),
        Arc::new(BooleanArray::from_iter(
            (0..rows).map(|row| values(row).map(|row| row.is_multiple_of(3))),
        )),
        Arc::new(StringArray::from_iter(
            (0..rows).map(|row| values(row).map(|row| "é".repeat(row % 5))),
        )),
        Arc::new(NullArray::new(rows)),
    ];
    RecordBatch::try_new(schema(), columns).expect("a batch")
}

fn builders() -> Vec<ColumnBuilder> {
    [
        Layout::Fixed(4),
        Layout::Bits,
        Layout::Variable,
        Layout::Null,
    ]
    .map(|layout| ColumnBuilder::new(layout, 16))
    .into()
}

#[test]
fn a_message_reads_back_as_the_rows_that_were_pushed() {
    // The same builders throughout: nothing of one batch may show up in the next.
    let mut columns = builders();
    for rows in [0, 1, 7, 8, 9, 63, 64, 65, 1000] {
        for gap in [0, 1, 2, 9, 500] {
            let expected = build(&mut columns, rows, gap);
            let message = ipc::batch_message(&columns, rows);
            let read = ipc::read_batch(message, &schema()).expect("a batch");
            assert_eq!(read, expected, "{rows} rows, every {gap}th null");
            columns.iter_mut().for_each(ColumnBuilder::clear);
        }
    }
}

#[test]
fn the_parts_of_a_message_are_aligned_to_64_bytes() {
    let mut columns = builders();
    build(&mut columns, 100, 3);
    let message = ipc::batch_message(&columns, 100);
    let head = u32::from_le_bytes(message[4..8].try_into().expect("four bytes")) as usize + 8;
    assert_eq!(head % 64, 0);
    assert_eq!(message.len() % 64, 0);
    let parsed = arrow_ipc::root_as_message(&message[8..head]).expect("a message");
    let batch = parsed.header_as_record_batch().expect("a batch");
    assert!(batch.compression().is_none());
    assert_eq!(parsed.bodyLength() as usize, message.len() - head);
    for buffer in batch.buffers().expect("buffers") {
        assert_eq!(buffer.offset() % 64, 0);
    }
}

#[test]
fn a_column_without_nulls_has_no_bitmap() {
    let mut column = ColumnBuilder::new(Layout::Fixed(4), 4);
    column.push_fixed(1_i32.to_le_bytes());
    let message = ipc::batch_message([&column], 1);
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, true)]));
    let read = ipc::read_batch(message, &schema).expect("a batch");
    assert!(read.column(0).nulls().is_none());
    assert_eq!(read.column(0).as_primitive::<Int32Type>().value(0), 1);
}

#[test]
fn lists_and_structs_read_back() {
    let number = Arc::new(Field::new("item", DataType::Int32, true));
    let pair = DataType::Struct(
        vec![
            Field::new("a", DataType::Int32, true),
            Field::new("b", DataType::Utf8, true),
        ]
        .into(),
    );
    let schema = Arc::new(Schema::new(vec![
        Field::new("list", DataType::List(Arc::clone(&number)), true),
        Field::new("pair", pair, true),
        Field::new("two", DataType::FixedSizeList(number, 2), true),
    ]));
    let numbers = || ColumnBuilder::new(Layout::Fixed(4), 0);
    let text = ColumnBuilder::new(Layout::Variable, 0);
    let mut columns = [
        ColumnBuilder::nested(Layout::List, vec![numbers()]),
        ColumnBuilder::nested(Layout::Struct, vec![numbers(), text]),
        ColumnBuilder::nested(Layout::FixedList(2), vec![numbers()]),
    ];
    for _ in 0..2 {
        let [list, pair, two] = &mut columns;
        // A null, nothing, and two of which one is null.
        list.push_null();
        list.push_nested();
        let items = list.child(0).expect("a child");
        items.push_fixed(7_i32.to_le_bytes());
        items.push_null();
        list.push_nested();
        pair.push_null();
        for _ in 0..2 {
            pair.child(0).expect("a").push_fixed(1_i32.to_le_bytes());
            pair.child(1).expect("b").push_bytes(b"x");
            pair.push_nested();
        }
        two.push_null();
        for row in 0..4_i32 {
            two.child(0).expect("a child").push_fixed(row.to_le_bytes());
        }
        two.push_nested();
        two.push_nested();
        let message = ipc::batch_message(&columns, 3);
        let batch = ipc::read_batch(message, &schema).expect("a batch");
        let list = batch.column(0).as_list::<i32>();
        assert!(list.is_null(0));
        assert_eq!(list.value(1).len(), 0);
        assert_eq!(
            list.value(2).as_primitive::<Int32Type>(),
            &Int32Array::from(vec![Some(7), None])
        );
        let pair = batch.column(1).as_struct();
        assert!(pair.is_null(0) && pair.is_valid(1));
        assert_eq!(pair.column(1).as_string::<i32>().value(2), "x");
        let two = batch.column(2).as_fixed_size_list();
        assert!(two.is_null(0));
        assert_eq!(two.value(2).as_primitive::<Int32Type>().values(), &[2, 3]);
        // The memory is used again.
        columns.iter_mut().for_each(ColumnBuilder::clear);
    }
}

#[test]
fn a_schema_message_reads_back() {
    let field = Field::new("a", DataType::Decimal128(15, 2), true)
        .with_metadata([("dagflux:type".to_owned(), "numeric(15,2)".to_owned())]);
    let schema = Schema::new(vec![field]);
    let message = ipc::schema_message(&schema).expect("a message");
    assert_eq!(*ipc::read_schema(&message).expect("a schema"), schema);
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let mut columns = builders();
    build(&mut columns, 10, 2);
    let message = ipc::batch_message(&columns, 10);
    for length in 0..message.len() {
        let cut = message[..length].to_vec();
        assert!(ipc::read_batch(cut, &schema()).is_err(), "{length} bytes");
    }
    assert!(ipc::read_schema(&message).is_err());
}

#[test]
fn limits_are_brought_into_range() {
    let limits = BatchLimits::new(0, u32::MAX);
    assert_eq!(limits.rows, 1);
    assert_eq!(limits.bytes, 32 * 1024 * 1024);
}
