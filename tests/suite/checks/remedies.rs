//! What the check prints is run by those whom it names, over connections of their own, and the
//! check passes afterwards.

use anyhow::{Context, Result};
use dagflux_host::{CheckOptions, ConnectOptions, Finding, Purpose, Report, Severity};
use dagflux_test_support::tokio_postgres::{Client, NoTls};
use dagflux_test_support::{Database, Server, ServerOptions, tokio_postgres};

use super::{PASSWORD, asked, check_as, connect_as, finding, mend, role, statements, troubles};
use crate::assertions::{query, value};
use crate::fixture;

/// A connection of its own, as psql would make it.
async fn log_in(database: &Database<'_>, role: &str, password: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::Config::new()
        .host(database.server().host())
        .port(database.server().port())
        .user(role)
        .password(password)
        .dbname(database.name())
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Runs a finding's statements over a connection of each role that it names.
async fn mend_afresh(database: &Database<'_>, finding: &Finding) -> Result<()> {
    let server = database.server();
    for remedy in &finding.remedies {
        let client = match remedy.run_as.as_deref() {
            Some(role) if role != server.admin_username() => {
                log_in(database, role, PASSWORD).await?
            }
            _ => log_in(database, server.admin_username(), server.admin_password()).await?,
        };
        for statement in &remedy.statements {
            client
                .batch_execute(statement)
                .await
                .with_context(|| format!("as {:?}: {statement}", remedy.run_as))?;
        }
    }
    Ok(())
}

/// A database of a login of the same name, which may use `public` and nothing else.
async fn start(name: &str, sql: &str) -> Result<(Database<'static>, Client)> {
    start_on(Server::shared().await?, name, sql).await
}

async fn start_on<'s>(server: &'s Server, name: &str, sql: &str) -> Result<(Database<'s>, Client)> {
    let database = server.database(name).await?;
    let client = database.sql().await?;
    client
        .batch_execute("REVOKE ALL ON SCHEMA public FROM PUBLIC, dagflux")
        .await?;
    role(&client, name).await?;
    client
        .batch_execute(&format!("GRANT USAGE ON SCHEMA public TO {name}"))
        .await?;
    client.batch_execute(&sql.replace("$me", name)).await?;
    Ok((database, client))
}

async fn check(database: &Database<'_>, purpose: Purpose) -> Result<Report> {
    check_as(database, database.name(), "public", &asked(purpose)).await
}

