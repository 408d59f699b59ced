//! Handles: as many as there are, those of others, and those that are no more.

use anyhow::Result;
use dagflux_host::ErrorKind::{MemoryLimit, Trap};

use super::Call::Execute;
use super::End::{Ended, Told};
use super::{Case, Cost, hold};
use crate::hostile;

pub const CASES: &[Case] = &[
    Case {
        name: "pollables without end",
        call: Execute("handles"),
        end: Ended(MemoryLimit, "256 handles"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "resources of its own without end",
        call: Execute("resources"),
        end: Ended(MemoryLimit, "256 handles"),
        cost: Cost::LITTLE.calls(0, 400),
    },
    Case {
        name: "networks without end",
        call: Execute("networks"),
        end: Ended(MemoryLimit, "256 handles"),
        cost: Cost::LITTLE.calls(200, 300),
    },
    Case {
        name: "addresses without end",
        call: Execute("address-streams"),
        end: Ended(MemoryLimit, "256 handles"),
        cost: Cost::LITTLE.calls(200, 300),
    },
    Case {
        name: "sockets without end",
        call: Execute("sockets"),
        end: Told("8, then new-socket-limit; 1000 more, one by one"),
        cost: Cost::LITTLE.calls(1_000, 4_000),
    },
    Case {
        name: "more in one call than there may be",
        call: Execute("leak 300"),
        end: Ended(MemoryLimit, "256 handles"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a handle that was guessed",
        call: Execute("guess 7"),
        end: Ended(Trap, "unknown handle index 7"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a large handle that was guessed",
        call: Execute("guess 268435454"),
        end: Ended(Trap, "unknown handle index 268435454"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a handle that was given back",
        call: Execute("stale"),
        end: Ended(Trap, "unknown handle index"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a handle that is given back twice",
        call: Execute("drop-twice"),
        end: Ended(Trap, "unknown handle index"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a handle of another kind",
        call: Execute("other-kind"),
        end: Ended(Trap, "handle index"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "names that carry something out",
        call: Execute("lookups 5000"),
        end: Told("5000"),
        cost: Cost::TIME.calls(5_000, 5_100),
    },
    Case {
        name: "a socket that is bound",
        call: Execute("bind 0.0.0.0:8080"),
        end: Told("access-denied"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a socket that listens",
        call: Execute("listen"),
        end: Told("access-denied"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "the metadata of a cloud",
        call: Execute("connect 169.254.169.254:80"),
        end: Told("access-denied"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a link-local address",
        call: Execute("connect 169.254.0.7:1"),
        end: Told("access-denied"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "another port of the same machine",
        call: Execute("connect 192.0.2.1:22"),
        end: Told("access-denied"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "another name",
        call: Execute("lookup metadata.google.internal"),
        end: Told("access-denied"),
        cost: Cost::LITTLE,
    },
];

/// Handles are numbers, and everyone's begin at the same one.
#[tokio::test]
async fn a_handle_of_another_connection_is_none() -> Result<()> {
    let mut scene = hostile::Scene::new().await?;
    let mut other = hostile::connect(&hostile::connector().await?).await?;
    // This one has a handle of that number, and it is no guess of its own.
    assert_eq!(other.execute("leak 100").await?.command, "leaked");
    assert_eq!(other.execute("guess 50").await?.command, "false");
    let error = scene.failure("guess 50").await;
    scene
        .ended_by(&error, Trap, "unknown handle index 50")
        .await?;
    assert_eq!(other.execute("guess 50").await?.command, "false");
    Ok(())
}

#[tokio::test]
async fn handles_and_addresses() -> Result<()> {
    hold(CASES).await
}
