//! Installing PostgreSQL where it is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};

use crate::Binaries;
use crate::account::is_root;

/// How one system's package manager installs PostgreSQL's server.
struct Manager {
    /// The program that shows that this manager is the system's.
    program: &'static str,
    /// What to run, in order.
    commands: &'static [&'static [&'static str]],
    /// Whether it has to be root that runs them.
    as_root: bool,
}

const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        commands: &[
            &["apt-get", "update"],
            &["apt-get", "install", "--yes", "postgresql"],
        ],
        as_root: true,
    },
    Manager {
        program: "dnf",
        commands: &[&["dnf", "install", "--assumeyes", "postgresql-server"]],
        as_root: true,
    },
    Manager {
        program: "apk",
        commands: &[&["apk", "add", "postgresql"]],
        as_root: true,
    },
    Manager {
        program: "brew",
        commands: &[&["brew", "install", "postgresql@17"]],
        as_root: false,
    },
];

/// Finds PostgreSQL's server, or installs it by the system's package manager where
/// that needs nobody's password.
///
/// # Errors
///
/// When it is missing and cannot be installed; the error says what to run.
pub fn provide() -> Result<Binaries> {
    let missing = match Binaries::find() {
        Ok(binaries) => return Ok(binaries),
        Err(missing) => missing,
    };
    let Some(manager) = MANAGERS.iter().find(|manager| on_path(manager.program)) else {
        return Err(missing);
    };
    let prefix: &[&str] = if !manager.as_root || is_root() {
        &[]
    } else if succeeds(&["sudo", "-n", "true"]) {
        &["sudo", "-n"]
    } else {
        let commands: Vec<String> = manager
            .commands
            .iter()
            .map(|command| format!("sudo {}", command.join(" ")))
            .collect();
        return Err(anyhow!("{missing}\nrun: {}", commands.join(" && ")));
    };
    for command in manager.commands {
        let words: Vec<&str> = prefix.iter().chain(*command).copied().collect();
        eprintln!("$ {}", words.join(" "));
        ensure!(
            Command::new(words.first().context("an empty command")?)
                .args(words.iter().skip(1))
                .env("DEBIAN_FRONTEND", "noninteractive")
                .status()?
                .success(),
            "`{}` failed; {missing}",
            words.join(" ")
        );
    }
    Binaries::find()
}

fn succeeds(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
    })
}
