//! What the parser does not know and what changes nothing of what is asked here, taken out of a text.
//!
//! Blanks stand in its place, so that all else stays where it is. A text that would be another one
//! without it is left as it is.

use super::{Dialect, Token, TokenKind};

/// The text for the parser.
pub(super) fn plain(dialect: Dialect, text: &str, tokens: &[Token<'_>]) -> String {
    let mut plain = text.to_owned();
    if !matches!(dialect, Dialect::Postgres | Dialect::Redshift) {
        return plain;
    }
    let creates = tokens.first().is_some_and(|token| token.is("create"));
    let alters = tokens.first().is_some_and(|token| token.is("alter"));
    let mut before = None;
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        let words = match token.kind {
            TokenKind::Word => without(token, before, after, creates),
            _ => 0,
        };
        for gone in rest.iter().take(words) {
            blank(&mut plain, gone, "");
        }
        // Of a column, the one is gone like the other.
        let drops = before.is_some_and(|before: &Token<'_>| before.is("drop"));
        if alters && drops && (token.is("identity") || token.is("expression")) {
            blank(&mut plain, token, "DEFAULT");
        }
        before = Some(token);
        rest = after;
    }
    plain
}

/// How many words from here on are taken out.
fn without(
    token: &Token<'_>,
    before: Option<&Token<'_>>,
    after: &[Token<'_>],
    creates: bool,
) -> usize {
    let next = |number: usize, words: &[&str]| {
        let token: Option<&Token<'_>> = after.get(number);
        token.is_some_and(|token| words.iter().any(|word| token.is(word)))
    };
    let follows =
        |words: &[&str]| before.is_some_and(|token| words.iter().any(|word| token.is(word)));
    let word = token.text.to_ascii_lowercase();
    match word.as_str() {
        // FROM ONLY t; not FETCH FIRST 5 ROWS ONLY.
        "only" if follows(&["from", "update", "join", "using", "table"]) => 1,
        "only" if before.is_some_and(|token| token.is_symbol(',')) => 1,
        "symmetric" | "asymmetric" if follows(&["between"]) => 1,
        "exclude" if next(0, &["ties", "group"]) => 2,
        "exclude" if next(0, &["no"]) && next(1, &["others"]) => 3,
        "exclude" if next(0, &["current"]) && next(1, &["row"]) => 3,
        "overriding" if next(0, &["system", "user"]) && next(1, &["value"]) => 3,
        // FOR NO KEY UPDATE is as much of a lock as FOR UPDATE.
        "no" if follows(&["for"]) && next(0, &["key"]) => 2,
        "key" if follows(&["for"]) && next(0, &["share"]) => 1,
        // What of the other table is taken over beside its columns.
        "including" | "excluding" if creates => 2,
        _ => 0,
    }
}

/// Writes `word`, and blanks, in the place of a token.
fn blank(text: &mut String, token: &Token<'_>, word: &str) {
    let end = token.at.saturating_add(token.text.len());
    let in_its_place = format!("{word:<length$}", length = token.text.len());
    if in_its_place.len() == token.text.len()
        && text.is_char_boundary(token.at)
        && text.is_char_boundary(end)
    {
        text.replace_range(token.at..end, &in_its_place);
    }
}
