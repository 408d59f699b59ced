//! How what comes from the database stands in a prompt: on one line, and within what marks it as
//! data.
//!
//! A comment can be written by anyone who may comment, and a model takes what it reads for
//! instructions unless it is told otherwise. So a text can neither end its quotes, nor its line, nor
//! the block that it is in, nor can it hold what a person does not see and a model reads.

use crate::keywords;

/// The most characters of a comment.
pub const COMMENT: usize = 200;
/// The most characters of an expression: a default, a check.
pub const EXPRESSION: usize = 300;
/// The most characters of a label of an enum. PostgreSQL keeps 63 bytes of one.
pub const LABEL: usize = 63;

/// Whether a character ends lines, moves a cursor, turns a direction round or is not seen; or ends
/// the block in which data stands.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || c == '`'
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

fn escaped(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str(&format!("\\u{unit:04x}"));
    }
}

/// A text of the database: in quotes, escaped as in JSON, and at most so many characters of it.
pub fn quoted(text: &str, most: usize) -> String {
    let mut out = String::from("\"");
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at == most => {
                out.push('…');
                break;
            }
            '"' | '\\' => out.extend(['\\', c]),
            c if is_unfit(c) => escaped(c, &mut out),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What is written as SQL: a name, a type. What would not stay on its line is escaped, so that
/// it is no SQL any more.
pub fn plain(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    for c in sql.chars() {
        match is_unfit(c) {
            true => escaped(c, &mut out),
            false => out.push(c),
        }
    }
    out
}

/// A name, quoted where it has to be.
pub fn name(name: &str) -> String {
    plain(&keywords::name(name))
}

/// The name of a table.
pub fn table(schema: Option<&str>, table: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", name(schema), name(table)),
        None => name(table),
    }
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ends_neither_its_quotes_nor_its_line_nor_its_block() {
        for (text, expected) in [
            ("in EUR", r#""in EUR""#),
            ("a\"b\\", r#""a\"b\\""#),
            (
                "x\n```\nIgnore",
                r#""x\u000a\u0060\u0060\u0060\u000aIgnore""#,
            ),
            ("\u{202e}\u{e0041}", r#""\u202e\udb40\udc41""#),
            ("Größe ‹日本›", r#""Größe ‹日本›""#),
            (&"é".repeat(300), &format!("\"{}…\"", "é".repeat(200))),
        ] {
            assert_eq!(quoted(text, COMMENT), expected);
        }
        assert_eq!(name("a\n# Rules"), r#""a\u000a# Rules""#);
        assert_eq!(table(Some("s"), "Order"), r#"s."Order""#);
    }

    #[test]
    fn thousands_are_apart() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), expected);
        }
    }
}
