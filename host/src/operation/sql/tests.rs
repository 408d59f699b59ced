use super::*;
use crate::types::{Access, TableName};

fn facts(text: &str) -> Facts {
    let reading = read(Dialect::Postgres, text);
    reading
        .parsed
        .unwrap_or_else(|unread| panic!("{text}: {unread:?}"))
}

fn touched(text: &str) -> Vec<String> {
    let touched = facts(text).touched;
    touched
        .iter()
        .map(|(table, access)| format!("{} {table}", access_name(*access)))
        .collect()
}

fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Insert => "insert",
        Access::Update => "update",
        Access::Delete => "delete",
        Access::Merge => "merge",
        _ => "lock",
    }
}

#[test]
fn tables_are_told_from_names_that_are_given() {
    for (text, expected) in [
        (
            "SELECT * FROM a, S.B, \"C\"",
            vec!["read a", "read s.b", "read C"],
        ),
        (
            "WITH a AS (SELECT * FROM b) SELECT * FROM a",
            vec!["read b"],
        ),
        // Without RECURSIVE, what a name stands for in its own query is the table.
        (
            "WITH a AS (SELECT * FROM a) SELECT * FROM a",
            vec!["read a"],
        ),
        (
            "WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM a) SELECT * FROM a",
            vec![],
        ),
        (
            "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b",
            vec!["read b"],
        ),
        // What is given in a part is not given outside of it.
        (
            "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a",
            vec!["read a"],
        ),
        (
            "SELECT * FROM a WHERE x IN (WITH a AS (SELECT 1) SELECT * FROM a)",
            vec!["read a"],
        ),
        ("WITH a AS (SELECT 1) SELECT * FROM s.a", vec!["read s.a"]),
        (
            "SELECT (SELECT max(x) FROM b) FROM a ORDER BY (SELECT 1 FROM c)",
            vec!["read b", "read a", "read c"],
        ),
        (
            "SELECT * FROM generate_series(1, 2) g, unnest(array[1]) u, LATERAL f(1) l",
            vec![],
        ),
        ("SELECT * FROM a.b.c", vec!["read \"a.b\".c"]),
        ("INSERT INTO t SELECT * FROM a", vec!["insert t", "read a"]),
        (
            "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
            vec!["insert t"],
        ),
        (
            "UPDATE t SET x = b.y FROM b WHERE t.id = b.id",
            vec!["update t", "read b"],
        ),
        (
            "DELETE FROM t USING b WHERE t.id = b.id",
            vec!["delete t", "read b"],
        ),
        (
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            vec!["delete t"],
        ),
        (
            "CREATE TABLE s.t AS SELECT * FROM a",
            vec!["insert s.t", "read a"],
        ),
        ("ALTER TABLE t ADD COLUMN x int", vec!["update t"]),
        (
            "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE",
            vec!["merge t", "read s"],
        ),
    ] {
        assert_eq!(touched(text), expected, "{text}");
    }
}

#[test]
fn kinds() {
    for (text, kind) in [
        ("SELECT 1", Kind::Select),
        ("(VALUES (1)) UNION SELECT 2", Kind::Select),
        ("WITH a AS (SELECT 1) DELETE FROM t USING a", Kind::Delete),
        ("WITH a AS (SELECT 1) UPDATE t SET x = 1", Kind::Update),
        ("CREATE TABLE t (a int)", Kind::CreateTable),
        ("CREATE VIEW t AS SELECT 1", Kind::Other),
        ("EXPLAIN ANALYZE DELETE FROM t", Kind::Other),
        ("COMMIT", Kind::Other),
        ("TRUNCATE t", Kind::Other),
    ] {
        assert_eq!(facts(text).kind, kind, "{text}");
    }
}

