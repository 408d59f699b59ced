//! Years that have a sign in ISO 8601, and an era on servers.

use std::borrow::Cow;

use arrow_array::StringArray;

/// Dates and timestamps with years before 1 or beyond 9999, as exports write them
/// (`-4713-11-24`, `+10000-01-01`), in the words of servers (`4714-11-24 BC`, `10000-01-01`).
pub fn with_eras(text: &StringArray) -> StringArray {
    if text.iter().flatten().all(|value| split(value).is_none()) {
        return text.clone();
    }
    text.iter().map(|value| value.map(with_era)).collect()
}

fn with_era(text: &str) -> Cow<'_, str> {
    match split(text) {
        Some((year @ 1.., rest)) => Cow::Owned(format!("{year:04}{rest}")),
        Some((year, rest)) => Cow::Owned(format!("{:04}{rest} BC", 1 - year)),
        None => Cow::Borrowed(text),
    }
}

/// The year, if servers write it in another way, and what is behind it.
fn split(text: &str) -> Option<(i32, &str)> {
    if !text.starts_with(['-', '+']) && !text.starts_with("0000-") {
        return None;
    }
    let digits = text.trim_start_matches(['-', '+']);
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let (year, rest) = digits.split_at(end);
    let year: i32 = year.parse().ok().filter(|_| end >= 4)?;
    let mut date = rest.bytes();
    let dashes = date.next() == Some(b'-') && date.nth(2) == Some(b'-');
    dashes.then(|| match text.starts_with('-') {
        true => (-year, rest),
        false => (year, rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_become_eras() {
        for (text, expected) in [
            ("-4713-11-24T00:00:00Z", "4714-11-24T00:00:00Z BC"),
            ("0000-02-29", "0001-02-29 BC"),
            (
                "+10000-01-01T00:00:00.000001Z",
                "10000-01-01T00:00:00.000001Z",
            ),
            ("2024-02-29", "2024-02-29"),
            ("-infinity", "-infinity"),
            ("-1 days", "-1 days"),
            ("00000101", "00000101"),
            ("", ""),
        ] {
            let text = StringArray::from(vec![Some(text), None]);
            let expected = StringArray::from(vec![Some(expected), None]);
            assert_eq!(with_eras(&text), expected);
        }
    }
}
