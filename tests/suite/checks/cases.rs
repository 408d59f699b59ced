//! What databases are like: inherited rights, columns, policies, owners, names, and what is
//! missing altogether.

use anyhow::Result;
use dagflux_host::{CheckOptions, ConnectOptions, Purpose, Report, Severity};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Database, Server, ServerOptions};

use super::{asked, check_as, connect_as, finding, mend, role, statements, troubles};
use crate::assertions::{query, value};
use crate::fixture;

/// A database in which nobody has anything, and a login of the same name that may connect and
/// use the schema `public`.
async fn closed(name: &str, sql: &str) -> Result<(Database<'static>, Client)> {
    let database = fixture::database(name).await?;
    let client = database.sql().await?;
    client
        .batch_execute(&format!(
            "REVOKE ALL ON SCHEMA public FROM PUBLIC, dagflux; REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"
        ))
        .await?;
    role(&client, name).await?;
    client
        .batch_execute(&format!("GRANT USAGE ON SCHEMA public TO {name}"))
        .await?;
    client.batch_execute(&sql.replace("$me", name)).await?;
    Ok((database, client))
}

async fn everything(database: &Database<'_>) -> Result<Report> {
    let all = CheckOptions::new().with_purposes(Purpose::ALL);
    check_as(database, database.name(), "public", &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_of_other_roles_and_of_everyone_count() -> Result<()> {
    let (database, client) = closed(
        "case_inherited",
        "CREATE ROLE case_readers; CREATE ROLE case_writers; GRANT case_readers TO case_writers; GRANT case_writers TO $me;
         CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id serial);
         GRANT SELECT ON a TO case_readers; GRANT INSERT, UPDATE, DELETE ON a, b, c TO case_writers;
         GRANT SELECT ON b TO PUBLIC; ALTER TABLE c OWNER TO case_writers;
         GRANT CREATE ON SCHEMA public TO case_readers;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO case_readers;
         ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO PUBLIC;
         GRANT TEMPORARY ON DATABASE case_inherited TO case_readers",
    )
    .await?;
    let report = everything(&database).await?;
    let left: Vec<_> = troubles(&report)
        .iter()
        .map(|finding| finding.subject.as_str())
        .collect();
    assert_eq!(left, ["ownership"], "{report:#?}");
    assert!(
        finding(&report, "ownership")?
            .message
            .contains("2 of 3 tables"),
        "{report:#?}"
    );
    // A membership that is not inherited gives nothing.
    client
        .batch_execute("ALTER ROLE case_inherited NOINHERIT")
        .await?;
    let report = everything(&database).await?;
    let reading = finding(&report, "reading")?;
    assert!(
        reading.message.contains("2 of 3 tables: a, c"),
        "{reading:?}"
    );
    mend(&client, reading).await?;
    assert_eq!(
        finding(&everything(&database).await?, "reading")?.severity,
        Severity::Passed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_on_columns() -> Result<()> {
    let (database, client) = closed(
        "case_columns",
        "CREATE TABLE \"some\" (a int, b int); CREATE TABLE every (a int, b int); CREATE TABLE whole (a int);
         GRANT SELECT (a), UPDATE (b) ON \"some\" TO $me; GRANT SELECT (a, b) ON every TO $me;
         GRANT SELECT ON whole TO $me",
    )
    .await?;
    let report = everything(&database).await?;
    let reading = finding(&report, "reading")?;
    assert_eq!(
        reading.message,
        "SELECT is missing on 1 of 3 tables: \"some\" (granted on some columns only: \"some\")"
    );
    assert_eq!(
        statements(reading),
        ["GRANT SELECT ON TABLE public.\"some\" TO case_columns;"]
    );
    mend(&client, reading).await?;
    assert_eq!(
        finding(&everything(&database).await?, "reading")?.severity,
        Severity::Passed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_hide_rows() -> Result<()> {
    let (database, client) = closed(
        "case_policies",
        "CREATE ROLE case_policies_owner; GRANT USAGE, CREATE ON SCHEMA public TO case_policies_owner;
         CREATE TABLE none_for_me (id int); ALTER TABLE none_for_me ENABLE ROW LEVEL SECURITY;
         CREATE POLICY other ON none_for_me TO case_policies_owner USING (true);
         CREATE TABLE \"some For me\" (id int); ALTER TABLE \"some For me\" ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON \"some For me\" FOR SELECT USING (id > 1);
         CREATE TABLE plain (id int); INSERT INTO none_for_me VALUES (1), (2);
         ALTER TABLE none_for_me OWNER TO case_policies_owner;
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO $me;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO $me",
    )
    .await?;
    let report = check_as(
        &database,
        "case_policies",
        "public",
        &asked(Purpose::Source),
    )
    .await?;
    assert!(!report.has_failed(), "{report:#?}");
    let hidden = finding(&report, "row-level security")?;
    assert_eq!(hidden.severity, Severity::Warning);
    assert_eq!(
        hidden.message,
        "no policy lets the login see any row of none_for_me; policies may silently hide rows of \"some For me\""
    );
    assert!(
        hidden
            .remedies
            .iter()
            .all(|remedy| remedy.gives_more && remedy.advice.is_some())
    );
    let owners: Vec<_> = hidden
        .remedies
        .iter()
        .map(|remedy| remedy.run_as.as_deref())
        .collect();
    assert_eq!(owners, [Some("case_policies_owner"), Some("postgres")]);
    mend(&client, hidden).await?;
    let again = check_as(
        &database,
        "case_policies",
        "public",
        &asked(Purpose::Source),
    )
    .await?;
    assert_eq!(
        finding(&again, "row-level security")?.severity,
        Severity::Passed
    );
    let mut connection = connect_as(&database, "case_policies", "public").await??;
    let rows = fixture::count(connection.query("SELECT * FROM none_for_me").await?).await?;
    assert_eq!(rows, 2);
    connection.close().await?;
    client
        .batch_execute("ALTER ROLE case_policies BYPASSRLS")
        .await?;
    let report = check_as(
        &database,
        "case_policies",
        "public",
        &asked(Purpose::Source),
    )
    .await?;
    assert_eq!(
        finding(&report, "row-level security")?.severity,
        Severity::Passed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_owners_and_odd_names() -> Result<()> {
    let database = fixture::database("case Odd \"db\"").await?;
    let client = database.sql().await?;
    let login = "Ada \"the\" läufer";
    role(&client, login).await?;
    client
        .batch_execute(
            r#"REVOKE TEMPORARY ON DATABASE "case Odd ""db""" FROM PUBLIC;
               CREATE ROLE "case Owner"; CREATE ROLE case_owner_without_usage;
               CREATE SCHEMA "Größe ""x""" AUTHORIZATION "case Owner";
               SET ROLE "case Owner";
               CREATE TABLE "Größe ""x"""."Tabelle; DROP" (id serial); CREATE TABLE "Größe ""x"""."select" (id int);
               RESET ROLE;
               CREATE TABLE "Größe ""x"""."日本" (id int); CREATE TABLE "Größe ""x"""."left alone" (id int);
               ALTER TABLE "Größe ""x"""."left alone" OWNER TO case_owner_without_usage"#,
        )
        .await?;
    let all = CheckOptions::new().with_purposes(Purpose::ALL);
    let mut rounds = 0;
    let report = loop {
        let report = check_as(&database, login, "Größe \"x\"", &all).await?;
        if !report.has_failed() && rounds > 0 {
            break report;
        }
        let reading = finding(&report, "reading")?;
        let roles: Vec<_> = reading
            .remedies
            .iter()
            .map(|remedy| remedy.run_as.as_deref())
            .collect();
        // One cannot reach into the schema to grant, so that a superuser has to.
        assert_eq!(
            roles,
            [Some("case Owner"), Some("postgres")],
            "{reading:#?}"
        );
        for finding in troubles(&report) {
            if finding.subject != "ownership" {
                mend(&client, finding).await?;
            }
        }
        rounds += 1;
        assert!(rounds < 3, "{report:#?}");
    };
    assert_eq!(rounds, 1);
    let left: Vec<_> = troubles(&report)
        .iter()
        .map(|finding| finding.subject.as_str())
        .collect();
    assert_eq!(left, ["ownership"], "{report:#?}");
    let ownership = finding(&report, "ownership")?;
    // Never membership in a superuser.
    assert!(
        !statements(ownership)
            .iter()
            .any(|sql| sql.contains("postgres")),
        "{ownership:#?}"
    );
    assert!(ownership.remedies.iter().any(|remedy| {
        let advice = remedy.advice.as_deref().unwrap_or_default();
        remedy.statements.is_empty() && advice.contains("superuser")
    }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_lacks_nothing() -> Result<()> {
    let database = fixture::database("case_superuser").await?;
    let sql = "CREATE TABLE t (id serial); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY";
    database.sql().await?.batch_execute(sql).await?;
    let mut connection = fixture::connect_as_admin(&database).await?;
    let report = connection
        .check(
            CheckOptions::new()
                .with_purposes(Purpose::ALL)
                .with_all_schemas(true),
        )
        .await?;
    assert!(troubles(&report).is_empty(), "{report:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_are_not_there_or_empty() -> Result<()> {
    let (database, client) = closed(
        "case_schemas",
        "CREATE SCHEMA void; GRANT USAGE ON SCHEMA void TO $me",
    )
    .await?;
    let all = CheckOptions::new().with_purposes(Purpose::ALL);
    let report = check_as(&database, "case_schemas", "Not There", &all).await?;
    let missing = finding(&report, "schema \"Not There\"")?;
    assert_eq!(missing.severity, Severity::Failed);
    mend(&client, missing).await?;
    let report = check_as(
        &database,
        "case_schemas",
        "Not There",
        &asked(Purpose::NewTable),
    )
    .await?;
    assert!(!report.has_failed(), "{report:#?}");
    let report = check_as(&database, "case_schemas", "void", &asked(Purpose::Source)).await?;
    assert!(!report.has_failed(), "{report:#?}");
    assert!(
        finding(&report, "reading")?
            .message
            .contains("nothing in schema void yet")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_and_views() -> Result<()> {
    let (database, client) = closed(
        "case_kinds",
        "CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (9) PARTITION BY HASH (id);
         CREATE TABLE parts_1_all PARTITION OF parts_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
         CREATE VIEW seen AS SELECT * FROM parts; CREATE MATERIALIZED VIEW kept AS SELECT * FROM parts;
         GRANT SELECT, INSERT, UPDATE, DELETE ON parts TO $me",
    )
    .await?;
    let report = everything(&database).await?;
    let reading = finding(&report, "reading")?;
    assert_eq!(
        reading.message,
        "SELECT is missing on 2 of 5 tables: kept, seen"
    );
    mend(&client, reading).await?;
    // Views are not written to, and partitions are by way of their table.
    let report = everything(&database).await?;
    assert_eq!(finding(&report, "reading")?.severity, Severity::Passed);
    assert_eq!(finding(&report, "writing")?.severity, Severity::Passed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_grant_on_it_does_not_open() -> Result<()> {
    let (database, client) = closed(
        "case_beyond",
        "CREATE ROLE case_view_owner; CREATE TABLE base (id int, shut int); CREATE TABLE fine (id int); CREATE TABLE part (id int, shut int);
         CREATE VIEW broken AS SELECT b.id, f.id AS other FROM base b, fine f; ALTER VIEW broken OWNER TO case_view_owner;
         CREATE VIEW whole AS SELECT id FROM part; ALTER VIEW whole OWNER TO case_view_owner;
         CREATE VIEW asks WITH (security_invoker = on) AS SELECT id FROM base;
         GRANT SELECT ON fine TO case_view_owner; GRANT SELECT (id) ON part TO case_view_owner;
         GRANT SELECT ON broken, asks, whole TO $me;
         CREATE FOREIGN DATA WRAPPER far; CREATE SERVER there FOREIGN DATA WRAPPER far;
         CREATE SERVER known FOREIGN DATA WRAPPER far; CREATE USER MAPPING FOR PUBLIC SERVER known;
         CREATE FOREIGN TABLE away (id int) SERVER there; CREATE FOREIGN TABLE near (id int) SERVER known;
         GRANT SELECT ON away, near TO $me",
    )
    .await?;
    let report = check_as(&database, "case_beyond", "public", &asked(Purpose::Source)).await?;
    let views = finding(&report, "views")?;
    assert_eq!(views.severity, Severity::Failed);
    assert_eq!(
        views.message,
        "they may be read, but something beneath them may not: asks (SELECT on base is missing for case_beyond), broken (SELECT on base is missing for case_view_owner)"
    );
    assert_eq!(
        statements(views),
        [
            "GRANT SELECT ON TABLE public.base TO case_beyond;",
            "GRANT SELECT ON TABLE public.base TO case_view_owner;",
        ]
    );
    let mut connection = connect_as(&database, "case_beyond", "public").await??;
    for sql in ["SELECT * FROM asks", "SELECT * FROM broken"] {
        assert!(query(&mut connection, sql).await.is_err(), "{sql}");
    }
    mend(&client, views).await?;
    for sql in [
        "SELECT * FROM asks",
        "SELECT * FROM broken",
        "SELECT * FROM whole",
    ] {
        query(&mut connection, sql).await?;
    }
    let report = check_as(&database, "case_beyond", "public", &asked(Purpose::Source)).await?;
    assert!(finding(&report, "views").is_err(), "{report:#?}");
    let foreign = finding(&report, "foreign tables")?;
    assert!(
        foreign.message.contains("there") && !foreign.message.contains("known"),
        "{foreign:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_only_read() -> Result<()> {
    let (database, client) = closed(
        "case_read_only",
        "CREATE TABLE t (id int); GRANT SELECT, INSERT, UPDATE, DELETE ON t TO $me;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO $me;
         ALTER DATABASE case_read_only SET default_transaction_read_only = on",
    )
    .await?;
    let report = check_as(
        &database,
        "case_read_only",
        "public",
        &asked(Purpose::Source),
    )
    .await?;
    assert!(troubles(&report).is_empty(), "{report:#?}");
    let report = check_as(
        &database,
        "case_read_only",
        "public",
        &asked(Purpose::InPlace),
    )
    .await?;
    let changes = finding(&report, "changes")?;
    assert_eq!(changes.severity, Severity::Failed);
    mend(&client, changes).await?;
    let report = check_as(
        &database,
        "case_read_only",
        "public",
        &asked(Purpose::InPlace),
    )
    .await?;
    assert!(!report.has_failed(), "{report:#?}");
    let mut connection = connect_as(&database, "case_read_only", "public").await??;
    connection.execute("INSERT INTO t VALUES (1)").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "1");
    Ok(())
}

/// With nothing asked for, only reading can fail.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_purpose_only_reading_fails() -> Result<()> {
    let (database, client) = closed(
        "case_open",
        "CREATE TABLE t (id serial); GRANT SELECT ON t TO $me",
    )
    .await?;
    let report = check_as(&database, "case_open", "public", &CheckOptions::new()).await?;
    assert!(!report.has_failed(), "{report:#?}");
    assert_eq!(finding(&report, "writing")?.severity, Severity::Warning);
    let verdicts: Vec<_> = report
        .verdicts
        .iter()
        .map(|verdict| verdict.severity)
        .collect();
    let (warning, failed) = (Severity::Warning, Severity::Failed);
    assert_eq!(verdicts, [warning, failed, failed, failed]);
    client
        .batch_execute("REVOKE SELECT ON t FROM case_open")
        .await?;
    let report = check_as(&database, "case_open", "public", &CheckOptions::new()).await?;
    assert!(report.has_failed(), "{report:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_for_sources_only() -> Result<()> {
    let options = ServerOptions::new().with_setting("wal_level", "replica");
    let primary = Server::start(&options).await?;
    let database = primary.database("case_standby").await?;
    let sql = "CREATE TABLE t (id int)";
    database.sql().await?.batch_execute(sql).await?;
    let config = fixture::config(&database);
    let secrets = fixture::secrets(&database);
    let standby = primary.into_standby().await?;
    let connector = fixture::postgres().await?;
    let config = config.with("port", standby.port());
    let options = ConnectOptions::default();
    let mut connection = connector.connect(config, secrets, options).await?;
    let report = connection.check(asked(Purpose::Source)).await?;
    assert!(!report.has_failed(), "{report:#?}");
    for purpose in [Purpose::NewTable, Purpose::InPlace, Purpose::Join] {
        let report = connection.check(asked(purpose)).await?;
        let changes = finding(&report, "changes")?;
        assert_eq!(changes.severity, Severity::Failed, "{report:#?}");
        assert!(changes.message.contains("replica"), "{changes:?}");
    }
    Ok(())
}
