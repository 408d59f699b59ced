//! How much text a connector may hand over beside rows, and what may be in it.

/// The longest text of an error, in bytes. A server's own are far shorter; what is longer is not
/// for a person to read.
pub const ERROR_TEXT: usize = 64 * 1024;

/// How much longer it may be until it is known what in it has to be hidden: longer than any name of
/// a host or a login.
pub const MARGIN: usize = 1024;

/// The most attributes of an error.
pub const ERROR_ATTRIBUTES: usize = 100;

/// The most notices that are handed over at once, as the contract has it.
pub const NOTICES: usize = 100;

/// The most entries of a list in a descriptor: the fields of a form, the types of a dialect.
pub const DESCRIPTOR_ENTRIES: usize = 1_000;

/// The longest name in a descriptor, in bytes: of a field, a connector, a version.
pub const NAME: usize = 128;

/// The longest other text in a descriptor, in bytes: a paragraph of help.
pub const PARAGRAPH: usize = 4 * 1024;

/// The part of `text` that fits into `most` bytes.
pub fn shortened(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// `text` in at most `most` bytes, with a sign where it was cut.
pub fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(shortened(&text, most).len());
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// `text` with what makes it look like other text as escapes, on one line.
pub fn shown(text: &str) -> String {
    shown_but_for(text, |_| false)
}

/// As [`shown`], of text that has lines.
pub fn shown_lines(text: &str) -> String {
    shown_but_for(text, |c| c == '\n')
}

fn shown_but_for(text: &str, is_fit: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_deceptive(c) && !is_fit(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

/// Whether `text` may be a SQLSTATE. ISO 9075-2, "SQLSTATE class and subclass values".
pub fn is_sqlstate(text: &str) -> bool {
    text.len() == 5
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Why `text` cannot stand in a descriptor, as the end of a sentence about it.
///
/// It is shown to people, in terminals and forms, beside what the host says: it is one line of
/// plain text, which moves no cursor and turns no direction round.
pub fn unfit(text: &str, most: usize) -> Option<&'static str> {
    unfit_but_for(text, most, |_| false)
}

/// As [`unfit`], of a template of SQL, which may have lines and be indented.
pub fn unfit_sql(text: &str, most: usize) -> Option<&'static str> {
    unfit_but_for(text, most, |c| matches!(c, '\n' | '\t'))
}

fn unfit_but_for(text: &str, most: usize, is_fit: impl Fn(char) -> bool) -> Option<&'static str> {
    if text.len() > most {
        Some("is too long")
    } else if text.chars().any(|c| is_deceptive(c) && !is_fit(c)) {
        Some("has characters that cannot be shown")
    } else {
        None
    }
}

/// Whether a character makes text look like other text: controls; those of the bidirectional
/// algorithm that reorder (UAX #9, "Directional Formatting Characters"); and those that nobody sees
/// and a program reads, such as tags, in which whole sentences can be hidden. The joiners that
/// scripts are written with (U+200C, U+200D) are none of these.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
        || matches!(
            c,
            '\u{00ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_of_plain_text() {
        for text in ["", "PostgreSQL", "Größe: `1`", "ホスト", "مضيف"] {
            assert_eq!(unfit(text, NAME), None, "{text}");
        }
        for text in [
            "a\nb",
            "\u{1b}[2J",
            "\u{7f}",
            "\u{9b}31m",
            "user\u{202e}drowssap",
            "a\u{2066}b\u{2069}",
            "a\u{200f}b",
            "a\u{2028}b",
            "a\u{200b}b",
            "a\u{2060}b",
            "a\u{ad}b",
            "\u{feff}a",
            "a\u{e0074}\u{e0065}\u{e006c}\u{e006c}",
        ] {
            assert_eq!(
                unfit(text, NAME),
                Some("has characters that cannot be shown"),
                "{text:?}"
            );
        }
        // Persian is written with a joiner, SQL in lines.
        assert_eq!(unfit("می\u{200c}خواهم", NAME), None);
        assert_eq!(unfit_sql("SELECT *\n\tFROM t", NAME), None);
        for text in ["a\rb", "\u{1b}[2J", "a\u{e0074}"] {
            assert!(unfit_sql(text, NAME).is_some(), "{text:?}");
        }
        assert_eq!(unfit(&"ü".repeat(64), NAME), None);
        assert_eq!(unfit(&"ü".repeat(65), NAME), Some("is too long"));
    }

    #[test]
    fn what_deceives_is_escaped() {
        assert_eq!(shown("a\nb\u{1b}[2J"), "a\\u{a}b\\u{1b}[2J");
        assert_eq!(
            shown_lines("a\nb\r\t\u{e0041}ü"),
            "a\nb\\u{d}\\u{9}\\u{e0041}ü"
        );
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aüb".to_owned(), 4), "aüb");
        assert_eq!(cut("aüb".to_owned(), 3), "aü…");
        assert_eq!(cut("aüb".to_owned(), 2), "a…");
        assert_eq!(cut(String::new(), 0), "");
    }

    #[test]
    fn a_sqlstate_is_five_letters_or_digits() {
        assert!(is_sqlstate("42P01"));
        for text in ["", "42P0", "42P011", "42p01", "4 P01", "42P0\u{e9}"] {
            assert!(!is_sqlstate(text), "{text}");
        }
    }
}
