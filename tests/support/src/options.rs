//! What can be chosen about a server.

use crate::Identity;

/// How the server keeps and asks for the password of the login `dagflux`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordMethod {
    /// SCRAM-SHA-256.
    #[default]
    ScramSha256,
    /// MD5, as servers set up before version 14 do.
    Md5,
}

impl PasswordMethod {
    /// The name in `postgresql.conf` and `pg_hba.conf`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha256 => "scram-sha-256",
            Self::Md5 => "md5",
        }
    }
}

/// What can be chosen about a [`Server`](crate::Server).
///
/// The default is a server that is quick rather than safe (nothing is synced to
/// the disk) and that asks every login for a password by SCRAM-SHA-256.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) hba: Option<Vec<String>>,
    pub(crate) password_method: PasswordMethod,
    pub(crate) major: Option<u32>,
    pub(crate) tls: Option<Tls>,
    pub(crate) ipv6: bool,
}

/// What a server needs for TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) identity: Identity,
    /// The authority for certificates of clients, in PEM.
    pub(crate) client_root: Option<String>,
}

impl ServerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a parameter of `postgresql.conf`; the last value of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the rules of `pg_hba.conf` for everyone but the superuser, who
    /// always gets in. Each call adds a line; without any, every login may come
    /// from the loopback interface with its password.
    #[must_use]
    pub fn with_hba_line(mut self, line: &str) -> Self {
        self.hba.get_or_insert_default().push(line.to_owned());
        self
    }

    /// How the password of the login `dagflux` is kept and asked for.
    #[must_use]
    pub fn with_password_method(mut self, method: PasswordMethod) -> Self {
        self.password_method = method;
        self
    }

    /// The major version of the server, 10 to 18: by default the one that is installed.
    #[must_use]
    pub fn with_version(mut self, major: u32) -> Self {
        self.major = Some(major);
        self
    }

    /// Has the server offer TLS, with this certificate and key.
    #[must_use]
    pub fn with_tls(mut self, identity: Identity) -> Self {
        let client_root = self.tls.and_then(|tls| tls.client_root);
        self.tls = Some(Tls {
            identity,
            client_root,
        });
        self
    }

    /// Has a server with TLS ask clients for a certificate, and know those that this
    /// authority (in PEM) has signed. Who needs one is up to the lines of `pg_hba.conf`.
    #[must_use]
    pub fn with_client_root(mut self, root: String) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.client_root = Some(root);
        }
        self
    }

    /// Has the server listen on `::1` as well, with the same rules.
    #[must_use]
    pub fn with_ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// The text of `pg_hba.conf`.
    pub(crate) fn hba_file(&self) -> String {
        let method = self.password_method.as_str();
        let mut lines = vec![
            "host all postgres 127.0.0.1/32 scram-sha-256".to_owned(),
            "host all postgres ::1/128 scram-sha-256".to_owned(),
        ];
        match &self.hba {
            Some(own) => lines.extend(own.iter().cloned()),
            None => lines.extend([
                format!("host all all 127.0.0.1/32 {method}"),
                format!("host all all ::1/128 {method}"),
            ]),
        }
        lines.join("\n") + "\n"
    }

    /// The addresses that the server listens on.
    pub(crate) fn addresses(&self) -> &'static str {
        if self.ipv6 {
            "127.0.0.1,::1"
        } else {
            "127.0.0.1"
        }
    }

    /// The settings, in the order in which they count.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        DEFAULT_SETTINGS
            .iter()
            .copied()
            .chain([("password_encryption", self.password_method.as_str())])
            .chain(
                self.settings
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
    }
}

/// A throw-away server has nothing to lose in a crash and nobody to replicate to.
const DEFAULT_SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("shared_buffers", "256MB"),
    ("maintenance_work_mem", "256MB"),
    ("timezone", "UTC"),
];
