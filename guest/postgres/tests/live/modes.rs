//! What a write does with the rows there are: replace, upsert, and dry runs of all modes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Duplicates, Upsert, WriteMode, WriteOptions, WriteReport,
};
use dagflux_guest::{Error, ipc};
use dagflux_postgres::rows::Shared;
use dagflux_postgres::{query, write};

use crate::harness::{failure, open, open_as, sql, with_database};
use crate::writing::{batch, count, message};

/// Options without types.
pub fn mode(mode: WriteMode) -> WriteOptions {
    WriteOptions {
        mode,
        types: Vec::new(),
        dry_run: false,
    }
}

/// An upsert by a key.
pub fn upsert(key: &[&str], duplicates: Duplicates) -> WriteOptions {
    mode(WriteMode::Upsert(Upsert {
        key: key.iter().map(|&column| column.to_owned()).collect(),
        duplicates,
    }))
}

/// Writes a batch.
pub fn run(
    session: &Shared,
    table: &str,
    batch: &RecordBatch,
    options: &WriteOptions,
) -> Result<dagflux_guest::Result<WriteReport>> {
    let schema = ipc::schema_message(&batch.schema())?;
    let message = message(batch)?;
    let written = || {
        let mut sink = write::write(session, None, table, &schema, options)?;
        sink.write(message)?;
        sink.finish()
    };
    Ok(written())
}

/// An attribute of an error.
pub fn attribute<'e>(error: &'e Error, name: &str) -> Option<&'e str> {
    let mut attributes = error.as_record().attributes.iter();
    let (_, value) = attributes.find(|(known, _)| known == name)?;
    Some(value)
}

/// A column of integers.
pub fn ints(values: impl Into<Int32Array>) -> ArrayRef {
    Arc::new(values.into())
}

/// A column of text.
pub fn texts(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn rows(ids: Vec<i32>, names: Vec<&str>) -> Result<RecordBatch> {
    let names = names.into_iter().map(Some).collect();
    batch(vec![("id", ints(ids)), ("name", texts(names))])
}

#[test]
fn a_replace_puts_new_rows_in_place_of_the_old() {
    with_database("replace", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int PRIMARY KEY, name text, up int REFERENCES t);
             INSERT INTO t VALUES (1, 'a', 2), (2, 'b', 1), (3, 'c', 3);
             CREATE TABLE later (t int REFERENCES t DEFERRABLE INITIALLY DEFERRED); INSERT INTO later VALUES (3);
             CREATE TABLE empty (t int REFERENCES t); INSERT INTO empty VALUES (NULL)",
        )?;
        let session = open(database)?;
        let report = run(
            &session,
            "t",
            &rows(vec![3, 4], vec!["x", "y"])?,
            &mode(WriteMode::Replace),
        )??;
        assert_eq!((report.deleted, report.inserted, report.updated), (3, 2, 0));
        assert_eq!(
            report.statements,
            [
                "BEGIN ISOLATION LEVEL READ COMMITTED",
                "LOCK TABLE \"public\".\"t\" IN SHARE ROW EXCLUSIVE MODE",
                "DELETE FROM \"public\".\"t\"",
                "COPY \"public\".\"t\" (\"id\", \"name\") FROM STDIN (FORMAT binary)",
                "COMMIT",
            ]
        );
        assert_eq!(
            count(
                &session,
                "SELECT string_agg(id || name, ',' ORDER BY id) FROM t"
            )?,
            "3x,4y"
        );
        // The row referred to at the commit is gone.
        let error = failure(run(
            &session,
            "t",
            &rows(vec![5], vec!["z"])?,
            &mode(WriteMode::Replace),
        )?)?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert_eq!(count(&session, "SELECT count(*) FROM t")?, "2");
        Ok(())
    });
}

