//! What someone may plant in a schema of the search path: operators that fit better than those
//! of the system, where the system has none for exactly these types.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, Int64Array};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    CheckOptions, Duplicates, WriteMode, WriteOptions,
};
use dagflux_postgres::read::Selection;
use dagflux_postgres::{catalog, check, query};

use crate::harness::{
    LIMITS, collect, failure, open, rows_of_query, rows_of_table, sql, with_database,
};
use crate::modes::{attribute, ints, mode, run, texts, upsert};
use crate::writing::batch;

/// Operators for all pairs of types for which the system has none: whoever comes to one may not
/// run it, and whoever may runs into an exception.
const PLANTED: &str = r#"
    DO $do$ DECLARE
        types text[] := '{oid,regproc,regclass,regtype,name,text,int2,int4,int8,numeric,float4,float8,"\"char\"",bool,xid,oidvector,int2vector,int2[],int4[],oid[],name[],text[]}';
        symbols text[] := '{=,<>,<,>,<=,>=,!~,~,~~,!~~,&,|,+,-,/,*,||}';
        l text; r text; s text;
    BEGIN
        FOREACH l IN ARRAY types LOOP FOREACH r IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION public.planted(%1$s, %2$s) RETURNS bool LANGUAGE plpgsql AS
                $f$ BEGIN RAISE EXCEPTION ''planted: %% %%'', %1$L, %2$L; END $f$; REVOKE ALL ON FUNCTION public.planted(%1$s, %2$s) FROM public', l, r);
            FOREACH s IN ARRAY symbols LOOP
                CONTINUE WHEN EXISTS (SELECT 1 FROM pg_operator WHERE oprname::text = s AND oprleft = l::regtype::oid AND oprright = r::regtype::oid
                    AND oprnamespace = 'pg_catalog'::regnamespace::oid);
                EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.planted)', s, l, r);
            END LOOP;
        END LOOP; END LOOP;
    END $do$"#;

