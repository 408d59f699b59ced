//! Every limit, by its default: what is within it works, what is beyond it is ended.

use std::time::{Duration, Instant};

use anyhow::Result;
use dagflux_host::{
    BatchSize, ConnectOptions, Connection, Connector, ErrorKind, Host, Limits, Secrets,
};
use dagflux_test_support::connector_path;
use futures_util::StreamExt;

use crate::assembly::{padded, with_module};
use crate::capture::Capture;
use crate::fixture;
use crate::hostile::{self, Scene, assert_failure};

const MIB: u64 = 1024 * 1024;

/// The minute is real, and passes beside the other tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_may_sleep_for_a_minute() -> Result<()> {
    let database = fixture::database("limits_sleep").await?;
    let mut connection = fixture::connect(&database).await?;
    let began = Instant::now();
    let rows = connection.query("SELECT pg_sleep(60) IS NULL").await?;
    assert_eq!(fixture::count(rows).await?, 1);
    assert!(began.elapsed() >= Duration::from_secs(60));
    let worked = connection.receipt().guest_time;
    assert!(worked < Duration::from_secs(1), "{worked:?}");
    Ok(())
}

#[tokio::test]
async fn work_without_end_is_ended_after_five_seconds() -> Result<()> {
    let began = Instant::now();
    let mut scene = Scene::new().await?;
    let error = scene.failure("loop").await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5), "{took:?}");
    // Others need the processor, too: what is measured here is only that it ends.
    assert!(took < Duration::from_secs(60), "{took:?}");
    scene
        .ended_by(&error, ErrorKind::GuestTimeLimit, "longer than 5 s")
        .await
}

#[tokio::test]
async fn work_for_the_guest_is_work_of_the_guest() -> Result<()> {
    let mut scene = Scene::new().await?;
    let error = scene.failure("host-loop").await;
    scene
        .ended_by(&error, ErrorKind::GuestTimeLimit, "longer than 5 s")
        .await
}

#[tokio::test]
async fn a_stream_that_works_without_end_is_ended() -> Result<()> {
    let mut scene = Scene::new().await?;
    let (batches, error) = scene.stream_failure("late-loop").await;
    assert_eq!(batches, 1);
    scene
        .ended_by(&error, ErrorKind::GuestTimeLimit, "longer than 5 s")
        .await
}

/// All on one thread, of which a guest that works without end gets its share and no more.
#[tokio::test]
async fn work_without_end_gives_way_to_others() -> Result<()> {
    let limits = Limits::default().with_guest_time(Duration::from_secs(2));
    let host = Host::builder().limits(limits).build()?;
    let connector = hostile::connector_in(&host).await?;
    let mut scene = Scene::with(connector.clone()).await?;
    let mut other = hostile::connect(&connector).await?;
    let mut pings = 0;
    let error = tokio::select! {
        error = scene.failure("loop") => error,
        error = async {
            loop {
                if let Err(error) = other.execute("ping").await {
                    break error;
                }
                pings += 1;
            }
        } => error,
    };
    assert!(pings > 20, "{pings} other calls were answered meanwhile");
    scene
        .ended_by(&error, ErrorKind::GuestTimeLimit, "longer than 2 s")
        .await
}

/// An hour on a clock that runs ahead while everyone waits.
#[tokio::test(start_paused = true)]
async fn a_call_may_take_an_hour() -> Result<()> {
    let mut scene = Scene::new().await?;
    let began = tokio::time::Instant::now();
    let error = scene.failure("wait").await;
    let hours = began.elapsed().as_secs_f64() / 3_600.0;
    assert!((1.0..1.01).contains(&hours), "{hours} h");
    scene
        .ended_by(&error, ErrorKind::WallTimeLimit, "longer than 3600 s")
        .await
}

#[tokio::test]
async fn a_login_may_take_fifteen_seconds() -> Result<()> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let config = dagflux_host::Config::new()
        .with("port", silent.local_addr()?.port())
        .with("database", "nowhere");
    let secrets = Secrets::new()
        .with("host", "127.0.0.1")
        .with("username", "nobody")
        .with("password", "nothing");
    let connector = fixture::postgres().await?;
    let began = Instant::now();
    let error = connector
        .connect(config, secrets, ConnectOptions::default())
        .await
        .expect_err("no one answers");
    assert_failure(&error, ErrorKind::ConnectTimeout, "within 15 s");
    assert!(error.is_retryable());
    let took = began.elapsed().as_secs_f64();
    assert!((15.0..25.0).contains(&took), "{took} s");
    Ok(())
}

