//! Installing what the tests run against, where it is missing.

use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::account::is_root;
use crate::process::{on_path, succeeds};
use crate::{Binaries, PgBouncer};

/// The majors that the tests run against beside the one that is installed.
pub const OTHER_MAJORS: [u32; 3] = [10, 14, 18];

/// A program that a system's package manager can install.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// PostgreSQL's server.
    PostgreSql,
    /// What fetches packages with the servers of other majors.
    Npm,
    /// The pooler.
    PgBouncer,
}

/// One system's package manager.
struct Manager {
    /// The program that shows that this manager is the system's.
    program: &'static str,
    /// What brings its list of packages up to date, if it does not do so by itself.
    update: Option<&'static [&'static str]>,
    /// What installs the package whose name follows.
    install: &'static [&'static str],
    /// The packages with PostgreSQL's server, npm, and PgBouncer. None where installing
    /// a package would start a service.
    packages: [Option<&'static str>; 3],
    /// Whether it has to be root that runs them.
    as_root: bool,
}

const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        update: Some(&["apt-get", "update"]),
        install: &["apt-get", "install", "--yes"],
        packages: [Some("postgresql"), Some("npm"), None],
        as_root: true,
    },
    Manager {
        program: "dnf",
        update: None,
        install: &["dnf", "install", "--assumeyes"],
        packages: [Some("postgresql-server"), Some("npm"), Some("pgbouncer")],
        as_root: true,
    },
    Manager {
        program: "apk",
        update: None,
        install: &["apk", "add"],
        packages: [Some("postgresql"), Some("npm"), Some("pgbouncer")],
        as_root: true,
    },
    Manager {
        program: "brew",
        update: None,
        install: &["brew", "install"],
        packages: [Some("postgresql@17"), Some("npm"), Some("pgbouncer")],
        as_root: false,
    },
];

/// Finds PostgreSQL's server, or installs it by the system's package manager where
/// that needs nobody's password.
///
/// # Errors
///
/// When it is missing and cannot be installed; the error says what to run.
pub fn provide() -> Result<Binaries> {
    let missing = match Binaries::find() {
        Ok(binaries) => return Ok(binaries),
        Err(missing) => missing,
    };
    install(Wanted::PostgreSql).map_err(|error| anyhow!("{missing}\n{error:#}"))?;
    Binaries::find()
}

/// Finds the servers of [`OTHER_MAJORS`] and PgBouncer, or fetches them. Returns what
/// each says it is.
///
/// # Errors
///
/// When one is missing and cannot be had; the error says what to install.
pub fn provide_others() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for major in OTHER_MAJORS {
        if Binaries::present(major)?.is_none() && !on_path("npm") {
            install(Wanted::Npm)?;
        }
        found.push(Binaries::of_version(major)?.version()?);
    }
    // Debian's package is unpacked, not installed.
    if !PgBouncer::is_present()? && !on_path("apt-get") {
        install(Wanted::PgBouncer)?;
    }
    found.push(PgBouncer::version()?);
    Ok(found)
}

/// Has the system's package manager install a program.
pub(crate) fn install(wanted: Wanted) -> Result<()> {
    let Some(manager) = MANAGERS.iter().find(|manager| on_path(manager.program)) else {
        bail!("{wanted:?} is not installed, and there is no package manager that is known here");
    };
    let [server, npm, pooler] = manager.packages;
    let package = match wanted {
        Wanted::PostgreSql => server,
        Wanted::Npm => npm,
        Wanted::PgBouncer => pooler,
    };
    let package = package.with_context(|| format!("{wanted:?} is not installed"))?;
    let install: Vec<&str> = manager.install.iter().copied().chain([package]).collect();
    for command in manager.update.into_iter().chain([install.as_slice()]) {
        let prefix = privileges(manager, &install)?;
        let words: Vec<&str> = prefix.iter().chain(command).copied().collect();
        eprintln!("$ {}", words.join(" "));
        ensure!(
            Command::new(words.first().context("an empty command")?)
                .args(words.iter().skip(1))
                .env("DEBIAN_FRONTEND", "noninteractive")
                .status()?
                .success(),
            "`{}` failed; install {package}",
            words.join(" ")
        );
    }
    Ok(())
}

/// Brings the list of packages up to date, where that needs nobody's password.
pub(crate) fn update_list() -> Result<()> {
    let manager = MANAGERS.iter().find(|manager| on_path(manager.program));
    if let Some((manager, update)) = manager.and_then(|it| Some((it, it.update?))) {
        let prefix = privileges(manager, update)?;
        let words: Vec<&str> = prefix.iter().chain(update).copied().collect();
        ensure!(succeeds(&words), "`{}` failed", words.join(" "));
    }
    Ok(())
}

/// What to put before a command of `manager` for it to be allowed.
fn privileges(manager: &Manager, wanted: &[&str]) -> Result<&'static [&'static str]> {
    if !manager.as_root || is_root() {
        return Ok(&[]);
    }
    if succeeds(&["sudo", "-n", "true"]) {
        return Ok(&["sudo", "-n"]);
    }
    let commands: Vec<String> = manager
        .update
        .into_iter()
        .chain([wanted])
        .map(|command| format!("sudo {}", command.join(" ")))
        .collect();
    bail!("run: {}", commands.join(" && "))
}
