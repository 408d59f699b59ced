//! Texts, lists and handles that no honest connector hands over.

use std::mem::forget;

use dagflux_guest::bindings::dagflux::connector::credentials::{self, ScramSha256};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::wasi::clocks::monotonic_clock;
use dagflux_guest::bindings::wasi::config::store;
use dagflux_guest::bindings::wasi::io::poll::{self, Pollable};
use dagflux_guest::bindings::wasi::logging::logging::{self, Level};
use dagflux_guest::bindings::wasi::sockets::instance_network::instance_network;
use dagflux_guest::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use dagflux_guest::bindings::wasi::sockets::network::IpAddressFamily;
use dagflux_guest::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use dagflux_guest::{Error, Result};

use crate::attacks::{self, number, told, told_refusal};
use crate::server::Server;

/// None if there is no such attack.
pub fn run(attack: &str, argument: &str) -> Option<Result<String>> {
    let long = || "x".repeat(usize::try_from(number(argument)).unwrap_or_default());
    Some(Ok(match attack {
        "long-message" => {
            logging::log(Level::Warn, "long", &long());
            "logged".to_owned()
        }
        "long-context" => {
            logging::log(Level::Warn, &long(), "long");
            "logged".to_owned()
        }
        "long-field" => told_refusal(credentials::reveal(&long())),
        "long-name" => told(resolve_addresses(&instance_network(), &long()).map(drop)),
        "long-key" => match store::get(&long()) {
            Ok(None) => "nothing".to_owned(),
            other => format!("{other:?}"),
        },
        "long-command" => long(),
        "long-challenge" => match Server::connect() {
            Ok(server) => told_refusal(server.answer(long().as_bytes())),
            Err(error) => return Some(Err(error)),
        },
        "many-mechanisms" => {
            let mechanisms = vec![String::new(); usize::try_from(number(argument)).unwrap_or(0)];
            match create_tcp_socket(IpAddressFamily::Ipv4) {
                Ok(socket) => told_refusal(
                    ScramSha256::start(&socket, "password", &mechanisms).map(|_| "begun".into()),
                ),
                Err(code) => code.name().to_owned(),
            }
        }
        "poll-none" => poll::poll(&[]).len().to_string(),
        "poll-many" => {
            let ready = monotonic_clock::subscribe_duration(0);
            let count = usize::try_from(number(argument)).unwrap_or_default();
            poll::poll(&vec![&ready; count]).len().to_string()
        }
        "error-message" => return Some(Err(plain().with_message(long()))),
        "error-detail" => return Some(Err(plain().with_detail(long()))),
        "error-hint" => return Some(Err(plain().with_hint(long()))),
        "error-attribute" => return Some(Err(plain().with_attribute("remedy", long()))),
        "error-attributes" => {
            let count = number(argument);
            let many = (0..count).fold(plain(), |error, at| {
                error.with_attribute(at.to_string(), "value")
            });
            return Some(Err(many));
        }
        "error-state" => return Some(Err(plain().with_sqlstate(argument))),
        // What it should not say, in every place there is.
        "error-tells" => {
            let error = Error::new(ErrorKind::Other, format!("{argument} said"))
                .with_detail(argument)
                .with_hint(format!("ask {argument} what to do"))
                .with_attribute(argument, argument);
            return Some(Err(error));
        }
        "log-tells" => {
            logging::log(Level::Error, argument, argument);
            "logged".to_owned()
        }
        "networks" => loop {
            forget(instance_network());
        },
        "address-streams" => {
            let network = instance_network();
            loop {
                forget(resolve_addresses(&network, "endpoint.internal"));
            }
        }
        "sockets" => {
            let mut kept = Vec::new();
            let refused = loop {
                match create_tcp_socket(IpAddressFamily::Ipv4) {
                    Ok(socket) => kept.push(socket),
                    Err(code) => break code.name().to_owned(),
                }
            };
            let first = kept.len();
            drop(kept);
            // What is given back can be had again.
            let again = (0..1_000)
                .filter(|_| create_tcp_socket(IpAddressFamily::Ipv4).is_ok())
                .count();
            format!("{first}, then {refused}; {again} more, one by one")
        }
        // Of its own, which others forgot to give back: each call leaves some behind.
        "leak" => {
            for _ in 0..number(argument) {
                forget(monotonic_clock::subscribe_duration(u64::MAX / 2));
            }
            "leaked".to_owned()
        }
        "guess" => {
            // SAFETY: nothing but a number; whose it is, is for the host to say.
            let guessed =
                unsafe { Pollable::from_handle(u32::try_from(number(argument)).unwrap_or(0)) };
            let ready = guessed.ready();
            forget(guessed);
            ready.to_string()
        }
        "stale" => {
            let own = monotonic_clock::subscribe_duration(0);
            let handle = own.handle();
            drop(own);
            // SAFETY: as above.
            unsafe { Pollable::from_handle(handle) }.ready().to_string()
        }
        "drop-twice" => {
            let own = monotonic_clock::subscribe_duration(0);
            // SAFETY: as above.
            drop(unsafe { Pollable::from_handle(own.handle()) });
            drop(own);
            "dropped".to_owned()
        }
        "other-kind" => {
            let network = instance_network();
            // SAFETY: as above.
            let wrong = unsafe { Pollable::from_handle(network.handle()) };
            let ready = wrong.ready();
            forget(wrong);
            ready.to_string()
        }
        "lookups" => {
            let network = instance_network();
            let denied = |at: &u64| {
                let name = format!("{at}.what-it-knows.attacker.example");
                told(resolve_addresses(&network, &name).map(drop)) == "access-denied"
            };
            (0..number(argument)).filter(denied).count().to_string()
        }
        _ => return attacks::of_memory(attack, argument).map(Ok),
    }))
}

fn plain() -> Error {
    Error::new(ErrorKind::Other, "it went wrong").with_hint("nothing can be done about it")
}
