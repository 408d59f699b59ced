//! Compiling is bounded, and what was compiled before is what is run.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use dagflux_host::{Compiler, ErrorKind, Host, HostBuilder, Limits};
use dagflux_test_support::test_guest_path;

use crate::assembly::with_module;
use crate::cli;
use crate::fixture;
use crate::hostile::{self, Scene, assert_failure};

/// The program that compiles for the command.
fn compiler() -> Result<Compiler> {
    Ok(Compiler::new(cli::program()?).with_argument("compile-component"))
}

fn host(limits: Limits) -> Result<HostBuilder> {
    Ok(Host::builder().limits(limits).compiler(compiler()?))
}

/// An honest component with functions that have `locals` variables in `loops` loops within each other,
/// each of which changes and uses all of them.
fn bomb(functions: usize, locals: usize, loops: usize) -> Result<Vec<u8>> {
    let uses: String = (0..locals)
        .map(|local| format!("(local.set {local} (i64.add (local.get {local}) (local.get 0)))"))
        .collect();
    let body = format!(
        "(func (local {}) {} {uses} {})",
        "i64 ".repeat(locals),
        "loop ".repeat(loops),
        "(br_if 0 (i32.wrap_i64 (local.get 1))) end ".repeat(loops)
    );
    with_module(
        &hostile::component()?,
        &format!("(module {})", body.repeat(functions)),
        1,
    )
}

#[tokio::test]
async fn what_shows_that_it_takes_long_is_not_compiled() -> Result<()> {
    // Without a process to compile in, it would keep a thread for minutes and take gigabytes.
    for (component, words) in [
        (
            bomb(1, 4_000, 2_000)?,
            "too many variables for its branches",
        ),
        (bomb(60, 2_000, 500)?, "too many variables for its branches"),
        (
            with_module(
                &hostile::component()?,
                &format!("(module {})", "(func)".repeat(50_001)),
                1,
            )?,
            "more than 50000 functions",
        ),
        (
            with_module(
                &hostile::component()?,
                &format!("(module (func {}))", "nop ".repeat(1024 * 1024)),
                1,
            )?,
            "more than 1048576 bytes",
        ),
    ] {
        let error = fixture::host()
            .load_bytes(&component)
            .await
            .expect_err("it is compiled");
        assert_failure(&error, ErrorKind::CompileLimit, words);
    }
    Scene::new().await?.goes_on().await
}

#[tokio::test]
async fn a_compiler_that_takes_too_long_is_ended() -> Result<()> {
    let component = bomb(12, 1_000, 1_500)?;
    let limits = Limits::default().with_compile_time(Duration::from_secs(1));
    let host = host(limits)?.build()?;
    let error = host
        .load_bytes(&component)
        .await
        .expect_err("it is compiled");
    assert_failure(&error, ErrorKind::CompileLimit, "took longer than 1 s");
    // It does not go on behind the back of whoever waited.
    let gone = async {
        while !compilers()?.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await??;
    // And the same host compiles what takes as long as usual.
    Scene::with(hostile::connector_in(&host).await?)
        .await?
        .goes_on()
        .await
}

/// The compilers with a time limit of this test's.
fn compilers() -> Result<Vec<PathBuf>> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let command = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        // Behind the name in brackets: state, parent. Those of other tests are ended, too, in time.
        let mut after = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, parent) = (after.next(), after.next());
        if command.contains("compile-component") && parent == Some(&own) && state != Some("Z") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A program that is this script.
fn script_of(folder: &Path, script: &str) -> Result<PathBuf> {
    let path = folder.join("compiler");
    // A file that someone has open to write to cannot be started: a process that another test starts
    // meanwhile may have it for a moment.
    let written = std::process::Command::new("sh")
        .args([
            "-c",
            "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 700 \"$1\"",
            "sh",
        ])
        .arg(&path)
        .arg(script)
        .status()?;
    anyhow::ensure!(written.success(), "{written}");
    Ok(path)
}

