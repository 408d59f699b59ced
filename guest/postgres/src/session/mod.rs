//! One connection to a server: login, the rhythm of requests and answers, and its end.
//!
//! # Rhythm
//!
//! Requests are put together into a flight and sent as one; the server answers each flight's
//! parts with one `ReadyForQuery` each, which the session counts. A failure is returned only
//! once the connection is at rest again or known to be lost, so that whatever comes next starts
//! on firm ground: [`Session::settle`] discards what is still on its way and rolls back.
//!
//! Logging in takes one flight for the parameters and two for SCRAM.
//!
//! # Settings
//!
//! What the session needs (encoding, search path, formats, time limit) is in the startup message,
//! which costs nothing. Nothing is built on that: a pooler may swallow it, and may serve each
//! transaction from another server process. So every transaction begins with them, in the flight
//! that begins it; see `settings`.

mod asking;
mod incoming;
mod settings;
mod transaction;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dagflux_guest::bindings::dagflux::connector::types::{ErrorKind, Notice};
use dagflux_guest::{Channel, Error, Result, Stream, log};

pub use incoming::Stopped;
pub use transaction::{Access, Held};

use crate::auth::{Credentials, Login};
use crate::cancel::{self, CancelKey};
use crate::dialect;
use crate::protocol::backend::{self, Message, TextRow};
use crate::protocol::frontend;

/// The context of what goes to the log.
const LOG: &str = "postgres";

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// The database.
    pub database: String,
    /// The schema that names without one are looked up in.
    pub schema: String,
    /// The name under which the server lists the connection.
    pub application_name: String,
    /// How long a statement may run.
    pub statement_timeout: Option<Duration>,
    /// Whether the channel is encrypted.
    pub encrypted: bool,
    /// What the startup message holds.
    pub startup: Startup,
}

/// What the startup message holds beside who connects to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Startup {
    /// All settings.
    Complete,
    /// Those that every pooler takes.
    Bare,
}

/// Whether a transaction is open, as the last `ReadyForQuery` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    Idle,
    Open,
    Failed,
}

/// A logged-in connection.
pub struct Session {
    stream: Stream,
    parameters: Parameters,
    /// The login name.
    user: String,
    /// What the server says of itself (`ParameterStatus`).
    status: HashMap<String, String>,
    key: Option<CancelKey>,
    notices: VecDeque<Notice>,
    transaction: Transaction,
    /// The transaction that the caller holds open over several calls.
    held: Option<Held>,
    /// How many `ReadyForQuery` are still to come.
    outstanding: u32,
    /// When the last request was made.
    sent: Option<Instant>,
    /// Whether the server has let us in.
    logged_in: bool,
    /// Whether a row stream or a sink holds the session.
    busy: bool,
    /// Why the connection is no more.
    lost: Option<Error>,
    /// Whether the startup message's settings are in effect, once that was asked.
    settings_hold: Option<bool>,
    /// Opens a second channel to the server, to stop a statement by.
    dial: Option<Dial>,
}

/// Opens a channel to the server.
pub type Dial = Box<dyn Fn() -> Result<Box<dyn Channel>>>;

impl Session {
    /// Logs in on a channel that has just been connected.
    ///
    /// # Errors
    /// `authentication`, `database-not-found`, `server-resources`, ...
    pub fn open(
        channel: Box<dyn Channel>,
        parameters: Parameters,
        credentials: &dyn Credentials,
    ) -> Result<Self> {
        let mut session = Self {
            stream: Stream::new(channel),
            parameters,
            user: credentials.user()?,
            status: HashMap::new(),
            key: None,
            notices: VecDeque::new(),
            transaction: Transaction::Idle,
            held: None,
            outstanding: 1,
            sent: None,
            logged_in: false,
            busy: false,
            lost: None,
            settings_hold: None,
            dial: None,
        };
        session.login(credentials)?;
        session.logged_in = true;
        log::debug(LOG, "logged in");
        Ok(session)
    }

