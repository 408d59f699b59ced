//! `wasi:tls`: the server is verified by the configured name, whatever name is asked for.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, Pollable};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error as IoError};

use crate::bindings::wasi::tls::types;
use crate::broker::socket::{Connected, TcpSocket, streams};
use crate::broker::tls::layer::{BUFFERS, Layer};
use crate::state::State;

/// The streams of a socket, by the handles a connector has for them.
pub struct Streams {
    input: u32,
    output: u32,
    socket: u32,
    connected: Weak<Connected>,
}

impl Streams {
    /// Those of `connected`, which the connector knows as `socket`.
    pub fn new(
        input: &Resource<DynInputStream>,
        output: &Resource<DynOutputStream>,
        socket: &Resource<TcpSocket>,
        connected: &Arc<Connected>,
    ) -> Self {
        Self {
            input: input.rep(),
            output: output.rep(),
            socket: socket.rep(),
            connected: Arc::downgrade(connected),
        }
    }

    /// Whether they still lead somewhere.
    pub fn is_alive(&self) -> bool {
        self.connected.strong_count() > 0
    }
}

/// `wasi:tls/types.client-handshake`.
pub struct Handshake {
    /// None for streams that are not both of one socket in the clear.
    of: Option<(u32, Arc<Connected>)>,
}

/// `wasi:tls/types.future-client-streams`.
pub struct FutureStreams {
    of: Option<(u32, Arc<Connected>)>,
    state: Shaking,
}

enum Shaking {
    Hands(BoxFuture<'static, std::io::Result<Box<Layer>>>),
    Shaken(std::io::Result<Box<Layer>>),
    Taken,
}

/// `wasi:tls/types.client-connection`.
pub struct Secured(Arc<Connected>);

#[async_trait::async_trait]
impl Pollable for FutureStreams {
    async fn ready(&mut self) {
        if let Shaking::Hands(hands) = &mut self.state {
            let outcome = hands.await;
            self.state = Shaking::Shaken(outcome);
        }
    }
}

impl types::Host for State {}

impl types::HostClientHandshake for State {
    async fn new(
        &mut self,
        _: String,
        input: Resource<DynInputStream>,
        output: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<Handshake>> {
        let of = self
            .streams
            .iter()
            .find(|known| known.input == input.rep() && known.output == output.rep())
            .and_then(|known| Some((known.socket, known.connected.upgrade()?)))
            .filter(|(_, connected)| connected.tls().is_none());
        self.table.delete(input)?;
        self.table.delete(output)?;
        Ok(self.table.push(Handshake { of })?)
    }

    async fn finish(
        &mut self,
        handshake: Resource<Handshake>,
    ) -> wasmtime::Result<Resource<FutureStreams>> {
        let Handshake { of } = self.table.delete(handshake)?;
        let state = match of.clone() {
            Some((_, socket)) => Shaking::Hands(
                async move {
                    let endpoint = socket.endpoint().clone();
                    endpoint.shake_hands(&socket).await.map(Box::new)
                }
                .boxed(),
            ),
            None => Shaking::Shaken(Err(std::io::Error::other(
                "the streams are not those of a socket in the clear",
            ))),
        };
        Ok(self.table.push(FutureStreams { of, state })?)
    }

    async fn drop(&mut self, handshake: Resource<Handshake>) -> wasmtime::Result<()> {
        self.table.delete(handshake)?;
        Ok(())
    }
}

type Secure = (
    Resource<Secured>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
);

impl types::HostFutureClientStreams for State {
    async fn subscribe(
        &mut self,
        future: Resource<FutureStreams>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi_io::poll::subscribe(&mut self.table, future)
    }

    async fn get(
        &mut self,
        future: Resource<FutureStreams>,
    ) -> wasmtime::Result<Option<Result<Result<Secure, Resource<IoError>>, ()>>> {
        let future = self.table.get_mut(&future)?;
        if let Shaking::Hands(hands) = &mut future.state {
            match hands.now_or_never() {
                Some(outcome) => future.state = Shaking::Shaken(outcome),
                None => return Ok(None),
            }
        }
        let outcome = match std::mem::replace(&mut future.state, Shaking::Taken) {
            Shaking::Shaken(outcome) => outcome,
            _ => return Ok(Some(Err(()))),
        };
        let secured = match (outcome, future.of.clone()) {
            (Ok(layer), Some((socket, connected))) => Ok((socket, connected, layer)),
            (Ok(_), None) => Err(std::io::Error::other("there is no socket")),
            (Err(error), _) => Err(error),
        };
        let (socket, connected, layer) = match secured {
            Ok(secured) => secured,
            Err(error) => {
                let error = self.table.push(IoError::from(error))?;
                return Ok(Some(Ok(Err(error))));
            }
        };
        self.charge(BUFFERS)?;
        connected.encrypt(*layer);
        let (receiver, sender) = streams(connected.clone());
        let receiver: DynInputStream = Box::new(receiver);
        let sender: DynOutputStream = Box::new(sender);
        // Children: the socket cannot go before what encrypts it.
        let socket = Resource::<TcpSocket>::new_borrow(socket);
        let secured = self.table.push_child(Secured(connected), &socket)?;
        let receiver = self.table.push_child(receiver, &secured)?;
        let sender = self.table.push_child(sender, &secured)?;
        Ok(Some(Ok(Ok((secured, receiver, sender)))))
    }

    async fn drop(&mut self, future: Resource<FutureStreams>) -> wasmtime::Result<()> {
        self.table.delete(future)?;
        Ok(())
    }
}

impl types::HostClientConnection for State {
    async fn close_output(&mut self, connection: Resource<Secured>) -> wasmtime::Result<()> {
        self.table.get(&connection)?.0.close_output();
        Ok(())
    }

    async fn drop(&mut self, connection: Resource<Secured>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.memory.shrink(BUFFERS);
        Ok(())
    }
}
