//! Exit codes, faults of a connection file, and what must not be shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};

use super::{Desk, Run, prepared};
use crate::assertions::value;

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_their_exit_codes() -> Result<()> {
    let (database, desk) = prepared("cli_failures").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE closed (id int); REVOKE ALL ON closed FROM dagflux")
        .await?;
    let (text, error) = desk.fail(&["query", "db", "SELECT id,\n  from orders"], 7)?;
    assert_eq!(
        (error["line"].as_u64(), error["column"].as_u64()),
        (Some(2), Some(3))
    );
    assert!(text.contains("line 2:") && text.contains('^'), "{text}");
    for (arguments, code, kind) in [
        (&["preview", "db", "not_there"][..], 6, "table-not-found"),
        (&["columns", "db", "not_there"], 6, "table-not-found"),
        (
            &["tables", "db", "--schema", "not_there"],
            6,
            "schema-not-found",
        ),
        (
            &["query", "db", "SELECT nmae FROM orders"],
            6,
            "column-not-found",
        ),
        (
            &["query", "db", "DELETE FROM orders RETURNING id"],
            7,
            "read-only",
        ),
        (
            &["query", "db", "COMMIT; DROP TABLE orders"],
            7,
            "unsupported-statement",
        ),
        (&["query", "db", "SELECT 1 / 0"], 7, "statement"),
        (&["preview", "db", "closed"], 5, "permission-denied"),
        (
            &["export", "db", "not_there", "-o", "x.csv"],
            6,
            "table-not-found",
        ),
        (
            &[
                "export",
                "db",
                "--query",
                "COMMIT; DROP TABLE orders",
                "-o",
                "x.csv",
            ],
            7,
            "unsupported-statement",
        ),
        (
            &[
                "export",
                "db",
                "--query",
                "SELECT 1) TO PROGRAM 'touch x' --",
                "-o",
                "x.csv",
            ],
            7,
            "syntax",
        ),
        (
            &[
                "query",
                "db",
                "SELECT pg_sleep(60)",
                "--statement-timeout",
                "200ms",
            ],
            9,
            "statement-timeout",
        ),
        (&["check", "no_such_connection"], 3, "configuration"),
    ] {
        let (_, error) = desk.fail(arguments, code)?;
        assert_eq!(error["kind"], kind, "{arguments:?}");
    }
    assert_eq!(desk.files()?, Vec::<String>::new());
    assert_eq!(value(&client, "SELECT count(*) FROM orders").await?, "2000");
    let run = desk.run(&["frobnicate"])?;
    assert_eq!(run.code, Some(2));

    // The connection itself.
    let other = |from: &str, to: &str| -> Result<Desk> {
        let text = fs::read_to_string(desk.path("connections.toml"))?;
        assert!(text.contains(from));
        let other = Desk::with_file(&text.replace(from, to))?;
        fs::copy(desk.path("password"), other.path("password"))?;
        Ok(other)
    };
    let port = format!("port = {}", database.server().port());
    let (_, error) = other(&port, "port = 1")?.fail(&["check", "db"], 4)?;
    assert_eq!(error["kind"], "unreachable");
    let (_, error) = other("127.0.0.1", "no-such-host.invalid")?.fail(&["check", "db"], 4)?;
    assert_eq!(error["kind"], "name-resolution");
    let (_, error) =
        other("\"cli_failures\"", "\"cli_no_such_database\"")?.fail(&["check", "db"], 6)?;
    assert_eq!(error["kind"], "database-not-found");
    let wrong = other("[db]", "[db]")?;
    fs::write(wrong.path("password"), "an-entirely-wrong-password")?;
    let (text, error) = wrong.fail(&["check", "db"], 5)?;
    assert_eq!(error["kind"], "authentication");
    assert!(!format!("{text}{error}").contains("an-entirely-wrong-password"));
    // A person learns for whom it failed; a machine, whose logs live on, does not.
    assert!(text.contains("dagflux"), "{text}");
    assert!(!error.to_string().contains("\\\"dagflux\\\""), "{error}");
    let run = wrong
        .command(&["check", "db"])?
        .env_remove("DESK_USER")
        .output()?;
    let run = Run::from(run);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.err.contains("DESK_USER"), "{run:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_connection_at_once_and_no_secret_shown() -> Result<()> {
    let secret = "hunter2-written-in-the-file";
    let desk = Desk::with_file(&format!(
        "[db]\nconnector = \"postgres\"\nprot = 5433\nport = \"five\"\ndatabse = \"x\"\n\
         use_ssl = \"yes\"\nusername = 7\npassword = \"{secret}\"\ncolour = \"blue\"\n"
    ))?;
    let (text, error) = desk.fail(&["check", "db"], 3)?;
    let faults = error["faults"].as_array().context("no faults")?;
    let fields: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault["field"].as_str())
        .collect();
    for field in [
        "prot", "port", "databse", "use_ssl", "username", "password", "colour", "host",
    ] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    assert!(text.contains("did you mean \"database\"?"), "{text}");
    assert!(text.contains("dagflux secret set db.password"), "{text}");
    let everything = format!("{text}{error}");
    assert!(
        !everything.contains(secret) && !everything.contains("hunter2"),
        "{everything}"
    );
    let run = desk.run(&["connections"])?;
    assert!(!format!("{run:?}").contains("hunter2"), "{run:?}");
    // Nor on the command line.
    let run = desk.run(&["check", "db", "--password", secret])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    // A password file that others can read is refused.
    let open = Desk::with_file(
        "[db]\nconnector = \"postgres\"\nhost = \"127.0.0.1\"\ndatabase = \"x\"\nusername = \"u\"\n\
         password = { file = \"password\" }\n",
    )?;
    fs::write(open.path("password"), secret)?;
    fs::set_permissions(open.path("password"), fs::Permissions::from_mode(0o644))?;
    let (text, _) = open.fail(&["check", "db"], 3)?;
    assert!(
        text.contains("chmod 600") && !text.contains(secret),
        "{text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_sensitive_is_in_what_machines_read() -> Result<()> {
    let (database, desk) = prepared("cli_sensitive").await?;
    let server = database.server();
    let (host, password) = (server.host(), server.password());
    for arguments in [
        &["describe", "postgres"][..],
        &["connections"],
        &["check", "db"],
        &["schemas", "db"],
        &["tables", "db"],
        &["columns", "db", "orders"],
        &["preview", "db", "orders"],
        &["query", "db", "SELECT 1 AS one"],
        &["query", "db", "SELECT nope"],
        &["export", "db", "orders", "-o", "orders.csv"],
        &["import", "db", "orders.csv", "orders"],
    ] {
        for verbose in [&[][..], &["-vv"]] {
            let arguments = [arguments, verbose, &["--json"]].concat();
            let run = desk.run(&arguments)?;
            let everything = format!("{}{}", run.out, run.err);
            assert!(!everything.contains(password), "{arguments:?}");
            assert!(!everything.contains(host), "{arguments:?}: {everything}");
            assert!(
                !everything.contains("\"dagflux\\\""),
                "{arguments:?}: {everything}"
            );
        }
    }
    Ok(())
}