/// A host with a program in the place of its compiler.
fn in_its_place(folder: &Path, script: &str) -> Result<Host> {
    let path = script_of(folder, script)?;
    let limits = Limits::default().with_compile_time(Duration::from_secs(2));
    Ok(Host::builder()
        .limits(limits)
        .compiler(Compiler::new(path))
        .build()?)
}

/// Whatever the component made of it.
#[tokio::test]
async fn a_compiler_that_misbehaves_is_told_apart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (script, kind, words) in [
        ("sleep 60", ErrorKind::CompileLimit, "took longer than 2 s"),
        (
            "kill -XCPU $$",
            ErrorKind::CompileLimit,
            "took longer than 2 s",
        ),
        (
            "kill -KILL $$",
            ErrorKind::CompileLimit,
            "1024 MiB of memory",
        ),
        (
            "kill -SEGV $$",
            ErrorKind::InvalidComponent,
            "the compiler crashed",
        ),
        (
            "cat > /dev/null; exit 4",
            ErrorKind::InvalidComponent,
            "the compiler crashed",
        ),
        (
            "cat > /dev/null; echo memory allocation of 9 bytes failed >&2; kill -ABRT $$",
            ErrorKind::CompileLimit,
            "1024 MiB of memory",
        ),
        (
            "cat > /dev/null; exit 3",
            ErrorKind::InvalidComponent,
            "damaged or cut short",
        ),
        ("exit 1", ErrorKind::Io, "could not be run"),
        // No one waits for whoever writes without end, to either pipe.
        (
            "cat > /dev/null; yes >&2",
            ErrorKind::Io,
            "could not be run",
        ),
        (
            "cat > /dev/null; yes",
            ErrorKind::CompileLimit,
            "becomes larger than",
        ),
        (
            "cat > /dev/null; echo machine code",
            ErrorKind::Io,
            "could not be run",
        ),
    ] {
        println!("{script}");
        let host = in_its_place(folder.path(), script)?;
        let error = host
            .load_bytes(&hostile::component()?)
            .await
            .expect_err("it is compiled");
        assert_failure(&error, kind, words);
    }
    Ok(())
}

/// Ended at once, and not when its own time is up.
#[tokio::test]
async fn a_compiler_is_ended_with_whoever_waits_for_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let host = in_its_place(folder.path(), "echo $$ > \"$0.pid\"; exec sleep 60")?;
    host.load_bytes(&hostile::component()?)
        .await
        .expect_err("it is compiled");
    let pid = fs::read_to_string(folder.path().join("compiler.pid"))?;
    let process = PathBuf::from(format!("/proc/{}/cmdline", pid.trim()));
    let gone = async {
        // What is left of a process that has ended has no command line.
        while fs::read(&process).is_ok_and(|command| !command.is_empty()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(10), gone).await?)
}

/// Where whoever starts it may have less than the limits say.
#[tokio::test]
async fn a_compiler_keeps_to_what_it_is_given() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = cli::program()?;
    let script = format!("ulimit -t 20; exec {} compile-component", program.display());
    let script = script_of(folder.path(), &script)?;
    let host = Host::builder().compiler(Compiler::new(script)).build()?;
    Scene::with(hostile::connector_in(&host).await?)
        .await?
        .goes_on()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loaded_twenty_times_at_once_is_compiled_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = format!(
        "echo once >> \"$0.count\"; exec {} compile-component",
        cli::program()?.display()
    );
    let script = script_of(folder.path(), &script)?;
    let host = Host::builder().compiler(Compiler::new(script)).build()?;
    let component = hostile::component()?;
    let loads = (0..20).map(|_| host.load_bytes(&component));
    futures_util::future::try_join_all(loads).await?;
    let count = fs::read_to_string(folder.path().join("compiler.count"))?;
    assert_eq!(count, "once\n");
    Ok(())
}

