//! `check`: whether a connection is fit to be used, and the SQL that makes it so.

mod sql;
mod text;

use dagflux_host::{CheckOptions, Report};
use serde_json::{Value, json};

use crate::args::CheckArgs;
use crate::context::{Context, close};
use crate::exit::Exit;
use crate::interrupt::or_interrupt;
use crate::output;

/// Runs the command. Connecting and finding faults is not an error of the
/// command, but has an exit code of its own.
///
/// # Errors
/// When the connection cannot be opened, after a report of that, or breaks.
pub async fn run(context: &Context, args: &CheckArgs) -> anyhow::Result<Exit> {
    let options = CheckOptions::new()
        .with_purposes(args.purposes())
        .with_all_schemas(args.all_schemas);
    let mut connection = match context.open(&args.connection).await {
        Ok(connection) => connection,
        Err(error) => {
            if let Some(failure) = connecting(&error) {
                print(context, args, &Report::of_failure(failure, &options))?;
            }
            return Err(error);
        }
    };
    let canceller = connection.canceller();
    let report = or_interrupt(Some(canceller), async {
        Ok(connection.check(options).await?)
    })
    .await?;
    close(connection).await;
    print(context, args, &report)?;
    Ok(match report.has_failed() {
        true => Exit::Findings,
        false => Exit::Success,
    })
}

/// The failure, if it is one of connecting rather than of the connection file
/// or the connector.
fn connecting(error: &anyhow::Error) -> Option<&dagflux_host::Error> {
    let error = error.downcast_ref::<dagflux_host::Error>()?;
    let connecting = matches!(
        Exit::of(error.kind()),
        Exit::Connection | Exit::Access | Exit::NotFound | Exit::Timeout | Exit::Busy
    );
    (connecting || Exit::of(error.kind()) == Exit::Failure).then_some(error)
}

fn print(context: &Context, args: &CheckArgs, report: &Report) -> anyhow::Result<()> {
    if context.json {
        let mut value = serde_json::to_value(report)?;
        if let Value::Object(object) = &mut value {
            object.insert("failed".into(), json!(report.has_failed()));
        }
        // Findings name the login; a machine's copy does not.
        context.redactor.apply_to(&mut value);
        return output::json(&value);
    }
    let mut out = output::stdout();
    match args.sql {
        true => sql::write(&mut out, report),
        false => text::write(&mut out, report),
    }
}
