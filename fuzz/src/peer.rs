//! A server that says what a fuzzer made up, whatever it is told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use dagflux_guest::bindings::wasi::sockets::tcp::TcpSocket;
use dagflux_guest::{Channel, ChannelError, Interest, Stream};
use dagflux_postgres::auth::{Credentials, Scram};
use dagflux_postgres::protocol::frame::{self, Split};

/// What the peer was told.
pub type Told = Rc<RefCell<Vec<u8>>>;

/// How the peer behaves, beside what it says.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How its bytes are cut into pieces.
    pub cuts: Cuts,
    /// Whether it has said something already whenever it is looked for.
    pub eager: bool,
    /// Whether it takes in only a little at a time, with pauses.
    pub slow: bool,
}

/// How bytes are cut into pieces, of which one arrives at a time.
#[derive(Debug, Clone, Copy)]
pub enum Cuts {
    /// Behind each message. A server that is waited for says nothing ahead of its turn then, as
    /// far as that can be told.
    Messages,
    /// Behind this many bytes.
    Every(usize),
    /// Nowhere.
    None,
}

impl Cuts {
    fn cut(self, bytes: &[u8]) -> VecDeque<Vec<u8>> {
        match self {
            Cuts::Messages => {
                let mut pieces = VecDeque::new();
                let mut rest = bytes;
                while let Ok(Split::Frame(frame)) = frame::split(rest) {
                    pieces.push_back(frame.whole.to_vec());
                    rest = &rest[frame.whole.len()..];
                }
                pieces.push_back(rest.to_vec());
                pieces
            }
            Cuts::Every(length) => bytes.chunks(length.max(1)).map(<[u8]>::to_vec).collect(),
            Cuts::None => VecDeque::from([bytes.to_vec()]),
        }
    }
}

/// The peer. When it has said everything, it closes.
pub struct Peer {
    pieces: VecDeque<Vec<u8>>,
    manner: Manner,
    pausing: bool,
    told: Told,
}

impl Peer {
    /// A peer that says `bytes`, after `before` in one piece.
    pub fn saying(before: Vec<u8>, bytes: &[u8], manner: Manner) -> (Box<dyn Channel>, Told) {
        let mut pieces = manner.cuts.cut(bytes);
        pieces.push_front(before);
        // An empty piece would be taken for none.
        pieces.retain(|piece| !piece.is_empty());
        let told = Told::default();
        let peer = Self {
            pieces,
            manner,
            pausing: false,
            told: Rc::clone(&told),
        };
        (Box::new(peer), told)
    }
}

impl Channel for Peer {
    fn read(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        match self.manner.eager {
            true => self.read_wait(most),
            false => Ok(Vec::new()),
        }
    }

    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        let mut piece = self.pieces.pop_front().ok_or(ChannelError::Closed)?;
        if piece.len() > most {
            self.pieces.push_front(piece.split_off(most));
        }
        Ok(piece)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        self.pausing = self.manner.slow && !self.pausing;
        let taken = match (self.manner.slow, self.pausing) {
            (false, _) => bytes.len(),
            (true, true) => 0,
            (true, false) => bytes.len().min(400),
        };
        self.told.borrow_mut().extend_from_slice(&bytes[..taken]);
        Ok(taken)
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

    fn md5(&self, _: &Stream, _: [u8; 4]) -> dagflux_guest::Result<String> {
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
