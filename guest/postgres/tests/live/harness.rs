//! The connector, natively: an ordinary socket in place of `wasi:sockets`, and the client
//! side of SCRAM here in place of the host's.

use std::cell::RefCell;
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dagflux_guest::bindings::wasi::sockets::tcp::TcpSocket;
use dagflux_guest::{BatchLimits, Channel, ChannelError, Interest, Stream, ipc};
use dagflux_postgres::auth::{Credentials, Scram};
use dagflux_postgres::query;
use dagflux_postgres::read::{self, Selection};
use dagflux_postgres::rows::{Rows, Shared};
use dagflux_postgres::session::{Parameters, Session, Startup};
use dagflux_postgres::types::ledger::Choices;
use dagflux_test_support::{Database, Server};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::runtime::Runtime;

/// The largest batches, so that most tests see one.
pub const LIMITS: BatchLimits = BatchLimits {
    rows: 65_536,
    bytes: 8 * 1024 * 1024,
};

/// The runtime for the server's side, which the tests share.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    })
}

/// Runs `test` with a database of its own on the server that the tests share.
pub fn with_database(name: &str, test: impl FnOnce(&Runtime, &Database<'_>) -> Result<()>) {
    let run = || -> Result<()> {
        let server = runtime().block_on(Server::shared())?;
        let database = runtime().block_on(server.database(name))?;
        test(runtime(), &database)
    };
    if let Err(error) = run() {
        panic!("{error:?}");
    }
}

/// Runs statements as the superuser.
pub fn sql(runtime: &Runtime, database: &Database<'_>, statements: &str) -> Result<()> {
    runtime.block_on(async { Ok(database.sql().await?.batch_execute(statements).await?) })
}

/// The server's major version.
pub fn major_version(runtime: &Runtime, database: &Database<'_>) -> Result<u32> {
    runtime.block_on(async {
        let row = database.sql().await?;
        let row = row.query_one("SHOW server_version_num", &[]).await?;
        Ok(row.get::<_, String>(0).parse::<u32>()? / 10_000)
    })
}

/// A session of the product's login.
pub fn open(database: &Database<'_>) -> Result<Shared> {
    open_with(database, |_| {})
}

/// A session of the product's login, with parameters changed.
pub fn open_with(database: &Database<'_>, change: impl FnOnce(&mut Parameters)) -> Result<Shared> {
    let channel = Socket::connect(database.server())?;
    log_in(database, channel, change)
}

/// A session that takes the server for one of another major version, of two digits: what is
/// asked of such a server is asked of the one at hand.
pub fn open_as(database: &Database<'_>, version: &'static [u8; 2]) -> Result<Shared> {
    let channel = Box::new(Aged(Socket::connect(database.server())?, version));
    log_in(database, channel, |_| {})
}

/// A session of the product's login over a channel.
pub fn log_in(
    database: &Database<'_>,
    channel: Box<dyn Channel>,
    change: impl FnOnce(&mut Parameters),
) -> Result<Shared> {
    let server = database.server();
    let mut parameters = Parameters {
        database: database.name().to_owned(),
        schema: "public".to_owned(),
        application_name: "dagflux tests".to_owned(),
        statement_timeout: None,
        encrypted: false,
        startup: Startup::Complete,
    };
    change(&mut parameters);
    let login = Login {
        user: server.username().to_owned(),
        password: server.password().to_owned(),
    };
    let session = Session::open(channel, parameters, &login)?;
    Ok(Rc::new(RefCell::new(session)))
}

/// Runs a query that fails at values that do not fit.
pub fn rows_of_query(
    session: &Shared,
    sql: &str,
    limits: BatchLimits,
) -> dagflux_guest::Result<Rows> {
    query::query(session, sql, limits, &Choices::default())
}

/// Reads a table, and fails at values that do not fit.
pub fn rows_of_table(
    session: &Shared,
    schema: Option<&str>,
    table: &str,
    selection: &Selection,
    limits: BatchLimits,
) -> dagflux_guest::Result<Rows> {
    read::read(
        session,
        schema,
        table,
        selection,
        limits,
        &Choices::default(),
    )
}

/// All the rows of a result.
pub fn collect(mut rows: Rows) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let schema = ipc::read_schema(rows.schema())?;
    let mut batches = Vec::new();
    while let Some(message) = rows.next_batch()? {
        batches.push(ipc::read_batch(message, &schema)?);
    }
    Ok((schema, batches))
}

/// An ordinary socket.
pub struct Socket(TcpStream);

