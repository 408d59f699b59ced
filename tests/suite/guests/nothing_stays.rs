//! What is left of all that: nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{Connector, Host, Limits};

use super::{Case, all, make};
use crate::footprint::{self, Footprint};
use crate::hostile;

/// How often each attack is made.
const TIMES: usize = 20;

/// What allocators keep of what was given back. An instance that was left behind would be some
/// 2 MiB of memory, and there are more than a thousand of them.
const KEPT: u64 = 64 * footprint::MIB;

async fn attack(connector: &Connector, case: &Case) -> Result<()> {
    let mut connection = hostile::connect(connector).await?;
    // How it ends is for the tables: here it is that nothing is left.
    let _ = make(&mut connection, case.call).await;
    Ok(())
}

#[test]
fn no_attack_leaves_anything_behind() -> Result<()> {
    footprint::alone(
        "guests::nothing_stays::no_attack_leaves_anything_behind",
        async {
            // Those that take all the time there is end soon.
            let limits = Limits::default().with_guest_time(Duration::from_millis(100));
            let host = Host::builder().limits(limits).build()?;
            let connector = hostile::connector_in(&host).await?;
            for case in all() {
                attack(&connector, case).await?;
            }
            let before = Footprint::now()?;
            let began = std::time::Instant::now();
            for _ in 0..TIMES {
                for case in all() {
                    attack(&connector, case).await?;
                }
            }
            println!("{} attacks in {:?}", all().count() * TIMES, began.elapsed());
            before.is_back(KEPT).await.context("attacks, 20 times each")
        },
    )
}