#[tokio::test]
async fn a_compiler_has_only_so_much_memory() -> Result<()> {
    let limits = Limits::default().with_compile_memory(24 * 1024 * 1024);
    let component = hostile::component()?;
    let error = host(limits)?
        .build()?
        .load_bytes(&component)
        .await
        .expect_err("it is compiled");
    assert_failure(&error, ErrorKind::CompileLimit, "with 24 MiB of memory");
    Ok(())
}

#[tokio::test]
async fn a_compiler_says_what_is_no_component() -> Result<()> {
    let host = host(Limits::default())?.build()?;
    for (bytes, words) in [
        (b"hello".to_vec(), "not WebAssembly"),
        (b"\0asm\x01\0\0\0".to_vec(), "a WebAssembly module"),
        (
            hostile::component()?[..1000].to_vec(),
            "damaged or cut short",
        ),
    ] {
        let error = host.load_bytes(&bytes).await.expect_err("it is compiled");
        assert_failure(&error, ErrorKind::InvalidComponent, words);
    }
    for program in ["/nowhere/dagflux", "/bin/false", "/bin/cat"] {
        let host = Host::builder().compiler(Compiler::new(program)).build()?;
        let error = host
            .load_bytes(&hostile::component()?)
            .await
            .expect_err("it is compiled");
        assert_failure(&error, ErrorKind::Io, program);
    }
    Ok(())
}

#[tokio::test]
async fn a_compiler_is_told_nothing_of_this_process() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let seen = folder.path().join("seen");
    let host = in_its_place(folder.path(), &format!("env > {}", seen.display()))?;
    host.load_bytes(&hostile::component()?)
        .await
        .expect_err("a shell is no compiler");
    let seen = fs::read_to_string(seen)?;
    assert!(!seen.contains("CARGO") && !seen.contains("HOME"), "{seen}");
    Ok(())
}

/// A host with a cache that is sealed, and the one file in it once the connector was loaded.
async fn sealed(folder: &Path) -> Result<PathBuf> {
    let host = cached(folder)?;
    assert!(!hostile::connector_in(&host).await?.component().from_cache);
    let again = hostile::connector_in(&cached(folder)?).await?;
    assert!(again.component().from_cache);
    let mut files = fs::read_dir(folder.join("components"))?;
    let file = files.next().context("nothing was kept")??.path();
    assert!(files.next().is_none());
    Ok(file)
}

fn cached(folder: &Path) -> Result<Host> {
    let host = host(Limits::default())?
        .cache_dir(folder.join("components"))
        .cache_key(folder.join("below/key"));
    Ok(host.build()?)
}

async fn is_loaded_from_cache(folder: &Path) -> Result<bool> {
    let connector = hostile::connector_in(&cached(folder)?).await?;
    let loaded = connector.component().from_cache;
    Scene::with(connector).await?.goes_on().await?;
    Ok(loaded)
}

#[tokio::test]
async fn a_tampered_cache_is_not_loaded() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let file = sealed(folder).await?;
    let honest = fs::read(&file)?;
    // Somewhere in the machine code, in the digest, in the seal; cut short; nothing at all.
    for at in [honest.len() / 2, honest.len() - 40, honest.len() - 1] {
        let mut tampered = fs::OpenOptions::new().write(true).open(&file)?;
        tampered.seek(SeekFrom::Start(at as u64))?;
        tampered.write_all(&[honest[at] ^ 1])?;
        drop(tampered);
        assert!(!is_loaded_from_cache(folder).await?, "byte {at}");
        // It was compiled anew, and that is what is kept now.
        assert!(is_loaded_from_cache(folder).await?);
    }
    for cut in [honest.len() - 1, 100, 0] {
        fs::write(&file, &honest[..cut])?;
        assert!(!is_loaded_from_cache(folder).await?, "{cut} bytes");
    }
    Ok(())
}

