//! What can be done to the handshake.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use dagflux_host::ErrorKind;
use dagflux_test_support::{Database, ServerCertificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Middle, acceptor, configuration, impostor, refused, request, strict};
use crate::assertions::{failure, query, still_works};
use crate::connecting::Way;
use crate::connecting::stage::{LOGIN, Stage};
use crate::fixture;

/// The code of a CancelRequest.
const CANCEL_REQUEST: [u8; 4] = [4, 210, 22, 46];

/// Somebody who passes on everything, and listens.
async fn listening(port: u16) -> Result<Middle> {
    Middle::start(move |mut client, heard| async move {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut from_server, mut to_server) = server.split();
        let (mut from_client, mut to_client) = client.split();
        let listen = heard.pass_on(&mut from_client, &mut to_server);
        let (heard, _) = tokio::join!(listen, tokio::io::copy(&mut from_server, &mut to_client));
        heard
    })
    .await
}

/// Without anybody in the middle, and with somebody who only listens, it works: so it is
/// not for another reason that the rest fails.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_listens_hears_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let middle = listening(stage.server.port()).await?;
    for way in strict(&stage) {
        let mut connection = middle.on(&way).connect().await?;
        still_works(&mut connection).await;
        // Nor who stops a statement.
        let canceller = connection.canceller();
        let outcome = {
            let slow = query(&mut connection, "SELECT pg_sleep(120)");
            tokio::pin!(slow);
            loop {
                tokio::select! {
                    outcome = &mut slow => break outcome,
                    () = tokio::time::sleep(Duration::from_millis(100)) => canceller.cancel().await?,
                }
            }
        };
        failure(outcome, ErrorKind::Cancelled);
        connection.close().await?;
    }
    middle.heard_nothing_of_a_login().await?;
    let heard = middle.heard.bytes();
    assert!(!heard.windows(4).any(|it| it == CANCEL_REQUEST));
    // What it would hear without encryption.
    let open = middle.on(&stage.in_the_open()).attempt().await?;
    assert!(open.is_ok(), "the server takes both");
    let heard = middle.heard.bytes();
    assert!(heard.windows(LOGIN.len()).any(|it| it == LOGIN.as_bytes()));
    Ok(())
}

