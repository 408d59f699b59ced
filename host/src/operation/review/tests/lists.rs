//! The statements of the lists, by their text alone.

use super::*;

const VALID: &str = include_str!("../../../../../tests/data/review/valid.sql");
const REFUSED: &str = include_str!("../../../../../tests/data/review/refused.sql");

/// The statements of a file of the tests, with their places and those of the rules that they are to
/// break.
fn statements(data: &str) -> Vec<(String, String, Slot, String, Vec<String>)> {
    let mut statements = Vec::new();
    for case in data.split("\n=== ").skip(1) {
        let (head, body) = case.split_once('\n').unwrap();
        let head: Vec<&str> = head.split('|').map(str::trim).collect();
        let broken: Vec<String> = head.get(3).map_or(Vec::new(), |rules| {
            rules.split(", ").map(str::to_owned).collect()
        });
        for part in body.split("--- ").skip(1) {
            let (place, sql) = part.split_once('\n').unwrap();
            let slot = match place {
                "create" => Slot::Create,
                "insert" => Slot::Insert,
                "select" => Slot::Select,
                "preview" => Slot::Preview,
                _ => Slot::Change,
            };
            statements.push((
                head[0].to_owned(),
                head[1].to_owned(),
                slot,
                sql.to_owned(),
                broken.clone(),
            ));
        }
    }
    statements
}

/// A context in which every table may be read that the statements of the tests have.
fn of_tests(mode: &str, text: &str) -> Context {
    let names = [
        "customers",
        "orders",
        "order_lines",
        "products",
        "order_totals",
    ];
    let sources = names.map(|name| Declared::new(TableName::in_schema("shop", name)));
    let local = mode == "local" && !text.contains("shop.");
    let dialect = if local { "sqlite" } else { "postgresql" };
    let changed = names.iter().find(|name| {
        ["UPDATE", "DELETE FROM", "DELETE FROM ONLY", "ALTER TABLE"]
            .iter()
            .any(|verb| text.contains(&format!("{verb} shop.{name}")))
    });
    let target = match (mode, changed) {
        ("local", _) => TableName::new("result"),
        ("in-place", Some(name)) => TableName::in_schema("shop", *name),
        _ => TableName::in_schema("shop", "result"),
    };
    let context = Context::new(dialect).unwrap();
    let context = context
        .with_sources(sources)
        .with_target(Declared::new(target));
    if local {
        context.with_schema("main")
    } else {
        context
    }
}

#[test]
fn the_text_alone_refuses_nothing_valid_that_it_can_judge() {
    let mut judged = 0;
    for (name, mode, slot, sql, _) in statements(VALID) {
        let found = judge(slot, "", &sql, None, &of_tests(&mode, &sql));
        // What only the server can tell.
        let only_server = [Rule::NotParsed, Rule::UnknownFunction];
        let grave: Vec<_> = found
            .iter()
            .filter(|finding| !only_server.contains(&finding.rule))
            .collect();
        assert!(grave.is_empty(), "{name}: {grave:?}");
        judged += usize::from(found.is_empty());
    }
    assert!(judged >= 50, "{judged}");
}

#[test]
fn the_text_alone_refuses_what_is_dangerous() {
    let by_server = [
        "column-not-found",
        "type-mismatch",
        // Whether a function is harmless.
        "side-effects",
        // Those of the names that it cannot read.
        "table-not-declared",
        "writes-outside-target",
    ];
    let statements = statements(REFUSED);
    for (name, _, _, _, broken) in &statements {
        if broken.iter().all(|rule| by_server.contains(&&**rule)) {
            continue;
        }
        let of_case = statements.iter().filter(|statement| statement.0 == *name);
        let found: Vec<Finding> = of_case
            .flat_map(|(_, mode, slot, sql, _)| judge(*slot, "", sql, None, &of_tests(mode, sql)))
            .filter(|finding| finding.severity != Severity::Note)
            .collect();
        assert!(!found.is_empty(), "{name}");
    }
}
