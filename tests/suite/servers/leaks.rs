//! What hostile servers and failing networks leave behind in the host: nothing.

use std::time::Duration;

use anyhow::Result;
use dagflux_host::{ConnectOptions, Connector, Limits};
use dagflux_test_support::proxy::Direction::ToClient;
use dagflux_test_support::proxy::{Action, Plan, Proxy};
use dagflux_test_support::{Database, Footprint, Server};

use super::case::{self, Work};
use super::messages::{authentication, message, notice, saying};
use super::peer::Peer;
use super::peer::Step::{Expect, Forever, Reset, Say, Stall, Startup};
use crate::fixture;
use crate::footprint::{self, MIB};

/// How often everything is done again.
const AGAIN: usize = 8;

/// What an allocator may keep, for all repetitions together: 40 connections of 30 MiB each
/// would be far more.
const KEPT: u64 = 64 * MIB;

/// How long what does not come is waited for.
const WAIT: Duration = Duration::from_millis(700);

/// A real login takes what it takes, and a read that stalls is given up soon.
fn limits() -> Limits {
    Limits::default().with_wall_time(WAIT)
}

/// Servers that are none.
async fn scripted(connector: &Connector, database: &Database<'_>) -> Result<()> {
    let scram = authentication(10, b"SCRAM-SHA-256\0\0");
    for script in [
        vec![Startup, Say(saying(b'R', i32::MAX, b"")), Stall],
        vec![Startup, Say(message(b'!', b"")), Stall],
        vec![Startup, Say(scram), Expect(b'p'), Stall],
        vec![Startup, Forever(notice("so it goes").repeat(4096))],
        vec![Startup, Reset],
    ] {
        let peer = Peer::start(script).await?;
        let config = fixture::config(database).with("port", peer.port);
        let secrets = fixture::secrets(database);
        let mut options = ConnectOptions::default();
        options.limits = Some(limits().with_connect_time(WAIT));
        let connected = connector.connect(config, secrets, options).await;
        assert!(connected.is_err());
        assert!(peer.connections() > 0);
    }
    Ok(())
}

/// A real server behind a network that fails in the middle of a read.
async fn broken(connector: &Connector, database: &Database<'_>) -> Result<()> {
    for action in [Action::Cut, Action::Reset, Action::Stall, Action::HalfClose] {
        let plan = Plan::clean().with(ToClient, 1500, action);
        let plans = move |number| match number {
            0 => plan.clone(),
            _ => Plan::clean(),
        };
        let proxy = Proxy::start(database.server().port(), plans).await?;
        let config = fixture::config(database).with("port", proxy.port());
        let secrets = fixture::secrets(database);
        let options = ConnectOptions::default();
        let mut connection = connector.connect(config, secrets, options).await?;
        assert!(
            case::work(Work::Read, "small", &mut connection)
                .await
                .is_err()
        );
    }
    Ok(())
}

#[test]
fn nothing_is_left_behind() -> Result<()> {
    footprint::alone("servers::leaks::nothing_is_left_behind", async {
        let database = Server::shared().await?.database("servers_leaks").await?;
        let table = "CREATE TABLE small AS SELECT g AS id, repeat('x', 100) AS name
            FROM generate_series(1, 100) AS g; GRANT SELECT ON small TO dagflux";
        database.sql().await?.batch_execute(table).await?;
        let connector = case::connector(limits()).await?;
        // What is made once: threads, the compiled code's pages, the allocator's pools.
        scripted(&connector, &database).await?;
        broken(&connector, &database).await?;
        let before = Footprint::settled().await?;
        for _ in 0..AGAIN {
            scripted(&connector, &database).await?;
            broken(&connector, &database).await?;
        }
        let after = before.is_back(KEPT).await?;
        println!("before {before:?}, after {after:?}");
        Ok(())
    })
}
