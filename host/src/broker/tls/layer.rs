//! What encrypts a socket.
//!
//! Ciphertext is taken from the socket in large pieces and fed to rustls, which hands on a record
//! at a time; what it wants sent goes to the socket's outbox.

use std::io::{self, BufRead, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, BytesMut};
use rustls::ClientConnection;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;

use super::certificate;
use super::failure::Failure;
use crate::broker::socket::Connected;

/// How much ciphertext is taken from the socket at once.
const PIECE: usize = 128 * 1024;

/// What one encrypted socket can make the host buffer beside what any socket does: ciphertext, and
/// what rustls keeps of both directions.
pub const BUFFERS: u64 = (PIECE + 64 * 1024) as u64;

/// The encryption of one socket.
pub struct Layer {
    state: Mutex<State>,
    shown: Vec<CertificateDer<'static>>,
}

struct State {
    session: ClientConnection,
    /// Received, and not decrypted yet.
    ciphertext: BytesMut,
    /// How many bytes have come since there was last something in them.
    fruitless: usize,
    /// What ended it, until the next read tells.
    failed: Option<rustls::Error>,
}

/// How many bytes a server may send that hold nothing to read, such as session tickets, each of
/// which costs more than it weighs. An honest one sends two tickets, of 300 bytes.
const FRUITLESS: usize = 64 * 1024;

/// Why nothing was read.
pub enum NotRead {
    /// Nothing has arrived.
    Nothing,
    /// The other side has closed the channel.
    Closed,
    /// The socket failed.
    Io(io::Error),
    /// The other side did not keep to the protocol, or said why it ends it.
    Tls(rustls::Error),
}

impl Layer {
    /// The layer of a session whose handshake is done, in which the server showed `shown`.
    pub fn new(session: ClientConnection, shown: Vec<CertificateDer<'static>>) -> Self {
        Self {
            state: Mutex::new(State {
                session,
                ciphertext: BytesMut::new(),
                fruitless: 0,
                failed: None,
            }),
            shown,
        }
    }

    /// The server's certificates, its own first.
    pub fn shown(&self) -> &[CertificateDer<'static>] {
        &self.shown
    }

