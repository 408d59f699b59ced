//! `check`: whether a connection is fit to be used, and the SQL that makes it so.

mod sql;
mod text;

use dagflux_host::{CheckOptions, Report};

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
                let report = Report::of_failure(failure, &options);
                let has_sql = report
                    .findings
                    .iter()
                    .flat_map(|finding| &finding.remedies)
                    .any(|remedy| !remedy.statements.is_empty());
                match (context.json, has_sql) {
                    (true, _) => output::json(&report.to_json())?,
                    // The error says all there is.
                    (false, false) => {}
                    (false, true) if args.sql => sql::write(&mut output::stdout(), &report)?,
                    (false, true) => text::remedies(&mut output::stdout(), &report)?,
                }
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
        return output::json(&report.to_json());
    }
    let mut out = output::stdout();
    match args.sql {
        true => sql::write(&mut out, report),
        false => text::write(&mut out, report),
    }
}
