//! A server that follows a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// One thing that it does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads the startup message. A request to cancel ends the script.
    Startup,
    /// Reads messages up to one with this tag.
    Expect(u8),
    /// Says something.
    Say(Vec<u8>),
    /// Says the same again and again, until nobody listens.
    Forever(Vec<u8>),
    /// Says that nothing more comes, and listens on.
    HalfClose,
    /// Resets the connection.
    Reset,
    /// Says nothing more, and does not close either, until the client leaves.
    Stall,
}

/// The code of a request to cancel, in place of a version.
const CANCEL: [u8; 4] = 80_877_102_i32.to_be_bytes();

/// The peer; dropping it ends its connections.
pub struct Peer {
    pub port: u16,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Follows `script` on every connection, and closes it then.
    pub async fn start(script: Vec<Step>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let task = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                let script = script.clone();
                talks.spawn(async move {
                    // A client that leaves is what this is about.
                    let _ = follow(stream, script).await;
                });
                while talks.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            connections,
            task,
        })
    }

    /// How many connections there were, requests to cancel included.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut stream: TcpStream, script: Vec<Step>) -> Result<()> {
    stream.set_nodelay(true)?;
    for step in script {
        match step {
            Step::Startup => {
                let startup = body(&mut stream).await?;
                if startup.starts_with(&CANCEL) {
                    return Ok(());
                }
            }
            Step::Expect(tag) => while next(&mut stream).await? != tag {},
            Step::Say(bytes) => stream.write_all(&bytes).await?,
            Step::Forever(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Step::HalfClose => stream.shutdown().await?,
            Step::Reset => {
                stream.set_zero_linger()?;
                return Ok(());
            }
            Step::Stall => return rest(&mut stream).await,
        }
    }
    // With something unread, closing would be a reset, and take what was said along.
    stream.shutdown().await?;
    rest(&mut stream).await
}

/// Reads until the client leaves.
async fn rest(stream: &mut TcpStream) -> Result<()> {
    let mut waste = [0; 4096];
    while stream.read(&mut waste).await? > 0 {}
    Ok(())
}

/// What follows a length that counts itself.
async fn body(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let length = stream.read_i32().await?;
    ensure!((4..1 << 20).contains(&length), "a message of {length}");
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// The tag of the next message.
async fn next(stream: &mut TcpStream) -> Result<u8> {
    let tag = stream.read_u8().await?;
    body(stream).await?;
    Ok(tag)
}
