//! Where the server's errors point to.

use dagflux_postgres::place::{self, Place};
use dagflux_postgres::protocol::backend::Report;

fn place(row: Option<&str>, column: Option<&str>, value: Option<&str>) -> Place {
    Place {
        row: row.map(str::to_owned),
        column: column.map(str::to_owned),
        value: value.map(str::to_owned),
    }
}

#[test]
fn the_context_of_a_copy_is_read() {
    for (context, row, column, value) in [
        ("COPY t, line 3", Some("3"), None, None),
        (
            "COPY t, line 12, column price: \"x\"",
            Some("12"),
            Some("price"),
            Some("x"),
        ),
        (
            "COPY a, 5, line 7, column unit price: \"a: \"b\"\"",
            Some("7"),
            Some("unit price"),
            Some("a: \"b\""),
        ),
        (
            "COPY t, line 1, column c: null input",
            Some("1"),
            Some("c"),
            Some("null"),
        ),
        ("COPY t, line 2, column n", Some("2"), Some("n"), None),
        ("COPY t, line 2: \"1\t5, 6\"", Some("2"), None, None),
        (
            "COPY t, Zeile 3, Spalte a2: »x«",
            Some("3"),
            Some("a2"),
            Some("x"),
        ),
        (
            "PL/pgSQL function f() line 9 at RAISE\nCOPY t, line 4",
            Some("4"),
            None,
            None,
        ),
        ("COPY t", None, None, None),
        ("PL/pgSQL function f(), line 3 at RAISE", None, None, None),
    ] {
        let report = Report {
            context: Some(context.to_owned()),
            ..Report::default()
        };
        assert_eq!(place::of(&report), place(row, column, value), "{context}");
    }
}

#[test]
fn the_detail_of_a_key_is_read() {
    for (code, detail, column, value) in [
        ("23505", "Key (a)=(5) already exists.", Some("a"), Some("5")),
        (
            "23503",
            "Key (a, b)=(1, x) y) is not present in table \"p (old)\".",
            Some("a, b"),
            Some("1, x) y"),
        ),
        (
            "23505",
            "Schlüssel »(a)=(5)« existiert bereits.",
            Some("a"),
            Some("5"),
        ),
        (
            "23514",
            "Partition key of the failing row contains (id) = (105).",
            Some("id"),
            Some("105"),
        ),
        ("23514", "Failing row contains (1, 2).", None, None),
        ("23505", "no )=( here", None, None),
    ] {
        let report = Report {
            code: code.to_owned(),
            detail: Some(detail.to_owned()),
            ..Report::default()
        };
        assert_eq!(place::of(&report), place(None, column, value), "{detail}");
    }
    let missing = Report {
        code: "23502".to_owned(),
        column: Some("name".to_owned()),
        ..Report::default()
    };
    assert_eq!(place::of(&missing), place(None, Some("name"), Some("null")));
}
