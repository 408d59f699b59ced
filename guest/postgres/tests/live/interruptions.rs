//! Statements that are stopped, connections that end, and what remains usable.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{BatchLimits, ipc};
use dagflux_postgres::read::Selection;
use dagflux_postgres::rows::Shared;
use dagflux_postgres::{cancel, query};

use crate::harness::{
    LIMITS, Socket, collect, failure, open, open_with, rows_of_query, rows_of_table, sql,
    with_database,
};
use crate::writing::{batch, insert, message};

/// The session still answers.
fn still_works(session: &Shared) -> Result<()> {
    let (_, batches) = collect(rows_of_query(session, "SELECT 7", LIMITS)?)?;
    assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().value(0), 7);
    Ok(())
}

#[test]
fn a_token_stops_the_statement_and_the_session_lives_on() {
    with_database("cancel", |_, database| {
        let session = open(database)?;
        let token = cancel::token(session.borrow().cancel_key().expect("a key"));
        let server = database.server();
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                cancel::send(Socket::connect(server)?, cancel::key(&token)?)?;
                anyhow::Ok(())
            });
            let mut rows = rows_of_query(&session, "SELECT pg_sleep(60)", LIMITS)?;
            failure(rows.next_batch())
        })?;
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        still_works(&session)
    });
}

#[test]
fn a_statement_that_runs_too_long_is_stopped_by_the_server() {
    with_database("timeout", |_, database| {
        let session = open_with(database, |parameters| {
            parameters.statement_timeout = Some(Duration::from_millis(200));
        })?;
        let mut rows = rows_of_query(&session, "SELECT pg_sleep(60)", LIMITS)?;
        assert_eq!(
            failure(rows.next_batch())?.kind(),
            ErrorKind::StatementTimeout
        );
        drop(rows);
        still_works(&session)
    });
}

#[test]
fn a_stream_dropped_early_leaves_the_session_usable() {
    with_database("early_drop", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t AS SELECT g FROM generate_series(1, 300000) g",
        )?;
        let session = open(database)?;
        for _ in 0..3 {
            let mut rows = rows_of_table(&session, None, "t", &Selection::default(), LIMITS)?;
            assert!(rows.next_batch()?.is_some());
            drop(rows);
            still_works(&session)?;
            let mut rows = rows_of_query(&session, "SELECT * FROM t", LIMITS)?;
            assert!(rows.next_batch()?.is_some());
            drop(rows);
            drop(rows_of_query(&session, "SELECT * FROM t", LIMITS)?);
            still_works(&session)?;
        }
        Ok(())
    });
}

#[test]
fn a_value_that_does_not_fit_stops_the_statement() {
    with_database("misfit", |_, database| {
        let session = open(database)?;
        let host = (database.server().host(), database.server().port());
        session.borrow_mut().set_dial(Box::new(move || {
            Socket::connect_to(host)
                .map_err(|error| dagflux_guest::Error::internal(error.to_string()))
        }));
        let started = Instant::now();
        let statement = "SELECT CASE WHEN g > 5 THEN 'infinity'::date END, repeat('x', 10000), pg_sleep(0.01) FROM generate_series(1, 100000) g";
        let small = BatchLimits { rows: 1, bytes: 1 };
        let mut rows = rows_of_query(&session, statement, small)?;
        let error = loop {
            match rows.next_batch() {
                Ok(Some(_)) => {}
                Ok(None) => anyhow::bail!("the end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.message().ends_with("(row 6)"), "{error}");
        drop(rows);
        assert!(started.elapsed() < Duration::from_secs(20));
        still_works(&session)
    });
}

#[test]
fn a_backend_that_is_killed_is_told_as_such() {
    with_database("killed", |runtime, database| {
        sql(runtime, database, "CREATE TABLE t (id bigint)")?;
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dagflux tests'";

        let session = open(database)?;
        let statement = "SELECT g, repeat('x', 1000) FROM generate_series(1, 10000000) g";
        let mut rows = rows_of_query(&session, statement, LIMITS)?;
        assert!(rows.next_batch()?.is_some());
        sql(runtime, database, kill)?;
        let error = loop {
            match rows.next_batch() {
                Ok(Some(_)) => {}
                Ok(None) => anyhow::bail!("the end"),
                Err(error) => break error,
            }
        };
        // A server in the middle of sending a row cannot say why it goes.
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ServerShutdown | ErrorKind::ConnectionLost
            ),
            "{error:?}"
        );
        drop(rows);
        let error = failure(rows_of_query(&session, "SELECT 1", LIMITS))?;
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);

        let session = open(database)?;
        let ids = Int64Array::from_iter_values(0..100_000);
        let ids = batch(vec![("id", std::sync::Arc::new(ids))])?;
        let mut sink = insert(
            &session,
            None,
            "t",
            &ipc::schema_message(&ids.schema())?,
            false,
        )?;
        sink.write(message(&ids)?)?;
        sql(runtime, database, kill)?;
        let error = loop {
            if let Err(error) = sink.write(message(&ids)?) {
                break error;
            }
        };
        assert!(
            matches!(
                error.kind(),
                ErrorKind::ServerShutdown | ErrorKind::ConnectionLost
            ),
            "{error:?}"
        );
        assert_eq!(failure(sink.finish())?.kind(), error.kind());
        drop(sink);
        let session = open(database)?;
        let (_, batches) = collect(rows_of_query(
            &session,
            "SELECT count(*)::int FROM t",
            LIMITS,
        )?)?;
        assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().value(0), 0);
        Ok(())
    });
}

