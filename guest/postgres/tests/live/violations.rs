//! What a row violates is said with row, column and value.

use anyhow::Result;
use arrow_array::RecordBatch;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Duplicates, WriteMode, WriteOptions,
};
use dagflux_postgres::catalog;
use dagflux_postgres::read::Selection;

use crate::harness::{LIMITS, failure, open, rows_of_table, sql, with_database};
use crate::modes::{attribute, ints, mode, run, texts, upsert};
use crate::writing::{batch, count};

fn names(names: Vec<Option<&str>>) -> Result<RecordBatch> {
    let ids: Vec<i32> = (1..).take(names.len()).collect();
    batch(vec![("id", ints(ids)), ("v", texts(names))])
}

#[test]
fn a_violation_names_row_column_and_value() {
    with_database("violations", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TYPE mood AS ENUM ('sad', 'it''s'); CREATE DOMAIN small AS int CHECK (VALUE < 10);
             CREATE TABLE parent (k text PRIMARY KEY); INSERT INTO parent VALUES ('a'), ('b');
             CREATE TABLE \"Odd, name\" (id int PRIMARY KEY, v text, UNIQUE (v), CHECK (length(v) < 5));
             CREATE TABLE needs (id int PRIMARY KEY, v text NOT NULL);
             CREATE TABLE moods (id int PRIMARY KEY, v mood);
             CREATE TABLE lists (id int PRIMARY KEY, v mood[]);
             CREATE TABLE smalls (id int PRIMARY KEY, v small);
             CREATE TABLE ints (id int PRIMARY KEY, v int);
             CREATE TABLE child (id int PRIMARY KEY, v text REFERENCES parent);
             INSERT INTO \"Odd, name\" VALUES (100, 'used')",
        )?;
        let session = open(database)?;
        let a = Some("a");
        for (table, values, sqlstate, kind, row, value) in [
            (
                "Odd, name",
                vec![a, Some("b"), Some("used")],
                "23505",
                ErrorKind::Constraint,
                "3",
                "used",
            ),
            (
                "Odd, name",
                vec![a, Some("abcdef")],
                "23514",
                ErrorKind::Constraint,
                "2",
                "abcdef",
            ),
            (
                "needs",
                vec![a, a, None],
                "23502",
                ErrorKind::Constraint,
                "3",
                "null",
            ),
            (
                "moods",
                vec![Some("sad"), Some("glad")],
                "22P02",
                ErrorKind::Value,
                "2",
                "glad",
            ),
            (
                "lists",
                vec![Some("{sad}"), Some("{sad,glad}")],
                "22P02",
                ErrorKind::Value,
                "2",
                "{sad,glad}",
            ),
            (
                "smalls",
                vec![Some("9"), Some("10")],
                "23514",
                ErrorKind::Constraint,
                "2",
                "10",
            ),
            (
                "ints",
                vec![Some("9"), Some("1x")],
                "22P02",
                ErrorKind::Value,
                "2",
                "1x",
            ),
            (
                "child",
                vec![a, Some("b"), Some("z")],
                "23503",
                ErrorKind::Constraint,
                "3",
                "z",
            ),
        ] {
            let offered = names(values)?;
            for options in [mode(WriteMode::Append), upsert(&[], Duplicates::Fail)] {
                let upserts = !matches!(options.mode, WriteMode::Append);
                let error = failure(run(&session, table, &offered, &options)?)?;
                let record = error.as_record();
                assert_eq!(
                    record.sqlstate.as_deref(),
                    Some(sqlstate),
                    "{table}: {error}"
                );
                assert_eq!(error.kind(), kind, "{table}: {error}");
                assert_eq!(
                    attribute(&error, "column"),
                    Some("v"),
                    "{table}: {record:?}"
                );
                assert_eq!(
                    attribute(&error, "value"),
                    Some(value),
                    "{table}: {record:?}"
                );
                // A foreign key is looked at when all rows are there; only gathered rows can be
                // traced then.
                let expected = (table != "child" || upserts).then_some(row);
                assert_eq!(attribute(&error, "row"), expected, "{table}: {record:?}");
                if expected.is_some() {
                    let place = format!("row {row}, column \"v\": ");
                    assert!(error.message().starts_with(&place), "{error}");
                }
                assert!(!format!("{record:?}").contains("staging"), "{record:?}");
                if table == "moods" || table == "lists" {
                    let hint = record.hint.clone().unwrap_or_default();
                    assert!(hint.contains("\"sad\", \"it's\""), "{hint}");
                }
                let rows = count(&session, &format!("SELECT count(*) FROM \"{table}\""))?;
                assert_eq!(rows, if table == "Odd, name" { "1" } else { "0" });
            }
        }
        Ok(())
    });
}

