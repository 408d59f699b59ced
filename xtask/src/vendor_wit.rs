//! The WIT of WASI in `wit/deps`: copies of what the sandbox implements.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::workspace::Workspace;

/// A crate and the files taken out of it: the path there, the path in `wit/deps`.
struct Source {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const SOURCES: &[Source] = &[
    Source {
        name: "wasmtime-wasi",
        files: &[
            ("src/p2/wit/deps/clocks.wit", "clocks.wit"),
            ("src/p2/wit/deps/io.wit", "io.wit"),
            ("src/p2/wit/deps/random.wit", "random.wit"),
            ("src/p2/wit/deps/sockets.wit", "sockets.wit"),
        ],
    },
    Source {
        name: "wasmtime-wasi-config",
        files: &[
            ("wit/deps/config/store.wit", "config/store.wit"),
            ("wit/deps/config/world.wit", "config/world.wit"),
        ],
    },
    Source {
        name: "wasmtime-wasi-tls",
        files: &[
            ("wit/deps/tls/types.wit", "tls/types.wit"),
            ("wit/deps/tls/world.wit", "tls/world.wit"),
        ],
    },
];

/// Files that no crate carries, by their SHA-256. wasi:logging has no release.
const PINNED: &[(&str, &str)] = &[(
    "logging.wit",
    "fc1e7fc657f1d8b6f22e2b259f3b9942033ae2ab14564a76a0aba1040b1cffcd",
)];

/// Copies every file out of its crate.
pub(crate) fn copy(workspace: &Workspace) -> Result<()> {
    let deps = workspace.root().join("wit/deps");
    for source in SOURCES {
        let sources = workspace.crate_sources(source.name)?;
        for (there, here) in source.files {
            let to = deps.join(here);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&to, read(&sources.join(there))?)?;
        }
    }
    check(workspace)
}

/// Fails unless `wit/deps` holds exactly what it should.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let deps = workspace.root().join("wit/deps");
    let mut expected = BTreeSet::new();
    let mut faults = String::new();
    for source in SOURCES {
        let sources = workspace.crate_sources(source.name)?;
        for (there, here) in source.files {
            expected.insert((*here).to_owned());
            if read(&sources.join(there))? != fs::read(deps.join(here)).unwrap_or_default() {
                writeln!(faults, "  {here} differs from {there} in {}", source.name)?;
            }
        }
    }
    for (here, digest) in PINNED {
        expected.insert((*here).to_owned());
        let found = hex(&Sha256::digest(read(&deps.join(here))?));
        if found != *digest {
            writeln!(faults, "  {here} has the SHA-256 {found}, not {digest}")?;
        }
    }
    for found in files_below(&deps, &deps)? {
        if !expected.contains(&found) {
            writeln!(faults, "  {found} has no known source")?;
        }
    }
    if !faults.is_empty() {
        bail!(
            "wit/deps has drifted; `cargo xtask vendor-wit` restores what comes from crates:\n{faults}"
        );
    }
    println!("wit/deps: {} files as in their sources", expected.len());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The files in `folder` and below, relative to `root`, with `/`.
fn files_below(root: &Path, folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(root, &path)?);
        } else {
            let relative = path.strip_prefix(root)?.to_str();
            files.push(
                relative
                    .context("a file name is not UTF-8")?
                    .replace('\\', "/"),
            );
        }
    }
    Ok(files)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
