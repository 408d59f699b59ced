use super::*;
use crate::error::{Error, ErrorKind};
use crate::types::{Access, Examination, ResultColumn, TableName, TouchedTable};

mod lists;

fn table(text: &str) -> TableName {
    text.parse().unwrap()
}

/// A context with `shop.orders`, and `shop.result` as its target.
fn context() -> Context {
    let orders =
        Declared::new(table("shop.orders")).with_columns(["id", "total_cents", "placed_at"]);
    Context::new("postgresql")
        .unwrap()
        .with_sources([orders])
        .with_target(Declared::new(table("shop.result")).with_columns(["id", "total"]))
}

fn planned(tables: &[(&str, Access)], columns: &[&str]) -> Examination {
    let tables = tables.iter().map(|(name, access)| TouchedTable {
        schema: table(name).schema.unwrap(),
        name: table(name).name,
        access: *access,
        behind_view: false,
    });
    let columns = columns.iter().map(|name| ResultColumn {
        name: (*name).to_owned(),
        data_type: "integer".to_owned(),
    });
    Examination {
        tables: Some(tables.collect()),
        columns: Some(columns.collect()),
        effects: Vec::new(),
        estimated_rows: None,
    }
}

fn found(slot: Slot, text: &str, examined: Option<Result<&Examination, &Error>>) -> Vec<Finding> {
    judge(slot, "statements.x", text, examined, &context())
}

fn rules(findings: &[Finding]) -> Vec<Rule> {
    findings.iter().map(|finding| finding.rule).collect()
}

fn refused(
    sqlstate: &str,
    kind: crate::bindings::ErrorKind,
    message: &str,
    position: u32,
) -> Error {
    Error::from_guest(crate::bindings::Error {
        kind,
        message: message.to_owned(),
        sqlstate: Some(sqlstate.to_owned()),
        detail: None,
        hint: None,
        position: Some(position),
        retryable: false,
        attributes: Vec::new(),
    })
}

#[test]
fn a_sound_statement_has_no_finding() {
    let read = planned(&[("shop.orders", Access::Read)], &["id"]);
    assert_eq!(
        found(Slot::Select, "SELECT id FROM shop.orders", Some(Ok(&read))),
        []
    );
    let filled = planned(
        &[
            ("shop.orders", Access::Read),
            ("shop.result", Access::Insert),
        ],
        &[],
    );
    let insert = "INSERT INTO shop.result SELECT id, total_cents FROM shop.orders";
    assert_eq!(found(Slot::Insert, insert, Some(Ok(&filled))), []);
}

#[test]
fn what_the_server_says_counts() {
    // The text looks harmless; that it is not, the server knows.
    let text = "SELECT id FROM shop.orders";
    let mut server = planned(&[("vault.cards", Access::Read)], &["id"]);
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::TableNotDeclared]
    );
    server = planned(&[("shop.orders", Access::Delete)], &["id"]);
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::WritesOutsideTarget]
    );
    server = planned(&[("shop.orders", Access::Lock)], &["id"]);
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::Locking]
    );
    server = planned(&[("pg_catalog.pg_class", Access::Read)], &["id"]);
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::SystemCatalog]
    );
    server = planned(&[("shop.orders", Access::Read)], &["id"]);
    server.effects = vec!["shop.f(integer)".to_owned()];
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::SideEffects]
    );
    server = planned(&[("shop.orders", Access::Read)], &["id", "?column?", "id"]);
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::ResultMismatch, Rule::UnnamedColumn]
    );
    server.columns = None;
    assert_eq!(
        rules(&found(Slot::Select, text, Some(Ok(&server)))),
        [Rule::StatementKind]
    );
}

/// What only the server can read is judged by what the server says, and by the words of the text.
#[test]
fn what_cannot_be_read() {
    const SEARCH: &str =
        "WITH RECURSIVE a AS (SELECT 1 AS id UNION SELECT 2) SEARCH DEPTH FIRST BY id SET o";
    let server = planned(&[("shop.orders", Access::Read)], &["id"]);
    let of = |rest: &str| found(Slot::Select, &format!("{SEARCH} {rest}"), Some(Ok(&server)));
    let sound = of("SELECT id FROM a");
    assert_eq!(rules(&sound), [Rule::NotParsed]);
    assert!(
        sound
            .iter()
            .all(|finding| finding.severity == Severity::Note)
    );
    for (rest, rule) in [
        ("SELECT id INTO x FROM a", Rule::SelectInto),
        ("SELECT id FROM a FOR KEY SHARE", Rule::Locking),
        ("SELECT pg_sleep(1) FROM a", Rule::SideEffects),
        ("SELECT \"nextval\"('x') FROM a", Rule::SideEffects),
        (
            ", b AS (DELETE FROM shop.orders) SELECT id FROM a",
            Rule::DataChangingCte,
        ),
    ] {
        assert!(rules(&of(rest)).contains(&rule), "{rest}: {:?}", of(rest));
    }
    let alone = found(Slot::Select, &format!("{SEARCH} SELECT id FROM a"), None);
    assert_eq!(
        alone
            .first()
            .map(|finding| (finding.severity, finding.rule)),
        Some((Severity::Error, Rule::NotParsed))
    );
}

