//! A copy of the sources with all mutants in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::source;
use crate::table::{self, Mutant};

/// Writes the copy of the workspace at `root` into `folder`. What is there and the same is left
/// alone, so that it is not compiled again.
pub fn write(root: &Path, folder: &Path) -> Result<PathBuf> {
    let tree = folder.join("tree");
    fs::create_dir_all(&tree)?;
    let mut mutants = BTreeMap::<&str, Vec<&Mutant>>::new();
    for mutant in table::all() {
        mutants.entry(mutant.file).or_default().push(mutant);
    }
    let mut files = BTreeSet::new();
    for file in tracked(root)? {
        // Deleted, and not yet told to git.
        let Ok(content) = fs::read(root.join(&file)) else {
            continue;
        };
        let content = match mutants.remove(file.as_str()) {
            Some(mutants) => {
                let source = String::from_utf8(content)?;
                source::with_mutants(&source, &mutants)?.into_bytes()
            }
            None => content,
        };
        let path = tree.join(&file);
        if fs::read(&path).ok().as_deref() != Some(&content) {
            fs::create_dir_all(path.parent().context("no folder")?)?;
            fs::write(&path, content).with_context(|| path.display().to_string())?;
        }
        files.insert(path);
    }
    ensure!(mutants.is_empty(), "no such files: {:?}", mutants.keys());
    remove_others(&tree, &files)?;
    // Where the tests look for the components.
    let target = tree.join("target");
    if fs::symlink_metadata(&target).is_err() {
        std::os::unix::fs::symlink(root.join("target"), target)?;
    }
    Ok(tree)
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("`git` could not be started")?;
    ensure!(output.status.success(), "`git ls-files` failed");
    let names = String::from_utf8(output.stdout)?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    // The fuzzers' inputs are many, and no test of a mutant reads them.
    Ok(names
        .filter(|name| !name.starts_with("fuzz/corpus/"))
        .map(str::to_owned)
        .collect())
}

fn remove_others(folder: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let (path, kind) = {
            let entry = entry?;
            (entry.path(), entry.file_type()?)
        };
        if kind.is_dir() {
            remove_others(&path, files)?;
        } else if kind.is_file() && !files.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
