//! Servers of every kind: other majors, TLS, a pooler in front, a standby, other encodings.

use anyhow::{Context, Result};
use dagflux_test_support::tokio_postgres::{Config, NoTls};
use dagflux_test_support::{
    Certificates, PgBouncer, PgBouncerOptions, PoolMode, Server, ServerCertificate, ServerOptions,
    install, tokio_postgres,
};

async fn setting(server: &Server, name: &str) -> Result<String> {
    let client = server.sql("postgres").await?;
    let row = client.query_one(&format!("SHOW {name}"), &[]).await?;
    Ok(row.get(0))
}

#[tokio::test]
async fn every_major_that_is_provided_starts() -> Result<()> {
    for major in install::OTHER_MAJORS {
        let tls = Certificates::new()?.server(ServerCertificate::Good)?;
        let options = ServerOptions::new().with_version(major).with_tls(tls);
        let server = Server::start(&options).await?;
        server.database("any").await?;
        let version = setting(&server, "server_version").await?;
        assert!(version.starts_with(&format!("{major}.")), "{version}");
        assert_eq!(setting(&server, "ssl").await?, "on");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_takes_other_rules_while_it_runs() -> Result<()> {
    let certificates = Certificates::new()?;
    let options = ServerOptions::new()
        .with_ipv6()
        .with_tls(certificates.server(ServerCertificate::Good)?)
        .with_client_root(certificates.client_root());
    let server = Server::start(&options).await?;
    let login = || async {
        let (client, connection) = Config::new()
            .host("::1")
            .port(server.port())
            .user(server.username())
            .password(server.password())
            .dbname("postgres")
            .connect(NoTls)
            .await?;
        tokio::spawn(connection);
        client.simple_query("SELECT 1").await.map(|_| ())
    };
    login().await?;
    let stricter = options
        .with_tls(certificates.server(ServerCertificate::Expired)?)
        .with_hba_line("hostssl all dagflux all scram-sha-256");
    server.reconfigure(&stricter).await?;
    let refused = login().await.err().context("the rule did not count")?;
    let text = refused.as_db_error().context("no answer")?.to_string();
    assert!(text.contains("no encryption"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_pooler_stands_in_front() -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("pooled").await?;
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        let options = PgBouncerOptions::new()
            .with_mode(mode)
            .with_setting("default_pool_size", "1");
        let pooler = PgBouncer::start(&server, &options).await?;
        let connect = || async {
            let (client, connection) = Config::new()
                .host("127.0.0.1")
                .port(pooler.port())
                .user(server.username())
                .password(server.password())
                .dbname(database.name())
                .connect(NoTls)
                .await?;
            tokio::spawn(connection);
            anyhow::Ok(client)
        };
        let process = |client: tokio_postgres::Client| async move {
            let rows = client.simple_query("SELECT pg_backend_pid()").await?;
            let text = format!("{rows:?}");
            anyhow::Ok((client, text))
        };
        let (first, one) = process(connect().await?).await?;
        match mode {
            PoolMode::Session => drop(first),
            PoolMode::Transaction => {
                let (_, other) = process(connect().await?).await?;
                assert_eq!(one, other, "one connection serves both");
            }
        }
        let clients = pooler.console().await?.simple_query("SHOW CLIENTS").await?;
        assert!(!clients.is_empty());
        pooler.stop();
        assert!(connect().await.is_err());
        assert_eq!(pooler.log(), "", "its files are gone");
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_can_be_read_only() -> Result<()> {
    let options = ServerOptions::new().with_setting("wal_level", "replica");
    let primary = Server::start(&options).await?;
    let database = primary.database("copied").await?;
    database
        .sql()
        .await?
        .batch_execute("CREATE TABLE t AS SELECT 1 AS id")
        .await?;
    let standby = primary.into_standby().await?;
    let client = standby.sql("copied").await?;
    assert_eq!(client.query("SELECT id FROM t", &[]).await?.len(), 1);
    let refused = client.execute("INSERT INTO t VALUES (2)", &[]).await;
    let code = refused.err().and_then(|error| error.code().cloned());
    assert_eq!(
        code,
        Some(tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION)
    );
    Ok(())
}

#[tokio::test]
async fn databases_have_other_encodings() -> Result<()> {
    let server = Server::shared().await?;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = server.database_in("encoded", encoding).await?;
        let row = database
            .sql()
            .await?
            .query_one("SHOW server_encoding", &[])
            .await?;
        assert_eq!(row.get::<_, String>(0), encoding);
    }
    Ok(())
}
