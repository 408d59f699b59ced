//! A loaded connector.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::MemoryCreator;
use wasmtime::component::Component;

use crate::bindings::RelationalConnectorPre;
use crate::broker::Broker;
use crate::cache::{Cache, Compiled, Digest, Key};
use crate::config::Config;
use crate::connection::Connection;
use crate::descriptor::Descriptor;
use crate::encryption::Presented;
use crate::engine::Sandbox;
use crate::error::{Error, ErrorKind, Result};
use crate::instance::Instance;
use crate::policy::{Limits, Policy, imports};
use crate::report::{Purpose, SetUpNames, SetUpStatement};
use crate::retry::Retry;
use crate::secrets::SecretProvider;
use crate::state::State;
use crate::types::ConnectOptions;

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
        let sandbox = Sandbox::new(self.memory).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                "the WebAssembly engine cannot run on this machine",
            )
            .with_source(Wasmtime(error))
        })?;
        let cache = self.cache.map(Cache::open).transpose().map_err(|error| {
            Error::new(
                ErrorKind::Io,
                "the folder for compiled connectors cannot be used",
            )
            .with_hint("choose a folder that only you can write to")
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
    /// is not a whole component, [`ErrorKind::ForbiddenImport`],
    /// [`ErrorKind::NotAConnector`], [`ErrorKind::InvalidDescriptor`].
    pub async fn load(&self, path: impl AsRef<Path>) -> Result<Connector> {
        let path = path.as_ref();
        let unreadable = |error| {
            Error::new(ErrorKind::Io, format!("{} cannot be read", path.display()))
                .with_hint("check the path of the connector")
                .with_source(error)
        };
        let most = self.inner.limits.component_size;
        let mut wasm = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // Connectors are small files: not worth a hop to another thread.
        std::io::Read::read_to_end(
            &mut std::io::Read::take(file, most.saturating_add(1)),
            &mut wasm,
        )
        .map_err(unreadable)?;
        self.load_bytes(&wasm).await
    }

    /// Loads the connector in `wasm`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), without those of the file.
    pub async fn load_bytes(&self, wasm: &[u8]) -> Result<Connector> {
        let inner = &self.inner;
        if wasm.len() as u64 > inner.limits.component_size {
            return Err(Error::new(
                ErrorKind::ComponentTooLarge,
                format!(
                    "the component is larger than {} bytes",
                    inner.limits.component_size
                ),
            )
            .with_hint(
                "a connector is a few megabytes; an embedder can raise `Limits::component_size`",
            ));
        }
        let key = Key::of(wasm);
        if let Some(inner) = self.loaded().get(&key).and_then(Weak::upgrade) {
            return Ok(Connector { inner });
        }
        let compiled = inner.compiled(wasm, &key).await?;
        let connector = Connector::new(inner.clone(), &compiled, wasm.len() as u64).await?;
        let mut loaded = self.loaded();
        loaded.retain(|_, known| known.strong_count() > 0);
        loaded.insert(key, Arc::downgrade(&connector.inner));
        Ok(connector)
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Weak<ConnectorInner>>> {
        self.inner
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
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

    async fn compiled(&self, wasm: &[u8], key: &Key) -> Result<Compiled> {
        let engine = &self.sandbox.engine;
        if let Some(compiled) = self
            .cache
            .as_ref()
            .and_then(|cache| cache.load(engine, key))
        {
            return Ok(compiled);
        }
        let (own_engine, own_wasm) = (engine.clone(), wasm.to_vec());
        let compiled =
            tokio::task::spawn_blocking(move || Component::from_binary(&own_engine, &own_wasm))
                .await;
        let component = match compiled {
            Ok(Ok(component)) => component,
            Ok(Err(error)) => return Err(not_a_component(wasm, error)),
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::InvalidComponent,
                    "the component cannot be compiled",
                ));
            }
        };
        let digest = Digest::of(wasm);
        let artifact = component.serialize().unwrap_or_default();
        if let Some(cache) = self.cache.as_ref().filter(|_| !artifact.is_empty())
            && let Err(error) = cache.store(engine, key, &digest, &artifact)
        {
            tracing::warn!(%error, "the compiled connector could not be kept");
        }
        Ok(Compiled {
            component,
            digest,
            size: artifact.len() as u64,
            from_cache: false,
        })
    }
}

fn not_a_component(wasm: &[u8], error: wasmtime::Error) -> Error {
    let (message, hint) = match wasm {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => (
            "the file is a WebAssembly module, not a component",
            "build it for wasm32-wasip2, or turn it into a component with `wasm-tools component new`",
        ),
        [0, b'a', b's', b'm', ..] => (
            "the component is damaged or cut short",
            "copy or download the file again, and compare its size and digest with the original",
        ),
        _ => (
            "the file is not WebAssembly",
            "check the path: a connector is a `.wasm` file",
        ),
    };
    Error::new(ErrorKind::InvalidComponent, message)
        .with_hint(hint)
        .with_source(Wasmtime(error))
}

/// A wasmtime error as a source, without its backtrace.
#[derive(Debug)]
pub(crate) struct Wasmtime(pub(crate) wasmtime::Error);

impl std::fmt::Display for Wasmtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Wasmtime {}

/// What is known of a component from the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ComponentInfo {
    /// Its digest, as `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The size of its compiled form in bytes.
    pub compiled_size: u64,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// Whether it came compiled from the cache.
    pub from_cache: bool,
}

/// A loaded connector: ready to connect any number of times, at once.
#[derive(Clone)]
pub struct Connector {
    pub(crate) inner: Arc<ConnectorInner>,
}

