//! Encrypted connections on the command line: a CA, a pinned certificate, and trying again.

use std::fs;

use anyhow::{Result, ensure};
use dagflux_test_support::{Certificates, Server, ServerCertificate, ServerOptions};

use super::{Desk, prepared};

/// A server with a certificate for its address, and a desk with a connection to it with this text
/// added.
async fn encrypted(text: &str) -> Result<(Server, Desk)> {
    let authorities = Certificates::new()?;
    let identity = authorities.server(ServerCertificate::GoodWithAddress)?;
    let server = Server::start(&ServerOptions::new().with_tls(identity)).await?;
    let database = server.database("cli_encrypted").await?;
    let desk = Desk::new(&database)?;
    fs::write(desk.path("ca.pem"), authorities.root())?;
    let file = desk.path("connections.toml");
    fs::write(&file, fs::read_to_string(&file)? + text)?;
    Ok((server, desk))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_lies_beside_the_connection_file() -> Result<()> {
    let (_server, desk) = encrypted("use_ssl = true\nssl_ca = \"ca.pem\"\n").await?;
    let out = desk.succeed(&["check", "db", "--for", "source"])?;
    assert!(out.contains("the server has proved its name"), "{out}");
    let file = desk.path("connections.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("ca.pem", "no-such.pem"))?;
    let (text, _) = desk.fail(&["tables", "db"], 3)?;
    assert!(text.contains("no-such.pem"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_and_pinned() -> Result<()> {
    let (_server, desk) = encrypted("use_ssl = true # always\n").await?;
    let (text, error) = desk.fail(&["tables", "db"], 4)?;
    assert!(
        text.contains("ssl_ca") && text.contains("step: TLS"),
        "{text}"
    );
    assert_eq!(error["step"], "tls");

    let out = desk.succeed(&["certificate", "db"])?;
    assert!(
        out.contains("not accepted:") && out.contains("db.test"),
        "{out}"
    );
    let shown = &desk.json(&["certificate", "db"])?[0];
    assert_eq!(shown["accepted"], false);
    let fingerprint = shown["certificates"][0]["fingerprint"]
        .as_str()
        .unwrap_or("");
    assert!(
        out.contains(&format!("ssl_fingerprint = \"{fingerprint}\"")),
        "{out}"
    );
    let pem = desk.succeed(&["certificate", "db", "--pem"])?;
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"), "{pem}");

    let file = desk.path("connections.toml");
    let before = fs::read_to_string(&file)?;
    let another = format!("sha256:{}", "ab".repeat(32));
    for (arguments, code) in [
        (&["certificate", "db", "--pin"][..], 2),
        (&["certificate", "db", "--pin", "--fingerprint", "ab"], 2),
        (
            &["certificate", "db", "--pin", "--fingerprint", &another],
            4,
        ),
        (&["certificate", "postgres://a@b/c", "--pin"], 2),
    ] {
        // What is shown first goes to standard output.
        let run = desk.run(arguments)?;
        ensure!(
            run.code == Some(code) && run.err.contains("next: "),
            "{run:?}"
        );
        assert_eq!(fs::read_to_string(&file)?, before);
    }
    let colons: Vec<String> = fingerprint["sha256:".len()..]
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect();
    let told = format!("sha256:{}", colons.join(":"));
    desk.succeed(&["certificate", "db", "--pin", "--fingerprint", &told])?;
    let after = fs::read_to_string(&file)?;
    assert_eq!(
        after,
        format!("{before}ssl_fingerprint = \"{fingerprint}\"\n")
    );
    let out = desk.succeed(&["check", "db", "--for", "source"])?;
    assert!(out.contains("the pinned certificate"), "{out}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_tried_again_where_that_is_asked_for() -> Result<()> {
    let (database, desk) = prepared("cli_retry").await?;
    database
        .sql()
        .await?
        .batch_execute(
            "DROP ROLE IF EXISTS cli_crowded; \
             CREATE ROLE cli_crowded LOGIN PASSWORD 'crowded' CONNECTION LIMIT 0",
        )
        .await?;
    fs::write(desk.path("password"), "crowded")?;
    let file = desk.path("connections.toml");
    let text = fs::read_to_string(&file)?;
    let named = "username = \"cli_crowded\"";
    fs::write(
        &file,
        text.replace("username = { env = \"DESK_USER\" }", named),
    )?;
    let (text, _) = desk.fail(&["tables", "db"], 10)?;
    assert!(!text.contains("trying again"), "{text}");
    let run = desk.run(&["tables", "db", "--retry", "1s"])?;
    assert_eq!(run.code, Some(10), "{run:?}");
    assert!(
        run.err.contains("trying again in") && run.err.contains("(2)"),
        "{run:?}"
    );
    Ok(())
}

/// The error says all there is, and says it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_cannot_connect_says_so_once() -> Result<()> {
    let (_, desk) = prepared("cli_check_once").await?;
    fs::write(desk.path("password"), "wrong")?;
    let run = desk.run(&["check", "db"])?;
    assert_eq!(run.code, Some(5));
    assert_eq!(run.out, "");
    assert_eq!(run.err.matches("password authentication failed").count(), 1);
    Ok(())
}
