//! The table, and what the server says of it.

use anyhow::Result;
use dagflux_test_support::Database;
use dagflux_test_support::tokio_postgres::{Client, error::SqlState};

use crate::assertions::{rows, value};

/// One file for each group of types, after what they are written with.
const FILES: [&str; 6] = [
    include_str!("prepare.sql"),
    include_str!("numbers.sql"),
    include_str!("texts.sql"),
    include_str!("times.sql"),
    include_str!("others.sql"),
    include_str!("nested.sql"),
];

/// Columns of types whose values the server cannot compare, and so only their text.
const WITHOUT_EQUALITY: &[&str] = &[
    "markup",
    "document",
    "document_path",
    "spot",
    "area",
    "snapshot",
    "boxes",
    "plain_documents",
];

pub struct Table<'d> {
    pub client: Client,
    /// The names of the columns, in order.
    pub columns: Vec<String>,
    _database: &'d Database<'d>,
}

impl<'d> Table<'d> {
    pub async fn create(database: &'d Database<'d>) -> Result<Self> {
        let client = database.sql().await?;
        for file in FILES {
            client.batch_execute(file).await?;
        }
        // Rows come in the order in which they lie.
        client
            .batch_execute("CLUSTER original USING original_pkey")
            .await?;
        let columns = rows(
            &client,
            "SELECT attname FROM pg_attribute
             WHERE attrelid = 'original'::regclass AND attnum > 0 ORDER BY attnum",
        );
        let columns = columns.await?.into_iter().flatten().flatten().collect();
        Ok(Self {
            client,
            columns,
            _database: database,
        })
    }

    pub async fn create_like(&self, name: &str) -> Result<()> {
        let create = format!("CREATE TABLE {name} (LIKE original)");
        Ok(self.client.batch_execute(&create).await?)
    }

    pub async fn count(&self, table: &str) -> Result<u64> {
        let count = format!("SELECT count(*) FROM {table}");
        Ok(value(&self.client, &count).await?.parse()?)
    }

    /// A table of what is left of the original when what does not fit has become null.
    pub async fn leave_remainders(&self, table: &str) -> Result<()> {
        self.create_like(table).await?;
        let query = "SELECT string_agg(coalesce(value, quote_ident(attname)), ', ' ORDER BY attnum)
            FROM pg_attribute LEFT JOIN remainder ON name = attname
            WHERE attrelid = 'original'::regclass AND attnum > 0";
        let values = value(&self.client, query).await?;
        let insert = format!("INSERT INTO {table} SELECT {values} FROM original");
        Ok(self.client.batch_execute(&insert).await?)
    }

    /// Column, reason, number of values and first row of what does not fit, in order.
    pub async fn losses(&self) -> Result<Vec<[String; 4]>> {
        let mut losses = Vec::new();
        for loss in rows(&self.client, "SELECT name, reason, count FROM loss").await? {
            let [Some(name), Some(reason), Some(count)] = loss.as_slice() else {
                anyhow::bail!("{loss:?}");
            };
            let counted = format!(
                "SELECT coalesce(sum(count), 0), coalesce(min(id) FILTER (WHERE count > 0), 0)
                 FROM (SELECT id, ({count})::int AS count FROM original) counted"
            );
            let counted = rows(&self.client, &counted).await?;
            let [Some(values), Some(row)] = counted.concat().try_into().unwrap_or([None, None])
            else {
                anyhow::bail!("{name}: {counted:?}");
            };
            assert_ne!(values, "0", "{name} has no value that is {reason}");
            losses.push([name.clone(), reason.clone(), values, row]);
        }
        losses.sort();
        Ok(losses)
    }

    /// The columns with values that do not fit.
    pub async fn lossy(&self) -> Result<Vec<String>> {
        let names = rows(&self.client, "SELECT DISTINCT name FROM loss ORDER BY name");
        Ok(names.await?.into_iter().flatten().flatten().collect())
    }

    /// The first row whose value in a column does not fit, and that value.
    pub async fn first_loss(&self, name: &str) -> Result<(String, String)> {
        let losses = self.losses().await?;
        let of_column = losses.into_iter().filter(|[column, ..]| column == name);
        let row = of_column
            .filter_map(|[.., row]| row.parse::<u64>().ok())
            .min()
            .unwrap_or_default();
        Ok((row.to_string(), self.text(name, row).await?))
    }

    /// A value of the original, as the server writes it.
    pub async fn text(&self, name: &str, row: u64) -> Result<String> {
        let text = format!("SELECT \"{name}\"::text FROM original WHERE id = {row}");
        value(&self.client, &text).await
    }

    /// The type of every column, and how many dimensions it was declared with, which
    /// `format_type` does not say.
    pub async fn types(&self, table: &str) -> Result<Vec<Vec<Option<String>>>> {
        let types = format!(
            "SELECT attname, format_type(atttypid, atttypmod), attndims FROM pg_attribute
             WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        );
        rows(&self.client, &types).await
    }

    /// How a table differs from the original.
    pub async fn differences(&self, table: &str) -> Result<Vec<String>> {
        self.differences_between("original", table).await
    }

    /// How two tables differ: by the types' own equality where they have one, and by text,
    /// which also tells zeros and lower bounds apart.
    pub async fn differences_between(&self, one: &str, other: &str) -> Result<Vec<String>> {
        let (left, right) = (self.count(one).await?, self.count(other).await?);
        assert_eq!(left, right, "rows of {one} and {other}");
        let mut differences = Vec::new();
        let mut incomparable = Vec::new();
        for name in &self.columns {
            let count = |condition: String| {
                format!(
                    "SELECT count(*) || coalesce(': ' || min(left(format('row %s: %s, %s', id, a, b), 300)), '')
                     FROM (SELECT id, o.\"{name}\" AS a, c.\"{name}\" AS b FROM {one} o FULL JOIN {other} c USING (id)) AS joined
                     WHERE {condition}"
                )
            };
            let text = count("a::text IS DISTINCT FROM b::text".to_owned());
            let equality = count("a IS DISTINCT FROM b".to_owned());
            let found = value(&self.client, &text).await?;
            if found != "0" {
                differences.push(format!("{name}, as text: {found}"));
            }
            match self.client.query_one(&equality, &[]).await {
                Ok(row) => {
                    let found: String = row.get(0);
                    if found != "0" {
                        differences.push(format!("{name}: {found}"));
                    }
                }
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => {
                    incomparable.push(name.as_str());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut expected = WITHOUT_EQUALITY.to_vec();
        expected.sort_by_key(|name| self.columns.iter().position(|column| column == name));
        assert_eq!(incomparable, expected);
        Ok(differences)
    }
}
