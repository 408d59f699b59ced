//! SQL that wants more than it may.

use super::*;
use crate::error::ErrorKind;

/// Each is refused as what reads, and nothing is other than before.
#[test]
fn what_reads_only_reads() {
    use ErrorKind::{ReadOnly, Statement, Syntax, UnsupportedStatement as Unsupported};
    let folder = Folder::new();
    let elsewhere = folder.file("elsewhere.db");
    let elsewhere = elsewhere.to_str().unwrap();
    let workspace = shop();
    let before = tables(&workspace);
    for (sql, kind) in [
        // The guard refuses these while they are compiled.
        ("INSERT INTO orders VALUES (3, 'x', 1)", ReadOnly),
        (
            "INSERT INTO orders VALUES (3, 'x', 1) RETURNING id",
            ReadOnly,
        ),
        ("UPDATE orders SET name = 'x' RETURNING name", ReadOnly),
        ("DELETE FROM orders", ReadOnly),
        ("DELETE FROM orders RETURNING id", ReadOnly),
        (
            "WITH gone AS (SELECT 1) DELETE FROM orders RETURNING id",
            ReadOnly,
        ),
        (
            "REPLACE INTO orders VALUES (1, 'x', 1) RETURNING id",
            ReadOnly,
        ),
        ("DROP TABLE orders", ReadOnly),
        ("ALTER TABLE orders RENAME TO x", ReadOnly),
        ("CREATE TABLE x (a)", ReadOnly),
        ("CREATE TABLE x AS SELECT * FROM orders", ReadOnly),
        ("CREATE TEMP TABLE x (a)", ReadOnly),
        ("CREATE VIEW x AS SELECT 1", ReadOnly),
        ("CREATE INDEX x ON orders (name)", ReadOnly),
        (
            "CREATE TRIGGER x AFTER INSERT ON orders BEGIN DELETE FROM lines; END",
            Unsupported,
        ),
        (
            "CREATE TRIGGER x AFTER INSERT ON orders BEGIN DELETE FROM lines",
            ReadOnly,
        ),
        ("CREATE VIRTUAL TABLE x USING fts5(a)", ReadOnly),
        ("REINDEX orders", Unsupported),
        ("ANALYZE", ReadOnly),
        ("ATTACH ':memory:' AS x", Unsupported),
        ("DETACH main", Unsupported),
        ("PRAGMA journal_mode", Unsupported),
        ("PRAGMA query_only = 0", Unsupported),
        ("PRAGMA writable_schema = 1", Unsupported),
        ("SELECT * FROM pragma_table_info('orders')", Unsupported),
        ("SELECT * FROM pragma_database_list", Unsupported),
        ("SELECT load_extension('x')", Unsupported),
        ("SELECT LOAD_EXTENSION('x') FROM orders", Unsupported),
        ("SELECT fts3_tokenizer('simple')", Unsupported),
        ("BEGIN", Unsupported),
        ("COMMIT", Unsupported),
        ("SAVEPOINT x", Unsupported),
        // These have no result, which is seen before they run.
        ("VACUUM", Unsupported),
        // Others.
        ("EXPLAIN SELECT * FROM orders", Unsupported),
        ("EXPLAIN QUERY PLAN SELECT * FROM orders", Unsupported),
        ("SELECT * FROM orders WHERE id = ?", Unsupported),
        ("SELECT * FROM orders WHERE id = :id", Unsupported),
        ("SELECT writefile('x', 'y')", Statement),
        ("SELECT readfile('/etc/passwd')", Statement),
        ("SELECT edit('x')", Statement),
        ("", Syntax),
        ("-- SELECT 1", Syntax),
        // More than one.
        ("SELECT 1; DROP TABLE orders", Unsupported),
        ("SELECT 1; SELECT 2", Unsupported),
        ("SELECT 1;\n-- and now\nDROP TABLE orders;", Unsupported),
        ("SELECT '/*'; DROP TABLE orders --*/", Unsupported),
        ("SELECT 1 /* */; /* */ DELETE FROM orders", Unsupported),
        ("SELECT 1; COMMIT; DROP TABLE orders; BEGIN", Unsupported),
        ("SELECT 1\0; DROP TABLE orders", Syntax),
    ] {
        let error = workspace.query(sql, &options()).expect_err(sql);
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        hinted(&error);
    }
    for sql in [
        format!("ATTACH '{elsewhere}' AS x"),
        format!("VACUUM INTO '{elsewhere}'"),
        format!("SELECT 1; ATTACH '{elsewhere}' AS x"),
    ] {
        let error = workspace.query(&sql, &options()).expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::UnsupportedStatement, "{sql}");
        assert!(!folder.file("elsewhere.db").exists(), "{sql}");
    }
    assert_eq!(tables(&workspace), before);
    assert_eq!(
        all(&workspace, "SELECT * FROM orders").unwrap().num_rows(),
        2
    );
}

