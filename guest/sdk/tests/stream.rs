//! Buffers over a channel that is as awkward as it may be.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use dagflux_guest::bindings::wasi::sockets::tcp::TcpSocket;
use dagflux_guest::{Channel, ChannelError, Interest, Stream};

/// A channel on which there is no end of what comes.
#[derive(Default)]
struct Endless(Rc<RefCell<usize>>);

impl Channel for Endless {
    fn read(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        self.read_wait(most)
    }

    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        *self.0.borrow_mut() += 1;
        assert!(*self.0.borrow() < 100, "it reads on and on");
        Ok(vec![0; most.min(4096)])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        Ok(bytes.len())
    }

    fn wait(&mut self, _: Interest) {}

    fn drain(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn socket(&self) -> Option<&TcpSocket> {
        None
    }
}

#[test]
fn a_peer_that_is_to_close_and_talks_on_is_left() {
    let reads = Rc::default();
    Stream::new(Box::new(Endless(Rc::clone(&reads)))).finish();
    assert_eq!(*reads.borrow(), 16);
}

/// A channel that delivers given pieces, and takes a few bytes at a time.
#[derive(Default)]
struct Pieces {
    arriving: VecDeque<Vec<u8>>,
    /// How much it takes before it has to be waited for.
    room: usize,
    sent: Rc<RefCell<Vec<u8>>>,
    /// How often it was waited for.
    waits: usize,
}

impl Channel for Pieces {
    fn read(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        Ok(match self.arriving.pop_front() {
            Some(mut piece) if piece.len() > most => {
                self.arriving.push_front(piece.split_off(most));
                piece
            }
            Some(piece) => piece,
            None => Vec::new(),
        })
    }

    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        match self.read(most)? {
            piece if piece.is_empty() => Err(ChannelError::Closed),
            piece => Ok(piece),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        let taken = self.room.min(bytes.len());
        self.room -= taken;
        self.sent.borrow_mut().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn wait(&mut self, interest: Interest) {
        assert_eq!(interest, Interest::ReadOrWrite);
        self.waits += 1;
        self.room = 3;
    }

    fn drain(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn socket(&self) -> Option<&TcpSocket> {
        None
    }
}

#[test]
fn bytes_come_out_as_they_came_in_however_they_are_cut() {
    let bytes: Vec<u8> = (0..=255).collect();
    for piece in 1..20 {
        for wanted in 1..20 {
            let channel = Pieces {
                arriving: bytes.chunks(piece).map(<[u8]>::to_vec).collect(),
                ..Pieces::default()
            };
            let mut stream = Stream::new(Box::new(channel));
            let mut out = Vec::new();
            while stream.require(wanted).is_ok() {
                out.extend_from_slice(&stream.front()[..wanted]);
                stream.consume(wanted);
            }
            while !stream.front().is_empty() {
                out.push(stream.front()[0]);
                stream.consume(1);
            }
            assert_eq!(out, bytes, "pieces of {piece}, {wanted} at a time");
        }
    }
}

#[test]
fn more_can_be_required_than_was_before_anything_is_consumed() {
    let channel = Pieces {
        arriving: [&b"ab"[..], b"cd", b"efgh"].map(<[u8]>::to_vec).into(),
        ..Pieces::default()
    };
    let mut stream = Stream::new(Box::new(channel));
    assert!(stream.require(3).is_ok());
    assert!(stream.front().starts_with(b"abc"));
    assert!(stream.require(7).is_ok());
    assert!(stream.front().starts_with(b"abcdefg"));
    stream.consume(7);
    assert!(stream.available(1).is_ok_and(|enough| enough));
    assert_eq!(stream.front(), b"h");
    stream.consume(1);
    assert!(stream.available(1).is_ok_and(|enough| !enough));
    assert!(matches!(stream.require(1), Err(ChannelError::Closed)));
}

#[test]
fn what_arrives_while_writing_is_taken_in() {
    let sent = Rc::default();
    let channel = Pieces {
        arriving: [&b"an"[..], b" error"].map(<[u8]>::to_vec).into(),
        sent: Rc::clone(&sent),
        ..Pieces::default()
    };
    let mut stream = Stream::new(Box::new(channel));
    stream.outbox().extend_from_slice(b"twenty bytes of rows");
    assert!(stream.flush().is_ok());
    assert_eq!(*sent.borrow(), b"twenty bytes of rows");
    assert!(stream.available(8).is_ok_and(|enough| enough));
    assert_eq!(stream.front(), b"an error");
}

/// A channel that takes nothing, and delivers a byte whenever it is looked at.
struct Drip;

impl Channel for Drip {
    fn read(&mut self, _most: usize) -> Result<Vec<u8>, ChannelError> {
        Ok(vec![b'N'])
    }

    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        self.read(most)
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<usize, ChannelError> {
        Ok(0)
    }

    fn wait(&mut self, _interest: Interest) {}

    fn drain(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn socket(&self) -> Option<&TcpSocket> {
        None
    }
}

/// Sixteen million pieces: were each kept by itself and looked at again for every other, this
/// would not end.
#[test]
fn a_peer_that_only_talks_is_given_up_soon_however_little_it_says_at_a_time() {
    let mut stream = Stream::new(Box::new(Drip));
    stream.outbox().extend_from_slice(b"rows");
    match stream.flush() {
        Err(ChannelError::Broken(how)) => {
            assert_eq!(how, "the server keeps sending while it is being written to");
        }
        other => panic!("{other:?}"),
    }
    // And what it said is all there, in its order.
    assert!(stream.available(1000).is_ok_and(|enough| enough));
    assert!(stream.front().iter().all(|byte| *byte == b'N'));
}
