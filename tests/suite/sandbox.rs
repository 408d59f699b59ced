//! A connector that misbehaves is stopped, says why, and harms no one else.

use std::time::Duration;

use anyhow::Result;
use arrow_array::Array;
use dagflux_host::{BatchSize, ConnectOptions, ErrorKind, Host, Limits};
use futures_util::StreamExt;

use crate::fixture;
use crate::hostile::{self, Scene, assert_failure};

#[tokio::test]
async fn a_crash_ends_its_connection_only() -> Result<()> {
    for (attack, words) in [
        ("panic", "gave up"),
        ("unreachable", "gave up"),
        ("exit", "ended itself with the exit status 1"),
        ("overflow", "call stack exhausted"),
        ("overflow-memory", "out of bounds"),
    ] {
        let mut scene = Scene::new().await?;
        let error = scene.failure(attack).await;
        // Nor is it known what it had done before.
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("took effect"), "{hint}");
        scene.ended_by(&error, ErrorKind::Trap, words).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_panic_is_reported_with_its_words() -> Result<()> {
    let mut scene = Scene::new().await?;
    let error = scene.failure("panic the cat sat on it").await;
    let detail = error.detail().unwrap_or_default();
    assert!(detail.contains("the cat sat on it"), "{detail}");
    Ok(())
}

#[tokio::test]
async fn a_crash_after_a_batch_is_an_error_and_not_the_end() -> Result<()> {
    let mut scene = Scene::new().await?;
    let (batches, error) = scene.stream_failure("late-panic").await;
    assert_eq!(batches, 1);
    scene.ended_by(&error, ErrorKind::Trap, "gave up").await
}

/// What the connector answers after its caller has gone is taken note of all the same.
#[tokio::test]
async fn an_answer_that_comes_too_late_is_put_away() -> Result<()> {
    let mut scene = Scene::new().await?;
    let patience = Duration::from_millis(200);
    let late = tokio::time::timeout(patience, scene.attacker.query("slow-open")).await;
    assert!(late.is_err(), "it came in time");
    assert_eq!(scene.execute("open-streams").await?, "0");
    scene.goes_on().await?;
    let late = tokio::time::timeout(patience, scene.attacker.query("slow-panic")).await;
    assert!(late.is_err(), "it came in time");
    let error = scene.failure("ping").await;
    assert_failure(&error, ErrorKind::Closed, "trap");
    scene.others_go_on().await
}

/// Dropping a stream runs code of the guest.
#[tokio::test]
async fn a_stream_that_resists_its_end_is_ended() -> Result<()> {
    // Less than the time that a stream is given to end in, so that it is clear which ends it.
    let limits = Limits::default().with_guest_time(Duration::from_secs(1));
    let host = Host::builder().limits(limits).build()?;
    let connector = hostile::connector_in(&host).await?;
    for (attack, kind) in [
        ("drop-panic", ErrorKind::Trap),
        ("drop-loop", ErrorKind::GuestTimeLimit),
        ("drop-wait", ErrorKind::WallTimeLimit),
    ] {
        let mut scene = Scene::with(connector.clone()).await?;
        let rows = scene.attacker.query(attack).await?;
        assert_eq!(fixture::count(rows).await?, 1);
        let error = scene.failure("ping").await;
        assert_failure(&error, ErrorKind::Closed, kind.as_str());
        scene.others_go_on().await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_other_address_can_be_reached() -> Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let mut scene = Scene::new().await?;
    // The port of the configuration is 1, and its address is known as 192.0.2.1.
    for address in [
        format!("127.0.0.1:{port}"),
        format!("192.0.2.1:{port}"),
        "127.0.0.1:1".to_owned(),
        "192.0.2.2:1".to_owned(),
        "192.0.2.1:0".to_owned(),
        "0.0.0.0:1".to_owned(),
        "169.254.169.254:80".to_owned(),
        "255.255.255.255:1".to_owned(),
    ] {
        let got = scene.execute(&format!("connect {address}")).await?;
        assert_eq!(got, "access-denied", "{address}");
    }
    assert!(listener.accept().is_err(), "something came through");
    // Its own address it may try, though nothing listens there.
    let got = scene.execute("connect 192.0.2.1:1").await?;
    assert_eq!(got, "connection-refused");
    scene.goes_on().await
}

#[tokio::test]
async fn no_other_name_can_be_looked_up() -> Result<()> {
    let mut scene = Scene::new().await?;
    for name in [
        "localhost",
        "example.com",
        "the-password-is-hunter2.attacker.example",
        "127.0.0.1",
        "endpoint.internal.attacker.example",
        "endpoint.internal.",
        "",
    ] {
        let got = scene.execute(&format!("lookup {name}")).await?;
        assert_eq!(got, "access-denied", "{name}");
    }
    assert_eq!(
        scene.execute("lookup endpoint.internal").await?,
        "succeeded"
    );
    scene.goes_on().await
}

#[tokio::test]
async fn nothing_can_be_bound_or_listened_on() -> Result<()> {
    let mut scene = Scene::new().await?;
    for attack in [
        "bind 127.0.0.1:0",
        "bind 0.0.0.0:8080",
        "bind 192.0.2.1:1",
        "listen",
    ] {
        assert_eq!(scene.execute(attack).await?, "access-denied", "{attack}");
    }
    scene.goes_on().await
}

#[tokio::test]
async fn only_the_login_name_is_revealed() -> Result<()> {
    let mut scene = Scene::new().await?;
    for (field, got) in [
        ("password", "RefusalKind::Forbidden"),
        ("host", "RefusalKind::Forbidden"),
        ("port", "RefusalKind::NoSuchField"),
        ("nonsense", "RefusalKind::NoSuchField"),
        ("username", "got nobody"),
    ] {
        let attack = format!("reveal {field}");
        assert_eq!(scene.execute(&attack).await?, got, "{field}");
    }
    scene.goes_on().await
}

#[tokio::test]
async fn a_login_is_one_exchange_for_what_the_server_asked() -> Result<()> {
    let database = fixture::database("sandbox_login").await?;
    let connector = hostile::connector().await?;
    for (attack, got) in [
        ("scram password", "got begun"),
        ("scram username", "RefusalKind::Forbidden"),
        ("scram host", "RefusalKind::Forbidden"),
        ("scram database", "RefusalKind::NoSuchField"),
        ("scram-twice", "RefusalKind::Exhausted"),
        ("scram-invented", "RefusalKind::UnexpectedChallenge"),
        ("scram-invented echo", "RefusalKind::UnexpectedChallenge"),
        ("md5-of-scram", "RefusalKind::UnexpectedChallenge"),
    ] {
        let mut connection = hostile::connect_to(&connector, &database, false).await?;
        let outcome = connection.execute(attack).await?;
        assert_eq!(outcome.command, got, "{attack}");
    }
    // One login for the whole connection, whatever number of sockets it opens.
    let mut connection = hostile::connect_to(&connector, &database, false).await?;
    for got in ["got begun", "RefusalKind::Exhausted"] {
        assert_eq!(connection.execute("scram password").await?.command, got);
    }
    // And the proper way works, so that it is not for another reason that these fail.
    let mut proper = hostile::connect_to(&connector, &database, true).await?;
    assert_eq!(proper.execute("ping").await?.command, "pong");
    Ok(())
}

#[tokio::test]
async fn batches_that_are_none_are_refused() -> Result<()> {
    let mut scene = Scene::new().await?;
    for (attack, words) in [
        ("garbage", "not an Arrow message"),
        ("empty", "not an Arrow message"),
        ("truncated", "wrong length"),
        ("trailing", "wrong length"),
        ("schema-again", "other than a batch"),
        ("compressed", "compressed"),
        ("old-version", "old version"),
        ("no-columns", "not of its schema"),
        ("short-buffer", "not of its schema"),
        ("outside", "outside its message"),
        ("negative", "outside its message"),
        ("negative-nulls", "absurd number of rows"),
        ("too-many-nulls", "absurd number of rows"),
        ("not-utf8", "not of its schema"),
        ("offsets", "not of its schema"),
        ("two-columns", "not of its schema"),
        ("schema-garbage", "not an Arrow message"),
        ("schema-is-batch", "other than a schema"),
        ("schema-trailing", "wrong length"),
        ("dictionary", "dictionary"),
        ("nested-dictionary", "dictionary"),
    ] {
        println!("{attack}");
        let (batches, error) = scene.stream_failure(attack).await;
        assert_eq!(batches, 0, "{attack}");
        assert_failure(&error, ErrorKind::InvalidData, words);
        scene.goes_on().await?;
    }
    let (batches, error) = scene.stream_failure("late-garbage").await;
    assert_eq!(batches, 1);
    assert_failure(&error, ErrorKind::InvalidData, "not an Arrow message");
    scene.goes_on().await
}

#[tokio::test]
async fn proper_batches_of_the_same_kind_are_taken() -> Result<()> {
    let mut scene = Scene::new().await?;
    let rows = scene.attacker.query("rows 3").await?;
    assert_eq!(fixture::count(rows).await?, 3);
    let size = BatchSize::default().with_rows(1 << 24);
    let options = ConnectOptions::default().with_batch(size);
    let mut connection = hostile::connect_with(&scene.connector, options).await?;
    let mut rows = connection.query("many-nulls").await?;
    let batch = rows.next().await.expect("a batch")?;
    assert_eq!(
        (batch.num_rows(), batch.column(0).len()),
        (1 << 24, 1 << 24)
    );
    drop(rows);
    scene.goes_on().await
}

#[tokio::test]
async fn a_stream_that_never_answers_can_be_left() -> Result<()> {
    let mut scene = Scene::new().await?;
    let mut rows = scene.attacker.query("late-wait").await?;
    assert!(rows.next().await.is_some_and(|batch| batch.is_ok()));
    drop(rows);
    // There is no server to ask, so the instance is given up after its grace.
    let error = scene.failure("ping").await;
    assert_failure(&error, ErrorKind::Closed, "cancelled");
    scene.others_go_on().await
}

#[tokio::test]
async fn a_stream_that_never_answers_is_ended() -> Result<()> {
    let limits = Limits::default().with_wall_time(Duration::from_millis(300));
    let host = Host::builder().limits(limits).build()?;
    let mut scene = Scene::with(hostile::connector_in(&host).await?).await?;
    let (batches, error) = scene.stream_failure("late-wait").await;
    assert_eq!(batches, 1);
    scene
        .ended_by(&error, ErrorKind::WallTimeLimit, "longer than 300 ms")
        .await
}

#[tokio::test]
async fn random_bytes_come_in_small_amounts() -> Result<()> {
    let mut scene = Scene::new().await?;
    assert_eq!(scene.execute("random 65536").await?, "65536");
    let error = scene.failure("random 65537").await;
    scene.ended_by(&error, ErrorKind::Trap, "65536").await
}
