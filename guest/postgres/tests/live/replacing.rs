//! New rows in place of all others.

use std::time::Duration;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::WriteMode;

use crate::harness::{failure, open, open_as, sql, with_database};
use crate::modes::{ints, mode, rows, run};
use crate::writing::{batch, count};

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
