//! Loads connectors.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::MemoryCreator;

use crate::cache::{Cache, Compiled, Key};
use crate::compile::{Artifact, Compiler, compile};
use crate::connector::{Connector, ConnectorInner};
use crate::descriptor::Descriptor;
use crate::engine::Sandbox;
use crate::error::{Error, ErrorKind, Result, Wasmtime};
use crate::policy::trust::Mistrust;
use crate::policy::{Beyond, Digest, Limits, Permissions, Policy, Trust, component};

/// Loads connectors, each into a sandbox of its own.
///
/// A host is cheap to clone; clones share one engine. Most programs have one.
///
/// ```no_run
/// # async fn example() -> dagflux_host::Result<()> {
/// use dagflux_host::{Config, ConnectOptions, Host, Secrets};
/// use futures_util::TryStreamExt;
///
/// let host = Host::new()?;
/// let connector = host.load("connectors/postgres.wasm").await?;
/// let config = Config::new().with("database", "sales");
/// let secrets = Secrets::new()
///     .with("host", "localhost")
///     .with("username", "dagflux")
///     .with("password", "a password from a secure store");
/// let mut connection = connector.connect(config, secrets, ConnectOptions::default()).await?;
/// let mut rows = connection.query("SELECT 1 AS one").await?;
/// while let Some(batch) = rows.try_next().await? {
///     println!("{} rows", batch.num_rows());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host {
    inner: Arc<HostInner>,
}

pub(crate) struct HostInner {
    pub(crate) sandbox: Sandbox,
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    cache: Option<Cache>,
    compiler: Option<Compiler>,
    compiling: Semaphore,
    /// A place for each connection that may be open.
    pub(crate) places: Arc<Semaphore>,
    /// Connectors in use. Weak, so that one that no one holds
    /// is let go.
    loaded: Mutex<BTreeMap<Key, Weak<ConnectorInner>>>,
}

/// Sets up a [`Host`].
#[derive(Default)]
#[must_use]
pub struct HostBuilder {
    limits: Limits,
    policy: Policy,
    cache: Option<std::path::PathBuf>,
    cache_key: Option<std::path::PathBuf>,
    compiler: Option<Compiler>,
    memory: Option<Arc<dyn MemoryCreator>>,
}

impl HostBuilder {
    /// What each connection may use. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What connectors are permitted. Default: [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Keeps compiled components in this folder, which must be writable for its
    /// owner alone. Default: compiled components are kept in memory only.
    pub fn cache_dir(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Seals what is in the cache folder with the key in this file, which is made if it is missing and
    /// has to be readable for its owner alone. What was not sealed with it is not run: a cache that was
    /// restored from elsewhere, or that others could write to, is of no use to them. Keep it outside
    /// of the folder. Default: what is in the folder is checked for damage only.
    pub fn cache_key(mut self, file: impl Into<std::path::PathBuf>) -> Self {
        self.cache_key = Some(file.into());
        self
    }

    /// Compiles components in a process of its own, whose time and memory are bounded by
    /// [`Limits::compile_time`] and [`Limits::compile_memory`]. Default: on a thread of this one, where a
    /// component that was made to keep the compiler busy can only be waited for no longer.
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = Some(compiler);
        self
    }

    /// Gives guests memory of the embedder's making, for tests that look into it.
    #[doc(hidden)]
    pub fn guest_memory(mut self, memory: Arc<dyn MemoryCreator>) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The host.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the cache folder cannot be used, or this machine
    /// cannot run WebAssembly.
    pub fn build(self) -> Result<Host> {
        // A compiler in another process does not know of such memory.
        let compiler = self.compiler.filter(|_| self.memory.is_none());
        let sandbox = Sandbox::new(self.memory).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                "the WebAssembly engine cannot run on this machine",
            )
            .with_source(Wasmtime(error))
        })?;
        let key = self.cache_key.as_deref();
        let cache = self.cache.map(|folder| Cache::open(folder, key));
        let cache = cache.transpose().map_err(|error| {
            Error::new(
                ErrorKind::Io,
                "the folder for compiled connectors cannot be used",
            )
            .with_hint(
                "choose a folder that only you can write to, and a key file that only you can read",
            )
            .with_source(error)
        })?;
        let inner = HostInner {
            sandbox,
            places: Arc::new(Semaphore::new(
                self.limits.connections.min(Semaphore::MAX_PERMITS),
            )),
            limits: self.limits,
            policy: self.policy,
            cache,
            compiler,
            compiling: Semaphore::new(1),
            loaded: Mutex::default(),
        };
        Ok(Host {
            inner: Arc::new(inner),
        })
    }
}