/// The mode `prefer` does without encryption where pg_hba.conf has no place for it, but a
/// password that was wrong is not sent again for others to hear, which libpq does.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_not_tried_in_the_clear() -> Result<()> {
    let stage = Stage::new().await?;
    let middle = listening(stage.server.port()).await?;
    let way = middle.on(&stage.in_mode("prefer"));
    let wrong = way.clone().logging_in(LOGIN, "wrong");
    refused(&wrong, ErrorKind::Authentication).await?;
    // Nor a right one of a role that may not log in, which the server says only then.
    let admin = stage.server.sql("postgres").await?;
    admin
        .batch_execute("CREATE ROLE no_login NOLOGIN PASSWORD 'no_login'")
        .await?;
    let nobody = way.clone().logging_in("no_login", "no_login");
    let error = refused(&nobody, ErrorKind::Authentication).await?;
    assert!(
        error.to_string().contains("not permitted to log in"),
        "{error}"
    );
    let mut connection = way.connect().await?;
    still_works(&mut connection).await;
    connection.close().await?;
    middle.heard_nothing_of_a_login().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_said_not_to_be_offered() -> Result<()> {
    let stage = Stage::new().await?;
    for way in strict(&stage) {
        let middle = Middle::start(|mut client, heard| async move {
            request(&mut client, &heard).await?;
            client.write_all(b"N").await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
        let text = error.to_string();
        assert!(text.contains("does not offer encryption"), "{text}");
        middle.heard_only_the_request().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_swapped() -> Result<()> {
    let stage = Stage::new().await?;
    for (kind, words) in [
        (ServerCertificate::UnknownAuthority, "was issued by"),
        (ServerCertificate::SelfSigned, "has signed itself"),
        (ServerCertificate::WrongName, "other.test"),
        (ServerCertificate::Expired, "expired on 2020-01-31"),
        (
            ServerCertificate::NotYetValid,
            "not valid before 2090-01-01",
        ),
        (ServerCertificate::CommonNameOnly, "names no host"),
    ] {
        let acceptor = acceptor(&stage.certificates.server(kind)?)?;
        let middle = Middle::start(move |mut client, heard| {
            let acceptor = acceptor.clone();
            async move {
                request(&mut client, &heard).await?;
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                heard.rest(&mut client).await;
                Ok(())
            }
        })
        .await?;
        let error = refused(&middle.on(&stage.way()), ErrorKind::Tls).await?;
        let text = error.to_string();
        assert!(text.contains(words), "{kind:?}: {text}");
        middle.heard_only_the_request().await?;
    }
    Ok(())
}

/// A certificate is public: whoever shows it has to have its key.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_shown_without_its_key() -> Result<()> {
    let stage = Stage::new().await?;
    let good = stage.certificates.server(ServerCertificate::Good)?;
    let other = stage.certificates.server(ServerCertificate::WrongName)?;
    for (acceptor, is_refused) in [
        (impostor(&good, &other)?, true),
        (impostor(&good, &good)?, false),
    ] {
        for way in strict(&stage) {
            let acceptor = acceptor.clone();
            let middle = Middle::start(move |mut client, heard| {
                let acceptor = acceptor.clone();
                async move {
                    request(&mut client, &heard).await?;
                    client.write_all(b"S").await?;
                    // Whoever gets as far as this has been believed, and ends it.
                    acceptor.accept(client).await?;
                    Ok(())
                }
            })
            .await?;
            if !is_refused {
                refused(&middle.on(&way), ErrorKind::ConnectionLost).await?;
                continue;
            }
            let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
            assert!(error.to_string().contains("cannot be accepted"), "{error}");
            middle.heard_only_the_request().await?;
        }
    }
    Ok(())
}

/// CVE-2021-23222 and CVE-2021-23214: what is put in before the handshake is not taken for
/// something that came through it.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_put_in_before_the_handshake() -> Result<()> {
    const AUTHENTICATION_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    const ERROR: &[u8] = b"E\0\0\0\x1dSFATAL\0C28000\0Mput in\0\0\0\0\0";
    let stage = Stage::new().await?;
    let good = acceptor(&stage.certificates.server(ServerCertificate::Good)?)?;
    for put_in in [AUTHENTICATION_OK, CLEARTEXT, ERROR, b"S"] {
        for at_once in [true, false] {
            for way in strict(&stage) {
                let acceptor = good.clone();
                let middle = Middle::start(move |mut client, heard| {
                    let acceptor = acceptor.clone();
                    async move {
                        client.set_nodelay(true)?;
                        request(&mut client, &heard).await?;
                        if at_once {
                            client.write_all(&[b"S", put_in].concat()).await?;
                        } else {
                            client.write_all(b"S").await?;
                            client.write_all(put_in).await?;
                        }
                        // The server's own certificate: all is well, if this is let through.
                        let mut client = acceptor.accept(client).await?;
                        heard.rest(&mut client).await;
                        Ok(())
                    }
                })
                .await?;
                let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
                let text = format!("{error} {:?} {:?}", error.detail(), error.hint());
                assert!(!text.contains("put in\0"), "{text}");
                assert!(error.sqlstate().is_none(), "it was believed: {error:?}");
                // In one piece they are there before anything could be encrypted.
                assert!(!at_once || text.contains("in the clear"), "{text}");
                middle.heard_only_the_request().await?;
            }
        }
    }
    Ok(())
}

/// Nobody has proved who they are yet, so what they say is not repeated (CVE-2024-10977).
#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_answered_with_an_error() -> Result<()> {
    let stage = Stage::new().await?;
    for way in strict(&stage) {
        let middle = Middle::start(|mut client, heard| async move {
            request(&mut client, &heard).await?;
            let text = b"SFATAL\0C28P01\0Mcall 555-0100 for help\0\0";
            let mut error = vec![b'E'];
            error.extend_from_slice(&(text.len() as u32 + 4).to_be_bytes());
            error.extend_from_slice(text);
            client.write_all(&error).await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let error = refused(&middle.on(&way), ErrorKind::Tls).await?;
        let text = format!("{error} {:?} {:?} {error:?}", error.detail(), error.hint());
        assert!(!text.contains("555-0100"), "{text}");
        middle.heard_only_the_request().await?;
    }
    Ok(())
}

/// The line is cut, at every stage of the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_cut() -> Result<()> {
    let stage = Stage::new().await?;
    let port = stage.server.port();
    for after in [1, 3, 100, 700] {
        let middle = Middle::start(move |mut client, heard| async move {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            let (mut from_server, mut to_server) = server.split();
            let (mut from_client, mut to_client) = client.split();
            let there = heard.pass_on(&mut from_client, &mut to_server);
            let back = async {
                let mut first = (&mut from_server).take(after);
                tokio::io::copy(&mut first, &mut to_client).await
            };
            // Then both lines are dropped.
            tokio::select! {
                _ = there => {}
                _ = back => {}
            }
            Ok(())
        })
        .await?;
        let error = refused(&middle.on(&stage.way()), ErrorKind::Tls).await?;
        let text = error.to_string();
        assert!(text.contains("handshake"), "after {after}: {text}");
        middle.heard_nothing_of_a_login().await?;
    }
    // Before there was any answer.
    let middle =
        Middle::start(|mut client, heard| async move { request(&mut client, &heard).await })
            .await?;
    refused(&middle.on(&stage.way()), ErrorKind::ConnectionLost).await?;
    middle.heard_only_the_request().await?;
    Ok(())
}

/// A server that sends what weighs little and costs much, and nothing else, is left.
#[tokio::test(flavor = "multi_thread")]
async fn session_tickets_come_without_end() -> Result<()> {
    let stage = Stage::new().await?;
    let identity = stage.certificates.server(ServerCertificate::Good)?;
    let mut config = configuration(&identity)?;
    config.send_tls13_tickets = 3000;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let middle = Middle::start(move |mut client, heard| {
        let acceptor = acceptor.clone();
        async move {
            request(&mut client, &heard).await?;
            client.write_all(b"S").await?;
            let mut client = acceptor.accept(client).await?;
            heard.rest(&mut client).await;
            Ok(())
        }
    })
    .await?;
    let way = middle.on(&stage.way()).with("connect_timeout", 30_i64);
    // Not the time limit, which would be what a thread that is kept busy runs into.
    // Here it is rustls that gives up, since these messages run on from record to record.
    refused(&way, ErrorKind::ConnectionLost).await?;
    Ok(())
}

/// Who never answers is not waited for, and the error says what was waited for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_answered() -> Result<()> {
    let stage = Stage::new().await?;
    for (answer, kind, words) in [
        (b"".as_slice(), ErrorKind::ConnectTimeout, "encryption"),
        (b"S".as_slice(), ErrorKind::Tls, "handshake"),
    ] {
        let middle = Middle::start(move |mut client, heard| async move {
            request(&mut client, &heard).await?;
            client.write_all(answer).await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let way = middle.on(&stage.way()).with("connect_timeout", 1_i64);
        let error = refused(&way, kind).await?;
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        middle.heard_nothing_of_a_login().await?;
    }
    // Nor to the login itself.
    let middle = Middle::start(|mut client, heard| async move {
        heard.rest(&mut client).await;
        Ok(())
    })
    .await?;
    let way = middle
        .on(&stage.in_the_open())
        .with("connect_timeout", 1_i64);
    let error = refused(&way, ErrorKind::ConnectTimeout).await?;
    let text = error.to_string();
    assert!(text.contains("login"), "{text}");
    Ok(())
}

/// Without Use SSL nobody is kept out, which is what the tests above would look like.
#[tokio::test(flavor = "multi_thread")]
async fn without_use_ssl_everything_is_heard() -> Result<()> {
    let database: Database<'_> = fixture::database("middle_open").await?;
    let port = database.server().port();
    let middle = Middle::start(move |mut client, heard| async move {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        let startup = heard.read(&mut client, 4096).await?;
        server.write_all(&startup).await?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await?;
        Ok(())
    })
    .await?;
    let mut connection = middle.on(&Way::to(&database)).connect().await?;
    still_works(&mut connection).await;
    let heard = String::from_utf8_lossy(&middle.heard.bytes()).into_owned();
    assert!(heard.contains("middle_open"), "{heard}");
    Ok(())
}
