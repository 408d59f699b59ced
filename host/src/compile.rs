//! Turns a component into machine code, within bounds.
//!
//! The compiler cannot be interrupted. In a process of its own ([`Compiler`]) it can be ended, and, on
//! Unix, the system bounds its memory; without one, whoever waits stops waiting, and the compiler comes to its
//! end on its thread. What would take long is refused before, as far as it shows
//! ([`policy::component`](crate::policy::component)).

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine;
use crate::error::{Error, ErrorKind, Result, Wasmtime};
use crate::policy::Limits;

/// The exit status of a compiler that was given something else than a component.
const INVALID: u8 = 3;

/// The exit status of a compiler that was given something it could not cope with.
const CRASHED: u8 = 4;

/// What stands before the component on its standard input: memory in bytes, seconds.
const HEADER: usize = 16;

/// How much larger machine code may be than the component it is made of.
const EXPANSION: u64 = 32;

/// The most bytes of a compiler's complaint.
const COMPLAINT: usize = 4 * 1024;

/// A program that compiles: one that calls [`serve_compiler`] when it is started like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Compiler {
    /// The program at this path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
        }
    }

    /// The program that is running now, also where its file was replaced since.
    ///
    /// # Errors
    ///
    /// The system does not tell where that is.
    pub fn this_program() -> io::Result<Self> {
        if cfg!(target_os = "linux") {
            return Ok(Self::new("/proc/self/exe"));
        }
        std::env::current_exe().map(Self::new)
    }

    /// Adds an argument, by which the program knows that it is to compile.
    pub fn with_argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // It is to know nothing of this process: secrets are handed on in variables at times.
        #[cfg(unix)]
        command.env_clear();
        command.spawn()
    }
}

/// Compiles one component from standard input to standard output, as the process of a
/// [`Compiler`]. The exit status to end with.
///
/// It first takes from itself what it does not need: memory and time beyond the limits, opening
/// files, and, where others want it, the processor.
pub fn serve_compiler() -> u8 {
    let compiled = std::panic::catch_unwind(compile_input);
    let (status, complaint) = match compiled {
        Ok(Ok(())) => return 0,
        Ok(Err(Failed::Component(error))) => (INVALID, format!("{error:#}")),
        Ok(Err(Failed::Other(error))) => (1, error.to_string()),
        // What it said stands on standard error already.
        Err(_) => (CRASHED, String::new()),
    };
    // A component has a say in what is said of it, and so in how long that is.
    let end = complaint.floor_char_boundary(COMPLAINT);
    let complaint = complaint.get(..end).unwrap_or_default();
    let _ = io::stderr().write_all(complaint.as_bytes());
    status
}

