//! What a role's settings say changes nothing about the rows.

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use dagflux_host::{ReadOptions, TableName, WriteMode};

use super::{Way, journey, sample};
use crate::assertions::{read, value};
use crate::fixture;

/// Settings that change how values are written or read as text, or what names mean.
const ODD: [(&str, &str); 15] = [
    ("datestyle", "'German, DMY'"),
    ("datestyle", "'SQL, MDY'"),
    ("datestyle", "'Postgres, DMY'"),
    ("intervalstyle", "'iso_8601'"),
    ("intervalstyle", "'sql_standard'"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "'escape'"),
    ("standard_conforming_strings", "off"),
    ("search_path", "''"),
    ("timezone", "'Asia/Kathmandu'"),
    ("quote_all_identifiers", "on"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("client_encoding", "'LATIN1'"),
    ("default_transaction_isolation", "'serializable'"),
];

/// A name that has to be quoted in every way there is.
const NAME: &str = r#"back\slash 'and' "quotes""#;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_role_change_no_row() -> Result<()> {
    let database = fixture::database("settings").await?;
    let admin = database.sql().await?;
    sample::make(&admin).await?;
    let quoted = NAME.replace('"', "\"\"");
    admin
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD 'odd'; GRANT dagflux TO odd;
             CREATE TABLE public.\"{quoted}\" AS SELECT 1::bigint AS id, 'a' AS name;
             GRANT SELECT, INSERT ON public.\"{quoted}\" TO odd"
        ))
        .await?;
    let way = Way::to(&database);
    let expected = journey::reading(&way).await?;
    let odd = way.logging_in("odd", "odd");
    assert_eq!(journey::reading(&odd).await?, expected);
    for (name, setting) in ODD {
        let change = format!("ALTER ROLE odd RESET ALL; ALTER ROLE odd SET {name} = {setting}");
        println!("{name} = {setting}");
        admin.batch_execute(&change).await?;
        check(&odd, &admin, &expected)
            .await
            .with_context(|| format!("{name} = {setting}"))?;
    }
    let all: String = ODD
        .iter()
        .map(|(name, setting)| format!("ALTER ROLE odd SET {name} = {setting};"))
        .collect();
    admin.batch_execute(&all).await?;
    check(&odd, &admin, &expected).await.context("all at once")
}

async fn check(
    way: &Way,
    admin: &dagflux_test_support::tokio_postgres::Client,
    expected: &RecordBatch,
) -> Result<()> {
    let rows = journey::reading(way).await?;
    for (index, field) in expected.schema().fields().iter().enumerate() {
        assert_eq!(
            rows.column(index),
            expected.column(index),
            "{}",
            field.name()
        );
    }
    assert_eq!(&rows, expected);

    // What was read can be written, and is the same to the server.
    let mut connection = way.connect().await?;
    journey::write(&mut connection, "copy", &rows, WriteMode::Create).await?;
    connection
        .execute("ALTER TABLE public.copy ADD PRIMARY KEY (id)")
        .await?;
    journey::write(&mut connection, "copy", &rows, WriteMode::upsert(["id"])).await?;
    let differing = "SELECT count(*) FROM public.sample s JOIN public.copy c USING (id)
                     WHERE s::text IS DISTINCT FROM c::text";
    assert_eq!(value(admin, differing).await?, "0");
    assert_eq!(value(admin, "SELECT count(*) FROM public.copy").await?, "3");
    connection.execute("DROP TABLE public.copy").await?;

    // Names come through.
    let table = TableName::in_schema("public", NAME);
    let columns = connection.columns(Some("public"), Some(NAME)).await?;
    assert_eq!(columns.len(), 2);
    let before = read(&mut connection, &table).await?;
    journey::write(
        &mut connection,
        NAME,
        &journey::numbered(5, 1, r"back\slash 'and' quote")?,
        WriteMode::Append,
    )
    .await?;
    let after = connection.read(&table, ReadOptions::default()).await?;
    let count: usize = before.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(fixture::count(after).await?, count + 1);
    let kept = r"SELECT DISTINCT name FROM public.".to_owned()
        + &format!("\"{}\" WHERE id = 5", NAME.replace('"', "\"\""));
    assert_eq!(value(admin, &kept).await?, r"back\slash 'and' quote 5");
    connection.close().await?;
    Ok(())
}
