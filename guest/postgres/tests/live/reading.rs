//! Queries and tables into Arrow.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_postgres::read::Selection;

use crate::harness::{
    LIMITS, collect, failure, open, rows_of_query, rows_of_table, sql, with_database,
};

#[test]
fn a_query_returns_its_rows_and_leaves_the_session_idle() {
    with_database("query", |_, database| {
        let session = open(database)?;
        for _ in 0..2 {
            let rows = rows_of_query(
                &session,
                "SELECT 1 AS one, 'a'::text AS two, NULL::int8 AS none",
                LIMITS,
            )?;
            let (schema, batches) = collect(rows)?;
            assert_eq!(schema.field(0).metadata()["dagflux:type"], "integer");
            let [batch] = batches.as_slice() else {
                panic!("{} batches", batches.len());
            };
            assert_eq!(batch.column(0).as_primitive::<Int32Type>().value(0), 1);
            assert_eq!(batch.column(1).as_string::<i32>().value(0), "a");
            assert!(batch.column(2).as_primitive::<Int64Type>().is_null(0));
        }
        Ok(())
    });
}

#[test]
fn a_table_is_read_by_copy_in_batches_within_their_limits() {
    with_database("read", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t AS SELECT g AS id, (g % 100 / 7.0)::numeric(15,2) AS price, repeat('x', g % 50) AS text, CASE WHEN g % 3 = 0 THEN g END AS maybe FROM generate_series(1, 200000) g",
        )?;
        let session = open(database)?;
        let rows = rows_of_table(&session, None, "t", &Selection::default(), LIMITS)?;
        let (_, batches) = collect(rows)?;
        let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(count, 200_000);
        for batch in &batches {
            assert!(batch.num_rows() <= LIMITS.rows);
        }
        let total: i128 = batches
            .iter()
            .flat_map(|batch| batch.column(1).as_primitive::<Decimal128Type>().values())
            .sum();
        let rows = rows_of_query(&session, "SELECT (sum(price) * 100)::bigint FROM t", LIMITS)?;
        let (_, batches) = collect(rows)?;
        assert_eq!(
            total,
            i128::from(batches[0].column(0).as_primitive::<Int64Type>().value(0))
        );
        Ok(())
    });
}

#[test]
fn every_kind_of_statement_that_reads_is_taken() {
    with_database("kinds", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t AS SELECT 1 AS id; CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'",
        )?;
        let session = open(database)?;
        for statement in [
            "VALUES (1), (2)",
            "TABLE t",
            "SHOW search_path",
            "EXPLAIN SELECT * FROM t",
            "EXPLAIN ANALYZE SELECT * FROM t",
            "WITH w AS (SELECT * FROM t) SELECT * FROM w",
            "-- a comment\nSELECT 1 /* another; */;",
            "SELECT * FROM f()",
            "SELECT NULL, ROW(1, NULL), ARRAY[1]::int[], '{}'::jsonb, now(), current_user",
            "(SELECT 1) UNION ALL (SELECT 2)",
        ] {
            let (_, batches) = collect(rows_of_query(&session, statement, LIMITS)?)?;
            assert!(!batches.is_empty(), "{statement}");
        }
        for statement in [
            "EXPLAIN ANALYZE INSERT INTO t VALUES (2)",
            "SELECT nextval('s')",
            "WITH w AS (DELETE FROM t RETURNING *) SELECT * FROM w",
        ] {
            let result = rows_of_query(&session, statement, LIMITS);
            failure(result.and_then(|mut rows| rows.next_batch()))?;
        }
        // What a statement sets for the session does not stay.
        collect(rows_of_query(
            &session,
            "SELECT set_config('lock_timeout', '4711', false)",
            LIMITS,
        )?)?;
        let (_, batches) = collect(rows_of_query(&session, "SHOW lock_timeout", LIMITS)?)?;
        assert_eq!(batches[0].column(0).as_string::<i32>().value(0), "0");
        Ok(())
    });
}

#[test]
fn only_one_statement_that_reads_is_taken() {
    with_database("one_statement", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int); GRANT ALL ON t TO dagflux",
        )?;
        let session = open(database)?;
        for (statement, kind) in [
            ("COMMIT; DROP TABLE t", ErrorKind::UnsupportedStatement),
            ("COMMIT", ErrorKind::UnsupportedStatement),
            (
                "SET TRANSACTION READ WRITE",
                ErrorKind::UnsupportedStatement,
            ),
            ("COPY t TO STDOUT", ErrorKind::UnsupportedStatement),
            ("", ErrorKind::UnsupportedStatement),
            ("SELECT $1::int", ErrorKind::UnsupportedStatement),
            ("INSERT INTO t VALUES (1) RETURNING id", ErrorKind::ReadOnly),
            ("SELECT 1) TO PROGRAM 'touch /tmp/x' --", ErrorKind::Syntax),
            ("SELECT nope FROM t", ErrorKind::ColumnNotFound),
            ("SELECT * FROM nope", ErrorKind::TableNotFound),
            ("SELECT 1/0", ErrorKind::Statement),
            ("SELEC 1", ErrorKind::Syntax),
        ] {
            let error = failure(
                rows_of_query(&session, statement, LIMITS).and_then(|mut rows| rows.next_batch()),
            )?;
            assert_eq!(error.kind(), kind, "{statement}: {error:?}");
            assert!(error.has_hint(), "{statement}");
        }
        let (_, batches) = collect(rows_of_query(&session, "SELECT count(*) FROM t", LIMITS)?)?;
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 0);
        Ok(())
    });
}
