//! `wasi:tls`: the server is verified by the configured name, whatever name is asked for.

use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error as IoError};

use crate::bindings::wasi::tls::types;
use crate::broker::socket::{TcpSocket, streams};
use crate::broker::tls::handshake::{FutureStreams, Handshake, Secured};
use crate::broker::tls::layer::BUFFERS;
use crate::state::State;

impl types::Host for State {}

impl types::HostClientHandshake for State {
    async fn new(
        &mut self,
        _: String,
        input: Resource<DynInputStream>,
        output: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<Handshake>> {
        let of = self.streams.take(input.rep(), output.rep());
        self.table.delete(input)?;
        self.table.delete(output)?;
        // A child, here and below: the socket cannot go before what is done with it.
        match of.as_ref().map(|clear| clear.socket) {
            Some(socket) => {
                let socket = Resource::<TcpSocket>::new_borrow(socket);
                Ok(self.table.push_child(Handshake { of }, &socket)?)
            }
            None => Ok(self.table.push(Handshake { of })?),
        }
    }

    async fn finish(
        &mut self,
        handshake: Resource<Handshake>,
    ) -> wasmtime::Result<Resource<FutureStreams>> {
        let handshake = self.table.delete(handshake)?;
        match handshake.of.as_ref().map(|clear| clear.socket) {
            Some(socket) => {
                let socket = Resource::<TcpSocket>::new_borrow(socket);
                Ok(self.table.push_child(handshake.begin(), &socket)?)
            }
            None => Ok(self.table.push(handshake.begin())?),
        }
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
        let encrypted = match self.table.get_mut(&future)?.outcome() {
            None => return Ok(None),
            Some(Err(())) => return Ok(Some(Err(()))),
            Some(Ok(Err(error))) => {
                let error = self.table.push(IoError::from(error))?;
                return Ok(Some(Ok(Err(error))));
            }
            Some(Ok(Ok(encrypted))) => encrypted,
        };
        self.charge(BUFFERS)?;
        let (receiver, sender) = streams(encrypted.connected.clone());
        let receiver: DynInputStream = Box::new(receiver);
        let sender: DynOutputStream = Box::new(sender);
        let socket = Resource::<TcpSocket>::new_borrow(encrypted.socket);
        let secured = Secured(encrypted.connected);
        let secured = self.table.push_child(secured, &socket)?;
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
