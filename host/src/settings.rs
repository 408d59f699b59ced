//! The host's own fields of a connection: how it is encrypted, verified and timed.
//!
//! They stand beside the fields of a connector's form, in the same
//! [`Config`](crate::Config) and secrets, and no connector sees them. So every
//! connector has them, they mean the same everywhere, and none can get them wrong.

use std::time::Duration;

use crate::config::{Config, Value};
use crate::descriptor::{Descriptor, Field, FieldKind, Role};
use crate::error::Fault;
use crate::policy::tls::{self, Proof, TlsMode, Wishes};

/// How a connection is encrypted.
pub const SSL_MODE: &str = "ssl_mode";
/// The CA that signs for the server.
pub const SSL_CA: &str = "ssl_ca";
/// The client's certificate.
pub const SSL_CERT: &str = "ssl_cert";
/// The key of the client's certificate.
pub const SSL_KEY: &str = "ssl_key";
/// The server's certificate, pinned.
pub const SSL_FINGERPRINT: &str = "ssl_fingerprint";
/// The oldest version of TLS to accept.
pub const SSL_MIN_VERSION: &str = "ssl_min_version";
/// Whether the login has to be bound to the channel.
pub const CHANNEL_BINDING: &str = "channel_binding";
/// Where the host is, if not where its name leads.
pub const HOST_ADDRESS: &str = "host_address";
/// How long connecting may take.
pub const CONNECT_TIMEOUT: &str = "connect_timeout";
/// How long a statement may run.
pub const STATEMENT_TIMEOUT: &str = "statement_timeout";
/// How long a connection may lie idle.
pub const IDLE_TIMEOUT: &str = "idle_timeout";
/// When to ask whether the server is still there.
pub const KEEP_ALIVE: &str = "keep_alive";

/// The oldest version of TLS that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246). Older ones are broken (RFC 8996), and not offered.
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

const VERSIONS: &[&str] = &["TLSv1.2", "TLSv1.3"];
const BINDINGS: &[&str] = &["prefer", "require"];

/// Seconds of a timeout: up to a day.
const MOST_SECONDS: i64 = 24 * 60 * 60;

/// What the host's own fields say, made sense of.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mode: TlsMode,
    pub(crate) proof: Proof,
    pub(crate) ca: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) min_version: TlsVersion,
    pub(crate) binding_required: bool,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    /// None turns it off.
    pub(crate) keep_alive: Option<Duration>,
}

/// A connection that stays silent is asked for after a minute, so that a firewall which drops
/// idle connections after five keeps it.
const KEEP_ALIVE_SILENCE: Duration = Duration::from_secs(60);

/// The fields that a connector with this form has beside its own.
pub(crate) fn fields(own: &[Field]) -> Vec<Field> {
    let encrypts = own.iter().any(|field| field.role == Role::TlsSwitch);
    let mut fields = Vec::new();
    if encrypts {
        fields.extend(encryption());
    }
    fields.extend(network());
    fields
}

/// The names of all of them, which no connector may use.
pub(crate) const NAMES: &[&str] = &[
    SSL_MODE,
    SSL_CA,
    SSL_CERT,
    SSL_KEY,
    SSL_FINGERPRINT,
    SSL_MIN_VERSION,
    CHANNEL_BINDING,
    HOST_ADDRESS,
    CONNECT_TIMEOUT,
    STATEMENT_TIMEOUT,
    IDLE_TIMEOUT,
    KEEP_ALIVE,
];

