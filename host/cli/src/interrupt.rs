//! Ctrl-C and SIGTERM: the server is told to stop, and nothing half done stays.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dagflux_host::Canceller;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::error;

/// How long the server gets to say that it stopped. A second Ctrl-C is sooner.
const PATIENCE: Duration = Duration::from_secs(5);

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
    or_stop(canceller, work, Failure::interrupted).await
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
    or_stop(Some(canceller), work, Failure::outcome_unknown).await
}

/// Like [`or_interrupt`], for work that changes the database with its last step. Until `committing`
/// is set, work that is given up has changed nothing.
///
/// # Errors
/// As [`or_interrupt`], and as [`or_interrupt_change`] from when `committing` is set.
pub async fn or_interrupt_commit<T>(
    canceller: Canceller,
    committing: &AtomicBool,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let abandoned = || match committing.load(Ordering::SeqCst) {
        true => Failure::outcome_unknown(),
        false => Failure::interrupted(),
    };
    or_stop(Some(canceller), work, abandoned).await
}

/// `abandoned` is the failure of work that did not end when told to.
async fn or_stop<T>(
    canceller: Option<Canceller>,
    work: impl Future<Output = anyhow::Result<T>>,
    abandoned: impl Fn() -> Failure,
) -> anyhow::Result<T> {
    let mut work = pin!(work);
    tokio::select! {
        result = &mut work => return result,
        () = signal() => {}
    }
    tracing::info!("interrupted; cancelling on the server");
    let Some(canceller) = canceller else {
        return Err(Failure::interrupted().into());
    };
    // The cancel and the end of the work go on together: the work has to
    // read what the server says to the cancel.
    let cancel = async {
        if let Err(error) = canceller.cancel().await {
            tracing::warn!(kind = %error.kind(), "the server could not be told to cancel");
        }
        std::future::pending::<()>().await
    };
    tokio::select! {
        result = &mut work => result.map_err(stopped),
        () = cancel => Err(abandoned().into()),
        () = signal() => Err(abandoned().into()),
        () = tokio::time::sleep(PATIENCE) => Err(abandoned().into()),
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
