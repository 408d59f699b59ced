//! Exit codes: one per class of failure, so that a script can tell "try again
//! later" from "mend the connection file" without reading the message.

use dagflux_host::ErrorKind;

/// How a run of the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Success,
    /// A failure that has no class of its own.
    Failure,
    /// The command line was not understood.
    Usage,
    /// The connection file, one of its values, or a secret it refers to.
    Configuration,
    /// The server could not be reached, or the connection to it broke.
    Connection,
    /// The login was rejected, or is not permitted to do this.
    Access,
    /// A database, schema, table or column does not exist.
    NotFound,
    /// The statement is wrong, or not of the kind this command runs.
    Statement,
    /// The rows and the table, or a value and its type, do not fit.
    Data,
    /// A time limit passed.
    Timeout,
    /// The server is overloaded, stopping, or locked by others.
    Busy,
    /// A commit was sent and its answer was lost.
    OutcomeUnknown,
    /// The connector is not one, was refused, or went beyond its limits.
    Connector,
    /// A local file could not be read or written, or holds something else.
    File,
    /// `check` found something that will not work, or that is not permitted.
    Findings,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted,
}

impl Exit {
    /// Every code, in the order of the table in `--help`.
    pub const ALL: [Exit; 16] = [
        Exit::Success,
        Exit::Failure,
        Exit::Usage,
        Exit::Configuration,
        Exit::Connection,
        Exit::Access,
        Exit::NotFound,
        Exit::Statement,
        Exit::Data,
        Exit::Timeout,
        Exit::Busy,
        Exit::OutcomeUnknown,
        Exit::Connector,
        Exit::File,
        Exit::Findings,
        Exit::Interrupted,
    ];

    /// The number the process ends with. 2 is clap's own for a wrong command
    /// line, 130 what shells give a process that Ctrl-C ended.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Configuration => 3,
            Exit::Connection => 4,
            Exit::Access => 5,
            Exit::NotFound => 6,
            Exit::Statement => 7,
            Exit::Data => 8,
            Exit::Timeout => 9,
            Exit::Busy => 10,
            Exit::OutcomeUnknown => 11,
            Exit::Connector => 12,
            Exit::File => 13,
            Exit::Findings => 14,
            Exit::Interrupted => 130,
        }
    }

    /// What the code means, for `--help`.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "success",
            Exit::Failure => "a failure that has no code of its own",
            Exit::Usage => "the command line was not understood",
            Exit::Configuration => {
                "the connection file, one of its values, or a secret it refers to"
            }
            Exit::Connection => "the server could not be reached, or the connection broke",
            Exit::Access => "the login was rejected, or is not permitted to do this",
            Exit::NotFound => "a database, schema, table or column does not exist",
            Exit::Statement => "the statement is wrong, or not one this command runs",
            Exit::Data => "the rows do not fit the table, or a value does not fit its type",
            Exit::Timeout => "a time limit passed",
            Exit::Busy => "the server is overloaded, stopping or locked; try again later",
            Exit::OutcomeUnknown => "a commit was sent and its answer was lost",
            Exit::Connector => "the connector was refused, failed, or went beyond its limits",
            Exit::File => "a local file could not be read or written",
            Exit::Findings => "check connected, and found something that will not work",
            Exit::Interrupted => "stopped by Ctrl-C",
        }
    }

    /// What to do next when the error itself does not say.
    pub const fn next_step(self) -> &'static str {
        match self {
            Exit::Configuration => {
                "correct the connection file; `dagflux describe <connector>` shows its fields"
            }
            Exit::Connection => "check host, port and firewall, and that the server is running",
            Exit::Access => {
                "check username and password, and the login's grants with `dagflux check`"
            }
            Exit::NotFound => "list what there is with `dagflux schemas`, `tables` or `columns`",
            Exit::Statement => "correct the statement and run it again",
            Exit::Data => "compare the file with `dagflux columns`",
            Exit::Timeout => "narrow the statement, or allow more with --statement-timeout",
            Exit::Busy => "wait a little and run the command again",
            Exit::OutcomeUnknown => {
                "look in the table whether the rows arrived before running it again"
            }
            Exit::Connector => {
                "see what the file is with `dagflux inspect`, or install another build of the connector"
            }
            Exit::File => "check the path, its permissions and the free space",
            Exit::Interrupted => "run the command again; nothing unfinished was kept",
            Exit::Success | Exit::Failure | Exit::Usage | Exit::Findings => {
                "run the command again with -v to see what it was doing"
            }
        }
    }

    /// The class of a failure that the host reports.
    pub fn of(kind: ErrorKind) -> Exit {
        use ErrorKind as K;
        match kind {
            K::Configuration | K::Secret | K::PolicyRefused => Exit::Configuration,
            K::NameResolution
            | K::Unreachable
            | K::ConnectTimeout
            | K::Tls
            | K::ConnectionLost
            | K::Closed => Exit::Connection,
            K::Authentication | K::PermissionDenied => Exit::Access,
            K::DatabaseNotFound | K::TableNotFound | K::SchemaNotFound | K::ColumnNotFound => {
                Exit::NotFound
            }
            K::Syntax | K::Statement | K::UnsupportedStatement | K::ReadOnly => Exit::Statement,
            K::AlreadyExists | K::Constraint | K::Value | K::SchemaMismatch => Exit::Data,
            K::StatementTimeout | K::WallTimeLimit => Exit::Timeout,
            K::Conflict | K::ServerResources | K::ServerShutdown => Exit::Busy,
            K::OutcomeUnknown => Exit::OutcomeUnknown,
            K::InvalidComponent
            | K::NotAConnector
            | K::ForbiddenImport
            | K::ComponentTooLarge
            | K::InvalidDescriptor
            | K::Trap
            | K::GuestTimeLimit
            | K::MemoryLimit
            | K::TransferLimit
            | K::CompileLimit
            | K::ConnectionLimit
            | K::Untrusted
            | K::NotGranted
            | K::InvalidData
            | K::Internal => Exit::Connector,
            K::Io => Exit::File,
            K::Cancelled => Exit::Interrupted,
            _ => Exit::Failure,
        }
    }
}

