//! What each connector was granted: recorded when it is first used, and held against what it asks for
//! from then on.
//!
//! A connector is known here as the connection file calls it, by name or by path. So that another
//! version of it is used without a word as long as it asks for no more, and refused when it does.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use dagflux_host::{Connector, Permissions};
use toml_edit::{Array, DocumentMut, Item, Table, value};

use crate::failure::Failure;

/// What the file begins with.
const PREAMBLE: &str = "\
# What connectors were granted, as they asked for it when they were first used.
# `dagflux grant CONNECTOR` grants what a new version asks for; an entry that is deleted is made anew.
";

/// The record of one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The digest of the component that was used last.
    pub digest: String,
    /// Its version.
    pub version: String,
    /// What it was granted.
    pub permissions: Permissions,
}

impl Grant {
    /// All that `connector` asks for.
    pub fn of(connector: &Connector) -> Self {
        Grant {
            digest: connector.component().digest.clone(),
            version: connector.descriptor().version.clone(),
            permissions: connector.permissions(),
        }
    }
}

/// The file of all grants.
pub struct Grants(PathBuf);

impl Grants {
    /// The file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Grants(path)
    }

    /// Where the file is if nobody says otherwise.
    pub fn default_file() -> Option<PathBuf> {
        dirs::data_dir().map(|folder| folder.join("dagflux").join("grants.toml"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn document(&self) -> Result<DocumentMut, Failure> {
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(self.unusable(&error.to_string())),
        };
        text.parse()
            .map_err(|_| self.unusable("it is not valid TOML"))
    }

    fn unusable(&self, reason: &str) -> Failure {
        Failure::configuration(format!(
            "what connectors were granted cannot be read from {}: {reason}",
            self.0.display()
        ))
        .hint("mend the file, or delete it to have every connector granted what it asks for when it is next used")
    }

    /// What the connector called `name` was granted.
    ///
    /// # Errors
    /// When the file cannot be read. A record that is damaged is no grant of everything.
    pub fn of(&self, name: &str) -> Result<Option<Grant>, Failure> {
        let document = self.document()?;
        let Some(item) = document.get(name) else {
            return Ok(None);
        };
        let damaged = || self.unusable(&format!("the entry of {name} is damaged"));
        let entry = item.as_table_like().ok_or_else(damaged)?;
        let text = |key| {
            let text = entry.get(key).and_then(Item::as_str);
            text.map(str::to_owned).ok_or_else(damaged)
        };
        let list = |key| {
            let list = entry
                .get(key)
                .and_then(Item::as_array)
                .ok_or_else(damaged)?;
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>().ok_or_else(damaged)
        };
        let permissions = Permissions::recorded(list("imports")?, list("told")?, list("withheld")?);
        Ok(Some(Grant {
            digest: text("digest")?,
            version: text("version")?,
            permissions,
        }))
    }

    /// Records what the connector called `name` is granted.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn record(&self, name: &str, grant: &Grant) -> Result<(), Failure> {
        // Of two commands at once, neither forgets what the other has recorded.
        let _alone = self.lock();
        let mut document = self.document()?;
        let mut entry = Table::new();
        entry.insert("version", value(&grant.version));
        entry.insert("digest", value(&grant.digest));
        for (key, names) in [
            ("imports", &grant.permissions.imports),
            ("told", &grant.permissions.told),
            ("withheld", &grant.permissions.withheld),
        ] {
            entry.insert(key, value(lines(names.iter())));
        }
        document.insert(name, Item::Table(entry));
        // To the parser it is part of the first entry, which may have been replaced.
        let entries = document.to_string().replace(PREAMBLE, "");
        let text = format!("{PREAMBLE}\n{}", entries.trim_start());
        self.write(&text).map_err(|error| {
            Failure::file(format!(
                "what connectors were granted cannot be written to {}: {error}",
                self.0.display()
            ))
            .hint("check the folder's permissions, or name another file with --grants")
        })
    }

    /// Keeps others from writing for as long as the result lives, where the file system knows locks.
    fn lock(&self) -> Option<File> {
        let lock = self.0.with_extension("lock");
        std::fs::create_dir_all(lock.parent()?).ok()?;
        let file = File::options().create(true).append(true).open(lock).ok()?;
        file.lock().ok()?;
        Some(file)
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let folder = self.0.parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.persist(&self.0)?;
        Ok(())
    }
}

/// A list with a line for each name, as people compare them.
fn lines<'n>(names: impl Iterator<Item = &'n String>) -> Array {
    let mut array: Array = names.map(String::as_str).collect();
    if array.len() > 1 {
        for name in array.iter_mut() {
            name.decor_mut().set_prefix("\n  ");
        }
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(version: &str) -> Grant {
        let texts = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        Grant {
            digest: "sha256:00".to_owned(),
            version: version.to_owned(),
            permissions: Permissions::recorded(
                texts(&["wasi:io/streams", "wasi:tls/types"]),
                texts(&["username"]),
                texts(&[]),
            ),
        }
    }

    #[test]
    fn what_is_recorded_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let grants = Grants::new(folder.path().join("below/grants.toml"));
        assert_eq!(grants.of("postgres").unwrap(), None);
        grants.record("postgres", &grant("1")).unwrap();
        grants
            .record("./a path/with \"quotes\".wasm", &grant("2"))
            .unwrap();
        grants.record("postgres", &grant("3")).unwrap();
        assert_eq!(grants.of("postgres").unwrap(), Some(grant("3")));
        let path = grants.of("./a path/with \"quotes\".wasm").unwrap();
        assert_eq!(path, Some(grant("2")));
        let text = std::fs::read_to_string(grants.path()).unwrap();
        assert!(text.starts_with(PREAMBLE), "{text}");
    }

    #[test]
    fn a_damaged_record_grants_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let grants = Grants::new(folder.path().join("grants.toml"));
        for text in [
            "[postgres",
            "postgres = 1",
            "[postgres]\nversion = \"1\"",
            "[postgres]\nimports = [1]",
        ] {
            std::fs::write(grants.path(), text).unwrap();
            let failure = grants.of("postgres").unwrap_err();
            assert!(failure.hint.is_some(), "{text}");
        }
    }
}
