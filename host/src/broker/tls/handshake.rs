//! `wasi:tls` as a connector sees it: from the streams of a socket in the clear to those of the
//! same socket, encrypted.

use std::io;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wasmtime_wasi_io::poll::Pollable;

use super::layer::Layer;
use crate::broker::socket::Connected;

/// Which streams are a socket's two, by the handles that a connector has for them. Handles are
/// used again, so what is taken out or given anew is forgotten.
#[derive(Default)]
pub struct Streams(Vec<Entry>);

struct Entry {
    input: u32,
    output: u32,
    socket: u32,
    connected: Weak<Connected>,
}

impl Streams {
    /// Remembers the handles of `connected`, which is known as `socket`.
    pub fn insert(&mut self, input: u32, output: u32, socket: u32, connected: &Arc<Connected>) {
        self.0.retain(|known| {
            known.input != input && known.output != output && known.connected.strong_count() > 0
        });
        self.0.push(Entry {
            input,
            output,
            socket,
            connected: Arc::downgrade(connected),
        });
    }

    /// The socket that both streams belong to, with its handle, if it is still in the clear.
    pub fn take(&mut self, input: u32, output: u32) -> Option<Clear> {
        let at = self
            .0
            .iter()
            .position(|known| known.input == input && known.output == output)?;
        let entry = self.0.swap_remove(at);
        let connected = entry.connected.upgrade()?;
        connected.tls().is_none().then_some(Clear {
            socket: entry.socket,
            connected,
        })
    }
}

/// A socket in the clear, and the handle that a connector has for it.
#[derive(Clone)]
pub struct Clear {
    /// The handle.
    pub socket: u32,
    connected: Arc<Connected>,
}

/// `wasi:tls/types.client-handshake`.
pub struct Handshake {
    /// None for streams that are not both of one socket in the clear.
    pub of: Option<Clear>,
}

/// `wasi:tls/types.future-client-streams`.
pub struct FutureStreams {
    state: Shaking,
}

enum Shaking {
    Hands(BoxFuture<'static, io::Result<Encrypted>>),
    Shaken(io::Result<Encrypted>),
    Taken,
}

/// A socket whose handshake is done.
pub struct Encrypted {
    /// The handle that the connector has for it.
    pub socket: u32,
    /// The socket.
    pub connected: Arc<Connected>,
}

/// `wasi:tls/types.client-connection`.
pub struct Secured(pub Arc<Connected>);

impl Drop for Secured {
    fn drop(&mut self) {
        self.0.close_output();
    }
}

impl Handshake {
    /// Begins to shake hands.
    pub fn begin(self) -> FutureStreams {
        let state = match self.of {
            Some(clear) => Shaking::Hands(clear.encrypt().boxed()),
            None => Shaking::Shaken(Err(io::Error::other(
                "the streams are not those of a socket in the clear",
            ))),
        };
        FutureStreams { state }
    }
}

impl Clear {
    async fn encrypt(self) -> io::Result<Encrypted> {
        let Self { socket, connected } = self;
        let endpoint = connected.endpoint().clone();
        let layer: Layer = endpoint.shake_hands(&connected).await?;
        match connected.encrypt(layer) {
            true => Ok(Encrypted { socket, connected }),
            false => Err(io::Error::other("something encrypts the socket already")),
        }
    }
}

impl FutureStreams {
    /// The outcome; none while there is none, an error when it was taken before.
    pub fn outcome(&mut self) -> Option<Result<io::Result<Encrypted>, ()>> {
        if let Shaking::Hands(hands) = &mut self.state {
            let outcome = hands.now_or_never()?;
            self.state = Shaking::Shaken(outcome);
        }
        match std::mem::replace(&mut self.state, Shaking::Taken) {
            Shaking::Shaken(outcome) => Some(Ok(outcome)),
            _ => Some(Err(())),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for FutureStreams {
    async fn ready(&mut self) {
        if let Shaking::Hands(hands) = &mut self.state {
            let outcome = hands.await;
            self.state = Shaking::Shaken(outcome);
        }
    }
}
