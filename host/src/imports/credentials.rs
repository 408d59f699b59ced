//! `dagflux:connector/credentials`, and `types`, which has no functions.

use wasmtime::component::Resource;

use crate::bindings::dagflux::connector::credentials::{
    Host, HostScramSha256, Refusal, RefusalKind,
};
use crate::bindings::dagflux::connector::types;
use crate::broker::credentials::{Denied, Exchange};
use crate::broker::socket::TcpSocket;
use crate::policy::login;
use crate::state::State;

impl types::Host for State {}

impl Host for State {
    async fn reveal(&mut self, field: String) -> wasmtime::Result<Result<String, Refusal>> {
        Ok(self
            .broker
            .credentials
            .reveal(&field)
            .await
            .map_err(refusal))
    }

    async fn md5_response(
        &mut self,
        connection: Resource<TcpSocket>,
        name_field: String,
        password_field: String,
        salt: Vec<u8>,
    ) -> wasmtime::Result<Result<String, Refusal>> {
        let (Some(endpoint), Some(socket)) = (
            &self.broker.endpoint,
            self.table.get(&connection)?.connected(),
        ) else {
            return Ok(Err(not_connected()));
        };
        let fields = (name_field.as_str(), password_field.as_str());
        Ok(self
            .broker
            .credentials
            .md5(endpoint, socket, fields, &salt)
            .await
            .map_err(refusal))
    }
}

impl HostScramSha256 for State {
    async fn start(
        &mut self,
        connection: Resource<TcpSocket>,
        field: String,
        mechanisms: Vec<String>,
    ) -> wasmtime::Result<Result<Resource<Exchange>, Refusal>> {
        let (Some(endpoint), Some(socket)) = (
            &self.broker.endpoint,
            self.table.get(&connection)?.connected(),
        ) else {
            return Ok(Err(not_connected()));
        };
        match self
            .broker
            .credentials
            .begin(endpoint, socket, &field, &mechanisms)
            .await
        {
            Ok(exchange) => Ok(Ok(self.table.push(exchange)?)),
            Err(denied) => Ok(Err(refusal(denied))),
        }
    }

    async fn mechanism(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<String> {
        Ok(self.table.get(&exchange)?.mechanism().to_owned())
    }

    async fn client_first(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&exchange)?.client_first())
    }

    async fn client_final(
        &mut self,
        exchange: Resource<Exchange>,
        challenge: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Refusal>> {
        Ok(self
            .table
            .get_mut(&exchange)?
            .client_final(challenge)
            .await
            .map_err(refusal))
    }

    async fn verify(
        &mut self,
        exchange: Resource<Exchange>,
        outcome: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        Ok(self
            .table
            .get_mut(&exchange)?
            .verify(&outcome)
            .map_err(refusal))
    }

    async fn drop(&mut self, exchange: Resource<Exchange>) -> wasmtime::Result<()> {
        self.table.delete(exchange)?;
        Ok(())
    }
}

fn not_connected() -> Refusal {
    refusal(Denied::Policy(login::Refusal::UnexpectedChallenge))
}

fn refusal(denied: Denied) -> Refusal {
    use login::Refusal as Policy;
    let (kind, message) = match denied {
        Denied::Policy(Policy::NoSuchField) => (
            RefusalKind::NoSuchField,
            "there is no sensitive field of this name",
        ),
        Denied::Policy(Policy::WrongUse) => {
            (RefusalKind::Forbidden, "the field is not made for this use")
        }
        Denied::Policy(Policy::Md5Forbidden) => (
            RefusalKind::Forbidden,
            "the server asks for an MD5 login, which the host's policy forbids: \
             set the server's password_encryption to scram-sha-256 and the password anew, or permit MD5",
        ),
        Denied::Policy(Policy::Exhausted) => (
            RefusalKind::Exhausted,
            "this connection has had its one login",
        ),
        Denied::Policy(Policy::InsecureChannel) => (
            RefusalKind::InsecureChannel,
            "the login may only happen on an encrypted channel to a verified server",
        ),
        Denied::Policy(Policy::UnexpectedChallenge) => (
            RefusalKind::UnexpectedChallenge,
            "the challenge is not what the server sent last on this connection",
        ),
        Denied::Policy(Policy::Iterations) => (
            RefusalKind::InvalidChallenge,
            "the server asks for fewer than 4,096 or more than 100,000 iterations",
        ),
        Denied::NoValue(message) => {
            return Refusal {
                kind: RefusalKind::NoSuchField,
                message,
            };
        }
        Denied::Malformed => (
            RefusalKind::InvalidChallenge,
            "the server's part of the exchange is malformed",
        ),
        Denied::ServerNotAuthentic => (
            RefusalKind::ServerNotAuthentic,
            "the server could not prove that it knows the password: it may be an impostor",
        ),
    };
    Refusal {
        kind,
        message: message.to_owned(),
    }
}
