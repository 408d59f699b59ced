//! References: where the value of a sensitive field is kept.

use std::path::{Path, PathBuf};

use dagflux_host::Secret;
use toml::de::DeValue;

use super::keystore;
use crate::failure::Failure;

/// Where a value is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `{ env = "NAME" }`: an environment variable.
    Env(String),
    /// `{ file = "path" }`: a file that holds the value and nothing else.
    File {
        /// The path as written; relative to the connection file.
        path: String,
        /// `readable_by_others = true`: the mode of the file is as it should
        /// be. Container platforms mount secrets readable by all.
        readable_by_others: bool,
    },
    /// `{ keyring = true }` or `{ keyring = "service/user" }`: the operating
    /// system's key store.
    Keyring {
        /// The service under which it is kept.
        service: String,
        /// The user under which it is kept.
        user: String,
    },
    /// `{ pgpass = true }` or `{ pgpass = "path" }`: libpq's password file. For passwords only.
    PasswordFile {
        /// The path as written; none for the file that libpq would take.
        path: Option<String>,
    },
}

/// The largest secret that is read from a file. The longest secrets in use are
/// private keys and service-account documents, of a few KiB.
const MOST_BYTES: u64 = 64 * 1024;

/// The service of entries that this command makes in the key store.
pub const SERVICE: &str = "dagflux";

/// How a reference is written, for messages.
pub const FORMS: &str = "{ keyring = true }, { env = \"VARIABLE\" } or { file = \"path\" }";

impl Reference {
    /// Where `secret set CONNECTION.FIELD` keeps a value.
    pub fn keyring(connection: &str, field: &str) -> Reference {
        Reference::Keyring {
            service: SERVICE.into(),
            user: format!("{connection}.{field}"),
        }
    }