/// Each is refused as what creates the table `t`, and nothing is other than before.
#[test]
fn what_creates_only_creates_its_table() {
    use ErrorKind::{Statement, Syntax, UnsupportedStatement as Unsupported};
    let folder = Folder::new();
    let file = folder.file("elsewhere.db");
    let elsewhere = file.to_str().unwrap();
    let workspace = shop();
    let before = tables(&workspace);
    let rows = batch(vec![(
        "a",
        Arc::new(arrow_array::Int64Array::from(vec![1])),
    )]);
    let attach = format!("ATTACH '{elsewhere}' AS x");
    let vacuum = format!("VACUUM INTO '{elsewhere}'");
    for (create, kind) in [
        ("CREATE TABLE other (a INTEGER)", Unsupported),
        ("CREATE TABLE \"t \" (a INTEGER)", Unsupported),
        ("CREATE TABLE temp.t (a INTEGER)", Unsupported),
        ("CREATE TEMP TABLE t (a INTEGER)", Unsupported),
        ("CREATE TABLE t AS SELECT 1 AS a", Unsupported),
        ("CREATE TABLE t AS SELECT * FROM orders", Unsupported),
        ("CREATE TABLE t AS VALUES (1)", Unsupported),
        ("CREATE VIEW t AS SELECT 1 AS a", Unsupported),
        ("CREATE VIRTUAL TABLE t USING fts5(a)", Unsupported),
        ("CREATE VIRTUAL TABLE t USING dbstat", Unsupported),
        ("CREATE INDEX t ON orders (name)", Unsupported),
        (
            "CREATE TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1",
            Unsupported,
        ),
        ("CREATE TABLE t (a INTEGER); DROP TABLE orders", Unsupported),
        (
            "CREATE TABLE t (a INTEGER); -- x\nCREATE TABLE other (a)",
            Unsupported,
        ),
        (
            "CREATE TABLE t (a INTEGER CHECK (load_extension('x')))",
            Unsupported,
        ),
        (
            "CREATE TABLE t (a INTEGER, b DEFAULT (load_extension('x')))",
            Unsupported,
        ),
        ("CREATE TABLE t (a INTEGER DEFAULT (?1))", Statement),
        ("CREATE TABLE t (a INTEGER DEFAULT ((SELECT 1)))", Statement),
        ("EXPLAIN CREATE TABLE t (a INTEGER)", Unsupported),
        ("DROP TABLE orders", Unsupported),
        ("DELETE FROM orders", Unsupported),
        ("INSERT INTO orders VALUES (3, 'x', 1)", Unsupported),
        ("UPDATE orders SET name = 'x'", Unsupported),
        ("ALTER TABLE orders RENAME TO t", Unsupported),
        ("SELECT 1 AS a", Unsupported),
        ("PRAGMA query_only = 0", Unsupported),
        ("PRAGMA writable_schema = 1", Unsupported),
        ("UPDATE sqlite_master SET sql = 'x'", Statement),
        (
            "INSERT INTO sqlite_master VALUES ('table', 't', 't', 0, 'CREATE TABLE t (a)')",
            Statement,
        ),
        ("COMMIT", Unsupported),
        ("ROLLBACK", Unsupported),
        ("SAVEPOINT t", Unsupported),
        ("VACUUM", Unsupported),
        (attach.as_str(), Unsupported),
        (vacuum.as_str(), Unsupported),
        ("", Syntax),
        ("CREATE TABLE t (a INTEGER", Syntax),
    ] {
        let error = write(&workspace, create, &rows, &options()).expect_err(create);
        assert_eq!(error.kind(), kind, "{create}: {error}");
        hinted(&error);
        let select = "SELECT 1 AS a";
        let error = workspace
            .create_as(create, select, "t", &options())
            .expect_err(create);
        assert_eq!(error.kind(), kind, "{create}: {error}");
        assert_eq!(tables(&workspace), before, "{create}");
    }
    assert!(!file.exists());
    assert_eq!(
        all(&workspace, "SELECT * FROM orders").unwrap().num_rows(),
        2
    );
}

/// What fills a table does not do more than read, either.
#[test]
fn what_fills_a_table_only_reads() {
    let workspace = shop();
    let before = tables(&workspace);
    let create = "CREATE TABLE t (a INTEGER)";
    for (select, kind) in [
        ("DELETE FROM orders RETURNING id AS a", ErrorKind::ReadOnly),
        (
            "SELECT 1 AS a; DROP TABLE orders",
            ErrorKind::UnsupportedStatement,
        ),
        (
            "SELECT load_extension('x') AS a",
            ErrorKind::UnsupportedStatement,
        ),
        (
            "SELECT name AS a FROM pragma_table_info('orders')",
            ErrorKind::UnsupportedStatement,
        ),
        // It would never come to its end.
        (
            "SELECT a FROM t UNION ALL SELECT 1 AS a",
            ErrorKind::TableNotFound,
        ),
        ("COMMIT", ErrorKind::UnsupportedStatement),
    ] {
        let error = workspace
            .create_as(create, select, "t", &options())
            .expect_err(select);
        assert_eq!(error.kind(), kind, "{select}: {error}");
        hinted(&error);
        assert_eq!(tables(&workspace), before, "{select}");
    }
}