#[test]
fn a_row_without_a_partition_is_named() {
    with_database("unrouted", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE p (\"Id\" int PRIMARY KEY, v text CHECK (v <> 'no).')) PARTITION BY RANGE (\"Id\")",
        )?;
        sql(
            runtime,
            database,
            "CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE UNIQUE INDEX low_v ON low (v);
             CREATE TABLE whole (id int PRIMARY KEY, v text, CHECK (whole IS NOT NULL)); INSERT INTO p VALUES (9, 'used')",
        )?;
        let session = open(database)?;
        for options in [mode(WriteMode::Append), upsert(&[], Duplicates::Fail)] {
            for (ids, values, column, value) in [
                (vec![1, 10], vec![Some("a"), Some("b")], "Id", "10"),
                (vec![1, 2], vec![Some("a"), Some("used")], "v", "used"),
                (vec![1, 2], vec![Some("a"), Some("no).")], "v", "no)."),
            ] {
                let offered = batch(vec![("Id", ints(ids)), ("v", texts(values))])?;
                let error = failure(run(&session, "p", &offered, &options)?)?;
                let record = error.as_record();
                assert_eq!(error.kind(), ErrorKind::Constraint);
                assert_eq!(
                    attribute(&error, "column").map(|c| c.trim_matches('"')),
                    Some(column),
                    "{record:?}"
                );
                assert_eq!(attribute(&error, "value"), Some(value), "{record:?}");
                assert_eq!(attribute(&error, "row"), Some("2"), "{record:?}");
            }
            let report = run(&session, "whole", &names(vec![Some("a")])?, &options)??;
            assert_eq!(report.inserted + report.updated, 1);
        }
        Ok(())
    });
}

#[test]
fn types_are_given_for_the_columns_of_a_new_table() {
    with_database("typed", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int); CREATE TYPE \"Mood\" AS ENUM ('sad')",
        )?;
        let session = open(database)?;
        let offered = batch(vec![
            ("id", ints(vec![1])),
            ("amount", texts(vec![Some("1.50")])),
            ("mood", texts(vec![Some("sad")])),
            ("code", texts(vec![Some("x")])),
        ])?;
        let typed = |types: &[(&str, &str)], write: WriteMode| WriteOptions {
            types: types
                .iter()
                .map(|(c, t)| ((*c).to_owned(), (*t).to_owned()))
                .collect(),
            ..mode(write)
        };
        let options = typed(
            &[
                ("id", "BIGINT"),
                ("amount", "Decimal(10, 2)"),
                ("mood", "\"Mood\""),
                ("code", "char(3)"),
            ],
            WriteMode::Create,
        );
        run(&session, "made", &offered, &options)??;
        assert_eq!(
            count(
                &session,
                "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum > 0"
            )?,
            "bigint, numeric(10,2), \"Mood\", character(3)"
        );
        let options = typed(
            &[
                ("id", "uuid"),
                ("amount", "no_such_type"),
                ("mood", "int); DROP TABLE t; --"),
                ("nope", "int"),
                ("code", "int"),
                ("code", "text"),
            ],
            WriteMode::Create,
        );
        let error = failure(run(&session, "wrong", &offered, &options)?)?;
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        for part in [
            "\"id\" is Int32, which does not fit uuid",
            "\"amount\" cannot be \"no_such_type\"",
            "\"mood\" cannot be \"int); DROP TABLE t; --\"",
            "a type is given for \"nope\"",
            "two types are given for \"code\"",
        ] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
        let error = failure(run(
            &session,
            "t",
            &offered,
            &typed(&[("id", "int")], WriteMode::Append),
        )?)?;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(attribute(&error, "column"), Some("id"));
        assert_eq!(
            count(&session, "SELECT to_regclass('wrong') IS NULL")?,
            "true"
        );
        Ok(())
    });
}

#[test]
fn names_equal_in_their_first_63_bytes_never_mix() {
    with_database("long_names", |runtime, database| {
        let kept = "n".repeat(63);
        let long = format!("{kept}x");
        sql(
            runtime,
            database,
            &format!(
                "CREATE TABLE {kept} (id int, {kept} int); CREATE SCHEMA {kept}; CREATE TABLE {kept}.t (id int)"
            ),
        )?;
        let session = open(database)?;
        let one = batch(vec![("id", ints(vec![1]))])?;
        for options in [
            mode(WriteMode::Append),
            mode(WriteMode::Replace),
            upsert(&["id"], Duplicates::Fail),
        ] {
            let error = failure(run(&session, &long, &one, &options)?)?;
            assert_eq!(error.kind(), ErrorKind::TableNotFound);
        }
        let error = failure(run(&session, &long, &one, &mode(WriteMode::Create))?)?;
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        let columns = batch(vec![("id", ints(vec![1])), (&long, ints(vec![1]))])?;
        let error = failure(run(&session, &kept, &columns, &mode(WriteMode::Append))?)?;
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        run(&session, &kept, &one, &mode(WriteMode::Append))??;

        let all = Selection::default();
        let error = failure(rows_of_table(&session, None, &long, &all, LIMITS))?;
        assert_eq!(error.kind(), ErrorKind::TableNotFound);
        let error = failure(rows_of_table(&session, Some(&long), "t", &all, LIMITS))?;
        assert_eq!(error.kind(), ErrorKind::SchemaNotFound);
        let column = Selection {
            columns: Some(vec![long.clone()]),
            limit: None,
        };
        let error = failure(rows_of_table(&session, None, &kept, &column, LIMITS))?;
        assert_eq!(error.kind(), ErrorKind::ColumnNotFound);
        drop(rows_of_table(&session, None, &kept, &all, LIMITS)?);
        let mut session = session.borrow_mut();
        let error = failure(catalog::tables(&mut session, Some(&long)))?;
        assert_eq!(error.kind(), ErrorKind::SchemaNotFound);
        let error = failure(catalog::columns(&mut session, None, Some(&long)))?;
        assert_eq!(error.kind(), ErrorKind::TableNotFound);
        assert_eq!(catalog::tables(&mut session, Some(&kept))?.len(), 1);
        Ok(())
    });
}
