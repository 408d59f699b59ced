//! At which step a connection failed. Decided from what is known, without I/O.

use std::fmt;

use serde::Serialize;

use crate::error::ErrorKind;

/// A step of connecting, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConnectStep {
    /// Finding the address of the host.
    Resolve,
    /// Reaching the address and port.
    Tcp,
    /// Encrypting, and verifying the server.
    Tls,
    /// The server takes the connection up, and has the database.
    Startup,
    /// The login proves who it is.
    Authentication,
    /// The login is let in: here, in this database, from this machine.
    Authorization,
}

impl ConnectStep {
    /// The step's name, as in `authentication`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Startup => "startup",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
        }
    }

    /// That the step was taken, as in `TCP connected`.
    pub fn taken(self) -> &'static str {
        match self {
            Self::Resolve => "name resolved",
            Self::Tcp => "TCP connected",
            Self::Tls => "encrypted",
            Self::Startup => "the server answered",
            Self::Authentication => "logged in",
            Self::Authorization => "let in",
        }
    }
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name resolution",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            other => other.as_str(),
        })
    }
}

/// How far a connection has come, as its broker saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The host has a known address.
    pub(crate) resolved: bool,
    /// An address answered.
    pub(crate) connected: bool,
    /// A handshake was completed.
    pub(crate) encrypted: bool,
}

/// The steps of a connection that failed: the one that did, and those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) at: ConnectStep,
    progress: Progress,
}

impl Failed {
    /// The steps that were taken before.
    pub(crate) fn before(self) -> Vec<ConnectStep> {
        let Progress {
            resolved,
            connected,
            encrypted,
        } = self.progress;
        let taken = [
            (ConnectStep::Resolve, resolved),
            (ConnectStep::Tcp, connected),
            (ConnectStep::Tls, encrypted),
        ];
        let before = taken
            .into_iter()
            .filter(|(step, taken)| *taken && *step < self.at);
        before.map(|(step, _)| step).collect()
    }
}

/// Where a failure to connect belongs; nowhere if it came before the first step, or is one of
/// the connector's own.
pub(crate) fn failed(
    kind: ErrorKind,
    sqlstate: Option<&str>,
    progress: Progress,
) -> Option<Failed> {
    use ErrorKind as K;
    let at = match (kind, sqlstate) {
        // pg_hba.conf has no place for it, the role does not exist or may not log in.
        (_, Some("28000" | "42501")) => ConnectStep::Authorization,
        (K::Authentication, _) => ConnectStep::Authentication,
        (_, Some(_)) => ConnectStep::Startup,
        (K::NameResolution, None) => ConnectStep::Resolve,
        (K::Unreachable, None) => ConnectStep::Tcp,
        (K::Tls, None) => ConnectStep::Tls,
        (K::PermissionDenied, None) => ConnectStep::Authorization,
        (K::ConnectTimeout | K::WallTimeLimit | K::ConnectionLost | K::PolicyRefused, None) => {
            match (kind, progress) {
                (
                    _,
                    Progress {
                        resolved: false, ..
                    },
                ) => ConnectStep::Resolve,
                (
                    _,
                    Progress {
                        connected: false, ..
                    },
                ) => ConnectStep::Tcp,
                // What the policy refuses of a connected server is the way of logging in.
                (K::PolicyRefused, _) => ConnectStep::Authentication,
                _ => ConnectStep::Startup,
            }
        }
        // The password was asked for, and could not be had.
        (K::Secret, None) if progress.connected => ConnectStep::Authentication,
        (
            K::DatabaseNotFound
            | K::ServerResources
            | K::ServerShutdown
            | K::Protocol
            | K::Statement
            | K::Other,
            None,
        ) => ConnectStep::Startup,
        _ => return None,
    };
    Some(Failed { at, progress })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Progress = Progress {
        resolved: false,
        connected: false,
        encrypted: false,
    };
    const RESOLVED: Progress = Progress {
        resolved: true,
        ..NOTHING
    };
    const CONNECTED: Progress = Progress {
        connected: true,
        ..RESOLVED
    };
    const ENCRYPTED: Progress = Progress {
        encrypted: true,
        ..CONNECTED
    };

    #[test]
    fn every_failure_has_its_step() {
        use ConnectStep as S;
        use ErrorKind as K;
        for (kind, sqlstate, progress, expected) in [
            (K::NameResolution, None, NOTHING, Some(S::Resolve)),
            (K::PolicyRefused, None, NOTHING, Some(S::Resolve)),
            (K::Unreachable, None, RESOLVED, Some(S::Tcp)),
            (K::ConnectTimeout, None, NOTHING, Some(S::Resolve)),
            (K::ConnectTimeout, None, RESOLVED, Some(S::Tcp)),
            (K::ConnectTimeout, None, CONNECTED, Some(S::Startup)),
            (K::ConnectionLost, None, CONNECTED, Some(S::Startup)),
            (K::Tls, None, CONNECTED, Some(S::Tls)),
            (
                K::Authentication,
                Some("28P01"),
                ENCRYPTED,
                Some(S::Authentication),
            ),
            (K::Authentication, None, ENCRYPTED, Some(S::Authentication)),
            (K::PolicyRefused, None, CONNECTED, Some(S::Authentication)),
            (K::Secret, None, CONNECTED, Some(S::Authentication)),
            (K::Secret, None, NOTHING, None),
            (
                K::Authentication,
                Some("28000"),
                CONNECTED,
                Some(S::Authorization),
            ),
            (
                K::PermissionDenied,
                Some("42501"),
                CONNECTED,
                Some(S::Authorization),
            ),
            (
                K::DatabaseNotFound,
                Some("3D000"),
                CONNECTED,
                Some(S::Startup),
            ),
            (
                K::ServerResources,
                Some("53300"),
                CONNECTED,
                Some(S::Startup),
            ),
            (
                K::ServerShutdown,
                Some("57P03"),
                CONNECTED,
                Some(S::Startup),
            ),
            (K::Statement, Some("55000"), CONNECTED, Some(S::Startup)),
            (K::Protocol, None, CONNECTED, Some(S::Startup)),
            (K::Configuration, None, NOTHING, None),
            (K::Trap, None, CONNECTED, None),
        ] {
            let found = failed(kind, sqlstate, progress).map(|failed| failed.at);
            assert_eq!(found, expected, "{kind} {sqlstate:?} {progress:?}");
        }
    }

    #[test]
    fn only_steps_before_the_failure_were_taken() {
        use ConnectStep as S;
        let before = |kind, progress| failed(kind, None, progress).unwrap().before();
        assert_eq!(before(ErrorKind::NameResolution, NOTHING), []);
        assert_eq!(before(ErrorKind::Unreachable, RESOLVED), [S::Resolve]);
        assert_eq!(before(ErrorKind::Tls, CONNECTED), [S::Resolve, S::Tcp]);
        assert_eq!(
            before(ErrorKind::Authentication, CONNECTED),
            [S::Resolve, S::Tcp]
        );
        assert_eq!(
            before(ErrorKind::Authentication, ENCRYPTED),
            [S::Resolve, S::Tcp, S::Tls]
        );
    }
}
