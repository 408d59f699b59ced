//! What libpq's parameters mean here.
//!
//! Manual: "Parameter Key Words". A parameter that asks for something that is not done here is
//! refused, unless a connection without it is no weaker and no other.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::fault;
use super::url::several;
use crate::config::nearest;
use crate::descriptor::{Descriptor, Field, Role};
use crate::error::{Error, Result};
use crate::policy::tls::TlsMode;
use crate::settings;

/// What a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    Host,
    HostAddress,
    Port,
    Database,
    User,
    Password,
    PasswordFile,
    Schema,
    SslMode,
    SslCa,
    SslCert,
    SslKey,
    SslMinVersion,
    ChannelBinding,
    ConnectTimeout,
    StatementTimeout,
    KeepAlive,
    ApplicationName,
}

/// The parameters that there is a place for.
const TAKEN: &[(&str, Meaning)] = &[
    ("host", Meaning::Host),
    ("hostaddr", Meaning::HostAddress),
    ("port", Meaning::Port),
    ("dbname", Meaning::Database),
    ("user", Meaning::User),
    ("password", Meaning::Password),
    ("passfile", Meaning::PasswordFile),
    ("sslmode", Meaning::SslMode),
    ("sslrootcert", Meaning::SslCa),
    ("sslcert", Meaning::SslCert),
    ("sslkey", Meaning::SslKey),
    ("ssl_min_protocol_version", Meaning::SslMinVersion),
    ("channel_binding", Meaning::ChannelBinding),
    ("connect_timeout", Meaning::ConnectTimeout),
    ("application_name", Meaning::ApplicationName),
];

/// Those that are taken in a way of their own.
const SPECIAL: &[&str] = &[
    "options",
    "keepalives",
    "keepalives_idle",
    "fallback_application_name",
];

/// Those that nothing depends on: text is Unicode, sockets of the file system and GSSAPI are not
/// used, and the kernel's times stay as they are.
const IDLE: &[&str] = &[
    "client_encoding",
    "gssdelegation",
    "gsslib",
    "keepalives_count",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "requirepeer",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
];

/// Those that can only be left at these values, and why.
const ONLY: &[(&str, &[&str], &str)] = &[
    (
        "gssencmode",
        &["disable", "prefer"],
        "connections are not encrypted by GSSAPI",
    ),
    (
        "replication",
        &["false", "off", "no", "0"],
        "connections are not for replication",
    ),
    (
        "require_auth",
        &[],
        "the ways of logging in are for the host's policy to choose; with `channel_binding=require` only SCRAM-SHA-256-PLUS is left",
    ),
    (
        "service",
        &[],
        "service files are not read: write the parameters themselves",
    ),
    (
        "servicefile",
        &[],
        "service files are not read: write the parameters themselves",
    ),
    (
        "ssl_max_protocol_version",
        &["TLSv1.3"],
        "the newest version of TLS that both sides know is used",
    ),
    (
        "sslcertmode",
        &["allow"],
        "a client certificate is shown when one is given and the server asks for it",
    ),
    (
        "sslcrl",
        &[],
        "lists of revoked certificates are not looked into",
    ),
    (
        "sslcrldir",
        &[],
        "lists of revoked certificates are not looked into",
    ),
    (
        "sslkeylogfile",
        &[],
        "the keys of a connection are not written to files",
    ),
    (
        "sslnegotiation",
        &["postgres"],
        "encryption is asked for in PostgreSQL's own way first, which every server knows",
    ),
    (
        "sslpassword",
        &[],
        "the client key is not to be encrypted: keep it in a key store, or in a file that only you can read",
    ),
    (
        "target_session_attrs",
        &["any"],
        "a connection leads to one server, whatever its state",
    ),
];

impl Meaning {
    /// The parameter's name in libpq.
    pub fn parameter(self) -> &'static str {
        let known = TAKEN.iter().find(|(_, meaning)| *meaning == self);
        match (self, known) {
            (_, Some((name, _))) => name,
            (Self::KeepAlive, None) => "keepalives_idle",
            (_, None) => "options",
        }
    }

    /// The field it goes to.
    pub fn field(self, descriptor: &Descriptor) -> Option<&Field> {
        let name = match self {
            Self::Host => return descriptor.field_with_role(Role::EndpointHost),
            Self::Port => return descriptor.field_with_role(Role::EndpointPort),
            Self::User => return descriptor.field_with_role(Role::LoginName),
            Self::Password => return descriptor.field_with_role(Role::LoginPassword),
            Self::PasswordFile | Self::ApplicationName => return None,
            Self::HostAddress => settings::HOST_ADDRESS,
            Self::Database => "database",
            Self::Schema => "schema",
            Self::SslMode => settings::SSL_MODE,
            Self::SslCa => settings::SSL_CA,
            Self::SslCert => settings::SSL_CERT,
            Self::SslKey => settings::SSL_KEY,
            Self::SslMinVersion => settings::SSL_MIN_VERSION,
            Self::ChannelBinding => settings::CHANNEL_BINDING,
            Self::ConnectTimeout => settings::CONNECT_TIMEOUT,
            Self::StatementTimeout => settings::STATEMENT_TIMEOUT,
            Self::KeepAlive => settings::KEEP_ALIVE,
        };
        descriptor.field(name)
    }
}

