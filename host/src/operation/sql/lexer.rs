//! The words of a text, as far as it takes to tell where a statement ends.
//!
//! The parser has a lexer of its own, and reads only what it knows. This one reads anything, so that
//! what the parser cannot read is judged too, and what both read is judged twice.

use super::Dialect;

/// A piece of a text that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'t> {
    pub kind: TokenKind,
    /// Where it begins, in bytes.
    pub at: usize,
    /// As it is written.
    pub text: &'t str,
}

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or keyword without quotes.
    Word,
    /// A name in quotes.
    Quoted,
    /// A name in quotes with escapes in it: `U&"…"`.
    Escaped,
    /// A text or number.
    Literal,
    /// A parameter: `$1`, `?`.
    Placeholder,
    /// A comment that some servers run: `/*! … */`.
    RunComment,
    /// A quote or comment that does not end.
    Unended,
    /// Anything else, one character of it.
    Symbol,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this symbol.
    pub fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol && self.text.starts_with(symbol)
    }
}

/// How a dialect writes what this lexer tells apart.
struct Habits {
    nested_comments: bool,
    hash_comments: bool,
    slash_comments: bool,
    /// `--` begins a comment only before a blank.
    dashes_need_blank: bool,
    dollar_quotes: bool,
    /// Backslashes escape in any text, rather than in `E'…'` only.
    backslashes: bool,
    /// `"…"` is a text.
    double_is_text: bool,
    backticks: bool,
    brackets: bool,
    question_marks: bool,
    named_placeholders: bool,
}

impl Habits {
    fn of(dialect: Dialect) -> Self {
        use Dialect::*;
        let postgres = matches!(dialect, Postgres | Redshift);
        Self {
            nested_comments: postgres || dialect == MsSql,
            hash_comments: matches!(dialect, MySql | BigQuery),
            slash_comments: dialect == Snowflake,
            dashes_need_blank: dialect == MySql,
            dollar_quotes: postgres || dialect == Snowflake,
            backslashes: matches!(dialect, MySql | BigQuery | Snowflake),
            double_is_text: matches!(dialect, MySql | BigQuery),
            backticks: matches!(dialect, MySql | BigQuery | Sqlite),
            brackets: matches!(dialect, MsSql | Sqlite),
            question_marks: !postgres,
            named_placeholders: matches!(dialect, Sqlite | BigQuery | MsSql),
        }
    }
}

/// The pieces of `text`, without blanks and comments.
pub fn tokens(dialect: Dialect, text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer {
        habits: Habits::of(dialect),
        text,
        at: 0,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        let ends = token.kind == TokenKind::Unended;
        tokens.push(token);
        if ends {
            break;
        }
    }
    tokens
}

