//! Building what runs in the sandbox.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{self, Package, Workspace};

/// What guests are compiled to.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The profile in the workspace's `Cargo.toml`.
pub(crate) const PROFILE: &str = "guest";

/// Where connectors go, in the target folder.
const CONNECTORS: &str = "connectors";

/// A component to build: a connector in `guest/`, or one that only tests load in
/// `tests/guests/`. Its name is that of its folder.
struct Guest {
    package: Package,
    /// The folder within the target folder.
    destination: &'static str,
}

impl Guest {
    fn from_package(package: Package) -> Option<Self> {
        if !package.is_component {
            return None;
        }
        let destination = match package.folder.parent()?.to_str()? {
            "guest" => CONNECTORS,
            "tests/guests" => "test-guests",
            _ => return None,
        };
        Some(Self {
            package,
            destination,
        })
    }

    fn name(&self) -> Option<&str> {
        self.package.folder.file_name()?.to_str()
    }
}

/// Builds every guest, and copies it to `connectors/NAME.wasm` or
/// `test-guests/NAME.wasm` in the target folder.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    build_these(workspace, &guests(workspace)?)
}

/// Builds the connectors alone.
pub(crate) fn build_connectors(workspace: &Workspace) -> Result<()> {
    let mut guests = guests(workspace)?;
    guests.retain(|guest| guest.destination == CONNECTORS);
    build_these(workspace, &guests)
}

fn build_these(workspace: &Workspace, guests: &[Guest]) -> Result<()> {
    cargo(workspace, "build", guests)?;
    let built = workspace.target().join(TARGET).join(PROFILE);
    for guest in guests {
        let name = guest.name().context("a guest's folder has no name")?;
        let from = built.join(format!("{}.wasm", guest.package.name.replace('-', "_")));
        let folder = workspace.target().join(guest.destination);
        copy(&from, &folder, &folder.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// Checks that every guest compiles.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    cargo(workspace, "check", &guests(workspace)?)
}

/// The packages that are compiled for the sandbox, the SDK among them.
pub(crate) fn packages(workspace: &Workspace) -> Vec<Package> {
    workspace
        .packages()
        .into_iter()
        .filter(|package| {
            package.folder.starts_with("guest") || package.folder.starts_with("tests/guests")
        })
        .collect()
}

/// Installs the standard library for the sandbox where it is missing.
pub(crate) fn ensure_target() -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("`rustc` could not be started")?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    ensure!(
        workspace::runs("rustup", &["--version"]),
        "this Rust cannot build for {TARGET}, and `rustup`, which could add that, is not \
         installed; install Rust from https://rustup.rs, or the package of your system that \
         holds Rust's standard library for {TARGET}"
    );
    workspace::run(Command::new("rustup").args(["target", "add", TARGET])).with_context(|| {
        format!("connectors are built for {TARGET}; `rustup target add {TARGET}` has to succeed")
    })
}

fn guests(workspace: &Workspace) -> Result<Vec<Guest>> {
    ensure_target()?;
    let guests: Vec<Guest> = packages(workspace)
        .into_iter()
        .filter_map(Guest::from_package)
        .collect();
    ensure!(!guests.is_empty(), "the workspace has no guests");
    Ok(guests)
}

fn cargo(workspace: &Workspace, subcommand: &str, guests: &[Guest]) -> Result<()> {
    let mut command = workspace.cargo([subcommand, "--lib", "--target", TARGET, "--profile"]);
    command.arg(PROFILE);
    for guest in guests {
        command.args(["--package", &guest.package.name]);
    }
    workspace::run(&mut command)
}

/// Copies by way of a new file, so that a program that is just reading the old one
/// keeps reading the old one.
fn copy(from: &Path, folder: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let fresh = to.with_extension("wasm.new");
    fs::copy(from, &fresh).with_context(|| format!("{} was not built", from.display()))?;
    fs::rename(&fresh, to)?;
    Ok(())
}