#[test]
fn changes_that_only_the_server_can_read() {
    const SEARCH: &str =
        "WITH RECURSIVE a AS (SELECT 1 AS id UNION SELECT 2) SEARCH DEPTH FIRST BY id SET o";
    let server = planned(&[("shop.result", Access::Delete)], &[]);
    let of = |rest: &str| {
        rules(&found(
            Slot::Change,
            &format!("{SEARCH} {rest}"),
            Some(Ok(&server)),
        ))
    };
    let bounded = "DELETE FROM shop.result WHERE id IN (SELECT id FROM a)";
    assert_eq!(of(bounded), [Rule::NotParsed]);
    for every in [
        "DELETE FROM shop.result",
        "DELETE FROM shop.result USING (SELECT id FROM a WHERE id = 1) x",
        "DELETE FROM shop.result WHERE 1 = 1",
    ] {
        assert!(of(every).contains(&Rule::UnboundedChange), "{every}");
    }
    let two = ", b AS (DELETE FROM shop.result) DELETE FROM shop.result WHERE id = 1";
    assert!(of(two).contains(&Rule::DataChangingCte));
    let inserts = planned(
        &[
            ("shop.result", Access::Insert),
            ("shop.result", Access::Update),
        ],
        &[],
    );
    let found = found(
        Slot::Change,
        &format!("{SEARCH} UPDATE shop.result SET id = 1 WHERE id = 2"),
        Some(Ok(&inserts)),
    );
    assert!(rules(&found).contains(&Rule::StatementKind), "{found:?}");
}

#[test]
fn errors_of_the_server_are_findings_with_a_place_and_a_repair() {
    use crate::bindings::ErrorKind as Guest;
    let text = "SELECT id,\n o.totl_cents FROM shop.orders o";
    let error = refused(
        "42703",
        Guest::ColumnNotFound,
        "column o.totl_cents does not exist",
        13,
    );
    let found = self::found(Slot::Select, text, Some(Err(&error)));
    let [finding] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(finding.rule, Rule::ColumnNotFound);
    assert_eq!(finding.position, Some(Position { line: 2, column: 2 }));
    assert_eq!(
        finding.repair,
        "did you mean `total_cents` of `shop.orders`?"
    );
    let json = serde_json::to_value(finding).unwrap();
    assert_eq!(json["rule"], "column-not-found");
    assert_eq!(json["severity"], "error");
    assert_eq!(json["position"]["line"], 2);
    for (state, kind, rule) in [
        ("42804", Guest::Statement, Rule::TypeMismatch),
        ("22P02", Guest::Statement, Rule::TypeMismatch),
        ("22012", Guest::Statement, Rule::Rejected),
        ("42P01", Guest::TableNotFound, Rule::TableNotFound),
        ("42601", Guest::Syntax, Rule::Syntax),
        ("42501", Guest::PermissionDenied, Rule::PermissionDenied),
        ("42803", Guest::Statement, Rule::Rejected),
    ] {
        let error = refused(state, kind, "it is wrong", 1);
        assert_eq!(
            rules(&self::found(Slot::Select, text, Some(Err(&error)))),
            [rule],
            "{state}"
        );
    }
}

/// Until an earlier statement has been run, the server cannot look; what it cannot look at has to be
/// known to be harmless.
#[test]
fn what_has_to_wait_is_judged_by_its_text() {
    use crate::bindings::ErrorKind as Guest;
    let mut context = context();
    context.pending = vec!["extra".to_owned()];
    let error = refused(
        "42703",
        Guest::ColumnNotFound,
        "column \"extra\" does not exist",
        24,
    );
    let of = |text: &str| judge(Slot::Change, "", text, Some(Err(&error)), &context);
    let sound = of("UPDATE shop.result SET extra = upper('x') WHERE id = 1");
    assert_eq!(rules(&sound), [Rule::NotExamined]);
    assert!(
        sound
            .iter()
            .all(|finding| finding.severity == Severity::Note)
    );
    let unknown = of("UPDATE shop.result SET extra = shop.f('x') WHERE id = 1");
    assert!(rules(&unknown).contains(&Rule::UnknownFunction));
    let unread =
        of("UPDATE shop.result SET extra = xmlelement(name x, y IS DOCUMENT) WHERE id = 1");
    assert!(rules(&unread).contains(&Rule::NotParsed), "{unread:?}");
}