fn encryption() -> [Field; 7] {
    [
        Field {
            choices: TlsMode::NAMES,
            ..text(
                SSL_MODE,
                "SSL mode",
                "In place of Use SSL. verify-full: encrypted, and the server proves that it is the host named, as with Use SSL, but with `ssl_ca` in place of the \
                 CAs of this machine. \
                 verify-ca: it proves only that `ssl_ca` signed for it. require: encrypted, but anyone could be the server. \
                 prefer: not even encrypted if someone in between says so. disable: in the clear.",
            )
        },
        Field {
            kind: FieldKind::File,
            ..text(
                SSL_CA,
                "CA certificate",
                "The PEM file of the CA that signed the server's certificate, or its text, where this machine does not trust it \
                 anyway: managed databases often have a CA of their own.",
            )
        },
        Field {
            kind: FieldKind::File,
            ..text(
                SSL_CERT,
                "Client certificate",
                "The PEM file of a certificate to log in with, or its text, followed by the certificates between it and its CA.",
            )
        },
        Field {
            kind: FieldKind::Secret,
            sensitive: true,
            ..text(
                SSL_KEY,
                "Client key",
                "The private key of the client certificate, in PEM form and not encrypted. The connector never sees it.",
            )
        },
        text(
            SSL_FINGERPRINT,
            "Server fingerprint",
            "Pins the server's certificate: sha256: and its SHA-256 in hexadecimal. It is then trusted whoever signed it, and no \
             other is, until it is replaced.",
        ),
        Field {
            choices: VERSIONS,
            default: Some("TLSv1.2".into()),
            ..text(
                SSL_MIN_VERSION,
                "Oldest TLS version",
                "Older versions are refused.",
            )
        },
        Field {
            choices: BINDINGS,
            default: Some("prefer".into()),
            ..text(
                CHANNEL_BINDING,
                "Channel binding",
                "Binds the login to the encrypted channel, so that no one can relay it, where the server can (prefer), or else \
                 does not log in (require).",
            )
        },
    ]
}

fn network() -> [Field; 5] {
    [
        Field {
            sensitive: true,
            ..text(
                HOST_ADDRESS,
                "Host address",
                "The IP address to connect to, in place of those the host's name has: for a tunnel. The server is verified by \
                 its name all the same.",
            )
        },
        seconds(
            CONNECT_TIMEOUT,
            "Connect timeout",
            None,
            "Seconds until connecting is given up, login included. Without one, the host's limit of 15.",
        ),
        seconds(
            STATEMENT_TIMEOUT,
            "Statement timeout",
            None,
            "Seconds until the server stops a statement. Without one, the server's own setting; 0 is the same.",
        ),
        seconds(
            IDLE_TIMEOUT,
            "Idle timeout",
            None,
            "Seconds after which a connection that nobody uses is closed. Without one, or with 0, never.",
        ),
        seconds(
            KEEP_ALIVE,
            "Keep alive",
            Some(KEEP_ALIVE_SILENCE),
            "Seconds of silence after which the server is asked whether it is still there, by TCP. 0 turns it off.",
        ),
    ]
}

fn text(name: &str, label: &str, help: &str) -> Field {
    Field {
        name: name.into(),
        label: label.into(),
        kind: FieldKind::Text,
        required: false,
        sensitive: false,
        default: None,
        help: help.into(),
        role: Role::None,
        choices: &[],
    }
}

fn seconds(name: &str, label: &str, default: Option<Duration>, help: &str) -> Field {
    Field {
        kind: FieldKind::Integer,
        default: default.map(|default| default.as_secs().to_string()),
        ..text(name, label, help)
    }
}

impl Settings {
    /// The same, but where nothing has to be encrypted, as if Use SSL were on.
    pub(crate) fn verifying(self) -> Self {
        if self.mode.is_mandatory() {
            return self;
        }
        Self {
            mode: TlsMode::VerifyFull,
            proof: Proof {
                fingerprint: None,
                chain: true,
                system_roots: true,
                name: true,
            },
            ..self
        }
    }

