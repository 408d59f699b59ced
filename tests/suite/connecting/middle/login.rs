//! What can be done to the login by who has a certificate for the server's name.

use anyhow::{Context, Result, ensure};
use dagflux_host::ErrorKind;
use dagflux_test_support::{SERVER_NAME, ServerCertificate};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Middle, SSL_REQUEST, acceptor, connector, refused, request};
use crate::assertions::still_works;
use crate::connecting::stage::{LOGIN, Stage};

/// One message of the protocol, with a tag.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let tag = stream.read_u8().await?;
    let length = stream.read_u32().await? as usize;
    let mut body = vec![0; length.checked_sub(4).context("a length below its own")?];
    stream.read_exact(&mut body).await?;
    Ok((tag, body))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), tag: u8, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len() + 4)?;
    let whole = [&[tag], length.to_be_bytes().as_slice(), body].concat();
    Ok(stream.write_all(&whole).await?)
}

/// Somebody with a certificate for the name, by the right authority, who stands between
/// client and server, each with TLS. With `strip`, the offer of channel binding is taken out.
async fn with_a_certificate(stage: &Stage, strip: bool) -> Result<Middle> {
    const OFFER: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    const STRIPPED: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
    let acceptor = acceptor(&stage.certificates.server(ServerCertificate::Good)?)?;
    let connector = connector(&stage.certificates)?;
    let port = stage.server.port();
    Middle::start(move |mut client, heard| {
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        async move {
            request(&mut client, &heard).await?;
            client.write_all(b"S").await?;
            let mut client = acceptor.accept(client).await?;
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.write_all(&SSL_REQUEST).await?;
            ensure!(server.read_u8().await? == b'S', "the server has no TLS");
            let name = ServerName::try_from(SERVER_NAME)?;
            let mut server = connector.connect(name, server).await?;
            // The startup message has no tag, and is short.
            let startup = heard.read(&mut client, 4096).await?;
            server.write_all(&startup).await?;
            server.flush().await?;
            let (tag, offer) = message(&mut server).await?;
            ensure!((tag, offer.as_slice()) == (b'R', OFFER), "{tag} {offer:?}");
            let offer = if strip { STRIPPED } else { OFFER };
            send(&mut client, tag, offer).await?;
            client.flush().await?;
            let (mut from_client, mut to_client) = tokio::io::split(client);
            let (mut from_server, mut to_server) = tokio::io::split(server);
            let there = heard.pass_on(&mut from_client, &mut to_server);
            let back = async {
                tokio::io::copy(&mut from_server, &mut to_client).await?;
                to_client.shutdown().await
            };
            let _ = tokio::join!(there, back);
            Ok(())
        }
    })
    .await
}

/// A login that is bound to the channel is of no use to who ends the channel.
#[tokio::test(flavor = "multi_thread")]
async fn the_login_is_passed_on() -> Result<()> {
    let stage = Stage::new().await?;
    let middle = with_a_certificate(&stage, false).await?;
    let error = refused(&middle.on(&stage.way()), ErrorKind::Authentication).await?;
    let text = format!("{error} {:?}", error.detail());
    assert!(text.contains("channel binding check failed"), "{text}");
    Ok(())
}

/// The server hears that a client could have bound its login, and that it was not told so.
#[tokio::test(flavor = "multi_thread")]
async fn channel_binding_is_taken_out_of_the_offer() -> Result<()> {
    let stage = Stage::new().await?;
    let middle = with_a_certificate(&stage, true).await?;
    let error = refused(&middle.on(&stage.way()), ErrorKind::Authentication).await?;
    let text = format!("{error} {:?}", error.detail());
    assert!(text.contains("channel binding negotiation error"), "{text}");

    // Where it is required, no exchange begins at all.
    let middle = with_a_certificate(&stage, true).await?;
    let way = stage.way().with("channel_binding", "require");
    let error = refused(&middle.on(&way), ErrorKind::Authentication).await?;
    let text = format!("{error} {:?}", error.hint());
    assert!(text.contains("channel_binding"), "{text}");
    let heard = middle.heard.bytes();
    let exchange = b"SCRAM-SHA-256";
    assert!(heard.windows(LOGIN.len()).any(|it| it == LOGIN.as_bytes()));
    assert!(!heard.windows(exchange.len()).any(|it| it == exchange));
    // And it is, with the server itself.
    let mut connection = way.connect().await?;
    still_works(&mut connection).await;
    Ok(())
}
