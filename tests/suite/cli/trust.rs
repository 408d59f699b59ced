//! Limits, receipts, and which connector a connection accepts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use dagflux_test_support::{connector_path, test_guest_path};
use minisign::KeyPair;
use serde_json::Value;

use super::Desk;
use crate::fixture;
use crate::trust::signature;

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_shown_with_where_they_are_from() -> Result<()> {
    let desk = Desk::with_file(
        "[db]\nconnector = \"postgres\"\nlimits = { memory = \"1GiB\", handles = 99 }\nhost = \"localhost\"\n",
    )?;
    let run = desk.run(&["limits"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    let line = |out: &str, name: &str| -> Vec<String> {
        let line = out
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .take(3)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(
        line(&run.out, "guest_time"),
        ["guest_time", "5 s", "default"]
    );
    let run = desk.run(&[
        "limits",
        "db",
        "--limit",
        "handles=7",
        "--limit",
        "compile_time=1m",
    ])?;
    assert_eq!(
        line(&run.out, "memory"),
        ["memory", "1 GiB", "connection file"]
    );
    assert_eq!(line(&run.out, "handles"), ["handles", "7", "command line"]);
    assert_eq!(
        line(&run.out, "compile_time"),
        ["compile_time", "60 s", "command line"]
    );
    let run = desk.run(&["limits", "db", "--json"])?;
    let limits: Vec<Value> = serde_json::from_str(&run.out)?;
    let memory = limits
        .iter()
        .find(|limit| limit["name"] == "memory")
        .context("no memory")?;
    assert_eq!(memory["value"], 1024 * 1024 * 1024);
    assert_eq!(memory["from"], "connection file");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_and_their_faults_are_told() -> Result<()> {
    let database = fixture::database("cli_limits").await?;
    let desk = Desk::new(&database)?;
    let run = desk.run(&["query", "db", "SELECT 1", "--limit", "memory=1MiB"])?;
    assert_eq!(run.code, Some(12), "{run:?}");
    assert!(run.err.contains("more than its 1 MiB of memory"), "{run:?}");
    let path = desk.path("connections.toml");
    let file = fs::read_to_string(&path)?;
    fs::write(&path, format!("{file}limits = {{ received = \"2KiB\" }}\n"))?;
    let sql = "SELECT repeat('x', 100) FROM generate_series(1, 10000)";
    let run = desk.run(&["query", "db", sql])?;
    assert_eq!(run.code, Some(12), "{run:?}");
    assert!(
        run.err.contains("has received as much as it may in all"),
        "{run:?}"
    );
    // The command line comes first.
    let run = desk.run(&["query", "db", sql, "--limit", "received=10MiB"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    for (limits, words) in [
        ("{ memry = \"1MiB\" }", "did you mean \"memory\"?"),
        (
            "{ memory = \"lots\" }",
            "the limit \"memory\" wants a number of bytes",
        ),
        (
            "{ guest_time = 5 }",
            "the limit \"guest_time\" wants a time above 0",
        ),
        ("{ connections = 5 }", "--limit connections=..."),
        ("{ memory = true }", "wants a number, or a text"),
        ("\"none\"", "wants limits by name"),
    ] {
        fs::write(&path, format!("{file}limits = {limits}\n"))?;
        let run = desk.run(&["query", "db", "SELECT 1"])?;
        assert_eq!(run.code, Some(3), "{limits}: {run:?}");
        assert!(run.err.contains(words), "{limits}: {run:?}");
    }
    let run = desk.run(&["limits", "--limit", "fuel=9"])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("there is no limit \"fuel\""), "{run:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_what_was_used() -> Result<()> {
    let database = fixture::database("cli_receipt").await?;
    let desk = Desk::new(&database)?;
    let query = ["query", "db", "SELECT n FROM generate_series(1, 12345) n"];
    let run = desk.run(&[&query[..], &["--receipt"]].concat())?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.err.contains("rows            12,345 read, 0 written"),
        "{run:?}"
    );
    let reached = format!(
        "reached         {}:{}",
        "127.0.0.1",
        database.server().port()
    );
    assert!(run.err.contains(&reached), "{run:?}");
    let run = desk.run(&[&query[..], &["--receipt", "--json"]].concat())?;
    let receipt: Value = serde_json::from_str(run.err.lines().last().context("no receipt")?)?;
    let receipt = &receipt["receipt"];
    assert_eq!(receipt["rows_read"], 12_345);
    assert_eq!(receipt["addresses"], 1);
    for count in ["received", "sent", "memory", "host_calls"] {
        assert!(receipt[count].as_u64() > Some(50), "{count}: {receipt}");
    }
    assert!(!run.err.contains("127.0.0.1"), "{run:?}");
    // What failed has cost something, too.
    let run = desk.run(&["query", "db", "SELECT nonsense", "--receipt"])?;
    assert_eq!(run.code, Some(6), "{run:?}");
    assert!(run.err.contains("receipt\n  received"), "{run:?}");
    // And what did not begin has none.
    let run = desk.run(&["connections", "--receipt"])?;
    assert!(
        run.err.contains("no receipt: no connection was opened"),
        "{run:?}"
    );
    Ok(())
}

/// A desk whose connection is led by a connector of its own, `mine`.
fn desk_with_own(database: &dagflux_test_support::Database<'_>) -> Result<(Desk, PathBuf)> {
    let desk = Desk::new(database)?;
    let folder = desk.path("own");
    fs::create_dir(&folder)?;
    let component = folder.join("mine.wasm");
    fs::copy(connector_path("postgres")?, &component)?;
    let path = desk.path("connections.toml");
    let file = fs::read_to_string(&path)?;
    fs::write(
        &path,
        file.replace("connector = \"postgres\"", "connector = \"mine\""),
    )?;
    Ok((desk, component))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_pins_its_connector() -> Result<()> {
    let database = fixture::database("cli_pinned").await?;
    let (desk, component) = desk_with_own(&database)?;
    let query = ["query", "db", "SELECT 1", "--connectors", "own"];
    let run = desk.run(&["inspect", "mine", "--connectors", "own", "--json"])?;
    let about: Value = serde_json::from_str(&run.out)?;
    let digest = about["digest"].as_str().context("no digest")?;
    let path = desk.path("connections.toml");
    let file = fs::read_to_string(&path)?;
    fs::write(&path, format!("{file}connector_digest = \"{digest}\"\n"))?;
    assert_eq!(desk.run(&query)?.code, Some(0));
    fs::copy(test_guest_path("postgres-next")?, &component)?;
    let run = desk.run(&query)?;
    assert_eq!(run.code, Some(12), "{run:?}");
    assert!(
        run.err
            .contains("not the pinned one: its digest is sha256:"),
        "{run:?}"
    );
    assert!(run.err.contains("next: "), "{run:?}");

    let keys = KeyPair::generate_unencrypted_keypair()?;
    let key = keys.pk.to_base64();
    fs::write(&path, format!("{file}connector_key = \"{key}\"\n"))?;
    let run = desk.run(&query)?;
    assert_eq!(run.code, Some(12), "{run:?}");
    assert!(run.err.contains("no signature lies beside it"), "{run:?}");
    let signed = signature(&keys, &fs::read(&component)?)?;
    fs::write(component.with_extension("wasm.minisig"), signed)?;
    let run = desk.run(&query)?;
    assert_eq!(run.code, Some(0), "{run:?}");
    for (line, words) in [
        (
            "connector_digest = \"sha256:123\"",
            "wants sha256: and 64 hexadecimal digits",
        ),
        ("connector_key = \"secret\"", "wants a minisign public key"),
        ("connector_key = 5", "wants a minisign public key"),
    ] {
        fs::write(&path, format!("{file}{line}\n"))?;
        let run = desk.run(&query)?;
        assert_eq!(run.code, Some(3), "{line}: {run:?}");
        assert!(run.err.contains(words), "{line}: {run:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_asks_for_more_waits_for_someone() -> Result<()> {
    let database = fixture::database("cli_grants").await?;
    let (desk, component) = desk_with_own(&database)?;
    let query = ["query", "db", "SELECT 1", "--connectors", "own"];
    // The first use is granted, and recorded.
    assert_eq!(desk.run(&query)?.code, Some(0));
    let grants = desk.path("grants.toml");
    let recorded = fs::read_to_string(&grants)?;
    assert!(
        recorded.contains("[mine]\nversion = \"0.1.0\""),
        "{recorded}"
    );
    // Another version that asks for the same is used without a word.
    fs::copy(test_guest_path("postgres-next")?, &component)?;
    let run = desk.run(&query)?;
    assert_eq!(
        (run.code, run.err.contains("grant")),
        (Some(0), false),
        "{run:?}"
    );
    assert!(fs::read_to_string(&grants)?.contains("version = \"99.0.0\""));
    // Had the one before not asked for encryption and the login's name, this one would wait.
    let less = fs::read_to_string(&grants)?
        .replace("\n  \"wasi:tls/types\",", "")
        .replace("told = [\"username\"]", "told = []");
    assert!(!less.contains("wasi:tls"), "{less}");
    fs::write(&grants, &less)?;
    for _ in 0..2 {
        let run = desk.run(&query)?;
        assert_eq!(run.code, Some(12), "{run:?}");
        assert!(
            run.err.contains("asks for more than was granted"),
            "{run:?}"
        );
        assert!(run.err.contains("newly imports wasi:tls/types"), "{run:?}");
        assert!(
            run.err.contains("newly is told the value of `username`"),
            "{run:?}"
        );
        assert!(run.err.contains("dagflux grant mine"), "{run:?}");
        assert_eq!(fs::read_to_string(&grants)?, less);
    }
    let run = desk.run(&["grant", "mine", "--connectors", "own"])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.out.contains("it newly imports wasi:tls/types"),
        "{run:?}"
    );
    assert_eq!(desk.run(&query)?.code, Some(0));
    // A record that cannot be read is no grant.
    fs::write(&grants, "[mine]\n")?;
    let run = desk.run(&query)?;
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.err.contains("the entry of mine is damaged"), "{run:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_are_compared() -> Result<()> {
    let desk = Desk::with_file("")?;
    let path = |name: &str| anyhow::Ok(test_guest_path(name)?.display().to_string());
    let (hostile, filesystem) = (path("hostile")?, path("filesystem")?);
    let run = desk.run(&["inspect", &hostile, &filesystem])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    assert!(
        run.out.contains("+ newly imports wasi:filesystem/types"),
        "{run:?}"
    );
    assert!(run.out.contains("is refused: "), "{run:?}");
    let run = desk.run(&["inspect", &hostile, &filesystem, "--json"])?;
    let both: Value = serde_json::from_str(&run.out)?;
    let newly = both["newly"].as_array().context("no list")?;
    let import = serde_json::json!({"kind": "import", "name": "wasi:filesystem/types"});
    assert!(newly.contains(&import), "{both}");
    // A component that imports what no host has.
    let http = desk.path("http.wasm");
    let text = "(component (import \"wasi:http/outgoing-handler@0.2.0\" (instance)))";
    fs::write(&http, wat::parse_str(text)?)?;
    let run = desk.run(&["inspect", &hostile, &http.display().to_string()])?;
    assert!(
        run.out
            .contains("+ newly imports wasi:http/outgoing-handler"),
        "{run:?}"
    );
    let run = desk.run(&["inspect", &hostile, &hostile])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("they are the same component"), "{run:?}");
    let run = desk.run(&["inspect", "postgres"])?;
    assert!(
        run.out
            .contains("is told   username\nwithheld  host, password"),
        "{run:?}"
    );
    Ok(())
}
