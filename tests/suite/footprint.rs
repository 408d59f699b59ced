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
//!         let before = Footprint::now()?;
//!         for _ in 0..20 { one_case().await? }
//!         before.is_back(16 * MIB).await
//!     })
//! }
//! ```

use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::{Builder, Handle};

pub const MIB: u64 = 1024 * 1024;

/// Says to this program which of its tests it was started for.
const ALONE: &str = "DAGFLUX_TEST_ALONE";

/// How long what was dropped may take to be gone. A cancel request and a good-bye have
/// limits of seconds of their own.
const DEADLINE: Duration = Duration::from_secs(20);

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

/// What this process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Open files and sockets.
    pub descriptors: usize,
    /// Tasks of the runtime that have not ended.
    pub tasks: usize,
    /// Bytes of memory in use.
    pub memory: u64,
}

impl Footprint {
    /// What it holds now. Inside a runtime.
    pub fn now() -> Result<Self> {
        let pages = std::fs::read_to_string("/proc/self/statm")?;
        let resident = pages.split(' ').nth(1).context("no resident pages")?;
        Ok(Self {
            descriptors: std::fs::read_dir("/proc/self/fd")?.count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            memory: resident.parse::<u64>()? * 4096,
        })
    }

    /// Waits until nothing is held that was not before, but for `more` bytes of memory:
    /// allocators keep some of what was given back.
    pub async fn is_back(&self, more: u64) -> Result<()> {
        let began = Instant::now();
        loop {
            let now = Self::now()?;
            if now.descriptors <= self.descriptors
                && now.tasks <= self.tasks
                && now.memory <= self.memory.saturating_add(more)
            {
                println!("before {self:?}, after {now:?}");
                return Ok(());
            }
            if began.elapsed() > DEADLINE {
                bail!("left behind: {self:?} became {now:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
