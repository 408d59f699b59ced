//! One combination, and what can become of it.

use std::fmt;

use dagflux_test_support::ServerCertificate;

/// One combination of what a server asks for with what a client does.
#[derive(Clone)]
pub struct Case {
    /// The server, by its version or name.
    pub server: &'static str,
    /// The line of `pg_hba.conf` that the login meets.
    pub rule: Rule,
    /// The server's certificate; none if it offers no TLS.
    pub certificate: Option<ServerCertificate>,
    /// The client's certificate.
    pub client: Client,
    /// What the client does about TLS.
    pub mode: Mode,
}

/// A line of `pg_hba.conf`; each has a login of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `host`, `hostssl`, `hostnossl`; empty if there is no line for this login.
    pub connection: &'static str,
    /// The method.
    pub method: &'static str,
    /// What follows the method.
    pub option: &'static str,
}

impl Rule {
    /// The login that it is for.
    pub fn login(&self) -> String {
        let words = format!("{}_{}_{}", self.connection, self.method, self.option);
        words.replace(['-', '='], "_").trim_matches('_').to_owned()
    }

    /// The line, for connections from this machine.
    pub fn line(&self) -> Option<String> {
        let Self {
            connection,
            method,
            option,
        } = self;
        let login = self.login();
        (!connection.is_empty())
            .then(|| format!("{connection} all {login} 127.0.0.1/32 {method} {option}"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.connection, self.option) {
            ("", _) => f.write_str("no line"),
            (connection, "") => write!(f, "{connection} {}", self.method),
            (connection, option) => write!(f, "{connection} {} {option}", self.method),
        }
    }
}

/// The certificate that a client shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// None.
    None,
    /// One for the login, by an authority that the server knows.
    Own,
    /// One for another login.
    Other,
    /// One for the login, by an authority that the server does not know.
    Unknown,
}

impl Client {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Own => "own",
            Self::Other => "another's",
            Self::Unknown => "unknown CA",
        }
    }
}

/// What a client does about TLS. The authority is given for those that verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Use SSL off; libpq's `disable`.
    Off,
    Disable,
    Prefer,
    Require,
    /// `require` with the authority given.
    RequireWithCa,
    VerifyCa,
    VerifyFull,
    /// `verify-full` with no authority but those of the system.
    VerifyFullBySystem,
    /// Use SSL on; libpq's `verify-full`.
    On,
}

impl Mode {
    pub const ALL: [Self; 9] = [
        Self::Off,
        Self::Disable,
        Self::Prefer,
        Self::Require,
        Self::RequireWithCa,
        Self::VerifyCa,
        Self::VerifyFull,
        Self::VerifyFullBySystem,
        Self::On,
    ];

    /// Those that matter where the certificate is a good one.
    pub const FEW: [Self; 5] = [
        Self::Disable,
        Self::Prefer,
        Self::Require,
        Self::VerifyFull,
        Self::On,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "Use SSL off",
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::RequireWithCa => "require, CA",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
            Self::VerifyFullBySystem => "v.-full, no CA",
            Self::On => "Use SSL on",
        }
    }

    /// libpq's name of the mode.
    pub fn sslmode(self) -> &'static str {
        match self {
            Self::Off | Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require | Self::RequireWithCa => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull | Self::VerifyFullBySystem | Self::On => "verify-full",
        }
    }

    /// Whether the authority is given.
    pub fn has_ca(self) -> bool {
        matches!(
            self,
            Self::RequireWithCa | Self::VerifyCa | Self::VerifyFull | Self::On
        )
    }
}

/// What becomes of connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Logged in, encrypted.
    Encrypted,
    /// Logged in, in the clear.
    Clear,
    /// Refused when it came to TLS.
    Tls,
    /// Refused when it came to the login, by either side.
    Login,
    /// Refused for what was configured, before anything was sent.
    Configuration,
    /// The connection broke.
    Lost,
    /// Something else.
    Other,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Clear => "clear",
            Self::Tls => "no: tls",
            Self::Login => "no: login",
            Self::Configuration => "no: config",
            Self::Lost => "no: lost",
            Self::Other => "no: other",
        }
    }
}

/// The name of a server's certificate in the table.
pub fn certificate_name(certificate: Option<ServerCertificate>) -> &'static str {
    use ServerCertificate as Kind;
    match certificate {
        None => "no TLS",
        Some(Kind::Good) => "good",
        Some(Kind::GoodWithAddress) => "good, address",
        Some(Kind::Intermediate) => "good, in between",
        Some(Kind::Expired) => "expired",
        Some(Kind::NotYetValid) => "not yet valid",
        Some(Kind::WrongName) => "wrong name",
        Some(Kind::UnknownAuthority) => "unknown CA",
        Some(Kind::SelfSigned) => "self-signed",
        Some(Kind::CommonNameOnly) => "CN only",
    }
}
