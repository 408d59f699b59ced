//! From the connection form to a channel, and to a session on it.

use std::cell::Cell;
use std::time::Duration;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::config::{self, Encryption};
use dagflux_guest::tcp::{self, TcpChannel};
use dagflux_guest::{Channel, ChannelError, Error, Result, Stream, log};

use crate::auth::{Brokered, Credentials, Scram};
use crate::descriptor::SSL_REQUEST;
use crate::session::{Parameters, Session, Startup};

/// Connects and logs in with what the form holds.
///
/// # Errors
/// `configuration`, `name-resolution`, `unreachable`, `tls`, `authentication`, ...
pub fn open(application_name: String, statement_timeout: Option<Duration>) -> Result<Session> {
    let mut parameters = Parameters {
        database: config::text("database")?,
        schema: config::text_if_given("schema")?
            .filter(|schema| !schema.is_empty())
            .unwrap_or_else(|| "public".into()),
        application_name,
        statement_timeout,
        encrypted: false,
        startup: Startup::Complete,
    };
    let mut encryption = config::encryption("use_ssl")?;
    // Why it is not encrypted after all.
    let mut given_way = None;
    let both = |error: Error, first: &Option<Error>| match first {
        Some(first) => error.with_detail(format!("and encrypted: {first}")),
        None => error,
    };
    loop {
        let channel = match channel(encryption) {
            Ok(channel) => channel,
            Err(error) if gives_way(encryption, &error) => {
                encryption = Encryption::Off;
                given_way = Some(error);
                continue;
            }
            Err(error) => return Err(both(error, &given_way)),
        };
        parameters.encrypted = channel.is_encrypted();
        let credentials = Observed::default();
        match Session::open(Box::new(channel), parameters.clone(), &credentials) {
            Ok(mut session) => {
                session.set_dial(Box::new(move || Ok(Box::new(self::channel(encryption)?))));
                return Ok(session);
            }
            Err(error) if credentials.begun.get() => return Err(both(error, &given_way)),
            Err(error) if parameters.startup == Startup::Complete && is_pooler(&error) => {
                log::debug(
                    "postgres",
                    "a pooler refuses settings in the startup message",
                );
                parameters.startup = Startup::Bare;
            }
            Err(error) if parameters.encrypted && gives_way(encryption, &error) => {
                encryption = Encryption::Off;
                given_way = Some(error);
            }
            Err(error) => return Err(both(error, &given_way)),
        }
    }
}

/// The host's credentials, and whether a login was begun with them: then its end is the end.
#[derive(Default)]
struct Observed {
    begun: Cell<bool>,
}

impl Credentials for Observed {
    fn user(&self) -> Result<String> {
        Brokered.user()
    }

    fn scram(&self, stream: &Stream, mechanisms: &[String]) -> Result<Box<dyn Scram>> {
        self.begun.set(true);
        Brokered.scram(stream, mechanisms)
    }

    fn md5(&self, stream: &Stream, salt: [u8; 4]) -> Result<String> {
        self.begun.set(true);
        Brokered.md5(stream, salt)
    }
}

/// Whether a connection that need not be encrypted is tried without, as libpq does: where the
/// handshake failed, or where pg_hba.conf, the server's or a pooler's, has no place for an
/// encrypted one.
fn gives_way(encryption: Encryption, error: &Error) -> bool {
    let refused = match error.sqlstate() {
        Some("28000") => true,
        Some("08P01") => error.kind() == ErrorKind::Authentication,
        _ => error.kind() == ErrorKind::Tls,
    };
    encryption == Encryption::IfOffered && refused
}

/// Whether a pooler says that it takes no such parameter. It says so before any login.
fn is_pooler(error: &Error) -> bool {
    error.sqlstate() == Some("08P01") && error.message().contains("startup parameter")
}

/// A channel to the server, to stop a statement of another session by.
///
/// # Errors
/// As [`open`], up to the login.
pub fn second_channel() -> Result<Box<dyn Channel>> {
    let encryption = config::encryption("use_ssl")?;
    match channel(encryption) {
        Err(error) if gives_way(encryption, &error) => Ok(Box::new(channel(Encryption::Off)?)),
        channel => Ok(Box::new(channel?)),
    }
}

/// A channel to the server, encrypted as asked for. Manual: "SSL Session Encryption".
fn channel(encryption: Encryption) -> Result<TcpChannel> {
    let host = config::text("host")?;
    let mut channel = tcp::connect(&host, config::integer("port")?)?;
    if encryption == Encryption::Off {
        return Ok(channel);
    }
    match ask_for_encryption(&mut channel) {
        Ok(b'S') => channel.encrypt(&host),
        Ok(b'N') if encryption == Encryption::IfOffered => Ok(channel),
        Ok(b'N') => Err(Error::new(
            ErrorKind::Tls,
            "the server does not offer encryption, and the connection asks for it",
        )
        .with_hint(
            "have the server offer it (`ssl = on` in postgresql.conf; a pooler has a setting of its own), or turn Use SSL off \
             if the network to it can be trusted; a server that did offer it may have someone in between",
        )),
        // What else the server may say is not to be believed: nobody has proved who it is.
        Ok(_) => Err(Error::new(
            ErrorKind::Tls,
            "the server answered the request for encryption with something else",
        )
        .with_hint("check that host and port lead to a PostgreSQL server, and see its log")),
        Err(_) => Err(Error::new(
            ErrorKind::ConnectionLost,
            "the server closed the connection when it was asked for encryption",
        )
        .with_hint("check that host and port lead to a PostgreSQL server, and see its log")),
    }
}

/// Sends the request, and gives the one byte that answers it.
fn ask_for_encryption(channel: &mut TcpChannel) -> Result<u8, ChannelError> {
    // There is room for eight bytes in an empty buffer.
    channel.write(&SSL_REQUEST)?;
    channel.drain()?;
    let answer = channel.read_wait(1)?;
    answer.first().copied().ok_or(ChannelError::Closed)
}