    fn login(&mut self, credentials: &dyn Credentials) -> Result<()> {
        // A longer one would be cut off, and be the name of another schema.
        dialect::check_name("schema", ErrorKind::Configuration, &self.parameters.schema)?;
        let settings = settings::of(&self.parameters);
        let mut startup = vec![
            ("user", self.user.as_str()),
            ("database", self.parameters.database.as_str()),
            (
                "application_name",
                self.parameters.application_name.as_str(),
            ),
        ];
        if self.parameters.startup == Startup::Bare {
            startup.push(("client_encoding", "UTF8"));
        } else {
            startup.extend(settings.iter().map(|(name, value)| (*name, value.as_str())));
        }
        let mut out = BytesMut::new();
        frontend::startup(&startup, &mut out).map_err(|_| {
            Error::new(
                ErrorKind::Configuration,
                "a value of the connection holds a NUL byte",
            )
            .with_hint("remove it from database, username or schema")
        })?;
        self.stream.outbox().extend_from_slice(&out);
        let mut login = Login::new(credentials);
        loop {
            let message = self.receive()?;
            if login.answer(&message, &mut self.stream)? {
                break;
            }
        }
        loop {
            match self.receive()? {
                Message::BackendKeyData(body) => {
                    self.key = Some(CancelKey {
                        process: body.process_id(),
                        secret: body.secret_key(),
                    });
                }
                Message::ReadyForQuery(_) => return Ok(()),
                _ => return Err(self.unexpected("after the login")),
            }
        }
    }

    /// What the session was opened with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The login name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What cancels this session's statements.
    pub fn cancel_key(&self) -> Option<CancelKey> {
        self.key
    }

