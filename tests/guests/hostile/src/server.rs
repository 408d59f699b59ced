//! Just enough of PostgreSQL's protocol to log in and to keep the server busy.
//! Manual: "Message Formats".

use dagflux_guest::bindings::dagflux::connector::credentials::{
    self, Refusal, RefusalKind, ScramSha256,
};
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::tcp::{self, TcpChannel};
use dagflux_guest::{Channel, ChannelError, Error, Interest, Result, config};

const VERSION: u32 = 196_608;
const CANCEL: u32 = 80_877_102;
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A connection to the server.
pub struct Server {
    channel: TcpChannel,
    received: Vec<u8>,
    /// Process and secret, as the server sent them.
    key: Option<Vec<u8>>,
}

impl Server {
    /// Connects, and says no more.
    pub fn connect() -> Result<Self> {
        let channel = tcp::connect(&config::text("host")?, config::integer("port")?)?;
        Ok(Self {
            channel,
            received: Vec::new(),
            key: None,
        })
    }

    /// Connects and logs in by SCRAM.
    pub fn login() -> Result<Self> {
        let mut server = Self::connect()?;
        server.greet()?;
        let mut exchange = None;
        loop {
            let (tag, body) = server.message()?;
            match (tag, body.split_first_chunk::<4>()) {
                (b'R', Some(([0, 0, 0, 10], _))) => {
                    let begun = server.begin("password").map_err(refused)?;
                    let first = begun.client_first();
                    let mut answer = begun.mechanism().into_bytes();
                    answer.push(0);
                    answer.extend_from_slice(&(first.len() as u32).to_be_bytes());
                    answer.extend_from_slice(&first);
                    server.send(b'p', &answer)?;
                    exchange = Some(begun);
                }
                (b'R', Some(([0, 0, 0, 11], challenge))) => {
                    let begun = exchange.as_ref().ok_or_else(broken)?;
                    let answer = begun.client_final(challenge).map_err(refused)?;
                    server.send(b'p', &answer)?;
                }
                (b'R', Some(([0, 0, 0, 12], outcome))) => {
                    let begun = exchange.as_ref().ok_or_else(broken)?;
                    begun.verify(outcome).map_err(refused)?;
                }
                (b'K', _) => server.key = Some(body),
                (b'Z', _) => return Ok(server),
                (b'E', _) => return Err(Error::new(ErrorKind::Authentication, "not let in")),
                _ => {}
            }
        }
    }

    /// Begins an exchange with the password in `field`.
    pub fn begin(&self, field: &str) -> Result<ScramSha256, Refusal> {
        let socket = self.channel.socket().ok_or_else(|| Refusal {
            kind: RefusalKind::Forbidden,
            message: "no socket".to_owned(),
        })?;
        ScramSha256::start(socket, field, &["SCRAM-SHA-256".to_owned()])
    }

    /// Begins an exchange, and answers what nobody asked.
    pub fn answer(&self, challenge: &[u8]) -> Result<String, Refusal> {
        let proof = self.begin("password")?.client_final(challenge)?;
        Ok(String::from_utf8_lossy(&proof).into_owned())
    }

    /// Begins an exchange, and answers a challenge that the server never sent. With `echo`,
    /// the server is first made to repeat it, and nothing behind it is read.
    pub fn invent(mut self, how: &str) -> Result<String, Refusal> {
        let exchange = self.begin("password")?;
        if how == "once" {
            // A salt of its own, and hardly any work for whoever guesses passwords.
            let first = String::from_utf8_lossy(&exchange.client_first()).into_owned();
            let nonce = first.rsplit("r=").next().unwrap_or_default();
            let challenge = format!("r={nonce}x,s=AAAA,i=1");
            let proof = exchange.client_final(challenge.as_bytes())?;
            return Ok(String::from_utf8_lossy(&proof).into_owned());
        }
        let first = String::from_utf8_lossy(&exchange.client_first()).into_owned();
        let nonce = first.rsplit("r=").next().unwrap_or_default();
        let challenge = format!("r={nonce}x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096");
        if how == "echo" && !self.is_echoed(&challenge) {
            return Ok("no echo".to_owned());
        }
        exchange
            .client_final(challenge.as_bytes())
            .map(|proof| String::from_utf8_lossy(&proof).into_owned())
    }

    /// Has the server repeat a request for an MD5 login with a salt of its own making.
    pub fn invent_md5(mut self) -> Result<String, Refusal> {
        let request = "R\0\0\0\x0c\0\0\0\x05salt";
        let _ = self.greet_with(request);
        let _ = self.message();
        let Some(socket) = self.channel.socket() else {
            return Ok("no socket".to_owned());
        };
        credentials::md5_response(socket, "username", "password", b"salt")
    }

