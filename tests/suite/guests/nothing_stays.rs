//! What is left of all that: nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{ConnectOptions, Connector, ErrorKind, Host, Limits};
use dagflux_test_support::Footprint;

use super::{End, all, make};
use crate::footprint;
use crate::hostile;

/// How often each attack is made, unless `DAGFLUX_TEST_ROUNDS` says otherwise.
const TIMES: usize = 2;

/// What allocators keep of what was given back. An instance that was left behind would be some
/// 2 MiB of memory, and there are more than two hundred of them.
const KEPT: u64 = 64 * footprint::MIB;

/// How many attacks were made: of those that take all the time there is, and of others.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    hurried: usize,
    others: usize,
}

fn takes_all_time(end: &End) -> bool {
    matches!(end, End::Ended(ErrorKind::GuestTimeLimit, _))
}

/// Makes every attack once.
async fn attack(connector: &Connector, made: &mut Made) -> Result<()> {
    for case in all() {
        let mut options = ConnectOptions::default();
        let is_hurried = takes_all_time(&case.end);
        if is_hurried {
            // Those that take all the time there is end soon.
            let hurried = Limits::default().with_guest_time(Duration::from_millis(100));
            options.limits = Some(hurried);
        }
        match hostile::connect_with(connector, options).await {
            // How it ends is for the tables: here it is that nothing is left.
            Ok(mut connection) => {
                let _ = make(&mut connection, case.call).await;
                match is_hurried {
                    true => made.hurried += 1,
                    false => made.others += 1,
                }
            }
            // On a machine that does much else, it takes that long to connect.
            Err(error) if is_hurried && error.kind() == ErrorKind::GuestTimeLimit => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[test]
fn no_attack_leaves_anything_behind() -> Result<()> {
    footprint::alone(
        "guests::nothing_stays::no_attack_leaves_anything_behind",
        async {
            let connector = hostile::connector_in(&Host::new()?).await?;
            attack(&connector, &mut Made::default()).await?;
            let before = Footprint::settled().await?;
            let began = std::time::Instant::now();
            let rounds = std::env::var("DAGFLUX_TEST_ROUNDS").ok();
            let rounds = rounds
                .and_then(|rounds| rounds.parse().ok())
                .unwrap_or(TIMES);
            let mut made = Made::default();
            for _ in 0..rounds {
                attack(&connector, &mut made).await?;
            }
            println!("{made:?} in {:?}", began.elapsed());
            let others = all().filter(|case| !takes_all_time(&case.end)).count();
            assert_eq!(made.others, others * rounds);
            assert!(made.hurried > 0, "{made:?}");
            before
                .is_back(KEPT)
                .await
                .map(drop)
                .context("attacks, several times each")
        },
    )
}
