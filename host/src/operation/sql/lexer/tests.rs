use super::*;

fn semicolons(dialect: Dialect, text: &str) -> usize {
    let tokens = tokens(dialect, text);
    tokens.iter().filter(|token| token.is_symbol(';')).count()
}

#[test]
fn semicolons_are_told_from_those_in_quotes_and_comments() {
    for text in [
        "SELECT ';'",
        "SELECT ''';'",
        "SELECT '\\'||';'",
        "SELECT E'\\';'",
        "SELECT $$;$$",
        "SELECT $a$;$$;$b$;$a$",
        "SELECT \";\"\";\"",
        "SELECT 1 -- ;\n",
        "SELECT 1 /* ; /* ; */ ; */",
        "SELECT a$b$c FROM t",
    ] {
        assert_eq!(semicolons(Dialect::Postgres, text), 0, "{text}");
    }
    for text in [
        "SELECT '\\';'",
        "SELECT 1 -- \n;",
        "SELECT 1 /* /* */ */;",
        "SELECT a$$;$$ FROM t",
        "SELECT $1;",
        "SELECT 1 -- \r;",
        "SELECT $1$;$1$",
    ] {
        assert_eq!(semicolons(Dialect::Postgres, text), 1, "{text}");
    }
    // What ends a comment here goes on there.
    let nested = "SELECT 1 /* /* */ ; -- */";
    assert_eq!(semicolons(Dialect::Postgres, nested), 0);
    assert_eq!(semicolons(Dialect::Sqlite, nested), 1);
    assert_eq!(semicolons(Dialect::MySql, "SELECT '\\';'"), 0);
    assert_eq!(semicolons(Dialect::MySql, "SELECT 1 # ;"), 0);
    assert_eq!(semicolons(Dialect::MySql, "SELECT 1 --;"), 1);
}

#[test]
fn what_means_something_is_told() {
    use TokenKind::*;
    for (dialect, text, expected) in [
        (Dialect::Postgres, "U&\"\\0074\"", Escaped),
        (Dialect::Postgres, "$12", Placeholder),
        (Dialect::Sqlite, "?1", Placeholder),
        (Dialect::Sqlite, ":name", Placeholder),
        (Dialect::Postgres, "?", Symbol),
        (Dialect::Postgres, "/*! x */", RunComment),
        (Dialect::Postgres, "'open", Unended),
        (Dialect::Postgres, "/* open /* */", Unended),
        (Dialect::Postgres, "$$ open $", Unended),
        (Dialect::MsSql, "[a]]b]", Quoted),
        (Dialect::MySql, "\"a\"", Literal),
        (Dialect::Postgres, "größe$1", Word),
        (Dialect::Postgres, "\u{a0}", Symbol),
    ] {
        let found: Vec<_> = tokens(dialect, text);
        let kinds: Vec<_> = found.iter().map(|token| token.kind).collect();
        assert_eq!(kinds, [expected], "{text}: {found:?}");
    }
}

#[test]
fn no_text_is_too_odd() {
    for text in [
        "",
        "'",
        "\"",
        "$",
        "$$",
        "/*",
        "U&\"",
        "E'\\",
        "é'é",
        "$é$ $é$",
        "`",
        "1.",
        ".",
    ] {
        for dialect in Dialect::ALL {
            let found = tokens(*dialect, text);
            let length: usize = found.iter().map(|token| token.text.len()).sum();
            assert!(length <= text.len());
        }
    }
}

#[test]
fn places() {
    assert_eq!(place("a\nbé;c", 5), (2, 3));
    assert_eq!(byte_of("bé;c", 3), 3);
    assert_eq!(byte_of("a", 9), 1);
}
