//! The task behind a connection.
//!
//! An instance that is left in the middle of a call can never be entered again,
//! so no caller holds one: it lives on a task, which carries out one job after
//! the other. When a caller loses interest, the task asks the server to stop,
//! from a fresh instance under the same grant, and lets the first call come to
//! its end, so that the connection stays usable.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;
use wasmtime::component::ResourceAny;

use crate::bindings::exports::dagflux::connector::relational::OpenOptions;
use crate::broker::Broker;
use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::instance::Instance;
use crate::receipt::Receipt;
use crate::types::ConnectOptions;

/// How long a cancelled call may take to come to its end.
const GRACE: Duration = Duration::from_secs(5);

/// How long the server may take to hear of an instance that was given up. Nobody waits for that.
const PARTING: Duration = Duration::from_secs(15);

/// How long a cancelled call gets before the server is asked again: a request
/// that arrives between two statements stops neither.
const AGAIN: Duration = Duration::from_millis(200);

/// How long the good-bye to the server may take.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// Something to do in the instance.
pub(crate) type Job = Box<dyn for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, ()> + Send>;

/// What outlives a connection's instance.
pub(crate) struct Shared {
    pub(crate) connector: Connector,
    pub(crate) broker: Arc<Broker>,
    token: OnceLock<Vec<u8>>,
    /// Why the instance cannot be entered any more.
    ended: OnceLock<ErrorKind>,
    /// Set when nobody had used the connection for so long that it was closed.
    idle: OnceLock<Duration>,
    /// One request to stop at a time: each has an instance and a socket of its own.
    cancelling: Mutex<()>,
    /// Told when a transaction was dropped.
    pub(crate) roll_back: Notify,
}

impl Shared {
    /// Asks the server to stop what the connection is doing.
    pub(crate) async fn cancel(&self) -> Result<()> {
        let Some(token) = self.token.get() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the server gave nothing to cancel with",
            )
            .with_hint("drop the connection: the server notices, and stops"));
        };
        let _alone = self.cancelling.lock().await;
        let mut instance = self.instance().await?;
        let (store, guest, watch) = instance.relational();
        watch
            .call_within(self.broker.times.connect, guest.call_cancel(store, token))
            .await
    }

    /// The error for what is asked of a connection that has ended.
    pub(crate) fn gone(&self) -> Error {
        if let Some(idle) = self.idle.get() {
            let message = format!(
                "the connection was closed, since nobody had used it for {} s",
                idle.as_secs()
            );
            return Error::new(ErrorKind::Closed, message)
                .with_hint("connect again, or raise `idle_timeout`")
                .with_retryable(true);
        }
        let message = match self.ended.get() {
            Some(by) => format!("the connection ended earlier ({by})"),
            None => "the connection has ended".to_owned(),
        };
        Error::new(ErrorKind::Closed, message).with_hint("connect again")
    }

    /// What the last operation has used.
    pub(crate) fn last_receipt(&self) -> Receipt {
        Receipt::of(self.broker.meter.usage_since(), &self.broker)
    }

    async fn instance(&self) -> Result<Instance> {
        let inner = &self.connector.inner;
        Instance::new(
            &inner.host,
            &inner.pre,
            &inner.descriptor.name,
            self.broker.clone(),
        )
        .await
    }
}

/// An instance with an open connection.
pub(crate) struct Session {
    pub(crate) instance: Instance,
    pub(crate) connection: ResourceAny,
    pub(crate) shared: Arc<Shared>,
    place: Arc<OwnedSemaphorePermit>,
}

/// How a call ended that its caller may have lost interest in.
pub(crate) enum Interruptible<T> {
    /// The caller is still there.
    Done(T),
    /// The caller is gone; the call was cancelled and came to this end.
    Abandoned(T),
    /// The caller is gone, and the call did not end in time.
    Stuck,
}

