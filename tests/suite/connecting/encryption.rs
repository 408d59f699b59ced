//! Encrypted connections: who the server has to be, what it has to prove, and what the error says
//! when it does not.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use dagflux_host::{ConnectOptions, Error, ErrorKind, Severity, Verified};
use dagflux_test_support::{
    Certificates, Identity, SERVER_NAME, Server, ServerCertificate, ServerOptions,
};
use futures_util::TryStreamExt;
use rcgen::{CertificateParams, Issuer, KeyPair};

use super::Way;
use crate::fixture;

/// A server with a certificate, and what leads to it without any field of encryption.
struct Encrypted {
    server: Server,
    authorities: Certificates,
    identity: Identity,
}

impl Encrypted {
    async fn start(kind: ServerCertificate) -> Result<Self> {
        Self::with(kind, |options, _| options).await
    }

    async fn with(
        kind: ServerCertificate,
        options: impl FnOnce(ServerOptions, &Certificates) -> ServerOptions,
    ) -> Result<Self> {
        let authorities = Certificates::new()?;
        let identity = authorities.server(kind)?;
        let own = ServerOptions::new().with_tls(identity.clone());
        let server = Server::start(&options(own, &authorities)).await?;
        Ok(Self {
            server,
            authorities,
            identity,
        })
    }

    async fn way(&self) -> Result<Way> {
        let database = self.server.database("encrypted").await?;
        Ok(Way::to(&database)
            .at(SERVER_NAME)
            .with_secret("host_address", self.server.host()))
    }

    /// As Use SSL has it, with the server's authority for a CA.
    async fn verified(&self) -> Result<Way> {
        let way = self.way().await?.with("use_ssl", true);
        Ok(way.with("ssl_ca", self.authorities.root()))
    }
}

async fn refusal(way: &Way) -> Result<Error> {
    way.attempt().await?.err().context("it was let in")
}

