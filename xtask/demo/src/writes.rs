//! A price list that is kept up to date: dry run, upsert, replace, and values that Arrow
//! cannot hold.

use std::fs;

use anyhow::Result;
use console::style;

use crate::session::Session;
use crate::stage::Stage;

const PRICES: &str = "\
CREATE TABLE prices (sku text PRIMARY KEY, price numeric(10,2), until date DEFAULT 'infinity')";

/// The files, and what is in them.
const FILES: [(&str, &str); 3] = [
    (
        "prices.csv",
        "sku,price\nbolt,0.25\nnut,0.10\nwasher,0.05\n",
    ),
    ("changed.csv", "sku,price\nnut,0.12\nscrew,0.30\n"),
    (
        "next_year.csv",
        "sku,price,until\nbolt,0.30,2027-12-31\nscrew,NaN,infinity\n",
    ),
];

/// Shows it.
pub(crate) fn show(stage: &Stage, session: &Session<'_>) -> Result<()> {
    for (name, text) in FILES {
        fs::write(stage.folder().join(name), text)?;
        println!("{} cat {name}\n{text}", style("$").dim());
    }
    session.run(&["execute", "demo", PRICES])?;
    session.run(&["import", "demo", "prices.csv", "prices"])?;
    let upsert = [
        "import",
        "demo",
        "changed.csv",
        "prices",
        "--mode",
        "upsert",
    ];
    session.run(&[&upsert[..], &["--dry-run"]].concat())?;
    session.run(&upsert)?;
    session.run(&[
        "import",
        "demo",
        "next_year.csv",
        "prices",
        "--mode",
        "replace",
    ])?;
    session.run_refused(&["query", "demo", "SELECT * FROM prices"])?;
    session.run(&[
        "query",
        "demo",
        "SELECT * FROM prices",
        "--on-loss",
        "price=null,until=text",
    ])?;
    Ok(())
}
