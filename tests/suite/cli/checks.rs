//! `check` and `setup-sql`, as they are run.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use dagflux_test_support::{Binaries, Database, Server};
use serde_json::Value;

use super::Desk;
use crate::assertions::value;
use crate::fixture;

/// A database of `shopkeeper`'s, in which `dagflux` may only connect.
async fn shop(name: &str) -> Result<(Database<'static>, Desk)> {
    let database = fixture::database(name).await?;
    let client = database.sql().await?;
    client
        .batch_execute(&format!(
            "DO $$ BEGIN CREATE ROLE shopkeeper; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
             REVOKE ALL ON DATABASE {name} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC, dagflux;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM dagflux;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM dagflux;
             GRANT USAGE, CREATE ON SCHEMA public TO shopkeeper; SET ROLE shopkeeper;
             CREATE TABLE goods (id serial PRIMARY KEY, name text); CREATE TABLE prices (id int, price numeric(10,2)); RESET ROLE"
        ))
        .await?;
    let desk = Desk::new(&database)?;
    Ok((database, desk))
}

/// What psql makes of a script, as the superuser.
fn psql(server: &Server, database: &str, script: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("script.sql");
    std::fs::write(&path, script)?;
    let output = Command::new(Binaries::find()?.program("psql"))
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"])
        .args(["--host", server.host()])
        .args(["--port", &server.port().to_string()])
        .args(["--username", server.admin_username(), database])
        .arg("--file")
        .arg(&path)
        .env("PGPASSWORD", server.admin_password())
        .output()?;
    ensure!(
        output.status.success(),
        "{}\n{script}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_prints_the_sql_that_mends_it() -> Result<()> {
    let (database, desk) = shop("cli_check_sql").await?;
    let run = desk.run(&["check", "db", "--for", "join"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    for line in [
        "join  not ready",
        "to mend what failed, run as shopkeeper:",
        "to mend what failed, run as postgres:",
        "GRANT USAGE ON SCHEMA public TO dagflux;",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO dagflux;",
        "GRANT TEMPORARY ON DATABASE cli_check_sql TO dagflux;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE shopkeeper IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO dagflux;",
    ] {
        assert!(
            run.out.lines().any(|known| known == line),
            "{line}\n{}",
            run.out
        );
    }
    // To be run as it is printed, by psql.
    let run = desk.run(&["check", "db", "--for", "all", "--sql"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    let other = |line: &&str| {
        !(line.is_empty()
            || line.starts_with("-- ")
            || line.starts_with("GRANT ")
            || line.starts_with("ALTER DEFAULT "))
    };
    assert_eq!(run.out.lines().find(other), None, "{}", run.out);
    // What gives more than what is missing is for someone to decide.
    assert!(
        run.out.contains("-- GRANT shopkeeper TO dagflux;"),
        "{}",
        run.out
    );
    psql(database.server(), database.name(), &run.out)?;
    let out = desk.succeed(&["check", "db", "--for", "all"])?;
    for (purpose, word) in [
        ("source", "ready"),
        ("new-table", "ready"),
        ("in-place", "ready, with warnings"),
        ("join", "ready"),
    ] {
        assert!(
            out.lines()
                .any(|line| line == format!("{purpose:9}  {word}")),
            "{purpose}: {out}"
        );
    }
    let member = "SELECT pg_has_role('dagflux', 'shopkeeper', 'MEMBER')";
    assert_eq!(value(&database.sql().await?, member).await?, "f");
    // Without anything missing, there is no SQL.
    assert_eq!(
        desk.succeed(&["check", "db", "--for", "join", "--sql"])?,
        ""
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_without_a_purpose_fails_only_for_reading() -> Result<()> {
    let (database, desk) = shop("cli_check_open").await?;
    let client = database.sql().await?;
    client
        .batch_execute("GRANT USAGE ON SCHEMA public TO dagflux; GRANT SELECT ON ALL TABLES IN SCHEMA public TO dagflux")
        .await?;
    let report = &desk.json(&["check", "db"])?[0];
    assert_eq!(report["failed"], false);
    assert_eq!(
        verdicts(report),
        [
            "source warning",
            "new-table failed",
            "in-place failed",
            "join failed"
        ]
    );
    let run = desk.run(&["check", "db", "--for", "source,in-place"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    desk.succeed(&["check", "db", "--for", "source", "--all-schemas"])?;
    let run = desk.run(&["check", "db", "--for", "sources"])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    Ok(())
}

fn verdicts(report: &Value) -> Vec<String> {
    let verdicts = report["verdicts"].as_array().into_iter().flatten();
    verdicts
        .map(|verdict| {
            let word = |key: &str| verdict[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", word("purpose"), word("severity"))
        })
        .collect()
}

/// One shape for machines, however far the check came.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_cannot_connect_is_a_report() -> Result<()> {
    let (database, desk) = shop("cli_check_connect").await?;
    let client = database.sql().await?;
    client
        .batch_execute("REVOKE CONNECT ON DATABASE cli_check_connect FROM dagflux")
        .await?;
    let run = desk.run(&["check", "db", "--for", "source"])?;
    assert_eq!(run.code, Some(5), "{run:?}");
    let grant = "GRANT CONNECT ON DATABASE cli_check_connect TO dagflux;";
    assert!(run.out.lines().any(|line| line == grant), "{run:?}");
    assert!(
        run.err.starts_with("error: ") && run.err.contains(grant),
        "{run:?}"
    );
    let script = desk.run(&["check", "db", "--sql"])?;
    assert_eq!(script.code, Some(5), "{script:?}");

    let run = desk.run(&["check", "db", "--for", "source", "--json"])?;
    assert_eq!(run.code, Some(5), "{run:?}");
    let without: Value = serde_json::from_str(&run.out).with_context(|| run.out.clone())?;
    assert_eq!(without["server"], Value::Null);
    assert_eq!(without["failed"], true);
    assert_eq!(verdicts(&without), ["source failed"]);
    assert_eq!(without["findings"][0]["severity"], "failed");
    assert!(
        !run.out.contains("dagflux"),
        "the login name is for no machine: {}",
        run.out
    );
    let error: Value = serde_json::from_str(run.err.trim())?;
    assert_eq!(error["error"]["kind"], "permission-denied");

    psql(database.server(), database.name(), &script.out)?;
    let run = desk.run(&["check", "db", "--json"])?;
    let with: Value = serde_json::from_str(&run.out)?;
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    assert_eq!(keys(&with), keys(&without));
    assert_eq!(keys(&with["findings"][0]), keys(&without["findings"][0]));
    assert!(
        !run.out.contains("\"dagflux\"") && !run.out.contains("TO dagflux"),
        "{}",
        run.out
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_goes_to_psql_as_it_is_printed() -> Result<()> {
    let (database, desk) = shop("cli_set_up").await?;
    let names = [
        "--database",
        database.name(),
        "--schema",
        "public",
        "--user",
    ];
    for purpose in ["source", "new-table", "in-place", "join", "all"] {
        let user = format!("Cli {purpose}");
        let arguments = [
            &["setup-sql", "--for", purpose, "--owner", "shopkeeper"][..],
            &names,
            &[&user],
        ]
        .concat();
        let script = desk.succeed(&arguments)?;
        // Whatever is not a statement explains the one below it.
        let mut explained = false;
        for line in script.lines() {
            match line {
                "" => explained = false,
                line if line.starts_with("-- ") => explained = true,
                line => assert!(explained && line.ends_with(';'), "{line}\n{script}"),
            }
        }
        let least = purpose == "source";
        for (word, most) in [
            ("SELECT", true),
            ("UPDATE", !least && purpose != "new-table"),
            ("CREATE ON SCHEMA", !least && purpose != "in-place"),
            ("TEMPORARY", matches!(purpose, "join" | "all")),
        ] {
            assert_eq!(
                script.contains(&format!("GRANT {word}"))
                    || script.contains(&format!("INSERT, {word}")),
                most,
                "{purpose}, {word}\n{script}"
            );
        }
        psql(database.server(), database.name(), &script)?;
        // Once more, and only the user is there already.
        let again: String = script
            .lines()
            .filter(|line| !line.starts_with("CREATE USER"))
            .map(|line| format!("{line}\n"))
            .collect();
        psql(database.server(), database.name(), &again)?;
        let connect = format!(
            "SELECT has_database_privilege('Cli {purpose}', '{}', 'CONNECT')",
            database.name()
        );
        assert_eq!(value(&database.sql().await?, &connect).await?, "t");
    }
    // The names of a connection; the login name is for people.
    let script = desk.succeed(&["setup-sql", "db", "--for", "source"])?;
    assert!(
        script.contains("GRANT USAGE ON SCHEMA public TO dagflux;"),
        "{script}"
    );
    assert!(
        script.contains("GRANT CONNECT ON DATABASE cli_set_up TO dagflux;"),
        "{script}"
    );
    let steps = &desk.json(&["setup-sql", "db", "--for", "in-place"])?[0];
    assert!(!steps.to_string().contains("TO dagflux"), "{steps}");
    let optional = |step: &&Value| step["optional"] == true;
    assert_eq!(
        steps
            .as_array()
            .into_iter()
            .flatten()
            .filter(optional)
            .count(),
        2
    );
    let (_, error) = desk.fail(&["setup-sql", "--for", "all", "--user", "x"], 2)?;
    assert_eq!(error["kind"], "usage");
    let long = "x".repeat(64);
    let (_, error) = desk.fail(
        &[
            "setup-sql",
            "--for",
            "all",
            "--user",
            &long,
            "--database",
            "d",
        ],
        3,
    )?;
    assert_eq!(error["kind"], "configuration");
    Ok(())
}