#[test]
fn a_replace_deletes_what_was_committed_while_it_waited() {
    with_database("waited", |runtime, database| {
        for isolation in ["read committed", "repeatable read", "serializable"] {
            sql(
                runtime,
                database,
                &format!(
                    "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'old');
                     ALTER ROLE dagflux IN DATABASE waited SET default_transaction_isolation = '{isolation}'"
                ),
            )?;
            let session = open(database)?;
            assert_eq!(
                count(&session, "SELECT current_setting('transaction_isolation')")?,
                isolation
            );
            // Someone adds a row, and commits when the replace has begun and waits for its lock.
            let client = runtime.block_on(database.sql())?;
            runtime.block_on(client.batch_execute("BEGIN; INSERT INTO t VALUES (2, 'other')"))?;
            let other = runtime.spawn(async move {
                let waiting =
                    "SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
                while client.query(waiting, &[]).await?.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                client.batch_execute("COMMIT").await
            });
            let report = run(
                &session,
                "t",
                &rows(vec![3], vec!["new"])?,
                &mode(WriteMode::Replace),
            )??;
            runtime.block_on(other)??;
            assert_eq!((report.deleted, report.inserted), (2, 1), "{isolation}");
            assert_eq!(
                count(&session, "SELECT string_agg(name, ',') FROM t")?,
                "new"
            );
        }
        Ok(())
    });
}

#[test]
fn a_replace_names_all_that_stands_in_its_way() {
    with_database("obstacles", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a');
             CREATE TABLE cascading (t int CONSTRAINT casc REFERENCES t ON DELETE CASCADE);
             CREATE TABLE nulling (t int CONSTRAINT nulls REFERENCES t ON DELETE SET NULL);
             CREATE TABLE filled (t int CONSTRAINT fills REFERENCES t); INSERT INTO filled VALUES (1);
             CREATE TABLE hidden (t int CONSTRAINT hides REFERENCES t); REVOKE ALL ON hidden FROM dagflux;
             CREATE TABLE child () INHERITS (t);
             CREATE RULE no_delete AS ON DELETE TO t DO INSTEAD NOTHING;
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id > 0);
             REVOKE DELETE ON t FROM dagflux;
             CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id",
        )?;
        let session = open(database)?;
        let offered = batch(vec![("id", ints(vec![1])), ("other", ints(vec![1]))])?;
        let error = failure(run(&session, "t", &offered, &mode(WriteMode::Replace))?)?;
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        let hint = error.as_record().hint.clone().unwrap_or_default();
        for part in [
            "\"other\" is not a column",
            "\"casc\" of \"public\".\"cascading\"",
            "ON DELETE CASCADE",
            "\"nulls\"",
            "ON DELETE SET NULL",
            "rows of \"public\".\"filled\" refer",
            "\"hides\" of \"public\".\"hidden\" may refer",
            "\"public\".\"child\" inherits",
            "rule \"no_delete\"",
            "row-level security",
            "lacks DELETE",
        ] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
        for part in [
            "ALTER TABLE \"public\".\"cascading\" DROP CONSTRAINT \"casc\";",
            "GRANT SELECT ON \"public\".\"hidden\" TO \"dagflux\";",
            "GRANT DELETE ON \"public\".\"t\" TO \"dagflux\";",
            "ALTER TABLE \"public\".\"child\" NO INHERIT \"public\".\"t\";",
            "BYPASSRLS",
        ] {
            assert!(hint.contains(part), "{part}: {hint}");
        }
        for (table, kind) in [("v", "a view"), ("m", "a materialized view")] {
            let one = batch(vec![("id", ints(vec![1]))])?;
            let error = failure(run(&session, table, &one, &mode(WriteMode::Replace))?)?;
            assert!(error.message().contains(kind), "{error}");
        }
        // Nothing was touched, and the session goes on.
        assert_eq!(count(&session, "SELECT count(*) FROM filled")?, "1");
        Ok(())
    });
}

