//! Servers that differ in version, address, role and what stands before them serve the same.

use anyhow::{Context, Result};
use dagflux_host::{ErrorKind, TableName, Verified, WriteMode};
use dagflux_test_support::{
    Database, PgBouncer, PgBouncerOptions, PoolMode, Server, ServerCertificate, ServerOptions,
};

use super::stage::{DATABASE, Stage};
use super::{Way, journey, sample};
use crate::assertions::{failure, query, read, still_works, value};
use crate::fixture;

/// A database with the table of all types.
async fn sampled<'s>(server: &'s Server, name: &str) -> Result<Database<'s>> {
    let database = server.database(name).await?;
    sample::make(&database.sql().await?).await?;
    Ok(database)
}

/// The same journey, on a server of another version: the same rows as here.
async fn on_version(major: u32) -> Result<()> {
    let here = sampled(Server::shared().await?, &format!("differences_{major}")).await?;
    let expected = journey::reading(&Way::to(&here)).await?;
    let server = Server::start(&ServerOptions::new().with_version(major)).await?;
    let database = sampled(&server, "differences").await?;
    let rows = journey::all(&Way::to(&database), &database.sql().await?).await?;
    assert_eq!(rows, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn version_10() -> Result<()> {
    on_version(10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn version_14() -> Result<()> {
    on_version(14).await
}

#[tokio::test(flavor = "multi_thread")]
async fn version_18() -> Result<()> {
    on_version(18).await
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_pooler() -> Result<()> {
    let server = Server::shared().await?;
    let database = sampled(server, "differences_pooled").await?;
    let admin = database.sql().await?;
    let expected = journey::all(&Way::to(&database), &admin).await?;
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        let options = PgBouncerOptions::new().with_mode(mode);
        let pooler = PgBouncer::start(server, &options).await?;
        let way = Way::to(&database).through(&pooler);
        assert_eq!(journey::all(&way, &admin).await?, expected, "{mode:?}");
        let mut limited = way.with("statement_timeout", 1_i64).connect().await?;
        let slow = query(&mut limited, "SELECT pg_sleep(120)").await;
        failure(slow, ErrorKind::StatementTimeout);
        still_works(&mut limited).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_and_not_written() -> Result<()> {
    let options = ServerOptions::new().with_setting("wal_level", "replica");
    let primary = Server::start(&options).await?;
    let database = sampled(&primary, "differences").await?;
    let table = "CREATE TABLE public.kept (id bigint PRIMARY KEY, name text)";
    database.sql().await?.batch_execute(table).await?;
    let way = Way::to(&database);
    let expected = journey::reading(&way).await?;
    let standby = primary.into_standby().await?;
    let way = way.with("port", standby.port());
    assert_eq!(journey::reading(&way).await?, expected);
    journey::timing_out(&way).await?;
    let mut connection = way.connect().await?;
    let rows = journey::numbered(0, 3, "new")?;
    for (table, mode) in [
        ("made", WriteMode::Create),
        ("kept", WriteMode::Append),
        ("kept", WriteMode::Replace),
        ("kept", WriteMode::upsert(["id"])),
    ] {
        let written = journey::write(&mut connection, table, &rows, mode).await;
        failure(written, ErrorKind::ReadOnly);
        still_works(&mut connection).await;
    }
    let executed = connection.execute("DELETE FROM public.sample").await;
    failure(executed, ErrorKind::ReadOnly);
    still_works(&mut connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_every_form() -> Result<()> {
    let server = Server::start(&ServerOptions::new().with_ipv6()).await?;
    let database = server.database("differences").await?;
    for (host, found) in [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ] {
        let mut connection = Way::to(&database).at(host).connect().await?;
        let address = connection.receipt().address().map(|address| address.ip());
        assert_eq!(
            address.map(|it| it.to_string()).as_deref(),
            Some(found),
            "{host}"
        );
        still_works(&mut connection).await;
    }
    // A name, which may stand for several addresses.
    let mut connection = Way::to(&database).at("localhost").connect().await?;
    still_works(&mut connection).await;
    Ok(())
}

/// A name that stands for `::1` and 127.0.0.1, with a server on the latter alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_one_of_the_addresses() -> Result<()> {
    let database = fixture::database("differences_v4").await?;
    let mut connection = Way::to(&database).at("localhost").connect().await?;
    still_works(&mut connection).await;
    let refused = Way::to(&database).at("::1").attempt().await?;
    failure(refused, ErrorKind::Unreachable);
    Ok(())
}

/// The whole journey over TLS, as the login `dagflux`: the same rows as in the clear. Whether
/// the login was bound to the channel depends on what the server can.
async fn encrypted(stage: &Stage, way: Way, bound: bool) -> Result<()> {
    let server = &stage.server;
    let database = sampled(server, DATABASE).await?;
    let expected = journey::reading(&Way::to(&database)).await?;
    let way = way.logging_in(server.username(), server.password());
    let connection = way.connect().await?;
    let encryption = connection.encryption().context("it is not encrypted")?;
    assert_eq!(encryption.verified, Verified::Name);
    assert_eq!(encryption.channel_bound, bound);
    connection.close().await?;
    assert_eq!(journey::all(&way, &database.sql().await?).await?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_with_and_without_a_pooler() -> Result<()> {
    let stage = Stage::new().await?;
    encrypted(&stage, stage.way(), true).await?;
    let certificate = stage.certificates.server(ServerCertificate::Good)?;
    let options = PgBouncerOptions::new().with_tls(certificate);
    let pooler = PgBouncer::start(&stage.server, &options).await?;
    encrypted(&stage, stage.way().through(&pooler), false).await
}

/// Version 10 has no channel binding.
#[tokio::test(flavor = "multi_thread")]
async fn encrypted_in_the_oldest_and_the_newest_version() -> Result<()> {
    for (major, bound) in [(10, false), (18, true)] {
        let stage = Stage::with(ServerOptions::new().with_version(major)).await?;
        encrypted(&stage, stage.way(), bound).await?;
        let demanding = stage.way().with("channel_binding", "require");
        let demanding = demanding.attempt().await?;
        if bound {
            still_works(&mut demanding?).await;
        } else {
            failure(demanding, ErrorKind::Authentication);
        }
    }
    Ok(())
}

/// An address is a name like others: the certificate has to have it.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_as_a_name() -> Result<()> {
    let stage = Stage::new().await?;
    let way = stage.by_address();
    let error = failure(way.attempt().await?, ErrorKind::Tls);
    let text = error.to_string();
    assert!(text.contains("made out to db.test"), "{text}");
    assert!(text.contains("not to 127.0.0.1"), "{text}");
    stage.show(ServerCertificate::GoodWithAddress).await?;
    for way in [way, stage.way()] {
        let connection = way.connect().await?;
        let encryption = connection.encryption().context("it is not encrypted")?;
        assert_eq!(encryption.verified, Verified::Name);
    }
    Ok(())
}

/// Texts are converted by the server; what its encoding cannot hold is refused, not mangled.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_latin_1() -> Result<()> {
    let server = Server::shared().await?;
    let database = server.database_in("differences_latin1", "LATIN1").await?;
    let admin = database.sql().await?;
    sample::make(&admin).await?;
    let here = sampled(server, "differences_utf8").await?;
    let way = Way::to(&database);
    let expected = journey::reading(&Way::to(&here)).await?;
    assert_eq!(journey::all(&way, &admin).await?, expected);
    let mut connection = way.connect().await?;
    let rows = journey::numbered(0, 3, "größer als é")?;
    journey::write(&mut connection, "größe", &rows, WriteMode::Create).await?;
    let table = TableName::in_schema("public", "größe");
    let read = read(&mut connection, &table);
    assert_eq!(
        read.await?.first().map(|batch| batch.columns()),
        Some(rows.columns())
    );
    let kept = "SELECT string_agg(pg_catalog.encode(pg_catalog.convert_to(name, 'LATIN1'), 'hex'), ' ') \
                FROM public.\"größe\" WHERE id = 0";
    assert_eq!(value(&admin, kept).await?, "6772f6df657220616c7320e92030");
    let snow = journey::numbered(3, 3, "☃")?;
    let written = journey::write(&mut connection, "größe", &snow, WriteMode::Append).await;
    failure(written, ErrorKind::Value);
    still_works(&mut connection).await;
    let asked = query(&mut connection, "SELECT '☃'").await;
    assert!(asked.is_err());
    still_works(&mut connection).await;
    Ok(())
}

/// Such a database keeps bytes, whatever they mean. Where they are UTF-8 they are text.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_no_encoding() -> Result<()> {
    let server = Server::shared().await?;
    let database = server.database_in("differences_ascii", "SQL_ASCII").await?;
    let admin = database.sql().await?;
    sample::make(&admin).await?;
    let here = sampled(server, "differences_utf8_too").await?;
    let expected = journey::reading(&Way::to(&here)).await?;
    let way = Way::to(&database);
    assert_eq!(journey::all(&way, &admin).await?, expected);
    let mut connection = way.connect().await?;
    let rows = journey::numbered(0, 3, "☃ é")?;
    journey::write(&mut connection, "snow", &rows, WriteMode::Create).await?;
    let table = TableName::in_schema("public", "snow");
    let snow = read(&mut connection, &table);
    assert_eq!(
        snow.await?.first().map(|batch| batch.columns()),
        Some(rows.columns())
    );
    // Bytes that are no UTF-8 are never passed off as text.
    admin
        .batch_execute("CREATE TABLE public.bytes AS SELECT 1 AS id, chr(233) AS v")
        .await?;
    let table = TableName::in_schema("public", "bytes");
    let bytes = read(&mut connection, &table);
    failure(bytes.await, ErrorKind::Value);
    still_works(&mut connection).await;
    let asked = query(&mut connection, "SELECT v FROM public.bytes").await;
    failure(asked, ErrorKind::Value);
    still_works(&mut connection).await;
    Ok(())
}
