//! libpq's password file, and files that hold secrets in general.
//!
//! Manual: "The Password File". A line is `hostname:port:database:username:password`; each of the
//! first four can be `*`; `:` and `\` are escaped by a backslash; the first line that fits counts.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::secrets::Secret;

/// The largest file that is read. A line has some fifty bytes, and a private key a few KiB.
const MOST_BYTES: u64 = 1024 * 1024;

/// The passwords of a file in the format of `.pgpass`.
///
/// It is read once, in full, and never shown.
pub struct PasswordFile {
    lines: Secret,
}

impl std::fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordFile").finish_non_exhaustive()
    }
}

impl PasswordFile {
    /// Where the file is if nothing else is said: `.pgpass` in the home folder, on Windows
    /// `postgresql\pgpass.conf` in `APPDATA`. None if there is no such folder.
    pub fn default_path() -> Option<PathBuf> {
        let (variable, file) = if cfg!(windows) {
            ("APPDATA", "postgresql\\pgpass.conf")
        } else {
            ("HOME", ".pgpass")
        };
        std::env::var_os(variable).map(|folder| Path::new(&folder).join(file))
    }

    /// Where libpq looks: what `PGPASSFILE` names, or the [default](Self::default_path).
    pub fn place() -> Option<PathBuf> {
        let named = std::env::var_os("PGPASSFILE").filter(|path| !path.is_empty());
        named.map(PathBuf::from).or_else(Self::default_path)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Secret`] if it cannot be read, or others could read it as well: libpq passes
    /// such a file over.
    pub fn read(path: &Path) -> Result<Self> {
        read_private(path).map(|lines| Self { lines })
    }

    /// The password of the first line that fits.
    pub fn password(&self, host: &str, port: u16, database: &str, user: &str) -> Option<Secret> {
        let port = port.to_string();
        let lines = self.lines.expose().split('\n');
        lines
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| {
                let rest = [host, &port, database, user]
                    .into_iter()
                    .try_fold(line, after_match)?;
                let password = unescaped(rest);
                (!password.expose().is_empty()).then_some(password)
            })
    }
}

/// What comes behind the first field of `line`, if that is `wanted` or `*`.
fn after_match<'l>(line: &'l str, wanted: &str) -> Option<&'l str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut rest = line.chars();
    loop {
        match rest.next()? {
            ':' => return wanted.next().is_none().then_some(rest.as_str()),
            '\\' => {
                let escaped = rest.next()?;
                if wanted.next() != Some(escaped) {
                    return None;
                }
            }
            c if wanted.next() == Some(c) => {}
            _ => return None,
        }
    }
}

/// The password that a line ends in; as in libpq, a `:` ends it.
fn unescaped(rest: &str) -> Secret {
    let mut password = String::with_capacity(rest.len());
    let mut rest = rest.chars();
    loop {
        match rest.next() {
            None | Some(':') => return Secret::new(password),
            Some('\\') => password.push(rest.next().unwrap_or('\\')),
            Some(c) => password.push(c),
        }
    }
}

/// Reads a file that only its owner may read.
///
/// # Errors
///
/// [`ErrorKind::Secret`].
pub(crate) fn read_private(path: &Path) -> Result<Secret> {
    let shown = path.display();
    let fail = |message: String| Error::new(ErrorKind::Secret, message);
    let unreadable = |error: std::io::Error| {
        fail(format!("the file {shown} cannot be read"))
            .with_hint("check the path and its permissions")
            .with_source(error)
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(fail(format!("{shown} is not a plain file")).with_hint("name a file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(fail(format!(
                "others can read or change the file {shown} (mode {mode:04o})"
            ))
            .with_hint(format!("run: chmod 600 {shown}")));
        }
    }
    if metadata.len() > MOST_BYTES {
        return Err(fail(format!(
            "the file {shown} has {} bytes, which is more than secrets have",
            metadata.len()
        ))
        .with_hint("check the path"));
    }
    let mut text = String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(MOST_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_matched_as_libpq_does() {
        let file = PasswordFile {
            lines: Secret::new(
                "# a comment:5432:d:u:no\n\
                 db.example.com:5432:shop:reader:first\r\n\
                 db.example.com:5432:shop:reader:second\n\
                 \\:\\:1:*:*:six:of\\:it\\\\all:rest\n\
                 *:6432:*:dagflux:anywhere\n\
                 short:5432:shop\n\
                 empty:*:*:*:\n\
                 *:*:*:*:läst",
            ),
        };
        for (host, port, database, user, expected) in [
            ("db.example.com", 5432, "shop", "reader", "first"),
            ("db.example.co", 5432, "shop", "reader", "läst"),
            ("db.example.com", 5433, "shop", "reader", "läst"),
            ("::1", 1, "x", "six", "of:it\\all"),
            ("h", 6432, "d", "dagflux", "anywhere"),
            ("# a comment", 5432, "d", "u", "läst"),
            ("short", 5432, "shop", "u", "läst"),
            ("empty", 1, "d", "u", "läst"),
        ] {
            let found = file.password(host, port, database, user).unwrap();
            assert_eq!(found.expose(), expected, "{host}:{port}:{database}:{user}");
        }
        let none = PasswordFile {
            lines: Secret::new("h:5432:d:u:p\n"),
        };
        assert!(none.password("h", 5432, "d", "other").is_none());
        assert_eq!(format!("{none:?}"), "PasswordFile { .. }");
    }

    #[cfg(unix)]
    #[test]
    fn files_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("dagflux-passfile-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("pgpass");
        std::fs::write(&path, "*:*:*:*:hidden").unwrap();
        for (mode, refused) in [
            (0o644, true),
            (0o660, true),
            (0o640, true),
            (0o600, false),
            (0o400, false),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = PasswordFile::read(&path);
            assert_eq!(read.is_err(), refused, "{mode:o}");
            if let Err(error) = read {
                assert_eq!(error.kind(), ErrorKind::Secret);
                assert!(error.hint().unwrap().starts_with("run: chmod 600"));
            }
        }
        assert!(PasswordFile::read(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
