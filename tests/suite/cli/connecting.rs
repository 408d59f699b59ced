//! The ways in which a connection can be given: URLs, password files, PG* variables.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Desk, Run, prepared};

/// Runs the command with variables of its own, and of libpq's no others.
fn run(desk: &Desk, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Run> {
    let mut command = desk.command(arguments)?;
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        command.env_remove(name);
    }
    command.env("HOME", desk.path("."));
    command.envs(variables.iter().copied());
    Ok(Run::from(command.output()?))
}

fn one(run: &Run) -> Result<()> {
    ensure!(run.code == Some(0) && run.out.contains("one"), "{run:?}");
    Ok(())
}

const QUERY: &str = "SELECT 1 AS one";

#[tokio::test(flavor = "multi_thread")]
async fn a_url_does_in_place_of_fields() -> Result<()> {
    let (database, _) = prepared("cli_url").await?;
    let server = database.server();
    let (host, port, password) = (server.host(), server.port(), server.password());
    let desk = Desk::with_file(
        "[db]\nconnector = \"postgres\"\nurl = { env = \"DATABASE_URL\" }\n\
         [other]\nconnector = \"postgres\"\nurl = { env = \"DATABASE_URL\" }\ndatabase = \"cli_url_other\"\n",
    )?;
    let url = format!("postgres://dagflux:{password}@{host}:{port}/cli_url?application_name=web");
    let keywords =
        format!("host={host} port={port} dbname=cli_url user=dagflux password='{password}'");
    for string in [&url, &keywords] {
        one(&run(
            &desk,
            &["query", "db", QUERY],
            &[("DATABASE_URL", string)],
        )?)?;
    }
    let name = run(
        &desk,
        &[
            "query",
            "db",
            "SELECT current_setting('application_name') AS a",
            "--json",
        ],
        &[("DATABASE_URL", &url)],
    )?;
    ensure!(name.out.contains("[\"web\"]"), "{name:?}");
    // What is written beside it comes first.
    let other = run(&desk, &["query", "other", QUERY], &[("DATABASE_URL", &url)])?;
    ensure!(other.code == Some(6), "{other:?}");
    // Wrong ones are refused without a word of theirs.
    for wrong in [
        format!("postgres://dagflux:{password}@{host}@x:{port}/cli_url"),
        format!("postgres://dagflux:{password}@{host}:{port}/cli_url?sslmod=require"),
        format!("postgres://dagflux:{password}@{host},x:{port}/cli_url"),
    ] {
        for arguments in [&["query", "db", QUERY][..], &["connections"]] {
            let refused = run(&desk, arguments, &[("DATABASE_URL", &wrong)])?;
            let everything = format!("{}{}", refused.out, refused.err);
            ensure!(everything.contains("line 3: \"url\""), "{refused:?}");
            ensure!(!everything.contains(password), "a password is shown");
        }
    }
    let literal = Desk::with_file(&format!(
        "[db]\nconnector = \"postgres\"\nurl = \"{url}\"\n"
    ))?;
    let (text, error) = literal.fail(&["query", "db", QUERY], 3)?;
    ensure!(
        text.contains("a password must not be written in this file"),
        "{text}"
    );
    ensure!(
        !format!("{text}{error}").contains(password),
        "a password is shown"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_on_the_command_line_holds_no_password() -> Result<()> {
    let (database, _) = prepared("cli_command_url").await?;
    let server = database.server();
    let (host, port, password) = (server.host(), server.port(), server.password());
    let desk = Desk::with_file("")?;
    let url = format!("postgres://dagflux@{host}:{port}/cli_command_url");
    let with = format!("postgres://dagflux:{password}@{host}:{port}/cli_command_url");
    let refused = run(&desk, &["query", &with, QUERY], &[])?;
    ensure!(
        refused.code == Some(2) && refused.err.contains("every user of this machine"),
        "{refused:?}"
    );
    ensure!(!refused.err.contains(password), "a password is shown");
    // Not without being asked.
    let none = run(
        &desk,
        &["query", &url, QUERY, "--json"],
        &[("PGPASSWORD", password)],
    )?;
    ensure!(none.code == Some(3), "{none:?}");
    let error: Value = serde_json::from_str(none.err.trim())?;
    ensure!(
        error["error"]["kind"] == "secret" && error["error"]["step"] == "authentication",
        "{error}"
    );
    ensure!(
        error["error"]["hint"]
            .as_str()
            .context("no hint")?
            .contains("--libpq"),
        "{error}"
    );
    one(&run(
        &desk,
        &["query", &url, QUERY, "--libpq"],
        &[("PGPASSWORD", password)],
    )?)?;
    // All of it from the variables.
    let port = port.to_string();
    let variables = [
        ("PGHOST", host),
        ("PGPORT", port.as_str()),
        ("PGDATABASE", "cli_command_url"),
        ("PGUSER", "dagflux"),
        ("PGPASSWORD", password),
        ("PGSSLMODE", "disable"),
    ];
    one(&run(
        &desk,
        &["query", "postgres://", QUERY, "--libpq"],
        &variables,
    )?)?;
    let service = [&variables[..], &[("PGSERVICE", "x")]].concat();
    let refused = run(&desk, &["query", "postgres://", QUERY, "--libpq"], &service)?;
    ensure!(
        refused.code == Some(3) && refused.err.contains("service files are not read"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn password_files_are_read_as_libpq_does() -> Result<()> {
    let (database, _) = prepared("cli_pgpass").await?;
    let server = database.server();
    let (host, port, password) = (server.host(), server.port(), server.password());
    let form = format!(
        "connector = \"postgres\"\nhost = \"{host}\"\nport = {port}\ndatabase = \"cli_pgpass\"\nusername = \"dagflux\"\n"
    );
    let desk = Desk::with_file(&format!(
        "[named]\n{form}password = {{ pgpass = \"passwords\" }}\n[default]\n{form}password = {{ pgpass = true }}\n\
         [psql]\n{form}libpq = true\n"
    ))?;
    let lines = format!("# comment\nelsewhere:*:*:*:wrong\n{host}:{port}:*:dagflux:{password}\n");
    for (file, connections) in [
        ("passwords", &["named"][..]),
        (".pgpass", &["default", "psql"]),
    ] {
        fs::write(desk.path(file), &lines)?;
        fs::set_permissions(desk.path(file), fs::Permissions::from_mode(0o600))?;
        for connection in connections {
            one(&run(&desk, &["query", connection, QUERY], &[])?)?;
        }
        fs::write(desk.path(file), "elsewhere:*:*:*:wrong\n")?;
        for connection in connections {
            let none = run(&desk, &["query", connection, QUERY], &[])?;
            ensure!(
                none.code == Some(3) && none.err.contains("has no line for"),
                "{none:?}"
            );
        }
        fs::set_permissions(desk.path(file), fs::Permissions::from_mode(0o644))?;
        for connection in connections {
            let open = run(&desk, &["query", connection, QUERY], &[])?;
            ensure!(
                open.code == Some(3) && open.err.contains("chmod 600"),
                "{open:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_name_their_step() -> Result<()> {
    let (database, desk) = prepared("cli_steps").await?;
    let text = fs::read_to_string(desk.path("connections.toml"))?;
    let port = format!("port = {}", database.server().port());
    let database = "\"cli_steps\"";
    for (from, to, code, step, line) in [
        (
            "\"127.0.0.1\"",
            "\"no-such-host.invalid\"",
            4,
            "resolve",
            "step: name resolution\n",
        ),
        (&port, "port = 1", 4, "tcp", "step: TCP (name resolved)\n"),
        (
            &port,
            &format!("{port}\nuse_ssl = true"),
            4,
            "tls",
            "step: TLS (name resolved, TCP connected)\n",
        ),
        (
            database,
            "\"cli_no_such_database\"",
            6,
            "startup",
            "step: startup (name resolved, TCP connected)\n",
        ),
        (
            "{ env = \"DESK_USER\" }",
            "\"nobody-at-all\"",
            5,
            "authentication",
            "step: authentication (name resolved, TCP connected)\n",
        ),
    ] {
        ensure!(text.contains(from), "{from}");
        let other = Desk::with_file(&text.replace(from, to))?;
        fs::copy(desk.path("password"), other.path("password"))?;
        let (text, error) = other.fail(&["query", "db", QUERY], code)?;
        ensure!(
            error["step"] == step && text.contains(line),
            "{step}: {error} {text}"
        );
    }
    Ok(())
}
