//! `secret`: values in the operating system's key store.

use std::io::{IsTerminal, Read};

use console::Term;
use dagflux_host::{FieldKind, Secret};
use serde_json::json;

use crate::connections::file::{Content, File};
use crate::connections::keystore;
use crate::connections::reference::Reference;
use crate::connections::sources::URL;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;

/// The longest value that is read from standard input.
const MOST_BYTES: u64 = 64 * 1024;

/// Stores a value.
///
/// # Errors
/// When there is no such field, no value, or no key store.
pub async fn set(context: &Context, name: &str, field: &str) -> anyhow::Result<()> {
    let file = context.file()?;
    let place = place(context, &file, name, field).await?;
    let value = read_value(name, field)?;
    let (service, user) = place.entry.clone();
    blocking(move || keystore::store(&service, &user, &value)).await?;
    if context.json {
        return output::json(&json!({ "connection": name, "field": field, "stored": true }));
    }
    eprintln!("stored {name}.{field} in the key store");
    if !place.referred {
        eprintln!(
            "next: write this below [{name}] in {}:\n  {field} = {{ keyring = true }}",
            file.path.display()
        );
    }
    Ok(())
}

/// Deletes a value.
///
/// # Errors
/// When there is no such field, or no key store.
pub async fn delete(context: &Context, name: &str, field: &str) -> anyhow::Result<()> {
    let file = context.file()?;
    let place = place(context, &file, name, field).await?;
    let (service, user) = place.entry;
    let deleted = blocking(move || keystore::delete(&service, &user)).await?;
    if context.json {
        return output::json(&json!({ "connection": name, "field": field, "deleted": deleted }));
    }
    let what = if deleted {
        "deleted"
    } else {
        "the key store had nothing for"
    };
    eprintln!("{what} {name}.{field}");
    Ok(())
}

/// Where a field's value lies in the key store.
struct Place {
    entry: (String, String),
    /// Whether the connection file refers to it.
    referred: bool,
}

async fn place(context: &Context, file: &File, name: &str, field: &str) -> anyhow::Result<Place> {
    let entry = file.entry(name)?;
    let given = entry.fields.iter().find(|given| given.name == field);
    if let Some(Content::Reference(Reference::Keyring { service, user })) =
        given.map(|given| &given.value)
    {
        return Ok(Place {
            entry: (service.clone(), user.clone()),
            referred: true,
        });
    }
    let connector = context.connector_of(file, entry).await?;
    let fields = connector.descriptor().all_fields();
    let known: Vec<&str> = fields
        .filter(|field| field.sensitive || field.kind == FieldKind::Secret)
        .map(|field| field.name.as_str())
        .chain([URL])
        .collect();
    if !known.contains(&field) {
        return Err(Failure::configuration(format!(
            "connection \"{name}\" has no sensitive field \"{field}\""
        ))
        .hint(format!("its sensitive fields are {}", known.join(", ")))
        .into());
    }
    match Reference::keyring(name, field) {
        Reference::Keyring { service, user } => Ok(Place {
            entry: (service, user),
            referred: false,
        }),
        _ => Err(Failure::configuration("the key store has no place for this field").into()),
    }
}

/// Asks for the value without showing it, or reads standard input.
fn read_value(name: &str, field: &str) -> Result<Secret, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::file(format!("cannot read the value: {error}"));
    let mut value = String::new();
    if std::io::stdin().is_terminal() {
        let terminal = Term::stderr();
        terminal
            .write_str(&format!("{name}.{field}: "))
            .map_err(unreadable)?;
        value = terminal.read_secure_line().map_err(unreadable)?;
    } else {
        std::io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_to_string(&mut value)
            .map_err(unreadable)?;
        if value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
    }
    let value = Secret::new(value);
    if value.expose().is_empty() {
        return Err(
            Failure::usage("the value is empty").hint("type it at the prompt, or pipe it in")
        );
    }
    Ok(value)
}

/// Talks to the key store on a thread of its own: it may wait for the person.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::secret("the key store could not be asked")),
    }
}