struct Lexer<'t> {
    habits: Habits,
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What is left after the first `skipped` bytes.
    fn after(&self, skipped: usize) -> &'t str {
        self.rest().get(skipped..).unwrap_or_default()
    }

    fn token(&mut self, kind: TokenKind, length: usize) -> Option<Token<'t>> {
        let at = self.at;
        let text = self.rest().get(..length).unwrap_or_else(|| self.rest());
        self.at = at.saturating_add(text.len());
        Some(Token { kind, at, text })
    }

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let rest = self.rest();
            let first = rest.chars().next()?;
            // A byte order mark and a no-break space are blanks to no server: they are told.
            if first.is_ascii_whitespace() || first == '\u{b}' {
                self.at = self.at.saturating_add(1);
                continue;
            }
            if let Some(line) = self.line_comment() {
                self.at = self.at.saturating_add(line);
                continue;
            }
            if !rest.starts_with("/*") {
                break;
            }
            let Some(length) = self.block_comment() else {
                return self.token(TokenKind::Unended, rest.len());
            };
            if rest.starts_with("/*!") || rest.starts_with("/*M!") {
                return self.token(TokenKind::RunComment, length);
            }
            self.at = self.at.saturating_add(length);
        }
        let (kind, length) = self.token_here();
        match length {
            Some(length) => self.token(kind, length),
            None => self.token(TokenKind::Unended, self.rest().len()),
        }
    }

    /// The length of a comment up to the end of its line.
    fn line_comment(&self) -> Option<usize> {
        let rest = self.rest();
        let dashes = rest.strip_prefix("--").is_some_and(|after| {
            let blank = after.is_empty() || after.starts_with(|c: char| c.is_ascii_whitespace());
            blank || !self.habits.dashes_need_blank
        });
        let begins = dashes
            || (self.habits.hash_comments && rest.starts_with('#'))
            || (self.habits.slash_comments && rest.starts_with("//"));
        begins.then(|| rest.find(['\n', '\r']).unwrap_or(rest.len()))
    }

    /// The length of a comment in `/* … */`; none if it does not end.
    fn block_comment(&self) -> Option<usize> {
        let rest = self.rest();
        let mut depth = 0_usize;
        let mut at = 0;
        loop {
            let here = rest.get(at..)?;
            if here.starts_with("/*") && (depth == 0 || self.habits.nested_comments) {
                depth = depth.saturating_add(1);
                at = at.saturating_add(2);
            } else if here.starts_with("*/") {
                depth = depth.saturating_sub(1);
                at = at.saturating_add(2);
                if depth == 0 {
                    return Some(at);
                }
            } else {
                at = at.saturating_add(here.chars().next()?.len_utf8());
            }
        }
    }

    /// What is here, and its length; none if it does not end.
    fn token_here(&self) -> (TokenKind, Option<usize>) {
        let rest = self.rest();
        let habits = &self.habits;
        let first = rest.chars().next().unwrap_or_default();
        let second = rest.chars().nth(1).unwrap_or_default();
        let quoted = |kind, prefix: usize, end: char, backslashes| {
            let length = closing(self.after(prefix), end, backslashes);
            (kind, length.map(|length| length.saturating_add(prefix)))
        };
        match first {
            '\'' => quoted(TokenKind::Literal, 0, '\'', habits.backslashes),
            'e' | 'E' if second == '\'' && habits.dollar_quotes => {
                quoted(TokenKind::Literal, 1, '\'', true)
            }
            '"' if habits.double_is_text => quoted(TokenKind::Literal, 0, '"', habits.backslashes),
            '"' => quoted(TokenKind::Quoted, 0, '"', false),
            'u' | 'U' if self.after(1).starts_with("&\"") => {
                quoted(TokenKind::Escaped, 2, '"', false)
            }
            '`' if habits.backticks => quoted(TokenKind::Quoted, 0, '`', false),
            '[' if habits.brackets => quoted(TokenKind::Quoted, 0, ']', false),
            '$' if second.is_ascii_digit() => {
                (TokenKind::Placeholder, Some(1 + digits(self.after(1))))
            }
            '$' if habits.dollar_quotes => match dollar_quote(rest) {
                Some(length) => (TokenKind::Literal, length),
                None => (TokenKind::Symbol, Some(1)),
            },
            '?' if habits.question_marks => {
                (TokenKind::Placeholder, Some(1 + digits(self.after(1))))
            }
            ':' | '@' | '$' if habits.named_placeholders && is_name_start(second) => {
                (TokenKind::Placeholder, Some(1 + name(self.after(1))))
            }
            _ if first.is_ascii_digit() => (TokenKind::Literal, Some(number(rest))),
            _ if is_name_start(first) => (TokenKind::Word, Some(name(rest))),
            _ => (TokenKind::Symbol, Some(first.len_utf8())),
        }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}

fn name(text: &str) -> usize {
    let goes_on = |c: char| is_name_start(c) || c.is_alphanumeric() || c == '$';
    text.find(|c| !goes_on(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len())
}

/// Digits only, and a fraction: `1..2` and `1and` are told apart by others.
fn number(text: &str) -> usize {
    let whole = digits(text);
    match text.get(whole..).and_then(|rest| rest.strip_prefix('.')) {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => {
            whole.saturating_add(1).saturating_add(digits(fraction))
        }
        _ => whole,
    }
}

/// The length of what is quoted, quotes included, where a quote is written twice; none if it does
/// not end.
fn closing(text: &str, end: char, backslashes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && backslashes {
            chars.next();
        } else if c == end {
            match chars.peek() {
                Some((_, next)) if *next == end => {
                    chars.next();
                }
                _ => return Some(at.saturating_add(c.len_utf8())),
            }
        }
    }
    None
}

/// The length of `$tag$ … $tag$`, none within if it does not end; none if it is no such quote.
fn dollar_quote(text: &str) -> Option<Option<usize>> {
    let inner = text.get(1..)?;
    let tag = inner.find('$')?;
    let tagged = inner.get(..tag)?;
    let named = tagged.is_empty()
        || (tagged.starts_with(is_name_start)
            && tagged
                .chars()
                .all(|c| is_name_start(c) || c.is_alphanumeric()));
    if !named {
        return None;
    }
    let mark = tag.saturating_add(2);
    let (quote, body) = text.split_at_checked(mark)?;
    Some(
        body.find(quote)
            .map(|end| end.saturating_add(mark).saturating_add(mark)),
    )
}

/// The line and column of a byte of `text`, from 1, in characters.
pub fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count();
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    (count(line), count(column))
}

/// The byte of the character `number`, from 1.
pub fn byte_of(text: &str, number: u32) -> usize {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    text.char_indices()
        .nth(number.saturating_sub(1))
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests;