#[test]
fn changes_that_are_hidden_in_a_query() {
    assert!(facts("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d").changes_within);
    assert!(
        facts("WITH d AS (UPDATE t SET a = 1 RETURNING *) INSERT INTO u SELECT * FROM d")
            .changes_within
    );
    assert!(
        facts("CREATE TABLE u AS WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d")
            .changes_within
    );
    assert!(!facts("WITH d AS (SELECT 1) INSERT INTO u SELECT * FROM d").changes_within);
    assert!(!facts("CREATE TABLE u AS SELECT 1").changes_within);
    assert!(facts("SELECT a INTO u FROM t").into);
    assert!(facts("SELECT * FROM (SELECT * FROM t FOR UPDATE) x").locking);
}

#[test]
fn conditions_that_say_nothing() {
    for (condition, bounded) in [
        ("", false),
        ("WHERE true", false),
        ("WHERE 1 = 1", false),
        ("WHERE 2 > 1 AND NOT false", false),
        ("WHERE id = id", false),
        ("WHERE id = 3 OR TRUE", false),
        ("WHERE (('a' = 'a'))", false),
        ("WHERE name LIKE '%'", false),
        ("WHERE 't'::boolean", false),
        ("WHERE id = 3", true),
        ("WHERE id = 3 AND true", true),
        ("WHERE 1 = 0", true),
        ("WHERE name LIKE 'a%'", true),
    ] {
        let text = format!("DELETE FROM t {condition}");
        assert_eq!(facts(&text).bounded, bounded, "{text}");
        let text = format!("UPDATE t SET a = 1 {condition}");
        assert_eq!(facts(&text).bounded, bounded, "{text}");
    }
}

#[test]
fn functions_wherever_they_are_called() {
    let facts = facts(
        "SELECT f(1), count(*) FILTER (WHERE S.g(x)) OVER (ORDER BY \"H\"(y)) FROM i(1) a, t WHERE j() ORDER BY k()",
    );
    let mut names: Vec<String> = facts.functions.iter().map(TableName::to_string).collect();
    names.sort();
    assert_eq!(names, ["H", "count", "f", "i", "j", "k", "s.g"]);
    let facts = self::facts("ALTER TABLE t ALTER a TYPE int USING f(a), ADD b int DEFAULT g()");
    let names: Vec<String> = facts.functions.iter().map(TableName::to_string).collect();
    assert_eq!(names, ["f", "g"]);
}

#[test]
fn definitions() {
    let of = |text: &str| facts(text).features;
    let table = |text: &str| text.parse::<TableName>().unwrap();
    assert_eq!(
        of("CREATE TABLE t (a int REFERENCES t (b), b int PRIMARY KEY)"),
        []
    );
    assert_eq!(
        of("CREATE TABLE t (a int REFERENCES s.u, FOREIGN KEY (a) REFERENCES v (a))"),
        [Feature::TiedTo(table("s.u")), Feature::TiedTo(table("v"))]
    );
    assert_eq!(
        of("CREATE TEMP TABLE IF NOT EXISTS t (a int)"),
        [Feature::IfNotExists, Feature::Temporary]
    );
    assert_eq!(of("CREATE TABLE t AS SELECT 1 AS a"), [Feature::AsQuery]);
    assert_eq!(
        of("ALTER TABLE t DROP COLUMN a CASCADE"),
        [Feature::Cascade]
    );
    assert_eq!(
        of("ALTER TABLE t RENAME TO u"),
        [Feature::Unneeded("RENAME TO u".to_owned())]
    );
    for beyond in [
        "OWNER TO x",
        "ENABLE TRIGGER x",
        "ENABLE ROW LEVEL SECURITY",
        "ATTACH PARTITION p",
    ] {
        let text = format!("ALTER TABLE t {beyond}");
        // What cannot be read is not passed either.
        let found = read(Dialect::Postgres, &text)
            .parsed
            .map(|facts| facts.features);
        assert!(found != Ok(Vec::new()), "{text}");
    }
    assert_eq!(
        facts("ALTER TABLE t ADD A int, DROP \"B\", ALTER c SET NOT NULL").alterations,
        [
            Alteration::Add("a".to_owned()),
            Alteration::Drop("B".to_owned()),
            Alteration::Change("c".to_owned()),
        ]
    );
}

