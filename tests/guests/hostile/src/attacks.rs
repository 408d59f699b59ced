//! What `execute` does instead of executing. An attack that returns tells how far it got.

use std::hint::black_box;
use std::io::{IsTerminal, Read};
use std::mem::forget;

use dagflux_guest::bindings::dagflux::connector::credentials::{self, Refusal};
use dagflux_guest::bindings::exports::dagflux::connector::relational::GuestRowStream;
use dagflux_guest::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use dagflux_guest::bindings::wasi::config::store;
use dagflux_guest::bindings::wasi::logging::logging::{self, Level};
use dagflux_guest::bindings::wasi::random::random;
use dagflux_guest::bindings::wasi::sockets::instance_network::instance_network;
use dagflux_guest::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use dagflux_guest::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use dagflux_guest::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use dagflux_guest::{Error, Result};

use crate::server::{Server, refused};
use crate::{OpenRows, boundary, lists, realloc, rows};

pub fn run(attack: &str, argument: &str) -> Result<String> {
    Ok(match attack {
        "ping" => "pong".to_owned(),
        "open-streams" => rows::open().to_string(),
        "loop" => endless(),
        "host-loop" => loop {
            black_box(monotonic_clock::now());
        },
        "wait" => {
            wait();
            "waited".to_owned()
        }
        "grow" => grow(),
        "allocate" => loop {
            forget(black_box(Box::new([1_u8; 24])));
        },
        "handles" => loop {
            forget(monotonic_clock::subscribe_duration(u64::MAX / 2));
        },
        "resources" => loop {
            // SAFETY: the resource has no representation, and is never used.
            black_box(unsafe { OpenRows::_resource_new(std::ptr::null_mut()) });
        },
        "random" => random::get_random_bytes(number(argument)).len().to_string(),
        "panic" => panic!("{argument}"),
        "exit" => std::process::exit(3),
        "unreachable" => trap(),
        "overflow" => recurse(number(argument)).to_string(),
        "overflow-memory" => recurse_in_memory(number(argument)).to_string(),
        "connect" => told(connect(argument)),
        "lookup" => told(resolve_addresses(&instance_network(), argument).map(drop)),
        "bind" => told(bind(argument)),
        "listen" => told(listen()),
        "reveal" => told_refusal(credentials::reveal(argument)),
        "scram" => told_refusal(Server::connect()?.begin(argument).map(|_| "begun".into())),
        "scram-twice" => {
            let server = Server::connect()?;
            let first = server.begin("password").map_err(refused)?;
            let second = server.begin("password").map(|_| "begun again".to_owned());
            forget(first);
            told_refusal(second)
        }
        "scram-invented" => told_refusal(Server::connect()?.invent(argument)),
        "md5-of-scram" => told_refusal(Server::connect()?.mistake_for_md5()),
        "md5-invented" => told_refusal(Server::connect()?.invent_md5()),
        // Another socket for each, in the hope that one is counted apart.
        "scram-again" => {
            let proofs = (0..number(argument)).filter(|_| Server::login().is_ok());
            proofs.count().to_string()
        }
        "startup" => told_failure(Server::connect()?.start_in_the_clear(argument)),
        "tls-as" => told_failure(Server::connect()?.encrypt_as(argument)),
        "log" => {
            flood(number(argument));
            "logged".to_owned()
        }
        "print" => {
            println!("{argument}");
            eprintln!("{argument}");
            "printed".to_owned()
        }
        "behave" => {
            lists::behave(argument);
            "behaving".to_owned()
        }
        "calls-after-end" => rows::calls_after_end().to_string(),
        _ => match boundary::run(attack, argument) {
            Some(outcome) => outcome?,
            None => return Err(Error::internal(format!("there is no attack `{attack}`"))),
        },
    })
}

