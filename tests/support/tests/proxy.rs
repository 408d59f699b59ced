//! The proxy does what it is told to, to the byte, and leaves nothing behind.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dagflux_test_support::proxy::Direction::{ToClient, ToServer};
use dagflux_test_support::proxy::{Action, Plan, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server that says back what it is told, and closes when its client does.
async fn echo() -> Result<(u16, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let task = tokio::spawn(async move {
        let mut talks = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            talks.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Ok((port, task))
}

/// What comes back of `hello, world` under a plan, and how it ended.
async fn heard(plan: Plan) -> Result<(Vec<u8>, Option<ErrorKind>, Proxy)> {
    let (port, server) = echo().await?;
    let proxy = Proxy::start(port, move |_| plan.clone()).await?;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    client.write_all(b"hello, world").await?;
    client.shutdown().await?;
    let mut bytes = Vec::new();
    let read = client.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    let end = read.context("it never ends")?.err().map(|it| it.kind());
    server.abort();
    Ok((bytes, end, proxy))
}

#[tokio::test]
async fn every_action_does_what_it_says() -> Result<()> {
    let with = |direction, after, action| Plan::clean().with(direction, after, action);
    let reset = Some(ErrorKind::ConnectionReset);
    let brief = Duration::from_millis(1);
    for (plan, expected, end) in [
        (Plan::clean(), "hello, world", None),
        (with(ToClient, 0, Action::Cut), "", None),
        (with(ToClient, 5, Action::Cut), "hello", None),
        (with(ToServer, 5, Action::Cut), "hello", None),
        (with(ToClient, 5, Action::HalfClose), "hello", None),
        (with(ToServer, 3, Action::HalfClose), "hel", None),
        (with(ToClient, 0, Action::Reset), "", reset),
        (
            with(ToClient, 5, Action::Corrupt(0x20)),
            "hello\x0c world",
            None,
        ),
        (
            with(ToClient, 5, Action::Duplicate(2)),
            "hello, , world",
            None,
        ),
        (
            with(ToServer, 0, Action::Duplicate(1)),
            "hhello, world",
            None,
        ),
        (with(ToClient, 2, Action::Drip(brief)), "hello, world", None),
        (
            with(ToClient, 2, Action::Delay(brief)),
            "hello, world",
            None,
        ),
        // Nothing is left to be done to.
        (with(ToClient, 99, Action::Reset), "hello, world", None),
        (
            with(ToClient, 1, Action::Corrupt(0x20)).with(ToClient, 4, Action::Cut),
            "hEll",
            None,
        ),
    ] {
        let (bytes, ended, _) = heard(plan.clone()).await?;
        // What was cut off on its way there may or may not have come back.
        let whole = !matches!(plan, ref it if *it == with(ToServer, 5, Action::Cut));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            text == expected || !whole && expected.starts_with(&text),
            "{plan:?}: {text:?}"
        );
        assert_eq!(ended, end, "{plan:?}");
    }
    Ok(())
}

#[tokio::test]
async fn it_counts_and_records_and_delays() -> Result<()> {
    let pause = Duration::from_millis(20);
    let plan = Plan::clean()
        .recorded()
        .with(ToClient, 0, Action::Drip(pause));
    let began = Instant::now();
    let (_, _, proxy) = heard(plan).await?;
    assert!(began.elapsed() >= pause * 12);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.passed(0, ToServer), 12);
    assert_eq!(proxy.passed(0, ToClient), 12);
    assert_eq!(proxy.recording(0, ToClient), b"hello, world");
    assert_eq!(proxy.passed(1, ToClient), 0);
    Ok(())
}

#[tokio::test]
async fn plans_go_by_connection_and_all_can_be_ended_at_once() -> Result<()> {
    let (port, _server) = echo().await?;
    let second = |number| match number {
        1 => Plan::clean().with(ToServer, 0, Action::Stall),
        _ => Plan::clean(),
    };
    let proxy = Proxy::start(port, second).await?;
    let mut talks = Vec::new();
    for _ in 0..3 {
        let mut talk = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        talk.write_all(b"a").await?;
        talks.push(talk);
    }
    let mut byte = [0];
    for at in [0, 2] {
        talks[at].read_exact(&mut byte).await?;
    }
    let stalled = talks[1].read(&mut byte);
    let stalled = tokio::time::timeout(Duration::from_millis(100), stalled).await;
    assert!(stalled.is_err());
    proxy.reset();
    for talk in &mut talks {
        let end = talk.read(&mut byte).await.map_err(|it| it.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
    }
    // Those that come later are no part of it.
    let mut talk = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    talk.write_all(b"a").await?;
    talk.read_exact(&mut byte).await?;
    proxy.cut();
    assert_eq!(talk.read(&mut byte).await?, 0);
    Ok(())
}

#[tokio::test]
async fn dropping_it_leaves_nothing() -> Result<()> {
    let (port, server) = echo().await?;
    let descriptors = || -> Result<usize> { Ok(std::fs::read_dir("/proc/self/fd")?.count()) };
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let stalled = Plan::clean().with(ToServer, 0, Action::Stall);
    let proxy = Proxy::start(port, move |_| stalled.clone()).await?;
    let mut talks = Vec::new();
    for _ in 0..10 {
        talks.push(TcpStream::connect(("127.0.0.1", proxy.port())).await?);
    }
    while proxy.connections() < 10 {
        tokio::task::yield_now().await;
    }
    let at_most = descriptors()?;
    drop(proxy);
    // Each client sees its connection end, which is the descriptors' end as well.
    for mut talk in talks {
        assert!(matches!(talk.read(&mut [0]).await, Ok(0) | Err(_)));
    }
    let began = Instant::now();
    while tasks() > before {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{} tasks are left",
            tasks()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(descriptors()? < at_most);
    server.abort();
    Ok(())
}
