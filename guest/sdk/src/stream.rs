//! Buffers on both sides of a [`Channel`].
//!
//! # Reading
//!
//! Bytes are asked for in large pieces and looked at where they lie: [`Stream::front`]
//! is the contiguous part that can be parsed, [`Stream::consume`] moves on. Only what is
//! cut off at the end of a piece is copied, by [`Stream::require`], which joins it with
//! the part of the next piece that completes it.
//!
//! # Writing
//!
//! Messages are put into [`Stream::outbox`] and leave with [`Stream::flush`], together, so
//! that a flight of messages is one packet. While there is no room to write, arriving bytes
//! are taken in: a server that has to say something before it reads on, such as an error
//! in the middle of an import, gets its turn, and neither side waits for the other for ever.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::channel::{Channel, ChannelError, Interest};

/// How much is asked for in one read. Larger makes no read cheaper: a piece of this size
/// takes longer to decode than the call that fetched it by a factor of a hundred.
const READ: usize = 256 * 1024;

/// How much may arrive while writing before the peer is taken to be talking out of turn.
/// A server has nothing to send during an import but remarks and one error.
const UNEXPECTED: usize = 16 * 1024 * 1024;

/// How much a peer that is to close may say before it does.
const FAREWELL: usize = 64 * 1024;

/// A channel with its buffers.
pub struct Stream {
    channel: Box<dyn Channel>,
    /// What was cut off, being completed. In front of `chunks` if not consumed yet.
    carry: Vec<u8>,
    carry_at: usize,
    /// The pieces that have arrived; the first is read from `chunk_at`.
    chunks: VecDeque<Vec<u8>>,
    chunk_at: usize,
    outbox: BytesMut,
}

impl Stream {
    /// Buffers for `channel`.
    pub fn new(channel: Box<dyn Channel>) -> Self {
        Self {
            channel,
            carry: Vec::new(),
            carry_at: 0,
            chunks: VecDeque::new(),
            chunk_at: 0,
            outbox: BytesMut::new(),
        }
    }

    /// The contiguous bytes that have arrived and were not consumed. Empty does not mean
    /// that nothing is on its way.
    #[inline]
    pub fn front(&self) -> &[u8] {
        match self.carry.get(self.carry_at..) {
            Some(carry) if !carry.is_empty() => carry,
            _ => match self.chunks.front() {
                Some(chunk) => chunk.get(self.chunk_at..).unwrap_or_default(),
                None => &[],
            },
        }
    }

    /// Moves past the first `count` bytes of [`Stream::front`].
    #[inline]
    pub fn consume(&mut self, count: usize) {
        if self.carry_at < self.carry.len() {
            self.carry_at = self.carry_at.saturating_add(count);
            if self.carry_at >= self.carry.len() {
                self.carry.clear();
                self.carry_at = 0;
            }
            return;
        }
        self.chunk_at = self.chunk_at.saturating_add(count);
        if self
            .chunks
            .front()
            .is_some_and(|chunk| self.chunk_at >= chunk.len())
        {
            self.chunks.pop_front();
            self.chunk_at = 0;
        }
    }

    /// Waits until [`Stream::front`] holds at least `count` bytes.
    ///
    /// # Errors
    /// When the flow ends or breaks before.
    #[inline]
    pub fn require(&mut self, count: usize) -> Result<(), ChannelError> {
        if self.front().len() >= count {
            return Ok(());
        }
        while !self.join(count) {
            let piece = self.channel.read_wait(READ)?;
            self.arrived(piece);
        }
        Ok(())
    }

    /// Like [`Stream::require`], but takes only what has arrived. Whether it was enough.
    ///
    /// # Errors
    /// When the flow has ended or broken.
    pub fn available(&mut self, count: usize) -> Result<bool, ChannelError> {
        loop {
            if self.join(count) {
                return Ok(true);
            }
            let piece = self.channel.read(READ)?;
            if piece.is_empty() {
                return Ok(false);
            }
            self.arrived(piece);
        }
    }

    /// Puts a piece behind those that wait. Small ones that nobody takes, as while writing,
    /// become one: what is kept of each would come to more than they are, and looking through
    /// them to more time than they are worth.
    fn arrived(&mut self, mut piece: Vec<u8>) {
        match self.chunks.back_mut() {
            Some(last) if last.len().saturating_add(piece.len()) <= READ => {
                last.append(&mut piece);
            }
            _ if piece.is_empty() => {}
            _ => self.chunks.push_back(piece),
        }
    }

    /// Makes `count` bytes contiguous if that many have arrived.
    fn join(&mut self, count: usize) -> bool {
        loop {
            if self.front().len() >= count {
                return true;
            }
            // What is in front is too short: it goes to the carry, and the next piece
            // gives what is missing.
            let carried = self.carry.len().saturating_sub(self.carry_at);
            if carried == 0 {
                self.carry.clear();
                self.carry_at = 0;
            }
            let Some(chunk) = self.chunks.front() else {
                return false;
            };
            let rest = chunk.get(self.chunk_at..).unwrap_or_default();
            let missing = count.saturating_sub(carried).min(rest.len());
            self.carry
                .extend_from_slice(rest.get(..missing).unwrap_or_default());
            self.chunk_at = self.chunk_at.saturating_add(missing);
            if self.chunk_at >= chunk.len() {
                self.chunks.pop_front();
                self.chunk_at = 0;
            }
        }
    }

    /// Where messages to be sent are put.
    pub fn outbox(&mut self) -> &mut BytesMut {
        &mut self.outbox
    }

    /// Sends what is in the outbox, all of it.
    ///
    /// # Errors
    /// When the channel ends or breaks; what had arrived until then can still be read.
    pub fn flush(&mut self) -> Result<(), ChannelError> {
        while !self.outbox.is_empty() {
            let written = self.channel.write(&self.outbox)?;
            if written > 0 {
                let _ = self.outbox.split_to(written.min(self.outbox.len()));
                continue;
            }
            self.channel.wait(Interest::ReadOrWrite);
            let piece = self.channel.read(READ)?;
            self.arrived(piece);
            if self.chunks.iter().map(Vec::len).sum::<usize>() > UNEXPECTED {
                return Err(ChannelError::Broken(
                    "the server keeps sending while it is being written to".into(),
                ));
            }
        }
        self.outbox.clear();
        Ok(())
    }

    /// Waits until everything sent has been handed to the network.
    ///
    /// # Errors
    /// When the channel ends or breaks before.
    pub fn drain(&mut self) -> Result<(), ChannelError> {
        self.flush()?;
        self.channel.drain()
    }

    /// Waits for the end of the flow and discards what comes before, if that is little.
    pub fn finish(&mut self) {
        let mut left = FAREWELL;
        while left > 0
            && let Ok(piece) = self.channel.read_wait(READ)
        {
            left = left.saturating_sub(piece.len());
        }
    }

    /// The socket underneath.
    pub fn socket(&self) -> Option<&TcpSocket> {
        self.channel.socket()
    }
}
