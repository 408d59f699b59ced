//! Programs that were fetched once, for every run after.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use anyhow::{Context, Result};

use crate::account::is_root;

/// The folder for programs that tests run and that no package manager has installed:
/// `DAGFLUX_TEST_CACHE`, or one in the user's cache folder. Root's own is closed to the
/// account that servers run as, so root's is the system's.
fn folder() -> Result<PathBuf> {
    let root = if let Some(chosen) = env::var_os("DAGFLUX_TEST_CACHE") {
        return Ok(std::path::absolute(chosen)?);
    } else if is_root() {
        PathBuf::from("/var/cache")
    } else if let Some(cache) = env::var_os("XDG_CACHE_HOME") {
        PathBuf::from(cache)
    } else {
        let home = env::var_os("HOME").context("HOME is not set; set DAGFLUX_TEST_CACHE")?;
        PathBuf::from(home).join(".cache")
    };
    Ok(root.join("dagflux-tests"))
}

/// The folder `name` of the cache, if it is there.
pub(crate) fn find(name: &str) -> Result<Option<PathBuf>> {
    let path = folder()?.join(name);
    Ok(path.is_dir().then_some(path))
}

/// The folder `name` of the cache, which `fill` fills if it is not there yet. It appears
/// under its name when it is complete, so that two that fetch the same do not collide and
/// what is left of one that was interrupted is never taken for the whole.
pub(crate) fn provide(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if let Some(path) = find(name)? {
        return Ok(path);
    }
    let root = folder()?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let unfinished = root.join(format!(".{name}-{}-{number}", process::id()));
    builder
        .create(&unfinished)
        .with_context(|| format!("{} could not be created", unfinished.display()))?;
    let path = root.join(name);
    let filled = fill(&unfinished).and_then(|()| match fs::rename(&unfinished, &path) {
        // Somebody else was faster.
        Err(_) if path.is_dir() => Ok(()),
        renamed => Ok(renamed?),
    });
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    filled.map(|()| path)
}
