//! New tables, whole or not at all.

use arrow_array::{Float64Array, Int64Array, StringArray};

use super::*;
use crate::error::{ErrorKind, Fault};

fn numbers() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        (
            "name",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
        ),
    ])
}

const CREATE: &str = "CREATE TABLE t (ID INTEGER PRIMARY KEY, \"Name\" TEXT)";

#[test]
fn rows_are_written() {
    let workspace = shop();
    let rows = numbers();
    let mut writer = workspace
        .write(CREATE, "T", rows.schema(), &options())
        .unwrap();
    writer.write(&rows.slice(0, 2)).unwrap();
    writer.write(&rows.slice(2, 0)).unwrap();
    writer.write(&rows.slice(2, 1)).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.rows, written.losses), (3, Vec::new()));
    let found = all(&workspace, "SELECT * FROM t ORDER BY id").unwrap();
    assert_eq!(found.columns(), rows.columns());
    workspace.drop_table("t").unwrap();
    assert_eq!(tables(&workspace), ["lines", "orders"]);
}

#[test]
fn a_table_without_rows() {
    let workspace = shop();
    let writer = workspace
        .write(CREATE, "t", numbers().schema(), &options())
        .unwrap();
    assert_eq!(writer.finish().unwrap().rows, 0);
    assert_eq!(tables(&workspace), ["lines", "orders", "t"]);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let workspace = shop();
    let mut writer = workspace
        .write(CREATE, "t", numbers().schema(), &options())
        .unwrap();
    writer.write(&numbers()).unwrap();
    drop(writer);
    assert_eq!(tables(&workspace), ["lines", "orders"]);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let workspace = shop();
    let twice = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![7, 8, 7]))),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ]);
    let mut writer = workspace
        .write(CREATE, "t", twice.schema(), &options())
        .unwrap();
    let error = writer.write(&twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert!(error.attributes().contains(&("row".into(), "3".into())));
    hinted(&error);
    // It is over at once, not only when the writer goes.
    assert_eq!(tables(&workspace), ["lines", "orders"]);
    workspace
        .create_as("CREATE TABLE u (a)", "SELECT 1 AS a", "u", &options())
        .unwrap();
    for error in [
        writer.write(&twice).unwrap_err(),
        writer.finish().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        hinted(&error);
    }
    assert_eq!(tables(&workspace), ["lines", "orders", "u"]);
}

#[test]
fn a_batch_of_another_schema() {
    let workspace = shop();
    let mut writer = workspace
        .write(CREATE, "t", numbers().schema(), &options())
        .unwrap();
    let other = numbers().project(&[0]).unwrap();
    assert_eq!(
        writer.write(&other).unwrap_err().kind(),
        ErrorKind::SchemaMismatch
    );
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(tables(&workspace), ["lines", "orders"]);
}

/// The disk is full: a file that may not grow stands for it.
#[test]
fn a_full_disk_leaves_nothing() {
    let folder = Folder::new();
    let workspace = Workspace::open(folder.file("w.db")).unwrap();
    let rows = numbers();
    let mut writer = workspace
        .write(CREATE, "t", rows.schema(), &options())
        .unwrap();
    writer.limit_pages(3);
    let long = "x".repeat(100_000);
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1]))),
        ("name", Arc::new(StringArray::from(vec![long]))),
    ]);
    let error = writer.write(&rows).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    hinted(&error);
    assert_eq!(tables(&workspace), Vec::<String>::new());
}

#[test]
fn names_that_are_taken_or_reserved() {
    let workspace = shop();
    let select = "SELECT 1 AS id";
    for (create, target, kind) in [
        (
            "CREATE TABLE orders (id INTEGER)",
            "orders",
            ErrorKind::AlreadyExists,
        ),
        (
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER)",
            "ORDERS",
            ErrorKind::AlreadyExists,
        ),
        (
            "CREATE TABLE sqlite_x (id INTEGER)",
            "sqlite_x",
            ErrorKind::UnsupportedStatement,
        ),
        (
            "CREATE TABLE \"\" (id INTEGER)",
            "",
            ErrorKind::UnsupportedStatement,
        ),
    ] {
        let error = workspace
            .create_as(create, select, target, &options())
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{create}");
        hinted(&error);
    }
    assert_eq!(
        all(&workspace, "SELECT * FROM orders").unwrap().num_rows(),
        2
    );
    let create = "CREATE TABLE IF NOT EXISTS main.\"o'x\"\"y\" (id INTEGER)";
    workspace
        .create_as(create, select, "o'x\"y", &options())
        .unwrap();
    assert_eq!(workspace.read("o'x\"y", &options()).unwrap().count(), 1);
    let error = workspace.drop_table("sqlite_master").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedStatement);
}

