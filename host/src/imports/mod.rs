//! The contract's imports, as the linker wants them: adapters without logic.
//!
//! What they do is in [`broker`](crate::broker); whether they may is in
//! [`policy`](crate::policy).

mod config;
mod credentials;
mod logging;
mod sockets;
mod stdio;
mod tls;

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::{cli, clocks, random};

use crate::bindings;
use crate::state::State;
pub use stdio::LogStream;

/// Links everything a connector may import, and nothing else.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_io::add_to_linker_async(linker)?;
    link_clocks_and_random(linker)?;
    link_empty_cli(linker)?;
    use bindings::dagflux::connector as contract;
    use bindings::wasi::{config, logging, sockets};
    sockets::network::add_to_linker::<_, HasSelf<State>>(linker, &Default::default(), itself)?;
    sockets::instance_network::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    sockets::ip_name_lookup::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    sockets::tcp::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    sockets::tcp_create_socket::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    let mut draft = bindings::wasi::tls::types::LinkOptions::default();
    draft.tls(true);
    bindings::wasi::tls::types::add_to_linker::<_, HasSelf<State>>(linker, &draft, itself)?;
    config::store::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    logging::logging::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    contract::types::add_to_linker::<_, HasSelf<State>>(linker, itself)?;
    contract::credentials::add_to_linker::<_, HasSelf<State>>(linker, itself)
}

fn itself(state: &mut State) -> &mut State {
    state
}

fn link_clocks_and_random(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi::clocks::WasiClocksView;
    use wasmtime_wasi::random::WasiRandomView;
    wasi::clocks::wall_clock::add_to_linker::<_, clocks::WasiClocks>(
        linker,
        WasiClocksView::clocks,
    )?;
    wasi::clocks::monotonic_clock::add_to_linker::<_, clocks::WasiClocks>(
        linker,
        WasiClocksView::clocks,
    )?;
    wasi::random::random::add_to_linker::<_, random::WasiRandom>(linker, WasiRandomView::random)?;
    wasi::random::insecure_seed::add_to_linker::<_, random::WasiRandom>(
        linker,
        WasiRandomView::random,
    )
}

/// What a standard library drags in: no environment, no arguments, no input,
/// no terminal; what is printed goes to the log.
fn link_empty_cli(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::WasiCliView;
    type Cli = cli::WasiCli;
    wasi::cli::environment::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::exit::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::stdin::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::stdout::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::stderr::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::terminal_input::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::terminal_output::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, Cli>(linker, WasiCliView::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, Cli>(linker, WasiCliView::cli)
}
