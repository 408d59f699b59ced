//! The workspace: its folders, its packages, and running cargo in it.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Where the workspace is and where it builds to.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    metadata: Value,
}

/// A member of the workspace.
pub(crate) struct Package {
    /// Its name in its `Cargo.toml`.
    pub(crate) name: String,
    /// The folder of its `Cargo.toml`, relative to the workspace's root.
    pub(crate) folder: PathBuf,
    /// Whether it builds a component.
    pub(crate) is_component: bool,
}

impl Workspace {
    /// The workspace that this program belongs to.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has no workspace around it")?
            .to_owned();
        let metadata = metadata(&root, &["--no-deps"])?;
        let target = metadata["target_directory"]
            .as_str()
            .context("`cargo metadata` names no target folder")?
            .into();
        Ok(Self {
            root,
            target,
            metadata,
        })
    }

    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder for everything that is built.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The members, in alphabetical order of their folders.
    pub(crate) fn packages(&self) -> Vec<Package> {
        let packages = self.metadata["packages"].as_array();
        let mut packages: Vec<Package> = packages
            .into_iter()
            .flatten()
            .filter_map(|package| self.package(package))
            .collect();
        packages.sort_by(|a, b| a.folder.cmp(&b.folder));
        packages
    }

    fn package(&self, package: &Value) -> Option<Package> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let folder = manifest.parent()?.strip_prefix(&self.root).ok()?;
        let targets = package["targets"].as_array()?;
        Some(Package {
            name: package["name"].as_str()?.to_owned(),
            folder: folder.to_owned(),
            is_component: targets
                .iter()
                .filter_map(|target| target["kind"].as_array())
                .flatten()
                .any(|kind| kind == "cdylib"),
        })
    }

    /// The folder of the sources of a crate that the workspace depends on.
    pub(crate) fn crate_sources(&self, name: &str) -> Result<PathBuf> {
        let metadata = metadata(&self.root, &[])?;
        metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["name"] == name)
            .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
            .map(Path::to_owned)
            .with_context(|| format!("the workspace does not depend on {name}"))
    }

    /// `cargo` with these arguments, in the workspace.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(cargo_program());
        command.args(arguments).current_dir(&self.root);
        command
    }
}

/// Shows a command and runs it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let status = command
        .status()
        .with_context(|| format!("`{}` could not be started", shown(command)))?;
    ensure!(status.success(), "`{}` failed ({status})", shown(command));
    Ok(())
}

/// Whether `program` can be run with these arguments.
pub(crate) fn runs(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether cargo has this subcommand.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    runs(cargo_program(), &[subcommand, "--version"])
}

fn cargo_program() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn metadata(root: &Path, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(cargo_program())
        .args(["metadata", "--format-version", "1"])
        .args(arguments)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("`cargo metadata` could not be started")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed ({})", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
