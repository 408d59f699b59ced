//! Makes sure that PostgreSQL's server programs are installed.

use anyhow::Result;

fn main() -> Result<()> {
    let binaries = dagflux_test_support::install::provide()?;
    println!("PostgreSQL: {}", binaries.version()?);
    Ok(())
}
