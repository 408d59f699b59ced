//! Our outcome.

use anyhow::{Context, Result};
use arrow_array::{Array, BooleanArray};
use dagflux_host::{Config, ConnectOptions, Connection, Error, ErrorKind, Secrets};
use dagflux_test_support::SERVER_NAME;

use super::case::{Case, Mode, Outcome};
use super::servers::{DATABASE, PASSWORD, Reached, Stage};
use crate::assertions::query;
use crate::fixture;

const ENCRYPTED: &str =
    "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";

/// What the connector makes of `case` at `reached`, and what it says.
pub async fn outcome(
    case: &Case,
    reached: &Reached<'_>,
    stage: &Stage,
) -> Result<(Outcome, String)> {
    let mut config = Config::new()
        .with("port", reached.port)
        .with("database", DATABASE);
    let mut secrets = Secrets::new()
        .with("host", SERVER_NAME)
        .with("host_address", "127.0.0.1")
        .with("username", case.rule.login())
        .with("password", PASSWORD);
    config = match case.mode {
        Mode::Off => config.with("use_ssl", false),
        Mode::On => config.with("use_ssl", true),
        mode => config.with("ssl_mode", mode.sslmode()),
    };
    if case.mode.has_ca() {
        config = config.with("ssl_ca", stage.root().display().to_string());
    }
    if let Some((certificate, key)) = stage.client(case) {
        config = config.with("ssl_cert", certificate.display().to_string());
        secrets = secrets.with("ssl_key", std::fs::read_to_string(key)?);
    }
    let connector = fixture::postgres().await?;
    let connected = connector
        .connect(config, secrets, ConnectOptions::default())
        .await;
    match connected {
        Ok(connection) => {
            let outcome = state(connection, case, reached).await?;
            Ok((outcome, String::new()))
        }
        Err(error) => Ok((refusal(&error), format!("{}: {error}", error.kind()))),
    }
}

/// Whether the connection is encrypted, as the other side sees it.
async fn state(mut connection: Connection, case: &Case, reached: &Reached<'_>) -> Result<Outcome> {
    if reached.pooled {
        return reached.seen_by_pooler(case);
    }
    let rows = query(&mut connection, ENCRYPTED).await?;
    let batch = rows.first().context("no rows")?;
    let column: &BooleanArray = batch
        .column(0)
        .as_any()
        .downcast_ref()
        .context("not a boolean")?;
    connection.close().await?;
    Ok(if column.value(0) {
        Outcome::Encrypted
    } else {
        Outcome::Clear
    })
}

fn refusal(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::Tls => Outcome::Tls,
        ErrorKind::Authentication | ErrorKind::PolicyRefused => Outcome::Login,
        ErrorKind::Configuration => Outcome::Configuration,
        ErrorKind::ConnectionLost => Outcome::Lost,
        _ => Outcome::Other,
    }
}
