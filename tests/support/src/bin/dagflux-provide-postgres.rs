//! Makes sure that what the tests run against is there: PostgreSQL's server programs, those
//! of other majors, and PgBouncer.

use anyhow::Result;
use dagflux_test_support::install;

fn main() -> Result<()> {
    let binaries = install::provide()?;
    println!("PostgreSQL: {}", binaries.version()?);
    for version in install::provide_others()? {
        println!("and: {version}");
    }
    Ok(())
}
