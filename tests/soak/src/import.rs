//! The write that is struck: as an embedder of the host would do it, in this process or in
//! one of its own.

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use dagflux_host::{
    Config, ConnectOptions, Connector, ErrorKind, Host, Limits, Secrets, TableName, WriteMode,
    WriteOptions,
};
use dagflux_test_support::{Server, connector_path};
use serde::{Deserialize, Serialize};

use crate::plan::Mode;
use crate::rows;
use crate::stage;

/// The variable by which a process learns that it is the host to be killed.
const CHILD: &str = "DAGFLUX_SOAK_CHILD";

/// What to write, and where to.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Task {
    /// The name under which the server lists the connection.
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) rows: i64,
    pub(crate) cache: PathBuf,
    port: u16,
    host: String,
    username: String,
    password: String,
}

impl Task {
    pub(crate) fn new(server: &Server, cache: &Path, name: String, mode: Mode, rows: i64) -> Self {
        Self {
            name,
            mode,
            rows,
            cache: cache.to_owned(),
            port: server.port(),
            host: server.host().to_owned(),
            username: server.username().to_owned(),
            password: server.password().to_owned(),
        }
    }
}

/// What the program that wrote was told.
#[derive(Debug)]
pub(crate) enum Told {
    /// That the rows are there.
    Done,
    /// That nothing was written.
    Failed(String),
    /// That it is not known.
    Unknown(String),
    /// It is no more, or did not wait for the answer.
    Nothing {
        /// Whether it had asked for the commit.
        committing: bool,
    },
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(error) => write!(f, "failed ({error})"),
            Self::Unknown(error) => write!(f, "outcome unknown ({error})"),
            Self::Nothing { committing: false } => f.write_str("nothing, before the end"),
            Self::Nothing { committing: true } => f.write_str("nothing, at the end"),
        }
    }
}

/// How far a write has come, for others to see.
#[derive(Clone, Default)]
pub(crate) struct Progress {
    begun: Arc<tokio::sync::Notify>,
    committing: Arc<AtomicBool>,
    /// Also for the process that started this one.
    aloud: bool,
}

/// What a process prints when it has come so far.
pub(crate) const BEGUN: &str = "begun";
pub(crate) const COMMITTING: &str = "committing";
pub(crate) const DONE: &str = "done";
pub(crate) const FAILED: &str = "failed ";
pub(crate) const UNKNOWN: &str = "unknown ";

impl Progress {
    /// Waits for the beginning of the write.
    pub(crate) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Whether the commit was asked for.
    pub(crate) fn is_committing(&self) -> bool {
        self.committing.load(Ordering::SeqCst)
    }

    fn begin(&self) {
        self.say(BEGUN);
        self.begun.notify_one();
    }

    fn commit(&self) {
        self.committing.store(true, Ordering::SeqCst);
        self.say(COMMITTING);
    }

    fn say(&self, word: &str) {
        if self.aloud {
            let mut output = io::stdout().lock();
            // Nobody listens any more: then this process is about to be killed.
            let _ = writeln!(output, "{word}").and_then(|()| output.flush());
        }
    }
}

/// The connector in a host with these limits.
pub(crate) async fn connector(cache: &Path, limits: Limits) -> Result<Connector> {
    let host = Host::builder().cache_dir(cache).limits(limits).build()?;
    Ok(host.load(connector_path("postgres")?).await?)
}

/// Writes the rows, and tells how that went.
pub(crate) async fn run(connector: &Connector, task: &Task, progress: &Progress) -> Result<Told> {
    match write(connector, task, progress).await {
        Ok(()) => Ok(Told::Done),
        Err(error) => match error.downcast::<dagflux_host::Error>() {
            Ok(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                Ok(Told::Unknown(error.to_string()))
            }
            Ok(error) => Ok(Told::Failed(format!("{}: {error}", error.kind()))),
            Err(error) => Err(error),
        },
    }
}

async fn write(connector: &Connector, task: &Task, progress: &Progress) -> Result<()> {
    let config = Config::new()
        .with("port", task.port)
        .with("database", stage::DATABASE);
    let secrets = Secrets::new()
        .with("host", task.host.as_str())
        .with("username", task.username.as_str())
        .with("password", task.password.as_str());
    let options = ConnectOptions::default().with_application_name(task.name.as_str());
    let mut connection = connector.connect(config, secrets, options).await?;
    progress.begin();
    let mode = match task.mode {
        Mode::Append => WriteMode::Append,
        Mode::Replace => WriteMode::Replace,
        Mode::Upsert => WriteMode::upsert(["id"]),
    };
    let table = TableName::new(stage::TABLE);
    let options = WriteOptions::new(mode);
    let mut sink = connection.write(&table, rows::schema(), options).await?;
    for batch in rows::batches(task.mode, task.rows) {
        sink.write(&batch?).await?;
    }
    progress.commit();
    sink.finish().await?;
    Ok(())
}

/// Whether this process is a host that is to be killed.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// What a process needs in its environment to be one.
pub(crate) fn environment(task: &Task) -> Result<(&'static str, String)> {
    Ok((CHILD, serde_json::to_string(task)?))
}

/// Writes, and says on standard output how far it has come.
pub(crate) async fn as_child() -> Result<()> {
    let task: Task = serde_json::from_str(&env::var(CHILD)?)?;
    let connector = connector(&task.cache, Limits::default()).await?;
    let progress = Progress {
        aloud: true,
        ..Progress::default()
    };
    match run(&connector, &task, &progress).await? {
        Told::Done => progress.say(DONE),
        Told::Failed(error) => progress.say(&format!("{FAILED}{error}")),
        Told::Unknown(error) => progress.say(&format!("{UNKNOWN}{error}")),
        Told::Nothing { .. } => bail!("a write that was waited for came to no end"),
    }
    Ok(())
}
