//! Tables that go with their transaction.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_table_goes_with_its_transaction() -> Result<()> {
    let mut scene = Scene::new("tx_temporary").await?;
    let temporary = || WriteOptions::new(WriteMode::Temporary);
    // It stands in front of a table of its name.
    let table = TableName::new("t");
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    assert_eq!(
        write(&mut transaction, &table, &rows(&[11, 12])?, temporary()).await?,
        2
    );
    assert_eq!(count(&mut transaction).await?, 2);
    failure(
        write(&mut transaction, &table, &rows(&[11])?, temporary()).await,
        ErrorKind::AlreadyExists,
    );
    transaction
        .execute("INSERT INTO public.t SELECT * FROM t")
        .await?;
    transaction.commit().await?;
    assert_eq!(scene.names().await?, "row 1,row 2,row 3,new 11,new 12");
    assert_eq!(count(&mut scene.connection).await?, 5);
    let left = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    assert_eq!(value(&scene.admin, left).await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_a_transaction_no_schema_and_the_privilege() -> Result<()> {
    let mut scene = Scene::new("tx_temporary_needs").await?;
    let temporary = || WriteOptions::new(WriteMode::Temporary);
    let batch = rows(&[1])?;
    let table = TableName::new("u");
    let outside = write(&mut scene.connection, &table, &batch, temporary()).await;
    failure(outside, ErrorKind::Unsupported);
    let named = TableName::in_schema("public", "u");
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    let within = write(&mut transaction, &named, &batch, temporary()).await;
    failure(within, ErrorKind::Unsupported);
    transaction.roll_back().await?;
    scene
        .admin
        .batch_execute("REVOKE TEMPORARY ON DATABASE tx_temporary_needs FROM PUBLIC, dagflux")
        .await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    let refused = write(&mut transaction, &table, &batch, temporary()).await;
    let hint = failure(refused, ErrorKind::PermissionDenied);
    assert!(
        hint.hint()
            .is_some_and(|hint| hint.contains("GRANT TEMPORARY ON DATABASE")),
        "{hint:?}"
    );
    Ok(())
}