/// The table of exit codes, as `--help` shows it.
pub fn table() -> String {
    let mut out = String::from("Exit codes:\n");
    for exit in Exit::ALL {
        out.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct() {
        let codes: HashSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
    }

    #[test]
    fn table_in_help_is_this_one() {
        let expected = "\
Exit codes:
    0  success
    1  a failure that has no code of its own
    2  the command line was not understood
    3  the connection file, one of its values, or a secret it refers to
    4  the server could not be reached, or the connection broke
    5  the login was rejected, or is not permitted to do this
    6  a database, schema, table or column does not exist
    7  the statement is wrong, or not one this command runs
    8  the rows do not fit the table, or a value does not fit its type
    9  a time limit passed
   10  the server is overloaded, stopping or locked; try again later
   11  a commit was sent and its answer was lost
   12  the connector was refused, failed, or went beyond its limits
   13  a local file could not be read or written
   14  check connected, and found something that will not work
  130  stopped by Ctrl-C
";
        assert_eq!(table(), expected);
    }

    /// Every kind has a class of its own choosing; a new one fails here.
    #[test]
    fn kinds_map_to_their_class() {
        use ErrorKind as K;
        let without_class = [K::Protocol, K::Unsupported, K::Other];
        for kind in ErrorKind::ALL {
            assert_eq!(
                Exit::of(*kind) == Exit::Failure,
                without_class.contains(kind),
                "{kind}"
            );
        }
        for (kind, exit) in [
            (K::Configuration, Exit::Configuration),
            (K::Secret, Exit::Configuration),
            (K::NameResolution, Exit::Connection),
            (K::Unreachable, Exit::Connection),
            (K::ConnectionLost, Exit::Connection),
            (K::Authentication, Exit::Access),
            (K::DatabaseNotFound, Exit::NotFound),
            (K::TableNotFound, Exit::NotFound),
            (K::Syntax, Exit::Statement),
            (K::ReadOnly, Exit::Statement),
            (K::Constraint, Exit::Data),
            (K::StatementTimeout, Exit::Timeout),
            (K::ServerShutdown, Exit::Busy),
            (K::OutcomeUnknown, Exit::OutcomeUnknown),
            (K::ForbiddenImport, Exit::Connector),
            (K::NotAConnector, Exit::Connector),
            (K::InvalidComponent, Exit::Connector),
            (K::Io, Exit::File),
            (K::Cancelled, Exit::Interrupted),
        ] {
            assert_eq!(Exit::of(kind), exit, "{kind}");
        }
    }
}
