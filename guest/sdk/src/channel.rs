//! The seam between a protocol and what carries its bytes.

use crate::bindings::wasi::sockets::tcp::TcpSocket;

/// Why a channel cannot carry on.
#[derive(Debug, Clone)]
pub enum ChannelError {
    /// The other side has closed it.
    Closed,
    /// It broke; the text says how, as far as is known.
    Broken(String),
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the end.
    Read,
    /// Bytes to read, or room to write.
    ReadOrWrite,
}

/// A two-way flow of bytes: a socket, an encrypted channel over one, or a test's.
pub trait Channel {
    /// Takes up to `most` of the bytes that have arrived, without waiting.
    /// Empty if none have.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] at the end of the flow.
    fn read(&mut self, most: usize) -> Result<Vec<u8>, ChannelError>;

    /// Like [`Channel::read`], but waits until there is at least one byte.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] at the end of the flow.
    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError>;

    /// Hands over as many of `bytes` as there is room for, without waiting, and
    /// says how many.
    ///
    /// # Errors
    /// When the flow has ended.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError>;

    /// Waits until one of the things asked for is so.
    fn wait(&mut self, interest: Interest);

    /// Waits until all that was written has been handed to the network.
    ///
    /// # Errors
    /// When the flow has ended.
    fn drain(&mut self) -> Result<(), ChannelError>;

    /// The socket underneath, which `credentials` ties a login to.
    fn socket(&self) -> Option<&TcpSocket>;
}