impl Session {
    /// Connects and logs in.
    pub(crate) async fn open(
        connector: Connector,
        broker: Arc<Broker>,
        options: &ConnectOptions,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Self> {
        let shared = Shared {
            connector,
            broker,
            token: OnceLock::new(),
            ended: OnceLock::new(),
            idle: OnceLock::new(),
            cancelling: Mutex::new(()),
            roll_back: Notify::new(),
        };
        let mut instance = shared.instance().await?;
        let (store, guest, watch) = instance.relational();
        let limit = shared.broker.times.connect;
        let timeout = options
            .statement_timeout
            .or(shared.broker.times.statement)
            .map(|limit| u32::try_from(limit.as_millis().max(1)).unwrap_or(u32::MAX));
        let options = OpenOptions {
            application_name: options.application_name.clone(),
            statement_timeout_ms: timeout,
        };
        let guest = guest.connection();
        let connection = watch
            .call_within(limit, guest.call_open(&mut *store, &options))
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::WallTimeLimit => {
                    let failed = shared.broker.failure.take();
                    failed
                        .unwrap_or_else(|| shared.broker.timed_out(limit))
                        .with_redactor(shared.broker.redactor())
                }
                _ => error,
            })?;
        shared.broker.permit_login()?;
        if let Some(token) = watch
            .call_plain(guest.call_cancel_token(store, connection))
            .await?
        {
            let _ = shared.token.set(token);
        }
        Ok(Self {
            instance,
            connection,
            shared: Arc::new(shared),
            place,
        })
    }

    /// Carries out jobs until no one can send any.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = self.next(&mut jobs).await {
            job(&mut self).await;
            if self.has_ended() {
                // The instance goes, and with it the socket: the server then
                // undoes what was not committed, and lets go of its locks.
                return;
            }
        }
        if self.has_ended() {
            return;
        }
        let connection = self.connection;
        let _ = timeout(GOOD_BYE, self.instance.drop_resource(connection)).await;
    }

    /// The next job. None if no one can send any, or no one has for too long. A transaction that
    /// was dropped is rolled back first.
    async fn next(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
        let shared = self.shared.clone();
        let idle = shared.broker.times.idle.unwrap_or(Duration::MAX);
        loop {
            tokio::select! {
                biased;
                () = shared.roll_back.notified() => {
                    let outcome = self.roll_back().await;
                    self.note(&outcome);
                    // What may still be open is nothing to go on with.
                    if let Err(error) = &outcome
                        && error.kind() != ErrorKind::Unsupported
                    {
                        self.end(error.kind());
                    }
                    if self.has_ended() {
                        return None;
                    }
                }
                job = timeout(idle, jobs.recv()) => {
                    if job.is_err() {
                        let _ = self.shared.idle.set(idle);
                    }
                    return job.ok().flatten();
                }
            }
        }
    }

    /// Undoes the open transaction.
    pub(crate) async fn roll_back(&mut self) -> Result<()> {
        let connection = self.connection;
        let (store, guest, watch) = self.instance.relational();
        watch
            .call(guest.connection().call_roll_back(store, connection))
            .await
    }

    /// Takes note of a failure after which the instance cannot be entered.
    pub(crate) fn note<T>(&mut self, outcome: &Result<T>) {
        if let Err(error) = outcome
            && error.ends_instance()
        {
            self.end(error.kind());
        }
    }

    /// Gives the instance up. The server is asked to stop on its behalf.
    pub(crate) fn end(&mut self, by: ErrorKind) {
        if self.shared.ended.set(by).is_ok() {
            // The request has an instance and a socket of its own.
            let (shared, place) = (self.shared.clone(), self.place.clone());
            tokio::spawn(async move {
                let _ = timeout(PARTING, shared.cancel()).await;
                drop(place);
            });
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended.get().is_some()
    }

    /// Opens a resource of the guest for a caller who waits at the other end of `opened`. None
    /// if there is nothing to go on with: the caller was told why, or is gone.
    pub(crate) async fn open_resource<T>(
        &mut self,
        mut opened: oneshot::Sender<Result<T>>,
        open: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<ResourceAny>>,
    ) -> Option<(ResourceAny, oneshot::Sender<Result<T>>)> {
        let shared = self.shared.clone();
        match interruptible(&shared, opened.closed(), open(self)).await {
            Interruptible::Done(Ok(resource)) => return Some((resource, opened)),
            Interruptible::Done(Err(error)) => {
                let outcome = Err(error);
                self.note(&outcome);
                let _ = opened.send(outcome);
            }
            Interruptible::Abandoned(outcome) => {
                self.note(&outcome);
                if let Ok(resource) = outcome {
                    let _ = shared.cancel().await;
                    self.abandon_resource(resource).await;
                }
            }
            Interruptible::Stuck => self.end(ErrorKind::Cancelled),
        }
        None
    }

    /// Drops a resource of the guest.
    pub(crate) async fn drop_resource(&mut self, resource: ResourceAny) {
        if !self.has_ended() {
            let dropped = timeout(GRACE, self.instance.drop_resource(resource)).await;
            self.note_drop(dropped.ok());
        }
    }

    /// Drops a resource of the guest that the server may still be working for,
    /// though it was asked to stop.
    pub(crate) async fn abandon_resource(&mut self, resource: ResourceAny) {
        if !self.has_ended() {
            let shared = self.shared.clone();
            let dropped = {
                let mut drop = pin!(self.instance.drop_resource(resource));
                match timeout(AGAIN, &mut drop).await {
                    Ok(dropped) => Some(dropped),
                    Err(_) => cancelled(&shared, drop).await,
                }
            };
            self.note_drop(dropped);
        }
    }

    fn note_drop(&mut self, dropped: Option<Result<()>>) {
        let stuck = || Error::new(ErrorKind::WallTimeLimit, "the connector did not end");
        self.note(&dropped.unwrap_or_else(|| Err(stuck())));
    }
}

/// Waits for `call`, and cancels it when `abandoned` comes first.
pub(crate) async fn interruptible<T>(
    shared: &Shared,
    abandoned: impl Future<Output = ()>,
    call: impl Future<Output = T>,
) -> Interruptible<T> {
    let mut call = pin!(call);
    tokio::select! {
        biased;
        done = &mut call => return Interruptible::Done(done),
        () = abandoned => {}
    }
    match cancelled(shared, call).await {
        Some(outcome) => Interruptible::Abandoned(outcome),
        None => Interruptible::Stuck,
    }
}

/// Asks the server to stop for as long as `call` lasts. None if that was not
/// brought to an end in time.
async fn cancelled<T>(shared: &Shared, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let asking = async {
        loop {
            // The call goes on while a request is on its way; and a request is
            // delivered before the connection is used for anything else.
            let call = timeout(AGAIN, &mut call);
            let (_delivered, ended) = futures_util::future::join(shared.cancel(), call).await;
            if let Ok(outcome) = ended {
                return outcome;
            }
        }
    };
    timeout(GRACE, asking).await.ok()
}