/// Everything that does not fit is told at once.
#[test]
fn columns_that_do_not_fit() {
    let workspace = shop();
    let rows = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1]))),
        ("ID", Arc::new(Int64Array::from(vec![1]))),
        ("sum", Arc::new(Int64Array::from(vec![1]))),
        ("extra", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let create =
        "CREATE TABLE t (key INTEGER PRIMARY KEY, id INTEGER, missing TEXT, also TEXT NOT NULL,
                  given TEXT DEFAULT 'x', sum INTEGER AS (id + 1))";
    let error = workspace
        .write(create, "t", rows.schema(), &options())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    hinted(&error);
    let fields: Vec<_> = error
        .faults()
        .iter()
        .map(|fault: &Fault| fault.field.as_str())
        .collect();
    assert_eq!(fields, ["ID", "sum", "extra", "missing", "also"]);
    assert_eq!(tables(&workspace), ["lines", "orders"]);
    let create = "CREATE TABLE t (key INTEGER PRIMARY KEY AUTOINCREMENT, given TEXT DEFAULT 'x', a INTEGER UNIQUE)";
    workspace
        .create_as(create, "SELECT 5 AS a", "t", &options())
        .unwrap();
    let rows = all(&workspace, "SELECT * FROM t").unwrap();
    assert_eq!(rows.num_columns(), 3);
}

/// What a table is made of in the workspace keeps types, order and every row.
#[test]
fn tables_of_tables() {
    let workspace = shop();
    let create = "CREATE TABLE sums (day DATE, total DECIMAL(15,2), n BIGINT, avg DOUBLE)";
    let select = "SELECT '2024-02-29' AS day, sum(total) AS total, count(*) AS N, avg(total) AS avg
                  FROM (SELECT 0.1 AS total UNION ALL SELECT 0.2)";
    let written = workspace
        .create_as(create, select, "sums", &options())
        .unwrap();
    assert_eq!(written.rows, 1);
    let rows = all(&workspace, "SELECT * FROM sums").unwrap();
    let expected = "[2024-02-29] [0.30] [2]";
    let texts: Vec<_> = rows
        .columns()
        .iter()
        .take(3)
        .map(|column| arrow_cast::display::array_value_to_string(column, 0).unwrap())
        .map(|text| format!("[{text}]"))
        .collect();
    assert_eq!(texts.join(" "), expected);
    // A value that would not be read back is told now, with what to do.
    let select = "SELECT NULL AS day, sum(id) / 7.0 AS total, 1 AS n, 1 AS avg FROM orders";
    let again = create.replace("sums", "t");
    let error = workspace
        .create_as(&again, select, "t", &options())
        .unwrap_err();
    let said = "row 1, column \"total\", declared DECIMAL(15,2): \
                not exactly a DECIMAL(15,2): \"0.42857142857142855\"";
    assert_eq!(error.to_string(), said);
    hinted(&error);
    assert_eq!(tables(&workspace), ["lines", "orders", "sums"]);
}

/// Floats of four bytes keep their value in a column of text, too.
#[test]
fn numbers_in_columns_of_text() {
    let workspace = shop();
    let rows = batch(vec![(
        "a",
        Arc::new(Float64Array::from(vec![0.1, 1e300, f64::NAN, 5.0])),
    )]);
    write(&workspace, "CREATE TABLE t (a TEXT)", &rows, &options()).unwrap();
    let found = all(&workspace, "SELECT a FROM t").unwrap();
    let expected = StringArray::from(vec!["0.1", "1e300", "NaN", "5.0"]);
    assert_eq!(
        found.column(0).as_ref(),
        &expected as &dyn arrow_array::Array
    );
}
