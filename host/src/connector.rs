//! A loaded connector.

use std::sync::Arc;

use serde::Serialize;

use crate::bindings::RelationalConnectorPre;
use crate::broker::Broker;
use crate::cache::Compiled;
use crate::config::Config;
use crate::connection::Connection;
use crate::descriptor::Descriptor;
use crate::encryption::Presented;
use crate::error::{Error, ErrorKind, Result, Wasmtime};
use crate::host::HostInner;
use crate::instance::Instance;
use crate::policy::{Limits, Permissions, imports};
use crate::report::{Purpose, SetUpNames, SetUpStatement};
use crate::retry::Retry;
use crate::secrets::SecretProvider;
use crate::state::State;
use crate::types::ConnectOptions;

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
    pub(crate) async fn new(host: Arc<HostInner>, compiled: &Compiled, size: u64) -> Result<Self> {
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

    /// What it asks for.
    pub fn permissions(&self) -> Permissions {
        let imports = self.inner.info.imports.iter().map(String::as_str);
        Permissions::of(imports, &self.inner.descriptor)
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
        // Before anything is asked for or reached.
        let place = Arc::new(self.inner.host.place()?);
        let mut tries = options.retry.as_ref().map(Retry::begin);
        loop {
            // Each try has a login of its own.
            let limits = options.limits.as_ref();
            let broker = self.broker(&config, secrets.clone(), limits, false);
            let broker = Arc::new(broker.await?);
            let opened =
                Connection::open(self.clone(), broker.clone(), options.clone(), place.clone())
                    .await;
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
