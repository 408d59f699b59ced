//! What is left of all that: nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{ConnectOptions, Connector, ErrorKind, Host, Limits};

use super::{End, all, make};
use crate::footprint::{self, Footprint};
use crate::hostile;

/// How often each attack is made, unless `DAGFLUX_TEST_ROUNDS` says otherwise.
const TIMES: usize = 2;

/// What allocators keep of what was given back. An instance that was left behind would be some
/// 2 MiB of memory, and there are more than two hundred of them.
const KEPT: u64 = 64 * footprint::MIB;

/// Makes every attack once, and gives how many were made.
async fn attack(connector: &Connector) -> Result<usize> {
    let mut made = 0;
    for case in all() {
        let mut options = ConnectOptions::default();
        if let End::Ended(ErrorKind::GuestTimeLimit, _) = case.end {
            // Those that take all the time there is end soon.
            let hurried = Limits::default().with_guest_time(Duration::from_millis(100));
            options.limits = Some(hurried);
        }
        match hostile::connect_with(connector, options).await {
            // How it ends is for the tables: here it is that nothing is left.
            Ok(mut connection) => {
                let _ = make(&mut connection, case.call).await;
                made += 1;
            }
            // On a machine that does much else, it takes that long to connect.
            Err(error) if error.kind() == ErrorKind::GuestTimeLimit => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(made)
}

#[test]
fn no_attack_leaves_anything_behind() -> Result<()> {
    footprint::alone(
        "guests::nothing_stays::no_attack_leaves_anything_behind",
        async {
            let connector = hostile::connector_in(&Host::new()?).await?;
            attack(&connector).await?;
            let before = Footprint::now()?;
            let began = std::time::Instant::now();
            let rounds = std::env::var("DAGFLUX_TEST_ROUNDS").ok();
            let rounds = rounds
                .and_then(|rounds| rounds.parse().ok())
                .unwrap_or(TIMES);
            let mut made = 0;
            for _ in 0..rounds {
                made += attack(&connector).await?;
            }
            println!("{made} attacks in {:?}", began.elapsed());
            assert!(made > all().count() * rounds * 9 / 10, "{made} attacks");
            before
                .is_back(KEPT)
                .await
                .context("attacks, several times each")
        },
    )
}