#[test]
fn nothing_that_is_planted_in_the_search_path_runs() {
    with_database("planted", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN code AS text NOT NULL DEFAULT 'x';
             CREATE TYPE pair AS (a int, b text[]);
             CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, big bigserial, m mood, c code,
                 p pair, l int[], lm mood[], n numeric(9, 2) CHECK (n > 0.0), later int, CONSTRAINT up FOREIGN KEY (later) REFERENCES t);
             REVOKE ALL ON SEQUENCE t_s_seq FROM dagflux; GRANT UPDATE, SELECT ON SEQUENCE t_id_seq TO dagflux;
             REVOKE ALL ON SEQUENCE t_big_seq FROM dagflux; GRANT USAGE ON SEQUENCE t_big_seq TO dagflux;
             INSERT INTO t (m, p, l, n) VALUES ('ok', (1, '{x}'), '{1,2}', 1);
             CREATE TABLE others (t int REFERENCES t);
             CREATE VIEW v AS SELECT * FROM t;
             CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
             CREATE TRIGGER keeper BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
             CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
             CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
             INSERT INTO parts VALUES (1, 'old');
             CREATE TABLE hides (id int); ALTER TABLE hides ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON hides USING (id > 1);
             CREATE TABLE shut (id int, open int); REVOKE ALL ON shut FROM dagflux; GRANT SELECT (open) ON shut TO dagflux;
             CREATE VIEW beneath AS SELECT * FROM shut; CREATE ROLE planted_owner; ALTER VIEW beneath OWNER TO planted_owner;
             CREATE FOREIGN DATA WRAPPER far; CREATE SERVER there FOREIGN DATA WRAPPER far; CREATE FOREIGN TABLE away (id int) SERVER there",
        )?;
        sql(runtime, database, PLANTED)?;
        let session = open(database)?;
        // It would run, if it were asked for.
        let asked = rows_of_query(&session, "SELECT 1::oid = 'int4'::regtype", LIMITS);
        let error = asked.map_err(Into::into).and_then(collect).err();
        let error = error.context("it is not planted")?.to_string();
        assert!(error.contains("planted"), "{error}");

        catalog::schemas(&mut session.borrow_mut())?;
        for schema in [None, Some("public")] {
            catalog::tables(&mut session.borrow_mut(), schema)?;
            catalog::columns(&mut session.borrow_mut(), schema, None)?;
        }
        catalog::columns(&mut session.borrow_mut(), None, Some("t"))?;
        let error = failure(catalog::columns(
            &mut session.borrow_mut(),
            None,
            Some("nope"),
        ))?;
        assert_eq!(error.kind(), ErrorKind::TableNotFound);
        for all_schemas in [false, true] {
            let options = CheckOptions {
                purposes: Vec::new(),
                all_schemas,
            };
            check::check(&mut session.borrow_mut(), &options)?;
        }
        for table in ["t", "v", "parts"] {
            collect(rows_of_table(
                &session,
                None,
                table,
                &Selection::default(),
                LIMITS,
            )?)?;
        }
        collect(rows_of_query(&session, "SELECT * FROM t LIMIT 5", LIMITS)?)?;
        query::execute(&session, "UPDATE t SET m = 'sad'")?;

        let wide = |id: i64| -> Result<_> {
            batch(vec![
                (
                    "id",
                    Arc::new(Int64Array::from(vec![id, id + 1])) as ArrayRef,
                ),
                ("s", ints(vec![5, 6])),
                ("big", ints(vec![5, 6])),
                ("m", texts(vec![Some("sad"), Some("ok")])),
                ("c", texts(vec![Some("x"), Some("y")])),
                ("p", texts(vec![Some("(1,{})"), None])),
                ("l", texts(vec![Some("{1}"), None])),
                ("lm", texts(vec![Some("{sad}"), None])),
            ])
        };
        let narrow = batch(vec![
            ("id", ints(vec![1, 2])),
            ("name", texts(vec![Some("a"), None])),
        ])?;
        for dry_run in [true, false] {
            let with = |options: WriteOptions| WriteOptions { dry_run, ..options };
            let typed = WriteOptions {
                types: vec![("m".to_owned(), "mood".to_owned())],
                ..mode(WriteMode::Create)
            };
            run(&session, "made", &wide(1)?, &with(typed))??;
            for (at, options) in [
                mode(WriteMode::Append),
                upsert(&[], Duplicates::Fail),
                upsert(&[], Duplicates::LastWins),
                mode(WriteMode::Replace),
            ]
            .into_iter()
            .enumerate()
            {
                let at = i64::try_from(at)?;
                run(&session, "t", &wide(10 + 10 * at)?, &with(options.clone()))??;
                if at > 0 {
                    run(&session, "parts", &narrow, &with(options))??;
                }
            }
        }
        // What is asked of the catalog when something is wrong.
        for (column, value) in [("m", "glad"), ("n", "-1")] {
            let offered = batch(vec![
                (column, texts(vec![Some(value)])),
                ("c", texts(vec![Some("x")])),
                ("s", ints(vec![3])),
            ])?;
            let error = failure(run(&session, "t", &offered, &mode(WriteMode::Append))?)?;
            assert_eq!(attribute(&error, "column"), Some(column), "{error}");
        }
        let double = batch(vec![
            ("id", ints(vec![7, 7])),
            ("c", texts(vec![Some("x"), Some("y")])),
            ("s", ints(vec![3, 4])),
        ])?;
        let error = failure(run(&session, "t", &double, &upsert(&[], Duplicates::Fail))?)?;
        assert!(error.message().contains("comes more than once"), "{error}");
        let dangling = batch(vec![
            ("id", ints(vec![7])),
            ("c", texts(vec![Some("x")])),
            ("s", ints(vec![3])),
            ("later", ints(vec![99])),
        ])?;
        let error = failure(run(
            &session,
            "t",
            &dangling,
            &upsert(&[], Duplicates::Fail),
        )?)?;
        assert!(error.message().contains("row 1, column"), "{error}");
        Ok(())
    });
}
