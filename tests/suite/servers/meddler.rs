//! Somebody between a connection and a real server who reads what the server says, message by
//! message, and replaces some of it.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What the server said.
pub struct Said<'m> {
    pub tag: u8,
    /// How many messages of this tag there were before it on its connection.
    pub nth: usize,
    /// The whole message.
    pub whole: &'m [u8],
}

impl Said<'_> {
    pub fn is(&self, tag: u8, nth: usize) -> bool {
        self.tag == tag && self.nth == nth
    }

    /// Whether it is the end of a command whose tag begins like this.
    pub fn completes(&self, command: &str) -> bool {
        self.tag == b'C' && self.body().starts_with(command.as_bytes())
    }

    /// What follows tag and length.
    pub fn body(&self) -> &[u8] {
        self.whole.get(5..).unwrap_or_default()
    }
}

/// What becomes of a message.
#[derive(Debug, Clone)]
pub enum Deed {
    /// It is passed on.
    Pass,
    /// Something else is said in its place.
    Say(Vec<u8>),
    /// Something else is said in its place, and then nothing more comes.
    SayAndClose(Vec<u8>),
    /// Something else is said in its place, again and again.
    Forever(Vec<u8>),
    /// Nothing more passes.
    Stall,
    /// The connection is reset.
    Reset,
}

/// What to do with a message.
pub type Rule = dyn Fn(&Said<'_>) -> Deed + Send + Sync;

/// The meddler; dropping it ends the connections through it.
pub struct Meddler {
    pub port: u16,
    task: JoinHandle<()>,
}

impl Meddler {
    /// Meddles with every connection to the server at `port` by `rule`. A connection that is a
    /// request to cancel has nothing to meddle with.
    pub async fn start(port: u16, rule: Arc<Rule>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own_port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let rule = rule.clone();
                talks.spawn(async move {
                    // Whoever leaves is what this is about.
                    let _ = meddle(client, port, &*rule).await;
                });
                while talks.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port: own_port,
            task,
        })
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn meddle(client: TcpStream, port: u16, rule: &Rule) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let outcome = pass_on(&mut from_server, &mut to_client, rule).await;
        if !matches!(outcome, Ok(End::Reset)) {
            let _ = to_client.shutdown().await;
        }
        outcome
    };
    let both = async {
        tokio::pin!(up, down);
        tokio::select! {
            () = &mut up => down.await,
            outcome = &mut down => {
                if !matches!(outcome, Ok(End::Reset)) {
                    up.await;
                }
                outcome
            }
        }
    };
    if let Ok(End::Reset) = both.await {
        to_client.as_ref().set_zero_linger()?;
        // Dropped as it is, it would close properly first.
        to_client.forget();
    }
    Ok(())
}

enum End {
    Closed,
    Reset,
}

async fn pass_on(
    server: &mut OwnedReadHalf,
    client: &mut OwnedWriteHalf,
    rule: &Rule,
) -> Result<End> {
    let mut counts = [0; 256];
    loop {
        let Ok(tag) = server.read_u8().await else {
            return Ok(End::Closed);
        };
        let length = server.read_u32().await?;
        let mut whole = vec![tag];
        whole.extend_from_slice(&length.to_be_bytes());
        whole.resize(1 + length as usize, 0);
        let body = whole.get_mut(5..).context("a message without a length")?;
        server.read_exact(body).await?;
        let nth = &mut counts[usize::from(tag)];
        let said = Said {
            tag,
            nth: *nth,
            whole: &whole,
        };
        *nth += 1;
        match rule(&said) {
            Deed::Pass => client.write_all(&whole).await?,
            Deed::Say(bytes) => client.write_all(&bytes).await?,
            Deed::SayAndClose(bytes) => {
                client.write_all(&bytes).await?;
                return Ok(End::Closed);
            }
            Deed::Forever(bytes) => loop {
                client.write_all(&bytes).await?;
            },
            Deed::Stall => std::future::pending().await,
            Deed::Reset => return Ok(End::Reset),
        }
    }
}
