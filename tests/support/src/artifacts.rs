//! Where `cargo xtask guests` puts what it builds.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The connector `name`, for example `postgres`, as a built component.
///
/// # Errors
///
/// When it has not been built.
pub fn connector_path(name: &str) -> Result<PathBuf> {
    built(&target_directory().join("connectors"), name)
}

/// The test guest `name`, a component from `tests/guests`, built.
///
/// # Errors
///
/// When it has not been built.
pub fn test_guest_path(name: &str) -> Result<PathBuf> {
    built(&target_directory().join("test-guests"), name)
}

fn built(directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name).with_extension("wasm");
    ensure!(
        path.is_file(),
        "{} is missing; run `cargo xtask guests`",
        path.display()
    );
    Ok(path)
}

fn target_directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => workspace.join(directory),
        None => workspace.join("target"),
    }
}
