//! The one wasmtime engine of a host, and its clock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, MemoryCreator, WasmFeatures};

use crate::imports;
use crate::state::State;
use crate::turns::Turns;

/// How often a running guest gives way to others, and is looked at: a small
/// part of the shortest sensible time limit, and rare enough to cost nothing.
const TICK: Duration = Duration::from_millis(10);

/// The stack of a guest. Decoding is not recursive; more is a runaway.
const GUEST_STACK: usize = 512 * 1024;

/// The engine, what is linked into every connector, and the clock.
pub struct Sandbox {
    pub engine: Engine,
    pub linker: Linker<State>,
    pub turns: Arc<Turns>,
    clock: Arc<Clock>,
}

impl Sandbox {
    pub fn new(memory: Option<Arc<dyn MemoryCreator>>) -> wasmtime::Result<Self> {
        let engine = configured(memory)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker)?;
        let clock = Clock::start(engine.clone())?;
        Ok(Self {
            engine,
            linker,
            turns: Arc::default(),
            clock,
        })
    }

    /// Lets the clock tick for as long as the result lives.
    pub fn tick(&self) -> Ticking {
        let mut state = self.clock.state();
        state.running = state.running.saturating_add(1);
        drop(state);
        self.clock.wake.notify_one();
        Ticking(self.clock.clone())
    }
}

/// An engine for guests, with `memory` for them if it is not wasmtime's own. What one compiles, another
/// of the same configuration runs.
pub fn configured(memory: Option<Arc<dyn MemoryCreator>>) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_component_model(true)
        .max_wasm_stack(GUEST_STACK)
        // Connectors come without names and lines: a trace of one tells nothing,
        // and what it is made from is a third of a compiled component.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // Nothing of the contract needs these; what is off cannot be attacked.
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_features(
            WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::GC | WasmFeatures::EXCEPTIONS,
            false,
        );
    if let Some(memory) = memory {
        // Memory of one's own has no guard pages: every access is checked.
        config
            .with_host_memory(memory)
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_init_cow(false);
    }
    Engine::new(&config)
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.clock.state().stopped = true;
        self.clock.wake.notify_one();
    }
}

/// A thread that advances the engine's epoch while a guest runs, and sleeps
/// while none does.
#[derive(Default)]
struct Clock {
    state: Mutex<ClockState>,
    wake: Condvar,
}

#[derive(Default)]
struct ClockState {
    running: usize,
    stopped: bool,
}

impl Clock {
    fn start(engine: Engine) -> std::io::Result<Arc<Self>> {
        let clock = Arc::new(Self::default());
        let own = clock.clone();
        std::thread::Builder::new()
            .name("dagflux-clock".to_owned())
            .spawn(move || own.run(&engine))?;
        Ok(clock)
    }

    fn run(&self, engine: &Engine) {
        loop {
            let mut state = self.state();
            while state.running == 0 && !state.stopped {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped {
                return;
            }
            drop(state);
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }

    fn state(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the clock ticking.
pub struct Ticking(Arc<Clock>);

impl Drop for Ticking {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
    }
}
