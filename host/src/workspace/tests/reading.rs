//! Tables, columns, and what queries become.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, StringArray};
use arrow_schema::DataType;

use super::*;
use crate::error::ErrorKind;
use crate::types::TableKind;

#[test]
fn tables_and_columns() {
    let workspace = shop();
    let listed = workspace.tables().unwrap();
    assert_eq!(tables(&workspace), ["lines", "orders"]);
    assert!(
        listed
            .iter()
            .all(|table| table.schema == "main" && table.kind == TableKind::Table)
    );
    let columns = workspace.columns("ORDERS").unwrap();
    let told: Vec<_> = columns
        .iter()
        .map(|c| {
            (
                c.name.as_str(),
                c.ordinal,
                c.data_type.as_str(),
                c.nullable,
                c.primary_key,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("id", 1, "INTEGER", false, Some(1)),
            ("name", 2, "TEXT", false, None),
            ("total", 3, "DECIMAL(15,2)", true, None),
        ]
    );
    assert!(
        columns
            .iter()
            .all(|column| column.table == "orders" && column.schema == "main")
    );
    let lines = workspace.columns("lines").unwrap();
    assert_eq!(lines[1].default.as_deref(), Some("'2024-01-01'"));
}

#[test]
fn what_is_not_there() {
    let workspace = shop();
    for (error, hint) in [
        (
            workspace.columns("oders").unwrap_err(),
            "did you mean \"orders\"?",
        ),
        (
            workspace.read("customers", &options()).unwrap_err(),
            "its tables are: lines, orders",
        ),
        (
            workspace.drop_table("x").unwrap_err(),
            "its tables are: lines, orders",
        ),
        (
            Workspace::in_memory().unwrap().columns("x").unwrap_err(),
            "the workspace has no tables yet",
        ),
    ] {
        assert_eq!(error.kind(), ErrorKind::TableNotFound);
        assert_eq!(error.hint(), Some(hint));
    }
    for (sql, kind, position) in [
        ("SELECT * FROM nowhere", ErrorKind::TableNotFound, None),
        (
            "SELECT * FROM orders WHERE nme = 1",
            ErrorKind::ColumnNotFound,
            Some(28),
        ),
        ("SELECT 'é' FORM orders", ErrorKind::Syntax, Some(17)),
        ("SELECT (1", ErrorKind::Syntax, None),
        ("SELECT nofunction(1)", ErrorKind::Statement, Some(8)),
        (
            "SELECT * FROM public.orders",
            ErrorKind::TableNotFound,
            None,
        ),
        (
            "SELECT abs(-9223372036854775808)",
            ErrorKind::Statement,
            None,
        ),
        (
            "SELECT * FROM orders ORDER BY 9",
            ErrorKind::Statement,
            None,
        ),
    ] {
        let error = workspace.query(sql, &options()).unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        if position.is_some() {
            assert_eq!(error.position(), position, "{sql}");
        }
        hinted(&error);
    }
}

#[test]
fn misspelt_names() {
    let workspace = shop();
    for (sql, near) in [
        ("SELECT * FROM ordres", Some("orders")),
        ("SELECT * FROM main.Ordres", Some("orders")),
        ("SELECT nmae FROM orders", Some("name")),
        ("SELECT o.totl FROM orders AS o", Some("total")),
        ("SELECT customer FROM orders", None),
        ("SELECT * FROM customers", None),
    ] {
        let error = workspace.query(sql, &options()).unwrap_err();
        let hint = near.map(|near| format!("did you mean \"{near}\"?"));
        match hint {
            Some(hint) => assert_eq!(error.hint(), Some(hint.as_str()), "{sql}"),
            None => assert!(
                error.hint().is_some_and(|hint| hint.starts_with("name a ")),
                "{sql}"
            ),
        }
    }
    let create = "CREATE TABLE t (a TEXT)";
    let error = workspace
        .create_as(create, "SELECT nmae AS a FROM orders", "t", &options())
        .unwrap_err();
    assert_eq!(error.hint(), Some("did you mean \"name\"?"));
}

/// Column, alias and subquery have the declared type; an expression has that of its values.
#[test]
fn where_types_come_from() {
    let rows = all(
        &shop(),
        "SELECT total, total AS other, t.inner, total * 2 AS twice, id + 1 AS next, NULL AS missing,
                x'00' AS bytes, id > 1 AS more, name || '!' AS text
         FROM orders, (SELECT total AS inner FROM orders LIMIT 1) t",
    )
    .unwrap();
    let decimal = DataType::Decimal128(15, 2);
    let types: Vec<_> = rows
        .schema()
        .fields()
        .iter()
        .map(|f| f.data_type().clone())
        .collect();
    let expected = [
        decimal.clone(),
        decimal.clone(),
        decimal,
        DataType::Float64,
        DataType::Int64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Int64,
        DataType::Utf8,
    ];
    assert_eq!(types, expected);
    let totals = rows.column(0).as_primitive::<Decimal128Type>();
    assert_eq!(totals.iter().collect::<Vec<_>>(), [Some(1050), None]);
}

#[test]
fn expressions_of_several_types() {
    for (sql, kind, texts) in [
        ("VALUES (1), (2.5), (NULL)", DataType::Float64, vec![]),
        (
            "VALUES (9007199254740993), (2.5)",
            DataType::Utf8,
            vec!["9007199254740993", "2.5"],
        ),
        ("VALUES (1), ('a')", DataType::Utf8, vec!["1", "a"]),
        ("VALUES (NULL), (NULL)", DataType::Utf8, vec![]),
        ("SELECT 1 AS x WHERE 0", DataType::Utf8, vec![]),
        ("VALUES (x'00'), (NULL)", DataType::Binary, vec![]),
    ] {
        let rows = all(&shop(), sql).unwrap();
        assert_eq!(rows.column(0).data_type(), &kind, "{sql}");
        if !texts.is_empty() {
            let found = rows.column(0).as_string::<i32>();
            assert_eq!(found, &StringArray::from(texts), "{sql}");
        }
    }
    // Bytes are no text.
    let error = all(&shop(), "VALUES (x'00'), (1)").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
}

#[test]
fn examined_queries() {
    let workspace = shop();
    let sql = "WITH big AS (SELECT * FROM orders WHERE total > 1)
               SELECT big.total, count(*) AS n FROM big LEFT JOIN main.lines ON TRUE";
    let examined = workspace.examine(sql).unwrap();
    let columns = [("total", Some("DECIMAL(15,2)")), ("n", None)];
    let columns = columns.map(|(name, declared)| (name.to_owned(), declared.map(str::to_owned)));
    assert_eq!(examined.columns, columns);
    assert_eq!(examined.tables, ["lines", "orders"]);
    let error = workspace
        .examine("DELETE FROM orders RETURNING id")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert_eq!(
        workspace.examine("SELECT 1").unwrap().tables,
        Vec::<String>::new()
    );
}

/// A later value of another type is a loss, not another type.
#[test]
fn the_first_batch_tells_the_type() {
    let workspace = shop();
    let small = options().with_batch(crate::BatchSize::default().with_rows(2));
    let mut reader = workspace
        .query("VALUES (1), (2), (3), ('x')", &small)
        .unwrap();
    assert_eq!(reader.schema().field(0).data_type(), &DataType::Int64);
    assert!(reader.next_batch().unwrap().is_some());
    let error = reader.next_batch().unwrap_err();
    assert_eq!(error.to_string(), "row 4, column \"column1\": text: \"x\"");
    assert_eq!(reader.next_batch().unwrap(), None);
}

#[test]
fn batches_have_their_size() {
    let workspace = shop();
    let numbers = |most: u32| {
        format!(
            "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < {most}) SELECT a, hex(zeroblob(500)) AS x FROM n"
        )
    };
    let sizes = |sql: &str, options: &Options| -> Vec<usize> {
        let reader = workspace.query(sql, options).unwrap();
        reader.map(|batch| batch.unwrap().num_rows()).collect()
    };
    let size = crate::BatchSize::default();
    let by_rows = options().with_batch(size.with_rows(400));
    assert_eq!(sizes(&numbers(1000), &by_rows), [400, 400, 200]);
    let by_bytes = options().with_batch(size.with_bytes(10 * 1032));
    assert_eq!(sizes(&numbers(25), &by_bytes), [10, 10, 5]);
    // One row is larger than a batch may be, and comes alone.
    let tiny = options().with_batch(size.with_bytes(1).with_rows(0));
    assert_eq!(sizes(&numbers(3), &tiny), [1, 1, 1]);
    // The default: whichever comes first.
    assert_eq!(sizes(&numbers(20_000), &options()), [8128, 8128, 3744]);
    let narrow = "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 70000) SELECT a FROM n";
    assert_eq!(sizes(narrow, &options()), [65_536, 4464]);
    assert_eq!(
        sizes("SELECT * FROM orders WHERE id < 0", &options()),
        Vec::<usize>::new()
    );
}

#[test]
fn all_of_a_table() {
    let workspace = shop();
    let mut reader = workspace.read("Orders", &options()).unwrap();
    let rows = reader.next_batch().unwrap().unwrap();
    assert_eq!(rows.num_rows(), 2);
    assert!(rows.column(2).is_null(1));
    assert_eq!(reader.next_batch().unwrap(), None);
    assert!(reader.losses().is_empty());
}

/// A reader and a writer go to other threads.
#[test]
fn can_be_sent() {
    fn sent<T: Send + 'static>() {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    sent::<crate::workspace::Reader>();
    sent::<crate::workspace::Writer>();
    shared::<Workspace>();
    shared::<crate::workspace::Interrupt>();
}
