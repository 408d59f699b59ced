//! Whom servers run as: PostgreSQL refuses to run as root.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::{Context, Result};

/// The account under which servers run.
pub(crate) enum Account {
    /// The one this process runs as.
    Own,
    /// Another one, since this process is root's.
    Other { user: u32, group: u32 },
}

/// Accounts that own nothing worth having, in the order in which they are tried.
const UNPRIVILEGED: [&str; 2] = ["nobody", "postgres"];

impl Account {
    /// This process's account, or an unprivileged one for root.
    pub(crate) fn for_servers() -> Result<Self> {
        if !is_root() {
            return Ok(Self::Own);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        UNPRIVILEGED
            .iter()
            .find_map(|name| account_named(&accounts, name))
            .context("PostgreSQL does not run as root, and there is no account `nobody`")
    }

    /// A command that runs `program` under this account.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Self::Other { user, group } = self {
            command.uid(*user).gid(*group);
        }
        command
    }

    /// Gives `path` to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        if let Self::Other { user, group } = self {
            chown(path, Some(*user), Some(*group))?;
        }
        Ok(())
    }

    /// A new folder for temporary files that this account owns, its name beginning with
    /// `dagflux-` and `what`.
    pub(crate) fn fresh_folder(&self, what: &str) -> Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dagflux-{what}-{}-{number}", process::id());
        let folder = self.temporary_root().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("{} could not be created", folder.display()))?;
        self.own(&folder)?;
        Ok(folder)
    }

    /// A folder that this account can reach, for folders of its own. Root's
    /// folder for temporary files may be closed to others; `/tmp` is not.
    fn temporary_root(&self) -> PathBuf {
        match self {
            Self::Own => env::temp_dir(),
            Self::Other { .. } => PathBuf::from("/tmp"),
        }
    }
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn account_named(accounts: &str, name: &str) -> Option<Account> {
    let line = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut ids = line.split(':').skip(2).map(str::parse);
    Some(Account::Other {
        user: ids.next()?.ok()?,
        group: ids.next()?.ok()?,
    })
}
