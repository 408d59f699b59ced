//! Connecting, a SCRAM login and a first query, beside tokio-postgres.

use std::time::Instant;

use anyhow::Result;
use dagflux_test_support::tokio_postgres::{self, NoTls};
use dagflux_test_support::{Server, ServerOptions};
use futures_util::TryStreamExt;

use crate::product::{self, Address};
use crate::report::{Report, median};

const TIMES: usize = 100;
const BAR: f64 = 1.5;

/// Turn by turn, so that whatever slows the machine slows both.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("connect").await?;
    let address = Address::of(&database);
    let cache = tempfile::tempdir()?;
    let connector = product::load(cache.path()).await?;

    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let start = Instant::now();
        let (client, connection) = tokio_postgres::Config::new()
            .host(&address.host)
            .port(address.port)
            .user(&address.username)
            .password(&address.password)
            .dbname(&address.database)
            .connect(NoTls)
            .await?;
        let connection = tokio::spawn(connection);
        client.query("SELECT 1", &[]).await?;
        theirs.push(start.elapsed());
        drop(client);
        connection.await??;

        let start = Instant::now();
        let mut connection = product::connect(&connector, &address).await?;
        let batches: Vec<_> = connection.query("SELECT 1").await?.try_collect().await?;
        ours.push(start.elapsed());
        drop(batches);
        connection.close().await?;
    }
    report.compare(
        "connect, SCRAM, SELECT 1 (tokio-postgres)",
        median(theirs),
        median(ours),
        BAR,
    );
    Ok(())
}
