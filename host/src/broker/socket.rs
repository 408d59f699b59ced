//! TCP, as `wasi:sockets` shows it to a connector.
//!
//! A socket has no task of its own. What could not be sent at once waits in the
//! outbox, and goes out whenever the connector waits for either direction.
//!
//! It begins in the clear. Where the connection has to be encrypted, a gate lets
//! nothing but the protocol's request for that pass, and its answer.

use std::future::{Future, poll_fn};
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::meter::{Allowance, Meter};
use super::network::{DialError, Endpoint};
use super::tls::layer::{Layer, NotRead};
use crate::policy::tls::permit_in_the_clear;

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
    allowance: Allowance,
    endpoint: Arc<Endpoint>,
    /// What has passed in the clear, as long as nothing else may.
    gate: Mutex<Passed>,
    tls: OnceLock<Layer>,
    /// Nothing more is written: the system is told so when what waits is sent.
    closing: AtomicBool,
}

/// How many bytes have passed in the clear.
#[derive(Debug, Default, Clone, Copy)]
struct Passed {
    sent: usize,
    received: usize,
}

impl Connected {
    /// A socket in the clear, to `endpoint`.
    pub fn new(stream: TcpStream, meter: Arc<Meter>, endpoint: Arc<Endpoint>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            outbox: Mutex::default(),
            arrived: Mutex::default(),
            keep_arrived: AtomicBool::new(true),
            allowance: meter.allowance(),
            meter,
            endpoint,
            gate: Mutex::default(),
            tls: OnceLock::new(),
            closing: AtomicBool::new(false),
        })
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What counts its bytes.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether the connection may send more. If not, that is remembered as what failed.
    pub fn may_send(&self) -> io::Result<()> {
        let permitted = self.meter.permit_sending(self.allowance);
        permitted.map_err(|limit| self.endpoint.refuse_more(limit))
    }

    /// Whether it may receive more, as [`may_send`](Self::may_send).
    pub fn may_receive(&self) -> io::Result<()> {
        let permitted = self.meter.permit_receiving(self.allowance);
        permitted.map_err(|limit| self.endpoint.refuse_more(limit))
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// What encrypts it, if anything does. The server has then proved what the
    /// connection asks it to.
    pub fn tls(&self) -> Option<&Layer> {
        self.tls.get()
    }

    /// Encrypts what passes from here on. What arrived in the clear is no part
    /// of a login.
    ///
    /// False if something encrypts it already.
    pub fn encrypt(&self, layer: Layer) -> bool {
        self.arrived().clear();
        self.tls.set(layer).is_ok()
    }

    /// Whether something arrived that nobody has read, or waits to be sent.
    pub fn has_early_bytes(&self) -> bool {
        !self.outbox().is_empty() || matches!(self.peek(), Ok(1..))
    }

    /// Whether the system has bytes for us, or the end of them.
    fn is_anything_waiting(&self) -> bool {
        match self.peek() {
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            Ok(_) => true,
        }
    }

    /// Looks for a byte, directly, because tokio's readiness may lag behind the kernel.
    fn peek(&self) -> io::Result<usize> {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        socket2::SockRef::from(&self.stream).peek(&mut byte)
    }

    fn gate(&self) -> MutexGuard<'_, Passed> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `bytes` may be sent as they are.
    fn permit_sending(&self, bytes: &[u8]) -> io::Result<()> {
        if self.tls().is_some() || !self.endpoint.must_be_secure() {
            return Ok(());
        }
        let mut passed = self.gate();
        let request = self.endpoint.tls_request();
        if !permit_in_the_clear(request, passed.sent, bytes) {
            return Err(self.endpoint.refuse_in_the_clear());
        }
        passed.sent = passed.sent.saturating_add(bytes.len());
        Ok(())
    }

    /// How many of `most` bytes may be received as they are.
    fn permit_receiving(&self, most: usize) -> io::Result<usize> {
        if !self.endpoint.must_be_secure() {
            return Ok(most);
        }
        let left = self
            .endpoint
            .tls_answer()
            .saturating_sub(self.gate().received);
        match left {
            0 => Err(self.endpoint.refuse_in_the_clear()),
            left => Ok(left.min(most)),
        }
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
        let waiting = match self.tls() {
            // What there may be cannot be known, so nothing is answered.
            Some(_) if self.may_receive().is_err() => true,
            Some(layer) => {
                let received = |count: usize| self.meter.received(count as u64);
                layer.has_arrived(&self.stream, &mut self.outbox(), received)
            }
            None => self.is_anything_waiting(),
        };
        judge(&self.arrived(), waiting)
    }

    /// Says to the other side that nothing more will be sent.
    pub fn close_output(&self) {
        if let Some(layer) = self.tls() {
            layer.close(&mut self.outbox());
            // What cannot be sent now goes with the socket.
            let _ = self.pump();
        }
    }

    fn receive(&self, most: usize) -> StreamResult<Bytes> {
        if most == 0 {
            return Ok(Bytes::new());
        }
        self.may_receive()
            .map_err(|error| StreamError::LastOperationFailed(error.into()))?;
        match self.tls() {
            Some(layer) => self.receive_decrypted(layer, most.min(READ_MOST)),
            None => {
                let most = self
                    .permit_receiving(most)
                    .map_err(|error| StreamError::LastOperationFailed(error.into()))?;
                self.receive_in_the_clear(most.min(READ_MOST))
            }
        }
    }

    fn receive_in_the_clear(&self, most: usize) -> StreamResult<Bytes> {
        let mut buffer = BytesMut::with_capacity(most).limit(most);
        match self.stream.try_read_buf(&mut buffer) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                let mut passed = self.gate();
                passed.received = passed.received.saturating_add(count);
                drop(passed);
                self.meter.received(count as u64);
                let buffer = buffer.into_inner();
                self.keep(&buffer);
                Ok(buffer.freeze())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }

    fn receive_decrypted(&self, layer: &Layer, most: usize) -> StreamResult<Bytes> {
        let mut buffer = BytesMut::new();
        let received = |count: usize| self.meter.received(count as u64);
        let outcome = layer.receive(
            &self.stream,
            &mut self.outbox(),
            most,
            &mut buffer,
            received,
        );
        // What had to be answered goes out at once; if not, with the next write.
        let _ = self.pump();
        match outcome {
            Ok(()) => {
                self.keep(&buffer);
                Ok(buffer.freeze())
            }
            Err(NotRead::Nothing) => Ok(Bytes::new()),
            Err(NotRead::Closed) => Err(StreamError::Closed),
            Err(NotRead::Io(error)) => Err(StreamError::LastOperationFailed(error.into())),
            Err(NotRead::Tls(error)) => {
                self.endpoint.note_broken_encryption(&error);
                Err(StreamError::LastOperationFailed(error.into()))
            }
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
            if let Err(error) = self.may_send() {
                outbox.clear();
                return Err(error);
            }
            match self.stream.try_write(&outbox) {
                Ok(count) => {
                    self.meter.sent(count as u64);
                    outbox.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    outbox.clear();
                    return Err(error);
                }
            }
        }
        if outbox.is_empty() && self.closing.swap(false, Relaxed) {
            socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    /// Ends one or both directions; what waits to be sent goes first.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            socket2::SockRef::from(&self.stream).shutdown(Shutdown::Read)?;
        }
        if how != Shutdown::Read {
            self.closing.store(true, Relaxed);
            self.pump()?;
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
        if self.tls().is_some_and(Layer::is_readable) {
            return;
        }
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
        let queued = match self.socket.tls() {
            Some(layer) => layer.send(&bytes, &mut self.socket.outbox()),
            None => self.socket.permit_sending(&bytes).map(|()| {
                self.socket.outbox().extend_from_slice(&bytes);
            }),
        };
        let outcome = queued.and_then(|()| self.socket.pump());
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

/// The two streams of a socket.
pub fn streams(socket: Arc<Connected>) -> (Receiver, Sender) {
    let sender = Sender {
        socket: socket.clone(),
        failed: false,
    };
    (Receiver(socket), sender)
}

type Dial = Pin<Box<dyn Future<Output = Result<TcpStream, DialError>> + Send>>;

enum State {
    Fresh,
    Connecting(Arc<Endpoint>, Dial),
    Answered(Arc<Endpoint>, Result<TcpStream, DialError>),
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
    /// The connection; [`streams`] gives its two directions.
    Done(Arc<Connected>),
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
        let dial = {
            let endpoint = endpoint.clone();
            async move { endpoint.dial().await }
        };
        self.state = State::Connecting(endpoint, Box::pin(dial));
        true
    }

    /// Ends connecting, if it has ended.
    pub async fn finish(&mut self, meter: Arc<Meter>) -> Connecting {
        if let State::Connecting(endpoint, dial) = &mut self.state {
            let answer = poll_fn(|context| match dial.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => Poll::Ready(None),
            })
            .await;
            match answer {
                Some(answer) => self.state = State::Answered(endpoint.clone(), answer),
                None => return Connecting::Pending,
            }
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Answered(endpoint, Ok(stream)) => {
                let connected = Connected::new(stream, meter, endpoint);
                self.state = State::Connected(connected.clone());
                Connecting::Done(connected)
            }
            State::Answered(_, Err(error)) => Connecting::Failed(error),
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
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.connected() {
            Some(connected) => connected.shutdown(how),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        if let State::Connecting(endpoint, dial) = &mut self.state {
            let answer = dial.await;
            self.state = State::Answered(endpoint.clone(), answer);
        }
    }
}
