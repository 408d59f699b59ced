//! Passing bytes on, one way, with the faults of a plan.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::passed::Tally;
use super::plan::{Action, Fault};

/// How one way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender closed it, or a fault did; the receiver knows. The other way goes on.
    Closed,
    /// The whole connection ends, and both sides are told that the other has closed.
    Cut,
    /// The whole connection is reset.
    Reset,
}

/// One way of a connection.
pub(super) struct Pump<'c> {
    from: ReadHalf<'c>,
    to: WriteHalf<'c>,
    faults: VecDeque<Fault>,
    passed: &'c Tally,
    count: u64,
    drip: Option<Duration>,
}

impl<'c> Pump<'c> {
    pub(super) fn new(
        from: ReadHalf<'c>,
        to: WriteHalf<'c>,
        faults: Vec<Fault>,
        passed: &'c Tally,
    ) -> Self {
        Self {
            from,
            to,
            faults: faults.into(),
            passed,
            count: 0,
            drip: None,
        }
    }

    /// Passes on what comes until the way ends. A side that is gone ends the connection.
    pub(super) async fn run(mut self) -> End {
        self.pass().await.unwrap_or(End::Cut)
    }

    async fn pass(&mut self) -> io::Result<End> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            // A fault at the very place is not to wait for a byte that may never come.
            if let Some(end) = self.faults_here(&mut []).await? {
                return Ok(end);
            }
            let count = self.from.read(&mut buffer).await?;
            if count == 0 {
                self.to.shutdown().await?;
                return Ok(End::Closed);
            }
            let mut rest = buffer.get_mut(..count).unwrap_or_default();
            while !rest.is_empty() {
                if let Some(end) = self.faults_here(rest).await? {
                    return Ok(end);
                }
                let until = self.faults.front().map_or(u64::MAX, |fault| fault.after);
                let most = usize::try_from(until.saturating_sub(self.count)).unwrap_or(usize::MAX);
                let piece = most.max(1).min(rest.len());
                let (now, later) = rest.split_at_mut(piece);
                self.send(now).await?;
                rest = later;
            }
        }
    }

    /// Does what is to happen before the byte that `rest` begins with. Faults that need one are
    /// left for later if there is none yet.
    async fn faults_here(&mut self, rest: &mut [u8]) -> io::Result<Option<End>> {
        while let Some(fault) = self.faults.front().copied()
            && fault.after <= self.count
        {
            match fault.action {
                Action::Corrupt(_) | Action::Duplicate(_) if rest.is_empty() => return Ok(None),
                Action::Cut => return Ok(Some(End::Cut)),
                Action::Reset => return Ok(Some(End::Reset)),
                Action::Stall => std::future::pending().await,
                Action::Delay(time) => tokio::time::sleep(time).await,
                Action::Drip(pause) => self.drip = Some(pause),
                Action::HalfClose => {
                    self.to.shutdown().await?;
                    let mut waste = [0; 4096];
                    while self.from.read(&mut waste).await? > 0 {}
                    return Ok(Some(End::Closed));
                }
                Action::Corrupt(mask) => {
                    if let Some(byte) = rest.first_mut() {
                        *byte ^= mask;
                    }
                }
                Action::Duplicate(count) => {
                    let piece = rest.get(..count.min(rest.len())).unwrap_or_default();
                    self.to.write_all(piece).await?;
                }
            }
            self.faults.pop_front();
        }
        Ok(None)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Counted as it goes, and what is meant to be sent before it is seen to arrive.
        let Some(pause) = self.drip else {
            self.passed.add(bytes);
            self.count = self.count.saturating_add(bytes.len() as u64);
            return self.to.write_all(bytes).await;
        };
        for byte in bytes {
            let byte = std::slice::from_ref(byte);
            self.passed.add(byte);
            self.count = self.count.saturating_add(1);
            self.to.write_all(byte).await?;
            match pause {
                // A sleep lasts a millisecond at least.
                Duration::ZERO => tokio::task::yield_now().await,
                pause => tokio::time::sleep(pause).await,
            }
        }
        Ok(())
    }
}