#[test]
fn a_replace_heeds_the_rules_that_are_in_force() {
    with_database("rules", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int, name text); CREATE RULE no_delete AS ON DELETE TO t DO INSTEAD NOTHING",
        )?;
        let session = open(database)?;
        let offered = rows(vec![1], vec!["a"])?;
        for (state, refused) in [
            ("DISABLE", false),
            ("ENABLE REPLICA", false),
            ("ENABLE ALWAYS", true),
            ("ENABLE", true),
        ] {
            sql(
                runtime,
                database,
                &format!("ALTER TABLE t {state} RULE no_delete"),
            )?;
            let result = run(&session, "t", &offered, &mode(WriteMode::Replace))?;
            assert_eq!(
                result.map_err(|error| error.kind()).is_err(),
                refused,
                "{state}"
            );
        }
        // What the failure says to do removes it.
        let error = failure(run(&session, "t", &offered, &mode(WriteMode::Replace))?)?;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        sql(
            runtime,
            database,
            error.as_record().hint.as_deref().unwrap_or_default(),
        )?;
        let report = run(&session, "t", &offered, &mode(WriteMode::Replace))??;
        assert_eq!((report.deleted, report.inserted), (1, 1));
        Ok(())
    });
}

#[test]
fn a_replace_looks_at_partitions_of_partitions() {
    with_database("leaves", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
             CREATE TABLE half PARTITION OF t FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
             CREATE TABLE leaf PARTITION OF half FOR VALUES FROM (0) TO (50);
             CREATE TABLE within (id int PRIMARY KEY, t int REFERENCES t);
             CREATE TABLE cascading (leaf int CONSTRAINT of_leaf REFERENCES leaf ON DELETE CASCADE);
             CREATE TABLE whole (t int CONSTRAINT of_t REFERENCES t ON DELETE SET NULL);
             CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER keeper BEFORE DELETE ON leaf FOR EACH ROW EXECUTE FUNCTION keep();
             INSERT INTO t VALUES (1, 'old')",
        )?;
        let offered = rows(vec![2], vec!["new"])?;
        // A server of version 11 has no function for what a table is made of.
        for session in [open(database)?, open_as(database, b"11")?] {
            for table in ["t", "half", "leaf"] {
                let error = failure(run(&session, table, &offered, &mode(WriteMode::Replace))?)?;
                for part in [
                    "\"public\".\"cascading\" would change",
                    "\"public\".\"whole\" would change",
                ] {
                    assert!(error.message().contains(part), "{table}: {error}");
                }
                assert_eq!(error.as_record().attributes.len(), 2, "{error}");
            }
        }
        let session = open_as(database, b"11")?;
        sql(runtime, database, "DROP TABLE cascading, whole")?;
        let error = failure(run(&session, "t", &offered, &mode(WriteMode::Replace))?)?;
        assert!(error.message().contains("\"keeper\""), "{error}");
        sql(runtime, database, "DROP TRIGGER keeper ON leaf")?;
        let report = run(&session, "t", &offered, &mode(WriteMode::Replace))??;
        assert_eq!((report.deleted, report.inserted), (1, 1));
        Ok(())
    });
}

#[test]
fn types_that_have_to_be_looked_up_do_not_stand_in_the_way() {
    with_database("looked_up", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN code AS text;
             CREATE TABLE t (id int PRIMARY KEY, m mood, c code, l int[]); INSERT INTO t (id) VALUES (1);
             CREATE TABLE others (t int REFERENCES t ON DELETE CASCADE)",
        )?;
        let session = open(database)?;
        let offered = batch(vec![
            ("id", ints(vec![1])),
            ("m", texts(vec![Some("sad")])),
            ("c", texts(vec![Some("x")])),
            ("l", texts(vec![Some("{1}")])),
        ])?;
        let report = run(&session, "t", &offered, &upsert(&[], Duplicates::Fail))??;
        assert_eq!((report.inserted, report.updated), (0, 1));
        let error = failure(run(&session, "t", &offered, &mode(WriteMode::Replace))?)?;
        assert!(error.message().contains("ON DELETE CASCADE"), "{error}");
        query::execute(&session, "SELECT 1")?;
        sql(runtime, database, "DROP TABLE others")?;
        let report = run(&session, "t", &offered, &mode(WriteMode::Replace))??;
        assert_eq!((report.inserted, report.deleted), (1, 1));
        Ok(())
    });
}

