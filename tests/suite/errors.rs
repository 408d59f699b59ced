//! Each thing that goes wrong has its own kind and a next step, and leaves no partial rows.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{
    CheckOptions, ConnectOptions, Connection, ErrorKind, ReadOptions, Secret, SecretError,
    SecretProvider, Secrets, TableName,
};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use crate::assertions::{attribute, failure, preview, query, read, still_works};
use crate::fixture;

/// Tries to connect with other values than the right ones.
async fn attempt(
    config: dagflux_host::Config,
    secrets: impl SecretProvider,
) -> Result<dagflux_host::Result<Connection>> {
    let connector = fixture::postgres().await?;
    Ok(connector
        .connect(config, secrets, ConnectOptions::default())
        .await)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password() -> Result<()> {
    let database = fixture::database("errors_password").await?;
    let wrong = "an-entirely-wrong-password";
    let secrets = fixture::secrets(&database).with("password", wrong);
    let result = attempt(fixture::config(&database), secrets).await?;
    let error = failure(result, ErrorKind::Authentication);
    assert_eq!(error.sqlstate(), Some("28P01"));
    assert!(error.hint().unwrap_or_default().contains("password"));
    assert!(!error.is_retryable());
    let everything = format!("{error} {error:?} {} {:?}", error.to_json(), error.detail());
    assert!(!everything.contains(wrong), "{everything}");
    let logged = format!("{error:?} {}", error.to_json());
    assert!(!logged.contains("\"dagflux\\\""), "{logged}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_login() -> Result<()> {
    let database = fixture::database("errors_login").await?;
    let secrets = fixture::secrets(&database).with("username", "nobody_of_that_name");
    let result = attempt(fixture::config(&database), secrets).await?;
    let error = failure(result, ErrorKind::Authentication);
    assert!(error.to_string().contains("nobody_of_that_name"), "{error}");
    let logged = format!("{error:?} {}", error.to_json());
    assert!(!logged.contains("nobody_of_that_name"), "{logged}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_host() -> Result<()> {
    let database = fixture::database("errors_host").await?;
    let secrets = fixture::secrets(&database).with("host", "no-such-host.invalid");
    let result = attempt(fixture::config(&database), secrets).await?;
    let error = failure(result, ErrorKind::NameResolution);
    assert!(
        error.to_string().contains("no-such-host.invalid"),
        "{error}"
    );
    let logged = format!("{error:?} {}", error.to_json());
    assert!(!logged.contains("no-such-host"), "{logged}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_port() -> Result<()> {
    let database = fixture::database("errors_port").await?;
    // Bound and given back: nothing listens there.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let config = fixture::config(&database).with("port", port);
    let result = attempt(config, fixture::secrets(&database)).await?;
    let error = failure(result, ErrorKind::Unreachable);
    assert!(error.is_retryable());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_database() -> Result<()> {
    let database = fixture::database("errors_database").await?;
    let config = fixture::config(&database).with("database", "errors_no_such_database");
    let result = attempt(config, fixture::secrets(&database)).await?;
    let error = failure(result, ErrorKind::DatabaseNotFound);
    assert_eq!(error.sqlstate(), Some("3D000"));
    assert!(
        error.to_string().contains("errors_no_such_database"),
        "{error}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_schema_in_the_form_does_not_keep_a_connection_from_opening() -> Result<()> {
    let database = fixture::database("errors_form_schema").await?;
    let config = fixture::config(&database).with("schema", "not_there");
    let secrets = fixture::secrets(&database);
    let mut connection = attempt(config, secrets).await??;
    let report = connection.check(CheckOptions::new()).await?;
    let failed = report
        .findings
        .iter()
        .find(|finding| finding.severity == dagflux_host::Severity::Failed)
        .context("nothing failed")?;
    assert!(failed.subject.contains("not_there"), "{failed:?}");
    assert!(!failed.remedies.is_empty());
    failure(
        connection.tables(Some("not_there")).await,
        ErrorKind::SchemaNotFound,
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_table() -> Result<()> {
    let database = fixture::database("errors_table").await?;
    let mut connection = fixture::connect(&database).await?;
    let table = TableName::new("not_there");
    let error = failure(
        connection.read(&table, ReadOptions::default()).await,
        ErrorKind::TableNotFound,
    );
    assert!(error.to_string().contains("not_there"), "{error}");
    still_works(&mut connection).await;
    failure(
        connection.preview(&table, 5).await,
        ErrorKind::TableNotFound,
    );
    still_works(&mut connection).await;
    let error = failure(
        connection.columns(None, Some("not_there")).await,
        ErrorKind::TableNotFound,
    );
    assert_eq!(attribute(&error, "table"), Some("not_there"));
    still_works(&mut connection).await;
    let error = failure(
        connection.query("SELECT * FROM not_there").await,
        ErrorKind::TableNotFound,
    );
    assert_eq!(error.position(), Some(15));
    let error = failure(
        connection.execute("DELETE FROM not_there").await,
        ErrorKind::TableNotFound,
    );
    assert_eq!(error.sqlstate(), Some("42P01"));
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_schema() -> Result<()> {
    let database = fixture::database("errors_schema").await?;
    let mut connection = fixture::connect(&database).await?;
    let error = failure(
        connection.columns(Some("not_there"), None).await,
        ErrorKind::SchemaNotFound,
    );
    assert_eq!(attribute(&error, "schema"), Some("not_there"));
    failure(
        connection.columns(Some("not_there"), Some("t")).await,
        ErrorKind::SchemaNotFound,
    );
    // PostgreSQL itself says of `not_there.t` that the relation does not exist.
    let table = TableName::in_schema("not_there", "t");
    failure(
        connection.read(&table, ReadOptions::default()).await,
        ErrorKind::TableNotFound,
    );
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_column() -> Result<()> {
    let database = fixture::database("errors_column").await?;
    let mut connection = fixture::connect(&database).await?;
    connection
        .execute("CREATE TABLE t (id int, name text)")
        .await?;
    let options = ReadOptions::default().with_columns(["id", "nmae"]);
    let error = failure(
        connection.read(&TableName::new("t"), options).await,
        ErrorKind::ColumnNotFound,
    );
    assert!(error.to_string().contains("nmae"), "{error}");
    let error = failure(
        connection.query("SELECT id, nmae FROM t").await,
        ErrorKind::ColumnNotFound,
    );
    assert_eq!(error.position(), Some(12));
    assert!(error.hint().unwrap_or_default().contains("name"));
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn syntax_errors_have_a_position_in_characters() -> Result<()> {
    let database = fixture::database("errors_syntax").await?;
    let mut connection = fixture::connect(&database).await?;
    for (sql, position) in [
        ("SELEC 1", 1),
        ("SELECT 1 FROM", 14),
        ("SELECT 'Käse 日本' AS n, FROM t", 24),
        ("SELECT 1\nFROM t WHERE)", 22),
    ] {
        let error = failure(connection.query(sql).await, ErrorKind::Syntax);
        assert_eq!(error.position(), Some(position), "{sql}");
        assert_eq!(error.sqlstate(), Some("42601"));
        let error = failure(connection.execute(sql).await, ErrorKind::Syntax);
        assert_eq!(error.position(), Some(position), "{sql}");
    }
    still_works(&mut connection).await;
    failure(connection.query("SELECT '\0'").await, ErrorKind::Syntax);
    failure(connection.execute("SELECT '\0'").await, ErrorKind::Syntax);
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_fail_while_they_run() -> Result<()> {
    let database = fixture::database("errors_statement").await?;
    let mut connection = fixture::connect(&database).await?;
    let error = failure(
        query(
            &mut connection,
            "SELECT 1 / (g - 5) FROM generate_series(1, 9) g",
        )
        .await,
        ErrorKind::Statement,
    );
    assert_eq!(error.sqlstate(), Some("22012"));
    still_works(&mut connection).await;
    // Late: after batches were handed over, the failure still comes, and nothing after it.
    let mut rows = connection
        .query("SELECT repeat('x', 100), 1 / (g - 300000) FROM generate_series(1, 400000) g")
        .await?;
    let mut batches = 0;
    let error = loop {
        match rows.next().await {
            Some(Ok(_)) => batches += 1,
            Some(Err(error)) => break error,
            None => panic!("the stream ended as if that were the result"),
        }
    };
    assert!(batches > 0);
    assert!(rows.next().await.is_none());
    drop(rows);
    failure::<()>(Err(error), ErrorKind::Statement);
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout() -> Result<()> {
    let database = fixture::database("errors_timeout").await?;
    let options = ConnectOptions::default().with_statement_timeout(Duration::from_millis(200));
    let mut connection = fixture::postgres()
        .await?
        .connect(
            fixture::config(&database),
            fixture::secrets(&database),
            options,
        )
        .await?;
    let error = failure(
        query(&mut connection, "SELECT pg_sleep(60)").await,
        ErrorKind::StatementTimeout,
    );
    assert_eq!(error.sqlstate(), Some("57014"));
    still_works(&mut connection).await;
    failure(
        connection.execute("SELECT pg_sleep(60)").await,
        ErrorKind::StatementTimeout,
    );
    still_works(&mut connection).await;
    // Also when rows are on their way already.
    let sql = "SELECT repeat('x', 1000), CASE WHEN g = 50000 THEN pg_sleep(60)::text END \
               FROM generate_series(1, 100000) g";
    failure(
        query(&mut connection, sql).await,
        ErrorKind::StatementTimeout,
    );
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_denied() -> Result<()> {
    let database = fixture::database("errors_permission").await?;
    database
        .sql()
        .await?
        .batch_execute(
            "CREATE TABLE public.closed (id int); REVOKE ALL ON public.closed FROM dagflux;
             CREATE TABLE public.partly (open int, closed int); REVOKE ALL ON public.partly FROM dagflux;
             GRANT SELECT (open) ON public.partly TO dagflux;
             CREATE SCHEMA private; CREATE TABLE private.t (id int)",
        )
        .await?;
    let mut connection = fixture::connect(&database).await?;
    for (table, privilege) in [
        (TableName::new("closed"), "GRANT"),
        (TableName::new("partly"), "GRANT"),
        (
            TableName::in_schema("private", "t"),
            "GRANT USAGE ON SCHEMA",
        ),
    ] {
        let error = failure(
            read(&mut connection, &table).await,
            ErrorKind::PermissionDenied,
        );
        assert_eq!(error.sqlstate(), Some("42501"));
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains(privilege), "{hint}");
        failure(
            preview(&mut connection, &table).await,
            ErrorKind::PermissionDenied,
        );
        still_works(&mut connection).await;
    }
    let options = ReadOptions::default().with_columns(["open"]);
    let partly = connection.read(&TableName::new("partly"), options).await?;
    assert_eq!(fixture::count(partly).await?, 0);
    failure(
        connection.execute("DROP TABLE closed").await,
        ErrorKind::PermissionDenied,
    );
    failure(
        connection.execute("CREATE SCHEMA mine").await,
        ErrorKind::PermissionDenied,
    );
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_name_themselves() -> Result<()> {
    let database = fixture::database("errors_constraint").await?;
    let mut connection = fixture::connect(&database).await?;
    connection
        .execute(
            "CREATE TABLE t (id int CONSTRAINT t_key PRIMARY KEY, \
             n int CONSTRAINT positive CHECK (n > 0))",
        )
        .await?;
    let outcome = connection.execute("INSERT INTO t VALUES (1, 1)").await?;
    assert_eq!(
        (outcome.command.as_str(), outcome.rows),
        ("INSERT 0 1", Some(1))
    );
    for (sql, constraint, sqlstate) in [
        ("INSERT INTO t VALUES (1, 2)", Some("t_key"), "23505"),
        ("INSERT INTO t VALUES (2, 0)", Some("positive"), "23514"),
        ("INSERT INTO t VALUES (NULL, 1)", None, "23502"),
    ] {
        let error = failure(connection.execute(sql).await, ErrorKind::Constraint);
        assert_eq!(error.sqlstate(), Some(sqlstate));
        assert_eq!(attribute(&error, "constraint"), constraint);
        assert_eq!(attribute(&error, "table"), Some("t"));
        assert!(error.detail().is_some());
        still_works(&mut connection).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_the_wrong_kind() -> Result<()> {
    let database = fixture::database("errors_kind").await?;
    let mut connection = fixture::connect(&database).await?;
    connection.execute("CREATE TABLE t (id int)").await?;
    for sql in [
        "CREATE TABLE u (id int)",
        "INSERT INTO t VALUES (1)",
        "",
        "-- nothing",
    ] {
        let error = failure(connection.query(sql).await, ErrorKind::UnsupportedStatement);
        assert!(error.to_string().contains("no rows"), "{error}");
        still_works(&mut connection).await;
    }
    for sql in [
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        ";SELECT 1; SELECT 2;",
    ] {
        for result in [
            connection.query(sql).await.map(drop),
            connection.execute(sql).await.map(drop),
        ] {
            let error = failure(result, ErrorKind::UnsupportedStatement);
            assert!(error.hint().unwrap_or_default().contains("one statement"));
        }
        still_works(&mut connection).await;
    }
    let error = failure(
        connection.query("SELECT $1::int").await,
        ErrorKind::UnsupportedStatement,
    );
    assert!(error.to_string().contains("parameter"), "{error}");
    failure(
        connection.execute("COPY t TO STDOUT").await,
        ErrorKind::UnsupportedStatement,
    );
    still_works(&mut connection).await;
    failure(
        connection.execute("COPY t FROM STDIN").await,
        ErrorKind::UnsupportedStatement,
    );
    still_works(&mut connection).await;
    let error = failure(
        query(&mut connection, "DELETE FROM t RETURNING id").await,
        ErrorKind::ReadOnly,
    );
    assert_eq!(error.sqlstate(), Some("25006"));
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections() -> Result<()> {
    let database = fixture::database("errors_limit").await?;
    let name = database.name();
    let admin = database.server().sql("postgres").await?;
    admin
        .batch_execute(&format!("ALTER DATABASE {name} CONNECTION LIMIT 1"))
        .await?;
    // The session that prepared the database counts for as long as it lasts.
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
    while admin.query_one(others, &[&name]).await?.get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut first = fixture::connect(&database).await?;
    let (config, secrets) = (fixture::config(&database), fixture::secrets(&database));
    let error = failure(attempt(config, secrets).await?, ErrorKind::ServerResources);
    assert!(error.is_retryable());
    still_works(&mut first).await;
    Ok(())
}

/// A store of secrets that is locked.
struct Locked;

impl SecretProvider for Locked {
    fn secret<'a>(&'a self, field: &'a str) -> BoxFuture<'a, Result<Option<Secret>, SecretError>> {
        let secret = match field {
            "host" => Ok(Some(Secret::new("127.0.0.1"))),
            "username" => Ok(Some(Secret::new("dagflux"))),
            _ => Err(SecretError::new("the key store is locked").with_hint("unlock it")),
        };
        std::future::ready(secret).boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_cannot_be_had() -> Result<()> {
    let database = fixture::database("errors_secret").await?;
    let error = failure(
        attempt(fixture::config(&database), Locked).await?,
        ErrorKind::Secret,
    );
    let text = format!("{error} {:?}", std::error::Error::source(&error));
    assert!(text.contains("locked"), "{text}");
    assert_eq!(error.hint(), Some("unlock it"));

    let server = database.server();
    let missing = Secrets::new()
        .with("host", server.host())
        .with("username", server.username());
    let result = attempt(fixture::config(&database), missing).await?;
    let error = match result {
        Ok(_) => panic!("it connected without a password"),
        Err(error) => error,
    };
    assert!(
        matches!(error.kind(), ErrorKind::Secret | ErrorKind::Configuration),
        "{error:?}"
    );
    let text = format!("{error} {:?} {:?}", error.faults(), error.hint());
    assert!(text.to_lowercase().contains("password"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_configuration_at_once() -> Result<()> {
    let connector = fixture::postgres().await?;
    let config = dagflux_host::Config::new()
        .with("prot", 5432_i64)
        .with("port", "five")
        .with("use_ssl", "perhaps");
    let error = failure(
        config.validate(connector.descriptor(), &["host"]),
        ErrorKind::Configuration,
    );
    for field in [
        "prot", "port", "use_ssl", "database", "username", "password",
    ] {
        assert!(
            error.faults().iter().any(|fault| fault.field == field),
            "{field} is not among {:?}",
            error.faults()
        );
    }
    let config = dagflux_host::Config::new()
        .with("port", 70_000_i64)
        .with("database", "d");
    let result = config.validate(connector.descriptor(), &["host", "username", "password"]);
    assert_eq!(failure(result, ErrorKind::Configuration).faults().len(), 1);
    Ok(())
}
