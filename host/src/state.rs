//! What an instance's store holds.

use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::cli::{WasiCliCtxView, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView};
use wasmtime_wasi::random::{WasiRandomCtx, WasiRandomView};
use wasmtime_wasi_io::IoView;

use crate::broker::Broker;
use crate::broker::log::Log;
use crate::broker::meter::{Meter, Stopwatch};
use crate::broker::tls::handshake::Streams;
use crate::imports::LogStream;
use crate::policy::limits::{Exceeded, MemoryAccount};
use crate::turns::Turns;

/// The most random bytes one call may ask for: a nonce, not a stream.
const RANDOM_BYTES: u64 = 64 * 1024;

/// Everything one instance is given.
pub struct State {
    /// Host resources the instance holds handles to.
    pub table: ResourceTable,
    /// The streams of its sockets, for wasi:tls to recognise.
    pub streams: Streams,
    /// Its configuration, endpoint and secrets.
    pub broker: Arc<Broker>,
    /// What it uses.
    pub meter: Arc<Meter>,
    /// What times the calls into it.
    pub stopwatch: Arc<Stopwatch>,
    /// Where what it says goes.
    pub log: Log,
    /// Where it waits for its turn, once a call has worked for long.
    pub turns: Arc<Turns>,
    /// The memory it has.
    pub memory: MemoryAccount,
    /// The sockets it has.
    pub sockets: usize,
    wasi: WasiCtx,
}

impl State {
    /// A fresh state.
    pub fn new(broker: Arc<Broker>, log: Log, turns: Arc<Turns>) -> Self {
        let meter = broker.meter.clone();
        let wasi = WasiCtx::builder()
            .stdout(LogStream(log.clone()))
            .stderr(LogStream(log.clone()))
            .max_random_size(RANDOM_BYTES)
            .build();
        let stopwatch = Arc::new(Stopwatch::new(meter.clone()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(broker.limits.handles);
        Self {
            table,
            streams: Streams::default(),
            broker,
            meter,
            stopwatch,
            log,
            turns,
            memory: MemoryAccount::default(),
            sockets: 0,
            wasi,
        }
    }

    /// Charges `bytes` of the host's memory to the instance.
    pub fn charge(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let granted = self.memory.grow(bytes, &self.broker.limits);
        self.meter.memory(self.memory.used());
        granted
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.charge(desired.saturating_sub(current) as u64)?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        self.memory.grow_table(more, &self.broker.limits)?;
        self.meter.memory(self.memory.used());
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.broker.limits.parts
    }

    fn tables(&self) -> usize {
        self.broker.limits.parts
    }

    fn memories(&self) -> usize {
        self.broker.limits.parts
    }
}

impl IoView for State {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiCliView for State {
    fn cli(&mut self) -> WasiCliCtxView<'_> {
        WasiCliCtxView {
            ctx: self.wasi.cli(),
            table: &mut self.table,
        }
    }
}

impl WasiClocksView for State {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: self.wasi.clocks(),
            table: &mut self.table,
        }
    }
}

impl WasiRandomView for State {
    fn random(&mut self) -> &mut WasiRandomCtx {
        self.wasi.random()
    }
}
