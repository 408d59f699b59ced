//! Stops a server and removes its folder, whatever becomes of this process.
//!
//! The guardian is a shell that waits for the end of a pipe of which this process
//! holds the other side. The operating system closes it at the latest when the
//! process ends, also when it is killed. A signal on the parent's death
//! (`PR_SET_PDEATHSIG`) would not do: it comes when the *thread* ends that started
//! the server, and test threads end early.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// `$1` the server's folder, `$2` the server's process id, `$3` the file in the folder
/// that begins with that id while it is the server's, `$4` the signal that asks for a fast
/// shutdown. SIGQUIT asks for an immediate one, of PostgreSQL as of PgBouncer (manual,
/// "Shutting Down the Server"). The id is signalled only while the folder says that it is
/// still the server's. A line that says `keep` leaves the folder in place.
const SCRIPT: &str = r#"
read -r word
serves() { [ "$(head -n 1 "$1/$3" 2>/dev/null)" = "$2" ] && kill -0 "$2" 2>/dev/null; }
serves "$1" "$2" "$3" && kill "-$4" "$2"
tries=0
while serves "$1" "$2" "$3" && [ "$tries" -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
serves "$1" "$2" "$3" && kill -QUIT "$2" && sleep 1
[ "$word" = keep ] || rm -rf "$1"
"#;

/// What there is to know of a kind of server for it to be stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The file in its folder that begins with its process id.
    id_file: &'static str,
    /// The signal that asks for a fast shutdown.
    signal: &'static str,
}

impl Kind {
    /// A PostgreSQL server.
    pub(crate) const POSTGRESQL: Self = Self {
        id_file: "data/postmaster.pid",
        signal: "INT",
    };
    /// A PgBouncer. SIGINT would have it wait for its clients.
    pub(crate) const PGBOUNCER: Self = Self {
        id_file: "pgbouncer.pid",
        signal: "TERM",
    };
}

/// Ends the server when it is dropped, and waits for that.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
    server: Child,
}

impl Guardian {
    /// Takes charge of `server`, whose files are in `folder`.
    pub(crate) fn watch(kind: Kind, mut server: Child, folder: &Path) -> Result<Self> {
        let shell = match Self::shell(kind, &server, folder) {
            Ok(shell) => shell,
            Err(error) => {
                server.kill()?;
                return Err(error);
            }
        };
        Ok(Self { shell, server })
    }

    fn shell(kind: Kind, server: &Child, folder: &Path) -> Result<Child> {
        Command::new("sh")
            .args(["-c", SCRIPT, "dagflux-guardian"])
            .arg(folder)
            .arg(server.id().to_string())
            .args([kind.id_file, kind.signal])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not reached by a Ctrl-C or a test runner's kill of the group.
            .process_group(0)
            .spawn()
            .context("`sh` could not be started")
    }

    /// Whether the server has ended by itself.
    pub(crate) fn server_ended(&mut self) -> Result<bool> {
        Ok(self.server.try_wait()?.is_some())
    }

    /// Ends the server and leaves its files in place.
    pub(crate) fn stop_and_keep(mut self) -> Result<()> {
        let pipe = self.shell.stdin.as_mut().context("the pipe is closed")?;
        pipe.write_all(b"keep\n")?;
        Ok(())
    }

    /// The server's process id.
    pub(crate) fn server_id(&self) -> u32 {
        self.server.id()
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Neither can fail in a way that could be acted on here.
        let _ = self.server.wait();
        let _ = self.shell.wait();
    }
}
