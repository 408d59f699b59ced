//! Stopping what a connection does, from elsewhere.

use std::sync::Arc;

use crate::error::Result;
use crate::receipt::Receipt;
use crate::session::Shared;

/// Stops a connection's running statement from elsewhere.
///
/// The request goes out from a fresh instance of the connector, under the same
/// grant, so it works also when the connection's own instance is stuck.
#[derive(Clone)]
pub struct Canceller {
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

impl Canceller {
    /// Asks the server to stop what the connection is doing. Success means that
    /// the request was delivered, not that there was anything to stop.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the server gave nothing to cancel with, or
    /// whatever kept the request from being delivered.
    pub async fn cancel(&self) -> Result<()> {
        self.shared.cancel().await
    }

    /// What the connection has used so far, also while a stream or a sink borrows it, and after its end.
    pub fn receipt(&self) -> Receipt {
        let broker = &self.shared.broker;
        Receipt::of(broker.meter.usage(), broker)
    }
}
