//! What this process holds on to, before and after: descriptors, tasks, memory.
//!
//! The tests share one process and run side by side, so what is measured is in one of its own:
//! this program again, for one test. A group of cases is measured like this:
//!
//! ```ignore
//! #[test]
//! fn nothing_stays() -> Result<()> {
//!     footprint::alone("module::nothing_stays", async {
//!         one_case().await?; // What is made once, such as the compiled connector.
//!         let before = Footprint::settled().await?;
//!         for _ in 0..20 { one_case().await? }
//!         before.is_back(16 * MIB).await.map(drop)
//!     })
//! }
//! ```

use std::future::Future;
use std::process::Command;

use anyhow::{Result, ensure};
use tokio::runtime::Builder;

pub const MIB: u64 = 1024 * 1024;

/// Says to this program which of its tests it was started for.
const ALONE: &str = "DAGFLUX_TEST_ALONE";

/// Runs `work`, which is the whole of the test `name` (its path without the crate), in a
/// process in which nothing else runs.
pub fn alone(name: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
    if std::env::var(ALONE).is_ok_and(|alone| alone == name) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        return runtime.block_on(work);
    }
    let output = Command::new(std::env::current_exe()?)
        .args([name, "--exact", "--nocapture", "--include-ignored"])
        .env(ALONE, name)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "`{name}` failed alone");
    // A name that is misspelt selects no test, which is a success, too.
    ensure!(said.contains("1 passed"), "there is no test `{name}`");
    Ok(())
}