#[tokio::test]
async fn memory_ends_at_256_mib() -> Result<()> {
    for attack in ["grow", "allocate"] {
        let mut scene = Scene::new().await?;
        let error = scene.failure(attack).await;
        let peak = scene.attacker.receipt().peak_memory;
        assert!((200 * MIB..=256 * MIB).contains(&peak), "{peak} bytes");
        scene
            .ended_by(&error, ErrorKind::MemoryLimit, "256 MiB")
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn memory_is_summed_over_memories() -> Result<()> {
    let honest = hostile::component()?;
    // 128 MiB each, of 64 KiB a page; the honest part needs some, too.
    let one = with_module(&honest, "(module (memory 2048))", 1)?;
    let two = with_module(&honest, "(module (memory 2048))", 2)?;
    Host::new()?.load_bytes(&one).await?;
    let error = Host::new()?.load_bytes(&two).await.expect_err("too much");
    assert_failure(&error, ErrorKind::MemoryLimit, "256 MiB");
    Ok(())
}

#[tokio::test]
async fn tables_end_at_20_000_elements_in_all() -> Result<()> {
    let honest = hostile::component()?;
    let within = with_module(&honest, "(module (table 9500 funcref))", 2)?;
    let beyond = with_module(&honest, "(module (table 10001 funcref))", 2)?;
    fixture::host().load_bytes(&within).await?;
    let error = fixture::host()
        .load_bytes(&beyond)
        .await
        .expect_err("too many");
    assert_failure(&error, ErrorKind::MemoryLimit, "20000 table elements");
    let growing = "(module (table $t 0 funcref) (func $grow (loop $again
        (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again))) (start $grow))";
    let growing = with_module(&honest, growing, 1)?;
    let error = fixture::host()
        .load_bytes(&growing)
        .await
        .expect_err("too many");
    assert_failure(&error, ErrorKind::MemoryLimit, "20000 table elements");
    Ok(())
}

#[tokio::test]
async fn parts_end_at_sixteen_of_each_kind() -> Result<()> {
    let honest = hostile::component()?;
    for module in [
        "(module)".to_owned(),
        format!("(module {})", "(memory 0)".repeat(17)),
        format!("(module {})", "(table 0 funcref)".repeat(17)),
    ] {
        let few = with_module(&honest, "(module (memory 0) (table 0 funcref))", 5)?;
        fixture::host().load_bytes(&few).await?;
        let times = if module == "(module)" { 17 } else { 1 };
        let many = with_module(&honest, &module, times)?;
        let error = fixture::host()
            .load_bytes(&many)
            .await
            .expect_err("too many");
        assert_failure(&error, ErrorKind::MemoryLimit, "more than 16");
    }
    Ok(())
}

#[tokio::test]
async fn a_component_that_never_finishes_starting_is_ended() -> Result<()> {
    let endless = "(module (func $run (loop $again (br $again))) (start $run))";
    let component = with_module(&hostile::component()?, endless, 1)?;
    let error = fixture::host()
        .load_bytes(&component)
        .await
        .expect_err("it never starts");
    assert_failure(&error, ErrorKind::GuestTimeLimit, "longer than 5 s");
    let error = fixture::host()
        .load_bytes(&hostile::liar("loop")?)
        .await
        .expect_err("it never describes itself");
    assert_failure(&error, ErrorKind::GuestTimeLimit, "longer than 5 s");
    Ok(())
}

