//! What this process holds on to: descriptors, tasks, memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::runtime::Handle;
use tokio::time::sleep;

/// How long what was dropped may take to be gone. A cancel request and a good-bye have limits of
/// seconds of their own.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long nothing has to go before it is what stays.
const STILL: Duration = Duration::from_secs(1);

/// What this process holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    ///
    /// # Errors
    ///
    /// Where the system does not say; only Linux does.
    pub fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")
            .context("what a process holds is read from /proc, which only Linux has")?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|size| size.split_whitespace().next())
            .context("no resident memory")?;
        Ok(Self {
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            memory: resident.parse::<u64>()? * 1024,
        })
    }

    /// What it holds once what is on its way has gone: no descriptor and no task has gone for a
    /// second.
    ///
    /// # Errors
    ///
    /// As [`Footprint::now`].
    pub async fn settled() -> Result<Self> {
        let (mut least, mut since) = (Self::now()?, Instant::now());
        let began = since;
        while since.elapsed() < STILL && began.elapsed() < DEADLINE {
            sleep(Duration::from_millis(20)).await;
            let now = Self::now()?;
            if now.descriptors != least.descriptors || now.tasks != least.tasks {
                (least, since) = (now, Instant::now());
            }
        }
        Self::now()
    }

    /// Waits until no more descriptors and tasks are held than these, and no more memory but for
    /// `more` bytes: allocators keep some of what was given back.
    ///
    /// # Errors
    ///
    /// When something stays.
    pub async fn is_back(&self, more: u64) -> Result<Self> {
        let began = Instant::now();
        loop {
            let now = Self::now()?;
            if now.descriptors <= self.descriptors
                && now.tasks <= self.tasks
                && now.memory <= self.memory.saturating_add(more)
            {
                return Ok(now);
            }
            ensure!(
                began.elapsed() < DEADLINE,
                "left behind: {self:?} became {now:?}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}
