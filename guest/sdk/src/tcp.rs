//! TCP over `wasi:sockets`, encrypted with `wasi:tls` where it has to be: the one address the
//! host lets a connector reach.

use crate::bindings::wasi::io::poll::{self, Pollable};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    Network,
};
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::bindings::wasi::tls::types::{ClientConnection, ClientHandshake};
use crate::channel::{Channel, ChannelError, Interest};
use crate::error::{Error, ErrorKind, Result};

/// A connected socket, in the clear or encrypted.
///
/// The fields are in the order in which they must be dropped: what a stream
/// gave out before the stream, the streams before what they belong to.
pub struct TcpChannel {
    readable: Pollable,
    writable: Pollable,
    input: InputStream,
    output: OutputStream,
    tls: Option<ClientConnection>,
    socket: TcpSocket,
}

impl TcpChannel {
    /// Encrypts what passes from here on. Whatever the protocol sends to ask for it has
    /// been sent, and the answer to that been read, to the last byte.
    ///
    /// `server` is what the field of the role `endpoint-host` reads as; the host verifies
    /// the server by its real name.
    ///
    /// # Errors
    /// `tls`.
    pub fn encrypt(self, server: &str) -> Result<Self> {
        let Self {
            readable,
            writable,
            input,
            output,
            socket,
            ..
        } = self;
        drop((readable, writable));
        let handshake = ClientHandshake::finish(ClientHandshake::new(server, input, output));
        let ready = handshake.subscribe();
        let outcome = loop {
            match handshake.get() {
                Some(outcome) => break outcome,
                None => ready.block(),
            }
        };
        drop(ready);
        match outcome {
            Ok(Ok((tls, input, output))) => Ok(Self {
                readable: input.subscribe(),
                writable: output.subscribe(),
                input,
                output,
                tls: Some(tls),
                socket,
            }),
            Ok(Err(error)) => Err(Error::new(
                ErrorKind::Tls,
                format!(
                    "the connection could not be encrypted: {}",
                    error.to_debug_string()
                ),
            )
            .with_hint("check that the port leads to a server that offers encryption")),
            Err(()) => Err(Error::internal(
                "the outcome of the handshake was taken before",
            )),
        }
    }

    /// Whether what passes is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }
}

/// Looks `host` up and connects to the first of its addresses that accepts.
///
/// `host` is what the field of the role `endpoint-host` reads as: an alias,
/// which is why no message names it.
///
/// # Errors
/// `name-resolution`, `unreachable` or `connect-timeout`.
pub fn connect(host: &str, port: u16) -> Result<TcpChannel> {
    let network = instance_network();
    let mut last = None;
    for address in lookup(&network, host)? {
        match connect_to(&network, address, port) {
            Ok(channel) => return Ok(channel),
            Err(code) => last = Some(code),
        }
    }
    Err(match last {
        None => Error::new(
            ErrorKind::NameResolution,
            "the server's name has no address",
        )
        .with_hint("check the host of the connection"),
        Some(code) => connect_error(code, port),
    })
}

fn lookup(network: &Network, host: &str) -> Result<Vec<IpAddress>> {
    let names = resolve_addresses(network, host).map_err(lookup_error)?;
    let ready = names.subscribe();
    let mut addresses = Vec::new();
    loop {
        match names.resolve_next_address() {
            Ok(Some(address)) => addresses.push(address),
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => ready.block(),
            Err(code) => return Err(lookup_error(code)),
        }
    }
}

fn lookup_error(code: ErrorCode) -> Error {
    match code {
        ErrorCode::AccessDenied => Error::new(
            ErrorKind::Unreachable,
            "the host's policy does not allow the server's address",
        )
        .with_hint("allow the address in the host's network policy, or correct the connection"),
        ErrorCode::TemporaryResolverFailure => Error::new(
            ErrorKind::NameResolution,
            "the server's name could not be looked up for now",
        )
        .with_hint("check the network's name service, then try again")
        .retryable(),
        _ => Error::new(
            ErrorKind::NameResolution,
            "the server's name could not be resolved",
        )
        .with_hint("check the spelling of the host, and that its name service can be reached"),
    }
}

fn connect_error(code: ErrorCode, port: u16) -> Error {
    match code {
        ErrorCode::Timeout => Error::new(
            ErrorKind::ConnectTimeout,
            format!("the server did not answer on port {port} in time"),
        )
        .with_hint("check host and port, and that no firewall drops the connection")
        .retryable(),
        ErrorCode::ConnectionRefused => Error::new(
            ErrorKind::Unreachable,
            format!("nothing accepts connections on port {port} of the server"),
        )
        .with_hint("check host and port, and that the server is running and listens on the network")
        .retryable(),
        ErrorCode::RemoteUnreachable => Error::new(
            ErrorKind::Unreachable,
            "the network has no way to the server",
        )
        .with_hint("check the network connection, a VPN if one is needed, and the host")
        .retryable(),
        ErrorCode::AccessDenied => Error::new(
            ErrorKind::Unreachable,
            "the host's policy does not allow the server's address",
        )
        .with_hint("allow the address in the host's network policy, or correct the connection"),
        other => Error::new(
            ErrorKind::Unreachable,
            format!(
                "the connection to port {port} of the server failed ({})",
                other.name()
            ),
        )
        .with_hint("check host and port of the connection")
        .retryable(),
    }
}

fn connect_to(
    network: &Network,
    address: IpAddress,
    port: u16,
) -> std::result::Result<TcpChannel, ErrorCode> {
    let (family, address) = match address {
        IpAddress::Ipv4(address) => (
            IpAddressFamily::Ipv4,
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }),
        ),
        IpAddress::Ipv6(address) => (
            IpAddressFamily::Ipv6,
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port,
                flow_info: 0,
                address,
                scope_id: 0,
            }),
        ),
    };
    let socket = create_tcp_socket(family)?;
    let ready = socket.subscribe();
    socket.start_connect(network, address)?;
    let (input, output) = loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => ready.block(),
            other => break other?,
        }
    };
    drop(ready);
    Ok(TcpChannel {
        readable: input.subscribe(),
        writable: output.subscribe(),
        input,
        output,
        tls: None,
        socket,
    })
}

fn broken(error: StreamError) -> ChannelError {
    match error {
        StreamError::Closed => ChannelError::Closed,
        StreamError::LastOperationFailed(error) => ChannelError::Broken(error.to_debug_string()),
    }
}

impl Channel for TcpChannel {
    fn read(&mut self, most: usize) -> std::result::Result<Vec<u8>, ChannelError> {
        self.input.read(most as u64).map_err(broken)
    }

    fn read_wait(&mut self, most: usize) -> std::result::Result<Vec<u8>, ChannelError> {
        self.input.blocking_read(most as u64).map_err(broken)
    }

    fn write(&mut self, bytes: &[u8]) -> std::result::Result<usize, ChannelError> {
        let room = self.output.check_write().map_err(broken)?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        if !now.is_empty() {
            self.output.write(now).map_err(broken)?;
        }
        Ok(now.len())
    }

    fn wait(&mut self, interest: Interest) {
        match interest {
            Interest::Read => self.readable.block(),
            Interest::ReadOrWrite => {
                poll::poll(&[&self.writable, &self.readable]);
            }
        }
    }

    fn drain(&mut self) -> std::result::Result<(), ChannelError> {
        self.output.blocking_flush().map_err(broken)
    }

    fn socket(&self) -> Option<&TcpSocket> {
        Some(&self.socket)
    }
}
