//! Loading a connector that was compiled before, and instantiating it.

use std::time::{Duration, Instant};

use anyhow::Result;
use dagflux_host::Host;
use dagflux_test_support::connector_path;

use crate::report::{Report, median};

const TIMES: usize = 100;
const BAR: Duration = Duration::from_millis(2);

/// Each time in a new host, which knows the connector from the cache on disk only.
/// A load describes the connector, for which it is instantiated.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let cache = tempfile::tempdir()?;
    let path = connector_path("postgres")?;
    Host::builder()
        .cache_dir(cache.path())
        .build()?
        .load(&path)
        .await?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let host = Host::builder().cache_dir(cache.path()).build()?;
        let start = Instant::now();
        let connector = host.load(&path).await?;
        times.push(start.elapsed());
        anyhow::ensure!(connector.component().from_cache, "the cache was not used");
    }
    report.time(
        "load a cached connector and instantiate it",
        median(times),
        BAR,
    );
    Ok(())
}
