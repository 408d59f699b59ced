//! What the catalog says of types, taken with care.

use dagflux_postgres::protocol::backend::TextRow;
use dagflux_postgres::types::lookup;
use dagflux_postgres::types::pg_type::Class;

/// A row of the catalog's answer: a column of a table, or a composite of columns of one type.
fn row(values: [Option<String>; 7]) -> TextRow {
    let [ordinal, type_oid, name, class, below, delimiter, attributes] = values;
    let modifier = Some("-1".to_owned());
    let type_name = Some("a type".to_owned());
    vec![
        ordinal, type_oid, modifier, type_name, name, class, below, delimiter, None, None,
        attributes,
    ]
}

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// A composite of `count` attributes of one type.
fn composite(type_oid: u32, count: usize, of: u32) -> TextRow {
    let attributes = vec![format!("a,{of},-1,b"); count].join(",");
    row([
        None,
        text(type_oid),
        text("composite"),
        text('c'),
        text(0),
        text(','),
        Some(format!("{{{attributes}}}")),
    ])
}

fn column(at: u32, type_oid: u32) -> TextRow {
    let name = text(format!("c{at}"));
    row([text(at), text(type_oid), name, text(1), None, None, None])
}

#[test]
fn columns_of_types_that_are_made_of_too_much_together_are_known_by_their_text() {
    const WIDE: u32 = 100_000;
    const DEEP: u32 = 100_001;
    let mut rows = vec![composite(WIDE, 90, 23), composite(DEEP, 90, WIDE)];
    rows.extend((1..=20).map(|at| column(at, DEEP)));
    rows.extend((21..=40).map(|at| column(at, 23)));
    let columns = lookup::of_table(rows).expect("columns");
    let composites = columns
        .iter()
        .filter(|column| matches!(column.typed.pg.class, Class::Composite(_)));
    // 8,191 parts each, of 50,000.
    assert_eq!(composites.count(), 6);
    for (at, column) in columns.iter().enumerate() {
        let expected = if at < 20 { DEEP } else { 23 };
        assert_eq!(column.typed.pg.oid, expected, "{}", column.name);
        assert_eq!(column.typed.name, "a type");
    }
}
