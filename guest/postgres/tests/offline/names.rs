//! Names: of types, and quoted ones.

use dagflux_postgres::dialect::{qualified, quote};
use dagflux_postgres::types::name::TypeName;
use dagflux_postgres::types::pg_type::Typed;
use dagflux_postgres::types::{mapping, oid};

#[test]
fn names_are_quoted_with_their_quotes_doubled() {
    assert_eq!(quote("a"), r#""a""#);
    assert_eq!(
        quote(r#"a"; DROP TABLE t; --"#),
        r#""a""; DROP TABLE t; --""#
    );
    assert_eq!(qualified("s.x", "Größe"), r#""s.x"."Größe""#);
}

#[test]
fn the_name_of_a_type_is_put_together_from_its_parts() {
    for (text, sql) in [
        ("integer", "integer"),
        ("numeric(15,2)", "numeric(15,2)"),
        ("numeric(5,-3)", "numeric(5,-3)"),
        ("character varying(44)", "character varying(44)"),
        ("timestamp(3) with time zone", "timestamp(3) with time zone"),
        ("timestamp without time zone", "timestamp"),
        ("integer[]", "integer[]"),
        ("interval day to second(2)", "interval day to second(2)"),
        ("uuid", r#""uuid""#),
        ("mood", r#""mood""#),
        ("other.mood", r#""other"."mood""#),
        (r#""Odd ""one"" ".mood"#, r#""Odd ""one"" "."mood""#),
        ("\"char\"", "\"char\""),
        ("geometry(4326)", "\"geometry\"(4326)"),
    ] {
        let parsed = TypeName::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(parsed.sql(), sql, "{text}");
    }
}

#[test]
fn what_is_not_the_name_of_a_type_is_none() {
    for text in [
        "",
        "integer)",
        "integer PRIMARY KEY",
        "integer DEFAULT now()",
        "integer; DROP TABLE t",
        "integer--",
        "integer/**/",
        "numeric(15,2",
        "numeric()",
        "numeric(1;2)",
        "numeric(99999999999)",
        "setof integer",
        "\"open",
        "\"\"",
        "a.b.c",
        "a.",
        ".a",
        "1a",
        "date with time zone",
        "(integer)",
        "x'y",
    ] {
        assert_eq!(TypeName::parse(text), None, "{text}");
    }
}

#[test]
fn builtin_types_are_called_what_the_server_calls_them() {
    for (type_oid, modifier, name) in [
        (
            oid::NUMERIC,
            mapping::numeric_modifier(15, 2),
            "numeric(15,2)",
        ),
        (
            oid::NUMERIC,
            mapping::numeric_modifier(5, -3),
            "numeric(5,-3)",
        ),
        (oid::NUMERIC, -1, "numeric"),
        (oid::VARCHAR, 48, "character varying(44)"),
        (oid::VARCHAR, -1, "character varying"),
        (oid::BPCHAR, 5, "character(1)"),
        (oid::BPCHAR, -1, "bpchar"),
        (oid::TIMESTAMPTZ, 3, "timestamp(3) with time zone"),
        (oid::TIME, -1, "time without time zone"),
    ] {
        let typed = Typed::known(type_oid, modifier).expect(name);
        assert_eq!(typed.name, name);
    }
}
