//! One running copy of a connector, and the supervision of every call into it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wasmtime::component::{ResourceAny, ResourceTableError};
use wasmtime::{CallHook, Store, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use crate::bindings::exports::dagflux::connector::{descriptor as wit_descriptor, relational};
use crate::bindings::{Error as GuestError, RelationalConnector, RelationalConnectorPre};
use crate::broker::Broker;
use crate::broker::log::Log;
use crate::broker::meter::Stopwatch;
use crate::error::{Error, ErrorKind, Result, Wasmtime};
use crate::host::HostInner;
use crate::policy::limits::Exceeded;
use crate::state::State;
use crate::turns::Turns;

/// Time that is left and not worth a timer.
const NOTHING: Duration = Duration::from_millis(1);

/// An instance in its store.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    bindings: RelationalConnector,
    pub(crate) watch: Watch,
}

/// What supervises the calls of one instance.
#[derive(Clone)]
pub(crate) struct Watch {
    host: Arc<HostInner>,
    broker: Arc<Broker>,
    stopwatch: Arc<Stopwatch>,
    turns: Arc<Turns>,
    log: Log,
}

impl Instance {
    pub(crate) async fn new(
        host: &Arc<HostInner>,
        pre: &RelationalConnectorPre<State>,
        name: &str,
        broker: Arc<Broker>,
    ) -> Result<Self> {
        let limits = broker.limits.clone();
        let meter = broker.meter.clone();
        let redactor = broker.redactor.clone();
        let log = Log::new(name, redactor, limits.log_bytes, meter);
        let state = State::new(broker.clone(), log.clone(), host.sandbox.turns.clone());
        let watch = Watch {
            host: host.clone(),
            broker,
            stopwatch: state.stopwatch.clone(),
            turns: state.turns.clone(),
            log,
        };
        let mut store = Store::new(&host.sandbox.engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(usize::try_from(limits.transfer).unwrap_or(usize::MAX));
        // The guest's own resources are listed in the host's memory, too.
        store.set_max_component_handles(limits.handles);
        store.call_hook(|context, hook| {
            if let CallHook::CallingHost = hook {
                context.data().meter.called(1);
            }
            Ok(())
        });
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            let state = context.data();
            let worked = state.stopwatch.call_time();
            if worked > state.broker.limits.guest_time {
                return Err(Exceeded::GuestTime.into());
            }
            let pause = Box::pin(tokio::task::yield_now());
            Ok(UpdateDeadline::YieldCustom(1, pause))
        });
        let bindings = watch
            .supervise(limits.wall_time, pre.instantiate_async(&mut store))
            .await?;
        Ok(Self {
            store,
            bindings,
            watch,
        })
    }

    /// The store, and what can be called in it.
    pub(crate) fn relational(&mut self) -> (&mut Store<State>, &relational::Guest, &Watch) {
        (
            &mut self.store,
            self.bindings.dagflux_connector_relational(),
            &self.watch,
        )
    }

    pub(crate) async fn describe(&mut self) -> Result<wit_descriptor::About> {
        let describe = self
            .bindings
            .dagflux_connector_descriptor()
            .call_describe(&mut self.store);
        self.watch
            .supervise(Duration::from_secs(10), describe)
            .await
    }

    /// Drops a resource that the guest gave out, which runs code of the guest.
    pub(crate) async fn drop_resource(&mut self, resource: ResourceAny) -> Result<()> {
        self.watch
            .call_plain(resource.resource_drop_async(&mut self.store))
            .await
    }
}

