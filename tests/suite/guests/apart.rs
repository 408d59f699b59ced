//! Attacks that need more than one call, or another stage.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use dagflux_host::{Config, ConnectOptions, ErrorKind, Host, Limits, Secrets};
use futures_util::StreamExt;

use super::MIB;
use crate::capture::Capture;
use crate::hostile::{self, Scene, assert_failure};

const LOGIN: &str = "moss_grown_login";

fn secrets() -> Secrets {
    Secrets::new()
        .with("host", "127.0.0.1")
        .with("username", LOGIN)
        .with("password", "a password that no one asks for")
}

fn config(keep: &str) -> Config {
    Config::new().with("port", 1_u16).with("keep", keep)
}

#[tokio::test]
async fn an_attack_while_connecting_ends_that() -> Result<()> {
    let connector = super::connector().await?;
    let mut scene = Scene::with(connector.clone()).await?;
    let hurried = Limits::default().with_connect_time(Duration::from_secs(1));
    for (attack, kind, words) in [
        ("panic", ErrorKind::Trap, "gave up"),
        ("loop", ErrorKind::GuestTimeLimit, "longer than 5 s"),
        ("handles", ErrorKind::MemoryLimit, "256 handles"),
        ("wait", ErrorKind::ConnectTimeout, "within 1 s"),
        ("error-message 1000000", ErrorKind::Other, "xxx…"),
    ] {
        let mut options = ConnectOptions::default();
        options.limits = (attack == "wait").then(|| hurried.clone());
        let outcome = connector
            .connect(config(&format!("open {attack}")), secrets(), options)
            .await;
        let error = outcome.err().context("it was let in")?;
        assert_failure(&error, kind, words);
        assert!(error.to_string().len() <= 64 * 1024 + 3, "{attack}");
        scene.goes_on().await?;
    }
    Ok(())
}

/// A cancel request is sent from a fresh instance: whatever happens to that, the connection goes on.
#[tokio::test]
async fn an_attack_while_cancelling_leaves_the_connection() -> Result<()> {
    let connector = super::connector().await?;
    for (attack, kind, words) in [
        ("panic", ErrorKind::Trap, "gave up"),
        ("unreachable", ErrorKind::Trap, "gave up"),
        ("exit", ErrorKind::Trap, "exit status 1"),
        ("loop", ErrorKind::GuestTimeLimit, "longer than 5 s"),
        ("handles", ErrorKind::MemoryLimit, "256 handles"),
    ] {
        let mut connection = connector
            .connect(
                config(&format!("cancel {attack}")),
                secrets(),
                ConnectOptions::default(),
            )
            .await?;
        let canceller = connection.canceller();
        // While a call is in progress in the other instance.
        let (rows, cancelled) = futures_util::future::join(
            async {
                let rows = connection.query("slow-open").await?;
                crate::fixture::count(rows).await
            },
            canceller.cancel(),
        )
        .await;
        assert_eq!(rows?, 0, "{attack}");
        assert_failure(&cancelled.expect_err("it attacks"), kind, words);
        assert_eq!(connection.execute("ping").await?.command, "pong");
        let receipt = connection.receipt();
        assert!(receipt.peak_memory <= 8 * MIB, "{receipt:?}");
        assert!(receipt.guest_time < Duration::from_secs(10), "{receipt:?}");
    }
    Ok(())
}

/// Leaking a few handles in every call comes to its end, too.
#[tokio::test]
async fn what_is_leaked_is_counted_over_calls() -> Result<()> {
    let mut scene = Scene::with(super::connector().await?).await?;
    assert_eq!(scene.execute("leak 100").await?, "leaked");
    scene.goes_on().await?;
    let error = scene.failure("leak 100").await;
    scene
        .ended_by(&error, ErrorKind::MemoryLimit, "256 handles")
        .await
}

#[tokio::test]
async fn errors_are_of_a_bearable_size() -> Result<()> {
    let most = 64 * 1024 + '…'.len_utf8();
    let mut scene = Scene::with(super::connector().await?).await?;
    let error = scene.failure("error-message 1000000").await;
    assert_eq!(error.to_string().len(), most);
    let error = scene.failure("error-detail 1000000").await;
    assert_eq!(error.detail().map(str::len), Some(most));
    let error = scene.failure("error-hint 1000000").await;
    assert_eq!(error.hint().map(str::len), Some(most));
    // Half of a statement is another statement.
    let error = scene.failure("error-attribute 1000000").await;
    assert_eq!(error.attributes(), []);
    let error = scene.failure("error-attribute 1000").await;
    assert_eq!(error.attributes().len(), 1);
    let error = scene.failure("error-attributes 1000").await;
    assert_eq!(error.attributes().len(), 100);
    for (state, kept) in [
        ("42P01", true),
        (LOGIN, false),
        ("42p01", false),
        ("", false),
    ] {
        let error = scene.failure(&format!("error-state {state}")).await;
        assert_eq!(error.sqlstate(), kept.then_some(state));
    }
    scene.goes_on().await
}

