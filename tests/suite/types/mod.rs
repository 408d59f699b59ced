//! Every type, exactly; those without an Arrow type as the server writes them.
//!
//! Each case goes through all three ways of reading: `read` (by COPY where every column has a
//! binary form), `preview` and `query` (a portal), which have to agree.

mod edge;
mod nested;
mod others;
mod random;
mod results;
mod scalars;
mod times;

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::{Array, ArrayRef, Decimal128Array, RecordBatch};
use arrow_schema::Field;
use dagflux_host::{Connection, ReadOptions, RowStream, TableName};
use dagflux_test_support::Database;

use crate::assertions::value;
use crate::fixture;

/// Schema and rows of a stream, as one batch.
async fn whole(rows: RowStream<'_>) -> Result<RecordBatch> {
    let schema = rows.schema().clone();
    let batches = fixture::batches(rows).await?;
    match batches.as_slice() {
        [] => Ok(RecordBatch::new_empty(schema)),
        [only] => {
            assert_eq!(only.schema(), schema);
            Ok(only.clone())
        }
        _ => anyhow::bail!("{} batches where one was expected", batches.len()),
    }
}

/// The column `v` of the type, with the values given as text, by all three ways of reading.
async fn column(
    database: &Database<'_>,
    connection: &mut Connection,
    type_name: &str,
    values: &[Option<&str>],
) -> Result<(Field, ArrayRef)> {
    let client = database.sql().await?;
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS one_type; CREATE TABLE one_type (v {type_name})"
        ))
        .await?;
    for value in values {
        let sql = match value {
            None => "INSERT INTO one_type VALUES (NULL)".to_owned(),
            Some(value) => format!(
                "INSERT INTO one_type VALUES ('{}')",
                value.replace('\'', "''")
            ),
        };
        client
            .batch_execute(&sql)
            .await
            .with_context(|| format!("{type_name}: {value:?}"))?;
    }
    let table = TableName::new("one_type");
    let read = whole(connection.read(&table, ReadOptions::default()).await?).await?;
    let preview = whole(connection.preview(&table, u32::MAX).await?).await?;
    let query = whole(connection.query("SELECT v FROM one_type").await?).await?;
    assert_eq!(read, preview, "{type_name}");
    assert_eq!(read.column(0), query.column(0), "{type_name}");
    // The type's name is the one that the server gives.
    let name = value(
        &client,
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
         WHERE attrelid = 'one_type'::regclass AND attname = 'v'",
    )
    .await?;
    let field = read.schema().field(0).clone();
    assert!(field.is_nullable());
    assert_eq!(field.metadata().get("dagflux:type"), Some(&name));
    // On the wire, and so in a query, a domain is the type below it.
    let is_domain = "SELECT typtype = 'd' FROM pg_type JOIN pg_attribute ON atttypid = pg_type.oid \
                     WHERE attrelid = 'one_type'::regclass AND attname = 'v'";
    if value(&client, is_domain).await? == "f" {
        assert_eq!(read.schema(), query.schema(), "{type_name}");
    }
    Ok((field, read.column(0).clone()))
}

/// A case: a type, its values as text, and the Arrow array they become. A NULL comes first.
struct Case {
    type_name: &'static str,
    values: Vec<&'static str>,
    expected: ArrayRef,
}

fn case(type_name: &'static str, values: &[&'static str], expected: impl Array + 'static) -> Case {
    Case {
        type_name,
        values: values.to_vec(),
        expected: Arc::new(expected),
    }
}

async fn check(name: &str, cases: Vec<Case>) -> Result<()> {
    let database = fixture::database(name).await?;
    let mut connection = fixture::connect(&database).await?;
    for Case {
        type_name,
        values,
        expected,
    } in cases
    {
        let mut given = vec![None];
        given.extend(values.iter().map(|value| Some(*value)));
        let (field, found) = column(&database, &mut connection, type_name, &given).await?;
        assert_eq!(field.data_type(), expected.data_type(), "{type_name}");
        assert_eq!(&found, &expected, "{type_name}");
        // Without rows the columns are the same.
        let (empty, rows) = column(&database, &mut connection, type_name, &[]).await?;
        assert_eq!(empty, field);
        assert_eq!(rows.len(), 0);
    }
    Ok(())
}

/// A null, then the values.
fn after_null<T>(values: impl IntoIterator<Item = T>) -> Vec<Option<T>> {
    std::iter::once(None)
        .chain(values.into_iter().map(Some))
        .collect()
}

fn decimal128(precision: u8, scale: i8, values: &[i128]) -> Result<Decimal128Array> {
    Ok(Decimal128Array::from(after_null(values.iter().copied()))
        .with_precision_and_scale(precision, scale)?)
}