type Values = BTreeMap<Meaning, Zeroizing<String>>;

/// Makes sense of parameters; of several with one name the last counts.
pub fn read<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Values> {
    let mut values = Values::new();
    let mut fallback = None;
    let mut keep_alive = true;
    for (at, (name, value)) in parameters.into_iter().enumerate() {
        if value.contains('\0') {
            return Err(fault(
                "a value of the connection string holds a NUL character",
                "remove it",
            ));
        }
        let mut keep = |meaning, value: &str| {
            values.insert(meaning, Zeroizing::new(value.to_owned()));
        };
        let known = TAKEN.iter().find(|(known, _)| *known == name);
        match (known, name) {
            (Some((_, meaning)), _) if value.is_empty() => {
                values.remove(meaning);
            }
            (Some((_, meaning)), _) => {
                if let Some(value) = checked(*meaning, name, value)? {
                    keep(*meaning, value);
                }
            }
            (None, _) if value.is_empty() && is_known(name) => {}
            (None, "options") => options(value, &mut keep)?,
            (None, "fallback_application_name") => fallback = Some(value),
            (None, "keepalives") => keep_alive = value != "0",
            (None, "keepalives_idle") => {
                if let Some(value) = seconds(name, value)? {
                    keep(Meaning::KeepAlive, value);
                }
            }
            (None, name) if IDLE.contains(&name) => {}
            (None, name) => match ONLY.iter().find(|(known, ..)| *known == name) {
                Some((_, permitted, _)) if permitted.contains(&value) => {}
                Some((name, _, reason)) => return Err(refused(name, reason)),
                None => return Err(unknown(at, name)),
            },
        }
    }
    if !keep_alive {
        values.insert(Meaning::KeepAlive, Zeroizing::new("0".to_owned()));
    }
    if let Some(name) = fallback {
        (values.entry(Meaning::ApplicationName)).or_insert_with(|| Zeroizing::new(name.to_owned()));
    }
    system_roots(&mut values)?;
    Ok(values)
}

/// `sslrootcert=system` stands for the machine's own CAs, with the server's name looked at: for
/// anything less they prove nothing.
fn system_roots(values: &mut Values) -> Result<()> {
    if values
        .get(&Meaning::SslCa)
        .is_none_or(|ca| ca.as_str() != "system")
    {
        return Ok(());
    }
    values.remove(&Meaning::SslCa);
    let full = TlsMode::VerifyFull.as_str();
    let mode = values
        .entry(Meaning::SslMode)
        .or_insert_with(|| Zeroizing::new(full.to_owned()));
    match mode.as_str() == full {
        true => Ok(()),
        false => Err(fault(
            "`sslrootcert` is system, which goes with no other `sslmode` than verify-full",
            "leave one of the two out",
        )),
    }
}

/// A value in our words; none if it stands for the default.
fn checked<'v>(meaning: Meaning, name: &str, value: &'v str) -> Result<Option<&'v str>> {
    match meaning {
        Meaning::Host => host(value).map(Some),
        Meaning::HostAddress if value.contains(',') => Err(several()),
        Meaning::Port => match value.parse::<u16>() {
            Ok(1..) => Ok(Some(value)),
            _ if value.contains(',') => Err(several()),
            _ => Err(fault(
                "the port of the connection string is not a number from 1 to 65535",
                "write it behind the host, as in postgres://user@host:5432/database; in a password, write : as %3A and / as %2F",
            )),
        },
        Meaning::SslMode => match value {
            // To begin without encryption is the weaker of the two.
            "allow" => Ok(Some(TlsMode::Prefer.as_str())),
            mode => one_of(name, mode, TlsMode::NAMES),
        },
        Meaning::SslMinVersion => match value {
            // Older ones are not offered whatever is asked for.
            "TLSv1" | "TLSv1.1" => Ok(Some("TLSv1.2")),
            version => one_of(name, version, &["TLSv1.2", "TLSv1.3"]),
        },
        Meaning::ChannelBinding => match value {
            "disable" => Ok(Some("prefer")),
            binding => one_of(name, binding, &["prefer", "require"]),
        },
        Meaning::ConnectTimeout => seconds(name, value),
        _ => Ok(Some(value)),
    }
}

