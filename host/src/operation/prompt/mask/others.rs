//! What looks like a number of a telephone and is none.

use super::patterns::{before, get, is_digit, is_word};

/// Whether what begins here is a date, as `2024-01-31`, `31.01.2024` or `01/31/2024`, or the number
/// behind one.
pub fn within_date(chars: &[char], at: usize) -> bool {
    let begin = |at: usize| -> Option<usize> {
        for shape in [[4, 2, 2], [2, 2, 4]] {
            let [a, b, c] = shape;
            let (second, third) = (at.checked_add(a + 1)?, at.checked_add(a + b + 2)?);
            let part = |from: usize, length: usize| -> Option<u32> {
                let end = from.checked_add(length)?;
                let digits: String = chars.get(from..end)?.iter().collect();
                let whole =
                    digits.bytes().all(|byte| byte.is_ascii_digit()) && !is_digit(get(chars, end));
                whole.then(|| digits.parse().ok()).flatten()
            };
            let (Some(first), Some(middle), Some(last)) =
                (part(at, a), part(second, b), part(third, c))
            else {
                continue;
            };
            let year = if a == 4 { first } else { last };
            let (x, y) = if a == 4 {
                (middle, last)
            } else {
                (first, middle)
            };
            let signs = (
                get(chars, at.checked_add(a)?)?,
                get(chars, second.checked_add(b)?)?,
            );
            let fits = (1000..=2999).contains(&year)
                && (1..=31).contains(&x)
                && (1..=31).contains(&y)
                && (x <= 12 || y <= 12)
                && signs.0 == signs.1
                && matches!(signs.0, '-' | '.' | '/');
            if fits {
                return third.checked_add(c);
            }
        }
        None
    };
    // Of a date that began before, its later parts are none either.
    let from = at.saturating_sub(9);
    (from..=at)
        .any(|start| !is_word(before(chars, start)) && begin(start).is_some_and(|end| at < end))
}

/// Whether this is in a UUID (RFC 9562, "UUID Format").
pub fn within_uuid(chars: &[char], at: usize) -> bool {
    let from = at.saturating_sub(36);
    (from..=at).any(|start| {
        let Some(text) = chars.get(start..start.saturating_add(36)) else {
            return false;
        };
        let fits = text.iter().enumerate().all(|(place, c)| match place {
            8 | 13 | 18 | 23 => *c == '-',
            _ => c.is_ascii_hexdigit(),
        });
        fits && !is_word(before(chars, start)) && !is_word(get(chars, start.saturating_add(36)))
    })
}
