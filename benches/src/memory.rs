//! The peak memory of a host, each time in a process of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::product::{self, Address};
use crate::{append, read};

/// The variable by which a probe learns where to connect, and what to do.
const PROBE: &str = "DAGFLUX_BENCH_PROBE";

/// What a probe does.
#[derive(Deserialize, Serialize)]
struct Task {
    address: Address,
    /// Where the compiled connector is.
    cache: PathBuf,
    work: Work,
}

/// What a probe does once it is connected.
#[derive(Deserialize, Serialize)]
pub(crate) enum Work {
    Nothing,
    /// Reads lineitem.
    Read,
    /// Appends the rows of this file.
    Append(PathBuf),
}

/// How much more a host needs at its peak when it does `work` than when it is
/// connected and idle, in MiB.
pub(crate) fn above_idle(address: &Address, cache: &Path, work: Work) -> Result<f64> {
    let peak = |work| {
        let (address, cache) = (address.clone(), cache.to_owned());
        peak_of_probe(&Task {
            address,
            cache,
            work,
        })
    };
    Ok(peak(work)? - peak(Work::Nothing)?)
}

/// The peak of a process that does `task`, in MiB.
fn peak_of_probe(task: &Task) -> Result<f64> {
    let output = Command::new(env::current_exe()?)
        .arg("memory-probe")
        .env(PROBE, serde_json::to_string(task)?)
        .output()?;
    ensure!(
        output.status.success(),
        "the memory probe failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let kibibytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(kibibytes / 1024.0)
}

/// The probe: prints the peak of its resident memory in KiB.
pub(crate) async fn probe() -> Result<()> {
    let task: Task = serde_json::from_str(&env::var(PROBE)?)?;
    let connector = product::load(&task.cache).await?;
    let mut connection = product::connect(&connector, &task.address).await?;
    match task.work {
        Work::Nothing => {}
        Work::Read => {
            read::read(&mut connection).await?;
        }
        Work::Append(file) => append::append(&mut connection, &file).await?,
    }
    println!("{}", peak_kibibytes()?);
    Ok(())
}

/// `VmHWM`, which Linux keeps for every process (proc(5)).
fn peak_kibibytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")
        .context("peak memory is read from /proc, which only Linux has")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("/proc/self/status holds no VmHWM")?;
    let amount = line.split_whitespace().next().context("VmHWM is empty")?;
    Ok(amount.parse()?)
}
