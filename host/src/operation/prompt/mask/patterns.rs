//! What in a text looks like something that is masked. In doubt, it does: a sample that shows too
//! little is still a sample.

use std::net::Ipv6Addr;

use super::MaskRule;
use super::others::{within_date, within_uuid};

/// What begins at `at`, and where it ends.
type Finder = fn(&[char], usize) -> Option<usize>;

/// In this order, since an address on the web may have one of a person in it.
const FINDERS: &[(MaskRule, Finder)] = &[
    (MaskRule::Url, url),
    (MaskRule::Email, email),
    (MaskRule::Iban, iban),
    (MaskRule::Card, card),
    (MaskRule::Ip, ip),
    (MaskRule::Phone, phone),
];

/// The text with what looks like one of these masked; and what that was.
pub fn masked(rules: &[MaskRule], text: &str) -> (String, Vec<String>) {
    let mut chars: Vec<char> = text.chars().filter_map(normal).collect();
    let mut originals = Vec::new();
    for (rule, finder) in FINDERS.iter().filter(|(rule, _)| rules.contains(rule)) {
        let mut out = Vec::with_capacity(chars.len());
        let mut at = 0;
        while let Some(c) = chars.get(at) {
            match finder(&chars, at).filter(|end| *end > at) {
                Some(end) => {
                    originals.push(chars.get(at..end).unwrap_or_default().iter().collect());
                    out.extend(rule.placeholder().chars());
                    at = end;
                }
                None => {
                    out.push(*c);
                    at = at.saturating_add(1);
                }
            }
        }
        chars = out;
    }
    (chars.into_iter().collect(), originals)
}

/// A character as the patterns know it: without what nobody sees, and full-width forms as the others
/// (Unicode, "Halfwidth and Fullwidth Forms").
fn normal(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c).saturating_sub(0xfee0)),
        '\n' | '\t' | '\r' | '\u{a0}' => Some(' '),
        c if crate::policy::text::is_deceptive(c) => None,
        c => Some(c),
    }
}

pub(super) fn get(chars: &[char], at: usize) -> Option<char> {
    chars.get(at).copied()
}

pub(super) fn before(chars: &[char], at: usize) -> Option<char> {
    get(chars, at.checked_sub(1)?)
}

pub(super) fn is_word(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

pub(super) fn is_digit(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_ascii_digit())
}

/// From `at` on, while it is so.
fn run(chars: &[char], at: usize, is: impl Fn(char) -> bool) -> usize {
    let rest = chars.get(at..).unwrap_or_default();
    at.saturating_add(rest.iter().take_while(|c| is(**c)).count())
}

fn begins(chars: &[char], at: usize, text: &str) -> bool {
    let rest = chars.get(at..).unwrap_or_default();
    let mut expected = text.chars();
    rest.iter()
        .zip(&mut expected)
        .all(|(c, expected)| c.eq_ignore_ascii_case(&expected))
        && rest.len() >= text.chars().count()
}

fn url(chars: &[char], at: usize) -> Option<usize> {
    if is_word(before(chars, at)) {
        return None;
    }
    let scheme = run(chars, at, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
    });
    let has_scheme = scheme > at && begins(chars, scheme, "://");
    let host = run(chars, at, |c| c.is_alphanumeric() || matches!(c, '-' | '.'));
    let name: String = chars.get(at..host)?.iter().collect();
    let has_host = name.contains('.')
        && get(chars, host) == Some('/')
        && name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.len() > 1 && last.chars().all(char::is_alphabetic));
    if !has_scheme && !has_host && !begins(chars, at, "www.") {
        return None;
    }
    let end = run(chars, at, |c| {
        !c.is_whitespace() && !matches!(c, '"' | '<' | '>')
    });
    let trailing = chars.get(at..end)?.iter().rev();
    let trailing = trailing
        .take_while(|c| matches!(c, '.' | ',' | ';' | ')' | ']'))
        .count();
    Some(end.saturating_sub(trailing))
}