    /// What a configuration says, with `sensitive` naming the sensitive fields that have a value.
    ///
    /// # Errors
    ///
    /// Every fault.
    pub(crate) fn read(
        config: &Config,
        descriptor: &Descriptor,
        sensitive: &[&str],
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let text = |name: &str| match config.value(name) {
            Some(Value::Text(text)) if !text.trim().is_empty() => Some(text.as_str()),
            _ => None,
        };
        let mut choice = |field: &'static str, known: &[&str]| {
            let given = text(field)?;
            if !known.contains(&given) {
                faults.push(Fault::new(
                    field,
                    format!(
                        "`{field}` has to be one of {}, not {given:?}",
                        known.join(", ")
                    ),
                ));
            }
            Some(given)
        };
        let min_version = match choice(SSL_MIN_VERSION, VERSIONS) {
            Some("TLSv1.3") => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        };
        let binding_required = choice(CHANNEL_BINDING, BINDINGS) == Some("require");
        let duration = |field: &'static str, faults: &mut Vec<Fault>| match config.value(field) {
            Some(Value::Integer(seconds)) if (0..=MOST_SECONDS).contains(seconds) => {
                Some(Duration::from_secs(seconds.unsigned_abs()))
            }
            Some(Value::Integer(seconds)) => {
                faults.push(Fault::new(
                    field,
                    format!("`{field}` has to be a number of seconds up to {MOST_SECONDS}, not {seconds}"),
                ));
                None
            }
            _ => None,
        };
        let [connect_timeout, statement_timeout, idle_timeout, keep_alive] =
            [CONNECT_TIMEOUT, STATEMENT_TIMEOUT, IDLE_TIMEOUT, KEEP_ALIVE]
                .map(|field| duration(field, &mut faults));
        let fingerprint = text(SSL_FINGERPRINT).and_then(|text| {
            tls::fingerprint(text)
                .map_err(|(field, message)| faults.push(Fault::new(field, message)))
                .ok()
        });
        let certificate = text(SSL_CERT).map(str::to_owned);
        let has_key = sensitive.contains(&SSL_KEY);
        match (&certificate, has_key) {
            (Some(_), false) => faults.push(Fault::new(
                SSL_KEY,
                "`ssl_cert` is given without its key: give `ssl_key` as well",
            )),
            (None, true) => faults.push(Fault::new(
                SSL_CERT,
                "`ssl_key` is given without its certificate: give `ssl_cert` as well",
            )),
            _ => {}
        }
        let use_ssl = descriptor
            .field_with_role(Role::TlsSwitch)
            .and_then(|field| match config.value(&field.name) {
                Some(Value::Boolean(on)) => Some(*on),
                // A form may have encryption on unless it is turned off.
                _ => (field.default.as_deref() == Some("true") && text(SSL_MODE).is_none())
                    .then_some(true),
            });
        let wishes = Wishes {
            use_ssl,
            ssl_mode: text(SSL_MODE),
            has_ca: text(SSL_CA).is_some(),
            fingerprint,
            has_certificate: certificate.is_some(),
        };
        let (mode, proof) = match tls::decide(wishes) {
            Ok(decided) => decided,
            Err((field, message)) => {
                faults.push(Fault::new(field, message));
                return Err(faults);
            }
        };
        if binding_required && !mode.is_mandatory() {
            faults.push(Fault::new(
                CHANNEL_BINDING,
                "`channel_binding` is require, and the connection need not be encrypted: turn Use SSL on",
            ));
        }
        if mode != TlsMode::Disable && descriptor.tls.is_none() {
            faults.push(Fault::new(
                SSL_MODE,
                "the connector cannot encrypt its connection: turn Use SSL off",
            ));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let nonzero = |duration: Option<Duration>| duration.filter(|duration| !duration.is_zero());
        Ok(Self {
            mode,
            proof,
            ca: text(SSL_CA).map(str::to_owned),
            certificate,
            min_version,
            binding_required,
            connect_timeout: nonzero(connect_timeout),
            statement_timeout: nonzero(statement_timeout),
            idle_timeout: nonzero(idle_timeout),
            keep_alive: match keep_alive {
                None => Some(KEEP_ALIVE_SILENCE),
                given => nonzero(given),
            },
        })
    }
}
