//! `wasi:sockets`, as far as it exists for a connector: name look-up and TCP to
//! its endpoint.

use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use crate::bindings::wasi::sockets::network::{
    self, ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress,
};
use crate::bindings::wasi::sockets::tcp::ShutdownType;
use crate::bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp, tcp_create_socket};
use crate::broker::network::{Addresses, DialError, Network};
use crate::broker::socket::{BUFFERS, Connecting, TcpSocket, streams};
use crate::policy::network::{ENDPOINT_ADDRESS, SOCKETS, is_endpoint_address, is_endpoint_name};
use crate::state::State;

type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

impl network::Host for State {
    async fn network_error_code(
        &mut self,
        _: Resource<wasmtime_wasi_io::streams::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for State {
    async fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for State {
    async fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

impl ip_name_lookup::Host for State {
    async fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> Answer<Resource<Addresses>> {
        let Some(endpoint) = self
            .broker
            .endpoint
            .clone()
            .filter(|_| is_endpoint_name(&name))
        else {
            return Ok(Err(ErrorCode::AccessDenied));
        };
        match endpoint.resolve().await {
            Ok(_) => Ok(Ok(self.table.push(Addresses { done: false })?)),
            Err(error) => Ok(Err(code(error))),
        }
    }
}

impl ip_name_lookup::HostResolveAddressStream for State {
    async fn resolve_next_address(
        &mut self,
        stream: Resource<Addresses>,
    ) -> Answer<Option<IpAddress>> {
        let stream = self.table.get_mut(&stream)?;
        let [a, b, c, d] = ENDPOINT_ADDRESS.octets();
        let address = (!stream.done).then_some(IpAddress::Ipv4((a, b, c, d)));
        stream.done = true;
        Ok(Ok(address))
    }

    async fn subscribe(
        &mut self,
        stream: Resource<Addresses>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi_io::poll::subscribe(&mut self.table, stream)
    }

    async fn drop(&mut self, stream: Resource<Addresses>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl wasmtime_wasi_io::poll::Pollable for Addresses {
    async fn ready(&mut self) {}
}

impl tcp_create_socket::Host for State {
    async fn create_tcp_socket(&mut self, _: IpAddressFamily) -> Answer<Resource<TcpSocket>> {
        if self.sockets >= SOCKETS {
            return Ok(Err(ErrorCode::NewSocketLimit));
        }
        let socket = self.table.push(TcpSocket::default())?;
        self.sockets = self.sockets.saturating_add(1);
        Ok(Ok(socket))
    }
}

impl tcp::Host for State {}

impl tcp::HostTcpSocket for State {
    async fn start_connect(
        &mut self,
        socket: Resource<TcpSocket>,
        _: Resource<Network>,
        address: IpSocketAddress,
    ) -> Answer<()> {
        let endpoint = self.broker.endpoint.clone();
        let Some(endpoint) =
            endpoint.filter(|endpoint| is_endpoint_address(standard(address), endpoint.port()))
        else {
            return Ok(Err(ErrorCode::AccessDenied));
        };
        let allowance = self.meter.allowance();
        let permitted = self
            .meter
            .permit_sending(allowance)
            .and_then(|()| self.meter.permit_receiving(allowance));
        if let Err(limit) = permitted {
            endpoint.refuse_more(limit);
            return Ok(Err(ErrorCode::AccessDenied));
        }
        if self.table.get_mut(&socket)?.connect(endpoint) {
            Ok(Ok(()))
        } else {
            Ok(Err(ErrorCode::InvalidState))
        }
    }

    async fn finish_connect(
        &mut self,
        socket: Resource<TcpSocket>,
    ) -> Answer<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let meter = self.meter.clone();
        match self.table.get_mut(&socket)?.finish(meter).await {
            Connecting::Pending => Ok(Err(ErrorCode::WouldBlock)),
            Connecting::NotBegun => Ok(Err(ErrorCode::NotInProgress)),
            Connecting::Failed(error) => Ok(Err(code(error))),
            Connecting::Done(connected) => {
                self.charge(BUFFERS)?;
                let (receiver, sender) = streams(connected.clone());
                let receiver: DynInputStream = Box::new(receiver);
                let sender: DynOutputStream = Box::new(sender);
                // Children: what they buffer is charged for as long as the socket lives.
                let receiver = self.table.push_child(receiver, &socket)?;
                let sender = self.table.push_child(sender, &socket)?;
                // What wasi:tls knows them by.
                self.streams
                    .insert(receiver.rep(), sender.rep(), socket.rep(), &connected);
                Ok(Ok((receiver, sender)))
            }
        }
    }

    async fn subscribe(
        &mut self,
        socket: Resource<TcpSocket>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi_io::poll::subscribe(&mut self.table, socket)
    }

    async fn shutdown(&mut self, socket: Resource<TcpSocket>, how: ShutdownType) -> Answer<()> {
        let how = match how {
            ShutdownType::Receive => std::net::Shutdown::Read,
            ShutdownType::Send => std::net::Shutdown::Write,
            ShutdownType::Both => std::net::Shutdown::Both,
        };
        Ok(self
            .table
            .get(&socket)?
            .shutdown(how)
            .map_err(|_| ErrorCode::InvalidState))
    }

    async fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        if self.table.delete(socket)?.connected().is_some() {
            self.memory.shrink(BUFFERS);
        }
        self.sockets = self.sockets.saturating_sub(1);
        Ok(())
    }

    async fn address_family(
        &mut self,
        _: Resource<TcpSocket>,
    ) -> wasmtime::Result<IpAddressFamily> {
        Ok(IpAddressFamily::Ipv4)
    }

    async fn is_listening(&mut self, _: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        Ok(false)
    }

    async fn remote_address(&mut self, socket: Resource<TcpSocket>) -> Answer<IpSocketAddress> {
        let connected = self.table.get(&socket)?.connected().is_some();
        let Some(endpoint) = self.broker.endpoint.as_ref().filter(|_| connected) else {
            return Ok(Err(ErrorCode::InvalidState));
        };
        let [a, b, c, d] = ENDPOINT_ADDRESS.octets();
        let address = network::Ipv4SocketAddress {
            port: endpoint.port(),
            address: (a, b, c, d),
        };
        Ok(Ok(IpSocketAddress::Ipv4(address)))
    }

    async fn start_bind(
        &mut self,
        _: Resource<TcpSocket>,
        _: Resource<Network>,
        _: IpSocketAddress,
    ) -> Answer<()> {
        Ok(Err(ErrorCode::AccessDenied))
    }

    async fn finish_bind(&mut self, _: Resource<TcpSocket>) -> Answer<()> {
        Ok(Err(ErrorCode::NotInProgress))
    }

    async fn start_listen(&mut self, _: Resource<TcpSocket>) -> Answer<()> {
        Ok(Err(ErrorCode::AccessDenied))
    }

    async fn finish_listen(&mut self, _: Resource<TcpSocket>) -> Answer<()> {
        Ok(Err(ErrorCode::NotInProgress))
    }

    async fn accept(
        &mut self,
        _: Resource<TcpSocket>,
    ) -> Answer<(
        Resource<TcpSocket>,
        Resource<DynInputStream>,
        Resource<DynOutputStream>,
    )> {
        Ok(Err(ErrorCode::AccessDenied))
    }

    async fn set_listen_backlog_size(&mut self, _: Resource<TcpSocket>, _: u64) -> Answer<()> {
        Ok(Err(ErrorCode::AccessDenied))
    }

    async fn local_address(&mut self, _: Resource<TcpSocket>) -> Answer<IpSocketAddress> {
        // The address of this machine is nothing a connector needs.
        Ok(Err(ErrorCode::NotSupported))
    }

    // The host sets the socket's options itself.

    async fn keep_alive_enabled(&mut self, _: Resource<TcpSocket>) -> Answer<bool> {
        Ok(Ok(true))
    }

    async fn set_keep_alive_enabled(&mut self, _: Resource<TcpSocket>, _: bool) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn keep_alive_idle_time(&mut self, _: Resource<TcpSocket>) -> Answer<u64> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn set_keep_alive_idle_time(&mut self, _: Resource<TcpSocket>, _: u64) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn keep_alive_interval(&mut self, _: Resource<TcpSocket>) -> Answer<u64> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn set_keep_alive_interval(&mut self, _: Resource<TcpSocket>, _: u64) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn keep_alive_count(&mut self, _: Resource<TcpSocket>) -> Answer<u32> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn set_keep_alive_count(&mut self, _: Resource<TcpSocket>, _: u32) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn hop_limit(&mut self, _: Resource<TcpSocket>) -> Answer<u8> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn set_hop_limit(&mut self, _: Resource<TcpSocket>, _: u8) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn receive_buffer_size(&mut self, _: Resource<TcpSocket>) -> Answer<u64> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn set_receive_buffer_size(&mut self, _: Resource<TcpSocket>, _: u64) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn send_buffer_size(&mut self, _: Resource<TcpSocket>) -> Answer<u64> {
        Ok(Err(ErrorCode::NotSupported))
    }

    async fn set_send_buffer_size(&mut self, _: Resource<TcpSocket>, _: u64) -> Answer<()> {
        Ok(Err(ErrorCode::NotSupported))
    }
}

fn code(error: DialError) -> ErrorCode {
    match error {
        DialError::Unresolvable => ErrorCode::NameUnresolvable,
        DialError::Denied => ErrorCode::AccessDenied,
        DialError::Refused => ErrorCode::ConnectionRefused,
        DialError::TimedOut => ErrorCode::Timeout,
        DialError::Unreachable => ErrorCode::RemoteUnreachable,
    }
}

fn standard(address: IpSocketAddress) -> std::net::SocketAddr {
    match address {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            (std::net::Ipv4Addr::new(a, b, c, d), v4.port).into()
        }
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            (std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h), v6.port).into()
        }
    }
}
