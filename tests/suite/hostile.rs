//! The hostile connector of `tests/guests/hostile`, and what has to hold after each attack.

use anyhow::{Context, Result};
use dagflux_host::{
    Config, ConnectOptions, Connection, Connector, Error, ErrorKind, Host, Secrets,
};
use dagflux_test_support::{Database, test_guest_path};
use futures_util::StreamExt;
use tokio::sync::OnceCell;

use crate::fixture;

/// The built component.
pub fn component() -> Result<Vec<u8>> {
    Ok(std::fs::read(test_guest_path("hostile")?)?)
}

/// The component, made to describe itself as `lie` says.
pub fn liar(lie: &str) -> Result<Vec<u8>> {
    const TRUTH: &[u8] = b"the lie it tells: none..........";
    let mut component = component()?;
    let at = component
        .windows(TRUTH.len())
        .position(|window| window == TRUTH)
        .context("the hostile guest has no place for a lie")?;
    let text = format!("the lie it tells: {lie}");
    let place = component
        .get_mut(at..at + TRUTH.len())
        .context("no place")?;
    place.fill(b'.');
    place
        .get_mut(..text.len())
        .context("the lie is too long")?
        .copy_from_slice(text.as_bytes());
    Ok(component)
}

/// The connector in the host that the tests share.
pub async fn connector() -> Result<Connector> {
    static CONNECTOR: OnceCell<Connector> = OnceCell::const_new();
    let load = || connector_in(fixture::host());
    CONNECTOR.get_or_try_init(load).await.cloned()
}

/// The connector in `host`.
pub async fn connector_in(host: &Host) -> Result<Connector> {
    Ok(host.load(test_guest_path("hostile")?).await?)
}

/// A connection without a server behind it.
pub async fn connect(connector: &Connector) -> dagflux_host::Result<Connection> {
    connect_with(connector, ConnectOptions::default()).await
}

/// The same, with other limits.
pub async fn connect_with(
    connector: &Connector,
    options: ConnectOptions,
) -> dagflux_host::Result<Connection> {
    let secrets = Secrets::new()
        .with("host", "127.0.0.1")
        .with("username", "nobody")
        .with("password", "a password that no one asks for");
    let config = Config::new().with("port", 1_u16);
    connector.connect(config, secrets, options).await
}

/// A connection that can reach a server. With `login`, it has logged in there.
pub async fn connect_to(
    connector: &Connector,
    database: &Database<'_>,
    login: bool,
) -> dagflux_host::Result<Connection> {
    let config = fixture::config(database).with("login", login);
    let options = ConnectOptions::default();
    connector
        .connect(config, fixture::secrets(database), options)
        .await
}

/// A connection that attacks, and another one in the same host.
pub struct Scene {
    pub connector: Connector,
    pub attacker: Connection,
    bystander: Connection,
}

impl Scene {
    /// In the host that the tests share, with the default limits.
    pub async fn new() -> Result<Self> {
        Self::with(connector().await?).await
    }

    pub async fn with(connector: Connector) -> Result<Self> {
        Ok(Self {
            attacker: connect(&connector).await?,
            bystander: connect(&connector).await?,
            connector,
        })
    }

    /// What the attacker got by `execute`.
    pub async fn execute(&mut self, attack: &str) -> dagflux_host::Result<String> {
        Ok(self.attacker.execute(attack).await?.command)
    }

    /// How an attack by `execute` ended.
    pub async fn failure(&mut self, attack: &str) -> Error {
        match self.attacker.execute(attack).await {
            Ok(outcome) => panic!("`{attack}` was let through: {}", outcome.command),
            Err(error) => error,
        }
    }

    /// How an attack by `query` ended, and how many batches came before.
    pub async fn stream_failure(&mut self, attack: &str) -> (usize, Error) {
        let mut rows = match self.attacker.query(attack).await {
            Ok(rows) => rows,
            Err(error) => return (0, error),
        };
        let mut batches = 0;
        let error = loop {
            match rows.next().await {
                Some(Ok(_)) => batches += 1,
                Some(Err(error)) => break error,
                None => panic!("`{attack}` was let through"),
            }
        };
        assert!(rows.next().await.is_none(), "a stream ends after an error");
        (batches, error)
    }

    /// The attacker still answers, and so does everyone else.
    pub async fn goes_on(&mut self) -> Result<()> {
        assert_eq!(self.execute("ping").await?, "pong");
        self.others_go_on().await
    }

    /// The attacker was ended for the given reason, and no one else was.
    pub async fn ended_by(mut self, error: &Error, kind: ErrorKind, words: &str) -> Result<()> {
        assert_failure(error, kind, words);
        let after = self.failure("ping").await;
        assert_failure(&after, ErrorKind::Closed, kind.as_str());
        self.others_go_on().await
    }

    /// Everyone but the attacker still answers.
    pub async fn others_go_on(&mut self) -> Result<()> {
        assert_eq!(self.bystander.execute("ping").await?.command, "pong");
        let mut fresh = connect(&self.connector).await?;
        assert_eq!(fresh.execute("ping").await?.command, "pong");
        Ok(())
    }
}

/// The exact kind, a message that says what happened, and a next step.
#[track_caller]
pub fn assert_failure(error: &Error, kind: ErrorKind, words: &str) {
    let shown = format!("{error:?} {:?}", error.detail());
    assert_eq!(error.kind(), kind, "{shown}");
    assert!(error.to_string().contains(words), "no {words:?} in {shown}");
    assert!(error.hint().is_some_and(|hint| hint.len() > 10), "{shown}");
}
