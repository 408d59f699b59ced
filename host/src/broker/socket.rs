//! TCP, as `wasi:sockets` shows it to a connector.
//!
//! A socket has no task of its own. What could not be sent at once waits in the
//! outbox, and goes out whenever the connector waits for either direction.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::meter::Meter;
use super::network::{DialError, Endpoint};

/// The most bytes one read hands over; also what is allocated for it.
const READ_MOST: usize = 256 * 1024;

/// The most bytes that wait to be sent.
const OUTBOX: usize = 512 * 1024;

/// What one connected socket can make the host buffer: charged to the
/// instance's memory for as long as the socket lives.
pub const BUFFERS: u64 = (READ_MOST + OUTBOX) as u64;

/// How much of what arrived is kept to recognise a challenge in: the longest
/// SCRAM message with a generous salt fits several times.
const KEPT: usize = 4 * 1024;

/// How long a dropped stream may go on sending what is in its outbox.
const LINGER: Duration = Duration::from_millis(500);

/// A connected socket, shared by its two streams and by the credential broker.
pub struct Connected {
    stream: TcpStream,
    outbox: Mutex<BytesMut>,
    /// The end of what arrived so far, until a login has happened.
    arrived: Mutex<Vec<u8>>,
    keep_arrived: AtomicBool,
    meter: Arc<Meter>,
}

