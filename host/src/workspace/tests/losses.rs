//! Values that their column does not hold.

use arrow_array::cast::AsArray;
use arrow_array::*;

use super::*;
use crate::error::ErrorKind;
use crate::types::{LossPolicy, OnLoss};

fn choosing(choice: OnLoss) -> Options {
    options().with_losses(LossPolicy::new(choice))
}

/// A column of a declared type, and a value that it does not hold, as text.
fn misfits() -> Vec<(&'static str, ArrayRef, &'static str)> {
    vec![
        (
            "DOUBLE",
            Arc::new(Float64Array::from(vec![f64::NAN])),
            "NaN",
        ),
        (
            "INTEGER",
            Arc::new(Float64Array::from(vec![f64::NAN])),
            "NaN",
        ),
        ("INTEGER", Arc::new(Float64Array::from(vec![1.5])), "1.5"),
        (
            "INTEGER",
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            "18446744073709551615",
        ),
        (
            "DOUBLE",
            Arc::new(Int64Array::from(vec![i64::MAX])),
            "9223372036854775807",
        ),
        ("BOOLEAN", Arc::new(Int64Array::from(vec![2])), "2"),
        (
            "DECIMAL(5,2)",
            Arc::new(Int64Array::from(vec![1000])),
            "1000",
        ),
        (
            "DECIMAL(5,2)",
            Arc::new(StringArray::from(vec!["1.005"])),
            "1.005",
        ),
        ("DECIMAL(5,2)", Arc::new(StringArray::from(vec!["a"])), "a"),
        (
            "DECIMAL(38,10)",
            Arc::new(
                Decimal128Array::from(vec![12345678901234567890])
                    .with_precision_and_scale(38, 10)
                    .unwrap(),
            ),
            "1234567890.1234567890",
        ),
        ("STRING", Arc::new(StringArray::from(vec!["007"])), "007"),
        ("INTEGER", Arc::new(StringArray::from(vec!["x"])), "x"),
        ("JSON", Arc::new(StringArray::from(vec!["1.10"])), "1.10"),
        (
            "DATE",
            Arc::new(StringArray::from(vec!["infinity"])),
            "infinity",
        ),
        (
            "DATE",
            Arc::new(TimestampMicrosecondArray::from(vec![0])),
            "1970-01-01 00:00:00.000000",
        ),
        (
            "TIMESTAMP",
            Arc::new(TimestampNanosecondArray::from(vec![1])),
            "1970-01-01 00:00:00.000000001",
        ),
        (
            "TIMESTAMP",
            Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")),
            "1970-01-01 00:00:00.000000Z",
        ),
        (
            "TIME",
            Arc::new(Time64NanosecondArray::from(vec![1])),
            "00:00:00.000000001",
        ),
        ("UUID", Arc::new(StringArray::from(vec!["x"])), "x"),
        (
            "TEXT",
            Arc::new(BinaryArray::from(vec![&b"\xff"[..]])),
            "\\xff",
        ),
        ("BLOB", Arc::new(StringArray::from(vec!["x"])), "x"),
    ]
}

#[test]
fn by_default_a_write_fails() {
    for (declared, value, text) in misfits() {
        let workspace = Workspace::in_memory().unwrap();
        let rows = batch(vec![("a", value)]);
        let error = write(
            &workspace,
            &format!("CREATE TABLE t (a {declared})"),
            &rows,
            &options(),
        )
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{declared} {text}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("row 1, column \"a\", declared {declared}: ")),
            "{error}"
        );
        assert!(
            error.to_string().ends_with(&format!(": {text:?}")),
            "{error} {text}"
        );
        hinted(&error);
        assert_eq!(tables(&workspace), Vec::<String>::new());
    }
}

#[test]
fn or_writes_null_and_counts() {
    for (declared, value, text) in misfits() {
        let workspace = Workspace::in_memory().unwrap();
        let field = Field::new("a", value.data_type().clone(), true);
        let value = arrow_cast_twice(&value);
        let rows = single(field, value);
        let create = format!("CREATE TABLE t (a {declared})");
        let written = write(&workspace, &create, &rows, &choosing(OnLoss::Null)).unwrap();
        let [loss] = written.losses.as_slice() else {
            panic!("{declared} {text}: {:?}", written.losses);
        };
        assert_eq!(
            (loss.column.as_str(), loss.values, loss.first_row),
            ("a", 2, 1)
        );
        assert_eq!((loss.became, loss.example.as_str()), (OnLoss::Null, text));
        let read = all(&workspace, "SELECT * FROM t").unwrap();
        assert_eq!((read.num_rows(), read.column(0).null_count()), (2, 2));
    }
}

/// The values twice.
fn arrow_cast_twice(values: &ArrayRef) -> ArrayRef {
    let indices = UInt32Array::from(vec![0, 0]);
    let twice: DictionaryArray<types::UInt32Type> = DictionaryArray::new(indices, values.clone());
    arrow_cast::cast(&twice, values.data_type()).unwrap()
}

