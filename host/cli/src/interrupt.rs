//! Ctrl-C and SIGTERM: the server is told to stop, and nothing half done stays.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use dagflux_host::{Canceller, ErrorKind};
use tokio::sync::Notify;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::error;

/// How long the server gets to say that it stopped. A second Ctrl-C is sooner.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for work that has changed nothing for good and cannot any more: it may be waiting for
/// rows from a pipe, and so does the server, which looks at no request meanwhile. It begins when
/// the first request was delivered, or could not be: a server that has not had one goes on.
const BRIEF: Duration = Duration::from_millis(300);

/// How long the work gets to end before the server is told again: a request that arrives between
/// two statements stops neither.
const AGAIN: Duration = Duration::from_millis(200);

/// Runs `work` until it is done or the person wants it to stop.
///
/// When stopped, the statement is cancelled on the server, and `work` may end
/// by itself: a commit that was already under way still counts.
///
/// # Errors
/// Those of `work`; a [`Failure::interrupted`] when it was stopped.
pub async fn or_interrupt<T>(
    canceller: Option<Canceller>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let told = || PATIENCE;
    or_stop(canceller.map(asking), work, told, Failure::interrupted).await
}

/// Like [`or_interrupt`], for work that changes the database: what is not known
/// to have been undone is not called undone.
///
/// # Errors
/// As [`or_interrupt`]; a [`Failure::outcome_unknown`] when the work did not
/// end in time.
pub async fn or_interrupt_change<T>(
    canceller: Canceller,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let ask = Some(asking(canceller));
    or_stop(ask, work, || PATIENCE, Failure::outcome_unknown).await
}

/// Like [`or_interrupt`], for work that changes the database with its last step, which it takes
/// only if `commit` lets it. Until then, work that is given up has changed nothing.
///
/// # Errors
/// As [`or_interrupt`], and as [`or_interrupt_change`] from when the last step began.
pub async fn or_interrupt_commit<T>(
    cancellers: Vec<Canceller>,
    commit: &Commit,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let abandoned = || match commit.stop() {
        true => Failure::interrupted(),
        false => Failure::outcome_unknown(),
    };
    let told = || match commit.stop() {
        true => BRIEF,
        false => PATIENCE,
    };
    or_stop(Some(asking_all(cancellers)), work, told, abandoned).await
}

/// Which came first: the last step of a change, or the wish to stop.
///
/// A Ctrl-C in a pipeline ends its other programs as well, and what they wrote so far then looks
/// like all there is. It must not be committed.
#[derive(Debug, Default)]
pub struct Commit(AtomicU8);

impl Commit {
    const OPEN: u8 = 0;
    const BEGUN: u8 = 1;
    const STOPPED: u8 = 2;

    /// Begins the last step.
    ///
    /// # Errors
    /// A [`Failure::interrupted`] when the work was told to stop before.
    pub fn begin(&self) -> Result<(), Failure> {
        match self.settle(Self::BEGUN) {
            Self::BEGUN => Ok(()),
            _ => Err(Failure::interrupted()),
        }
    }

    /// The same for a last step that changes nothing.
    ///
    /// # Errors
    /// As [`Commit::begin`].
    pub fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::SeqCst) {
            Self::STOPPED => Err(Failure::interrupted()),
            _ => Ok(()),
        }
    }

    /// Keeps the last step from beginning. Returns false if it has begun.
    fn stop(&self) -> bool {
        self.settle(Self::STOPPED) == Self::STOPPED
    }

    /// What it is, which is `wanted` if it was open.
    fn settle(&self, wanted: u8) -> u8 {
        let before =
            (self.0).compare_exchange(Self::OPEN, wanted, Ordering::SeqCst, Ordering::SeqCst);
        before.map_or_else(|settled| settled, |_| wanted)
    }
}

/// Asks the server to stop, each time it is called.
fn asking(canceller: Canceller) -> impl AsyncFn() -> dagflux_host::Result<()> {
    async move || canceller.cancel().await
}

/// Asks all of several servers to stop, each time it is called.
fn asking_all(cancellers: Vec<Canceller>) -> impl AsyncFn() -> dagflux_host::Result<()> {
    async move || {
        let asked = cancellers.iter().map(Canceller::cancel);
        let asked = futures_util::future::join_all(asked).await;
        asked.into_iter().collect()
    }
}

