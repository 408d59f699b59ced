//! The check says what is missing, and its SQL gives it.

mod cases;
mod grants;
mod remedies;
mod scale;

use anyhow::{Context, Result};
use dagflux_host::{
    CheckOptions, ConnectOptions, Connection, Finding, Purpose, Report, Secrets, Severity,
};
use dagflux_test_support::Database;
use dagflux_test_support::tokio_postgres::Client;

use crate::fixture;

/// The password of the logins that these tests make.
const PASSWORD: &str = "a-password-for-tests";

/// A role that may log in, and nothing else.
async fn role(client: &Client, name: &str) -> Result<()> {
    let name = format!("\"{}\"", name.replace('"', "\"\""));
    let sql = format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'");
    Ok(client.batch_execute(&sql).await?)
}

/// Logs in as a role.
async fn connect_as(
    database: &Database<'_>,
    role: &str,
    schema: &str,
) -> Result<dagflux_host::Result<Connection>> {
    let secrets = Secrets::new()
        .with("host", database.server().host())
        .with("username", role)
        .with("password", PASSWORD);
    let config = fixture::config(database).with("schema", schema);
    let connector = fixture::postgres().await?;
    Ok(connector
        .connect(config, secrets, ConnectOptions::default())
        .await)
}

/// The report for a role, also when it cannot even connect.
async fn check_as(
    database: &Database<'_>,
    role: &str,
    schema: &str,
    options: &CheckOptions,
) -> Result<Report> {
    match connect_as(database, role, schema).await? {
        Ok(mut connection) => {
            let report = connection.check(options.clone()).await?;
            connection.close().await?;
            Ok(report)
        }
        Err(error) => Ok(Report::of_failure(&error, options)),
    }
}

/// What a check is asked for.
fn asked(purpose: Purpose) -> CheckOptions {
    CheckOptions::new().with_purpose(purpose)
}

/// The findings that are not as they should be.
fn troubles(report: &Report) -> Vec<&Finding> {
    let findings = report.findings.iter();
    findings
        .filter(|finding| finding.severity > Severity::Passed)
        .collect()
}

/// The finding on a subject.
fn finding<'r>(report: &'r Report, subject: &str) -> Result<&'r Finding> {
    let mut findings = report.findings.iter();
    findings
        .find(|finding| finding.subject == subject)
        .with_context(|| format!("nothing on {subject}: {report:#?}"))
}

/// All statements of a finding.
fn statements(finding: &Finding) -> Vec<&str> {
    let remedies = finding.remedies.iter();
    remedies
        .flat_map(|remedy| remedy.statements.iter().map(String::as_str))
        .collect()
}

/// Runs what a finding says, as the roles that it names.
async fn mend(client: &Client, finding: &Finding) -> Result<()> {
    for remedy in &finding.remedies {
        for statement in &remedy.statements {
            let role = remedy.run_as.as_deref().unwrap_or("postgres");
            let role = role.replace('"', "\"\"");
            client
                .batch_execute(&format!("SET SESSION AUTHORIZATION \"{role}\""))
                .await?;
            let outcome = client.batch_execute(statement).await;
            client.batch_execute("RESET SESSION AUTHORIZATION").await?;
            outcome.with_context(|| format!("as {role}: {statement}"))?;
        }
    }
    Ok(())
}