#[test]
fn or_writes_text_where_the_column_leaves_it() {
    for (declared, value, text) in misfits() {
        let workspace = Workspace::in_memory().unwrap();
        let rows = batch(vec![("a", value)]);
        let create = format!("CREATE TABLE t (a {declared})");
        let written = write(&workspace, &create, &rows, &choosing(OnLoss::Text));
        // Digits in a column of numbers are numbers, whatever we do.
        if crate::workspace::numbers::is_number(text) {
            assert_eq!(
                written.unwrap_err().kind(),
                ErrorKind::Value,
                "{declared} {text}"
            );
            continue;
        }
        assert_eq!(written.unwrap().losses.len(), 1, "{declared} {text}");
        let read = all(&workspace, "SELECT a || '' AS a, typeof(a) AS type FROM t").unwrap();
        assert_eq!(read.column(0).as_string::<i32>().value(0), text);
        assert_eq!(read.column(1).as_string::<i32>().value(0), "text");
    }
}

/// A file in which values of any type are in every column, as SQLite permits.
fn mixed() -> Workspace {
    let workspace = Workspace::in_memory().unwrap();
    let opened = workspace
        .connect(&crate::workspace::Interrupt::new())
        .unwrap();
    let sql = "CREATE TABLE t (i INTEGER, d DECIMAL(5,2), day DATE, s TEXT);
               INSERT INTO t VALUES (1, 1.5, '2024-02-29', 'a'), ('x', 1.005, 20240229, x'ff'),
                                    (2.5, 1000, NULL, CAST(x'ff' AS TEXT)), (NULL, NULL, 'x', NULL)";
    opened.connection.execute_batch(sql).unwrap();
    workspace
}

#[test]
fn reads_fail_say_null_or_text() {
    let workspace = mixed();
    for (column, value) in [
        ("i", "x"),
        ("d", "1.005"),
        ("day", "20240229"),
        ("s", "\\xff"),
    ] {
        let sql = format!("SELECT {column} FROM t");
        let error = all(&workspace, &sql).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(
            error.attributes().contains(&("value".into(), value.into())),
            "{error:?}"
        );
        assert!(error.attributes().contains(&("row".into(), "2".into())));
        hinted(&error);
    }
    let mut reader = workspace.read("t", &choosing(OnLoss::Null)).unwrap();
    let rows = reader.next_batch().unwrap().unwrap();
    assert!(reader.losses().is_empty());
    assert_eq!(reader.next_batch().unwrap(), None);
    assert_eq!(
        rows.columns()
            .iter()
            .map(|c| c.null_count())
            .collect::<Vec<_>>(),
        [3, 3, 3, 3]
    );
    let counted = |reader: &crate::workspace::Reader| -> Vec<(String, u64, u64)> {
        let losses = reader.losses().iter();
        losses
            .map(|loss| (loss.column.clone(), loss.values, loss.first_row))
            .collect()
    };
    let expected = [
        ("i", 1, 2),
        ("i", 1, 3),
        ("d", 2, 2),
        ("day", 1, 2),
        ("day", 1, 4),
        ("s", 1, 2),
        ("s", 1, 3),
    ];
    let expected = expected.map(|(column, values, row)| (column.to_owned(), values, row));
    assert_eq!(counted(&reader), expected);

    // As text, all of a column; what did not fit is counted.
    let mut reader = workspace.read("t", &choosing(OnLoss::Text)).unwrap();
    let rows = reader.next_batch().unwrap().unwrap();
    assert_eq!(reader.next_batch().unwrap(), None);
    assert_eq!(counted(&reader), expected);
    let texts = |at: usize| {
        rows.column(at)
            .as_string::<i32>()
            .iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(0), [Some("1"), Some("x"), Some("2.5"), None]);
    assert_eq!(texts(1), [Some("1.5"), Some("1.005"), Some("1000"), None]);
    assert_eq!(
        texts(2),
        [Some("2024-02-29"), Some("20240229"), None, Some("x")]
    );
    assert_eq!(texts(3), [Some("a"), Some("\\xff"), Some("\u{fffd}"), None]);

    // By column.
    let policy = LossPolicy::new(OnLoss::Fail).with_column("i", OnLoss::Null);
    let mut reader = workspace
        .query("SELECT i FROM t", &options().with_losses(policy.clone()))
        .unwrap();
    assert_eq!(
        reader
            .by_ref()
            .map(|batch| batch.unwrap().num_rows())
            .sum::<usize>(),
        4
    );
    let error = workspace
        .query("SELECT d FROM t", &options().with_losses(policy.clone()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColumnNotFound);
    let create = "CREATE TABLE u (d TEXT)";
    let error = workspace
        .create_as(
            create,
            "SELECT d FROM t",
            "u",
            &options().with_losses(policy),
        )
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColumnNotFound);
}

/// What goes from table to table is held against the new one.
#[test]
fn tables_of_tables_count_losses() {
    let workspace = mixed();
    let create = "CREATE TABLE u (i INTEGER, day DATE)";
    let select = "SELECT i, day FROM t";
    let written = workspace
        .create_as(create, select, "u", &choosing(OnLoss::Null))
        .unwrap();
    assert_eq!((written.rows, written.losses.len()), (4, 4));
    assert_eq!(all(&workspace, "SELECT * FROM u").unwrap().num_rows(), 4);
    workspace.drop_table("u").unwrap();
    let written = workspace.create_as(create, select, "u", &choosing(OnLoss::Text));
    // 20240229 and 2.5 would be numbers again.
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Value);
}
