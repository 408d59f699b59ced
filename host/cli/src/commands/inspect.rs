//! `inspect`: what a connector's file holds and asks for.

use std::io::Write;

use dagflux_host::{Beyond, Inspection};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// Shows one connector.
///
/// # Errors
/// When the connector cannot be loaded.
pub async fn run(context: &Context, name: &str) -> anyhow::Result<()> {
    let connector = context.connector(name).await?;
    let (about, component) = (connector.descriptor(), connector.component());
    let permissions = connector.permissions();
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
            "told": permissions.told,
            "withheld": permissions.withheld,
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
    let list = |names: &std::collections::BTreeSet<String>| match names.len() {
        0 => "nothing".to_owned(),
        _ => names.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    writeln!(out, "is told   {}", list(&permissions.told))?;
    writeln!(out, "withheld  {}", list(&permissions.withheld))?;
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

/// Shows what one connector asks for and another does not.
///
/// # Errors
/// When one of the files cannot be read.
pub async fn compare(context: &Context, first: &str, second: &str) -> anyhow::Result<Exit> {
    let host = context.host()?;
    let old = host.inspect(context.find(first)?).await?;
    let new = host.inspect(context.find(second)?).await?;
    // Of one that is refused, only its imports are known: they are what is compared.
    let more = new.permissions.beyond(&old.permissions);
    let mut less = old.permissions.beyond(&new.permissions);
    if new.connector.is_err() {
        less.retain(|less| matches!(less, Beyond::Import(_)));
    }
    let less: Vec<String> = less.iter().map(given_up).collect();
    let fine = more.is_empty() && new.connector.is_ok();
    let exit = if fine { Exit::Success } else { Exit::Findings };
    if context.json {
        output::json(&json!({
            "first": side(&old),
            "second": side(&new),
            "newly": more,
            "no_longer": less,
        }))?;
        return Ok(exit);
    }
    let mut out = output::stdout();
    for (name, inspection) in [(first, &old), (second, &new)] {
        writeln!(out, "{}", output::printable(name))?;
        writeln!(out, "  {}", identity(inspection))?;
        writeln!(out, "  digest  {}", inspection.digest)?;
        writeln!(out, "  size    {}", output::size(inspection.size))?;
    }
    writeln!(out)?;
    if old.digest == new.digest {
        writeln!(out, "they are the same component")?;
    } else if more.is_empty() && less.is_empty() {
        match new.connector {
            Ok(_) => writeln!(out, "the second asks for the same as the first")?,
            Err(_) => writeln!(out, "the second is refused, whatever it asks for")?,
        }
    } else {
        writeln!(out, "the second")?;
    }
    for more in &more {
        writeln!(out, "  + {}", output::printable(&more.to_string()))?;
    }
    for less in &less {
        writeln!(out, "  - {}", output::printable(less))?;
    }
    out.flush()?;
    Ok(exit)
}

fn descriptor(inspection: &Inspection) -> Option<&dagflux_host::Descriptor> {
    inspection
        .connector
        .as_ref()
        .ok()
        .map(|connector| connector.descriptor())
}

fn identity(inspection: &Inspection) -> String {
    match &inspection.connector {
        Ok(connector) => {
            let about = connector.descriptor();
            output::printable(&format!("{} {}", about.name, about.version))
        }
        Err(error) => output::printable(&format!("is refused: {error}")),
    }
}

fn side(inspection: &Inspection) -> Value {
    let about = descriptor(inspection);
    json!({
        "digest": inspection.digest.to_string(),
        "size": inspection.size,
        "name": about.map(|about| &about.name),
        "version": about.map(|about| &about.version),
        "refused": inspection.connector.as_ref().err().map(|error| error.redacted()),
    })
}

/// What a connector asked for and no longer does.
fn given_up(beyond: &Beyond) -> String {
    match beyond {
        Beyond::Import(name) => format!("no longer imports {name}"),
        Beyond::Told(name) => format!("is no longer told the value of `{name}`"),
        // A value that is newly kept from it.
        Beyond::NotWithheld(name) => format!("newly has the value of `{name}` kept from it"),
    }
}
