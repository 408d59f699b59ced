//! A peer that says what a test tells it to, and keeps what it was told.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use dagflux_guest::bindings::wasi::sockets::tcp::TcpSocket;
use dagflux_guest::{Channel, ChannelError, Interest, Stream};
use dagflux_postgres::auth::{Credentials, Scram};

/// A message: tag, length, body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// An error or, with the tag changed, a notice.
pub fn error_response(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in fields {
        body.push(*kind);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    message(b'E', &body)
}

/// The answer to a login without a password, up to `ReadyForQuery`.
pub fn welcome() -> Vec<u8> {
    [
        message(b'R', b"\x00\x00\x00\x00"),
        message(b'S', b"server_version\x0015.8 (Debian)\x00"),
        message(b'S', b"server_encoding\x00UTF8\x00"),
        message(b'K', b"\x00\x00\x00\x2a\x00\x00\x00\x07"),
        message(b'Z', b"I"),
    ]
    .concat()
}

/// What the peer was told.
pub type Told = Rc<RefCell<Vec<u8>>>;

/// How often the peer was waited for after it had been told something.
pub type Flights = Rc<Cell<u32>>;

/// The peer: its lines come one by one, then the channel ends.
pub struct Script {
    lines: VecDeque<Vec<u8>>,
    told: Told,
    telling: bool,
    flights: Flights,
}

impl Script {
    /// A peer that says `lines`.
    pub fn speaking(lines: impl IntoIterator<Item = Vec<u8>>) -> (Box<dyn Channel>, Told) {
        let (channel, told, _) = Self::counting(lines);
        (channel, told)
    }

    /// A peer that says `lines` and counts flights.
    pub fn counting(lines: impl IntoIterator<Item = Vec<u8>>) -> (Box<dyn Channel>, Told, Flights) {
        let (told, flights) = (Told::default(), Flights::default());
        let script = Self {
            lines: lines.into_iter().collect(),
            told: Rc::clone(&told),
            telling: false,
            flights: Rc::clone(&flights),
        };
        (Box::new(script), told, flights)
    }
}

impl Channel for Script {
    fn read(&mut self, _most: usize) -> Result<Vec<u8>, ChannelError> {
        Ok(Vec::new())
    }

    fn read_wait(&mut self, _most: usize) -> Result<Vec<u8>, ChannelError> {
        if std::mem::take(&mut self.telling) {
            self.flights.set(self.flights.get() + 1);
        }
        self.lines.pop_front().ok_or(ChannelError::Closed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        self.told.borrow_mut().extend_from_slice(bytes);
        self.telling = true;
        Ok(bytes.len())
    }

    fn wait(&mut self, _interest: Interest) {}

    fn drain(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn socket(&self) -> Option<&TcpSocket> {
        None
    }
}

/// A login that answers everything with fixed bytes.
pub struct FixedLogin;

impl Credentials for FixedLogin {
    fn user(&self) -> dagflux_guest::Result<String> {
        Ok("someone".to_owned())
    }

    fn scram(&self, _: &Stream, _: &[String]) -> dagflux_guest::Result<Box<dyn Scram>> {
        Ok(Box::new(FixedScram))
    }

    fn md5(&self, _: &Stream, salt: [u8; 4]) -> dagflux_guest::Result<String> {
        assert_eq!(&salt, b"salt");
        Ok("md5digest".to_owned())
    }
}

struct FixedScram;

impl Scram for FixedScram {
    fn mechanism(&self) -> String {
        "SCRAM-SHA-256".to_owned()
    }

    fn first(&self) -> Vec<u8> {
        b"client-first".to_vec()
    }

    fn last(&mut self, _challenge: &[u8]) -> dagflux_guest::Result<Vec<u8>> {
        Ok(b"client-final".to_vec())
    }

    fn verify(&mut self, _outcome: &[u8]) -> dagflux_guest::Result<()> {
        Ok(())
    }
}
