//! The `dagflux` command as it is run: its output, its exit codes, the files it writes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_test_support::{Database, Server, ServerOptions, connector_path};
use serde_json::Value;
use tempfile::TempDir;

use crate::assertions::{rows, value};
use crate::fixture;

/// The command, beside the folder of this program.
fn program() -> Result<PathBuf> {
    let suite = std::env::current_exe()?;
    let folder = suite
        .parent()
        .and_then(Path::parent)
        .context("this program is in no folder")?;
    let program = folder.join("dagflux");
    ensure!(
        program.is_file(),
        "{} is missing; run `cargo build --workspace`",
        program.display()
    );
    Ok(program)
}

/// A folder with a connection file, in which the command is run.
struct Desk {
    folder: TempDir,
}

/// What a run of the command came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Desk {
    /// A desk with the connection `db` to a database.
    fn new(database: &Database<'_>) -> Result<Self> {
        let server = database.server();
        let desk = Self::with_file(&format!(
            "[db]\nconnector = \"postgres\"\nhost = \"{}\"\nport = {}\ndatabase = \"{}\"\n\
             username = {{ env = \"DESK_USER\" }}\npassword = {{ file = \"password\" }}\n",
            server.host(),
            server.port(),
            database.name()
        ))?;
        let password = desk.path("password");
        fs::write(&password, format!("{}\n", server.password()))?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        Ok(desk)
    }

    /// A desk with a connection file of the given text.
    fn with_file(text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("connections.toml"), text)?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DAGFLUX_CONNECTIONS", self.path("connections.toml"))
            .env("DAGFLUX_CONNECTORS", connectors()?)
            .env("DESK_USER", "dagflux")
            // Compiled connectors are kept there, out of the user's own folder.
            .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<Run> {
        let run = Run::from(self.command(arguments)?.output()?);
        // Piped, as here, there is no place for a terminal's codes.
        ensure!(
            !run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'),
            "{arguments:?} wrote ANSI codes: {run:?}"
        );
        Ok(run)
    }

    /// Runs what has to succeed; returns its standard output.
    fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let run = self.run(arguments)?;
        ensure!(run.code == Some(0), "{arguments:?}: {run:?}");
        Ok(run.out)
    }

    /// Runs what has to succeed with `--json`; returns each line it printed.
    fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let out = self.succeed(&arguments)?;
        let lines: Result<Vec<Value>, _> = out.lines().map(serde_json::from_str).collect();
        lines.with_context(|| out.clone())
    }

    /// Runs what has to fail with the exit code, for people and for machines; returns the
    /// text and the error object.
    fn fail(&self, arguments: &[&str], code: i32) -> Result<(String, Value)> {
        let people = self.run(arguments)?;
        ensure!(people.code == Some(code), "{arguments:?}: {people:?}");
        let last = people.err.trim_end().lines().last().unwrap_or_default();
        ensure!(
            people.err.contains("next: ") && people.err.starts_with("error: "),
            "no next step: {people:?}, {last}"
        );
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let machines = self.run(&arguments)?;
        ensure!(machines.code == Some(code), "{arguments:?}: {machines:?}");
        let object: Value = serde_json::from_str(machines.err.trim())
            .with_context(|| format!("{arguments:?}: {machines:?}"))?;
        let error = object["error"].clone();
        ensure!(error["exit_code"] == code, "{error}");
        for key in ["kind", "message", "hint"] {
            ensure!(
                error[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key}: {error}"
            );
        }
        Ok((people.err, error))
    }

    /// The names of the files in the folder, but for those that were there.
    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| name != "connections.toml" && name != "password");
        names.sort();
        Ok(names)
    }
}

fn connectors() -> Result<PathBuf> {
    let path = connector_path("postgres")?;
    Ok(path.parent().context("no folder")?.to_owned())
}

const FIXTURE: &str = "
    CREATE TABLE orders (id bigint PRIMARY KEY, placed timestamptz, day date, total numeric(10,2) NOT NULL DEFAULT 0,
        customer text, paid boolean, ratio double precision, key uuid, body bytea, extra jsonb, tags text[], span interval);
    COMMENT ON TABLE orders IS 'What was ordered';
    INSERT INTO orders SELECT g, timestamptz '2024-01-01+00' + g * interval '1.000001 min', date '2024-01-01' + g,
        g * 1.25, CASE g % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'a,\"b\"\\n\\\\c' ELSE 'Käse 日本 ' || g END,
        CASE WHEN g % 3 > 0 THEN g % 2 = 0 END, g / 7.0::float8, md5(g::text)::uuid, decode(md5(g::text), 'hex'),
        jsonb_build_object('g', g), ARRAY['x', NULL, g::text], g * interval '1 day 1 second'
        FROM generate_series(1, 2000) g;
    CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 1000;
    ANALYZE orders;
