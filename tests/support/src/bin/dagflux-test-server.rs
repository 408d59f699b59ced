//! Runs a server to try things on, until its standard input ends or it is killed.
//!
//! Prints, one a line: the process id, the folder of its files, and the URL of
//! the database `try`. An argument is a scale factor at which the TPC-H tables are
//! loaded.

use std::io::{self, Read};

use anyhow::{Context, Result};
use dagflux_test_support::{Server, ServerOptions, tpch};

#[tokio::main]
async fn main() -> Result<()> {
    let scale = std::env::args().nth(1).map(|scale| scale.parse());
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("try").await?;
    if let Some(scale) = scale {
        tpch::load(&database, scale?, &tpch::ALL).await?;
    }
    println!("{}", server.process_id().context("the server has ended")?);
    println!("{}", server.folder().display());
    println!(
        "postgres://{}:{}@{}:{}/{}",
        server.username(),
        server.password(),
        server.host(),
        server.port(),
        database.name()
    );
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
