//! Every grant of the document and of the set-up: revoked, it is missed, named, and given back
//! by the SQL of the check.

use anyhow::{Context, Result, ensure};
use dagflux_host::{Connection, Finding, Purpose, ReadOptions, SetUpNames, Severity, TableName};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Database, Server, ServerOptions};

use super::{asked, check_as, connect_as, finding, mend, role, statements, troubles};
use crate::assertions::value;
use crate::fixture;

/// The user's document, for reading and writing: `mydb` and `dagflux` stand for the names.
const READ_AND_WRITE: &str = "\
GRANT CONNECT ON DATABASE mydb TO dagflux;
GRANT USAGE ON SCHEMA public TO dagflux;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO dagflux;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO dagflux;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO dagflux;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
GRANT USAGE, SELECT ON SEQUENCES TO dagflux;
GRANT CREATE ON SCHEMA public TO dagflux;";

/// The same for sources only.
const READ: &str = "\
GRANT CONNECT ON DATABASE mydb TO dagflux;
GRANT USAGE ON SCHEMA public TO dagflux;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO dagflux;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
GRANT SELECT ON TABLES TO dagflux;";

/// What is there before the login is: nothing for everyone, and tables of `app`.
const FIXTURE: &str = "
    REVOKE CONNECT, TEMPORARY ON DATABASE mydb FROM PUBLIC;
    REVOKE ALL ON SCHEMA public FROM PUBLIC, dagflux;
    GRANT USAGE, CREATE ON SCHEMA public TO app;
    CREATE TABLE orders (id serial PRIMARY KEY, note text);
    INSERT INTO orders (note) SELECT 'a note' FROM generate_series(1, 10);
    CREATE TABLE numbers (n int);
    ALTER TABLE orders OWNER TO app;
    ALTER TABLE numbers OWNER TO app;
";

/// How grave it is for `purpose` that a grant is gone, by what revoking it begins with.
fn expected(purpose: Purpose, revoke: &str) -> Severity {
    use Purpose::{InPlace, Join, NewTable, Source};
    use Severity::{Failed, Note, Warning};
    let future = revoke.starts_with("ALTER DEFAULT");
    let severity = match (revoke_of(revoke), purpose) {
        ("CONNECT" | "USAGE ON SCHEMA", _) => Failed,
        (what, _) if what.starts_with("SELECT") && !what.contains("SEQUENCES") => Failed,
        (_, Source) => unreachable!("{revoke} is not for sources"),
        ("CREATE", NewTable | Join) => Failed,
        ("CREATE", _) => Note,
        ("TEMPORARY", _) => Failed,
        ("INSERT", Join) => Failed,
        ("INSERT", InPlace) => Warning,
        ("UPDATE", InPlace | Join) => Failed,
        ("DELETE", InPlace) => Failed,
        ("USAGE ON SEQUENCES" | "USAGE, SELECT ON SEQUENCES", Join) => Failed,
        ("SELECT ON SEQUENCES", Join) => Warning,
        (what, InPlace) if what.ends_with("SEQUENCES") => Warning,
        _ => Note,
    };
    match future {
        true => severity.min(Warning),
        false => severity,
    }
}

/// The privileges, and on what if that is not plain.
fn revoke_of(revoke: &str) -> &'static str {
    const WORDS: [&str; 11] = [
        "USAGE, SELECT ON SEQUENCES",
        "USAGE ON SEQUENCES",
        "SELECT ON SEQUENCES",
        "SELECT, INSERT, UPDATE, DELETE",
        "USAGE ON SCHEMA",
        "CONNECT",
        "TEMPORARY",
        "CREATE",
        "INSERT",
        "UPDATE",
        "DELETE",
    ];
    let plain = revoke.replace("ALL SEQUENCES", "SEQUENCES");
    let found = WORDS.iter().find(|words| plain.contains(*words));
    found.copied().unwrap_or("SELECT")
}

/// Whatever one may revoke of what was granted: each statement, and each privilege of it, for
/// each role whose default privileges they are.
fn revokes(purpose: Purpose, role: &str, database: &str) -> Vec<(String, &'static str)> {
    let tables: &[&str] = match purpose {
        Purpose::Source => &["SELECT"],
        _ => &[
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "SELECT, INSERT, UPDATE, DELETE",
        ],
    };
    let mut all = vec![
        (
            format!("REVOKE CONNECT ON DATABASE {database} FROM {role}"),
            "authorization",
        ),
        (
            format!("REVOKE USAGE ON SCHEMA public FROM {role}"),
            "schema public",
        ),
    ];
    for privileges in tables {
        let subject = match *privileges {
            "INSERT" | "UPDATE" | "DELETE" => "writing",
            _ => "reading",
        };
        all.push((
            format!("REVOKE {privileges} ON ALL TABLES IN SCHEMA public FROM {role}"),
            subject,
        ));
        for owner in ["postgres", "app"] {
            all.push((
                format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public REVOKE {privileges} ON TABLES FROM {role}"),
                "future tables",
            ));
        }
    }
    if purpose == Purpose::Source {
        return all;
    }
    for privileges in ["USAGE", "SELECT", "USAGE, SELECT"] {
        all.push((
            format!("REVOKE {privileges} ON ALL SEQUENCES IN SCHEMA public FROM {role}"),
            "sequences",
        ));
    }
    for owner in ["postgres", "app"] {
        all.push((
            format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public REVOKE USAGE, SELECT ON SEQUENCES FROM {role}"),
            "future sequences",
        ));
    }
    all.push((
        format!("REVOKE CREATE ON SCHEMA public FROM {role}"),
        "new tables",
    ));
    if purpose == Purpose::Join {
        all.push((
            format!("REVOKE TEMPORARY ON DATABASE {database} FROM {role}"),
            "temporary tables",
        ));
    }
    all
}

