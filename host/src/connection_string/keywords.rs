//! `host=db.example.com dbname='my db' user=me`, as libpq reads it.
//!
//! Manual: "Keyword/Value Connection Strings".

use std::iter::Peekable;
use std::str::Chars;

use zeroize::Zeroizing;

use super::fault;
use super::url::Pair;
use crate::error::Result;

/// The parameters of a keyword string.
pub fn pairs(text: &str) -> Result<Vec<Pair>> {
    let mut rest = text.chars().peekable();
    let mut pairs: Vec<Pair> = Vec::new();
    loop {
        skip_blanks(&mut rest);
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let number = pairs.len().saturating_add(1);
        let mut name = Zeroizing::new(String::new());
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_ascii_whitespace()) {
            name.push(c);
        }
        skip_blanks(&mut rest);
        if rest.next_if_eq(&'=').is_none() {
            let (message, hint) = match number {
                1 => (
                    "the connection string is neither a URL nor made of keywords".to_owned(),
                    "write postgres://user@host:5432/database, or host=... dbname=... user=...",
                ),
                _ => (
                    format!("parameter {number} of the connection string has no `=`"),
                    "write name=value, and values with blanks in them between single quotes",
                ),
            };
            return Err(fault(message, hint));
        }
        skip_blanks(&mut rest);
        let value = match rest.next_if_eq(&'\'') {
            Some(_) => quoted(&mut rest, number)?,
            None => plain(&mut rest),
        };
        pairs.push((name.to_string(), value));
    }
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
}

fn plain(rest: &mut Peekable<Chars<'_>>) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::new());
    while let Some(c) = rest.next_if(|c| !c.is_ascii_whitespace()) {
        match c {
            // A backslash at the very end stands for nothing.
            '\\' => value.extend(rest.next()),
            c => value.push(c),
        }
    }
    value
}

fn quoted(rest: &mut Peekable<Chars<'_>>, number: usize) -> Result<Zeroizing<String>> {
    let mut value = Zeroizing::new(String::new());
    loop {
        match rest.next() {
            Some('\'') => return Ok(value),
            Some('\\') => value.extend(rest.next()),
            Some(c) => value.push(c),
            None => {
                return Err(fault(
                    format!(
                        "the quote of parameter {number} of the connection string is not closed"
                    ),
                    "write a single quote within a value as \\' and a backslash as \\\\",
                ));
            }
        }
    }
}
