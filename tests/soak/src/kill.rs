//! Carries a plan out: begins a write, waits, strikes.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dagflux_host::{Connector, ErrorKind, Limits};
use dagflux_test_support::Server;
use tempfile::TempDir;
use tokio::runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::import::{self, BEGUN, COMMITTING, DONE, FAILED, Progress, Task, Told, UNKNOWN};
use crate::plan::{Aim, Mode, Plan, Times, Way};
use crate::stage::{DATABASE, Stage, State};

const SIGKILL: i32 = 9;

/// How long a write may take to end after its victim is dead.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Killer<'s> {
    server: &'s Server,
    connector: Connector,
    /// The compiled connector, for the processes that are killed.
    cache: TempDir,
}

/// What came of a kill.
pub(crate) struct Outcome {
    pub(crate) told: Told,
    pub(crate) aim: Aim,
}

impl Outcome {
    /// Of a write whose victim was alive and `struck` before the write had ended, or was not.
    fn new(told: Told, struck: bool) -> Result<Self> {
        let aim = match &told {
            Told::Done => Aim::TooLate,
            _ if struck => Aim::Hit,
            told => bail!("nothing had struck it, and it was told {told}"),
        };
        Ok(Self { told, aim })
    }
}

/// A write that is under way in this process.
struct Write {
    task: Task,
    progress: Progress,
    running: JoinHandle<Result<Told>>,
}

impl<'s> Killer<'s> {
    pub(crate) async fn new(server: &'s Server) -> Result<Self> {
        let cache = tempfile::tempdir()?;
        let connector = import::connector(cache.path(), Limits::default()).await?;
        Ok(Self {
            server,
            connector,
            cache,
        })
    }

    /// Measures writes that nobody disturbs, when one before has warmed everything up.
    pub(crate) async fn measure(&self, stage: &Stage<'_>, mode: Mode) -> Result<Times> {
        self.undisturbed(stage, mode).await?;
        let first = self.undisturbed(stage, mode).await?;
        let second = self.undisturbed(stage, mode).await?;
        Ok(first.longer(second))
    }

    /// Measures a write that nobody disturbs, and makes sure that it does what it should.
    async fn undisturbed(&self, stage: &Stage<'_>, mode: Mode) -> Result<Times> {
        stage.reset().await?;
        let task = self.task("undisturbed", mode, stage.rows);
        let progress = Progress::default();
        let connector = self.connector.clone();
        let (watched, given) = (progress.clone(), task);
        let running = tokio::spawn(async move { import::run(&connector, &given, &watched).await });
        begun(&progress).await?;
        let begun = Instant::now();
        while !progress.is_committing() && !running.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        let committing = Instant::now();
        let told = running.await??;
        let times = Times {
            whole: begun.elapsed(),
            finish: committing.elapsed(),
        };
        ensure!(
            matches!(told, Told::Done),
            "the undisturbed {mode} was told {told}"
        );
        ensure!(
            stage.state(mode).await? == State::New,
            "the undisturbed {mode} changed nothing"
        );
        Ok(times)
    }

    /// Begins a write, strikes, and returns what the writer was told and whether its victim
    /// was alive.
    pub(crate) async fn kill(&self, stage: &Stage<'_>, plan: &Plan) -> Result<Outcome> {
        stage.reset().await?;
        let name = format!("soak {}", plan.number);
        let task = self.task(&name, plan.mode, stage.rows);
        match plan.way {
            Way::KillProcess => {
                let moment = plan.moment;
                tokio::task::spawn_blocking(move || kill_process(&task, moment)).await?
            }
            Way::DropSink => {
                let write = self.begin(task).await?;
                sleep(plan.moment).await;
                write.running.abort();
                let told = write.told().await?;
                let struck = matches!(told, Told::Nothing { .. });
                Outcome::new(told, struck)
            }
            Way::StopRuntime => stop_runtime(&task, plan.moment).await,
            Way::WallTime => self.limit(&task, plan.moment).await,
            Way::KillBackend | Way::TerminateBackend => {
                let sql = self.server.sql(DATABASE).await?;
                let write = self.begin(task).await?;
                sleep(plan.moment).await;
                let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = $1";
                let pid = sql.query_opt(pid, &[&name]).await?;
                let running = !write.running.is_finished();
                let reached = match pid.map(|row| row.get(0)) {
                    None => false,
                    Some(pid) if plan.way == Way::KillBackend => kill_backend(pid)?,
                    Some(pid) => {
                        let terminate = "SELECT pg_terminate_backend($1)";
                        sql.query_one(terminate, &[&pid]).await?.get(0)
                    }
                };
                Outcome::new(write.told().await?, running && reached)
            }
        }
    }