enum Failed {
    Component(wasmtime::Error),
    Other(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

fn compile_input() -> std::result::Result<(), Failed> {
    let mut input = io::stdin().lock();
    let mut header = [0; HEADER];
    input.read_exact(&mut header)?;
    let mut numbers = header.chunks_exact(8).map(|bytes| {
        let bytes = <[u8; 8]>::try_from(bytes).unwrap_or_default();
        u64::from_le_bytes(bytes)
    });
    let (memory, seconds) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    bound(memory, seconds)?;
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm)?;
    let engine = engine::configured(None).map_err(Failed::Component)?;
    let artifact = engine
        .precompile_component(&wasm)
        .map_err(Failed::Component)?;
    Ok(io::stdout().lock().write_all(&artifact)?)
}

#[cfg(unix)]
fn bound(memory: u64, seconds: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
    // Where the system tells memory that is written from address space, the former is meant.
    const MEMORY: Resource = if cfg!(target_os = "linux") {
        Resource::Data
    } else {
        Resource::As
    };
    // Every thread's work counts; the wall clock is the caller's.
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    for (resource, most) in [
        (MEMORY, memory),
        (Resource::Cpu, seconds.saturating_mul(threads)),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // What is open stays open.
        (Resource::Nofile, 0),
    ] {
        // Whoever starts this may have set less.
        let most = getrlimit(resource).maximum.unwrap_or(most).min(most);
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        match setrlimit(resource, limit) {
            // Some systems know no bound on address space. The caller's clock holds all the same.
            Err(_) if cfg!(not(target_os = "linux")) => {}
            set => set?,
        }
    }
    nice(5)?;
    Ok(())
}

#[cfg(not(unix))]
fn bound(_: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// A compiled component, and its serialized form.
pub struct Artifact {
    /// The component.
    pub component: Component,
    /// What a cache keeps of it.
    pub bytes: Vec<u8>,
}

/// Compiles `wasm`, in a process of `compiler` if there is one.
pub async fn compile(
    engine: &Engine,
    compiler: Option<&Compiler>,
    limits: &Limits,
    wasm: &[u8],
) -> Result<Artifact> {
    let compiled = async {
        match compiler {
            Some(compiler) => in_process(engine, compiler, limits, wasm).await,
            None => on_thread(engine, wasm).await,
        }
    };
    timeout(limits.compile_time, compiled)
        .await
        .unwrap_or_else(|_| Err(too_slow(limits.compile_time)))
}

async fn on_thread(engine: &Engine, wasm: &[u8]) -> Result<Artifact> {
    let (engine, wasm) = (engine.clone(), wasm.to_vec());
    let compiled = tokio::task::spawn_blocking(move || {
        let component = Component::from_binary(&engine, &wasm)
            .map_err(|error| not_a_component(&wasm, Wasmtime(error)))?;
        let bytes = component.serialize().unwrap_or_default();
        Ok(Artifact { component, bytes })
    });
    compiled.await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::InvalidComponent,
            "the component cannot be compiled",
        )
        .with_hint("report it to the connector's author"))
    })
}

async fn in_process(
    engine: &Engine,
    compiler: &Compiler,
    limits: &Limits,
    wasm: &[u8],
) -> Result<Artifact> {
    let unusable = |error: io::Error| {
        Error::new(
            ErrorKind::Io,
            format!(
                "the compiler {} could not be run",
                compiler.program.display()
            ),
        )
        .with_hint("reinstall the program, or check that it may start processes")
        .with_source(error)
    };
    let mut child = compiler.start().map_err(unusable)?;
    let (Some(mut input), Some(output), Some(complaint)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(unusable(io::ErrorKind::BrokenPipe.into()));
    };
    let most = (wasm.len() as u64)
        .saturating_mul(EXPANSION)
        .saturating_add(1024 * 1024);
    let tell = async {
        let seconds = limits.compile_time.as_secs().saturating_add(1);
        input
            .write_all(&limits.compile_memory.to_le_bytes())
            .await?;
        input.write_all(&seconds.to_le_bytes()).await?;
        input.write_all(wasm).await?;
        // The end of it is what says that it is whole.
        drop(input);
        Ok::<_, io::Error>(())
    };
    let (told, artifact, complaint) =
        futures_util::future::join3(tell, take(output, most), take(complaint, COMPLAINT as u64))
            .await;
    let status = child.wait().await.map_err(unusable)?;
    let artifact = artifact.map_err(unusable)?;
    let complaint = complaint.map_err(unusable)?.unwrap_or_default();
    let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
    let ended = Ended::of(status, &complaint);
    if !matches!(ended, Ended::Done) {
        tracing::warn!(target: "dagflux", %status, complaint, "a component was not compiled");
    }
    match ended {
        Ended::Done => {
            told.map_err(unusable)?;
            let artifact = artifact.ok_or_else(|| crashed(Told("it came to no end".to_owned())))?;
            // SAFETY: it is what our own program wrote, started by us, through a pipe that no one
            // else has. wasmtime checks that it is of this version and configuration.
            let component = unsafe { Component::deserialize(engine, &artifact) };
            let component =
                component.map_err(|error| unusable(io::Error::other(Wasmtime(error))))?;
            Ok(Artifact {
                component,
                bytes: artifact,
            })
        }
        Ended::Refused => Err(not_a_component(wasm, Told(complaint))),
        Ended::OutOfMemory => Err(too_large(limits.compile_memory)),
        Ended::OutOfTime => Err(too_slow(limits.compile_time)),
        Ended::Crashed => Err(crashed(Told(complaint))),
        // It stopped because nobody listened any more.
        Ended::Failed if artifact.is_none() => Err(Error::new(
            ErrorKind::CompileLimit,
            format!("the component becomes larger than {most} bytes when it is compiled"),
        )
        .with_hint("do not use it: what compilers make becomes a few times as large")),
        Ended::Failed => Err(unusable(io::Error::other(complaint))),
    }
}