/// RFC 5322, "addr-spec", and more than that.
fn email(chars: &[char], at: usize) -> Option<usize> {
    let is_local = |c: char| c.is_alphanumeric() || "!#$&'*+-/=?^_`{|}~.".contains(c);
    let sign = match get(chars, at)? {
        '"' => {
            let end = run(chars, at.saturating_add(1), |c| c != '"');
            end.saturating_add(1)
        }
        c if is_local(c) && !before(chars, at).is_some_and(is_local) => run(chars, at, is_local),
        _ => return None,
    };
    let domain = match get(chars, sign)? {
        '@' | '\u{fe6b}' => sign.saturating_add(1),
        '%' if begins(chars, sign, "%40") => sign.saturating_add(3),
        _ => return None,
    };
    let end = match get(chars, domain)? {
        '[' => run(chars, domain, |c| c != ']').saturating_add(1),
        _ => run(chars, domain, |c| {
            c.is_alphanumeric() || matches!(c, '-' | '.' | '_')
        }),
    };
    let end = end.min(chars.len());
    let domain = chars.get(domain..end)?;
    let trailing = domain.iter().rev().take_while(|c| **c == '.').count();
    let begins = domain
        .first()
        .is_some_and(|c| c.is_alphanumeric() || *c == '[');
    begins.then(|| end.saturating_sub(trailing))
}

/// ISO 13616, "Structure of the IBAN": in one piece, or in groups of four.
fn iban(chars: &[char], at: usize) -> Option<usize> {
    let first: Vec<char> = chars.get(at..at.saturating_add(4))?.to_vec();
    let begins = matches!(first.as_slice(), [a, b, c, d]
        if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit());
    if !begins || is_word(before(chars, at)) {
        return None;
    }
    let piece = run(chars, at, |c| c.is_ascii_alphanumeric());
    let mut end = piece;
    if piece == at.saturating_add(4) {
        // In groups: all but the last have four.
        while let Some(' ' | '-' | '.') = get(chars, end) {
            let next = end.saturating_add(1);
            let group = run(chars, next, |c| c.is_ascii_alphanumeric());
            let length = group.saturating_sub(next);
            if !(1..=4).contains(&length) {
                break;
            }
            end = group;
            if length < 4 {
                break;
            }
        }
    }
    let compact: Vec<char> = chars
        .get(at..end)?
        .iter()
        .copied()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let digits = compact.iter().filter(|c| c.is_ascii_digit()).count();
    ((15..=34).contains(&compact.len()) && digits >= 10).then_some(end)
}

/// ISO/IEC 7812-1, "Numbering system": 13 to 19 digits, the last by Luhn's formula.
fn card(chars: &[char], at: usize) -> Option<usize> {
    if !is_digit(get(chars, at)) || is_digit(before(chars, at)) {
        return None;
    }
    let mut digits: Vec<u32> = Vec::new();
    let mut end = at;
    let mut found = None;
    while let Some(c) = get(chars, end) {
        match c.to_digit(10) {
            Some(digit) => digits.push(digit),
            None if matches!(c, ' ' | '-' | '.') && is_digit(get(chars, end.saturating_add(1))) => {
            }
            None => break,
        }
        end = end.saturating_add(1);
        let ends = !is_digit(get(chars, end));
        if ends && (13..=19).contains(&digits.len()) && is_luhn(&digits) {
            found = Some(end);
        }
        if digits.len() > 19 {
            break;
        }
    }
    found
}

