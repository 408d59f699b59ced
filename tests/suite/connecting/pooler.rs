//! Behind a pooler by transaction, a session is nobody's own: what one sets another may see,
//! and what one has prepared may be gone or in the way.

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use dagflux_host::{Connection, WriteMode};
use dagflux_test_support::tokio_postgres::{Client, Config, NoTls};
use dagflux_test_support::{Database, PgBouncer, PgBouncerOptions, Server};

use super::{Way, journey, sample};
use crate::assertions::{query, value};

/// One connection to the server for everyone.
fn narrow() -> PgBouncerOptions {
    PgBouncerOptions::new().with_setting("default_pool_size", "1")
}

/// Another program on the same connection to the server, which cares for nobody.
async fn neighbour(database: &Database<'_>, pooler: &PgBouncer) -> Result<Client> {
    let server = database.server();
    let (client, connection) = Config::new()
        .host("127.0.0.1")
        .port(pooler.port())
        .user(server.username())
        .password(server.password())
        .dbname(database.name())
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The one value of a query through the product.
async fn one(connection: &mut Connection, sql: &str) -> Result<String> {
    let rows = query(connection, sql).await?;
    let batch = rows.first().context("no rows")?;
    let column = batch.column(0);
    let texts = column
        .as_any()
        .downcast_ref::<arrow_array::StringArray>()
        .context("not text")?;
    Ok(texts.value(0).to_owned())
}

async fn two_schemas(database: &Database<'_>) -> Result<()> {
    database
        .sql()
        .await?
        .batch_execute(
            "CREATE SCHEMA one; CREATE SCHEMA two;
             CREATE TABLE one.t AS SELECT 'one' AS whose;
             CREATE TABLE two.t AS SELECT 'two' AS whose;
             GRANT USAGE ON SCHEMA one, two TO PUBLIC;
             GRANT SELECT, UPDATE ON one.t, two.t TO PUBLIC;",
        )
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_do_not_see_each_others_settings() -> Result<()> {
    let server = Server::shared().await?;
    let database = server.database("pooler_settings").await?;
    sample::make(&database.sql().await?).await?;
    two_schemas(&database).await?;
    // In whose name the table's own type is with its schema.
    let expected = journey::reading(&Way::to(&database).with("schema", "one")).await?;
    for (name, options) in [
        ("refusing", narrow()),
        (
            "ignoring",
            narrow().with_setting(
                "ignore_startup_parameters",
                "search_path, extra_float_digits, IntervalStyle, statement_timeout, options",
            ),
        ),
    ] {
        let pooler = PgBouncer::start(server, &options).await?;
        let way = Way::to(&database).through(&pooler);
        alternate(&way, &database, &pooler, &expected)
            .await
            .with_context(|| format!("a pooler {name} what it does not know"))?;
    }
    Ok(())
}

async fn alternate(
    way: &Way,
    database: &Database<'_>,
    pooler: &PgBouncer,
    expected: &RecordBatch,
) -> Result<()> {
    const SHOW: &str = "SELECT concat_ws(' ', current_setting('datestyle'), \
        current_setting('intervalstyle'), current_setting('bytea_output'), \
        current_setting('search_path'), current_setting('extra_float_digits'), \
        current_setting('statement_timeout'))";
    let neighbour = neighbour(database, pooler).await?;
    // Alone with the pooler, these would be the session's for good.
    neighbour
        .batch_execute(
            "SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'; \
             SET bytea_output = 'escape'; SET search_path = two; SET extra_float_digits = 0; \
             SET statement_timeout = '77s'",
        )
        .await?;
    let theirs = value(&neighbour, SHOW).await?;
    let mut one_of_us = way.clone().with("schema", "one").connect().await?;
    let mut other = way.clone().with("schema", "two").connect().await?;
    for _ in 0..5 {
        assert_eq!(one(&mut one_of_us, "SELECT whose FROM t").await?, "one");
        assert_eq!(one(&mut other, "SELECT whose FROM t").await?, "two");
        let changed = one_of_us.execute("UPDATE t SET whose = whose").await?;
        assert_eq!(changed.rows, Some(1));
        for connection in [&mut one_of_us, &mut other] {
            let rows = sample::read(connection).await?;
            assert_eq!(&rows, expected);
        }
        // Nor does the neighbour get ours.
        assert_eq!(value(&neighbour, SHOW).await?, theirs);
    }
    // It really is one connection that serves all three.
    let process = "SELECT pg_backend_pid()::text";
    let first = one(&mut one_of_us, process).await?;
    assert_eq!(first, one(&mut other, process).await?);
    assert_eq!(first, value(&neighbour, process).await?);
    Ok(())
}

/// Statements with a name are the session's: another client's would be met, and one's own be
/// missing on another connection.
#[tokio::test(flavor = "multi_thread")]
async fn no_statement_is_missing_or_met() -> Result<()> {
    let server = Server::shared().await?;
    let database = server.database("pooler_statements").await?;
    let admin = database.sql().await?;
    admin
        .batch_execute(
            "CREATE TABLE public.t (id bigint PRIMARY KEY, name text);
             GRANT SELECT, INSERT, UPDATE, DELETE ON public.t TO dagflux",
        )
        .await?;
    for size in ["1", "3"] {
        let options = PgBouncerOptions::new().with_setting("default_pool_size", size);
        let pooler = PgBouncer::start(server, &options).await?;
        let way = Way::to(&database).through(&pooler);
        let clients = (0..4).map(|client: i64| {
            let way = way.clone();
            async move {
                let mut connection = way.connect().await?;
                for round in 0..10 {
                    let from = client * 1000 + round * 10;
                    let rows = journey::numbered(from, 10, "row")?;
                    journey::write(&mut connection, "t", &rows, WriteMode::Append).await?;
                    journey::write(&mut connection, "t", &rows, WriteMode::upsert(["id"])).await?;
                    let sql = format!(
                        "SELECT count(*)::text FROM public.t WHERE id BETWEEN {from} AND {from} + 9"
                    );
                    assert_eq!(one(&mut connection, &sql).await?, "10");
                    connection.tables(Some("public")).await?;
                    let sql = format!("DELETE FROM public.t WHERE id = {from}");
                    assert_eq!(connection.execute(&sql).await?.rows, Some(1));
                }
                anyhow::Ok(())
            }
        });
        for outcome in futures_util::future::join_all(clients).await {
            outcome.with_context(|| format!("{size} connections to the server"))?;
        }
        let left = value(&admin, "SELECT count(*) FROM public.t").await?;
        assert_eq!(left, "360");
        admin.batch_execute("DELETE FROM public.t").await?;
        let log = server.log();
        for words in ["prepared statement", "already exists", "portal \""] {
            assert!(
                !log.contains(words) || words == "already exists",
                "{words}: {log}"
            );
        }
    }
    Ok(())
}

/// What was left of one client's transaction is not the next one's.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_read_leaves_the_connection_clean() -> Result<()> {
    use futures_util::StreamExt;

    let server = Server::shared().await?;
    let database = server.database("pooler_abandoned").await?;
    let pooler = PgBouncer::start(server, &narrow()).await?;
    let way = Way::to(&database).through(&pooler);
    let mut first = way.connect().await?;
    let mut second = way.connect().await?;
    for _ in 0..3 {
        let mut rows = first
            .query("SELECT g::text FROM generate_series(1, 10000000) g")
            .await?;
        assert!(rows.next().await.is_some_and(|batch| batch.is_ok()));
        drop(rows);
        assert_eq!(one(&mut second, "SELECT 'free'").await?, "free");
        assert_eq!(one(&mut first, "SELECT 'free'").await?, "free");
    }
    Ok(())
}
