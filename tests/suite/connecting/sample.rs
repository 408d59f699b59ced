//! A table with a column of every type whose text a setting of the session can change, and
//! of some others.

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use dagflux_host::{Connection, ReadOptions, RowStream, TableName};
use dagflux_test_support::tokio_postgres::Client;

use crate::fixture;

/// The values of floating point are ones that every version writes the same way.
const SQL: &str = r#"
    CREATE TYPE public.parcel AS (raw bytea, words tsvector, day date, lasted interval);
    CREATE TABLE public.sample (
        id bigint PRIMARY KEY,
        yes boolean,
        small real,
        large double precision,
        exact numeric(12,3),
        any_exact numeric,
        words text,
        raw bytea,
        day date,
        at timestamp,
        at_zone timestamptz,
        clock time,
        clock_zone timetz,
        lasted interval,
        unit uuid,
        doc jsonb,
        days daterange,
        times tsrange,
        place point,
        path polygon,
        address inet,
        raws bytea[],
        dates date[],
        many double precision[],
        lasting interval[],
        parcel public.parcel,
        moments timestamptz[]
    );
    INSERT INTO public.sample VALUES
        (1, true, 0.1, 0.1, 123.456, 1e40, 'back\slash and ''quote'' and é', '\x005cff27',
         '2026-03-04', '2026-03-04 05:06:07.000008', '2026-03-04 05:06:07.000008+00',
         '05:06:07', '05:06:07+02', '1 year 2 months 3 days 04:05:06.7',
         '00000000-0000-0000-0000-000000000001', '{"a": [1.50]}',
         '[2026-03-04,2026-04-05)', '[2026-03-04 05:06:07,2026-04-05 06:07:08)',
         '(1.5,-2.25)', '((0,0),(1.5,0),(1.5,2.25))', '192.0.2.1/24',
         ARRAY['\x5c00'::bytea, NULL], ARRAY['2026-03-04', NULL]::date[],
         ARRAY[0.1, 1e300, NULL], ARRAY['-1 day', '-2 months 3 days']::interval[],
         ROW('\x5c00ff', 'a b', '2026-03-04', '-1 day 02:03:04'),
         ARRAY['2026-03-04 05:06:07+00', NULL]::timestamptz[]),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (3, false, 1.17549435e-38, 2.2250738585072014e-308, -0.001, -0.0001, '', '',
         '1969-12-31', '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00',
         '23:59:59.999999', '23:59:59.999999-11', '-1 year -2 months +3 days -04:05:06.7',
         'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null',
         'empty', '(,2026-04-05 06:07:08)', '(0,0)', '((1,1))', '2001:db8::1',
         '{}', '{}', '{}', '{}', ROW(NULL, NULL, NULL, NULL), '{}');
    GRANT SELECT ON public.sample TO PUBLIC;
"#;

/// Makes the table, with `client`'s session as the server sets it up.
pub async fn make(client: &Client) -> Result<()> {
    client
        .batch_execute(SQL)
        .await
        .context("making the table of all types")
}

/// The table's name.
pub fn table() -> TableName {
    TableName::in_schema("public", "sample")
}

/// Its rows by all three ways of reading, which have to agree.
pub async fn read(connection: &mut Connection) -> Result<RecordBatch> {
    let read = whole(connection.read(&table(), ReadOptions::default()).await?).await?;
    let preview = whole(connection.preview(&table(), 100).await?).await?;
    assert_eq!(read, preview);
    let query = connection
        .query("SELECT * FROM public.sample ORDER BY id")
        .await?;
    let query = whole(query).await?;
    for (index, field) in read.schema().fields().iter().enumerate() {
        assert_eq!(read.column(index), query.column(index), "{}", field.name());
    }
    Ok(read)
}

async fn whole(rows: RowStream<'_>) -> Result<RecordBatch> {
    let batches = fixture::batches(rows).await?;
    match batches.as_slice() {
        [only] => Ok(only.clone()),
        _ => anyhow::bail!("{} batches where one was expected", batches.len()),
    }
}
