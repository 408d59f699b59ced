//! The servers that the other tests rely on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dagflux_test_support::{PasswordMethod, Server, ServerOptions, tokio_postgres, tpch};
use tokio_postgres::NoTls;

async fn login(server: &Server, database: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::Config::new()
        .host(server.host())
        .port(server.port())
        .user(server.username())
        .password(server.password())
        .dbname(database)
        .connect(NoTls)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn tpch_tables_are_loaded_and_granted_to_the_product_login() -> Result<()> {
    let server = Server::shared().await?;
    let database = server.database("tpch_tables").await?;
    let rows = tpch::load(&database, 0.01, &tpch::ALL).await?;
    assert_eq!(rows, [5, 25, 100, 1500, 2000, 8000, 15000, 60175]);

    let client = login(server, database.name()).await?;
    let row = client
        .query_one(
            "SELECT count(*), sum(l_quantity)::text, min(l_shipdate)::text FROM lineitem",
            &[],
        )
        .await?;
    assert_eq!(row.get::<_, i64>(0), 60175);
    assert_eq!(row.get::<_, String>(1), "1536127.00");
    assert_eq!(row.get::<_, String>(2), "1992-01-04");
    client.execute("CREATE TABLE own (id int)", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_database_is_fresh_each_time() -> Result<()> {
    let server = Server::shared().await?;
    let first = server.database("fresh").await?;
    let held = first.sql().await?;
    held.execute("CREATE TABLE t (id int)", &[]).await?;
    let second = server.database("fresh").await?;
    let tables = second
        .sql()
        .await?
        .query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", &[])
        .await?;
    assert!(tables.is_empty());
    Ok(())
}

#[tokio::test]
async fn options_reach_the_server() -> Result<()> {
    let options = ServerOptions::new()
        .with_password_method(PasswordMethod::Md5)
        .with_setting("work_mem", "7MB")
        .with_hba_line("host forbidden dagflux 127.0.0.1/32 reject")
        .with_hba_line("host all dagflux 127.0.0.1/32 md5");
    let server = Server::start(&options).await?;
    server.database("allowed").await?;
    server.database("forbidden").await?;
    let client = login(&server, "allowed").await?;
    let row = client.query_one("SHOW work_mem", &[]).await?;
    assert_eq!(row.get::<_, String>(0), "7MB");
    let refused = login(&server, "forbidden").await.err();
    let text = format!(
        "{:#}",
        refused.context("the rule did not reach the server")?
    );
    assert!(text.contains("pg_hba.conf rejects"), "{text}");

    let stored = server
        .sql("postgres")
        .await?
        .query_one(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'dagflux'",
            &[],
        )
        .await?;
    assert!(stored.get::<_, String>(0).starts_with("md5"));
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_is_gone_with_its_files() -> Result<()> {
    let server = Server::start(&ServerOptions::new()).await?;
    let process = server.process_id().context("it runs")?;
    let alive = || {
        std::path::Path::new("/proc")
            .join(process.to_string())
            .exists()
    };
    assert!(alive() || !cfg!(target_os = "linux"));
    assert!(server.folder().exists());
    server.stop();
    assert!(!alive());
    assert!(!server.folder().exists());
    assert_eq!(server.process_id(), None);
    Ok(())
}

#[test]
fn a_server_ends_when_its_process_is_killed() -> Result<()> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_dagflux-test-server"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = program.stdout.take().context("its output is a pipe")?;
    let mut lines = BufReader::new(output).lines();
    let process = lines.next().context("it prints the process")??;
    let folder = lines.next().context("it prints the folder")??;
    assert!(Path::new(&folder).exists());

    program.kill()?;
    program.wait()?;
    let start = Instant::now();
    while Path::new(&folder).exists() || runs(&process)? {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it is still there"
        );
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn runs(process: &str) -> Result<bool> {
    let probe = Command::new("kill").args(["-0", process]).output()?;
    Ok(probe.status.success())
}
