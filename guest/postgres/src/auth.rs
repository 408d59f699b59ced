//! Logging in, with a password that is not here.
//!
//! The server's challenge goes to the host's `credentials`, the answer goes back. Natively, in
//! tests, another [`Credentials`] stands in for the host.

use bytes::BytesMut;
use dagflux_guest::bindings::dagflux::connector::credentials::{self, Refusal, RefusalKind};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::wasi::sockets::tcp::TcpSocket;
use dagflux_guest::{Error, Result, Stream};

use crate::protocol::Violation;
use crate::protocol::backend::{self, Message};
use crate::protocol::frontend;

/// The fields of the connection form that a login needs.
const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// Who logs in, and the use of the password.
pub trait Credentials {
    /// The login name.
    ///
    /// # Errors
    /// When the host does not give it out.
    fn user(&self) -> Result<String>;

    /// Begins an exchange by one of the SASL mechanisms the server offers.
    ///
    /// # Errors
    /// When none of them will do.
    fn scram(&self, stream: &Stream, mechanisms: &[String]) -> Result<Box<dyn Scram>>;

    /// The answer to a request for an MD5 password.
    ///
    /// # Errors
    /// When the host's policy does not allow it.
    fn md5(&self, stream: &Stream, salt: [u8; 4]) -> Result<String>;
}

/// One SCRAM exchange, client side.
pub trait Scram {
    /// The mechanism picked.
    fn mechanism(&self) -> String;
    /// The client-first-message.
    fn first(&self) -> Vec<u8>;
    /// The client-final-message.
    ///
    /// # Errors
    /// When the challenge is out of bounds.
    fn last(&mut self, challenge: &[u8]) -> Result<Vec<u8>>;
    /// Checks that the server knows the password too.
    ///
    /// # Errors
    /// When it does not.
    fn verify(&mut self, outcome: &[u8]) -> Result<()>;
}

/// Where a login stands.
pub struct Login<'a> {
    credentials: &'a dyn Credentials,
    scram: Option<Box<dyn Scram>>,
    /// In a SCRAM exchange: whether the server has proved itself.
    verified: bool,
}

impl<'a> Login<'a> {
    /// A login that has not begun.
    pub fn new(credentials: &'a dyn Credentials) -> Self {
        Self {
            credentials,
            scram: None,
            verified: false,
        }
    }

    /// Answers a message of the login, into `stream`'s outbox. Whether the server has let us in.
    ///
    /// # Errors
    /// `authentication` when the login is refused on this side; `protocol`.
    pub fn answer(&mut self, message: &Message, stream: &mut Stream) -> Result<bool> {
        let mut out = BytesMut::new();
        match message {
            Message::AuthenticationOk => {
                // A server that skips its own proof may not know the password at all.
                if self.scram.is_some() && !self.verified {
                    return Err(Error::new(
                        ErrorKind::Authentication,
                        "the server ended the login without proving that it knows the password",
                    )
                    .with_hint("check that host and port lead to the server you mean"));
                }
                return Ok(true);
            }
            Message::AuthenticationSasl(body) => {
                let mechanisms = backend::mechanisms(body)?;
                if self.scram.is_some() {
                    return Err(out_of_turn());
                }
                let scram = self.credentials.scram(stream, &mechanisms)?;
                frontend::sasl_initial(&scram.mechanism(), &scram.first(), &mut out)?;
                self.scram = Some(scram);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = self.scram.as_mut().ok_or_else(out_of_turn)?;
                frontend::sasl_response(&scram.last(body.data())?, &mut out)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let scram = self.scram.as_mut().ok_or_else(out_of_turn)?;
                scram.verify(body.data())?;
                self.verified = true;
            }
            Message::AuthenticationMd5Password(body) => {
                let response = self.credentials.md5(stream, body.salt())?;
                frontend::password(&response, &mut out)?;
            }
            Message::AuthenticationCleartextPassword => {
                return Err(refused(
                    "the server asks for the password in the clear",
                    "have the server's pg_hba.conf use `scram-sha-256` for this login (the method `password` and LDAP, RADIUS and PAM ask in the clear)",
                ));
            }
            Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => {
                return Err(refused(
                    "the server asks for a GSSAPI (Kerberos) login, which this connector does not offer",
                    "have the server's pg_hba.conf use `scram-sha-256` for this login",
                ));
            }
            Message::AuthenticationSspi => {
                return Err(refused(
                    "the server asks for an SSPI (Windows) login, which this connector does not offer",
                    "have the server's pg_hba.conf use `scram-sha-256` for this login",
                ));
            }
            _ => return Err(out_of_turn()),
        }
        stream.outbox().extend_from_slice(&out);
        Ok(false)
    }
}

fn refused(message: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Authentication, message).with_hint(hint)
}

fn out_of_turn() -> Error {
    Violation::new("a message that has no place in a login").into()
}

/// The host's credential operations.
pub struct Brokered;

impl Credentials for Brokered {
    fn user(&self) -> Result<String> {
        credentials::reveal(USERNAME).map_err(refusal)
    }

    fn scram(&self, stream: &Stream, mechanisms: &[String]) -> Result<Box<dyn Scram>> {
        let exchange = credentials::ScramSha256::start(socket(stream)?, PASSWORD, mechanisms)
            .map_err(refusal)?;
        Ok(Box::new(BrokeredScram(exchange)))
    }

    fn md5(&self, stream: &Stream, salt: [u8; 4]) -> Result<String> {
        credentials::md5_response(socket(stream)?, USERNAME, PASSWORD, &salt).map_err(refusal)
    }
}

fn socket(stream: &Stream) -> Result<&TcpSocket> {
    stream
        .socket()
        .ok_or_else(|| Error::internal("the connection has no socket to log in on"))
}

struct BrokeredScram(credentials::ScramSha256);

impl Scram for BrokeredScram {
    fn mechanism(&self) -> String {
        self.0.mechanism()
    }

    fn first(&self) -> Vec<u8> {
        self.0.client_first()
    }

    fn last(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        self.0.client_final(challenge).map_err(refusal)
    }

    fn verify(&mut self, outcome: &[u8]) -> Result<()> {
        self.0.verify(outcome).map_err(refusal)
    }
}

fn refusal(refusal: Refusal) -> Error {
    let hint = match refusal.kind {
        RefusalKind::NoSuchField => "give the connection a username and a password",
        RefusalKind::Forbidden => {
            "the host's policy forbids this kind of login: allow it there, or have the server's pg_hba.conf use `scram-sha-256`"
        }
        RefusalKind::InsecureChannel => "turn Use SSL on, and check that the server offers it",
        RefusalKind::UnexpectedChallenge
        | RefusalKind::InvalidChallenge
        | RefusalKind::ServerNotAuthentic => {
            "check that host and port lead to the server you mean: it did not behave as the one that knows the password"
        }
        RefusalKind::Exhausted => "connect again: one connection is good for one login",
    };
    Error::new(ErrorKind::Authentication, refusal.message).with_hint(hint)
}