    /// A write in which no call may take longer than this.
    async fn limit(&self, task: &Task, longest: Duration) -> Result<Outcome> {
        let limits = Limits::default().with_wall_time(longest);
        let connector = import::connector(self.cache.path(), limits).await?;
        let progress = Progress::default();
        let told = import::run(&connector, task, &progress).await?;
        let by_limit = match &told {
            Told::Failed(error) => error.starts_with(ErrorKind::WallTimeLimit.as_str()),
            Told::Unknown(_) => true,
            Told::Done | Told::Nothing { .. } => false,
        };
        // Making an instance is limited as well.
        let begun = timeout(Duration::ZERO, progress.begun()).await.is_ok();
        if by_limit && !begun {
            let aim = Aim::TooEarly;
            return Ok(Outcome { told, aim });
        }
        Outcome::new(told, by_limit)
    }

    fn task(&self, name: &str, mode: Mode, rows: i64) -> Task {
        Task::new(self.server, self.cache.path(), name.to_owned(), mode, rows)
    }

    /// Begins a write in this process, and waits until it has connected.
    async fn begin(&self, task: Task) -> Result<Write> {
        let progress = Progress::default();
        let (connector, given, watched) = (self.connector.clone(), task.clone(), progress.clone());
        let running = tokio::spawn(async move { import::run(&connector, &given, &watched).await });
        begun(&progress).await?;
        Ok(Write {
            task,
            progress,
            running,
        })
    }
}

impl Write {
    /// Waits for its end.
    async fn told(self) -> Result<Told> {
        let ended = timeout(PATIENCE, self.running).await;
        let ended = ended.with_context(|| {
            format!(
                "the {} did not end within {} s",
                self.task.mode,
                PATIENCE.as_secs()
            )
        })?;
        match ended {
            Ok(told) => told,
            Err(error) if error.is_cancelled() => Ok(Told::Nothing {
                committing: self.progress.is_committing(),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

/// Waits until a write has connected.
async fn begun(progress: &Progress) -> Result<()> {
    timeout(PATIENCE, progress.begun())
        .await
        .context("the write did not begin")
}

/// A process of its own writes, and is killed. Blocks.
fn kill_process(task: &Task, moment: Duration) -> Result<Outcome> {
    let (variable, value) = import::environment(task)?;
    let mut host = Command::new(std::env::current_exe()?)
        .env(variable, value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("the process to be killed could not be started")?;
    let output = host.stdout.take().context("it has no output")?;
    let mut lines = BufReader::new(output).lines();
    match lines.next().transpose()?.as_deref() {
        Some(BEGUN) => {}
        other => bail!("the process to be killed said {other:?}"),
    }
    std::thread::sleep(moment);
    host.kill()?;
    let killed = host.wait()?.signal() == Some(SIGKILL);
    let mut told = Told::Nothing { committing: false };
    for line in lines {
        let line = line?;
        told = match line.as_str() {
            COMMITTING => Told::Nothing { committing: true },
            DONE => Told::Done,
            line => {
                if let Some(error) = line.strip_prefix(FAILED) {
                    Told::Failed(error.to_owned())
                } else if let Some(error) = line.strip_prefix(UNKNOWN) {
                    Told::Unknown(error.to_owned())
                } else {
                    bail!("the killed process said {line:?}");
                }
            }
        };
    }
    // Whoever still said how it went had come to an end.
    let struck = killed && matches!(told, Told::Nothing { .. });
    Outcome::new(told, struck)
}

/// The write has a host and a runtime of its own, which stops.
async fn stop_runtime(task: &Task, moment: Duration) -> Result<Outcome> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let progress = Progress::default();
    let (given, watched) = (task.clone(), progress.clone());
    let running = runtime.spawn(async move {
        let connector = import::connector(&given.cache, Limits::default()).await?;
        import::run(&connector, &given, &watched).await
    });
    begun(&progress).await?;
    sleep(moment).await;
    let struck = !running.is_finished();
    // Tasks are dropped where they wait, without running to any end.
    runtime.shutdown_background();
    let write = Write {
        task: task.clone(),
        progress,
        running,
    };
    Outcome::new(write.told().await?, struck)
}

/// SIGKILL to one backend of the server's. Whether it was there: it may have ended just now,
/// by itself.
fn kill_backend(pid: i32) -> Result<bool> {
    let status = Command::new("kill")
        .args(["-s", "KILL", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .context("`kill` could not be started")?;
    Ok(status.success())
}