#[test]
fn a_trigger_that_keeps_rows_is_found_out() {
    with_database("kept", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2);
             CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = 1 THEN RETURN NULL; END IF; RETURN OLD; END';
             CREATE TRIGGER keeper BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()",
        )?;
        let session = open(database)?;
        let one = batch(vec![("id", ints(vec![2]))])?;
        let error = failure(run(&session, "t", &one, &mode(WriteMode::Replace))?)?;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("\"keeper\""), "{error}");
        assert_eq!(count(&session, "SELECT count(*) FROM t")?, "2");
        sql(
            runtime,
            database,
            "DELETE FROM t WHERE id = 2; UPDATE t SET id = 3",
        )?;
        let report = run(&session, "t", &one, &mode(WriteMode::Replace))??;
        assert_eq!((report.deleted, report.inserted), (1, 1));
        Ok(())
    });
}

#[test]
fn an_upsert_changes_what_is_there_and_adds_the_rest() {
    with_database("upsert", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (a int, note text DEFAULT 'new', b text, name text, PRIMARY KEY (a, b));
             INSERT INTO t VALUES (1, 'kept', 'x', 'old'), (2, 'kept', 'y', 'old');
             CREATE TABLE keys (id int PRIMARY KEY); INSERT INTO keys VALUES (1);
             CREATE TABLE parts (id int, name text, \"dagflux_row\" text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
             CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
             CREATE TABLE parts_high (gone int, name text, \"dagflux_row\" text, id int NOT NULL);
             ALTER TABLE parts_high DROP COLUMN gone;
             ALTER TABLE parts ATTACH PARTITION parts_high FOR VALUES FROM (100) TO (200);
             INSERT INTO parts VALUES (1, 'old'), (101, 'old')",
        )?;
        let session = open(database)?;
        let offered = batch(vec![
            ("name", texts(vec![Some("n1"), Some("n2"), None])),
            ("b", texts(vec![Some("z"), Some("x"), Some("x")])),
            ("a", ints(vec![1, 1, 2])),
        ])?;
        let options = upsert(&[], Duplicates::Fail);
        let report = run(&session, "t", &offered, &options)??;
        assert_eq!((report.inserted, report.updated, report.deleted), (2, 1, 0));
        assert_eq!(
            count(
                &session,
                "SELECT string_agg(concat_ws('|', a, b, note, COALESCE(name, 'null')), ', ' ORDER BY a, b) FROM t"
            )?,
            "1|x|kept|n2, 1|z|new|n1, 2|x|new|null, 2|y|kept|old"
        );
        assert_eq!(report.statements.len(), 6, "{:?}", report.statements);
        // Nothing but a key.
        let report = run(
            &session,
            "keys",
            &batch(vec![("id", ints(vec![1, 2]))])?,
            &options,
        )??;
        assert_eq!((report.inserted, report.updated), (1, 0));
        let error = failure(run(
            &session,
            "keys",
            &batch(vec![("id", ints(vec![5, 5]))])?,
            &options,
        )?)?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        // Partitions, one of them with columns in other places.
        let offered = rows(vec![1, 2, 101, 102, 103], vec!["a", "b", "c", "d", "e"])?;
        let report = run(&session, "parts", &offered, &options)??;
        assert_eq!((report.inserted, report.updated), (3, 2));
        let last = upsert(&["id"], Duplicates::LastWins);
        let offered = rows(vec![1, 1, 3, 101, 3], vec!["p", "q", "r", "s", "t"])?;
        let report = run(&session, "parts", &offered, &last)??;
        assert_eq!((report.inserted, report.updated), (1, 2));
        assert_eq!(
            count(
                &session,
                "SELECT string_agg(id || name, ',' ORDER BY id) FROM parts"
            )?,
            "1q,2b,3t,101s,102d,103e"
        );
        // Nothing is left in the session.
        assert_eq!(
            count(
                &session,
                "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
            )?,
            "0"
        );
        Ok(())
    });
}

