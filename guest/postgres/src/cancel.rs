//! Stopping a statement from a second connection.
//!
//! The token is opaque to everyone else: a version byte, the server process and its secret.
//! Manual: "Canceling Requests in Progress".

use bytes::BytesMut;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::{Channel, Error, Result, Stream};

use crate::protocol::frontend;

const VERSION: u8 = 1;

/// What cancels a session's statements: the server process and its secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelKey {
    /// The server's process.
    pub process: i32,
    /// What proves that the request is ours.
    pub secret: i32,
}

/// The token for a session's key.
pub fn token(key: CancelKey) -> Vec<u8> {
    let mut token = vec![VERSION];
    token.extend_from_slice(&key.process.to_be_bytes());
    token.extend_from_slice(&key.secret.to_be_bytes());
    token
}

/// The key in a token.
///
/// # Errors
/// `configuration`, if it is not a token of this connector.
pub fn key(token: &[u8]) -> Result<CancelKey> {
    match token {
        &[VERSION, p3, p2, p1, p0, s3, s2, s1, s0] => Ok(CancelKey {
            process: i32::from_be_bytes([p3, p2, p1, p0]),
            secret: i32::from_be_bytes([s3, s2, s1, s0]),
        }),
        _ => Err(Error::new(
            ErrorKind::Configuration,
            "the cancel token is not one of this connector",
        )
        .with_hint("pass on the token as the connection gave it")),
    }
}

/// Sends the request over a channel of its own and waits until the server has taken it in,
/// which it shows by closing the channel.
///
/// # Errors
/// `connection-lost`, if the request could not be sent.
pub fn send(channel: Box<dyn Channel>, key: CancelKey) -> Result<()> {
    let mut stream = Stream::new(channel);
    let mut request = BytesMut::new();
    frontend::cancel_request(key.process, key.secret, &mut request);
    stream.outbox().extend_from_slice(&request);
    stream.drain().map_err(|_| {
        Error::new(
            ErrorKind::ConnectionLost,
            "the request to cancel could not be delivered",
        )
        .with_hint(
            "try again; if the server cannot be reached, the statement ends with its connection",
        )
        .retryable()
    })?;
    stream.finish();
    Ok(())
}
