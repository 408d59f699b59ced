//! Carries a plan out: begins a write, waits, strikes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dagflux_host::{Connector, Limits};
use dagflux_test_support::Server;
use tempfile::TempDir;
use tokio::runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::import::{self, BEGUN, COMMITTING, DONE, FAILED, Progress, Task, Told, UNKNOWN};
use crate::plan::{Mode, Plan, Times, Way};
use crate::stage::{DATABASE, Stage, State};

/// How long a write may take to end after its victim is dead.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Killer<'s> {
    server: &'s Server,
    connector: Connector,
    /// The compiled connector, for the processes that are killed.
    cache: TempDir,
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

    /// Measures a write that nobody disturbs, and makes sure that it does what it should.
    pub(crate) async fn undisturbed(&self, stage: &Stage<'_>, mode: Mode) -> Result<Times> {
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

    /// Begins a write, strikes, and returns what the writer was told.
    pub(crate) async fn kill(&self, stage: &Stage<'_>, plan: &Plan) -> Result<Told> {
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
                write.told().await
            }
            Way::StopRuntime => stop_runtime(&task, plan.moment).await,
            Way::WallTime => {
                let limits = Limits::default().with_wall_time(plan.moment);
                let connector = import::connector(self.cache.path(), limits).await?;
                import::run(&connector, &task, &Progress::default()).await
            }
            Way::KillBackend | Way::TerminateBackend => {
                let write = self.begin(task).await?;
                let begun = Instant::now();
                let sql = self.server.sql(DATABASE).await?;
                sleep(plan.moment.saturating_sub(begun.elapsed())).await;
                let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = $1";
                if plan.way == Way::TerminateBackend {
                    let terminate = format!("SELECT pg_terminate_backend(pid) FROM ({pid}) one");
                    sql.execute(&terminate, &[&name]).await?;
                } else if let Some(row) = sql.query_opt(pid, &[&name]).await? {
                    kill_backend(row.get(0))?;
                }
                write.told().await
            }
        }
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
fn kill_process(task: &Task, moment: Duration) -> Result<Told> {
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
    host.wait()?;
    let mut committing = false;
    for line in lines {
        let line = line?;
        match line.as_str() {
            COMMITTING => committing = true,
            DONE => return Ok(Told::Done),
            line => {
                if let Some(error) = line.strip_prefix(FAILED) {
                    return Ok(Told::Failed(error.to_owned()));
                }
                if let Some(error) = line.strip_prefix(UNKNOWN) {
                    return Ok(Told::Unknown(error.to_owned()));
                }
                bail!("the killed process said {line:?}");
            }
        }
    }
    Ok(Told::Nothing { committing })
}

/// The write has a host and a runtime of its own, which stops.
async fn stop_runtime(task: &Task, moment: Duration) -> Result<Told> {
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
    // Tasks are dropped where they wait, without running to any end.
    runtime.shutdown_background();
    let write = Write {
        task: task.clone(),
        progress,
        running,
    };
    write.told().await
}

/// SIGKILL to one backend of the server's.
fn kill_backend(pid: i32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-s", "KILL", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .context("`kill` could not be started")?;
    // It may have ended just now, by itself.
    if !status.success() {
        eprintln!("backend {pid} was gone already");
    }
    Ok(())
}
