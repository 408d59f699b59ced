//! The ways to the server: one that is sound, and two through proxies at which connections fail.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use dagflux_host::{Config, ErrorKind, Secrets};
use dagflux_test_support::proxy::{Action, Direction, Plan, Proxy};
use dagflux_test_support::{SERVER_NAME, Server};

use crate::chance::Chance;
use crate::stage::DATABASE;

/// How many connections have a fault.
const FAULTY: f64 = 0.7;

/// Faults come within so many bytes of one way: from the login to the end of a few large results.
const REACH: f64 = 2_000_000.0;

/// The first bytes of an encrypted connection are in the clear: the request and its answer.
const CLEAR: u64 = 8;

/// A way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing is in between.
    Sound,
    /// Connections are cut, reset, half closed, delayed, dripped and stalled.
    Faulty,
    /// So are they here; and bytes are changed and doubled, which only encryption notices.
    Encrypted,
}

impl Link {
    pub(super) fn draw(chance: &mut Chance) -> Self {
        match chance.below(10) {
            0..=3 => Self::Sound,
            4..=6 => Self::Faulty,
            _ => Self::Encrypted,
        }
    }

    /// Whether a fault of the link may be the reason for such an error.
    pub(super) fn explains(self, kind: ErrorKind) -> bool {
        use ErrorKind::*;
        match kind {
            ConnectionLost | Unreachable | ConnectTimeout | Closed | Cancelled | WallTimeLimit => {
                self != Self::Sound
            }
            // A PostgreSQL that is cut off from the middle of a SCRAM message, and can still
            // answer, says that the login failed.
            Authentication => self != Self::Sound,
            Tls | Protocol => self == Self::Encrypted,
            _ => false,
        }
    }
}

/// How long a stalled server is kept waiting: longer than anybody waits for it.
const STALL: Duration = Duration::from_secs(20);

/// The ways, for a while.
pub(super) struct Links {
    faulty: Proxy,
    encrypted: Proxy,
}

impl Links {
    pub(super) async fn open(server: &Server, chance: &mut Chance) -> Result<Self> {
        Ok(Self {
            faulty: proxy(server, Link::Faulty, chance.fork()).await?,
            encrypted: proxy(server, Link::Encrypted, chance.fork()).await?,
        })
    }

    pub(super) fn config(&self, link: Link, server: &Server, root: &str) -> Config {
        let config = Config::new().with("database", DATABASE);
        match link {
            Link::Sound => config.with("port", server.port()),
            Link::Faulty => config.with("port", self.faulty.port()),
            Link::Encrypted => config
                .with("port", self.encrypted.port())
                .with("use_ssl", true)
                .with("ssl_ca", root),
        }
    }

    pub(super) fn secrets(link: Link, server: &Server) -> Secrets {
        let secrets = Secrets::new()
            .with("username", server.username())
            .with("password", server.password());
        match link {
            Link::Encrypted => secrets
                .with("host", SERVER_NAME)
                .with("host_address", server.host()),
            Link::Sound | Link::Faulty => secrets.with("host", server.host()),
        }
    }
}

async fn proxy(server: &Server, link: Link, chance: Chance) -> Result<Proxy> {
    let chance = Arc::new(Mutex::new(chance));
    let plans = move |_| {
        let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
        plan(link, &mut chance)
    };
    Proxy::start(server.port(), plans).await
}

fn plan(link: Link, chance: &mut Chance) -> Plan {
    if chance.fraction() > FAULTY {
        return Plan::clean();
    }
    let direction = match chance.below(2) {
        0 => Direction::ToServer,
        _ => Direction::ToClient,
    };
    // As often within a few bytes as within a million.
    let after = REACH.powf(chance.fraction()) as u64;
    let actions = if link == Link::Encrypted { 8 } else { 6 };
    let action = match chance.below(actions) {
        0 => Action::Cut,
        1 => Action::Reset,
        2 => Action::HalfClose,
        3 => Action::Delay(Duration::from_millis(chance.below(300))),
        // A server that is left alone with half a statement keeps its locks: these two are for
        // its answers only.
        4 => return Plan::clean().with(Direction::ToClient, after, drip()),
        // Not for ever: whoever sends to a client that is gone is told so in the end, and until
        // then a PostgreSQL that cannot send does not hear that it is to stop.
        5 => return Plan::clean().with(Direction::ToClient, after, Action::Delay(STALL)),
        6 => {
            let mask = 1 << chance.below(8);
            return Plan::clean().with(direction, after.max(CLEAR), Action::Corrupt(mask));
        }
        _ => {
            let double = Action::Duplicate(1 + chance.below(2_000) as usize);
            return Plan::clean().with(direction, after.max(CLEAR), double);
        }
    };
    Plan::clean().with(direction, after, action)
}

fn drip() -> Action {
    Action::Drip(Duration::from_millis(1))
}