/// Those that need nothing but memory and the processor.
pub fn of_memory(attack: &str, argument: &str) -> Option<String> {
    Some(match attack {
        "grow-by-nothing" => loop {
            grow_by_nothing();
        },
        "exit-as-if-well" => std::process::exit(0),
        "long-panic" => panic!(
            "{}",
            "y".repeat(usize::try_from(number(argument)).unwrap_or(0))
        ),
        "log-empty" => {
            for _ in 0..number(argument) {
                logging::log(Level::Warn, "", "");
            }
            "logged".to_owned()
        }
        "print-many" => {
            for _ in 0..number(argument) {
                println!("z");
            }
            "printed".to_owned()
        }
        "print-long" => {
            println!(
                "{}",
                "z".repeat(usize::try_from(number(argument)).unwrap_or(0))
            );
            "printed".to_owned()
        }
        "reallocate" => match realloc::misbehave(argument) {
            true => format!("{:?}", store::get("port")),
            false => "there is no such manner".to_owned(),
        },
        "fingerprint" => fingerprint(),
        "clocks" => {
            let wall = wall_clock::now();
            format!("{} {}", monotonic_clock::now(), wall.seconds)
        }
        _ => return None,
    })
}

/// What there is to know of the machine, beside clocks and random numbers.
fn fingerprint() -> String {
    let mut input = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut input);
    let terminals = [
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
        std::io::stderr().is_terminal(),
    ];
    let config = store::get_all().unwrap_or_default();
    format!(
        "{} arguments, {} variables, {} bytes of input, {} terminals, folder {:?}, {} processors; {}",
        std::env::args().count(),
        std::env::vars_os().count(),
        input.len(),
        terminals.into_iter().filter(|is| *is).count(),
        std::env::current_dir().ok(),
        std::thread::available_parallelism().map_or(0, usize::from),
        config
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

#[cfg(target_arch = "wasm32")]
fn grow_by_nothing() {
    black_box(std::arch::wasm32::memory_grow::<0>(0));
}

#[cfg(not(target_arch = "wasm32"))]
fn grow_by_nothing() {}

/// Works for ever.
pub fn endless() -> String {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Waits for ever, as far as anyone is concerned.
pub fn wait() {
    monotonic_clock::subscribe_duration(u64::MAX / 4).block();
}

/// Waits for so many milliseconds.
pub fn pause(milliseconds: u64) {
    monotonic_clock::subscribe_duration(milliseconds.saturating_mul(1_000_000)).block();
}

pub fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn grow() -> String {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1024 * 1024]));
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    std::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}

/// Without end, and without a frame in linear memory.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    match depth {
        u64::MAX => depth,
        _ => recurse(depth.wrapping_add(1)).rotate_left(3) ^ depth,
    }
}

/// Without end, and with all of its frames in linear memory.
#[inline(never)]
fn recurse_in_memory(depth: u64) -> u64 {
    let frame = black_box([depth; 1024]);
    match depth {
        u64::MAX => depth,
        _ => recurse_in_memory(depth.wrapping_add(1)) ^ frame.iter().sum::<u64>(),
    }
}

/// `argument` is `A.B.C.D:PORT`.
fn connect(argument: &str) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    let ready = socket.subscribe();
    socket.start_connect(&instance_network(), address(argument)?)?;
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => ready.block(),
            other => return other.map(drop),
        }
    }
}

fn bind(argument: &str) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), address(argument)?)?;
    socket.finish_bind()
}

fn listen() -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_listen()?;
    socket.finish_listen()
}

fn address(text: &str) -> Result<IpSocketAddress, ErrorCode> {
    let address: std::net::SocketAddrV4 = text.parse().map_err(|_| ErrorCode::InvalidArgument)?;
    let [a, b, c, d] = address.ip().octets();
    Ok(IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: address.port(),
        address: (a, b, c, d),
    }))
}

fn flood(messages: u64) {
    let line = "x".repeat(1024);
    for _ in 0..messages {
        logging::log(Level::Warn, "flood", &line);
    }
}

pub fn told(outcome: Result<(), ErrorCode>) -> String {
    match outcome {
        Ok(()) => "succeeded".to_owned(),
        Err(code) => code.name().to_owned(),
    }
}

fn told_failure(outcome: Result<String>) -> String {
    match outcome {
        Ok(got) => format!("got {got}"),
        Err(error) => format!("failed: {}", error.message()),
    }
}

pub fn told_refusal(outcome: Result<String, Refusal>) -> String {
    match outcome {
        Ok(got) => format!("got {got}"),
        Err(refusal) => format!("{:?}", refusal.kind),
    }
}
