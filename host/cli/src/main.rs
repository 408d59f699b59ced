//! The `dagflux` command: databases through sandboxed connectors, from a
//! terminal.
//!
//! It stands on the public API of `dagflux_host` and nothing else. The way of
//! the data: `commands` ask a connection for batches, `formats` turn them into
//! a file or a file into them, `output` prints.

mod args;
mod commands;
mod connections;
mod connectors;
mod context;
mod exit;
mod failure;
mod formats;
mod grants;
mod help;
mod interrupt;
mod output;
mod redact;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;

use crate::args::Cli;
use crate::context::Context;
use crate::exit::Exit;
use crate::redact::Redactor;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let args::Command::Compile = cli.command {
        return ExitCode::from(dagflux_host::serve_compiler());
    }
    let json = cli.global.json;
    log_to_stderr(cli.global.verbose);
    let redactor = Redactor::default();
    let context = Context::new(cli.global, redactor.clone());
    let result = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let result = runtime.block_on(commands::run(&context, cli.command));
            // What still runs, such as a key store that waits for its person,
            // does not hold the process.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    let exit = match result {
        Ok(exit) => exit,
        Err(error) => match output::error::exit(&error) {
            Some(exit) => {
                report(&error, exit, json, &redactor);
                exit
            }
            // The reader of the output has seen enough, as in `… | head`.
            None => Exit::Success,
        },
    };
    context.print_receipt();
    ExitCode::from(exit.code())
}

fn report(error: &anyhow::Error, exit: Exit, json: bool, redactor: &Redactor) {
    if json {
        eprintln!("{}", output::error::for_machines(error, exit, redactor));
    } else {
        eprint!("{}", output::error::for_people(error, exit));
    }
}

/// Logs events of this program and of the host: with `-v` what it does, with
/// `-vv` how. Neither has SQL text or sensitive values in its events.
fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let level = match verbose {
        0 => return,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Other crates keep no such promise, so they are not heard.
    let ours = tracing_subscriber::filter::Targets::new().with_target("dagflux", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry().with(ours).with(lines).init();
}
