//! Compiled components, kept by the digest of what was compiled.
//!
//! A file in the cache is machine code that this process will run, so it is
//! only as trustworthy as the folder. The folder is created for its owner
//! alone, and refused when others can write to it. Each file ends with the
//! digest of its own content, which is checked before it is used: a file that
//! was cut short or damaged is compiled anew.
//!
//! A component is known to the world by its SHA-256. Within the cache it is
//! found by its BLAKE3, which takes a fraction of the time; the SHA-256 is kept
//! with the compiled form. So a load from the cache hashes everything it trusts
//! and still takes about a millisecond.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// What follows the artifact: the component's SHA-256, and the BLAKE3 of all
/// that stands before it.
const TRAILER: u64 = 64;

/// How much is read at once while hashing: small enough to stay in the cache of
/// the processor.
const PIECE: usize = 128 * 1024;

/// The SHA-256 digest of a component.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What finds a component among those of this machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of the component in `wasm`.
    pub fn of(wasm: &[u8]) -> Self {
        Self(blake3::hash(wasm).into())
    }
}

/// A compiled component.
pub struct Compiled {
    /// The component.
    pub component: Component,
    /// The digest of what was compiled.
    pub digest: Digest,
    /// The size of its compiled form in bytes.
    pub size: u64,
    /// Whether it came from the cache.
    pub from_cache: bool,
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

    /// The compiled form of the component with `key`.
    pub fn load(&self, engine: &Engine, key: &Key) -> Option<Compiled> {
        let path = self.path(engine, key);
        let Some((digest, size)) = verify(File::open(&path).ok()?) else {
            tracing::warn!("a compiled component in the cache is damaged; compiling it anew");
            return None;
        };
        // SAFETY: the file is what `store` wrote: its digest holds, and the
        // folder is writable for its owner alone. wasmtime itself checks that
        // the artifact was made by this version with this configuration.
        let component = unsafe { Component::deserialize_file(engine, &path) }.ok()?;
        Some(Compiled {
            component,
            digest,
            size,
            from_cache: true,
        })
    }

    /// Keeps the compiled form of the component with `key` and `digest`.
    pub fn store(
        &self,
        engine: &Engine,
        key: &Key,
        digest: &Digest,
        artifact: &[u8],
    ) -> io::Result<()> {
        let path = self.path(engine, key);
        let checksum = blake3::Hasher::new()
            .update(artifact)
            .update(&digest.0)
            .finalize();
        // Written aside and renamed, so that no one ever reads half a file; under
        // a name of its own, so that no one writes to a file that is in use.
        let aside = self.folder.join(unique_name());
        let written = File::create_new(&aside).and_then(|mut file| {
            file.write_all(artifact)?;
            file.write_all(&digest.0)?;
            file.write_all(checksum.as_bytes())
        });
        written
            .and_then(|()| fs::rename(&aside, &path))
            .inspect_err(|_| drop(fs::remove_file(&aside)))
    }

    fn path(&self, engine: &Engine, key: &Key) -> PathBuf {
        let key = blake3::Hash::from_bytes(key.0).to_hex();
        self.folder
            .join(format!("{key}-{}.cwasm", compatibility(engine)))
    }
}

/// The digest of the component in a whole file, and the size of its artifact.
fn verify(mut file: File) -> Option<(Digest, u64)> {
    let size = file.metadata().ok()?.len().checked_sub(TRAILER)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let piece = piece.get_mut(..most)?;
        file.read_exact(piece).ok()?;
        hasher.update(piece);
        left = left.checked_sub(most as u64)?;
    }
    let (mut digest, mut checksum) = ([0; 32], [0; 32]);
    file.read_exact(&mut digest).ok()?;
    file.read_exact(&mut checksum).ok()?;
    let whole = hasher.update(&digest).finalize() == checksum;
    whole.then_some((Digest(digest), size))
}

/// What has to be the same for an artifact to be usable: version and settings.
fn compatibility(engine: &Engine) -> String {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The name of a file that no one else writes.
fn unique_name() -> String {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let name = NAMES.fetch_add(1, Relaxed);
    format!("{}-{name}.part", std::process::id())
}

/// Refuses a folder that someone else owns or can write to. Who this is, is told
/// by a file made in it.
#[cfg(unix)]
fn refuse_shared(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(folder)?;
    let probe = folder.join(unique_name());
    let own = File::create_new(&probe).and_then(|file| file.metadata());
    let _ = fs::remove_file(&probe);
    let refused = if own?.uid() != metadata.uid() {
        "belongs to someone else: choose one of your own"
    } else if metadata.mode() & 0o022 != 0 {
        "can be written to by others: run `chmod go-w` on it"
    } else {
        return Ok(());
    };
    let message = format!("the cache folder {} {refused}", folder.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> io::Result<()> {
    Ok(())
}