    /// Reads a reference from an inline table. The error says what to write,
    /// without any value of the table.
    pub fn parse(
        connection: &str,
        field: &str,
        table: &[(&str, &DeValue<'_>)],
    ) -> Result<Reference, String> {
        let mut found = None;
        let mut readable_by_others = false;
        for (key, value) in table {
            let reference = match (*key, value) {
                ("readable_by_others", DeValue::Boolean(allowed)) => {
                    readable_by_others = *allowed;
                    continue;
                }
                ("env", DeValue::String(name))
                    if !name.is_empty() && !name.contains(['=', '\0']) =>
                {
                    Reference::Env(name.to_string())
                }
                ("file", DeValue::String(path)) if !path.is_empty() => Reference::File {
                    path: path.to_string(),
                    readable_by_others: false,
                },
                ("pgpass", DeValue::Boolean(true)) => Reference::PasswordFile { path: None },
                ("pgpass", DeValue::String(path)) if !path.is_empty() => Reference::PasswordFile {
                    path: Some(path.to_string()),
                },
                ("pgpass", _) => return Err("\"pgpass\" wants true, or a path as text".into()),
                ("keyring", DeValue::Boolean(true)) => Self::keyring(connection, field),
                ("keyring", DeValue::String(entry)) => match entry.split_once('/') {
                    Some((service, user)) if !service.is_empty() && !user.is_empty() => {
                        Reference::Keyring {
                            service: service.into(),
                            user: user.into(),
                        }
                    }
                    _ => return Err("\"keyring\" wants true, or \"service/user\"".into()),
                },
                ("env", _) => {
                    return Err("\"env\" wants the name of an environment variable, as text".into());
                }
                ("file", _) => return Err("\"file\" wants a path, as text".into()),
                ("keyring", _) => return Err("\"keyring\" wants true, or \"service/user\"".into()),
                ("readable_by_others", _) => {
                    return Err("\"readable_by_others\" wants true or false".into());
                }
                (other, _) => {
                    let near = super::nearest(
                        other,
                        &["env", "file", "keyring", "pgpass", "readable_by_others"],
                    );
                    return Err(match near {
                        Some(near) => {
                            format!("a reference has no \"{other}\"; did you mean \"{near}\"?")
                        }
                        None => format!("a reference has no \"{other}\"; write {FORMS}"),
                    });
                }
            };
            if found.replace(reference).is_some() {
                return Err(format!("a reference names one place; write {FORMS}"));
            }
        }
        match found {
            Some(Reference::File { path, .. }) => Ok(Reference::File {
                path,
                readable_by_others,
            }),
            Some(_) if readable_by_others => {
                Err("\"readable_by_others\" belongs to \"file\"".into())
            }
            Some(reference) => Ok(reference),
            None => Err(format!(
                "a reference names where the value is kept; write {FORMS}"
            )),
        }
    }

    /// What stands in the way of reading the value, as far as can be seen
    /// without reading it. The key store is not asked: it may ask the person.
    pub fn obstacle(&self, resolve: impl Fn(&str) -> PathBuf) -> Option<String> {
        match self {
            Reference::Env(name) => match std::env::var_os(name) {
                Some(value) if !value.is_empty() => None,
                Some(_) => Some(format!("the environment variable {name} is empty")),
                None => Some(format!("the environment variable {name} is not set")),
            },
            Reference::File {
                path,
                readable_by_others,
            } => file_obstacle(&resolve(path), *readable_by_others),
            Reference::Keyring { .. } => None,
            Reference::PasswordFile { .. } => {
                Some("a password file holds passwords only".to_owned())
            }
        }
    }

    /// Reads the value. May block, and in the key store's case may ask the
    /// person to unlock it.
    ///
    /// # Errors
    /// When the value is not there, or others could read it.
    pub fn read(&self, resolve: impl Fn(&str) -> PathBuf) -> Result<Secret, Failure> {
        if let Some(obstacle) = self.obstacle(&resolve) {
            return Err(Failure::secret(obstacle));
        }
        match self {
            Reference::Env(name) => std::env::var(name).map(Secret::new).map_err(|_| {
                Failure::secret(format!("the environment variable {name} is not UTF-8 text"))
            }),
            Reference::File { path, .. } => read_file(&resolve(path)).map_err(Failure::secret),
            Reference::Keyring { service, user } => keystore::read(service, user),
            Reference::PasswordFile { .. } => {
                Err(Failure::secret("a password file holds passwords only"))
            }
        }
    }
}

/// What stands in the way of reading a secret from the file at `path`.
pub fn file_obstacle(path: &Path, readable_by_others: bool) -> Option<String> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("the file {shown} cannot be read: {error}")),
    };
    if metadata.is_dir() {
        return Some(format!("{shown} is a folder"));
    }
    if metadata.len() > MOST_BYTES {
        return Some(format!(
            "the file {shown} has {} bytes, which is no secret",
            metadata.len()
        ));
    }
    if readable_by_others {
        None
    } else {
        exposure(path, &metadata)
    }
}

/// The rule of ssh and libpq for keys and password files: nobody but the owner.
#[cfg(unix)]
fn exposure(path: &Path, metadata: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    (metadata.is_file() && mode & 0o077 != 0).then(|| {
        let shown = path.display();
        format!(
            "others can read the file {shown} (mode {mode:04o}); run: chmod 600 {shown} \
             (or, where that is meant, write readable_by_others = true beside it)"
        )
    })
}

#[cfg(not(unix))]
fn exposure(_: &Path, _: &std::fs::Metadata) -> Option<String> {
    None
}

fn read_file(path: &Path) -> Result<Secret, String> {
    use std::io::Read;
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("the file {shown} cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // Room for the whole at once, so that growing leaves no copies behind.
    let mut text = String::with_capacity(usize::try_from(MOST_BYTES).unwrap_or(usize::MAX));
    file.take(MOST_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(format!("the file {shown} is empty"));
    }
    Ok(Secret::new(text))
}