/// `ON CONFLICT` in a constraint would drop rows in silence.
#[test]
fn no_constraint_drops_rows() {
    let workspace = shop();
    for conflict in ["IGNORE", "REPLACE", "ROLLBACK", "FAIL"] {
        let create = format!("CREATE TABLE t (a INTEGER UNIQUE ON CONFLICT {conflict})");
        let select = "SELECT 1 AS a UNION ALL SELECT 1";
        let error = workspace
            .create_as(&create, select, "t", &options())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Constraint, "{conflict}");
        assert_eq!(error.attributes(), [("row".to_owned(), "2".to_owned())]);
        assert_eq!(tables(&workspace), ["lines", "orders"]);
    }
}

/// What another program left in the file is read and left alone.
#[test]
fn views_of_others() {
    let folder = Folder::new();
    let file = folder.file("w.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    let sql =
        "CREATE TABLE a (x); INSERT INTO a VALUES (1); CREATE VIEW v AS SELECT x + 1 AS x FROM a";
    other.execute_batch(sql).unwrap();
    drop(other);
    let workspace = Workspace::open(&file).unwrap();
    assert_eq!(tables(&workspace), ["a", "v"]);
    assert_eq!(workspace.read("v", &options()).unwrap().count(), 1);
    let error = workspace.drop_table("v").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedStatement);
    hinted(&error);
    workspace.drop_table("a").unwrap();
    let error = workspace.read("v", &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound, "{error}");
}

/// What a refusal says is what was written.
#[test]
fn refusals_name_what_they_refuse() {
    let workspace = shop();
    for (create, said) in [
        (
            "CREATE TABLE t AS SELECT 1 AS a",
            "CREATE TABLE AS is not permitted here",
        ),
        ("SELECT 1 AS a", "a query is not permitted here"),
        (
            "CREATE TABLE u (a)",
            "CREATE TABLE \"u\" is not permitted here",
        ),
        (
            "PRAGMA user_version = 1",
            "PRAGMA user_version is not permitted here",
        ),
        (
            "VACUUM",
            "a statement that creates no table is not permitted here",
        ),
        (
            "DROP TABLE orders",
            "DELETE FROM \"sqlite_master\" is not permitted here",
        ),
    ] {
        let error = workspace
            .create_as(create, "SELECT 1 AS a", "t", &options())
            .unwrap_err();
        assert_eq!(error.to_string(), said, "{create}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.starts_with("write one CREATE TABLE \"t\""))
        );
    }
    let error = workspace
        .query("SELECT load_extension('x')", &options())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the function load_extension is not permitted here"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.starts_with("write one SELECT"))
    );
}

/// A misspelt column in double quotes is not text.
#[test]
fn double_quotes_are_for_names() {
    let error = shop()
        .query("SELECT \"nmae\" FROM orders", &options())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColumnNotFound);
    assert_eq!(error.position(), Some(8));
    hinted(&error);
    let create = "CREATE TABLE t (a TEXT DEFAULT \"x\" CHECK (a <> \"y\"))";
    let error = shop()
        .create_as(create, "SELECT 'a' AS a", "t", &options())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ColumnNotFound);
}

/// One statement does not take all memory.
#[test]
fn values_have_an_end() {
    for sql in [
        "SELECT zeroblob(300000000) AS x",
        "SELECT hex(zeroblob(150000000)) AS x",
        "SELECT printf('%300000000d', 1) AS x",
    ] {
        let error = shop().query(sql, &options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{sql}: {error}");
        hinted(&error);
    }
    let long = format!("SELECT 1 {}", " ".repeat(1024 * 1024));
    let error = shop().query(&long, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    hinted(&shop().query(&deep, &options()).unwrap_err());
}

/// What a model may well write, and what is none of it.
#[test]
fn what_reads_is_not_refused() {
    let workspace = shop();
    for sql in [
        "SELECT * FROM orders;",
        "-- all of them\nSELECT * FROM orders -- and no more",
        "WITH big AS (SELECT * FROM orders WHERE total > 1) SELECT count(*) AS n FROM big",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
        "VALUES (1, 'DROP TABLE orders; --')",
        "SELECT value FROM json_each('[1,2]')",
        "SELECT upper(name) || ';' AS x, row_number() OVER (ORDER BY id) AS n FROM orders",
        "SELECT o.name, l.at FROM orders o LEFT JOIN lines l ON l.\"order\" = o.id",
        "SELECT datetime('2024-01-01', '+1 day') AS at, random() AS r",
        "SELECT name FROM sqlite_master",
        "SELECT 'ATTACH', 'PRAGMA', \"name\" FROM main.orders",
    ] {
        all(&workspace, sql).expect(sql);
    }
}
