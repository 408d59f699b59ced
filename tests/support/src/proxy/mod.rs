//! A proxy in front of a server, through which connections go wrong as they are told to.

mod passed;
mod plan;
mod pump;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use passed::{Passed, Tally};
pub use plan::{Action, Direction, Plan};
use pump::{End, Pump};

/// Passes connections on to a server, each with the faults of a [`Plan`]. TCP only: what
/// passes may be encrypted.
///
/// Dropping it ends every connection through it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

type Plans = Box<dyn Fn(usize) -> Plan + Send + Sync>;

struct Shared {
    plans: Mutex<Plans>,
    /// Of every connection there was, in their order.
    passed: Mutex<Vec<Arc<Passed>>>,
    /// How all connections there are end now.
    ending: watch::Sender<Option<End>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy in front of the server at 127.0.0.1 and `port`. `plans` is asked for each
    /// connection, the first of which is number 0. A request to cancel is a connection, too.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start(
        port: u16,
        plans: impl Fn(usize) -> Plan + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own_port = listener.local_addr()?.port();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let shared = Arc::new(Shared {
            plans: Mutex::new(Box::new(plans)),
            passed: Mutex::default(),
            ending: watch::Sender::new(None),
        });
        let task = tokio::spawn(accept(listener, server, shared.clone()));
        Ok(Self {
            port: own_port,
            shared,
            task,
        })
    }

    /// The port it listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Replaces the plans, for connections from now on. Their numbers go on.
    pub fn plan(&self, plans: impl Fn(usize) -> Plan + Send + Sync + 'static) {
        *lock(&self.shared.plans) = Box::new(plans);
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.passed).len()
    }

    /// How many bytes have passed on a connection; a byte that passed twice counts once.
    #[must_use]
    pub fn passed(&self, connection: usize, direction: Direction) -> u64 {
        self.look(connection, direction, Tally::count)
            .unwrap_or_default()
    }

    /// What has passed on a connection whose plan says [`Plan::recorded`].
    #[must_use]
    pub fn recording(&self, connection: usize, direction: Direction) -> Vec<u8> {
        self.look(connection, direction, Tally::record)
            .unwrap_or_default()
    }

    /// Ends all connections there are, with a FIN to both sides.
    pub fn cut(&self) {
        self.shared.ending.send_replace(Some(End::Cut));
    }

    /// Ends all connections there are, with an RST to both sides.
    pub fn reset(&self) {
        self.shared.ending.send_replace(Some(End::Reset));
    }

    fn look<T>(
        &self,
        connection: usize,
        direction: Direction,
        what: impl FnOnce(&Tally) -> T,
    ) -> Option<T> {
        let passed = lock(&self.shared.passed).get(connection).cloned()?;
        Some(what(match direction {
            Direction::ToServer => &passed.to_server,
            Direction::ToClient => &passed.to_client,
        }))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections belong to the task, and end with it.
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let plan = {
                    let mut passed = lock(&shared.passed);
                    let plan = lock(&shared.plans)(passed.len());
                    passed.push(Arc::new(Passed::new(plan.is_recorded)));
                    passed.last().cloned().map(|passed| (plan, passed))
                };
                if let Some((plan, passed)) = plan {
                    let ending = shared.ending.subscribe();
                    connections.spawn(pass_on(client, server, plan, passed, ending));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass_on(
    mut client: TcpStream,
    server: SocketAddr,
    plan: Plan,
    passed: Arc<Passed>,
    ending: watch::Receiver<Option<End>>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    // What is dripped is meant to arrive so.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    match both_ways(&mut client, &mut server, &plan, &passed, ending).await {
        End::Closed => {}
        End::Reset => {
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        }
        End::Cut => hang_up(client, server).await,
    }
}

/// Passes on until both ways are closed, or the connection ends.
async fn both_ways(
    client: &mut TcpStream,
    server: &mut TcpStream,
    plan: &Plan,
    passed: &Passed,
    mut ending: watch::Receiver<Option<End>>,
) -> End {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = plan.of(Direction::ToServer);
    let down = plan.of(Direction::ToClient);
    let up = Pump::new(from_client, to_server, up, &passed.to_server).run();
    let down = Pump::new(from_server, to_client, down, &passed.to_client).run();
    tokio::pin!(up, down);
    let mut open = (true, true);
    loop {
        let end = tokio::select! {
            end = &mut up, if open.0 => { open.0 = false; end }
            end = &mut down, if open.1 => { open.1 = false; end }
            Ok(()) = ending.changed() => ending.borrow().unwrap_or(End::Cut),
        };
        if end != End::Closed || open == (false, false) {
            return end;
        }
    }
}

/// Closes both sides so that each gets what was sent to it: a socket that is closed with
/// something unread resets the connection, and what was on its way is lost.
async fn hang_up(client: TcpStream, server: TcpStream) {
    let end = async |mut stream: TcpStream| {
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
        let mut waste = [0; 4096];
        while matches!(stream.read(&mut waste).await, Ok(1..)) {}
    };
    tokio::join!(end(client), end(server));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