#[test]
fn a_server_that_cannot_look_is_no_reason_to_pass() {
    let error = Error::new(ErrorKind::Unsupported, "too deep");
    let found = found(
        Slot::Select,
        "SELECT shop.f(id) AS f FROM shop.orders",
        Some(Err(&error)),
    );
    assert_eq!(rules(&found), [Rule::UnknownFunction, Rule::NotExamined]);
}

#[test]
fn names_without_a_schema() {
    // Where the server has found it.
    let here = planned(&[("shop.orders", Access::Read)], &["id"]);
    assert_eq!(
        found(Slot::Select, "SELECT id FROM orders", Some(Ok(&here))),
        []
    );
    let there = planned(&[("vault.orders", Access::Read)], &["id"]);
    assert_eq!(
        rules(&found(
            Slot::Select,
            "SELECT id FROM orders",
            Some(Ok(&there))
        )),
        [Rule::TableNotDeclared]
    );
    // Where nobody has looked.
    assert_eq!(
        rules(&found(Slot::Create, "CREATE TABLE result (id int)", None)),
        [Rule::WritesOutsideTarget]
    );
    let known = context().with_schema("shop");
    assert_eq!(
        judge(
            Slot::Create,
            "",
            "CREATE TABLE result (id int)",
            None,
            &known
        ),
        []
    );
}

#[test]
fn a_result_fills_its_table() {
    let filled = context().with_filled(vec!["id".to_owned(), "Total".to_owned()]);
    let of = |columns: &[&str]| {
        let server = planned(&[("shop.orders", Access::Read)], columns);
        rules(&judge(
            Slot::Select,
            "",
            "SELECT * FROM shop.orders",
            Some(Ok(&server)),
            &filled,
        ))
    };
    assert_eq!(of(&["id", "total"]), []);
    assert_eq!(of(&["id", "sum"]), [Rule::ResultMismatch]);
    let insert = |text: &str| {
        let server = planned(
            &[
                ("shop.orders", Access::Read),
                ("shop.result", Access::Insert),
            ],
            &[],
        );
        found(Slot::Insert, text, Some(Ok(&server)))
    };
    assert_eq!(
        rules(&insert(
            "INSERT INTO shop.result (id, total) SELECT id FROM shop.orders"
        )),
        [Rule::ResultMismatch]
    );
    let fewer = insert("INSERT INTO shop.result SELECT id FROM shop.orders");
    assert_eq!(
        fewer.first().map(|finding| finding.severity),
        Some(Severity::Warning)
    );
}

#[test]
fn the_workspace_has_its_own_dialect() {
    let target = Declared::new(TableName::new("result"));
    let context = Context::new("sqlite")
        .unwrap()
        .with_schema("main")
        .with_target(target.clone());
    let of = |slot, text: &str| rules(&judge(slot, "", text, None, &context));
    assert_eq!(
        of(
            Slot::Create,
            "CREATE TABLE [Result] (id INTEGER PRIMARY KEY, \"a b\" TEXT)"
        ),
        []
    );
    assert_eq!(of(Slot::Preview, "SELECT total(id) FROM main.result"), []);
    for (slot, text, rule) in [
        (
            Slot::Create,
            "CREATE TABLE other (id)",
            Rule::WritesOutsideTarget,
        ),
        (
            Slot::Preview,
            "SELECT load_extension('x')",
            Rule::SideEffects,
        ),
        (
            Slot::Preview,
            "SELECT * FROM sqlite_schema",
            Rule::SystemCatalog,
        ),
        (
            Slot::Preview,
            "SELECT * FROM result WHERE id = ?1",
            Rule::Parameters,
        ),
        (Slot::Preview, "ATTACH 'x' AS y", Rule::StatementKind),
        (
            Slot::Preview,
            "PRAGMA writable_schema = 1",
            Rule::StatementKind,
        ),
        (
            Slot::Preview,
            "SELECT 1 /* /* */ ; DELETE FROM result -- */",
            Rule::OneStatement,
        ),
    ] {
        assert!(
            of(slot, text).contains(&rule),
            "{text}: {:?}",
            of(slot, text)
        );
    }
}

#[test]
fn every_rule_has_a_name_and_a_sentence() {
    let mut names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    for rule in Rule::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        assert!(rule.sentence().ends_with('.'));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Rule::ALL.len());
}

#[test]
fn reviews_tell_what_passes() {
    let finding = |severity| Finding {
        severity,
        rule: Rule::Syntax,
        at: String::new(),
        position: None,
        message: String::new(),
        repair: String::new(),
    };
    let of = |severity| {
        let review = Review {
            findings: vec![finding(severity)],
        };
        (review.passes(), review.asks())
    };
    assert_eq!(of(Severity::Note), (true, false));
    assert_eq!(of(Severity::Warning), (true, true));
    assert_eq!(of(Severity::Error), (false, false));
    assert!(Review::default().passes());
}