impl Connected {
    fn new(stream: TcpStream, meter: Arc<Meter>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            outbox: Mutex::default(),
            arrived: Mutex::default(),
            keep_arrived: AtomicBool::new(true),
            meter,
        })
    }

    fn outbox(&self) -> MutexGuard<'_, BytesMut> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self) -> MutexGuard<'_, Vec<u8>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops keeping what arrives: the login is over.
    pub fn end_login(&self) {
        self.keep_arrived.store(false, Relaxed);
        self.arrived().clear();
    }

    /// Calls `judge` with the end of what arrived, and whether more is waiting
    /// to be read, or the other side has hung up.
    pub fn with_arrived<T>(&self, judge: impl FnOnce(&[u8], bool) -> T) -> T {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        // A direct peek, because tokio's readiness may lag behind the kernel.
        let waiting = match socket2::SockRef::from(&self.stream).peek(&mut byte) {
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            Ok(_) => true,
        };
        judge(&self.arrived(), waiting)
    }

    fn receive(&self, most: usize) -> StreamResult<Bytes> {
        if most == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::with_capacity(most.min(READ_MOST));
        match self.stream.try_read_buf(&mut buffer) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                self.meter.received(count);
                self.keep(&buffer);
                Ok(buffer.freeze())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }

    fn keep(&self, bytes: &[u8]) {
        if !self.keep_arrived.load(Relaxed) {
            return;
        }
        let mut arrived = self.arrived();
        arrived.extend_from_slice(
            bytes
                .get(bytes.len().saturating_sub(KEPT)..)
                .unwrap_or(bytes),
        );
        let excess = arrived.len().saturating_sub(KEPT);
        arrived.drain(..excess);
    }

    /// Sends what waits, as far as the system takes it now.
    fn pump(&self) -> io::Result<()> {
        let mut outbox = self.outbox();
        while !outbox.is_empty() {
            match self.stream.try_write(&outbox) {
                Ok(count) => {
                    self.meter.sent(count);
                    outbox.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    outbox.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Sends what waits, and returns when it is sent.
    async fn drain(&self) -> io::Result<()> {
        loop {
            self.pump()?;
            if self.outbox().is_empty() {
                return Ok(());
            }
            self.stream.writable().await?;
        }
    }

    /// Returns when there is something to read, sending meanwhile.
    async fn readable(&self) {
        if self.outbox().is_empty() {
            let _ = self.stream.readable().await;
            return;
        }
        tokio::select! {
            _ = self.stream.readable() => {}
            // A failure to send shows again when it is written or read next.
            _ = async { let _ = self.drain().await; std::future::pending::<()>().await } => {}
        }
    }
}

/// The receiving half.
pub struct Receiver(Arc<Connected>);

#[async_trait::async_trait]
impl Pollable for Receiver {
    async fn ready(&mut self) {
        self.0.readable().await;
    }
}

#[async_trait::async_trait]
impl InputStream for Receiver {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.0.receive(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        loop {
            let bytes = self.0.receive(size)?;
            if size == 0 || !bytes.is_empty() {
                return Ok(bytes);
            }
            self.0.readable().await;
        }
    }
}

/// The sending half.
pub struct Sender {
    socket: Arc<Connected>,
    failed: bool,
}

impl Sender {
    fn sent(&mut self, outcome: io::Result<()>) -> StreamResult<()> {
        match outcome {
            Ok(()) if self.failed => Err(StreamError::Closed),
            Ok(()) => Ok(()),
            Err(error) => {
                self.failed = true;
                Err(StreamError::LastOperationFailed(error.into()))
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Sender {
    async fn ready(&mut self) {
        let outcome = self.socket.drain().await;
        let _ = self.sent(outcome);
    }
}

#[async_trait::async_trait]
impl OutputStream for Sender {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > OUTBOX.saturating_sub(self.socket.outbox().len()) {
            return Err(StreamError::trap("more was written than permitted"));
        }
        self.socket.outbox().extend_from_slice(&bytes);
        let outcome = self.socket.pump();
        self.sent(outcome)
    }

    fn flush(&mut self) -> StreamResult<()> {
        let outcome = self.socket.pump();
        self.sent(outcome)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let outcome = self.socket.pump();
        self.sent(outcome)?;
        let waiting = self.socket.outbox().len();
        // Nothing is permitted until what waits is sent: backpressure.
        Ok(if waiting > 0 { 0 } else { OUTBOX })
    }

    async fn cancel(&mut self) {
        let _ = tokio::time::timeout(LINGER, self.socket.drain()).await;
    }
}

/// `wasi:sockets/tcp.tcp-socket`.
pub struct TcpSocket {
    state: State,
}

type Dial = Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send>>;

enum State {
    Fresh,
    Connecting(Dial),
    Answered(Result<TcpStream, DialError>),
    Connected(Arc<Connected>),
    Closed,
}

impl Default for TcpSocket {
    fn default() -> Self {
        Self {
            state: State::Fresh,
        }
    }
}

/// What `finish-connect` gives.
pub enum Connecting {
    /// Not yet.
    Pending,
    /// The two streams.
    Done(Receiver, Sender),
    /// It failed.
    Failed(DialError),
    /// Nothing was begun.
    NotBegun,
}

impl TcpSocket {
    /// Begins to connect to the endpoint. False if it was begun before.
    pub fn connect(&mut self, endpoint: Arc<Endpoint>) -> bool {
        if !matches!(self.state, State::Fresh) {
            return false;
        }
        self.state = State::Connecting(Box::pin(async move { endpoint.dial().await }));
        true
    }

    /// Ends connecting, if it has ended.
    pub async fn finish(&mut self, meter: Arc<Meter>) -> Connecting {
        if let State::Connecting(dial) = &mut self.state {
            let answer = poll_fn(|context| match dial.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
            match answer {
                Some(answer) => self.state = State::Answered(answer),
                None => return Connecting::Pending,
            }
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Answered(Ok(stream)) => {
                let connected = Connected::new(stream, meter);
                self.state = State::Connected(connected.clone());
                Connecting::Done(
                    Receiver(connected.clone()),
                    Sender {
                        socket: connected,
                        failed: false,
                    },
                )
            }
            State::Answered(Err(error)) => Connecting::Failed(error),
            before => {
                self.state = before;
                Connecting::NotBegun
            }
        }
    }

    /// The connection, once there is one.
    pub fn connected(&self) -> Option<&Arc<Connected>> {
        match &self.state {
            State::Connected(connected) => Some(connected),
            _ => None,
        }
    }

    /// Ends one or both directions.
    pub fn shutdown(&self, how: std::net::Shutdown) -> io::Result<()> {
        match self.connected() {
            Some(connected) => socket2::SockRef::from(&connected.stream).shutdown(how),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        if let State::Connecting(dial) = &mut self.state {
            let answer = dial.await;
            self.state = State::Answered(answer);
        }
    }
}
