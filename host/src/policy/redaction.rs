//! Keeping sensitive values out of what others read.

use std::borrow::Cow;

use super::text;

/// Replaces the sensitive values of one connection by their field's name.
///
/// The values are the host, its addresses and the login name. The password is
/// not among them: the connector never has it, so nothing it says can hold it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redactor {
    /// Longest value first, so that one contained in another does not break it.
    values: Vec<(String, String)>,
    login: Option<String>,
}

impl Redactor {
    /// A redactor that has nothing to hide.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides `value` wherever it stands as a word of its own.
    pub fn hide(&mut self, field: &str, value: &str) {
        if value.is_empty() || self.values.iter().any(|(known, _)| known == value) {
            return;
        }
        self.values.push((value.to_owned(), format!("[{field}]")));
        self.values
            .sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// Hides the login name, which SQL can do without.
    pub fn hide_login(&mut self, field: &str, name: &str) {
        self.hide(field, name);
        self.login = Some(name.to_owned());
    }

    /// `sql` with the psql variable `:"login"` wherever the login name stands as an identifier: so
    /// it runs, with `psql --set login=...`, and names nobody.
    pub fn sql(&self, sql: &str) -> String {
        let Some(login) = &self.login else {
            return sql.to_owned();
        };
        let mut out = String::with_capacity(sql.len());
        let mut rest = sql;
        while let Some(first) = rest.chars().next() {
            let (token, tail) = rest.split_at(token(rest, first));
            let name = match first {
                '"' => token
                    .strip_prefix('"')
                    .and_then(|name| name.strip_suffix('"'))
                    .map(|name| name.replace("\"\"", "\"")),
                c if continues_word(Some(c)) => Some(token.to_owned()),
                _ => None,
            };
            out.push_str(match name {
                Some(name) if name == *login => ":\"login\"",
                _ => token,
            });
            rest = tail;
        }
        out
    }

    /// The last place in `text`, up to `at`, that is between characters and not within a hidden
    /// value: cut there, neither part has half of one, which would not be recognised.
    pub fn place_to_cut(&self, text: &str, at: usize) -> usize {
        let mut end = text::shortened(text, at).len();
        // Only around it: what stands elsewhere is not cut.
        let spanning = |end: usize| {
            self.values.iter().find_map(|(value, _)| {
                let from = text::shortened(text, end.saturating_sub(value.len())).len();
                let most = end.saturating_add(value.len());
                let around = text::shortened(text, most).get(from..)?;
                around
                    .match_indices(value.as_str())
                    .map(|(start, _)| start.saturating_add(from))
                    .find(|start| *start < end && end < start.saturating_add(value.len()))
            })
        };
        while let Some(start) = spanning(end) {
            end = start;
        }
        end
    }

    /// `text` with every hidden value replaced.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (value, label) in &self.values {
            if let Some(redacted) = replace_words(&text, value, label) {
                text = Cow::Owned(redacted);
            }
        }
        text
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.values.iter().map(|(_, label)| label))
            .finish()
    }
}

fn replace_words(text: &str, value: &str, label: &str) -> Option<String> {
    let mut redacted = String::new();
    let mut copied = 0;
    for (start, found) in text.match_indices(value) {
        let end = start.saturating_add(found.len());
        let before = text.get(..start).and_then(|head| head.chars().next_back());
        let after = text.get(end..).and_then(|tail| tail.chars().next());
        let cut_before = continues_word(value.chars().next()) && continues_word(before);
        let cut_after = continues_word(value.chars().next_back()) && continues_word(after);
        if cut_before || cut_after {
            continue;
        }
        redacted.push_str(text.get(copied..start)?);
        redacted.push_str(label);
        copied = end;
    }
    if copied == 0 {
        return None;
    }
    redacted.push_str(text.get(copied..)?);
    Some(redacted)
}

/// The length of the token of SQL that `text` begins with, which `first` does: a name, a text, or
/// one other character.
fn token(text: &str, first: char) -> usize {
    let quoted = |quote: char| {
        let mut chars = text.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
                return at.saturating_add(1);
            }
        }
        text.len()
    };
    match first {
        '"' | '\'' => quoted(first),
        c if continues_word(Some(c)) => text
            .find(|c: char| !continues_word(Some(c)) && c != '$')
            .unwrap_or(text.len()),
        c => c.len_utf8(),
    }
}

fn continues_word(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        let mut redactor = Redactor::new();
        redactor.hide("username", "al");
        redactor.hide("host", "db.example.com");
        redactor.hide("host", "db");
        redactor.hide("empty", "");
        redactor
    }

    #[test]
    fn whole_words_are_replaced_the_longest_first() {
        let text = "password authentication failed for user \"al\" at db.example.com (db)";
        let redacted = "password authentication failed for user \"[username]\" at [host] ([host])";
        assert_eq!(redactor().redact(text), redacted);
    }

    #[test]
    fn parts_of_words_stay() {
        for text in ["alas, small dbase", "al_x", "naïval", "", "nothing"] {
            assert_eq!(redactor().redact(text), text);
        }
    }

    #[test]
    fn sql_runs_without_the_login_name() {
        for (login, sql, expected) in [
            (
                "al",
                "GRANT SELECT ON al.t, \"al x\" TO al;",
                "GRANT SELECT ON :\"login\".t, \"al x\" TO :\"login\";",
            ),
            (
                "al",
                "GRANT \"al\" TO al_x; SELECT 'al', 'it''s al'",
                "GRANT :\"login\" TO al_x; SELECT 'al', 'it''s al'",
            ),
            (
                "A \"b\"",
                "GRANT x TO \"A \"\"b\"\"\"",
                "GRANT x TO :\"login\"",
            ),
            ("läufer", "TO läufer", "TO :\"login\""),
            ("al", "\"al", "\"al"),
        ] {
            let mut redactor = Redactor::new();
            redactor.hide_login("username", login);
            assert_eq!(redactor.sql(sql), expected);
        }
        assert_eq!(Redactor::new().sql("TO al"), "TO al");
    }

    #[test]
    fn no_value_is_cut_in_two() {
        let text = "to db.example.com, as al";
        for at in 0..=text.len() {
            let cut = redactor().place_to_cut(text, at);
            let expected = match at {
                4..=16 => 3,
                23 => 22,
                at => at,
            };
            assert_eq!(cut, expected, "{at}");
        }
        assert_eq!(redactor().place_to_cut("ü", 1), 0);
    }

    #[test]
    fn debug_tells_no_value() {
        let shown = format!("{:?}", redactor());
        assert!(
            !shown.contains("example") && !shown.contains("\"al\""),
            "{shown}"
        );
    }
}
