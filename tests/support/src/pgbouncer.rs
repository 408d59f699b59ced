//! PgBouncer, the pooler that most managed servers put in front of PostgreSQL.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::{Client, NoTls};

use crate::account::Account;
use crate::guardian::{Guardian, Kind};
use crate::launch::{PORT_TRIES, START_TIME, free_port, random_password};
use crate::process::run;
use crate::{Identity, Server, cache, install};

/// When a connection to the server goes back to the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// At the end of each transaction.
    #[default]
    Transaction,
    /// When the client leaves.
    Session,
}

/// What can be chosen about a [`PgBouncer`].
///
/// By default it pools by transaction, asks for passwords by SCRAM-SHA-256, offers no TLS,
/// and has up to 20 connections to the server for each login and database.
#[derive(Clone, Debug, Default)]
pub struct PgBouncerOptions {
    mode: PoolMode,
    auth_type: Option<String>,
    tls: Option<Identity>,
    client_root: Option<String>,
    users: Vec<(String, String)>,
    hba: Vec<String>,
    settings: Vec<(String, String)>,
}

impl PgBouncerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When connections go back to the pool.
    #[must_use]
    pub fn with_mode(mut self, mode: PoolMode) -> Self {
        self.mode = mode;
        self
    }

    /// How clients log in: `scram-sha-256`, `md5`, `plain`, `trust`, `cert` or `hba`.
    #[must_use]
    pub fn with_auth_type(mut self, auth_type: &str) -> Self {
        self.auth_type = Some(auth_type.to_owned());
        self
    }

    /// Offers TLS to clients.
    #[must_use]
    pub fn with_tls(mut self, identity: Identity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// Knows the certificates of clients that this authority (in PEM) has signed.
    #[must_use]
    pub fn with_client_root(mut self, root: String) -> Self {
        self.client_root = Some(root);
        self
    }

    /// Lets another login in than `dagflux`.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Adds a rule of the form of `pg_hba.conf`, for the login type `hba`.
    #[must_use]
    pub fn with_hba_line(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Sets a parameter of the section `[pgbouncer]`; the last value of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A PgBouncer in front of a [`Server`], on a port of its own. Dropping it stops it.
#[derive(Debug)]
pub struct PgBouncer {
    folder: PathBuf,
    port: u16,
    admin_password: String,
    running: Mutex<Option<Guardian>>,
}

/// The login to its console.
const ADMIN: &str = "pooler_admin";

impl PgBouncer {
    /// Starts one and waits until it accepts connections. It logs in at `server` as those
    /// who log in at it.
    ///
    /// # Errors
    ///
    /// When it cannot be had or does not start; the error then ends with its log.
    pub async fn start(server: &Server, options: &PgBouncerOptions) -> Result<Self> {
        let mut options = options.clone();
        options
            .users
            .push((server.username().to_owned(), server.password().to_owned()));
        let server_port = server.port();
        tokio::task::spawn_blocking(move || Self::launch(server_port, options)).await?
    }

    fn launch(server_port: u16, mut options: PgBouncerOptions) -> Result<Self> {
        let program = Program::provide()?;
        let account = Account::for_servers()?;
        let admin_password = random_password();
        options
            .users
            .push((ADMIN.to_owned(), admin_password.clone()));
        for _ in 0..PORT_TRIES {
            let folder = account.fresh_folder("pgbouncer")?;
            let port = free_port(false)?;
            let started = configure(&account, &folder, port, server_port, &options)
                .and_then(|()| start(&program, &account, &folder, port));
            match started {
                Ok(Some(guardian)) => {
                    return Ok(Self {
                        folder,
                        port,
                        admin_password,
                        running: Mutex::new(Some(guardian)),
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

    /// The port it listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A session of its console, for commands such as `SHOW CLIENTS`.
    ///
    /// # Errors
    ///
    /// When it does not let its administrator in.
    pub async fn console(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user(ADMIN)
            .password(&self.admin_password)
            .dbname("pgbouncer")
            .connect(NoTls)
            .await
            .context("PgBouncer's console cannot be reached")?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Stops it at once, whoever is connected.
    pub fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        drop(running.take());
    }

    /// Whether it is there, without fetching it.
    pub(crate) fn is_present() -> Result<bool> {
        Ok(Program::find()?.is_some())
    }

    /// What it says it is, for example `PgBouncer 1.18.0`.
    ///
    /// # Errors
    ///
    /// When it cannot be had or does not run.
    pub fn version() -> Result<String> {
        Program::provide()?.version()
    }
}

/// Writes its configuration.
fn configure(
    account: &Account,
    folder: &Path,
    port: u16,
    server_port: u16,
    options: &PgBouncerOptions,
) -> Result<()> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mode = match options.mode {
        PoolMode::Transaction => "transaction",
        PoolMode::Session => "session",
    };
    let auth_type = options.auth_type.as_deref().unwrap_or("scram-sha-256");
    let mut settings = vec![
        ("listen_addr", "127.0.0.1".to_owned()),
        ("listen_port", port.to_string()),
        ("unix_socket_dir", String::new()),
        ("pidfile", path("pgbouncer.pid")),
        ("pool_mode", mode.to_owned()),
        ("auth_type", auth_type.to_owned()),
        ("auth_file", path("users")),
        ("auth_hba_file", path("hba")),
        ("admin_users", ADMIN.to_owned()),
    ];
    if let Some(identity) = &options.tls {
        let (certificate, key) = identity.write(folder, "server")?;
        account.own(&certificate)?;
        account.own(&key)?;
        settings.extend([
            ("client_tls_sslmode", "allow".to_owned()),
            ("client_tls_cert_file", path("server.crt")),
            ("client_tls_key_file", path("server.key")),
        ]);
    }
    if let Some(root) = &options.client_root {
        fs::write(folder.join("clients.crt"), root)?;
        account.own(&folder.join("clients.crt"))?;
        settings.push(("client_tls_ca_file", path("clients.crt")));
    }
    let own = options
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    let lines: Vec<String> = settings
        .into_iter()
        .chain(own)
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let configuration = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\n{}\n",
        lines.join("\n")
    );
    let users: String = options
        .users
        .iter()
        .map(|(name, password)| format!("\"{name}\" \"{password}\"\n"))
        .collect();
    let hba = format!(
        "host all {ADMIN} 127.0.0.1/32 scram-sha-256\n{}\n",
        options.hba.join("\n")
    );
    for (name, text) in [
        ("pgbouncer.ini", configuration),
        ("users", users),
        ("hba", hba),
    ] {
        fs::write(folder.join(name), text)?;
        account.own(&folder.join(name))?;
    }
    Ok(())
}

/// Runs it. None when the port was lost to someone else; the folder is gone then.
fn start(
    program: &Program,
    account: &Account,
    folder: &Path,
    port: u16,
) -> Result<Option<Guardian>> {
    let log = folder.join("log");
    let log_file = File::create(&log)?;
    let mut command = account.command(&program.path);
    program.prepare(&mut command);
    let child = command
        .arg(folder.join("pgbouncer.ini"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .process_group(0)
        .spawn()
        .context("`pgbouncer` could not be started")?;
    let mut guardian = Guardian::watch(Kind::PGBOUNCER, child, folder)?;
    let started = Instant::now();
    while started.elapsed() < START_TIME {
        if guardian.server_ended()? {
            let text = fs::read_to_string(&log).unwrap_or_default();
            ensure!(
                text.contains("cannot listen") || text.contains("in use"),
                "PgBouncer ended while it started; its log:\n{text}"
            );
            return Ok(None);
        }
        if folder.join("pgbouncer.pid").exists()
            && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            return Ok(Some(guardian));
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("PgBouncer was not ready after {} s", START_TIME.as_secs())
}

/// PgBouncer's program.
struct Program {
    path: PathBuf,
    /// Where its libraries are, if not where the system looks for them.
    libraries: Option<PathBuf>,
}

impl Program {
    /// An installed one, one out of a package that was fetched before, or one that is
    /// fetched now.
    fn provide() -> Result<Self> {
        if let Some(program) = Self::find()? {
            return Ok(program);
        }
        let folder = cache::provide(&package_folder(), unpack).context(
            "PgBouncer is not installed and could not be fetched; install it, without having \
             to start it (Debian: `apt-get install pgbouncer`)",
        )?;
        Self::unpacked(&folder)
    }

    fn find() -> Result<Option<Self>> {
        let usual = [
            "/usr/sbin",
            "/usr/bin",
            "/opt/homebrew/bin",
            "/usr/local/bin",
        ];
        let path = env::var_os("PATH").unwrap_or_default();
        let installed = usual
            .map(PathBuf::from)
            .into_iter()
            .chain(env::split_paths(&path))
            .map(|folder| folder.join("pgbouncer"))
            .find(|path| path.is_file());
        if let Some(path) = installed {
            return Ok(Some(Self {
                path,
                libraries: None,
            }));
        }
        match cache::find(&package_folder())? {
            Some(folder) => Self::unpacked(&folder).map(Some),
            None => Ok(None),
        }
    }

    /// Out of Debian's packages, unpacked in `folder`.
    fn unpacked(folder: &Path) -> Result<Self> {
        let libraries = folder
            .join("usr/lib")
            .read_dir()?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.to_string_lossy().ends_with("-linux-gnu"));
        Ok(Self {
            path: folder.join("usr/sbin/pgbouncer"),
            libraries,
        })
    }

    fn prepare(&self, command: &mut Command) {
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }

    fn version(&self) -> Result<String> {
        let mut command = Command::new(&self.path);
        self.prepare(&mut command);
        let output = command
            .arg("--version")
            .output()
            .context("`pgbouncer` could not be started")?;
        ensure!(
            output.status.success(),
            "`pgbouncer` does not run: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// Its place in the cache. Programs of one release of a system are not for another.
fn package_folder() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().replace('"', "")
    };
    format!("pgbouncer-{}{}", value("ID="), value("VERSION_ID="))
}

/// Unpacks Debian's package and the libraries it needs into `folder`. Installing it would
/// start a service.
fn unpack(folder: &Path) -> Result<()> {
    let download = |packages: &[&str]| {
        let mut command = Command::new("apt-get");
        run(command.arg("download").args(packages).current_dir(folder))
    };
    if download(&["pgbouncer"]).is_err() {
        install::update_list()?;
        download(&["pgbouncer"])?;
    }
    let output = Command::new("apt-cache")
        .args(["depends", "pgbouncer"])
        .output()?;
    let dependencies = String::from_utf8_lossy(&output.stdout).into_owned();
    let libraries: Vec<&str> = dependencies
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| {
            ["libc-ares", "libcares", "libevent"]
                .iter()
                .any(|known| name.starts_with(known))
        })
        .collect();
    download(&libraries)?;
    for entry in folder.read_dir()?.flatten() {
        let package = entry.path();
        if package.extension().is_some_and(|it| it == "deb") {
            run(Command::new("dpkg").arg("-x").arg(&package).arg(folder))?;
            fs::remove_file(&package)?;
        }
    }
    Program::unpacked(folder)?.version().map(|_| ())
}
