//! `inspect`: what a connector's file holds.

use std::io::Write;

use serde_json::json;

use crate::context::Context;
use crate::output;

/// Runs the command.
///
/// # Errors
/// When the connector cannot be loaded.
pub async fn run(context: &Context, connector: &str) -> anyhow::Result<()> {
    let connector = context.connector(connector).await?;
    let (about, component) = (connector.descriptor(), connector.component());
    if context.json {
        return output::json(&json!({
            "name": about.name,
            "version": about.version,
            "digest": component.digest,
            "size": component.size,
            "compiled_size": component.compiled_size,
            "from_cache": component.from_cache,
            "imports": component.imports,
            "exports": component.exports,
        }));
    }
    let mut out = output::stdout();
    writeln!(out, "{} {}", about.name, output::printable(&about.version))?;
    writeln!(out, "digest    {}", component.digest)?;
    let origin = if component.from_cache {
        "compiled earlier"
    } else {
        "compiled now"
    };
    writeln!(
        out,
        "size      {} ({} compiled, {origin})",
        output::size(component.size),
        output::size(component.compiled_size)
    )?;
    for (title, names) in [
        ("imports", &component.imports),
        ("exports", &component.exports),
    ] {
        writeln!(out, "{title}")?;
        for name in names {
            writeln!(out, "  {name}")?;
        }
    }
    Ok(out.flush()?)
}