/// Whether the last of the digits is right.
pub fn is_luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit.saturating_mul(2)) {
            (1, twice) if twice > 9 => twice.saturating_sub(9),
            (1, twice) => twice,
            _ => *digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn ip(chars: &[char], at: usize) -> Option<usize> {
    let previous = before(chars, at);
    if is_word(previous) || matches!(previous, Some(':' | '.')) {
        return None;
    }
    let text = |from: usize, to: usize| -> String {
        chars.get(from..to).unwrap_or_default().iter().collect()
    };
    let end = run(chars, at, |c| c.is_ascii_digit() || c == '.');
    let trailing = chars
        .get(at..end)?
        .iter()
        .rev()
        .take_while(|c| **c == '.')
        .count();
    let four = end.saturating_sub(trailing);
    let octets: Vec<String> = text(at, four).split('.').map(str::to_owned).collect();
    // Leading zeros as well, which a parser refuses.
    let is_octet = |octet: &String| (1..=3).contains(&octet.len()) && octet.parse::<u8>().is_ok();
    if octets.len() == 4 && octets.iter().all(is_octet) && !is_word(get(chars, end)) {
        return Some(four);
    }
    let end = run(chars, at, |c| {
        c.is_ascii_hexdigit() || matches!(c, ':' | '.')
    });
    let six = text(at, end);
    let six = six.trim_end_matches('.');
    let is_six = six.len() > 2 && six.contains(':') && six.parse::<Ipv6Addr>().is_ok();
    (is_six && !is_word(get(chars, end))).then(|| at.saturating_add(six.len()))
}

/// ITU-T E.164, "Number structure": at most 15 digits, however they are grouped; 9 or more, or
/// with `+` in front 7 or more.
fn phone(chars: &[char], at: usize) -> Option<usize> {
    let first = get(chars, at)?;
    if is_word(before(chars, at)) || !(first.is_ascii_digit() || matches!(first, '+' | '(')) {
        return None;
    }
    if within_date(chars, at) || within_uuid(chars, at) {
        return None;
    }
    let mut end = at;
    let (mut digits, mut apart) = (0_usize, 0_usize);
    for (place, c) in chars.iter().enumerate().skip(at) {
        match c {
            c if c.is_ascii_digit() => {
                digits = digits.saturating_add(1);
                apart = 0;
                end = place.saturating_add(1);
            }
            '+' if place == at => {}
            ' ' | '(' | ')' | '-' | '/' | '.' | '\u{2010}'..='\u{2013}' if apart < 3 => {
                apart = apart.saturating_add(1);
            }
            _ => break,
        }
    }
    let inside = chars.get(at..end)?;
    let dots = inside.iter().filter(|c| **c == '.').count();
    let grouped = dots > 1 || inside.iter().any(|c| !c.is_ascii_digit() && *c != '.');
    // Letters behind it make it part of a number of another kind.
    let another = is_word(get(chars, end)) || dots > 0 || digits > 15;
    let least = if first == '+' { 7 } else { 9 };
    // Grouped, it may be two numbers, or more.
    (digits >= least && (grouped || !another)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> String {
        masked(MaskRule::ALL, text).0
    }

    #[test]
    fn what_looks_like_it_is_masked() {
        for (text, expected) in [
            ("ann@example.com", "[email]"),
            ("Mail ann.o'neill+x@mail.example.co.uk.", "Mail [email]."),
            ("<ann@localhost>, bob@x", "<[email]>, [email]"),
            ("\"ann b\"@example.com", "[email]"),
            ("ann%40example.com", "[email]"),
            ("ａｎｎ＠example．com", "[email]"),
            ("ann\u{200b}@\u{2060}example.com", "[email]"),
            ("mailto:jürgen@müller.de", "mailto:[email]"),
            ("user@[192.168.0.1]", "[email]"),
            (
                "see https://example.com/a?b=c#d, or www.example.org.",
                "see [url], or [url].",
            ),
            ("postgres://ann:pw@host/db", "[url]"),
            ("example.com/private", "[url]"),
            ("DE89370400440532013000", "[iban]"),
            ("pay DE89 3704 0044 0532 0130 00 now", "pay [iban] now"),
            ("nl91 abna 0417 1643 00", "[iban]"),
            ("4111111111111111", "[card]"),
            ("card 4111 1111 1111 1111 12/27", "card [card] 12/27"),
            ("5500-0000-0000-0004", "[card]"),
            ("from 192.168.0.17:5432", "from [ip]:5432"),
            ("2001:db8::1", "[ip]"),
            ("[fe80::1%eth0]", "[[ip]%eth0]"),
            ("010.001.002.003", "[ip]"),
            ("+49 170 1234567", "[phone]"),
            ("call (555) 123-4567!", "call [phone]!"),
            ("0170 1234567 0171 7654321", "[phone]"),
            ("555.123.4567", "[phone]"),
            ("01701234567", "[phone]"),
            ("0170/123 45 67", "[phone]"),
            ("+1 555-1234", "[phone]"),
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_is_left() {
        for text in [
            "",
            "2024-01-31",
            "2024-01-31 10:11:12.123456",
            "2024-01-31T10:00:00Z",
            "2024-01-31T10:00:00.123456789Z",
            "31.01.2024 08:15",
            "550e8400-e29b-41d4-a716-446655440000",
            "1234567.891",
            "12345678",
            "@handle, a @ b",
            "std::vec and 10:11:12",
            "version 1.2.3",
            "AB12 is short",
            "order 1234-5678",
            "i/o and/or",
        ] {
            assert_eq!(all(text), text);
        }
    }

    #[test]
    fn only_what_there_is_a_rule_for_is_masked() {
        let text = "ann@example.com 192.168.0.1";
        assert_eq!(masked(&[MaskRule::Ip], text).0, "ann@example.com [ip]");
        let (out, originals) = masked(&[MaskRule::Email], text);
        assert_eq!(
            (out.as_str(), originals),
            ("[email] 192.168.0.1", vec!["ann@example.com".to_owned()])
        );
        assert_eq!(masked(&[], text).0, text);
    }
}