#[test]
fn execute_runs_one_statement_and_leaves_no_transaction() {
    with_database("execute", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id int); GRANT ALL ON t TO dagflux",
        )?;
        let session = open(database)?;
        let done = query::execute(
            &session,
            "INSERT INTO t SELECT generate_series(1, 5) RETURNING id",
        )?;
        assert_eq!((done.command.as_str(), done.rows), ("INSERT 0 5", Some(5)));
        let done = query::execute(&session, "CREATE TABLE made (id int)")?;
        assert_eq!((done.command.as_str(), done.rows), ("CREATE TABLE", None));
        assert_eq!(query::execute(&session, "")?.rows, None);
        for statement in [
            "BEGIN",
            "COPY t FROM STDIN",
            "COPY t TO STDOUT",
            "DELETE FROM t; DELETE FROM t",
        ] {
            let error = failure(query::execute(&session, statement))?;
            assert_eq!(
                error.kind(),
                ErrorKind::UnsupportedStatement,
                "{statement}: {error:?}"
            );
            still_works(&session)?;
        }
        let error = failure(query::execute(&session, "UPDATE t SET id = 1 / (id - 3)"))?;
        assert_eq!(error.kind(), ErrorKind::Statement);
        query::execute(&session, "DO $$ BEGIN RAISE WARNING 'look here'; END $$")?;
        let notices = session.borrow_mut().take_notices();
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].severity, "WARNING");
        assert_eq!(notices[0].message, "look here");
        assert!(session.borrow_mut().take_notices().is_empty());
        let (_, batches) = collect(rows_of_query(
            &session,
            "SELECT count(*)::int FROM t",
            LIMITS,
        )?)?;
        assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().value(0), 5);
        Ok(())
    });
}

#[test]
fn a_result_without_columns_and_one_without_rows_are_results() {
    with_database("empty", |_, database| {
        let session = open(database)?;
        let (schema, batches) = collect(rows_of_query(
            &session,
            "SELECT 1::numeric(5,2) AS n WHERE false",
            LIMITS,
        )?)?;
        assert_eq!(schema.field(0).name(), "n");
        assert!(batches.is_empty());
        let (schema, batches) = collect(rows_of_query(
            &session,
            "SELECT FROM generate_series(1, 3)",
            LIMITS,
        )?)?;
        assert!(schema.fields().is_empty());
        assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 3);
        let (schema, _) = collect(rows_of_query(&session, "SELECT 1 AS a, 2 AS a", LIMITS)?)?;
        assert_eq!(schema.fields().len(), 2);
        let shared = Rc::clone(&session);
        still_works(&shared)
    });
}
