//! Shows the product at work: the `dagflux` command, as a user types it, on a real
//! PostgreSQL server with the tables of the TPC-H benchmark.
//!
//! `cargo xtask demo` builds what this needs and starts it. Everything happens in
//! folders for temporary files and is gone at the end.

mod operations;
mod session;
mod stage;
mod summary;
mod writes;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use console::style;

use crate::session::Session;
use crate::stage::Stage;
use crate::summary::Summary;

/// The query a user might start with: revenue by nation.
const QUERY: &str = "\
SELECT n_name AS nation, count(*) AS orders, sum(o_totalprice) AS revenue
FROM orders
JOIN customer ON c_custkey = o_custkey
JOIN nation ON n_nationkey = c_nationkey
GROUP BY n_name ORDER BY revenue DESC LIMIT 5";

/// A change in the disguise of a query; the login has the grants for it.
const HIDDEN_DELETE: &str = "\
WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone";

#[tokio::main]
async fn main() -> ExitCode {
    match demonstrate().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate() -> Result<()> {
    let start = Instant::now();
    title("DagFlux connectors: PostgreSQL, in a sandbox");
    let stage = Stage::set().await?;
    let session = Session::new(&stage)?;

    chapter("What the connector asks for");
    session.run(&["describe", "postgres"])?;
    session.run(&["inspect", "postgres"])?;

    chapter("A server with a certificate that this machine does not know");
    session.run_refused(&["check", "without_the_ca", "--for", "source"])?;
    session.run(&["certificate", "without_the_ca"])?;

    chapter("Does the connection work, and what for?");
    session.run(&["check", "demo", "--for", "all"])?;
    session.run(&["setup-sql", "demo", "--for", "source"])?;

    chapter("What is there?");
    session.run(&["tables", "demo"])?;
    session.run(&["columns", "demo", "lineitem"])?;
    session.run(&["preview", "demo", "orders", "-n", "5"])?;

    chapter("Any query, and nothing but queries");
    session.run(&["query", "demo", QUERY])?;
    session.run_refused(&["query", "demo", HIDDEN_DELETE])?;
    session.run_refused(&["preview", "demo", "ordres"])?;

    chapter("A table out to a file, and the file into a new table");
    let export = session.run(&["export", "demo", "lineitem", "-o", "lineitem.parquet"])?;
    let import = session.run(&[
        "import",
        "demo",
        "lineitem.parquet",
        "lineitem_copy",
        "--create",
    ])?;

    chapter("Is it the same?");
    let rows = compare(&stage).await?;

    chapter("A price list: dry run, upsert, replace, and values that Arrow cannot hold");
    writes::show(&stage, &session)?;

    chapter("Saved operations: reviewed, planned, rehearsed, run");
    operations::show(&stage, &session)?;

    let summary = Summary {
        rows,
        file: session.size_of("lineitem.parquet")?,
        export,
        import,
        total: start.elapsed(),
    };
    chapter("What was shown, and what it cost");
    println!("{summary}");
    Ok(())
}

/// Asks the server itself, not by way of the product, and returns the rows of the
/// table.
async fn compare(stage: &Stage) -> Result<u64> {
    const DIFFERENCES: &str = "
        SELECT (SELECT count(*) FROM lineitem),
               (SELECT count(*) FROM lineitem_copy),
               (SELECT count(*) FROM (TABLE lineitem EXCEPT ALL TABLE lineitem_copy) AS lost),
               (SELECT count(*) FROM (TABLE lineitem_copy EXCEPT ALL TABLE lineitem) AS added)";
    let client = stage.sql().await?;
    let row = client.query_one(DIFFERENCES, &[]).await?;
    let [original, copy, lost, added] = [0, 1, 2, 3].map(|column| row.get::<_, i64>(column));
    println!("The server compares the two tables, every column of every row:\n");
    println!("  rows in lineitem              {original:>9}");
    println!("  rows in lineitem_copy         {copy:>9}");
    println!("  rows only in lineitem         {lost:>9}");
    println!("  rows only in lineitem_copy    {added:>9}");
    ensure!(
        original == copy && lost == 0 && added == 0,
        "the copy is not the original"
    );
    Ok(u64::try_from(original)?)
}

fn title(text: &str) {
    println!("\n{}\n", style(text).bold().underlined());
}

fn chapter(text: &str) {
    println!("\n{}\n", style(format!("── {text} ──")).bold());
}