pub(crate) struct ConnectorInner {
    pub(crate) host: Arc<HostInner>,
    pub(crate) pre: RelationalConnectorPre<State>,
    pub(crate) descriptor: Descriptor,
    info: ComponentInfo,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Descriptor { name, version, .. } = &self.inner.descriptor;
        f.debug_struct("Connector")
            .field("name", name)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

impl Connector {
    async fn new(host: Arc<HostInner>, compiled: &Compiled, size: u64) -> Result<Self> {
        let engine = &host.sandbox.engine;
        let component = &compiled.component;
        let component_type = component.component_type();
        let imports: Vec<_> = component_type
            .imports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        let exports: Vec<_> = component_type
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        let forbidden = imports::forbidden(imports.iter().map(String::as_str));
        if !forbidden.is_empty() {
            let message = format!(
                "the component imports {}, which no connector may have",
                forbidden.join(", ")
            );
            return Err(Error::new(ErrorKind::ForbiddenImport, message)
                .with_hint("do not use it unless you trust its author with that; a connector needs only what the contract lists"));
        }
        let info = ComponentInfo {
            digest: compiled.digest.to_string(),
            size,
            compiled_size: compiled.size,
            imports,
            exports,
            from_cache: compiled.from_cache,
        };
        let pre = host.sandbox.linker.instantiate_pre(component).and_then(RelationalConnectorPre::new).map_err(|error| {
            Error::new(ErrorKind::NotAConnector, "the component is not a connector of a version this host knows")
                .with_detail(format!("it exports {}", list(&info.exports)))
                .with_hint("a connector exports dagflux:connector/descriptor@0.1.0 and dagflux:connector/relational@0.1.0")
                .with_source(Wasmtime(error))
        })?;
        let mut instance = Instance::new(
            &host,
            &pre,
            "unknown",
            Arc::new(Broker::nothing(&host.limits)),
        )
        .await?;
        let about = instance.describe().await?;
        let descriptor = Descriptor::from_guest(about)?;
        drop(instance);
        Ok(Self {
            inner: Arc::new(ConnectorInner {
                host,
                pre,
                descriptor,
                info,
            }),
        })
    }

    /// What it says of itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.inner.descriptor
    }

    /// What is known of its component from the outside.
    pub fn component(&self) -> &ComponentInfo {
        &self.inner.info
    }

    /// The SQL that creates a login and gives it what it needs for the purposes
    /// (with none, for all), the least first. The password in it is a place
    /// holder. Nothing is connected to: it runs without network and secrets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a name that cannot be one, and whatever
    /// else the connector reports.
    pub async fn set_up(
        &self,
        purposes: &[Purpose],
        names: SetUpNames,
    ) -> Result<Vec<SetUpStatement>> {
        let inner = &self.inner;
        let mut instance = Instance::new(
            &inner.host,
            &inner.pre,
            &inner.descriptor.name,
            Arc::new(Broker::nothing(&inner.host.limits)),
        )
        .await?;
        let purposes: Vec<_> = purposes.iter().map(|purpose| (*purpose).into()).collect();
        let (store, guest, watch) = instance.relational();
        let statements = watch
            .call(guest.call_set_up(store, &purposes, &names.into()))
            .await?;
        Ok(statements.into_iter().map(Into::into).collect())
    }

    /// Connects, with the sensitive fields taken from `secrets`.
    ///
    /// Must be called within a tokio runtime, on which the connection then runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] with every fault at once,
    /// [`ErrorKind::Secret`], [`ErrorKind::NameResolution`],
    /// [`ErrorKind::Unreachable`], [`ErrorKind::ConnectTimeout`],
    /// [`ErrorKind::Authentication`], [`ErrorKind::DatabaseNotFound`], and
    /// whatever else the connector reports.
    pub async fn connect(
        &self,
        config: Config,
        secrets: impl SecretProvider,
        options: ConnectOptions,
    ) -> Result<Connection> {
        let secrets: Arc<dyn SecretProvider> = Arc::new(secrets);
        let mut tries = options.retry.as_ref().map(Retry::begin);
        loop {
            // Each try has a login of its own.
            let limits = options.limits.as_ref();
            let broker = self.broker(&config, secrets.clone(), limits, false);
            let broker = Arc::new(broker.await?);
            let opened = Connection::open(self.clone(), broker.clone(), options.clone()).await;
            let error = match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => error.while_connecting(broker.progress()),
            };
            match tries.as_mut().and_then(|tries| tries.after(&error)) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// Looks at the certificates that the server shows, without logging in, and whether they would
    /// do. Where the connection need not be encrypted, they are judged as if Use SSL were on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], [`ErrorKind::NameResolution`],
    /// [`ErrorKind::Unreachable`], [`ErrorKind::ConnectTimeout`], and
    /// [`ErrorKind::Tls`] if it offers no encryption.
    pub async fn server_certificates(
        &self,
        config: &Config,
        secrets: impl SecretProvider,
    ) -> Result<Presented> {
        let broker = self.broker(config, Arc::new(secrets), None, true).await?;
        let endpoint = broker
            .endpoint
            .clone()
            .ok_or_else(|| Error::new(ErrorKind::Configuration, "the connection leads nowhere"))?;
        let presented = endpoint.look().await;
        let explained = |error: Error| error.with_redactor(broker.redactor());
        match presented {
            Ok(presented) => Ok(Presented {
                refusal: presented.refusal.map(explained),
                ..presented
            }),
            Err(error) => Err(explained(error.while_connecting(broker.progress()))),
        }
    }

    async fn broker(
        &self,
        config: &Config,
        secrets: Arc<dyn SecretProvider>,
        limits: Option<&Limits>,
        only_looked: bool,
    ) -> Result<Broker> {
        let (descriptor, host) = (&self.inner.descriptor, &self.inner.host);
        let granted = (&host.policy, limits.unwrap_or(&host.limits));
        Broker::new(descriptor, config, secrets, granted, only_looked).await
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
