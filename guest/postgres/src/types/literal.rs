//! Arrays, records and maps as text: how the server writes them, and how it reads them.
//!
//! Manual: "Arrays", "Array Input and Output Syntax"; "Composite Types", "Composite Type Input
//! and Output Syntax"; "hstore", "External Representation".
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// The most dimensions that an array has. Source: PostgreSQL, `src/include/utils/array.h`.
const MOST_DIMENSIONS: usize = 6;

/// An array, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'a> {
    /// Whether every dimension begins at 1.
    pub from_one: bool,
    /// The length of each dimension; none for an empty array.
    pub dimensions: Vec<usize>,
    /// The elements of the innermost dimension, one after the other.
    pub elements: Vec<Option<Cow<'a, str>>>,
}

/// Takes an array apart; none if the text is no array.
pub fn array(text: &str, delimiter: char) -> Option<Array<'_>> {
    let (bounds, text) = match text.starts_with('[') {
        true => text.split_once('=')?,
        false => ("", text),
    };
    let from_one = bounds
        .split_terminator(']')
        .all(|dimension| dimension.starts_with("[1:"));
    let mut array = Array {
        from_one,
        dimensions: Vec::new(),
        elements: Vec::new(),
    };
    let mut rest = text.strip_prefix('{')?;
    // How many values were met so far in each dimension that is open.
    let mut open = vec![0_usize];
    // The lengths of dimensions, once their first value was closed.
    let mut lengths: Vec<Option<usize>> = vec![None; MOST_DIMENSIONS];
    if rest == "}" {
        return Some(array);
    }
    let mut innermost = None;
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            open.push(0);
            (open.len() <= MOST_DIMENSIONS).then_some(())?;
            rest = inner;
            continue;
        }
        // Elements stand in the innermost dimension, which is the same everywhere.
        (*innermost.get_or_insert(open.len()) == open.len()).then_some(())?;
        let (element, after) = element(rest, delimiter)?;
        array.elements.push(element);
        rest = after;
        let count = open.last_mut()?;
        *count = count.checked_add(1)?;
        // What was closed counts as one value of the dimension around it.
        while let Some(after) = rest.strip_prefix('}') {
            let length = open.pop()?;
            let known = lengths.get_mut(open.len())?;
            (*known.get_or_insert(length) == length).then_some(())?;
            rest = after;
            match open.last_mut() {
                Some(count) => *count = count.checked_add(1)?,
                None => {
                    array.dimensions = lengths.into_iter().flatten().collect();
                    return rest.is_empty().then_some(array);
                }
            }
        }
        rest = rest.strip_prefix(delimiter)?;
    }
}

/// The element at the beginning of a text, and what follows it.
fn element(text: &str, delimiter: char) -> Option<(Option<Cow<'_, str>>, &str)> {
    if let Some(text) = text.strip_prefix('"') {
        let (element, after) = quoted(text)?;
        return Some((Some(Cow::Owned(element)), after));
    }
    let end = text.find([delimiter, '}'])?;
    let (element, after) = text.split_at_checked(end)?;
    if element.is_empty() {
        return None;
    }
    let value = (element != "NULL").then_some(element);
    if element.contains('\\') {
        return Some((value.map(|value| Cow::Owned(unescape(value))), after));
    }
    Some((value.map(Cow::Borrowed), after))
}

/// What stands up to the closing quote, and what follows that. A backslash takes the character
/// behind it as it is, and two quotes are one.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        let (before, special) = rest.split_at_checked(at)?;
        value.push_str(before);
        let mut chars = special.chars();
        match (chars.next()?, chars.next()) {
            ('"', Some('"')) => value.push('"'),
            ('"', _) => return Some((value, special.get(1..)?)),
            (_, escaped) => value.push(escaped?),
        }
        rest = chars.as_str();
    }
}

fn unescape(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        value.push(match c {
            '\\' => chars.next().unwrap_or('\\'),
            c => c,
        });
    }
    value
}

/// Takes a record apart; none if the text is no record.
pub fn record(text: &str) -> Option<Vec<Option<Cow<'_, str>>>> {
    let mut rest = text.strip_prefix('(')?;
    let mut fields = Vec::new();
    loop {
        let (field, after) = if let Some(text) = rest.strip_prefix('"') {
            let (field, after) = quoted(text)?;
            (Some(Cow::Owned(field)), after)
        } else {
            let end = rest.find([',', ')'])?;
            let (field, after) = rest.split_at_checked(end)?;
            ((!field.is_empty()).then_some(Cow::Borrowed(field)), after)
        };
        fields.push(field);
        rest = match after.strip_prefix(',') {
            Some(rest) => rest,
            None => return (after == ")").then_some(fields),
        };
    }
}

/// Appends text in quotes, for an array, a record or a map.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Option<Vec<Option<String>>> {
        let array = array(text, ',')?;
        let owned = |element: Option<Cow<'_, str>>| element.map(Cow::into_owned);
        Some(array.elements.into_iter().map(owned).collect())
    }

    fn some(values: &[Option<&str>]) -> Option<Vec<Option<String>>> {
        Some(
            values
                .iter()
                .map(|value| value.map(str::to_owned))
                .collect(),
        )
    }

    #[test]
    fn arrays() {
        for (text, expected) in [
            ("{}", some(&[])),
            ("{1,2}", some(&[Some("1"), Some("2")])),
            ("{NULL,\"NULL\"}", some(&[None, Some("NULL")])),
            (
                "{\"a,b\",\"c\\\"d\\\\e\",\"\"}",
                some(&[Some("a,b"), Some("c\"d\\e"), Some("")]),
            ),
            (
                "{{1,2},{3,4}}",
                some(&[Some("1"), Some("2"), Some("3"), Some("4")]),
            ),
            ("[0:1]={1,2}", some(&[Some("1"), Some("2")])),
            ("{ü,日本}", some(&[Some("ü"), Some("日本")])),
            ("", None),
            ("{", None),
            ("{1", None),
            ("{1,}", None),
            ("{1}}", None),
            ("{{1},2}", None),
            ("{{1},{2,3}}", None),
            ("{{{{{{{1}}}}}}}", None),
            ("{\"}", None),
            ("{\"\\", None),
        ] {
            assert_eq!(elements(text), expected, "{text}");
        }
        let bounded = array("[1:2][0:0]={{1},{2}}", ',').unwrap();
        assert!(!bounded.from_one);
        assert_eq!(bounded.dimensions, [2, 1]);
        assert!(array("{1}", ',').unwrap().from_one);
        assert_eq!(
            array("{(1,1),(0,0);(2,2),(1,1)}", ';')
                .unwrap()
                .elements
                .len(),
            2
        );
    }

    #[test]
    fn records() {
        let fields = |text| {
            let fields: Option<Vec<Option<String>>> = record(text)
                .map(|fields| fields.into_iter().map(|f| f.map(Cow::into_owned)).collect());
            fields
        };
        assert_eq!(
            fields("(1,\"a \"\"b\"\" \\\\\",)"),
            some(&[Some("1"), Some("a \"b\" \\"), None])
        );
        assert_eq!(fields("(\"\")"), some(&[Some("")]));
        assert_eq!(fields("()"), some(&[None]));
        for text in ["", "(", "(1", "(1))", "(\"a)", "1)"] {
            assert_eq!(fields(text), None, "{text}");
        }
    }
}
