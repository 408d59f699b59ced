//! From installed programs to a running server.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::account::Account;
use crate::guardian::Guardian;
use crate::{Binaries, ServerOptions};

/// A server that accepts connections.
pub(crate) struct Launched {
    /// Holds the folder `data` and the file `log`.
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    /// The password of the superuser.
    pub(crate) admin_password: String,
    pub(crate) guardian: Guardian,
}

/// How long a server may take to start: a loaded machine needs seconds.
const START_TIME: Duration = Duration::from_secs(60);

/// A free port can be taken by someone else before the server listens on it.
const PORT_TRIES: u32 = 5;

/// Creates a cluster and runs a server on it. Blocks for about a second.
pub(crate) fn launch(options: &ServerOptions) -> Result<Launched> {
    let binaries = Binaries::find()?;
    let account = Account::for_servers()?;
    for _ in 0..PORT_TRIES {
        let folder = fresh_folder(&account)?;
        let admin_password = random_password();
        let started = initialise(&binaries, &account, &folder, &admin_password, options)
            .and_then(|()| run(&binaries, &account, &folder, options));
        match started {
            Ok(Some((guardian, port))) => {
                return Ok(Launched {
                    folder,
                    port,
                    admin_password,
                    guardian,
                });
            }
            Ok(None) => {}
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
        }
    }
    bail!("no port stayed free in {PORT_TRIES} tries")
}

/// Not for anything that has to stay secret: the server dies with its tests.
pub(crate) fn random_password() -> String {
    let word = || RandomState::new().hash_one(Instant::now());
    format!("{:016x}{:016x}", word(), word())
}

/// Creates the cluster and its configuration.
fn initialise(
    binaries: &Binaries,
    account: &Account,
    folder: &Path,
    admin_password: &str,
    options: &ServerOptions,
) -> Result<()> {
    let password_file = folder.join("admin-password");
    fs::write(&password_file, admin_password)?;
    account.own(&password_file)?;
    let output = account
        .command(&binaries.program("initdb"))
        .arg("--pgdata")
        .arg(folder.join("data"))
        .arg("--pwfile")
        .arg(&password_file)
        .args(["--username=postgres", "--auth=scram-sha-256", "--no-sync"])
        .args(["--encoding=UTF8", "--locale=C"])
        .current_dir(folder)
        .output()
        .context("`initdb` could not be started")?;
    fs::remove_file(&password_file)?;
    ensure!(
        output.status.success(),
        "`initdb` failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::write(folder.join("data/pg_hba.conf"), options.hba_file())?;
    Ok(())
}

/// Runs the server on a free port. None when the port was lost to someone else;
/// the folder is gone then.
fn run(
    binaries: &Binaries,
    account: &Account,
    folder: &Path,
    options: &ServerOptions,
) -> Result<Option<(Guardian, u16)>> {
    let port = free_port()?;
    let log = folder.join("log");
    let log_file = File::create(&log)?;
    let mut command = account.command(&binaries.program("postgres"));
    command.arg("-D").arg(folder.join("data"));
    for (name, value) in options.settings() {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    // Last, so that no option lets anything else reach the server.
    command
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "unix_socket_directories="])
        .args(["-p", &port.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        // A Ctrl-C is for the guardian to act on.
        .process_group(0);
    let server = command.spawn().context("`postgres` could not be started")?;
    let mut guardian = Guardian::watch(server, folder)?;
    if wait_until_ready(&mut guardian, folder)? {
        return Ok(Some((guardian, port)));
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    ensure!(
        text.contains("could not bind"),
        "the server ended while it started; its log:\n{text}"
    );
    Ok(None)
}

/// True once the server accepts connections, false if it ended instead.
fn wait_until_ready(guardian: &mut Guardian, folder: &Path) -> Result<bool> {
    let started = Instant::now();
    while started.elapsed() < START_TIME {
        if guardian.server_ended()? {
            return Ok(false);
        }
        // Line 8 is the status (manual, "Database File Layout").
        let status = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        if status
            .lines()
            .nth(7)
            .is_some_and(|line| line.trim() == "ready")
        {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("the server was not ready after {} s", START_TIME.as_secs())
}

/// A new folder for temporary files that the servers' account owns.
fn fresh_folder(account: &Account) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("dagflux-server-{}-{number}", process::id());
    let folder = account.temporary_root().join(name);
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("{} could not be created", folder.display()))?;
    account.own(&folder)?;
    Ok(folder)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
