//! Compiled components, kept by the digest of what was compiled.
//!
//! A file in the cache is machine code that this process will run, so it is
//! only as trustworthy as the folder. The folder is created for its owner
//! alone, and refused when others can write to it. Each file ends with a
//! seal over its own content, which is checked before it is used: a file that
//! was cut short, damaged, or sealed by someone else is compiled anew.
//!
//! With a key of its user's, which lies outside of the folder, the seal is one that
//! no one else can make. Without one it is a digest, and finds damage only.
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
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::policy::Digest;

/// What follows the artifact: the component's SHA-256, and the BLAKE3 of what it
/// was found by and of all that stands before.
const TRAILER: u64 = 64;

/// How much is read at once while hashing: small enough to stay in the cache of
/// the processor.
const PIECE: usize = 128 * 1024;

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
    /// Of the folder: it tells whose the files have to be.
    owner: fs::Metadata,
    seal: Seal,
}

/// Makes seals: a keyed hash, or a hash if there is no key.
#[derive(Clone)]
struct Seal(Option<[u8; 32]>);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").field(&self.0.is_some()).finish()
    }
}

impl Seal {
    /// A hasher for what is found by `key`: what is sealed under one name is not to be had under another.
    fn begin(&self, key: &Key) -> blake3::Hasher {
        let mut hasher = match &self.0 {
            Some(secret) => blake3::Hasher::new_keyed(secret),
            None => blake3::Hasher::new(),
        };
        hasher.update(&key.0);
        hasher
    }
}

impl Cache {
    /// The cache in `folder`, which is created if it is missing, as is the key in the file `key`.
    pub fn open(folder: PathBuf, key: Option<&Path>) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        refuse_shared(&folder)?;
        let owner = fs::metadata(&folder)?;
        let key = key.map(|path| read_or_make_key(path, &owner));
        let seal = Seal(key.transpose()?);
        Ok(Self {
            folder,
            owner,
            seal,
        })
    }

    /// The compiled form of the component with `key`.
    pub fn load(&self, engine: &Engine, key: &Key) -> Option<Compiled> {
        let path = self.path(engine, key);
        let file = File::open(&path).ok()?;
        // Whoever can write to it could do so after it was looked at.
        if let Err(error) = refuse_unsafe(&path, &file, &self.owner, 0o022) {
            tracing::warn!(%error, "a compiled component is not used; compiling it anew");
            return None;
        }
        let Some((digest, size)) = verify(&file, self.seal.begin(key)) else {
            tracing::warn!(
                "a compiled component in the cache is damaged, or not ours; compiling it anew"
            );
            return None;
        };
        // SAFETY: the file is what `store` wrote: its seal holds, and the
        // folder is writable for its owner alone. wasmtime itself checks that
        // the artifact was made by this version with this configuration.
        let component =
            unsafe { Component::deserialize_file(engine, same_file(&file, &path)) }.ok()?;
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
        let checksum = self
            .seal
            .begin(key)
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

/// A path to the file that is open, so that it is not another one by now.
fn same_file(file: &File, path: &Path) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::fd::AsRawFd;
        let open = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
        if open.exists() {
            return open;
        }
    }
    let _ = file;
    path.to_owned()
}

/// The bytes of a key.
const KEY: usize = 32;

/// How often a key is looked for that someone else is just making.
const TRIES: usize = 50;

/// The key in the file at `path`, which is made if it is missing, for the owner of the cache.
fn read_or_make_key(path: &Path, owner: &fs::Metadata) -> io::Result<[u8; KEY]> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    for _ in 0..TRIES {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => return make_key(file).inspect_err(|_| drop(fs::remove_file(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let mut file = File::open(path)?;
        refuse_unsafe(path, &file, owner, 0o077)?;
        let mut key = Vec::new();
        Read::take(&mut file, KEY as u64 + 1).read_to_end(&mut key)?;
        if let Ok(key) = <[u8; KEY]>::try_from(key.as_slice()) {
            return Ok(key);
        }
        // Whoever made the file has yet to write to it.
        std::thread::sleep(Duration::from_millis(2));
    }
    let message = format!(
        "{} is no key, which has {KEY} bytes: delete it to have a new one made",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

fn make_key(mut file: File) -> io::Result<[u8; KEY]> {
    let mut key = [0; KEY];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut key)
        .map_err(|_| io::Error::other("the system has no random numbers"))?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

/// Refuses a file that is not of the owner of the cache, or that others can use in one of these ways.
#[cfg(unix)]
fn refuse_unsafe(path: &Path, file: &File, owner: &fs::Metadata, others: u32) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    let refused = if metadata.uid() != owner.uid() {
        "belongs to someone else"
    } else if metadata.mode() & others != 0 {
        "can be used by others: run `chmod 600` on it"
    } else {
        return Ok(());
    };
    let message = format!(
        "{} {refused}, or delete it to have a new one made",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(not(unix))]
fn refuse_unsafe(_: &Path, _: &File, _: &fs::Metadata, _: u32) -> io::Result<()> {
    Ok(())
}

/// The digest of the component in a whole file, and the size of its artifact, if `hasher` comes to the
/// seal in it.
fn verify(mut file: &File, mut hasher: blake3::Hasher) -> Option<(Digest, u64)> {
    let size = file.metadata().ok()?.len().checked_sub(TRAILER)?;
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