impl Socket {
    /// Connects to a test server.
    pub fn connect(server: &Server) -> Result<Box<dyn Channel>> {
        Self::connect_to((server.host(), server.port()))
    }

    /// Connects to an address.
    pub fn connect_to(address: (&str, u16)) -> Result<Box<dyn Channel>> {
        let socket = TcpStream::connect(address).context("connecting to the test server")?;
        socket.set_nodelay(true)?;
        Ok(Box::new(Self(socket)))
    }

    fn take(&mut self, most: usize, wait: bool) -> std::io::Result<Vec<u8>> {
        self.0.set_nonblocking(!wait)?;
        let mut bytes = vec![0; most];
        let length = match self.0.read(&mut bytes) {
            Ok(0) => return Err(IoErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == IoErrorKind::WouldBlock => 0,
            other => other?,
        };
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn broken(error: std::io::Error) -> ChannelError {
    match error.kind() {
        IoErrorKind::UnexpectedEof => ChannelError::Closed,
        _ => ChannelError::Broken(error.to_string()),
    }
}

impl Channel for Socket {
    fn read(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        self.take(most, false).map_err(broken)
    }

    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        self.take(most, true).map_err(broken)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        self.0.set_nonblocking(true).map_err(broken)?;
        match self.0.write(bytes) {
            Err(error) if error.kind() == IoErrorKind::WouldBlock => Ok(0),
            other => other.map_err(broken),
        }
    }

    fn wait(&mut self, _interest: Interest) {
        std::thread::sleep(Duration::from_micros(100));
    }

    fn drain(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    fn socket(&self) -> Option<&TcpSocket> {
        None
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A socket to a server that says it has another version.
struct Aged(Box<dyn Channel>, &'static [u8; 2]);

impl Aged {
    fn aged(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        const NAME: &[u8] = b"server_version\0";
        if let Some(at) = bytes.windows(NAME.len()).position(|window| window == NAME) {
            bytes[at + NAME.len()..][..2].copy_from_slice(self.1);
        }
        bytes
    }
}

impl Channel for Aged {
    fn read(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        self.0.read(most).map(|bytes| self.aged(bytes))
    }

    fn read_wait(&mut self, most: usize) -> Result<Vec<u8>, ChannelError> {
        self.0.read_wait(most).map(|bytes| self.aged(bytes))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        self.0.write(bytes)
    }

    fn wait(&mut self, interest: Interest) {
        self.0.wait(interest);
    }

    fn drain(&mut self) -> Result<(), ChannelError> {
        self.0.drain()
    }

    fn socket(&self) -> Option<&TcpSocket> {
        None
    }
}

/// A login with the password at hand.
pub struct Login {
    /// Who logs in.
    pub user: String,
    /// With what.
    pub password: String,
}

impl Credentials for Login {
    fn user(&self) -> dagflux_guest::Result<String> {
        Ok(self.user.clone())
    }

    fn scram(
        &self,
        _stream: &Stream,
        mechanisms: &[String],
    ) -> dagflux_guest::Result<Box<dyn Scram>> {
        assert!(mechanisms.iter().any(|name| name == "SCRAM-SHA-256"));
        Ok(Box::new(Exchange(ScramSha256::new(
            self.password.as_bytes(),
            ChannelBinding::unsupported(),
        ))))
    }

    fn md5(&self, _stream: &Stream, salt: [u8; 4]) -> dagflux_guest::Result<String> {
        Ok(postgres_protocol::authentication::md5_hash(
            self.user.as_bytes(),
            self.password.as_bytes(),
            salt,
        ))
    }
}

struct Exchange(ScramSha256);

impl Scram for Exchange {
    fn mechanism(&self) -> String {
        "SCRAM-SHA-256".to_owned()
    }

    fn first(&self) -> Vec<u8> {
        self.0.message().to_vec()
    }

    fn last(&mut self, challenge: &[u8]) -> dagflux_guest::Result<Vec<u8>> {
        self.0
            .update(challenge)
            .map_err(|error| dagflux_guest::Error::internal(error.to_string()))?;
        Ok(self.0.message().to_vec())
    }

    fn verify(&mut self, outcome: &[u8]) -> dagflux_guest::Result<()> {
        self.0
            .finish(outcome)
            .map_err(|error| dagflux_guest::Error::internal(error.to_string()))
    }
}

/// The one failure that `result` has to be.
pub fn failure<T>(result: dagflux_guest::Result<T>) -> Result<dagflux_guest::Error> {
    match result {
        Ok(_) => bail!("it succeeded, where it had to fail"),
        Err(error) => Ok(error),
    }
}
