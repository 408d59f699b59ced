//! From installed programs to a running server.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::account::Account;
use crate::guardian::{Guardian, Kind};
use crate::options::Tls;
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
pub(crate) const START_TIME: Duration = Duration::from_secs(60);

/// A free port can be taken by someone else before the server listens on it.
pub(crate) const PORT_TRIES: u32 = 5;

/// Creates a cluster and runs a server on it. Blocks for about a second.
pub(crate) fn launch(options: &ServerOptions) -> Result<Launched> {
    let binaries = match options.major {
        Some(major) => Binaries::of_version(major)?,
        None => Binaries::find()?,
    };
    let account = Account::for_servers()?;
    for _ in 0..PORT_TRIES {
        let folder = account.fresh_folder("server")?;
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

/// Runs a server on the cluster that one that was stopped has left in `folder`, as a
/// standby that nothing is sent to: it can be read, and never written.
pub(crate) fn launch_standby(folder: &Path, options: &ServerOptions) -> Result<(Guardian, u16)> {
    let binaries = match options.major {
        Some(major) => Binaries::of_version(major)?,
        None => Binaries::find()?,
    };
    let account = Account::for_servers()?;
    let signal = folder.join("data/standby.signal");
    fs::write(&signal, "")?;
    account.own(&signal)?;
    let started = run(&binaries, &account, folder, options)?;
    started.context("the port was lost to someone else")
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
    let mut command = account.command(&binaries.program("initdb"));
    binaries.prepare(&mut command);
    let output = command
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
    configure(folder, options)
}

/// Writes the files of the configuration that a running server reads again when told to.
pub(crate) fn configure(folder: &Path, options: &ServerOptions) -> Result<()> {
    fs::write(folder.join("data/pg_hba.conf"), options.hba_file())?;
    if let Some(tls) = &options.tls {
        write_tls(folder, tls)?;
    }
    Ok(())
}

/// The files of TLS, as the server's account owns them.
fn write_tls(folder: &Path, tls: &Tls) -> Result<()> {
    let account = Account::for_servers()?;
    let folder = folder.join("tls");
    if !folder.exists() {
        DirBuilder::new().mode(0o700).create(&folder)?;
        account.own(&folder)?;
    }
    let (certificate, key) = tls.identity.write(&folder, "server")?;
    account.own(&certificate)?;
    account.own(&key)?;
    if let Some(root) = &tls.client_root {
        fs::write(folder.join("clients.crt"), root)?;
        account.own(&folder.join("clients.crt"))?;
    }
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
    let port = free_port(options.ipv6)?;
    let log = folder.join("log");
    let log_file = File::create(&log)?;
    let mut command = account.command(&binaries.program("postgres"));
    binaries.prepare(&mut command);
    command.arg("-D").arg(folder.join("data"));
    // Tests cut off many connections, of which the server learns in its own time.
    command.args(["-c", "max_connections=300"]);
    for (name, value) in options.settings() {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    if let Some(tls) = &options.tls {
        let file = |name: &str| folder.join("tls").join(name).display().to_string();
        command.args(["-c", "ssl=on"]);
        command.args(["-c", &format!("ssl_cert_file={}", file("server.crt"))]);
        command.args(["-c", &format!("ssl_key_file={}", file("server.key"))]);
        if tls.client_root.is_some() {
            command.args(["-c", &format!("ssl_ca_file={}", file("clients.crt"))]);
        }
    }
    // Last, so that no option lets anything else reach the server.
    command
        .args(["-c", &format!("listen_addresses={}", options.addresses())])
        .args(["-c", "unix_socket_directories="])
        .args(["-p", &port.to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        // A Ctrl-C is for the guardian to act on.
        .process_group(0);
    let server = command.spawn().context("`postgres` could not be started")?;
    let mut guardian = Guardian::watch(Kind::POSTGRESQL, server, folder)?;
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

/// A port that nobody listens on, on none of the addresses that count.
pub(crate) fn free_port(ipv6: bool) -> Result<u16> {
    for _ in 0..PORT_TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        if !ipv6 || TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("there is no port that is free on both 127.0.0.1 and ::1")
}
