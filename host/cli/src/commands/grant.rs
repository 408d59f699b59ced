//! `grant`: lets a connector have what it asks for.

use std::io::Write;

use serde_json::json;

use crate::context::{Context, known_as};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grants::Grant;
use crate::output;

/// Runs the command.
///
/// # Errors
/// When the connector cannot be loaded, or the grant cannot be written.
pub async fn run(context: &Context, name: &str) -> anyhow::Result<()> {
    let path = context.find(name)?;
    let connector = context.connector(name).await?;
    let grants = context.grants().ok_or_else(|| {
        Failure::new(
            Exit::Configuration,
            "configuration",
            "this user has no data folder to record grants in",
        )
        .hint("name a file with --grants or DAGFLUX_GRANTS")
    })?;
    let known_as = known_as(name, &path);
    let before = grants.of(&known_as)?;
    let mut grant = Grant::of(&connector);
    let mut beyond = Vec::new();
    if let Some(before) = &before {
        beyond = grant.permissions.beyond(&before.permissions);
        // What was kept from an earlier version stays known, unless it is what is granted now.
        let mut granted = grant.permissions.and_withheld(&before.permissions);
        granted
            .withheld
            .retain(|name| !grant.permissions.public.contains(name));
        grant.permissions = granted;
    }
    grants.record(&known_as, &grant)?;
    if context.json {
        return output::json(&json!({
            "connector": known_as,
            "version": grant.version,
            "digest": grant.digest,
            "granted": grant.permissions,
            "newly": beyond,
        }));
    }
    let mut out = output::stdout();
    writeln!(
        out,
        "granted {} {} what it asks for, in {}",
        output::printable(&known_as),
        output::printable(&grant.version),
        grants.path().display()
    )?;
    for beyond in &beyond {
        writeln!(out, "  it {}", output::printable(&beyond.to_string()))?;
    }
    if beyond.is_empty() && before.is_some() {
        writeln!(out, "  nothing more than before")?;
    }
    Ok(out.flush()?)
}
