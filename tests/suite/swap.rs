//! A connector is replaced while the host runs.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use dagflux_host::{BatchSize, ConnectOptions, Registry};
use dagflux_test_support::{connector_path, test_guest_path};
use futures_util::StreamExt;

use crate::fixture;

const ROWS: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_finishes_on_the_version_it_began_with() -> Result<()> {
    let database = fixture::database("swap").await?;
    let registry = Registry::new(fixture::host().clone());
    registry
        .load("postgres", connector_path("postgres")?)
        .await?;
    let old = registry.connector("postgres").context("not registered")?;
    let options = ConnectOptions::default().with_batch(BatchSize::default().with_rows(10_000));
    let connect = |connector: dagflux_host::Connector| {
        let (config, secrets) = (fixture::config(&database), fixture::secrets(&database));
        let options = options.clone();
        async move { connector.connect(config, secrets, options).await }
    };
    let mut on_old = connect(old.clone()).await?;
    let sql = format!("SELECT n::bigint FROM generate_series(1, {ROWS}) n");
    let mut rows = on_old.query(&sql).await?;
    let first = rows.next().await.context("no batch")??;
    assert_eq!(first.num_rows(), 10_000);

    // The name now stands for the other build, in the same host.
    let replaced = registry
        .load("postgres", test_guest_path("postgres-next")?)
        .await?
        .context("nothing was replaced")?;
    let new = registry.connector("postgres").context("not registered")?;
    let versions = [&replaced, &old, &new].map(|c| c.descriptor().version.clone());
    assert_eq!(versions, ["0.1.0", "0.1.0", "99.0.0"]);
    assert_ne!(old.component().digest, new.component().digest);
    let mut on_new = connect(new).await?;
    assert!(format!("{on_new:?}").contains("99.0.0"), "{on_new:?}");
    let sum = on_new.query("SELECT 40 + 2 AS sum").await?;
    assert_eq!(fixture::count(sum).await?, 1);

    // No one but the connection itself holds the old connector any more.
    drop((replaced, old));
    let mut values = first
        .column(0)
        .as_primitive::<Int64Type>()
        .values()
        .to_vec();
    while let Some(batch) = rows.next().await {
        values.extend(batch?.column(0).as_primitive::<Int64Type>().values());
    }
    assert!(
        values.into_iter().eq(1..=ROWS),
        "rows were lost or repeated"
    );
    drop(rows);
    assert!(format!("{on_old:?}").contains("0.1.0"), "{on_old:?}");
    let rows = on_old.query("SELECT 1").await?;
    assert_eq!(fixture::count(rows).await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_loaded_replaces_nothing() -> Result<()> {
    let registry = Registry::new(fixture::host().clone());
    registry
        .load("postgres", connector_path("postgres")?)
        .await?;
    let filesystem = test_guest_path("filesystem")?;
    assert!(registry.load("postgres", filesystem).await.is_err());
    let kept = registry.connector("postgres").context("it is gone")?;
    assert_eq!(kept.descriptor().version, "0.1.0");
    Ok(())
}