impl Watch {
    /// Waits for a call that may report a failure of its own.
    pub(crate) async fn call<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<Result<T, GuestError>>>,
    ) -> Result<T> {
        self.call_within(self.broker.limits.wall_time, call).await
    }

    /// As [`call`](Self::call), with a time limit of its own.
    pub(crate) async fn call_within<T>(
        &self,
        wall_time: Duration,
        call: impl Future<Output = wasmtime::Result<Result<T, GuestError>>>,
    ) -> Result<T> {
        match self.supervise(wall_time, call).await? {
            Ok(value) => {
                // Whatever failed on the way was made good.
                self.broker.failure.take();
                Ok(value)
            }
            Err(error) => Err(self.broker.explain(Error::from_guest(error))),
        }
    }

    /// Waits for a call that reports no failure.
    pub(crate) async fn call_plain<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T> {
        self.supervise(self.broker.limits.wall_time, call).await
    }

    async fn supervise<T>(
        &self,
        wall_time: Duration,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<T> {
        let _ticking = self.host.sandbox.tick();
        self.log.begin_call();
        let call = self.stopwatch.time(&self.turns, call);
        match self.within(wall_time, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.fault(error).with_redactor(self.broker.redactor())),
            Err(()) => Err(Error::new(
                ErrorKind::WallTimeLimit,
                format!(
                    "the call took longer than {} and was ended",
                    seconds(wall_time)
                ),
            )
            .with_hint(
                "give the statement a time limit of its own, or raise the limit `wall_time`",
            )),
        }
    }

    /// Waits for so long, and as much longer as others kept the call from working.
    async fn within<T>(&self, time: Duration, call: impl Future<Output = T>) -> Result<T, ()> {
        let mut call = pin!(call);
        let began = Instant::now();
        let mut left = time;
        loop {
            if let Ok(done) = timeout(left, &mut call).await {
                return Ok(done);
            }
            let until = time.saturating_add(self.stopwatch.waited());
            left = until.saturating_sub(began.elapsed());
            if left < NOTHING {
                return Err(());
            }
        }
    }

    /// What a failed call means.
    fn fault(&self, error: wasmtime::Error) -> Error {
        let limits = &self.broker.limits;
        let failure = match error.downcast_ref::<Exceeded>() {
            Some(Exceeded::Memory) => Error::new(
                ErrorKind::MemoryLimit,
                format!("the connector wanted more than its {} MiB of memory and was ended", limits.memory / (1024 * 1024)),
            )
            .with_hint("read smaller batches, or raise the limit `memory`"),
            Some(Exceeded::TableElements) => Error::new(
                ErrorKind::MemoryLimit,
                format!("the connector wanted more than {} table elements and was ended", limits.table_elements),
            )
            .with_hint("a connector that needs more is unusual: raise the limit `table_elements` if you trust it"),
            Some(Exceeded::GuestTime) => Error::new(
                ErrorKind::GuestTimeLimit,
                format!("the connector worked longer than {} in one call and was ended", seconds(limits.guest_time)),
            )
            .with_hint("report it to the connector's author, or raise the limit `guest_time`"),
            None if is_out_of_handles(&error) => Error::new(
                ErrorKind::MemoryLimit,
                format!("the connector wanted more than {} handles and was ended", limits.handles),
            )
            .with_hint("report it to the connector's author: it does not close what it opens"),
            None if says(&error, "resource limit exceeded") => Error::new(
                ErrorKind::MemoryLimit,
                format!("the connector wanted more than {} core instances, memories or tables and was ended", limits.parts),
            )
            .with_hint("a connector that needs more is unusual: raise the limit `parts` if you trust it"),
            None if says(&error, "fuel allocated for hostcalls has been exhausted") => Error::new(
                ErrorKind::TransferLimit,
                format!("the connector handed over more than {} bytes at once and was ended", limits.transfer),
            )
            .with_hint("read smaller batches, or raise the limit `transfer`"),
            None => {
                let crash = Error::new(ErrorKind::Trap, format!("the connector crashed: {}", reason(&error)))
                    .with_hint("report it to the connector's author, with the connector's version and what was done");
                match self.log.last_words() {
                    Some(words) => crash.with_detail(words),
                    None => crash,
                }
            }
        };
        tracing::warn!(target: "dagflux", kind = failure.kind().as_str(), "a connector was ended");
        failure.with_source(Wasmtime(error))
    }
}

fn reason(error: &wasmtime::Error) -> String {
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return format!("it ended itself with the exit status {status}");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "it gave up (a panic or an abort)".to_owned(),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

fn is_out_of_handles(error: &wasmtime::Error) -> bool {
    matches!(
        error.downcast_ref::<ResourceTableError>(),
        Some(ResourceTableError::Full)
    ) || says(error, "store handle limit exceeded")
}

/// Recognises a failure that wasmtime has no type for; the tests of the limits
/// notice when its words change.
fn says(error: &wasmtime::Error, words: &str) -> bool {
    error.chain().any(|cause| cause.to_string().contains(words))
}

fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds => format!("{seconds} s"),
    }
}
