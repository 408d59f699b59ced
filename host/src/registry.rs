//! Connectors by name, replaced while the program runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::connector::Connector;
use crate::error::Result;
use crate::host::Host;
use crate::policy::Trust;

/// Connectors by name.
///
/// A connector can be replaced at any time. Whoever asks for the name from then
/// on gets the new one; connections and streams that are open finish on the one
/// they began with, which is let go with the last of them.
///
/// ```no_run
/// # async fn example() -> dagflux_host::Result<()> {
/// use dagflux_host::{Host, Registry};
///
/// let registry = Registry::new(Host::new()?);
/// registry.load("postgres", "connectors/postgres.wasm").await?;
/// // Later, in the same process:
/// let before = registry.load("postgres", "downloads/postgres-2.wasm").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Registry {
    host: Host,
    connectors: Arc<RwLock<BTreeMap<String, Connector>>>,
}

impl Registry {
    /// An empty registry.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            connectors: Arc::default(),
        }
    }

    /// Loads the connector in a file under a name. Returns the one that had the
    /// name before.
    ///
    /// # Errors
    ///
    /// As [`Host::load`]; the connector that has the name keeps it.
    pub async fn load(
        &self,
        name: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> Result<Option<Connector>> {
        self.load_trusted(name, path, &Trust::new()).await
    }

    /// Loads the connector in a file under a name, if it is what `trust` asks for. Returns the one that
    /// had the name before.
    ///
    /// # Errors
    ///
    /// As [`Host::load_trusted`]; the connector that has the name keeps it.
    pub async fn load_trusted(
        &self,
        name: impl Into<String>,
        path: impl AsRef<Path>,
        trust: &Trust,
    ) -> Result<Option<Connector>> {
        let connector = self.host.load_trusted(path, trust).await?;
        Ok(self
            .connectors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.into(), connector))
    }

    /// The connector that has the name now.
    pub fn connector(&self, name: &str) -> Option<Connector> {
        self.connectors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.connectors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// Takes a name out of the registry.
    pub fn remove(&self, name: &str) -> Option<Connector> {
        self.connectors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name)
    }
}