/// Asks until nobody waits any more; says once if that did not work. `asked` is told of the first
/// that was delivered, or failed.
async fn again_and_again(
    ask: impl AsyncFn() -> dagflux_host::Result<()>,
    asked: &Notify,
) -> Infallible {
    let mut told = false;
    loop {
        if let Err(error) = ask().await {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(kind = %error.kind(), "the server could not be told to cancel");
            }
            // There is nothing to ask with, and there will not be.
            if error.kind() == ErrorKind::Unsupported {
                asked.notify_one();
                return pending().await;
            }
        }
        asked.notify_one();
        tokio::time::sleep(AGAIN).await;
    }
}

/// `told` is called when the work is told to stop, and gives how long it gets to once the server
/// was asked; `abandoned` is the failure of work that did not end then.
async fn or_stop<T>(
    ask: Option<impl AsyncFn() -> dagflux_host::Result<()>>,
    work: impl Future<Output = anyhow::Result<T>>,
    told: impl Fn() -> Duration,
    abandoned: impl Fn() -> Failure,
) -> anyhow::Result<T> {
    let mut work = pin!(work);
    // The signal goes first: the work may have become ready through the same Ctrl-C.
    let patience = tokio::select! {
        biased;
        () = signal() => told(),
        result = &mut work => return result,
    };
    tracing::info!("interrupted; cancelling on the server");
    let Some(ask) = ask else {
        return Err(Failure::interrupted().into());
    };
    let asked = Notify::new();
    let given_up = tokio::time::timeout(PATIENCE, async {
        asked.notified().await;
        tokio::time::sleep(patience).await;
    });
    // The requests and the end of the work go on together: the work has to
    // read what the server says to them.
    tokio::select! {
        result = &mut work => result.map_err(stopped),
        never = again_and_again(ask, &asked) => match never {},
        () = signal() => Err(abandoned().into()),
        _ = given_up => Err(abandoned().into()),
    }
}

/// What the failure of work that was told to stop comes to.
fn stopped(error: anyhow::Error) -> anyhow::Error {
    match error::exit(&error) {
        Some(Exit::OutcomeUnknown) => error,
        _ => Failure::interrupted().into(),
    }
}

/// Completes at Ctrl-C, or at SIGTERM where there is such a thing.
async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that end with the signal are no reason to commit.
    #[cfg(unix)]
    #[tokio::test]
    async fn what_ends_at_the_signal_is_not_committed() {
        let commit = Commit::default();
        let work = async {
            // The signal is awaited by now.
            tokio::task::yield_now().await;
            let id = std::process::id().to_string();
            let mut kill = std::process::Command::new("kill");
            assert!(kill.args(["-INT", &id]).status().unwrap().success());
            // All that the pipe held was read, and the end of it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            commit.begin()?;
            Ok("committed")
        };
        let ask = Some(async || Ok(()));
        let told = || {
            commit.stop();
            PATIENCE
        };
        let result = or_stop(ask, work, told, Failure::outcome_unknown).await;
        assert_eq!(error::exit(&result.unwrap_err()), Some(Exit::Interrupted));
        assert!(commit.check().is_err());
    }

    /// The first request may have met no statement.
    #[tokio::test]
    async fn it_is_asked_until_the_work_ends() {
        let asked = AtomicU8::new(0);
        let first = Notify::new();
        let ask = async || {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let asking = again_and_again(ask, &first);
        let work = async {
            while asked.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            never = asking => match never {},
            () = work => {}
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn what_came_first_stays() {
        let commit = Commit::default();
        assert!(commit.begin().is_ok());
        assert!(!commit.stop());
        let commit = Commit::default();
        assert!(commit.check().is_ok());
        assert!(commit.stop());
        assert!(commit.begin().is_err() && commit.stop());
    }

    #[test]
    fn an_unknown_outcome_outlives_the_interrupt() {
        for (error, exit) in [
            (Failure::outcome_unknown(), Exit::OutcomeUnknown),
            (
                Failure::data("a value that does not fit"),
                Exit::Interrupted,
            ),
        ] {
            assert_eq!(error::exit(&stopped(error.into())), Some(exit));
        }
    }
}
