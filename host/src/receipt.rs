//! What an operation cost.

use std::net::SocketAddr;
use std::time::Duration;

use crate::broker::Broker;
use crate::broker::meter::Usage;

/// What an operation cost, or a connection as a whole.
///
/// Every result has one: [`RowStream::receipt`](crate::RowStream::receipt), the field `receipt` of an
/// [`Outcome`](crate::Outcome), a [`WriteReport`](crate::WriteReport) and a
/// [`Report`](crate::Report), and for everything else on an open connection, failures included,
/// [`Connection::last_receipt`](crate::Connection::last_receipt). Of a statement that was tried again
/// it is that of the last try; of one that was given up, it grows until the server has stopped.
/// [`Connection::receipt`](crate::Connection::receipt) is that of all of them together.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Bytes received from the server, encryption included.
    pub bytes_in: u64,
    /// Bytes sent to the server, encryption included.
    pub bytes_out: u64,
    /// Rows that the connector handed over.
    pub rows_in: u64,
    /// Rows that the connector was handed.
    pub rows_out: u64,
    /// Processor time of the connector, and of the host on its behalf. Where threads have no
    /// clock of their own (Windows), the time that passed while they worked.
    pub guest_time: Duration,
    /// The most memory the connector had at once, in bytes, the host's buffers for it included.
    pub peak_memory: u64,
    /// Calls from the connector into the host.
    pub host_calls: u64,
    /// Bytes the connector logged. What is over the limits is dropped, and not counted.
    pub log_bytes: u64,
    /// The addresses that the connection has reached. Sensitive: not for logs, and not in `Debug`.
    pub addresses: Vec<SocketAddr>,
}

impl Receipt {
    /// The receipt of `usage` on behalf of a connection.
    pub(crate) fn of(usage: Usage, broker: &Broker) -> Self {
        let endpoint = broker.endpoint.as_ref();
        Self {
            bytes_in: usage.bytes_in,
            bytes_out: usage.bytes_out,
            rows_in: usage.rows_in,
            rows_out: usage.rows_out,
            guest_time: usage.worked,
            peak_memory: usage.peak_memory,
            host_calls: usage.host_calls,
            log_bytes: usage.logged,
            addresses: endpoint.map_or_else(Vec::new, |endpoint| endpoint.all_reached()),
        }
    }

    /// The address that was reached last. Sensitive: not for logs.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.last().copied()
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt")
            .field("bytes_in", &self.bytes_in)
            .field("bytes_out", &self.bytes_out)
            .field("rows_in", &self.rows_in)
            .field("rows_out", &self.rows_out)
            .field("guest_time", &self.guest_time)
            .field("peak_memory", &self.peak_memory)
            .field("host_calls", &self.host_calls)
            .field("log_bytes", &self.log_bytes)
            .field("addresses", &self.addresses.len())
            .finish()
    }
}