    /// What a login is bound to the channel by.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        certificate::end_point(self.shown.first()?)
    }

    /// The version of TLS, as in `TLSv1.3`.
    pub fn version(&self) -> &'static str {
        match self.state().session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        }
    }

    /// The name of the cipher suite, as IANA has it.
    pub fn cipher(&self) -> String {
        let suite = self.state().session.negotiated_cipher_suite();
        let name = suite.map(|suite| format!("{:?}", suite.suite()));
        name.unwrap_or_default().replace("TLS13_", "TLS_")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `most` decrypted bytes into `out`. What has to be sent in answer goes to
    /// `outbox`; `received` is told how many bytes came from the socket.
    pub fn receive(
        &self,
        stream: &TcpStream,
        outbox: &mut BytesMut,
        most: usize,
        out: &mut BytesMut,
        mut received: impl FnMut(usize),
    ) -> Result<(), NotRead> {
        let mut state = self.state();
        let mut asked = false;
        loop {
            match state.take(most, out) {
                Err(NotRead::Nothing) => {}
                taken => return taken,
            }
            if state.ciphertext.is_empty() {
                // Whoever waits for more comes back, and lets others have their turn before.
                if std::mem::replace(&mut asked, true) {
                    return Err(NotRead::Nothing);
                }
            }
            if !state.feed(stream, outbox, &mut received)? {
                return Err(NotRead::Nothing);
            }
        }
    }

    /// Whether there is something to read, be it the end, without asking the system to wait.
    pub fn is_readable(&self) -> bool {
        let mut state = self.state();
        !state.ciphertext.is_empty()
            || state.failed.is_some()
            || !matches!(state.peek(), Err(NotRead::Nothing))
    }

    /// As [`is_readable`](Self::is_readable), but first decrypts what has arrived. That ends: too
    /// much that holds nothing is a failure, and counts as something.
    pub fn has_arrived(
        &self,
        stream: &TcpStream,
        outbox: &mut BytesMut,
        mut received: impl FnMut(usize),
    ) -> bool {
        let mut state = self.state();
        loop {
            if !matches!(state.peek(), Err(NotRead::Nothing)) {
                return true;
            }
            match state.feed(stream, outbox, &mut received) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Encrypts `bytes` into `outbox`.
    pub fn send(&self, bytes: &[u8], outbox: &mut BytesMut) -> io::Result<()> {
        let mut state = self.state();
        state.session.writer().write_all(bytes)?;
        emit(&mut state.session, outbox)
    }

    /// Says into `outbox` that nothing more will be sent.
    pub fn close(&self, outbox: &mut BytesMut) {
        let mut state = self.state();
        state.session.send_close_notify();
        // Into memory, which does not fail.
        let _ = emit(&mut state.session, outbox);
    }
}

impl State {
    /// Takes decrypted bytes.
    fn take(&mut self, most: usize, out: &mut BytesMut) -> Result<(), NotRead> {
        loop {
            let mut reader = self.session.reader();
            let result = match reader.fill_buf() {
                Ok([]) => Err(NotRead::Closed),
                Ok(bytes) => {
                    let room = most.saturating_sub(out.len()).min(bytes.len());
                    let (now, _) = bytes.split_at(room);
                    out.extend_from_slice(now);
                    Ok(room)
                }
                Err(error) => Err(not_read(error)),
            };
            match result {
                Ok(taken) => {
                    reader.consume(taken);
                    self.fruitless = 0;
                    if taken == 0 || out.len() >= most {
                        return Ok(());
                    }
                }
                // The next record may be there already.
                Err(NotRead::Nothing) if !out.is_empty() && self.ciphertext.is_empty() => {
                    return Ok(());
                }
                Err(NotRead::Nothing) if !out.is_empty() => match self.decrypt() {
                    Ok(()) => {}
                    // The next read tells.
                    Err(_) => return Ok(()),
                },
                Err(_) if !out.is_empty() => return Ok(()),
                Err(reason) => return Err(reason),
            }
        }
    }

    fn peek(&mut self) -> Result<(), NotRead> {
        match self.session.reader().fill_buf() {
            Ok([]) => Err(NotRead::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(not_read(error)),
        }
    }

    /// Gives rustls more to decrypt. False if nothing has arrived.
    fn feed(
        &mut self,
        stream: &TcpStream,
        outbox: &mut BytesMut,
        received: &mut impl FnMut(usize),
    ) -> Result<bool, NotRead> {
        if let Some(error) = &self.failed {
            return Err(NotRead::Tls(error.clone()));
        }
        if self.ciphertext.is_empty() {
            if self.fruitless > FRUITLESS {
                return Err(NotRead::Io(io::Error::other(
                    "the server sends much that holds nothing",
                )));
            }
            self.ciphertext.reserve(PIECE);
            match stream.try_read_buf(&mut self.ciphertext) {
                Ok(0) => {
                    // Lets rustls know of the end.
                    let _ = self.session.read_tls(&mut io::empty());
                    return Err(NotRead::Closed);
                }
                Ok(count) => {
                    self.fruitless = self.fruitless.saturating_add(count);
                    received(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(NotRead::Io(error)),
            }
        }
        let decrypted = self.decrypt();
        emit(&mut self.session, outbox).map_err(NotRead::Io)?;
        decrypted.map(|()| true)
    }

    fn decrypt(&mut self) -> Result<(), NotRead> {
        let mut piece: &[u8] = &self.ciphertext;
        let taken = self.session.read_tls(&mut piece).map_err(NotRead::Io)?;
        self.ciphertext.advance(taken);
        match self.session.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(NotRead::Tls(error))
            }
        }
    }
}

fn not_read(error: io::Error) -> NotRead {
    match error.kind() {
        io::ErrorKind::WouldBlock => NotRead::Nothing,
        // Closed without a word. The protocol above knows whether something is missing.
        io::ErrorKind::UnexpectedEof => NotRead::Closed,
        _ => NotRead::Io(error),
    }
}

/// Moves what rustls wants sent into `outbox`.
fn emit(session: &mut ClientConnection, outbox: &mut BytesMut) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut (&mut *outbox).writer())?;
    }
    Ok(())
}

/// Shakes hands over a socket that carries nothing else meanwhile.
pub async fn shake_hands(
    socket: &Connected,
    session: &mut ClientConnection,
) -> Result<(), Failure> {
    let stream = socket.stream();
    let mut outbox = BytesMut::new();
    loop {
        emit(session, &mut outbox).map_err(Failure::Io)?;
        while !outbox.is_empty() {
            socket.may_send().map_err(Failure::Io)?;
            match stream.try_write(&outbox) {
                Ok(count) => {
                    socket.meter().sent(count as u64);
                    outbox.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.writable().await.map_err(Failure::Io)?;
                }
                Err(error) => return Err(Failure::Io(error)),
            }
        }
        if !session.is_handshaking() {
            return Ok(());
        }
        socket.may_receive().map_err(Failure::Io)?;
        stream.readable().await.map_err(Failure::Io)?;
        match session.read_tls(&mut Wire(socket)) {
            Ok(0) => return Err(Failure::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(Failure::Io(error)),
        }
        if let Err(error) = session.process_new_packets() {
            // The server is told why; it does not matter whether that arrives.
            let _ = emit(session, &mut outbox);
            let _ = stream.try_write(&outbox);
            return Err(Failure::Tls(error));
        }
    }
}

/// The socket, as rustls reads from one.
struct Wire<'a>(&'a Connected);

impl io::Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.stream().try_read(buffer)?;
        self.0.meter().received(count as u64);
        Ok(count)
    }
}