fn told(error: &Error) -> String {
    let parts = [error.detail(), error.hint()].map(Option::unwrap_or_default);
    format!("{error}\n{}\n{}", parts[0], parts[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn use_ssl_verifies_the_server_and_binds_the_login() -> Result<()> {
    let encrypted = Encrypted::start(ServerCertificate::Good).await?;
    let mut connection = encrypted.verified().await?.connect().await?;
    let encryption = connection.encryption().context("not encrypted")?;
    assert_eq!(encryption.version, "TLSv1.3");
    assert_eq!(encryption.verified, Verified::Name);
    assert!(encryption.channel_bound, "SCRAM-SHA-256-PLUS was offered");
    assert_eq!(encryption.certificate.names, [SERVER_NAME]);
    let seen = connection
        .query("SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .await?;
    let seen = fixture::batches(seen).await?;
    assert!(seen[0].column(0).as_boolean().value(0));
    assert_eq!(
        seen[0].column(1).as_string::<i32>().value(0),
        encryption.version
    );
    let report = connection.check(Default::default()).await?;
    let finding = report.findings.iter().find(|f| f.subject == "encryption");
    assert_eq!(finding.context("none")?.severity, Severity::Passed);

    // Megabytes there and back, and a statement that is stopped: over the same channel.
    let mut rows = connection
        .query("SELECT repeat(md5(n::text), 100) AS text FROM generate_series(1, 5000) n")
        .await?;
    let mut count = 0;
    while let Some(batch) = rows.try_next().await? {
        count += batch.num_rows();
    }
    assert_eq!(count, 5000);
    drop(rows);
    let rows = connection
        .query("SELECT n FROM generate_series(1, 100000000) n")
        .await?;
    drop(rows);
    assert_eq!(connection.execute("SELECT 1").await?.rows, Some(1));
    connection.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_certificate_is_named_with_what_to_do() -> Result<()> {
    for (kind, says) in [
        (
            ServerCertificate::Expired,
            &["expired on 2020-01-31", "renewed"][..],
        ),
        (
            ServerCertificate::NotYetValid,
            &["not valid before 2090-01-01", "clock"],
        ),
        (
            ServerCertificate::WrongName,
            &["other.test", SERVER_NAME, "host_address"],
        ),
        (
            ServerCertificate::UnknownAuthority,
            &[
                "issued by",
                "DagFlux tests: unknown",
                "`ssl_ca`",
                "`ssl_fingerprint`",
            ],
        ),
        (
            ServerCertificate::SelfSigned,
            &["signed itself", "`ssl_ca`", "`ssl_fingerprint`"],
        ),
        (
            ServerCertificate::CommonNameOnly,
            &["names no host", SERVER_NAME, "subject alternative name"],
        ),
    ] {
        let encrypted = Encrypted::start(kind).await?;
        let way = encrypted.verified().await?;
        let error = refusal(&way).await?;
        assert_eq!(error.kind(), ErrorKind::Tls, "{kind:?}: {error}");
        assert!(!error.is_retryable(), "{kind:?}");
        for part in says {
            assert!(
                told(&error).contains(part),
                "{kind:?} lacks {part}: {}",
                told(&error)
            );
        }
        // For machines, without the host.
        assert!(
            !error.to_json().to_string().contains(SERVER_NAME),
            "{kind:?}"
        );
        // Nobody was let in, and nobody tried: the server saw no startup message.
        let log = encrypted.server.log();
        assert!(!log.contains("user=dagflux"), "{kind:?}: {log}");

        // Whoever it is, it is the one that was pinned.
        let pinned = encrypted
            .way()
            .await?
            .with("use_ssl", true)
            .with("ssl_fingerprint", way_fingerprint(&encrypted).await?);
        let connection = pinned
            .connect()
            .await
            .with_context(|| format!("{kind:?}"))?;
        let encryption = connection.encryption().context("not encrypted")?;
        assert_eq!(encryption.verified, Verified::Pinned);
        connection.close().await?;
    }
    Ok(())
}

/// The fingerprint, as the host tells it to anyone who looks.
async fn way_fingerprint(encrypted: &Encrypted) -> Result<String> {
    let way = encrypted.way().await?;
    let connector = fixture::postgres().await?;
    let shown = connector
        .server_certificates(&way.config, way.secrets())
        .await?;
    let own = shown.certificates.first().context("it showed none")?;
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&encrypted.identity.der);
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(own.fingerprint, format!("sha256:{hexadecimal}"));
    assert!(
        encrypted
            .identity
            .certificate
            .contains(own.pem.lines().nth(1).unwrap_or("?"))
    );
    let refusal = shown
        .refusal
        .context("no CA of this machine has signed it")?;
    assert_eq!(refusal.kind(), ErrorKind::Tls);
    Ok(own.fingerprint.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_certificate_is_the_only_one() -> Result<()> {
    let encrypted = Encrypted::start(ServerCertificate::Good).await?;
    let other = format!("sha256:{}", "ab".repeat(32));
    for way in [
        encrypted.way().await?.with("use_ssl", true),
        // Signed by the right CA, and still not the one.
        encrypted.verified().await?,
        encrypted.verified().await?.with("ssl_mode", "verify-full"),
    ] {
        let error = refusal(&way.with("ssl_fingerprint", other.as_str())).await?;
        assert_eq!(error.kind(), ErrorKind::Tls);
        assert!(told(&error).contains("not the pinned one"), "{error}");
        assert!(told(&error).contains(&other), "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_its_own_ca_can_be_given_as_one() -> Result<()> {
    let encrypted = Encrypted::start(ServerCertificate::SelfSigned).await?;
    let given = encrypted.identity.certificate.as_str();
    let way = encrypted
        .way()
        .await?
        .with("use_ssl", true)
        .with("ssl_ca", given);
    let connection = way.connect().await?;
    let encryption = connection.encryption().context("not encrypted")?;
    assert_eq!(encryption.verified, Verified::Name);
    connection.close().await?;
    // Its name counts all the same.
    let error = refusal(&way.at("elsewhere.test")).await?;
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(told(&error).contains("made out to"), "{error}");
    Ok(())
}

/// A certificate of a server, given as CA so that it is trusted, and one for another name that was
/// signed with its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_trusted_cannot_vouch_for_others() -> Result<()> {
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(vec!["another.test".to_owned()])?;
    let trusted = own.self_signed(&key)?.pem();
    let forged_key = KeyPair::generate()?;
    let forged = CertificateParams::new(vec![SERVER_NAME.to_owned()])?
        .signed_by(&forged_key, &Issuer::new(own, key))?;
    let identity = Identity {
        certificate: forged.pem(),
        key: forged_key.serialize_pem(),
        der: forged.der().to_vec(),
    };
    let server = Server::start(&ServerOptions::new().with_tls(identity)).await?;
    let database = server.database("forged").await?;
    let way = Way::to(&database)
        .at(SERVER_NAME)
        .with_secret("host_address", server.host())
        .with("ssl_ca", trusted);
    for way in [
        way.clone().with("use_ssl", true),
        way.clone().with("ssl_mode", "verify-full"),
        way.clone().with("ssl_mode", "verify-ca"),
        way.with("ssl_mode", "require"),
    ] {
        let error = refusal(&way).await?;
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_weakens_a_connection_is_named_so() -> Result<()> {
    let encrypted = Encrypted::start(ServerCertificate::UnknownAuthority).await?;
    for (mode, verified) in [
        ("require", Verified::Nothing),
        ("prefer", Verified::Nothing),
    ] {
        let way = encrypted.way().await?.with("ssl_mode", mode);
        let mut connection = way.connect().await?;
        let encryption = connection.encryption().context("not encrypted")?;
        assert_eq!(encryption.verified, verified, "{mode}");
        let report = connection.check(Default::default()).await?;
        let finding = report.findings.iter().find(|f| f.subject == "encryption");
        let finding = finding.context("none")?;
        assert_eq!(finding.severity, Severity::Warning, "{mode}");
        assert!(finding.message.contains("anyone in between"), "{mode}");
        connection.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_of_tls_are_refused() -> Result<()> {
    let encrypted = Encrypted::with(ServerCertificate::Good, |options, _| {
        options.with_setting("ssl_max_protocol_version", "TLSv1.2")
    })
    .await?;
    let way = encrypted.verified().await?;
    let connection = way.connect().await?;
    let encryption = connection.encryption().context("not encrypted")?;
    assert_eq!(encryption.version, "TLSv1.2");
    assert!(encryption.channel_bound);
    connection.close().await?;
    let error = refusal(&way.with("ssl_min_version", "TLSv1.3")).await?;
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(told(&error).contains("ssl_min_version"), "{}", told(&error));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_has_to_be_bound_is_bound_or_refused() -> Result<()> {
    let encrypted = Encrypted::with(ServerCertificate::Good, |options, authorities| {
        options
            .with_client_root(authorities.client_root())
            .with_hba_line("hostssl all trusting all trust")
            .with_hba_line("hostssl all hashed all md5")
            .with_hba_line("hostssl all all all scram-sha-256")
    })
    .await?;
    let admin = encrypted.server.sql("postgres").await?;
    admin
        .batch_execute(
            "CREATE ROLE trusting LOGIN; SET password_encryption = 'md5'; \
             CREATE ROLE hashed LOGIN PASSWORD 'hashed'",
        )
        .await?;
    let way = encrypted
        .verified()
        .await?
        .with("channel_binding", "require");
    way.connect().await?.close().await?;
    for login in ["trusting", "hashed"] {
        let way = way.clone().logging_in(login, login);
        let error = refusal(&way).await?;
        assert_eq!(error.kind(), ErrorKind::Authentication, "{login}: {error}");
        assert!(told(&error).contains("channel_binding"), "{}", told(&error));
        way.with("channel_binding", "prefer")
            .connect()
            .await?
            .close()
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_logs_in_and_a_wrong_one_does_not() -> Result<()> {
    let encrypted = Encrypted::with(ServerCertificate::Good, |options, authorities| {
        options
            .with_client_root(authorities.client_root())
            .with_hba_line("hostssl all all all cert")
    })
    .await?;
    let own = encrypted.authorities.client("dagflux")?;
    let unknown = encrypted.authorities.unknown_client("dagflux")?;
    let another = encrypted.authorities.client("another")?;
    let way = encrypted.verified().await?;
    let showing = |identity: &Identity| {
        way.clone()
            .with("ssl_cert", identity.certificate.as_str())
            .with_secret("ssl_key", &identity.key)
    };
    showing(&own).connect().await?.close().await?;

    let error = refusal(&showing(&unknown)).await?;
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(
        told(&error).contains("does not accept the client certificate"),
        "{error}"
    );
    let error = refusal(&showing(&another)).await?;
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let error = refusal(&way).await?;
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");

    for (certificate, key, says) in [
        (
            &own.certificate,
            &another.key,
            "not the key of the certificate",
        ),
        (
            &own.certificate,
            &"-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----".to_owned(),
            "no private key",
        ),
        (&own.certificate, &"hunter2".to_owned(), "no private key"),
        (&own.key, &own.key, "no certificate"),
        (
            &"/nowhere/client.crt".to_owned(),
            &own.key,
            "cannot be read",
        ),
    ] {
        let way = way
            .clone()
            .with("ssl_cert", certificate.as_str())
            .with_secret("ssl_key", key);
        let error = refusal(&way).await?;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(told(&error).contains(says), "{says}: {error}");
        assert!(!told(&error).contains("hunter2") && !told(&error).contains("!!"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_nobody_uses_is_closed() -> Result<()> {
    let database = fixture::database("idle").await?;
    let way = Way::to(&database).with("idle_timeout", 1_i64);
    let connector = fixture::postgres().await?;
    let options = ConnectOptions::default().with_application_name("lies idle");
    let mut connection = connector
        .connect(way.config.clone(), way.secrets(), options)
        .await?;
    connection.execute("SELECT 1").await?;
    let admin = database.sql().await?;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lies idle'";
    let count = || async { Ok::<i64, anyhow::Error>(admin.query_one(sessions, &[]).await?.get(0)) };
    assert_eq!(count().await?, 1);
    for _ in 0..100 {
        if count().await? == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(count().await?, 0, "it is still there");
    let error = connection.execute("SELECT 1").await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(
        error.is_retryable() && told(&error).contains("idle_timeout"),
        "{error}"
    );
    Ok(())
}