/// What the purpose is about, done by the login through the product.
async fn operate(database: &Database<'_>, purpose: Purpose, role: &str) -> Result<()> {
    let mut connection = connect_as(database, role, "public").await??;
    let outcome = operation(&mut connection, purpose).await;
    let _ = connection.close().await;
    outcome
}

async fn operation(connection: &mut Connection, purpose: Purpose) -> Result<()> {
    let statements: &[&str] = match purpose {
        Purpose::NewTable => &[
            "CREATE TABLE made AS SELECT * FROM orders",
            "INSERT INTO made SELECT * FROM orders",
            "DROP TABLE made",
        ],
        Purpose::InPlace => &[
            "UPDATE orders SET note = note || '.' WHERE id = 1",
            "DELETE FROM orders WHERE id = 0",
        ],
        Purpose::Join => &[
            "CREATE TEMPORARY TABLE staged (note text)",
            "INSERT INTO staged VALUES ('staged')",
            "CREATE TABLE joined AS SELECT o.id, s.note FROM orders o CROSS JOIN staged s",
            "DROP TABLE joined",
            "INSERT INTO orders (note) SELECT note FROM staged",
            "UPDATE orders o SET note = s.note FROM staged s WHERE o.id = 2",
        ],
        _ => &[],
    };
    for table in ["orders", "numbers"] {
        let table = TableName::new(table);
        let rows = connection.read(&table, ReadOptions::default());
        fixture::count(rows.await?).await?;
    }
    for statement in statements {
        connection.execute(statement).await.context(*statement)?;
    }
    Ok(())
}

/// Whether the login has on a table and a sequence that `owner` creates now what it has on
/// others.
async fn future_holds(client: &Client, owner: &str, login: &str, purpose: Purpose) -> Result<bool> {
    let writes = match purpose {
        Purpose::Source => "true",
        _ => {
            "has_table_privilege($r, 'future', 'INSERT') AND has_table_privilege($r, 'future', 'UPDATE') \
              AND has_table_privilege($r, 'future', 'DELETE')"
        }
    };
    client
        .batch_execute(&format!("SET SESSION AUTHORIZATION {owner}; CREATE TABLE future (id int); RESET SESSION AUTHORIZATION"))
        .await?;
    let sql = format!("SELECT has_table_privilege($r, 'future', 'SELECT') AND {writes}");
    let holds = value(client, &sql.replace("$r", &format!("'{login}'"))).await;
    client.batch_execute("DROP TABLE future").await?;
    Ok(holds? == "t")
}

async fn every_grant_counts(purpose: Purpose) -> Result<()> {
    every_grant_counts_on(Server::shared().await?, purpose).await
}

