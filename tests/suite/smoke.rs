//! The thin path through everything.

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;

use crate::fixture;

#[tokio::test(flavor = "multi_thread")]
async fn select_one() -> Result<()> {
    let database = fixture::database("smoke").await?;
    let mut connection = fixture::connect(&database).await?;
    let batches = fixture::batches(connection.query("SELECT 1 AS one").await?).await?;
    assert_eq!(batches.len(), 1);
    assert_eq!(
        batches[0]
            .column_by_name("one")
            .unwrap()
            .as_primitive::<Int32Type>()
            .value(0),
        1
    );
    println!("{:?}", connection.receipt());
    connection.close().await?;
    Ok(())
}
