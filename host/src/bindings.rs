//! The host's side of the contract, generated from `wit/`.
//!
//! `wasi:io`, clocks and random are wasmtime-wasi's own; sockets, config,
//! logging and credentials are ours, and implemented in [`crate::imports`].
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "relational-connector",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
        "wasi:sockets/network.network": crate::broker::network::Network,
        "wasi:sockets/tcp.tcp-socket": crate::broker::socket::TcpSocket,
        "wasi:tls/types.client-handshake": crate::broker::tls::handshake::Handshake,
        "wasi:tls/types.client-connection": crate::broker::tls::handshake::Secured,
        "wasi:tls/types.future-client-streams": crate::broker::tls::handshake::FutureStreams,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::broker::network::Addresses,
        "dagflux:connector/credentials.scram-sha256": crate::broker::credentials::Exchange,
    },
    require_store_data_send: true,
});

pub use dagflux::connector::types::{Error, ErrorKind, Notice, TableName};

macro_rules! same_kinds {
    ($($kind:ident)*) => {
        impl From<ErrorKind> for crate::ErrorKind {
            fn from(kind: ErrorKind) -> Self {
                match kind {
                    $(ErrorKind::$kind => Self::$kind,)*
                }
            }
        }
    };
}

same_kinds! {
    Configuration NameResolution Unreachable ConnectTimeout Tls Authentication PermissionDenied DatabaseNotFound
    TableNotFound SchemaNotFound ColumnNotFound AlreadyExists Syntax Statement UnsupportedStatement ReadOnly
    Constraint Value SchemaMismatch StatementTimeout Cancelled Conflict ServerResources ServerShutdown
    ConnectionLost OutcomeUnknown Protocol Unsupported Internal Other
}
