//! How much a connector may use. Every limit is on by default.

use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// What one connection's instance may use, and what a component may be.
///
/// | Limit | Default |
/// |---|---|
/// | [`memory`](Self::memory) | 256 MiB, summed over the instance and the host's buffers for it |
/// | [`table_elements`](Self::table_elements) | 20,000, summed over all tables |
/// | [`parts`](Self::parts) | 16 each of core instances, memories and tables |
/// | [`handles`](Self::handles) | 256 |
/// | [`guest_time`](Self::guest_time) | 5 s of work a call, waiting not counted |
/// | [`wall_time`](Self::wall_time) | 1 h a call |
/// | [`connect_time`](Self::connect_time) | 15 s |
/// | [`transfer`](Self::transfer) | 64 MiB a call across the boundary |
/// | [`component_size`](Self::component_size) | 16 MiB |
/// | [`log_bytes`](Self::log_bytes) | 64 KiB a call |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of linear memory and tables, summed over the instance, plus what
    /// the host buffers for it. A connector that streams needs some 30 MiB.
    pub memory: u64,
    /// Table elements, summed over the instance. A connector's table holds its
    /// function pointers: some thousands.
    pub table_elements: usize,
    /// Core instances, memories and tables, each.
    pub parts: usize,
    /// Host resources (sockets, streams, pollables, exchanges) held at once.
    pub handles: usize,
    /// Time spent working within one call, by the guest or by the host on its
    /// behalf. Waiting for the server does not count: a query that sleeps for
    /// an hour costs nothing, a loop is stopped. A batch takes milliseconds.
    pub guest_time: Duration,
    /// Time from the beginning of one call to its end, waiting included. It
    /// ends a connection whose server never answers; to bound a statement, use
    /// its own time limit, which the server enforces and reports.
    pub wall_time: Duration,
    /// Time to open a connection, login included.
    pub connect_time: Duration,
    /// Bytes that one call may carry across the boundary. Several times the
    /// size of a batch, so that one large row still fits.
    pub transfer: usize,
    /// Bytes of a component file.
    pub component_size: u64,
    /// Bytes a connector may log within one call; the rest is dropped, and the
    /// log says so.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 * MIB,
            table_elements: 20_000,
            parts: 16,
            handles: 256,
            guest_time: Duration::from_secs(5),
            wall_time: Duration::from_secs(3_600),
            connect_time: Duration::from_secs(15),
            transfer: 64 * 1024 * 1024,
            component_size: 16 * MIB,
            log_bytes: 64 * 1024,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $setter:ident $field:ident: $type:ty;)*) => {
        impl Limits {
            $($(#[$doc])* pub fn $setter(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

setters! {
    /// Sets [`memory`](Self::memory), in bytes.
    with_memory memory: u64;
    /// Sets [`table_elements`](Self::table_elements).
    with_table_elements table_elements: usize;
    /// Sets [`parts`](Self::parts).
    with_parts parts: usize;
    /// Sets [`handles`](Self::handles).
    with_handles handles: usize;
    /// Sets [`guest_time`](Self::guest_time).
    with_guest_time guest_time: Duration;
    /// Sets [`wall_time`](Self::wall_time).
    with_wall_time wall_time: Duration;
    /// Sets [`connect_time`](Self::connect_time).
    with_connect_time connect_time: Duration;
    /// Sets [`transfer`](Self::transfer), in bytes.
    with_transfer transfer: usize;
    /// Sets [`component_size`](Self::component_size), in bytes.
    with_component_size component_size: u64;
    /// Sets [`log_bytes`](Self::log_bytes).
    with_log_bytes log_bytes: usize;
}

/// A limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::table_elements`].
    TableElements,
    /// [`Limits::guest_time`].
    GuestTime,
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory limit exceeded",
            Self::TableElements => "table limit exceeded",
            Self::GuestTime => "time limit exceeded",
        })
    }
}

impl std::error::Error for Exceeded {}

/// The part of an instance's memory that is in use, and whether more fits.
#[derive(Debug, Default)]
pub struct MemoryAccount {
    used: u64,
    peak: u64,
    elements: usize,
}

impl MemoryAccount {
    /// Bytes for one table element: a pointer-sized slot.
    const ELEMENT_BYTES: u64 = 8;

    /// Grants `more` bytes, or refuses.
    pub fn grow(&mut self, more: u64, limits: &Limits) -> Result<(), Exceeded> {
        let used = self
            .used
            .checked_add(more)
            .filter(|used| *used <= limits.memory)
            .ok_or(Exceeded::Memory)?;
        self.used = used;
        self.peak = self.peak.max(used);
        Ok(())
    }

    /// Takes `less` bytes back.
    pub fn shrink(&mut self, less: u64) {
        self.used = self.used.saturating_sub(less);
    }

    /// Grants `more` table elements, or refuses.
    pub fn grow_table(&mut self, more: usize, limits: &Limits) -> Result<(), Exceeded> {
        let elements = self
            .elements
            .checked_add(more)
            .filter(|elements| *elements <= limits.table_elements)
            .ok_or(Exceeded::TableElements)?;
        self.grow((more as u64).saturating_mul(Self::ELEMENT_BYTES), limits)?;
        self.elements = elements;
        Ok(())
    }

    /// The most bytes that were in use at once.
    pub fn peak(&self) -> u64 {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_stated() {
        let limits = Limits::default();
        assert_eq!(limits.memory, 256 * 1024 * 1024);
        assert_eq!(limits.table_elements, 20_000);
        assert_eq!(limits.parts, 16);
        assert_eq!(limits.handles, 256);
        assert_eq!(limits.guest_time, Duration::from_secs(5));
        assert_eq!(limits.wall_time, Duration::from_secs(60 * 60));
        assert_eq!(limits.connect_time, Duration::from_secs(15));
        assert_eq!(limits.transfer, 64 * 1024 * 1024);
        assert_eq!(limits.component_size, 16 * 1024 * 1024);
        assert_eq!(limits.log_bytes, 64 * 1024);
    }

    #[test]
    fn memory_is_summed_over_its_users() {
        let limits = Limits::default().with_memory(1_000);
        let mut account = MemoryAccount::default();
        assert_eq!(account.grow(600, &limits), Ok(()));
        assert_eq!(account.grow(401, &limits), Err(Exceeded::Memory));
        assert_eq!(account.grow(u64::MAX, &limits), Err(Exceeded::Memory));
        assert_eq!(account.grow_table(50, &limits), Ok(()));
        assert_eq!(account.grow(1, &limits), Err(Exceeded::Memory));
        account.shrink(600);
        assert_eq!(account.grow(600, &limits), Ok(()));
        assert_eq!(account.peak(), 1_000);
    }

    #[test]
    fn table_elements_are_summed_over_tables() {
        let limits = Limits::default();
        let mut account = MemoryAccount::default();
        assert_eq!(account.grow_table(15_000, &limits), Ok(()));
        assert_eq!(
            account.grow_table(5_001, &limits),
            Err(Exceeded::TableElements)
        );
        assert_eq!(account.grow_table(5_000, &limits), Ok(()));
    }
}