    /// A setting as the server reported it.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.status.get(name).map(String::as_str)
    }

    /// Whether text may arrive in any encoding: the database has none.
    pub fn text_is_unchecked(&self) -> bool {
        self.setting("server_encoding") != Some("UTF8")
    }

    /// The server's version as one number, as in `server_version_num`: 150008 for 15.8.
    pub fn version(&self) -> u32 {
        let text = self.setting("server_version").unwrap_or_default();
        let mut parts = text
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let major = parts.next().unwrap_or(0).min(10_000);
        let minor = parts.next().unwrap_or(0).min(99);
        match major {
            10.. => major * 10_000 + minor,
            _ => major * 10_000 + minor * 100,
        }
    }

    /// The remarks since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    /// Makes sure that an operation can begin.
    ///
    /// # Errors
    /// When another one is under way, or the connection is lost.
    pub fn begin(&mut self) -> Result<()> {
        self.come_to_rest()?;
        // What is here already would be taken for the answer to what is asked next.
        self.check_interjection("before anything was asked")
    }

    /// Makes sure that nothing is under way.
    ///
    /// # Errors
    /// When something is, or the connection is lost.
    pub fn come_to_rest(&mut self) -> Result<()> {
        if let Some(error) = &self.lost {
            return Err(Error::new(
                ErrorKind::ConnectionLost,
                format!("the connection has ended: {error}"),
            )
            .with_hint("connect again"));
        }
        if self.busy {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the connection is busy with a read or a write that has not ended",
            )
            .with_hint("finish or drop the row stream or sink, or use a second connection"));
        }
        self.settle()
    }

    /// Lets the session stop its own statements, over a second channel.
    pub fn set_dial(&mut self, dial: Dial) {
        self.dial = Some(dial);
    }

    /// Stops the statement under way, whose result is not wanted any more, so that it need not
    /// be received to its end.
    pub fn interrupt(&mut self) {
        if self.outstanding == 0 || self.lost.is_some() {
            return;
        }
        if let (Some(dial), Some(key)) = (&self.dial, self.key)
            && let Err(error) = dial().and_then(|channel| cancel::send(channel, key))
        {
            log::debug(LOG, &format!("the statement runs on: {error}"));
        }
    }

    /// Whether no transaction is open.
    pub fn is_idle(&self) -> bool {
        self.transaction == Transaction::Idle
    }

    /// Marks the session as held by a row stream or a sink, or as free again.
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Whether the connection is no more.
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Where the next message to be sent is put.
    pub fn outbox(&mut self) -> &mut BytesMut {
        self.stream.outbox()
    }

    /// Puts text of the connector's own into the flight; it may hold several statements.
    ///
    /// # Errors
    /// When it holds a NUL byte.
    pub fn simple(&mut self, sql: &str) -> Result<()> {
        frontend::query(sql, self.stream.outbox()).map_err(|_| nul_in_statement())?;
        self.expect_ready();
        Ok(())
    }

    /// Ends a part of the flight that consists of extended-protocol messages.
    pub fn sync(&mut self) {
        frontend::sync(self.stream.outbox());
        self.expect_ready();
    }

    fn expect_ready(&mut self) {
        self.outstanding = self.outstanding.saturating_add(1);
        self.sent = Some(Instant::now());
    }

    /// Puts one statement into the flight, to be parsed.
    ///
    /// # Errors
    /// When it holds a NUL byte.
    pub fn parse(&mut self, sql: &str) -> Result<()> {
        frontend::parse(sql, self.stream.outbox()).map_err(|_| nul_in_statement())
    }

    /// Puts one statement into the flight, to be parsed and described.
    ///
    /// # Errors
    /// When it holds a NUL byte.
    pub fn describe(&mut self, sql: &str) -> Result<()> {
        frontend::parse_and_describe(sql, self.stream.outbox()).map_err(|_| nul_in_statement())?;
        self.sync();
        Ok(())
    }

    /// Sends the flight.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn flush(&mut self) -> Result<()> {
        if self.stream.outbox().is_empty() {
            return Ok(());
        }
        match self.stream.flush() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.lose(error)),
        }
    }

    /// Sends the flight if there is one, and waits for the next message that is an answer.
    ///
    /// # Errors
    /// What the server reports; the session is then idle or lost.
    pub fn receive(&mut self) -> Result<Message> {
        self.flush()?;
        loop {
            let message = self.next_message()?;
            if let Some(message) = self.take_aside(message)? {
                return match message {
                    Message::ErrorResponse(body) => {
                        let report =
                            backend::report(body.fields()).map_err(|v| self.violated(v))?;
                        Err(self.fail(&report))
                    }
                    message => Ok(message),
                };
            }
        }
    }

    /// Reads the server's answer to the end of the flight.
    ///
    /// # Errors
    /// What the server reports.
    pub fn receive_ready(&mut self) -> Result<()> {
        match self.receive()? {
            Message::ReadyForQuery(_) => Ok(()),
            _ => Err(self.unexpected("where an answer should end")),
        }
    }

    /// Runs one statement of the connector's own and gathers its rows, as text. Where no
    /// call has begun, in one of its own, which costs no round trip.
    ///
    /// # Errors
    /// What the server reports.
    pub fn rows(&mut self, sql: &str, parameters: &[Option<&str>]) -> Result<Vec<TextRow>> {
        let alone = self.is_at_rest() && self.outstanding == 0;
        if alone {
            self.start(Access::Read)?;
        }
        self.ask(sql, parameters)?;
        if !alone {
            return self.gather();
        }
        self.undo()?;
        let rows = self.gather()?;
        self.settle()?;
        Ok(rows)
    }

    /// How many parts of the flight are not answered yet.
    pub fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Reads what is still on its way, and takes nothing from it.
    fn discard(&mut self) -> Result<()> {
        while self.outstanding > 0 {
            let message = self.next_message()?;
            if let Some(Message::ErrorResponse(body)) = self.take_aside(message)? {
                let report = backend::report(body.fields()).map_err(|v| self.violated(v))?;
                if report.is_fatal() {
                    return Err(self.fail(&report));
                }
            }
        }
        Ok(())
    }

    /// Says good-bye.
    pub fn close(&mut self) {
        if self.lost.is_none() {
            frontend::terminate(self.stream.outbox());
            if self.stream.drain().is_err() {
                log::debug(LOG, "the connection was gone before the good-bye");
            }
            self.lost = Some(Error::new(ErrorKind::ConnectionLost, "it was closed"));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

fn nul_in_statement() -> Error {
    Error::new(ErrorKind::Syntax, "the statement holds a NUL byte")
        .with_hint("remove the NUL byte from the statement")
}