async fn every_grant_counts_on(server: &Server, purpose: Purpose) -> Result<()> {
    let word = purpose.as_str().replace('-', "_");
    let database = server.database(&format!("grants_{word}")).await?;
    let (client, login) = (database.sql().await?, format!("login_{word}"));
    // Roles are the server's, and other tests have theirs of this name.
    client
        .batch_execute("DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
        .await?;
    client
        .batch_execute(&FIXTURE.replace("mydb", database.name()))
        .await?;
    role(&client, &login).await?;
    let report = check_as(&database, &login, "public", &asked(purpose)).await?;
    ensure!(report.has_failed(), "nothing was granted: {report:#?}");

    // The document's own words, and what the set-up adds to them.
    let document = match purpose {
        Purpose::Source => READ,
        _ => READ_AND_WRITE,
    };
    let document = document
        .replace("dagflux", &login)
        .replace("mydb", database.name());
    client.batch_execute(&document).await.context(document)?;
    let names = SetUpNames::new(database.name(), "public", &login).with_owner("app");
    let steps = fixture::postgres().await?.set_up(&[purpose], names).await?;
    for step in &steps {
        ensure!(!step.why.is_empty(), "{step:?}");
        if !step.optional && !step.sql.starts_with("CREATE USER") {
            client
                .batch_execute(&step.sql)
                .await
                .context(step.sql.clone())?;
        }
    }
    // They take less than the document gives, so that the set-up for `app` has less than the
    // document for whom runs it.
    if matches!(purpose, Purpose::NewTable | Purpose::Join) {
        client
            .batch_execute(&format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {login};
                 ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {login};"
            ))
            .await?;
    }
    let report = check_as(&database, &login, "public", &asked(purpose)).await?;
    // Ownership is apart: no grant of the document gives it.
    let apart: Vec<_> = troubles(&report)
        .into_iter()
        .map(|finding| (finding.subject.as_str(), finding.severity))
        .collect();
    match purpose {
        Purpose::InPlace => assert_eq!(apart, [("ownership", Severity::Warning)], "{report:#?}"),
        _ => assert_eq!(apart, [], "{report:#?}"),
    }
    operate(&database, purpose, &login).await?;

    for (revoke, subject) in revokes(purpose, &login, database.name()) {
        let severity = expected(purpose, &revoke);
        client.batch_execute(&revoke).await?;
        let report = check_as(&database, &login, "public", &asked(purpose)).await?;
        let missing = finding(&report, subject).with_context(|| revoke.clone())?;
        assert_eq!(missing.severity, severity, "{revoke}: {missing:#?}");
        assert_eq!(
            report.has_failed(),
            severity == Severity::Failed,
            "{revoke}"
        );
        // What is revoked of reading and of writing at once is two findings; nothing else is.
        let at_once = revoke.starts_with("REVOKE SELECT, INSERT");
        let is_named = |finding: &&Finding| {
            finding.subject == subject || (at_once && finding.subject == "writing")
        };
        let (named, others): (Vec<_>, Vec<_>) = troubles(&report)
            .into_iter()
            .filter(|finding| finding.subject != "ownership")
            .partition(is_named);
        assert!(others.is_empty(), "{revoke}: {others:#?}");
        let sql: Vec<_> = named.iter().copied().flat_map(statements).collect();
        let sql = sql.join("\n");
        for word in revoke_of(&revoke)
            .split(" ON ")
            .next()
            .unwrap_or_default()
            .split(", ")
        {
            assert!(sql.contains(word), "{revoke}: {word} is not in {sql}");
        }
        let works = operate(&database, purpose, &login).await;
        assert_eq!(
            works.is_ok(),
            severity < Severity::Failed,
            "{revoke}: {works:?}"
        );
        for finding in named {
            mend(&client, finding)
                .await
                .with_context(|| revoke.clone())?;
        }
        let report = check_as(&database, &login, "public", &asked(purpose)).await?;
        let left: Vec<_> = troubles(&report)
            .into_iter()
            .filter(|finding| finding.subject != "ownership")
            .collect();
        assert!(left.is_empty(), "after {revoke} and {sql}: {left:#?}");
        operate(&database, purpose, &login)
            .await
            .with_context(|| revoke.clone())?;
        for owner in ["postgres", "app"] {
            let holds = future_holds(&client, owner, &login, purpose).await?;
            assert!(holds, "{owner}, after {revoke} and {sql}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn for_sources() -> Result<()> {
    every_grant_counts(Purpose::Source).await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_new_tables() -> Result<()> {
    every_grant_counts(Purpose::NewTable).await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_changes_in_place() -> Result<()> {
    every_grant_counts(Purpose::InPlace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_joins() -> Result<()> {
    every_grant_counts(Purpose::Join).await
}

/// What the catalog of the oldest and the newest server has is read as well.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_oldest_and_the_newest_server() -> Result<()> {
    for major in [10, 18] {
        let server = Server::start(&ServerOptions::new().with_version(major)).await?;
        for purpose in [Purpose::InPlace, Purpose::Join] {
            every_grant_counts_on(&server, purpose)
                .await
                .with_context(|| format!("PostgreSQL {major}, {purpose:?}"))?;
        }
    }
    Ok(())
}

/// The set-up alone, on a login that it creates itself, is enough.
#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_alone_is_enough() -> Result<()> {
    let database = fixture::database("set_up_alone").await?;
    let client = database.sql().await?;
    client
        .batch_execute("DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
        .await?;
    client
        .batch_execute(&FIXTURE.replace("mydb", database.name()))
        .await?;
    for purpose in Purpose::ALL {
        let login = format!("set up \"{purpose:?}\"");
        let names = SetUpNames::new(database.name(), "public", &login).with_owner("app");
        let steps = fixture::postgres().await?.set_up(&[purpose], names).await?;
        for step in steps.iter().filter(|step| !step.optional) {
            let sql = step
                .sql
                .replace("choose-a-strong-password", super::PASSWORD);
            client.batch_execute(&sql).await.context(sql)?;
        }
        let report = check_as(&database, &login, "public", &asked(purpose)).await?;
        assert!(!report.has_failed(), "{report:#?}");
        // The schema's owner is the superuser here, who was not named as an owner.
        let warned: Vec<_> = troubles(&report)
            .into_iter()
            .filter(|finding| finding.severity == Severity::Warning)
            .filter(|finding| !finding.subject.starts_with("future"))
            .map(|finding| finding.subject.as_str())
            .collect();
        match purpose {
            Purpose::InPlace => assert_eq!(warned, ["ownership"]),
            _ => assert_eq!(warned, [""; 0]),
        }
        operate(&database, purpose, &login).await?;
    }
    Ok(())
}
