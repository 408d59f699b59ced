//! Checking a database of ten thousand tables, beside psql's list of them.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dagflux_host::{CheckOptions, Purpose};
use dagflux_test_support::{Database, Server, ServerOptions};

use crate::product::{self, Address};
use crate::psql;
use crate::report::{Report, median};

const SCHEMAS: usize = 200;
const TABLES: usize = 50;
const TIMES: usize = 9;
const BAR: f64 = 3.0;

/// Turn by turn: connecting and looking at everything, for all purposes, beside psql's process.
/// Once with every right, and once with none, where each table is a row.
pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let database = server.database("check").await?;
    create(&database).await?;
    let address = Address::of(&database);
    let cache = tempfile::tempdir()?;
    let connector = product::load(cache.path()).await?;
    let client = database.sql().await?;
    for (what, sql) in [
        ("granted", "GRANT SELECT, INSERT, UPDATE, DELETE"),
        ("denied", "REVOKE SELECT, INSERT, UPDATE, DELETE"),
    ] {
        let direction = match what {
            "granted" => "TO",
            _ => "FROM",
        };
        for schema in 1..=SCHEMAS {
            client
                .batch_execute(&format!(
                    "{sql} ON ALL TABLES IN SCHEMA s{schema} {direction} dagflux"
                ))
                .await?;
        }
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            theirs.push(psql::run(&address, "\\dt *.*")?);
            let start = Instant::now();
            let mut connection = product::connect(&connector, &address).await?;
            let options = CheckOptions::new()
                .with_purposes(Purpose::ALL)
                .with_all_schemas(true);
            let found = connection.check(options).await?;
            ours.push(start.elapsed());
            connection.close().await?;
            ensure!(found.has_failed(), "tables may be created nowhere");
        }
        report.compare(
            &format!("check 10,000 tables, {what} (psql \\dt *.*)"),
            median(theirs),
            median(ours),
            BAR,
        );
    }
    command(report, &address)
}

/// The same by the command, whose start and output count as psql's do.
fn command(report: &mut Report, address: &Address) -> Result<()> {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let desk = Desk::new(address)?;
    desk.check()?;
    for _ in 0..TIMES {
        theirs.push(psql::run(address, "\\dt *.*")?);
        ours.push(desk.check()?);
    }
    report.compare(
        "`dagflux check`, 10,000 tables (psql \\dt *.*)",
        median(theirs),
        median(ours),
        BAR,
    );
    Ok(())
}

/// A folder with a connection file.
struct Desk {
    folder: tempfile::TempDir,
    password: String,
}

impl Desk {
    fn new(address: &Address) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let connector = dagflux_test_support::connector_path("postgres")?;
        let text = format!(
            "[db]\nconnector = {:?}\nhost = {:?}\nport = {}\ndatabase = {:?}\nusername = {:?}\n\
             password = {{ env = \"BENCH_PASSWORD\" }}\n",
            connector, address.host, address.port, address.database, address.username
        );
        std::fs::write(folder.path().join("connections.toml"), text)?;
        let password = address.password.clone();
        Ok(Self { folder, password })
    }

    fn check(&self) -> Result<Duration> {
        let program = std::env::current_exe()?.with_file_name("dagflux");
        let start = Instant::now();
        let output = Command::new(&program)
            .args(["check", "db", "--for", "all", "--all-schemas"])
            .env(
                "DAGFLUX_CONNECTIONS",
                self.folder.path().join("connections.toml"),
            )
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .env("DAGFLUX_GRANTS", self.folder.path().join("grants.toml"))
            .env("BENCH_PASSWORD", &self.password)
            .output()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let time = start.elapsed();
        ensure!(
            output.status.code() == Some(14),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(time)
    }
}

async fn create(database: &Database<'_>) -> Result<()> {
    let client = database.sql().await?;
    for schema in 1..=SCHEMAS {
        client
            .batch_execute(&format!(
                "CREATE SCHEMA s{schema}; GRANT USAGE ON SCHEMA s{schema} TO dagflux;
                 DO $$ BEGIN FOR n IN 1..{TABLES} LOOP
                     EXECUTE format('CREATE TABLE s{schema}.t%s (id int, a text, b numeric(10,2), c timestamptz)', n);
                 END LOOP; END $$"
            ))
            .await?;
    }
    client.batch_execute("VACUUM ANALYZE").await?;
    Ok(())
}