impl Host {
    /// Sets up a host.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// A host with the default limits and policy, without a cache on disk.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Loads the connector in a file.
    ///
    /// The same bytes loaded again give the same connector at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read,
    /// [`ErrorKind::ComponentTooLarge`], [`ErrorKind::InvalidComponent`] if it
    /// is not a whole component, [`ErrorKind::CompileLimit`] if it was made to keep the compiler busy,
    /// [`ErrorKind::ForbiddenImport`], [`ErrorKind::NotAConnector`], [`ErrorKind::InvalidDescriptor`].
    pub async fn load(&self, path: impl AsRef<Path>) -> Result<Connector> {
        self.load_trusted(path, &Trust::new()).await
    }

    /// Loads the connector in a file, if it is what `trust` asks for. A signature of it is the file
    /// beside it whose name has `.minisig` added.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and [`ErrorKind::Untrusted`] before anything of it is compiled or run;
    /// [`ErrorKind::NotGranted`] before it is given anything.
    pub async fn load_trusted(&self, path: impl AsRef<Path>, trust: &Trust) -> Result<Connector> {
        let path = path.as_ref();
        let wasm = self.read(path)?;
        let signature = match &trust.key {
            Some(_) => read_signature(path)?,
            None => None,
        };
        self.load_trusted_bytes(&wasm, signature.as_deref(), trust)
            .await
    }

    /// Loads the connector in `wasm`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), without those of the file.
    pub async fn load_bytes(&self, wasm: &[u8]) -> Result<Connector> {
        self.load_trusted_bytes(wasm, None, &Trust::new()).await
    }

    /// Loads the connector in `wasm`, if it is what `trust` asks for; `signature` is the content of a
    /// `.minisig` file.
    ///
    /// # Errors
    ///
    /// As [`load_trusted`](Self::load_trusted), without those of the file.
    pub async fn load_trusted_bytes(
        &self,
        wasm: &[u8],
        signature: Option<&str>,
        trust: &Trust,
    ) -> Result<Connector> {
        self.permit_size(wasm)?;
        trust.permit(wasm, signature).map_err(mistrusted)?;
        let connector = self.load_any(wasm).await?;
        if let Some(granted) = &trust.granted {
            let beyond = connector.permissions().beyond(granted);
            if !beyond.is_empty() {
                return Err(not_granted(connector.descriptor(), &beyond));
            }
        }
        Ok(connector)
    }

    /// Looks at the component in a file, also at one that cannot be loaded. Nothing of it is run but what
    /// describes it, and not even that if it is refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] and [`ErrorKind::ComponentTooLarge`].
    pub async fn inspect(&self, path: impl AsRef<Path>) -> Result<Inspection> {
        let wasm = self.read(path.as_ref())?;
        let outline = component::outline(&wasm);
        let connector = self.load_any(&wasm).await;
        let permissions = match &connector {
            Ok(connector) => connector.permissions(),
            Err(_) => Permissions::of_imports(outline.imports.iter().map(String::as_str)),
        };
        Ok(Inspection {
            digest: Digest::of(&wasm),
            size: wasm.len() as u64,
            imports: outline.imports,
            exports: outline.exports,
            permissions,
            connector,
        })
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let unreadable = |error| {
            Error::new(ErrorKind::Io, format!("{} cannot be read", path.display()))
                .with_hint("check the path of the connector")
                .with_source(error)
        };
        let most = self.inner.limits.component_size;
        let mut wasm = Vec::new();
        // To open a pipe is to wait for whoever writes to it.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(std::io::Error::other("it is not a file")));
        }
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // Connectors are small files: not worth a hop to another thread.
        std::io::Read::read_to_end(
            &mut std::io::Read::take(file, most.saturating_add(1)),
            &mut wasm,
        )
        .map_err(unreadable)?;
        self.permit_size(&wasm)?;
        Ok(wasm)
    }

    fn permit_size(&self, wasm: &[u8]) -> Result<()> {
        let most = self.inner.limits.component_size;
        if wasm.len() as u64 <= most {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ComponentTooLarge,
            format!("the component is larger than {most} bytes"),
        )
        .with_hint(
            "a connector is a few megabytes; who knows its author can raise the limit `component_size`",
        ))
    }

    async fn load_any(&self, wasm: &[u8]) -> Result<Connector> {
        let inner = &self.inner;
        self.permit_size(wasm)?;
        let key = Key::of(wasm);
        if let Some(inner) = self.loaded().get(&key).and_then(Weak::upgrade) {
            return Ok(Connector { inner });
        }
        let mut compiling = None;
        let compiled = match inner.cached(&key) {
            Some(compiled) => compiled,
            None => {
                // One at a time: a compiler takes all processors, and who waits may find it done.
                compiling = inner.compiling.acquire().await.ok();
                if let Some(inner) = self.loaded().get(&key).and_then(Weak::upgrade) {
                    return Ok(Connector { inner });
                }
                match inner.cached(&key) {
                    Some(compiled) => compiled,
                    None => inner.compiled(wasm, &key).await?,
                }
            }
        };
        let connector = Connector::new(inner.clone(), &compiled, wasm.len() as u64).await?;
        let mut loaded = self.loaded();
        loaded.retain(|_, known| known.strong_count() > 0);
        loaded.insert(key, Arc::downgrade(&connector.inner));
        drop(compiling);
        Ok(connector)
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Weak<ConnectorInner>>> {
        self.inner
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most bytes of a signature's file: four short lines.
const SIGNATURE: u64 = 4 * 1024;

/// The signature that lies beside a component, if there is one.
fn read_signature(path: &Path) -> Result<Option<String>> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".minisig");
    let read = std::fs::metadata(&beside).and_then(|metadata| {
        if !metadata.is_file() {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let file = std::fs::File::open(&beside)?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, SIGNATURE), &mut text)?;
        Ok(text)
    });
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // It is text, so this is none.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(error) => Err(Error::new(
            ErrorKind::Io,
            format!("{} cannot be read", Path::new(&beside).display()),
        )
        .with_hint("check the permissions of the signature")
        .with_source(error)),
    }
}

