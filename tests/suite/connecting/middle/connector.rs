//! What a connector can do that would have no encryption, or another server.

use anyhow::{Result, ensure};
use dagflux_test_support::{SERVER_NAME, ServerCertificate};
use tokio::io::AsyncWriteExt;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;

use super::{Middle, SSL_REQUEST, acceptor, request};
use crate::connecting::stage::Stage;
use crate::hostile;

/// A connector that has no regard for Use SSL.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_cannot_leave_encryption_out() -> Result<()> {
    let stage = Stage::new().await?;
    let connector = hostile::connector().await?;
    for (attack, request_sent) in [
        ("startup at-once", false),
        ("startup after", true),
        ("startup with", false),
        ("startup twice", true),
        ("startup listening", true),
        ("scram password", false),
    ] {
        let middle = Middle::start(|mut client, heard| async move {
            heard.read(&mut client, 4096).await?;
            client.write_all(b"S, and more").await?;
            heard.rest(&mut client).await;
            Ok(())
        })
        .await?;
        let way = middle.on(&stage.way());
        let mut connection = connector
            .connect(way.config.clone(), way.secrets(), Default::default())
            .await?;
        let got = connection.execute(attack).await?.command;
        assert!(
            got.starts_with("failed") || got == "RefusalKind::InsecureChannel",
            "{attack}: {got}"
        );
        connection.close().await?;
        middle.listen_to_the_end().await?;
        let heard = middle.heard.bytes();
        let expected: &[u8] = if request_sent { &SSL_REQUEST } else { &[] };
        assert_eq!(heard, expected, "{attack}");
    }
    Ok(())
}

/// A connector that has the server prove another name than the configured one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_cannot_choose_the_name() -> Result<()> {
    let stage = Stage::new().await?;
    let connector = hostile::connector().await?;
    for (kind, name, may) in [
        (ServerCertificate::WrongName, "other.test", false),
        (ServerCertificate::WrongName, "endpoint.internal", false),
        // The host asks for the configured name, whatever the connector says.
        (ServerCertificate::Good, "other.test", true),
        (ServerCertificate::Good, "endpoint.internal", true),
    ] {
        let acceptor = acceptor(&stage.certificates.server(kind)?)?;
        let middle = Middle::start(move |mut client, heard| {
            let acceptor = acceptor.clone();
            async move {
                request(&mut client, &heard).await?;
                client.write_all(b"S").await?;
                let client = LazyConfigAcceptor::new(Acceptor::default(), client).await?;
                let name = client.client_hello().server_name().map(str::to_owned);
                ensure!(
                    name.as_deref() == Some(SERVER_NAME),
                    "{name:?} was asked for"
                );
                let mut client = client.into_stream(acceptor.config().clone()).await?;
                heard.rest(&mut client).await;
                Ok(())
            }
        })
        .await?;
        let way = middle.on(&stage.way());
        let mut connection = connector
            .connect(way.config.clone(), way.secrets(), Default::default())
            .await?;
        let got = connection.execute(&format!("tls-as {name}")).await?.command;
        assert_eq!(got == "got encrypted", may, "{kind:?} as {name}: {got}");
        connection.close().await?;
        if !may {
            middle.heard_only_the_request().await?;
        }
    }
    Ok(())
}