/// The login name, said in every place that a guest has words for.
#[tokio::test]
async fn what_is_said_of_the_login_is_for_the_person_alone() -> Result<()> {
    let capture = Capture::begin();
    let connector = hostile::connector().await?;
    let mut connection = connector
        .connect(config(""), secrets(), ConnectOptions::default())
        .await?;
    connection.execute(&format!("log-tells {LOGIN}")).await?;
    connection.execute(&format!("print I am {LOGIN}")).await?;
    let mut errors = Vec::new();
    for attack in ["error-tells", "error-state"] {
        let error = connection.execute(&format!("{attack} {LOGIN}")).await;
        errors.push(error.expect_err("it fails"));
    }
    let outcome = connection.query(&format!("named-dictionary {LOGIN}")).await;
    errors.push(outcome.expect_err("a dictionary"));
    let outcome = connection.execute(&format!("panic {LOGIN}")).await;
    errors.push(outcome.expect_err("it panics"));
    for error in &errors {
        let unsaid = format!("{error:?} {} {}", error.to_json(), error.redacted());
        assert!(!unsaid.contains(LOGIN), "{unsaid}");
    }
    let told = errors.first().context("no error")?;
    assert!(told.to_string().contains(LOGIN), "it is for the person");
    let log = capture.text();
    assert!(log.contains("[username]"), "{log}");
    assert!(!log.contains(LOGIN), "{log}");
    Ok(())
}

/// What there is of clocks: the time of day, and the time since the instance began.
#[tokio::test]
async fn clocks_tell_nothing_of_the_machine() -> Result<()> {
    let mut connection = hostile::connect(&hostile::connector().await?).await?;
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let told = connection.execute("clocks").await?.command;
    let after = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (running, day) = told.split_once(' ').context("two clocks")?;
    let running = Duration::from_nanos(running.parse()?);
    assert!(
        running < Duration::from_secs(60),
        "{running:?} is no age of an instance"
    );
    let up = std::fs::read_to_string("/proc/uptime")?;
    let up: f64 = up.split(' ').next().context("no uptime")?.parse()?;
    assert!(running.as_secs_f64() < up, "{running:?} of {up} s");
    assert!((before..=after).contains(&day.parse()?), "{day}");
    Ok(())
}

/// Who reads decides how much there is.
#[tokio::test]
async fn a_result_without_end_is_left() -> Result<()> {
    let mut scene = Scene::with(super::connector().await?).await?;
    let mut rows = scene.attacker.query("endless").await?;
    for _ in 0..200 {
        rows.next().await.context("it ended")??;
    }
    drop(rows);
    scene.goes_on().await?;
    // Nobody asks a result that has ended.
    let rows = scene.attacker.query("rows 3").await?;
    assert_eq!(crate::fixture::count(rows).await?, 3);
    assert_eq!(scene.execute("calls-after-end").await?, "0");
    assert_eq!(scene.execute("open-streams").await?, "0");
    let receipt = scene.attacker.receipt();
    assert_eq!(receipt.rows_in, 203, "{receipt:?}");
    assert!(receipt.peak_memory <= 8 * MIB, "{receipt:?}");
    Ok(())
}

/// A little in every call is bounded for the connection as a whole.
#[tokio::test]
async fn a_connection_logs_no_more_than_it_may_in_all() -> Result<()> {
    const MOST: u64 = 200 * 1024;
    let capture = Capture::begin();
    let host = Host::builder()
        .limits(Limits::default().with_log_total(MOST))
        .build()?;
    let mut scene = Scene::with(hostile::connector_in(&host).await?).await?;
    for _ in 0..20 {
        assert_eq!(scene.execute("log 100").await?, "logged");
    }
    let receipt = scene.attacker.receipt();
    assert!(
        (MOST - 2_048..=MOST + 2_048).contains(&receipt.log_bytes),
        "{receipt:?}"
    );
    let log = capture.text();
    let letters = log.matches('x').count() as u64;
    assert!((MOST * 8 / 10..=MOST).contains(&letters), "{letters}");
    assert_eq!(log.matches("nothing more of this connection").count(), 1);
    scene.goes_on().await
}