#[test]
fn duplicate_keys_are_shown_with_their_rows() {
    with_database("duplicates", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (7, 'old')",
        )?;
        let session = open(database)?;
        let ids: Vec<i32> = (0..20).map(|n| n % 7).chain([6; 5]).collect();
        let names = (0..25).map(|_| "n").collect();
        let offered = rows(ids, names)?;
        let error = failure(run(
            &session,
            "t",
            &offered,
            &upsert(&[], Duplicates::Fail),
        )?)?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert_eq!(
            error.message(),
            "7 keys come more than once in the new rows: (id) = (0) in rows 1, 8, 15; (1) in rows 2, 9, 16; (2) in rows 3, 10, 17; (3) in rows 4, 11, 18; (4) in rows 5, 12, 19; and 2 more"
        );
        assert_eq!(attribute(&error, "row"), Some("8"));
        assert_eq!(attribute(&error, "column"), Some("id"));
        assert_eq!(attribute(&error, "value"), Some("0"));
        let offered = rows(vec![1; 9], vec!["n"; 9])?;
        let error = failure(run(
            &session,
            "t",
            &offered,
            &upsert(&[], Duplicates::Fail),
        )?)?;
        assert_eq!(
            error.message(),
            "1 key comes more than once in the new rows: (id) = (1) in rows 1, 2, 3, 4, 5 and 4 more"
        );
        assert_eq!(count(&session, "SELECT count(*) FROM t")?, "1");
        let offered = rows(vec![1, 7, 1, 7], vec!["a", "b", "c", "d"])?;
        let report = run(&session, "t", &offered, &upsert(&[], Duplicates::LastWins))??;
        assert_eq!((report.inserted, report.updated), (1, 1));
        assert_eq!(
            count(
                &session,
                "SELECT string_agg(id || name, ',' ORDER BY id) FROM t"
            )?,
            "1c,7d"
        );
        Ok(())
    });
}

#[test]
fn what_is_wrong_with_a_key_is_said_with_the_rest() {
    with_database("keys", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int, code text, name text, late int UNIQUE DEFERRABLE, n int);
             CREATE UNIQUE INDEX ON t (id) WHERE id > 0; CREATE UNIQUE INDEX ON t (lower(code));
             CREATE UNIQUE INDEX ON t (name, n); REVOKE UPDATE ON t FROM dagflux;
             CREATE VIEW v AS SELECT * FROM t; REVOKE TEMPORARY ON DATABASE keys FROM public",
        )?;
        let session = open(database)?;
        let offered = batch(vec![
            ("id", ints(vec![1])),
            ("code", texts(vec![Some("a")])),
            ("late", ints(vec![1])),
            ("n", ints(vec![1])),
            ("name", texts(vec![Some("a")])),
            ("other", ints(vec![1])),
        ])?;
        for (key, part) in [
            (&[][..], "no primary key"),
            (&["id"][..], "no unique index is over exactly (\"id\")"),
            (&["code"], "no unique index is over exactly (\"code\")"),
            (&["name"], "no unique index is over exactly (\"name\")"),
            (&["late"], "(\"late\") is deferrable"),
            (&["nope"], "\"nope\" of the key is not offered"),
            (&["n", "n"], "\"n\" is named twice"),
        ] {
            let error = failure(run(
                &session,
                "t",
                &offered,
                &upsert(key, Duplicates::Fail),
            )?)?;
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
            for part in [
                part,
                "\"other\" is not a column",
                "lacks UPDATE",
                "temporary tables",
            ] {
                assert!(error.message().contains(part), "{part}: {error}");
            }
            let hint = error.as_record().hint.clone().unwrap_or_default();
            assert!(
                hint.contains("GRANT TEMPORARY ON DATABASE \"keys\" TO \"dagflux\";"),
                "{hint}"
            );
            if key == ["id"] {
                assert!(
                    hint.contains("CREATE UNIQUE INDEX ON \"public\".\"t\" (\"id\");"),
                    "{hint}"
                );
            }
        }
        sql(
            runtime,
            database,
            "GRANT UPDATE ON t TO dagflux; GRANT TEMPORARY ON DATABASE keys TO public",
        )?;
        let fine = batch(vec![("n", ints(vec![1])), ("name", texts(vec![Some("a")]))])?;
        let report = run(
            &session,
            "t",
            &fine,
            &upsert(&["n", "name"], Duplicates::Fail),
        )??;
        assert_eq!((report.inserted, report.updated), (1, 0));
        // A row without a key is like no other.
        let holes = batch(vec![
            ("n", ints(vec![Some(1), Some(2), None])),
            ("name", texts(vec![Some("a"), Some("b"), Some("c")])),
        ])?;
        let error = failure(run(
            &session,
            "t",
            &holes,
            &upsert(&["n", "name"], Duplicates::Fail),
        )?)?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert_eq!(attribute(&error, "row"), Some("3"));
        assert_eq!(attribute(&error, "column"), Some("n"));
        let error = failure(run(
            &session,
            "v",
            &fine,
            &upsert(&["n"], Duplicates::Fail),
        )?)?;
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("is a view"), "{error}");
        Ok(())
    });
}

