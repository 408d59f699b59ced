//! `schemas`, `tables`, `columns`: what is in a database.

use dagflux_host::TableName;
use serde::Serialize;

use crate::context::{Context, close};
use crate::interrupt::or_interrupt;
use crate::output::table::{self, Cell, Column};
use crate::output::{self, thousands};

/// Lists the schemas.
///
/// # Errors
/// When the connection fails.
pub async fn schemas(context: &Context, name: &str) -> anyhow::Result<()> {
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let schemas = or_interrupt(Some(canceller), async { Ok(connection.schemas().await?) }).await?;
    close(connection).await;
    let columns = vec![
        Column::left("schema"),
        Column::left("usable"),
        Column::left("comment"),
    ];
    list(context, columns, &schemas, |schema| {
        vec![
            Some(schema.name.clone()),
            yes(schema.usable),
            text(schema.comment.as_deref()),
        ]
    })
}

/// Lists the tables.
///
/// # Errors
/// When the connection fails.
pub async fn tables(context: &Context, name: &str, schema: Option<&str>) -> anyhow::Result<()> {
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let tables = or_interrupt(Some(canceller), async {
        Ok(connection.tables(schema).await?)
    })
    .await?;
    close(connection).await;
    let columns = vec![
        Column::left("schema"),
        Column::left("table"),
        Column::left("kind"),
        Column::left("readable"),
        Column::right("rows (estimate)"),
        Column::left("comment"),
    ];
    list(context, columns, &tables, |table| {
        vec![
            Some(table.schema.clone()),
            Some(table.name.clone()),
            Some(table.kind.as_str().replace('-', " ")),
            yes(table.readable),
            Some(table.estimated_rows.map(thousands).unwrap_or_default()),
            text(table.comment.as_deref()),
        ]
    })
}

/// Lists the columns of a table, of a schema, or of all.
///
/// # Errors
/// When the connection fails, or there is no such table.
pub async fn columns(
    context: &Context,
    name: &str,
    table: Option<&TableName>,
    schema: Option<&str>,
) -> anyhow::Result<()> {
    let mut connection = context.open(name).await?;
    let canceller = connection.canceller();
    let schema = table.and_then(|table| table.schema.as_deref()).or(schema);
    let table = table.map(|table| table.name.as_str());
    let columns = or_interrupt(Some(canceller), async {
        Ok(connection.columns(schema, table).await?)
    })
    .await?;
    close(connection).await;
    let mut titles = vec![
        Column::right("#"),
        Column::left("column"),
        Column::left("type"),
        Column::left("nullable"),
        Column::right("key"),
        Column::left("default"),
        Column::left("comment"),
    ];
    let qualified = table.is_none();
    if qualified {
        titles.splice(0..0, [Column::left("schema"), Column::left("table")]);
    }
    list(context, titles, &columns, |column| {
        let default = match column.generated {
            Some(generated) => Some(generated.as_str().replace('-', " ")),
            None => column.default.clone(),
        };
        let mut cells = vec![
            Some(column.ordinal.to_string()),
            Some(column.name.clone()),
            Some(column.data_type.clone()),
            yes(column.nullable),
            Some(
                column
                    .primary_key
                    .map(|place| place.to_string())
                    .unwrap_or_default(),
            ),
            text(default.as_deref()),
            text(column.comment.as_deref()),
        ];
        if qualified {
            cells.splice(
                0..0,
                [Some(column.schema.clone()), Some(column.table.clone())],
            );
        }
        cells
    })
}

fn list<T: Serialize>(
    context: &Context,
    columns: Vec<Column>,
    values: &[T],
    cells: impl Fn(&T) -> Vec<Cell>,
) -> anyhow::Result<()> {
    if context.json {
        return output::json(&values);
    }
    let rows: Vec<Vec<Cell>> = values.iter().map(cells).collect();
    Ok(table::print(columns, &rows)?)
}

fn yes(answer: bool) -> Cell {
    Some(if answer { "yes" } else { "no" }.to_owned())
}

/// What is absent is left blank: NULL would look like a value.
fn text(text: Option<&str>) -> Cell {
    Some(text.unwrap_or_default().to_owned())
}
