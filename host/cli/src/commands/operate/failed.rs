//! Why an operation was not carried out, for people and as an exit code.

use dagflux_host::ErrorKind;
use dagflux_host::operation::review::Review;
use dagflux_host::operation::{Drift, Failure as Failed};

use crate::exit::Exit;
use crate::failure::{Failure, Fault, ServerFailure};

/// The failure as that of the command.
pub fn failure(failed: Failed) -> anyhow::Error {
    let told = failed.to_string();
    match failed {
        Failed::Drift(drift) => drifted(&drift).into(),
        Failed::Refused(review) => refused(&review).into(),
        Failed::Stopped => Failure::interrupted().into(),
        Failed::Declined => Failure::new(Exit::Interrupted, "declined", told)
            .hint("run it again and answer yes, or add --yes")
            .into(),
        Failed::Unequal { .. } => Failure::new(Exit::Busy, "conflict", told)
            .hint("others have changed the table meanwhile: run it again")
            .into(),
        Failed::Step { step, error, .. } => {
            let failure = ServerFailure {
                sql: step.sql.clone(),
                hint: None,
                source: error,
            };
            let told = match failure.source.kind() {
                ErrorKind::OutcomeUnknown => format!("to {}", step.what),
                _ => format!("nothing was changed: to {} failed", step.what),
            };
            anyhow::Error::new(failure).context(told)
        }
        Failed::Before(error) => error.into(),
        _ => Failure::new(Exit::Failure, "other", told).into(),
    }
}

fn drifted(drift: &[Drift]) -> Failure {
    let faults = drift.iter().flat_map(|drift| {
        drift.changes.iter().map(|change| Fault {
            line: None,
            field: drift.at.clone(),
            message: format!("{}: {change}", drift.source),
        })
    });
    Failure::new(
        Exit::Findings,
        "drift",
        "the columns that the statements use are not as they were when they were written",
    )
    .hint("nothing was changed; have the statements written anew for the columns as they are")
    .faults(faults.collect())
}

fn refused(review: &Review) -> Failure {
    let faults = review.findings.iter().map(|finding| Fault {
        line: None,
        field: finding.at.clone(),
        message: format!("{finding}; {}", finding.repair),
    });
    Failure::new(
        Exit::Findings,
        "review",
        "the statements are not fit to be run",
    )
    .hint("nothing was changed; `dagflux review` says the same for machines")
    .faults(faults.collect())
}