/// What is not as it should be, but for some subjects.
fn left<'r>(report: &'r Report, but: &[&str]) -> Vec<&'r Finding> {
    let troubles = troubles(report).into_iter();
    troubles
        .filter(|finding| !but.contains(&finding.subject.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_shows_every_row_hides_none() -> Result<()> {
    let (database, client) = start(
        "mend_policies",
        "CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; INSERT INTO t VALUES (1), (2);
         CREATE POLICY sees_all_rows ON t USING (false);
         CREATE TABLE kept (id int); ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
         CREATE POLICY open ON kept USING (true); CREATE POLICY shut ON kept AS RESTRICTIVE USING (id > 1);
         GRANT SELECT ON t, kept TO $me",
    )
    .await?;
    let hidden = check(&database, Purpose::Source).await?;
    let hidden = finding(&hidden, "row-level security")?;
    assert_eq!(hidden.severity, Severity::Warning);
    // The name that is taken is not taken twice, and does not tell whose it is.
    let sql = statements(hidden);
    assert_eq!(
        sql,
        ["CREATE POLICY sees_all_rows_2 ON public.t FOR SELECT TO mend_policies USING (true);"]
    );
    mend_afresh(&database, hidden).await?;
    let mut connection = connect_as(&database, "mend_policies", "public").await??;
    assert_eq!(
        fixture::count(connection.query("SELECT * FROM t").await?).await?,
        2
    );
    connection.close().await?;
    // What restricts goes on, with nothing to run.
    let again = check(&database, Purpose::Source).await?;
    let again = finding(&again, "row-level security")?;
    assert_eq!(again.message, "policies may silently hide rows of kept");
    assert_eq!(statements(again), [""; 0]);
    client.batch_execute("DROP POLICY shut ON kept").await?;
    let report = check(&database, Purpose::Source).await?;
    assert_eq!(
        finding(&report, "row-level security")?.severity,
        Severity::Passed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_decide_what_may_be_written() -> Result<()> {
    let (database, client) = start(
        "mend_writes",
        "CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; INSERT INTO t VALUES (1);
         CREATE POLICY seen ON t FOR SELECT USING (true);
         GRANT CREATE ON SCHEMA public TO $me; GRANT SELECT, INSERT, UPDATE, DELETE ON t TO $me",
    )
    .await?;
    let subject = "row-level security on writes";
    let mut connection = connect_as(&database, "mend_writes", "public").await??;
    for (purpose, sql) in [
        (Purpose::Join, "INSERT INTO t VALUES (2)"),
        (Purpose::InPlace, "DELETE FROM t WHERE id = 2"),
    ] {
        // What is not deleted is not told either.
        let before = connection.execute(sql).await.map(|outcome| outcome.rows);
        match purpose {
            Purpose::InPlace => assert_eq!(before?, Some(0)),
            _ => assert!(before.is_err()),
        }
        let report = check(&database, purpose).await?;
        assert!(report.has_failed(), "{report:#?}");
        let writes = finding(&report, subject)?;
        assert_eq!(writes.severity, Severity::Failed, "{writes:#?}");
        for finding in left(&report, &["ownership"]) {
            if finding.severity > Severity::Note {
                mend(&client, finding).await?;
            }
        }
        let report = check(&database, purpose).await?;
        assert!(finding(&report, subject)?.severity <= Severity::Note);
        assert_eq!(connection.execute(sql).await?.rows, Some(1), "{sql}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_mended_over_a_new_connection() -> Result<()> {
    let (database, _client) = start(
        "mend_read_only",
        "CREATE TABLE t (id int); GRANT SELECT ON t TO $me; ALTER DATABASE mend_read_only SET default_transaction_read_only = on",
    )
    .await?;
    let report = check(&database, Purpose::InPlace).await?;
    let changes = finding(&report, "changes")?;
    let remedy = &changes.remedies[0];
    assert_eq!(remedy.run_as.as_deref(), Some("mend_read_only"));
    // What others have to run is as read-only for them.
    for finding in left(&report, &["ownership"]) {
        mend_afresh(&database, finding).await?;
    }
    let report = check(&database, Purpose::InPlace).await?;
    assert!(!report.has_failed(), "{report:#?}");
    let mut connection = connect_as(&database, "mend_read_only", "public").await??;
    connection.execute("INSERT INTO t VALUES (1)").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_sends_its_statements_to_the_primary() -> Result<()> {
    let options = ServerOptions::new().with_setting("wal_level", "replica");
    let primary = Server::start(&options).await?;
    let database = primary.database("mend_standby").await?;
    let sql = "CREATE TABLE t (id int); REVOKE ALL ON t FROM dagflux";
    database.sql().await?.batch_execute(sql).await?;
    let (config, secrets) = (fixture::config(&database), fixture::secrets(&database));
    let standby = primary.into_standby().await?;
    let config = config.with("port", standby.port());
    let connector = fixture::postgres().await?;
    let mut connection = connector
        .connect(config, secrets, ConnectOptions::default())
        .await?;
    let report = connection.check(asked(Purpose::Source)).await?;
    assert_eq!(finding(&report, "reading")?.severity, Severity::Failed);
    let notes: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.message.contains("on the primary"))
        .collect();
    assert_eq!(notes.len(), 1, "{report:#?}");
    assert_eq!(notes[0].severity, Severity::Note);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_made_by_the_owner_of_the_database() -> Result<()> {
    let (database, client) = start("mend_schema", "").await?;
    role(&client, "mend_schema_owner").await?;
    client
        .batch_execute("ALTER DATABASE mend_schema OWNER TO mend_schema_owner")
        .await?;
    let new = asked(Purpose::NewTable);
    let report = check_as(&database, "mend_schema", "Not There", &new).await?;
    let missing = finding(&report, "schema \"Not There\"")?;
    assert_eq!(
        missing.remedies[0].run_as.as_deref(),
        Some("mend_schema_owner")
    );
    mend_afresh(&database, missing).await?;
    let report = check_as(&database, "mend_schema", "Not There", &new).await?;
    assert!(!report.has_failed(), "{report:#?}");
    let owner = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'Not There'";
    assert_eq!(value(&client, owner).await?, "mend_schema_owner");
    let mut connection = connect_as(&database, "mend_schema", "Not There").await??;
    connection.execute("CREATE TABLE made (id int)").await?;
    Ok(())
}

/// The owner's rights by the printed `GRANT owner TO login`, also for logins that do not inherit.
async fn ownership_on(server: &Server) -> Result<()> {
    for (name, sql) in [
        ("mend_own", ""),
        ("mend_own_apart", "ALTER ROLE $me NOINHERIT"),
        (
            "mend_own_member",
            "GRANT mend_own_member_app TO $me; ALTER ROLE $me NOINHERIT",
        ),
    ] {
        let sql = format!(
            "CREATE ROLE {name}_app; CREATE TABLE t (id int); ALTER TABLE t OWNER TO {name}_app; GRANT SELECT, INSERT, UPDATE, DELETE ON t TO $me; {sql}"
        );
        let (database, client) = start_on(server, name, &sql).await?;
        let version = "SELECT current_setting('server_version_num')::int / 10000";
        let version: u32 = value(&client, version).await?.parse()?;
        if name == "mend_own_member" && version >= 16 {
            client
                .batch_execute(&format!(
                    "ALTER ROLE {name} INHERIT; GRANT {name}_app TO {name} WITH INHERIT FALSE"
                ))
                .await?;
        }
        let alter = "ALTER TABLE t ADD COLUMN more int";
        let mut connection = connect_as(&database, name, "public").await??;
        assert!(connection.execute(alter).await.is_err(), "{name}");
        connection.close().await?;
        let report = check(&database, Purpose::InPlace).await?;
        let ownership = finding(&report, "ownership")?;
        assert_eq!(ownership.severity, Severity::Warning, "{name}");
        // No one role is known to be able to.
        assert_eq!(ownership.remedies[0].run_as, None);
        let advice = ownership.remedies[0].advice.as_deref().unwrap_or_default();
        assert!(advice.contains("ADMIN OPTION"), "{advice}");
        mend_afresh(&database, ownership).await?;
        let report = check(&database, Purpose::InPlace).await?;
        let after = finding(&report, "ownership")?;
        assert_eq!(
            after.severity,
            Severity::Passed,
            "{name}, {version}: {after:#?}"
        );
        let mut connection = connect_as(&database, name, "public").await??;
        connection.execute(alter).await.context(name)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_gives_the_owners_rights() -> Result<()> {
    ownership_on(Server::shared().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn membership_gives_the_owners_rights_on_new_servers() -> Result<()> {
    ownership_on(&Server::start(&ServerOptions::new().with_version(18)).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_is_granted_on_tables_only() -> Result<()> {
    let (database, client) = start(
        "mend_views",
        "CREATE SCHEMA shut; CREATE TABLE shut.accounts (id int); CREATE TABLE log (id int);
         CREATE VIEW accounts AS SELECT * FROM shut.accounts; GRANT SELECT ON ALL TABLES IN SCHEMA public TO $me;
         GRANT CREATE ON SCHEMA public TO $me",
    )
    .await?;
    let report = check(&database, Purpose::Join).await?;
    assert_eq!(
        statements(finding(&report, "writing")?)[0],
        "GRANT INSERT, UPDATE ON TABLE public.log TO mend_views;"
    );
    for finding in left(&report, &[]) {
        mend(&client, finding).await?;
    }
    let may = "SELECT has_table_privilege('mend_views', 'accounts', 'INSERT')";
    assert_eq!(value(&client, may).await?, "f");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_cannot_be_read_are_not_readable() -> Result<()> {
    let (database, client) = start(
        "mend_beneath",
        "CREATE ROLE mend_beneath_owner; CREATE TABLE base (id int, secret int); CREATE TABLE plain (id int);
         CREATE VIEW broken AS SELECT secret FROM base; ALTER VIEW broken OWNER TO mend_beneath_owner;
         GRANT SELECT (id) ON base TO mend_beneath_owner;
         CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
         GRANT SELECT ON base, plain, broken, parts TO $me",
    )
    .await?;
    let mut connection = connect_as(&database, "mend_beneath", "public").await??;
    assert!(
        query(&mut connection, "SELECT * FROM broken")
            .await
            .is_err()
    );
    connection.close().await?;
    let report = check(&database, Purpose::Source).await?;
    assert!(report.has_failed(), "{report:#?}");
    let views = finding(&report, "views")?;
    assert_eq!(views.severity, Severity::Failed);
    assert!(views.remedies.iter().all(|remedy| remedy.gives_more));
    let reading = finding(&report, "reading")?;
    assert_eq!(
        reading.message,
        "4 of 5 tables and views may be read (1 partition by way of its table)"
    );
    mend(&client, views).await?;
    let report = check(&database, Purpose::Source).await?;
    assert!(!report.has_failed(), "{report:#?}");
    assert_eq!(
        finding(&report, "reading")?.message,
        "all 5 tables and views may be read (1 partition by way of its table)"
    );
    Ok(())
}

/// What a predefined role gives is given.
#[tokio::test(flavor = "multi_thread")]
async fn predefined_roles_count() -> Result<()> {
    let (database, client) = start(
        "mend_predefined",
        "CREATE SCHEMA hidden; CREATE TABLE hidden.t (id serial); CREATE TABLE t (id serial); GRANT pg_read_all_data TO $me",
    )
    .await?;
    let all = asked(Purpose::Source).with_all_schemas(true);
    let report = check_as(&database, "mend_predefined", "public", &all).await?;
    assert!(left(&report, &[]).is_empty(), "{report:#?}");
    client
        .batch_execute("GRANT pg_write_all_data TO mend_predefined")
        .await?;
    let all = CheckOptions::new()
        .with_purpose(Purpose::InPlace)
        .with_all_schemas(true);
    let report = check_as(&database, "mend_predefined", "public", &all).await?;
    let severities = ["writing", "sequences", "future tables", "future sequences"]
        .map(|subject| finding(&report, subject).map(|finding| finding.severity));
    for severity in severities {
        assert_eq!(severity?, Severity::Passed, "{report:#?}");
    }
    client
        .batch_execute("REVOKE pg_read_all_data FROM mend_predefined")
        .await?;
    assert!(check(&database, Purpose::Source).await?.has_failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_those_that_columns_draw_from() -> Result<()> {
    let (database, client) = start(
        "mend_sequences",
        "CREATE SEQUENCE invoice_no; CREATE SCHEMA shared; CREATE SEQUENCE shared.ids;
         CREATE TABLE plain (id int); GRANT SELECT, INSERT, UPDATE, DELETE ON plain TO $me; GRANT CREATE ON SCHEMA public TO $me",
    )
    .await?;
    // Nobody draws from this one, at least not by inserting.
    let report = check(&database, Purpose::Join).await?;
    assert!(!report.has_failed(), "{report:#?}");
    client
        .batch_execute("CREATE TABLE t (id int DEFAULT nextval('shared.ids'), x int); GRANT SELECT, INSERT, UPDATE, DELETE ON t TO mend_sequences")
        .await?;
    let mut connection = connect_as(&database, "mend_sequences", "public").await??;
    let insert = "INSERT INTO t (x) VALUES (1)";
    assert!(connection.execute(insert).await.is_err());
    let report = check(&database, Purpose::Join).await?;
    let sequences = finding(&report, "sequences")?;
    assert_eq!(sequences.severity, Severity::Failed);
    mend(&client, sequences).await?;
    let report = check(&database, Purpose::Join).await?;
    assert_eq!(
        finding(&report, "sequences")?.message,
        "the only sequence may be used"
    );
    connection.execute(insert).await?;
    let other = "SELECT has_sequence_privilege('mend_sequences', 'invoice_no', 'USAGE')";
    assert_eq!(value(&client, other).await?, "f");
    Ok(())
}

/// What a group may create, its members do, and own.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_groups_create_tables_of_their_own() -> Result<()> {
    let (database, client) = start(
        "mend_groups",
        "CREATE ROLE mend_groups_devs; GRANT USAGE, CREATE ON SCHEMA public TO mend_groups_devs;
         CREATE ROLE mend_groups_gone; CREATE TABLE old (id int); ALTER TABLE old OWNER TO mend_groups_gone; GRANT SELECT ON old TO $me;
         ALTER DEFAULT PRIVILEGES FOR ROLE mend_groups_devs IN SCHEMA public GRANT SELECT ON TABLES TO $me;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO $me",
    )
    .await?;
    // Who may create nothing more is of no concern.
    let report = check(&database, Purpose::Source).await?;
    let future = finding(&report, "future tables")?;
    assert_eq!(future.severity, Severity::Passed, "{future:#?}");
    assert!(
        future.message.ends_with("by mend_groups_devs, postgres"),
        "{future:#?}"
    );
    role(&client, "mend_groups_alice").await?;
    client
        .batch_execute("GRANT mend_groups_devs TO mend_groups_alice")
        .await?;
    let report = check(&database, Purpose::Source).await?;
    let future = finding(&report, "future tables")?;
    assert_eq!(future.severity, Severity::Warning, "{future:#?}");
    mend_afresh(&database, future).await?;
    let alice = log_in(&database, "mend_groups_alice", PASSWORD).await?;
    alice.batch_execute("CREATE TABLE hers (id int)").await?;
    let report = check(&database, Purpose::Source).await?;
    assert!(troubles(&report).is_empty(), "{report:#?}");
    // Of everyone, nobody can say who it is.
    client
        .batch_execute("DROP TABLE old; GRANT CREATE ON SCHEMA public TO PUBLIC")
        .await?;
    let report = check(&database, Purpose::Source).await?;
    let future = finding(&report, "future tables")?;
    assert!(future.message.contains("PUBLIC"), "{future:#?}");
    Ok(())
}

/// What an extension brought along is not written to, nor altered.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_extensions_are_left_alone() -> Result<()> {
    let (database, _client) = start(
        "mend_extension",
        "CREATE TABLE brought (id serial); ALTER EXTENSION plpgsql ADD TABLE brought; GRANT SELECT ON brought TO $me;
         CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO $me",
    )
    .await?;
    let report = check(&database, Purpose::InPlace).await?;
    for subject in ["writing", "ownership"] {
        let finding = finding(&report, subject)?;
        assert_eq!(finding.severity, Severity::Passed, "{finding:#?}");
    }
    Ok(())
}