#[test]
fn a_dry_run_reports_and_leaves_nothing() {
    with_database("dry", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text,
                 later int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
             GRANT UPDATE ON SEQUENCE t_id_seq TO dagflux;
             INSERT INTO t (name) VALUES ('old')",
        )?;
        let session = open(database)?;
        let offered = rows(vec![1, 200], vec!["a", "b"])?;
        for (options, name, counts) in [
            (mode(WriteMode::Create), "made", (2, 0, 0)),
            (mode(WriteMode::Replace), "t", (2, 0, 1)),
            (upsert(&[], Duplicates::Fail), "t", (1, 1, 0)),
        ] {
            let options = WriteOptions {
                dry_run: true,
                ..options
            };
            let report = run(&session, name, &offered, &options)??;
            assert_eq!((report.inserted, report.updated, report.deleted), counts);
            assert_eq!(
                report.statements.last().map(String::as_str),
                Some("ROLLBACK")
            );
            let moves = report.statements.iter().any(|sql| sql.contains("nextval"));
            assert_eq!(moves, name == "t", "{:?}", report.statements);
        }
        let dry = WriteOptions {
            dry_run: true,
            ..mode(WriteMode::Append)
        };
        let error = failure(run(&session, "t", &offered, &dry)?)?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        // What a commit would find.
        let dangling = batch(vec![("id", ints(vec![9])), ("later", ints(vec![77]))])?;
        let error = failure(run(&session, "t", &dangling, &dry)?)?;
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert_eq!(attribute(&error, "value"), Some("77"));
        assert_eq!(
            count(
                &session,
                "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT last_value FROM t_id_seq) || ' ' || (to_regclass('made') IS NULL)"
            )?,
            "1 1 true"
        );
        Ok(())
    });
}

#[test]
fn rows_are_counted_where_triggers_pass_them_over() {
    with_database("suppressed", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE plain (id int PRIMARY KEY, name text);
             CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
             CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100);
             CREATE TRIGGER same BEFORE UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
             CREATE TRIGGER same BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
             INSERT INTO plain VALUES (1, 'a'), (2, 'b'); INSERT INTO parts VALUES (1, 'a'), (2, 'b')",
        )?;
        let session = open(database)?;
        query::execute(&session, "CREATE TEMPORARY TABLE dagflux_staging (id int)")?;
        let offered = rows(vec![1, 2, 3, 4, 5], vec!["a", "x", "c", "d", "e"])?;
        for table in ["plain", "parts"] {
            let report = run(&session, table, &offered, &upsert(&[], Duplicates::Fail))??;
            assert_eq!((report.inserted, report.updated), (3, 1), "{table}");
        }
        assert_eq!(
            count(&session, "SELECT count(*) FROM dagflux_staging")?,
            "0"
        );
        Ok(())
    });
}