fn mistrusted(reason: Mistrust) -> Error {
    let (message, hint) = match reason {
        Mistrust::OtherDigest { found } => {
            return Error::new(
                ErrorKind::Untrusted,
                format!("the component is not the pinned one: its digest is {found}"),
            )
            .with_hint("compare it with what its author publishes; if the component was replaced on purpose, pin the new digest");
        }
        Mistrust::NoSignature => (
            "the component has to be signed, and no signature lies beside it",
            "get the signature from where the component came from: the file has the same name with .minisig added",
        ),
        Mistrust::BadSignature => (
            "what lies beside the component is not a minisign signature",
            "get the signature again, or have it made with `minisign -S`",
        ),
        Mistrust::WrongSignature => (
            "the component is not signed with the key that it has to be signed with, or was changed since",
            "do not use it; get component and signature again from their author, and compare the key with the one that the author publishes",
        ),
    };
    Error::new(ErrorKind::Untrusted, message).with_hint(hint)
}

fn not_granted(about: &Descriptor, beyond: &[Beyond]) -> Error {
    let list: Vec<_> = beyond.iter().map(ToString::to_string).collect();
    Error::new(
        ErrorKind::NotGranted,
        format!(
            "{} {} asks for more than was granted: it {}",
            about.name,
            about.version,
            list.join("; it ")
        ),
    )
    .with_hint("use the version before it, or grant it what it asks for")
}

impl HostInner {
    /// A place for one more connection.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            Error::new(
                ErrorKind::ConnectionLimit,
                format!(
                    "{} connections are open, and no more may be",
                    self.limits.connections
                ),
            )
            .with_hint("close connections that are not needed, or raise the limit `connections`")
            .with_retryable(true)
        })
    }

    /// The compiled form of a component, if it is in the cache.
    fn cached(&self, key: &Key) -> Option<Compiled> {
        self.cache.as_ref()?.load(&self.sandbox.engine, key)
    }

    async fn compiled(&self, wasm: &[u8], key: &Key) -> Result<Compiled> {
        let engine = &self.sandbox.engine;
        component::permit(wasm).map_err(|reason| {
            Error::new(
                ErrorKind::CompileLimit,
                format!("the component would take too long to compile: {reason}"),
            )
            .with_hint("do not use it: no compiler makes such a component by itself")
        })?;
        let Artifact { component, bytes } =
            compile(engine, self.compiler.as_ref(), &self.limits, wasm).await?;
        let digest = Digest::of(wasm);
        if let Some(cache) = self.cache.as_ref().filter(|_| !bytes.is_empty())
            && let Err(error) = cache.store(engine, key, &digest, &bytes)
        {
            tracing::warn!(%error, "the compiled connector could not be kept");
        }
        Ok(Compiled {
            component,
            digest,
            size: bytes.len() as u64,
            from_cache: false,
        })
    }
}

/// A component as it was found, whether or not it can be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// What it asks for; of one that cannot be loaded, its imports only.
    pub permissions: Permissions,
    /// The connector, or why it is refused.
    pub connector: Result<Connector>,
}