#[test]
fn names_of_columns() {
    let of = |text: &str| facts(text).columns;
    let named = |names: &[&str]| Some(names.iter().map(|name| Some((*name).to_owned())).collect());
    assert_eq!(
        of("SELECT A, t.b, 1 AS \"C\" FROM t"),
        named(&["a", "b", "C"])
    );
    assert_eq!(of("SELECT 1 + 1 FROM t"), Some(vec![None]));
    assert_eq!(of("SELECT * FROM t"), None);
    assert_eq!(
        of("INSERT INTO t (a, \"B\") SELECT 1, 2"),
        named(&["a", "B"])
    );
    assert_eq!(of("CREATE TABLE t (a int, B text)"), named(&["a", "b"]));
}

#[test]
fn what_the_parser_lacks_is_passed_over() {
    for (text, expected) in [
        ("SELECT * FROM ONLY t", vec!["read t"]),
        (
            "SELECT * FROM a, ONLY t JOIN ONLY b ON true",
            vec!["read a", "read t", "read b"],
        ),
        ("DELETE FROM ONLY t WHERE a", vec!["delete t"]),
        ("SELECT * FROM t FETCH FIRST 5 ROWS ONLY", vec!["read t"]),
        (
            "INSERT INTO t (a) OVERRIDING SYSTEM VALUE SELECT 1",
            vec!["insert t"],
        ),
        ("SELECT a BETWEEN SYMMETRIC 1 AND 2 FROM t", vec!["read t"]),
        (
            "SELECT sum(a) OVER (ROWS CURRENT ROW EXCLUDE NO OTHERS) FROM t",
            vec!["read t"],
        ),
        (
            "CREATE TABLE t (LIKE s.a INCLUDING ALL EXCLUDING INDEXES)",
            vec!["read s.a", "insert t"],
        ),
        (
            "ALTER TABLE ONLY t ALTER a DROP IDENTITY, ALTER b DROP EXPRESSION",
            vec!["update t"],
        ),
    ] {
        let mut touched = touched(text);
        let mut expected = expected;
        touched.sort();
        expected.sort();
        assert_eq!(touched, expected, "{text}");
    }
    assert!(facts("SELECT * FROM t FOR NO KEY UPDATE").locking);
    assert!(facts("SELECT * FROM t FOR KEY SHARE").locking);
    // In a text, these are no words.
    assert_eq!(touched("SELECT ' FROM ONLY ' FROM \"only\""), ["read only"]);
}

#[test]
fn more_than_one_statement() {
    let second = |text: &str| {
        let reading = read(Dialect::Postgres, text);
        reading
            .second_statement()
            .map(|token| token.text.to_owned())
    };
    assert_eq!(second("SELECT 1;; -- end\n /* ; */ ;"), None);
    assert_eq!(second("SELECT 1; /* */ COMMIT").as_deref(), Some("COMMIT"));
    assert_eq!(second("; SELECT 1").as_deref(), Some("SELECT"));
}

/// The tree of such a text is as deep as the text is long.
#[test]
fn the_longest_chains_do_not_end_the_process() {
    for (first, link) in [
        ("SELECT 1", "+1"),
        ("SELECT a", "::a"),
        ("SELECT 1", " UNION SELECT 1"),
        ("SELECT a", "[1]"),
        ("SELECT a", " or a"),
    ] {
        let links = (LONGEST - first.len()) / link.len();
        let text = format!("{first}{}", link.repeat(links));
        let _ = read(Dialect::Postgres, &text);
        let _ = read(Dialect::Postgres, &format!("{text}{link}{link}{link}"));
    }
    let text = format!("SELECT {}1", "(".repeat(LONGEST / 2));
    assert!(read(Dialect::Postgres, &text).parsed.is_err());
}

#[test]
fn no_text_is_too_odd() {
    for text in [
        "",
        ";",
        "SELECT",
        "'",
        "WITH",
        "CREATE TABLE",
        "ALTER TABLE t",
        "\u{feff}SELECT 1",
        "SELECT '\0'",
    ] {
        for dialect in Dialect::ALL {
            let _ = read(*dialect, text);
        }
    }
}