    /// Takes the end of the server's offer of SCRAM, which is the same every time, for the
    /// salt of an MD5 login.
    pub fn mistake_for_md5(mut self) -> Result<String, Refusal> {
        let offer = self.greet().and_then(|()| self.message());
        let (_, body) = offer.map_err(|_| Refusal {
            kind: RefusalKind::Forbidden,
            message: "no offer".to_owned(),
        })?;
        let salt = body.last_chunk::<4>().copied().unwrap_or_default();
        let Some(socket) = self.channel.socket() else {
            return Ok("no socket".to_owned());
        };
        credentials::md5_response(socket, "username", "password", &salt)
    }

    /// Tells the server who is there, in the clear: at once, after it was asked for
    /// encryption and has answered, or in one piece with the request. Or listens for more than
    /// the answer.
    pub fn start_in_the_clear(mut self, when: &str) -> Result<String> {
        match when {
            "after" => {
                self.write(&SSL_REQUEST)?;
                self.channel.read_wait(1).map_err(lost)?;
                self.greet()?;
            }
            "listening" => {
                self.write(&SSL_REQUEST)?;
                let mut heard = 0;
                while heard < 2 {
                    heard += self.channel.read_wait(4096).map_err(lost)?.len();
                }
            }
            "with" => {
                let user = credentials::reveal("username").map_err(refused)?;
                self.write(&[&SSL_REQUEST, user.as_bytes()].concat())?;
            }
            "twice" => {
                self.write(&SSL_REQUEST)?;
                self.write(&SSL_REQUEST)?;
            }
            _ => self.greet()?,
        }
        Ok("sent".to_owned())
    }

    /// Encrypts the connection to a server of this name, and tells it who is there.
    pub fn encrypt_as(mut self, name: &str) -> Result<String> {
        self.write(&SSL_REQUEST)?;
        self.channel.read_wait(1).map_err(lost)?;
        self.channel = self.channel.encrypt(name)?;
        self.greet()?;
        Ok("encrypted".to_owned())
    }

    /// A server repeats the protocol options that it does not know (NegotiateProtocolVersion).
    fn is_echoed(&mut self, text: &str) -> bool {
        if self.greet_with(&format!("_pq_.{text}")).is_err() {
            return false;
        }
        while !self.received.ends_with(text.as_bytes()) {
            match self.channel.read_wait(1) {
                Ok(byte) => self.received.extend_from_slice(&byte),
                Err(_) => return false,
            }
            if self.received.ends_with(b"SCRAM-SHA-256\0\0") {
                return false;
            }
        }
        true
    }

    /// What `cancel` takes.
    pub fn token(&self) -> Option<Vec<u8>> {
        self.key.clone()
    }

    /// Sends a statement, and does not look for the answer.
    pub fn send_query(&mut self, sql: &str) -> Result<()> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(b'Q', &body)
    }

    fn greet(&mut self) -> Result<()> {
        self.greet_with("application_name")
    }

    fn greet_with(&mut self, setting: &str) -> Result<()> {
        let user = credentials::reveal("username").map_err(refused)?;
        let mut body = VERSION.to_be_bytes().to_vec();
        let database = config::text("database")?;
        for text in ["user", &user, "database", &database, setting, "hostile", ""] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        self.write(&framed(&body))
    }

    fn send(&mut self, tag: u8, body: &[u8]) -> Result<()> {
        self.write(&[&[tag], framed(body).as_slice()].concat())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let count = self.channel.write(bytes).map_err(lost)?;
            bytes = bytes.get(count..).unwrap_or_default();
            if count == 0 {
                self.channel.wait(Interest::ReadOrWrite);
            }
        }
        self.channel.drain().map_err(lost)
    }

    fn message(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some((&[tag, a, b, c, d], rest)) = self.received.split_first_chunk::<5>() {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                let body = length.saturating_sub(4);
                if let Some(body) = rest.get(..body) {
                    let message = (tag, body.to_vec());
                    self.received.drain(..=length);
                    return Ok(message);
                }
            }
            let more = self.channel.read_wait(64 * 1024).map_err(lost)?;
            self.received.extend_from_slice(&more);
        }
    }
}

/// Sends a CancelRequest.
pub fn cancel(token: &[u8]) -> Result<()> {
    let mut server = Server::connect()?;
    let request = [CANCEL.to_be_bytes().as_slice(), token].concat();
    server.write(&framed(&request))?;
    // The server closes the connection once it has taken the request in.
    while server.channel.read_wait(1024).is_ok() {}
    Ok(())
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 4) as u32;
    [length.to_be_bytes().as_slice(), body].concat()
}

/// A refusal as a failure.
pub fn refused(refusal: Refusal) -> Error {
    Error::new(ErrorKind::Authentication, refusal.message)
}

fn lost(_: ChannelError) -> Error {
    Error::new(ErrorKind::ConnectionLost, "the server has gone")
}

fn broken() -> Error {
    Error::new(ErrorKind::Protocol, "the server skipped a message")
}