#[tokio::test]
async fn handles_end_at_256() -> Result<()> {
    // Of the host's resources, and of the guest's own.
    for attack in ["handles", "resources"] {
        let mut scene = Scene::new().await?;
        let error = scene.failure(attack).await;
        scene
            .ended_by(&error, ErrorKind::MemoryLimit, "256 handles")
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_call_carries_at_most_64_mib() -> Result<()> {
    let mut scene = Scene::new().await?;
    // Within the limit it is looked at, and found to be no batch.
    let (_, error) = scene.stream_failure(&format!("large {}", 60 * MIB)).await;
    assert_failure(&error, ErrorKind::InvalidData, "not an Arrow message");
    scene.goes_on().await?;
    let (_, error) = scene
        .stream_failure(&format!("large {}", 64 * MIB + 1))
        .await;
    scene
        .ended_by(&error, ErrorKind::TransferLimit, "67108864 bytes")
        .await
}

#[tokio::test]
async fn a_connection_moves_no_more_than_it_may_in_all() -> Result<()> {
    let database = fixture::database("limits_moved").await?;
    let limits = Limits::default();
    for (limits, sql, words) in [
        (
            limits.clone().with_received(256 * 1024),
            "SELECT repeat('x', 1000) FROM generate_series(1, 1000)".to_owned(),
            "received as much as it may",
        ),
        (
            limits.with_sent(256 * 1024),
            format!("SELECT length('{}')", "x".repeat(1_000_000)),
            "sent as much as it may",
        ),
    ] {
        let host = Host::builder().limits(limits).build()?;
        let connector = host.load(connector_path("postgres")?).await?;
        let (config, secrets) = (fixture::config(&database), fixture::secrets(&database));
        let connected = connector.connect(config, secrets, ConnectOptions::default());
        let mut connection = connected.await?;
        let outcome = match connection.query(&sql).await {
            Ok(rows) => fixture::count(rows).await,
            Err(error) => Err(error),
        };
        let error = outcome.expect_err("it moves on");
        assert_failure(&error, ErrorKind::TransferLimit, words);
    }
    Ok(())
}

#[tokio::test]
async fn so_many_connections_are_open_and_no_more() -> Result<()> {
    let host = Host::builder()
        .limits(Limits::default().with_connections(2))
        .build()?;
    let connector = hostile::connector_in(&host).await?;
    let first = hostile::connect(&connector).await?;
    let mut second = hostile::connect(&connector).await?;
    let error = hostile::connect(&connector).await.expect_err("a third");
    assert_failure(&error, ErrorKind::ConnectionLimit, "2 connections are open");
    assert_eq!(second.execute("ping").await?.command, "pong");
    // A place is given back by the task behind the connection, and is another one's then.
    first.close().await?;
    connect_when_free(&connector).await?;
    // And by one that was ended.
    second.execute("unreachable").await.expect_err("it crashes");
    connect_when_free(&connector).await?;
    Ok(())
}

/// The end of a connection takes a moment.
async fn connect_when_free(connector: &Connector) -> Result<Connection> {
    let connected = async {
        loop {
            match hostile::connect(connector).await {
                Err(error) if error.kind() == ErrorKind::ConnectionLimit => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                connected => return connected,
            }
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(20), connected).await??)
}

#[tokio::test]
async fn a_component_has_at_most_16_mib() -> Result<()> {
    let most = 16 * 1024 * 1024;
    let largest = padded(&hostile::component()?, most)?;
    let connector = fixture::host().load_bytes(&largest).await?;
    assert_eq!(connector.component().size, most as u64);
    let too_large = padded(&hostile::component()?, most + 1)?;
    let error = fixture::host()
        .load_bytes(&too_large)
        .await
        .expect_err("too large");
    assert_failure(&error, ErrorKind::ComponentTooLarge, "16777216 bytes");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.wasm");
    std::fs::write(&path, &too_large)?;
    let error = fixture::host().load(&path).await.expect_err("too large");
    assert_failure(&error, ErrorKind::ComponentTooLarge, "16777216 bytes");
    Ok(())
}

#[tokio::test]
async fn a_call_logs_at_most_64_kib() -> Result<()> {
    let capture = Capture::begin();
    let mut scene = Scene::new().await?;
    for _ in 0..2 {
        capture.clear();
        assert_eq!(scene.execute("log 1000").await?, "logged");
        let text = capture.text();
        let letters = text.matches('x').count();
        // A line costs more than its letters.
        assert!((58 * 1024..=64 * 1024).contains(&letters), "{letters}");
        assert_eq!(text.matches("logs too much").count(), 1);
    }
    // What it prints is logged, too.
    capture.clear();
    scene.execute("print hello from inside").await?;
    assert_eq!(capture.text().matches("hello from inside").count(), 2);
    scene.goes_on().await
}

#[tokio::test]
async fn log_lines_cannot_be_forged() -> Result<()> {
    let capture = Capture::begin();
    let mut scene = Scene::new().await?;
    scene.execute("print a\r\x1b[2Kb").await?;
    let log = capture.text();
    assert!(!log.contains("\x1b[2K"), "{log}");
    // It is the host that sees to it: not every subscriber does.
    assert!(log.contains(r"a\r\u{1b}[2Kb"), "{log}");
    Ok(())
}

#[tokio::test]
async fn waiting_streams_do_not_stop_each_other() -> Result<()> {
    let mut scenes = Vec::new();
    for _ in 0..50 {
        scenes.push(Scene::new().await?);
    }
    let mut streams = Vec::new();
    for scene in &mut scenes {
        let mut rows = scene.attacker.query("late-wait").await?;
        assert!(rows.next().await.is_some_and(|batch| batch.is_ok()));
        streams.push(rows);
    }
    Scene::new().await?.goes_on().await
}

#[tokio::test]
async fn a_batch_has_only_so_many_rows() -> Result<()> {
    let limits = Limits::default().with_batch_rows(1_000);
    let options = ConnectOptions::default().with_limits(limits);
    let mut attacker = hostile::connect_with(&hostile::connector().await?, options).await?;
    let rows = attacker.query("many-nulls").await?;
    let error = fixture::count(rows).await.expect_err("too many rows");
    assert_failure(&error, ErrorKind::InvalidData, "absurd number of rows");
    Ok(())
}

#[tokio::test]
async fn a_batch_has_no_more_rows_than_were_asked_for() -> Result<()> {
    let connector = hostile::connector().await?;
    for (asked, fits) in [(999, false), (1_000, true)] {
        let size = BatchSize::default().with_rows(asked);
        let options = ConnectOptions::default().with_batch(size);
        let mut attacker = hostile::connect_with(&connector, options).await?;
        let counted = fixture::count(attacker.query("null-columns 1000").await?).await;
        match fits {
            true => assert_eq!(counted?, 1_000),
            false => assert_failure(
                &counted.expect_err("more than were asked for"),
                ErrorKind::InvalidData,
                "more rows than were asked for",
            ),
        }
    }
    Ok(())
}
