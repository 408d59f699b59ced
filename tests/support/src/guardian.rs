//! Stops a server and removes its folder, whatever becomes of this process.
//!
//! The guardian is a shell that waits for the end of a pipe of which this process
//! holds the other side. The operating system closes it at the latest when the
//! process ends, also when it is killed. A signal on the parent's death
//! (`PR_SET_PDEATHSIG`) would not do: it comes when the *thread* ends that started
//! the server, and test threads end early.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// `$1` the server's folder, `$2` the server's process id. SIGINT asks for a fast
/// shutdown, SIGQUIT for an immediate one (manual, "Shutting Down the Server").
/// The id is signalled only while the folder says that it is still the server's.
const SCRIPT: &str = r#"
read -r _
serves() { [ "$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)" = "$2" ] && kill -0 "$2" 2>/dev/null; }
serves "$1" "$2" && kill -INT "$2"
tries=0
while serves "$1" "$2" && [ "$tries" -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
serves "$1" "$2" && kill -QUIT "$2" && sleep 1
rm -rf "$1"
"#;

/// Ends the server when it is dropped, and waits for that.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
    server: Child,
}

impl Guardian {
    /// Takes charge of `server`, whose files are in `folder`.
    pub(crate) fn watch(mut server: Child, folder: &Path) -> Result<Self> {
        let shell = match Self::shell(&server, folder) {
            Ok(shell) => shell,
            Err(error) => {
                server.kill()?;
                return Err(error);
            }
        };
        Ok(Self { shell, server })
    }

    fn shell(server: &Child, folder: &Path) -> Result<Child> {
        Command::new("sh")
            .args(["-c", SCRIPT, "dagflux-guardian"])
            .arg(folder)
            .arg(server.id().to_string())
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