";

async fn prepared(name: &str) -> Result<(Database<'static>, Desk)> {
    let database = fixture::database(name).await?;
    database.sql().await?.batch_execute(FIXTURE).await?;
    let desk = Desk::new(&database)?;
    Ok((database, desk))
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_and_inspect() -> Result<()> {
    let desk = Desk::with_file("")?;
    let text = desk.succeed(&["describe", "postgres"])?;
    for field in [
        "host", "port", "database", "username", "password", "schema", "use_ssl",
    ] {
        assert!(text.contains(field), "{field} is not in {text}");
    }
    let about = &desk.json(&["describe", "postgres"])?[0];
    assert_eq!(about["name"], "postgres");
    let fields = about["fields"].as_array().context("no fields")?;
    let form: Vec<(&str, bool, bool, Option<&str>)> = fields
        .iter()
        .map(|field| {
            (
                field["name"].as_str().unwrap_or_default(),
                field["required"] == true,
                field["sensitive"] == true,
                field["default"].as_str(),
            )
        })
        .collect();
    // The table of the product's document.
    assert_eq!(
        form,
        [
            ("host", true, true, None),
            ("port", true, false, Some("5432")),
            ("database", true, false, None),
            ("username", true, true, None),
            ("password", true, true, None),
            ("schema", false, false, Some("public")),
            ("use_ssl", false, false, Some("false")),
        ]
    );
    let schema: Value =
        serde_json::from_str(&desk.succeed(&["describe", "postgres", "--json-schema"])?)?;
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["properties"]["port"]["default"], 5432);

    let wasm = connector_path("postgres")?;
    let wasm = wasm.to_str().context("a path that is not text")?;
    let component = &desk.json(&["inspect", wasm])?[0];
    let digest = component["digest"].as_str().context("no digest")?;
    assert!(
        digest.starts_with("sha256:") && digest.len() == 71,
        "{digest}"
    );
    assert_eq!(component["size"], fs::metadata(wasm)?.len());
    let imports: Vec<&str> = component["imports"]
        .as_array()
        .context("no imports")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        imports
            .iter()
            .any(|import| import.starts_with("wasi:sockets/tcp@"))
    );
    assert!(!imports.iter().any(|import| import.contains("filesystem")));
    assert!(desk.succeed(&["inspect", "postgres"])?.contains(digest));
    desk.fail(&["inspect", "./no-such.wasm"], 13)?;
    desk.fail(&["describe", "postgre"], 3)?;
    fs::write(desk.path("broken.wasm"), fs::read(wasm)?.split_at(5000).0)?;
    let (_, error) = desk.fail(&["inspect", "./broken.wasm"], 12)?;
    assert_eq!(error["kind"], "invalid-component");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_discovery() -> Result<()> {
    let (database, desk) = prepared("cli_discovery").await?;
    assert!(desk.succeed(&["check", "db"])?.contains("PostgreSQL"));
    let report = &desk.json(&["check", "db"])?[0];
    assert_eq!(report["server"]["database"], "cli_discovery");
    assert!(
        report["findings"]
            .as_array()
            .is_some_and(|findings| !findings.is_empty())
    );
    let schemas = desk.json(&["schemas", "db"])?;
    assert_eq!(schemas[0][0]["name"], "public");
    assert!(desk.succeed(&["schemas", "db"])?.contains("public"));
    let tables = desk.json(&["tables", "db"])?;
    let names: Vec<&str> = tables[0]
        .as_array()
        .context("no array")?
        .iter()
        .filter_map(|table| table["name"].as_str())
        .collect();
    assert_eq!(names, ["big_orders", "orders"]);
    assert_eq!(tables[0][1]["comment"], "What was ordered");
    assert_eq!(tables[0][1]["estimated_rows"], 2000);
    assert_eq!(
        tables[0],
        desk.json(&["tables", "db", "--schema", "public"])?[0]
    );
    let text = desk.succeed(&["tables", "db"])?;
    assert!(text.contains("2,000") && text.contains("view"), "{text}");
    let columns = desk.json(&["columns", "db", "public.orders"])?;
    assert_eq!(columns[0].as_array().map(Vec::len), Some(12));
    assert_eq!(columns[0][3]["data_type"], "numeric(10,2)");
    assert_eq!(columns[0][3]["nullable"], false);
    assert_eq!(columns[0][0]["primary_key"], 1);
    assert!(
        desk.succeed(&["columns", "db", "orders"])?
            .contains("timestamp with time zone")
    );

    // What does not work is a finding, and an exit code.
    database
        .sql()
        .await?
        .batch_execute("REVOKE USAGE ON SCHEMA public FROM dagflux, PUBLIC")
        .await?;
    let run = desk.run(&["check", "db"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    assert!(run.out.contains("GRANT USAGE ON SCHEMA"), "{run:?}");
    let run = desk.run(&["check", "db", "--json"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    let report: Value = serde_json::from_str(&run.out)?;
    let mut findings = report["findings"].as_array().context("none")?.iter();
    assert!(findings.any(|finding| finding["severity"] == "failed"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_and_query() -> Result<()> {
    let (_, desk) = prepared("cli_query").await?;
    let lines = desk.json(&["preview", "db", "orders", "-n", "3"])?;
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["columns"][3]["type"], "numeric(10,2)");
    assert_eq!(lines[1][0], 1);
    assert_eq!(lines[4]["rows"], 3);
    let text = desk.succeed(&["preview", "db", "orders"])?;
    assert!(text.contains("Käse 日本 3"), "{text}");
    let lines = desk.json(&[
        "query",
        "db",
        "SELECT id, total FROM orders ORDER BY id LIMIT 2",
    ])?;
    assert_eq!(lines[1].to_string(), "[1,\"1.25\"]");
    let file = desk.path("count.sql");
    fs::write(&file, "-- how many\nSELECT count(*) AS n FROM orders;\n")?;
    let lines = desk.json(&["query", "db", "--file", "count.sql"])?;
    assert_eq!(lines[1][0], 2000);
    // A result without rows has columns all the same.
    let lines = desk.json(&["query", "db", "SELECT id FROM orders WHERE false"])?;
    assert_eq!(lines[0]["columns"][0]["name"], "id");
    assert_eq!(lines[1]["rows"], 0);
    // Text from the server moves no cursor.
    let text = desk.succeed(&["query", "db", "SELECT E'\\x1b[31mred\\x07' AS \"a\u{9b}b\""])?;
    assert!(text.contains("red"), "{text}");
    Ok(())
}

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

#[tokio::test(flavor = "multi_thread")]
async fn every_format_out_and_in_again() -> Result<()> {
    let (database, desk) = prepared("cli_formats").await?;
    let client = database.sql().await?;
    for format in ["parquet", "arrow", "csv", "jsonl"] {
        let file = format!("orders.{format}");
        let table = format!("orders_{format}");
        let exported = desk.json(&["export", "db", "orders", "-o", &file])?;
        assert_eq!(exported[0]["rows"], 2000, "{format}");
        assert_eq!(
            exported[0]["bytes"],
            fs::metadata(desk.path(&file))?.len(),
            "{format}"
        );
        client
            .batch_execute(&format!(
                "CREATE TABLE {table} (LIKE orders INCLUDING ALL); GRANT ALL ON {table} TO dagflux"
            ))
            .await?;
        let imported = desk.json(&["import", "db", &file, &table])?;
        assert_eq!(imported[0]["rows"], 2000, "{format}");
        let different = format!(
            "SELECT (SELECT count(*) FROM (TABLE orders EXCEPT ALL TABLE {table}) x) \
             + (SELECT count(*) FROM (TABLE {table} EXCEPT ALL TABLE orders) x)"
        );
        assert_eq!(value(&client, &different).await?, "0", "{format}");
        // A second time is against the key: not one row more.
        let (_, error) = desk.fail(&["import", "db", &file, &table], 8)?;
        assert_eq!(error["kind"], "constraint", "{format}");
        assert_eq!(
            value(&client, &format!("SELECT count(*) FROM {table}")).await?,
            "2000"
        );
        // Into a new table, with the types that the format keeps.
        let created = format!("new_{format}");
        desk.succeed(&["import", "db", &file, &created, "--create"])?;
        let as_text = "SELECT id::text, day::text, total::text, customer FROM";
        let different = format!(
            "SELECT (SELECT count(*) FROM ({as_text} orders EXCEPT ALL {as_text} {created}) x)"
        );
        assert_eq!(value(&client, &different).await?, "0", "{format}");
        let (_, error) = desk.fail(&["import", "db", &file, &created, "--create"], 8)?;
        assert_eq!(error["kind"], "already-exists");
    }
    for format in ["parquet", "arrow"] {
        let types = |table: &str| {
            format!(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
            )
        };
        assert_eq!(
            rows(&client, &types(&format!("new_{format}"))).await?,
            rows(&client, &types("orders")).await?,
            "{format}"
        );
    }
    // The result of a query, to a pipe.
    let out = desk.succeed(&[
        "export",
        "db",
        "--query",
        "SELECT id, customer FROM orders WHERE id IN (4, 5) ORDER BY id",
        "-o",
        "-",
        "--format",
        "csv",
    ])?;
    assert_eq!(out, "id,customer\n4,\n5,\"\"\n");
    let out = desk.succeed(&[
        "export",
        "db",
        "orders",
        "--columns",
        "total,id",
        "--limit",
        "1",
        "-o",
        "-",
        "--format",
        "jsonl",
    ])?;
    assert_eq!(out, "{\"total\":\"1.25\",\"id\":1}\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_all_rows_or_none() -> Result<()> {
    let (database, desk) = prepared("cli_import").await?;
    let client = database.sql().await?;
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < 5000)); GRANT ALL ON t TO dagflux")
        .await?;
    let mut text = String::from("id,n\n");
    for n in 0..20_000 {
        text.push_str(&format!("{n},{}\n", n % 4000));
    }
    fs::write(desk.path("fine.csv"), &text)?;
    fs::write(desk.path("faulty.csv"), format!("{text}20000,5000\n"))?;
    fs::write(desk.path("malformed.csv"), format!("{text}20000,many\n"))?;
    fs::write(desk.path("other.csv"), "id,n,unknown\n1,2,3\n")?;
    for (file, code) in [
        ("faulty.csv", 8),
        ("malformed.csv", 8),
        ("other.csv", 8),
        ("no_such.csv", 13),
    ] {
        let (text, _) = desk.fail(&["import", "db", file, "t"], code)?;
        assert_eq!(
            value(&client, "SELECT count(*) FROM t").await?,
            "0",
            "{text}"
        );
    }
    desk.succeed(&["import", "db", "fine.csv", "t"])?;
    assert_eq!(
        value(&client, "SELECT count(*) || ' ' || sum(n) FROM t").await?,
        "20000 39990000"
    );
    Ok(())
}

/// Starts the command and waits until its unfinished file is there.
fn begun(desk: &Desk, arguments: &[&str]) -> Result<Child> {
    let mut child = desk.command(arguments)?.spawn()?;
    let began = Instant::now();
    while !desk.files()?.iter().any(|name| name.ends_with(".part")) {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!(
                "{arguments:?} ended early: {status}, {:?}",
                Run::from(child.wait_with_output()?)
            );
        }
        ensure!(
            began.elapsed() < Duration::from_secs(30),
            "{arguments:?} wrote nothing"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

const SLOW: &str = "SELECT g, repeat('x', 1000) AS body, pg_sleep(0.0005)::text FROM generate_series(1, 1000000) g";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_leaves_no_partial_export() -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("cli_stopped").await?;
    let desk = Desk::new(&database)?;
    fs::write(desk.path("kept.csv"), "what was there before")?;
    let child = begun(&desk, &["export", "db", "--query", SLOW, "-o", "kept.csv"])?;
    server.stop();
    let run = Run::from(child.wait_with_output()?);
    assert_eq!(run.code, Some(10), "{run:?}");
    assert!(run.err.contains("next: "), "{run:?}");
    assert_eq!(desk.files()?, ["kept.csv"]);
    assert_eq!(
        fs::read_to_string(desk.path("kept.csv"))?,
        "what was there before"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_the_statement_and_leaves_no_file() -> Result<()> {
    let (database, desk) = prepared("cli_interrupt").await?;
    let child = begun(
        &desk,
        &["export", "db", "--query", SLOW, "-o", "slow.parquet"],
    )?;
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()?;
    assert!(status.success());
    let run = Run::from(child.wait_with_output()?);
    assert_eq!(run.code, Some(130), "{run:?}");
    assert_eq!(desk.files()?, Vec::<String>::new());
    let client = database.sql().await?;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'cli_interrupt' \
                   AND application_name = 'dagflux' AND state = 'active'";
    let began = Instant::now();
    while value(&client, running).await? != "0" {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the statement runs on"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