fn host(value: &str) -> Result<&str> {
    if value.starts_with(['/', '@']) {
        return Err(fault(
            "the host of the connection string is a Unix socket, and connections are made by TCP",
            "name the host, such as localhost, and have the server listen there (`listen_addresses`)",
        ));
    }
    if value.contains(',') {
        return Err(several());
    }
    if value.contains(['@', '/', '?', '#', ' ']) {
        return Err(fault(
            "the host of the connection string is not a name or an address",
            "in a password of a connection URL, write @ as %40, / as %2F, ? as %3F and # as %23",
        ));
    }
    Ok(value)
}

/// Whole seconds; libpq takes zero and less for none.
fn seconds<'v>(name: &str, value: &'v str) -> Result<Option<&'v str>> {
    match value.trim().parse::<i64>() {
        Ok(1..) => Ok(Some(value.trim())),
        Ok(_) => Ok(None),
        Err(_) => Err(fault(
            format!("`{name}` of the connection string has to be a whole number of seconds"),
            "correct the connection string",
        )),
    }
}

fn one_of<'v>(name: &str, value: &'v str, known: &[&str]) -> Result<Option<&'v str>> {
    match known.contains(&value) {
        true => Ok(Some(value)),
        false => Err(fault(
            format!(
                "`{name}` of the connection string has to be one of {}",
                known.join(", ")
            ),
            "correct the connection string",
        )),
    }
}

/// The server's settings in `options`: `-c name=value` or `--name=value`, with blanks and
/// backslashes escaped by a backslash. Manual: "Other Defaults".
fn options(text: &str, keep: &mut impl FnMut(Meaning, &str)) -> Result<()> {
    let mut words = words(text).into_iter();
    let unknown = || {
        fault(
            "`options` of the connection string has something else than search_path and statement_timeout",
            "give the schema as `-c search_path=name`; other settings can be made for the login, with ALTER ROLE ... SET",
        )
    };
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().ok_or_else(unknown)?,
            Some(setting) => setting.to_owned(),
            None => return Err(unknown()),
        };
        let (name, value) = setting.split_once('=').ok_or_else(unknown)?;
        match name.replace('-', "_").as_str() {
            "search_path" => keep(Meaning::Schema, &schema(value)?),
            "statement_timeout" => {
                if let Some(seconds) = statement_seconds(value)? {
                    keep(Meaning::StatementTimeout, &seconds);
                }
            }
            _ => return Err(unknown()),
        }
    }
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The one schema of a search path, as the server names it.
fn schema(path: &str) -> Result<String> {
    let path = path.trim();
    if let Some(quoted) = path
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        let name = quoted.replace("\"\"", "\"");
        if name.matches('"').count().saturating_mul(2) == quoted.matches('"').count() {
            return Ok(name);
        }
    }
    match path.contains([',', '"', ' ']) {
        true => Err(fault(
            "`search_path` in the connection string has several schemas, and a connection has one",
            "name the schema that tables are looked up in and created in; others are written before a table's name",
        )),
        false => Ok(path.to_lowercase()),
    }
}

/// Seconds, of what the server takes for milliseconds if it has no unit.
fn statement_seconds(value: &str) -> Result<Option<String>> {
    let value = value.trim();
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor: Option<u64> = match unit.trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let parsed = number.parse::<u64>().ok();
    match parsed
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
    {
        Some(0) => Ok(None),
        // Never shorter than was asked for.
        Some(milliseconds) => Ok(Some(milliseconds.div_ceil(1_000).to_string())),
        None => Err(fault(
            "`statement_timeout` in the connection string is not a time",
            "write it in milliseconds, or with one of the units ms, s, min and h",
        )),
    }
}

fn is_known(name: &str) -> bool {
    SPECIAL.contains(&name) || IDLE.contains(&name) || ONLY.iter().any(|(known, ..)| *known == name)
}

fn refused(name: &str, reason: &str) -> Error {
    fault(
        format!("`{name}` of the connection string cannot be kept to: {reason}"),
        format!("leave `{name}` out"),
    )
}

/// An unknown name is not shown: it may be the rest of a password.
fn unknown(at: usize, name: &str) -> Error {
    let known = TAKEN
        .iter()
        .map(|(known, _)| *known)
        .chain(SPECIAL.iter().copied());
    let message = "the connection string has a parameter that is not known";
    match nearest(name, known.clone()) {
        Some(near) => fault(message, format!("did you mean `{near}`?")),
        None => fault(
            format!("{message}, in place {}", at.saturating_add(1)),
            format!(
                "the parameters are {}",
                known.collect::<Vec<_>>().join(", ")
            ),
        ),
    }
}
