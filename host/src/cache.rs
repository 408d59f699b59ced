//! Compiled components, kept by the digest of what was compiled.
//!
//! A file in the cache is machine code that this process will run, so it is
//! only as trustworthy as the folder. The folder is created for its owner
//! alone, and refused when others can write to it. Each file begins with the
//! digest of its own content, which is checked before it is used: a file that
//! was cut short or damaged is compiled anew.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The SHA-256 digest of a component.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A folder of compiled components.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is created if it is missing.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        refuse_shared(&folder)?;
        Ok(Self { folder })
    }

    /// The compiled form of the component with `digest`, and its size.
    pub fn load(&self, engine: &Engine, digest: &Digest) -> Option<(Component, u64)> {
        let stored = fs::read(self.path(engine, digest)).ok()?;
        let (checksum, artifact) = stored.split_at_checked(32)?;
        if checksum != Digest::of(artifact).0 {
            tracing::warn!(%digest, "a compiled component in the cache is damaged; compiling it anew");
            return None;
        }
        // SAFETY: the artifact is what `store` wrote: its digest holds, and the
        // folder is writable for its owner alone. wasmtime itself checks that
        // the artifact was made by this version with this configuration.
        let component = unsafe { Component::deserialize(engine, artifact) }.ok()?;
        Some((component, artifact.len() as u64))
    }

    /// Keeps the compiled form of the component with `digest`.
    pub fn store(&self, engine: &Engine, digest: &Digest, artifact: &[u8]) -> io::Result<()> {
        let path = self.path(engine, digest);
        // Written aside and renamed, so that no one ever reads half a file.
        let aside = path.with_extension(format!("{}.part", std::process::id()));
        let mut file = fs::File::create(&aside)?;
        file.write_all(&Digest::of(artifact).0)?;
        file.write_all(artifact)?;
        drop(file);
        fs::rename(&aside, &path).inspect_err(|_| drop(fs::remove_file(&aside)))
    }

    fn path(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        self.folder
            .join(format!("{}-{}.cwasm", digest.hex(), compatibility(engine)))
    }
}

/// What has to be the same for an artifact to be usable: version and settings.
fn compatibility(engine: &Engine) -> String {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(unix)]
fn refuse_shared(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o022 != 0 {
        let message = format!(
            "others can write to the cache folder {}: run `chmod go-w` on it",
            folder.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> io::Result<()> {
    Ok(())
}