/// Whoever can write to the cache and knows how it is checked still cannot have a file of theirs run.
#[tokio::test]
async fn what_is_sealed_elsewhere_is_not_loaded() -> Result<()> {
    let (own, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (own, other) = (own.path(), other.path());
    let (file, foreign) = (sealed(own).await?, sealed(other).await?);
    assert_eq!(file.file_name(), foreign.file_name());
    assert_ne!(fs::read(&file)?, fs::read(&foreign)?);
    fs::copy(&foreign, &file)?;
    assert!(!is_loaded_from_cache(own).await?);
    // Nor one that is sealed by a digest, as where there is no key.
    let plain = tempfile::tempdir()?;
    let host = host(Limits::default())?
        .cache_dir(plain.path().join("components"))
        .build()?;
    hostile::connector_in(&host).await?;
    let unsealed = plain
        .path()
        .join("components")
        .join(file.file_name().context("no name")?);
    fs::copy(&unsealed, &file)?;
    assert!(!is_loaded_from_cache(own).await?);
    assert!(is_loaded_from_cache(own).await?);
    Ok(())
}

/// Of two components, one is not run in place of the other.
#[tokio::test]
async fn one_component_is_not_loaded_for_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let file = sealed(folder).await?;
    let content = fs::read(&file)?;
    fs::remove_file(&file)?;
    let liar = hostile::liar("odd name")?;
    let _ = cached(folder)?.load_bytes(&liar).await;
    let mut files = fs::read_dir(folder.join("components"))?;
    let other = files.next().context("nothing was kept")??.path();
    assert_ne!(other, file);
    // The honest one under the other's name: the other is what was asked for.
    fs::write(&other, &content)?;
    let loaded = cached(folder)?.load_bytes(&liar).await;
    assert!(loaded.is_err(), "{loaded:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    sealed(folder).await?;
    let key = folder.join("below/key");
    assert_eq!(fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    let refused = host(Limits::default())?
        .cache_dir(folder.join("components"))
        .cache_key(&key)
        .build();
    let error = refused.map(drop).expect_err("the key is used");
    assert_eq!(error.kind(), ErrorKind::Io);
    let source = std::error::Error::source(&error)
        .context("no source")?
        .to_string();
    assert!(source.contains("chmod 600"), "{source}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let reason = || {
        let refused = host(Limits::default())?
            .cache_dir(folder.join("components"))
            .cache_key(&key)
            .build();
        let error = refused.map(drop).expect_err("the key is used");
        anyhow::Ok(
            std::error::Error::source(&error)
                .context("no source")?
                .to_string(),
        )
    };
    for content in [&b""[..], b"short", &[7; 33]] {
        fs::write(&key, content)?;
        let reason = reason()?;
        assert!(reason.contains("is no key, which has 32 bytes"), "{reason}");
    }
    // A link to nowhere is neither followed nor waited for.
    fs::remove_file(&key)?;
    std::os::unix::fs::symlink("nowhere", &key)?;
    reason()?;
    Ok(())
}

/// Whoever can write to a file could do so after it was looked at.
#[tokio::test]
async fn a_compiled_component_that_others_can_write_to_is_not_loaded() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let file = sealed(folder).await?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666))?;
    assert!(!is_loaded_from_cache(folder).await?);
    // The one that was compiled anew is the user's own.
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o022, 0);
    assert!(is_loaded_from_cache(folder).await?);
    Ok(())
}

#[tokio::test]
async fn what_a_process_compiles_is_what_a_thread_compiles() -> Result<()> {
    let host = host(Limits::default())?.build()?;
    let connector = hostile::connector_in(&host).await?;
    let here = hostile::connector().await?;
    assert_eq!(connector.component().digest, here.component().digest);
    assert_eq!(
        connector.component().compiled_size,
        here.component().compiled_size
    );
    assert!(test_guest_path("hostile")?.is_file());
    Scene::with(connector).await?.goes_on().await
}