/// Reads a pipe to its end, if there are no more than `most` bytes: then it is closed, and whoever
/// writes to it learns of that.
async fn take(pipe: impl AsyncRead + Unpin, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut pipe = pipe.take(most.saturating_add(1));
    pipe.read_to_end(&mut bytes).await?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// How a compiler came to its end.
enum Ended {
    Done,
    /// It was given something else than a component.
    Refused,
    OutOfMemory,
    OutOfTime,
    /// The component was too much for it.
    Crashed,
    /// It was not the component.
    Failed,
}

impl Ended {
    fn of(status: ExitStatus, complaint: &str) -> Self {
        // Allocations end the process; what is mapped and written to is told as an error.
        let out_of_memory = [
            "memory allocation of",
            "Cannot allocate memory",
            "os error 12",
        ];
        if out_of_memory.iter().any(|words| complaint.contains(words)) {
            return Self::OutOfMemory;
        }
        match status.code() {
            Some(0) => Self::Done,
            Some(code) if code == i32::from(INVALID) => Self::Refused,
            Some(code) if code == i32::from(CRASHED) => Self::Crashed,
            Some(_) => Self::Failed,
            None => Self::of_signal(status),
        }
    }

    #[cfg(unix)]
    fn of_signal(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = |signal: rustix::process::Signal| Some(signal.as_raw());
        match status.signal() {
            ended if ended == signal(rustix::process::Signal::XCPU) => Self::OutOfTime,
            // By the system, which ends whoever takes too much.
            ended if ended == signal(rustix::process::Signal::KILL) => Self::OutOfMemory,
            _ => Self::Crashed,
        }
    }

    #[cfg(not(unix))]
    fn of_signal(_: ExitStatus) -> Self {
        Self::Crashed
    }
}

/// The complaint of a compiler.
#[derive(Debug)]
struct Told(String);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Told {}

fn too_large(limit: u64) -> Error {
    let memory = limit / (1024 * 1024);
    Error::new(
        ErrorKind::CompileLimit,
        format!("the component cannot be compiled with {memory} MiB of memory"),
    )
    .with_hint(
        "do not use it unless you know its author; who does can raise the limit `compile_memory`",
    )
}

fn crashed(complaint: Told) -> Error {
    Error::new(
        ErrorKind::InvalidComponent,
        "the compiler crashed over the component",
    )
    .with_hint("report it to the connector's author, and to the makers of this program")
    .with_source(complaint)
}

fn too_slow(limit: Duration) -> Error {
    Error::new(
        ErrorKind::CompileLimit,
        format!(
            "compiling the component took longer than {} s and was given up",
            limit.as_secs_f32()
        ),
    )
    .with_hint(
        "do not use it unless you know its author; who does can raise the limit `compile_time`",
    )
}

fn not_a_component(wasm: &[u8], error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let (message, hint) = match wasm {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => (
            "the file is a WebAssembly module, not a component",
            "build it for wasm32-wasip2, or turn it into a component with `wasm-tools component new`",
        ),
        [0, b'a', b's', b'm', ..] => (
            "the component is damaged or cut short",
            "copy or download the file again, and compare its size and digest with the original",
        ),
        _ => (
            "the file is not WebAssembly",
            "check the path: a connector is a `.wasm` file",
        ),
    };
    Error::new(ErrorKind::InvalidComponent, message)
        .with_hint(hint)
        .with_source(error)
}
