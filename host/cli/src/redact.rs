//! Keeps sensitive values out of everything a machine reads.
//!
//! An error shown to the person may name the server; the same error in
//! `--json`, which ends up in logs, may not.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use dagflux_host::Secret;
use serde_json::Value;

/// What stands where a value stood.
const MARK: &str = "[redacted]";

/// Knows the sensitive values that were used so far.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Mutex<Vec<Secret>>>);

impl Redactor {
    /// Makes a value known.
    pub fn add(&self, value: &str) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !value.is_empty() && !values.iter().any(|known| known.expose() == value) {
            values.push(Secret::new(value));
            // The longest first: a value may be a part of another.
            values.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        }
    }

    /// `text` without the known values, and without any network address: a
    /// name that was resolved is as telling as the name.
    pub fn apply(&self, text: &str) -> String {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        for value in values.iter() {
            text = replace_words(&text, value.expose());
        }
        replace_addresses(&text)
    }

    /// Applies it to every text of a document.
    pub fn apply_to(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.apply(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.apply_to(value)),
            Value::Object(values) => values.values_mut().for_each(|value| self.apply_to(value)),
            _ => {}
        }
    }
}

/// Replaces `value` where it stands as a word of its own: the login name `a`
/// is not every letter a.
fn replace_words(text: &str, value: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let starts_word = is_word(value.chars().next());
    let ends_word = is_word(value.chars().next_back());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, tail) = rest.split_at(at);
        let after = tail.get(value.len()..).unwrap_or_default();
        let previous = before
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back());
        let joined =
            (starts_word && is_word(previous)) || (ends_word && is_word(after.chars().next()));
        out.push_str(before);
        out.push_str(if joined { value } else { MARK });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn replace_addresses(text: &str) -> String {
    let in_address = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_address) {
        let (before, tail) = rest.split_at(start);
        let (token, after) = tail.split_at(tail.find(|c| !in_address(c)).unwrap_or(tail.len()));
        out.push_str(before);
        let port = token
            .rsplit_once(':')
            .filter(|(host, _)| host.parse::<IpAddr>().is_ok());
        let bare = token.trim_end_matches(['.', ':']);
        if bare.parse::<IpAddr>().is_ok() {
            out.push_str(MARK);
            out.push_str(token.get(bare.len()..).unwrap_or_default());
        } else if let Some((_, port)) = port {
            out.push_str(MARK);
            out.push(':');
            out.push_str(port);
        } else {
            out.push_str(token);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_addresses_are_replaced() {
        let redactor = Redactor::default();
        for value in ["db.example.com", "example", "a", "läufer"] {
            redactor.add(value);
        }
        for (text, expected) in [
            (
                "no answer from db.example.com:5432",
                "no answer from [redacted]:5432",
            ),
            (
                "login \"a\" failed as a table",
                "login \"[redacted]\" failed as [redacted] table",
            ),
            ("examples stay", "examples stay"),
            ("role läufer", "role [redacted]"),
            (
                "connect to 127.0.0.1:5432 refused",
                "connect to [redacted]:5432 refused",
            ),
            ("connect to [::1]:5432.", "connect to [[redacted]]:5432."),
            ("at 10.1.2.3.", "at [redacted]."),
            (
                "version 15.8, 12:30:01, face",
                "version 15.8, 12:30:01, face",
            ),
        ] {
            assert_eq!(redactor.apply(text), expected);
        }
    }
}
