//! What the command prints: tables for people, JSON for machines.
//!
//! Results go to standard output, everything else to standard error. No ANSI
//! codes are written unless the stream is a terminal and `NO_COLOR` is unset;
//! the `console` crate decides that.

pub mod error;
pub mod losses;
pub mod progress;
pub mod receipt;
pub mod rows;
pub mod table;

use std::io::Write;
use std::time::Duration;

use dagflux_host::policy::text::is_deceptive;
use serde::Serialize;

/// Standard output, buffered. Writes fail with `BrokenPipe` when the reader is
/// gone; `main` ends quietly then.
pub fn stdout() -> std::io::BufWriter<std::io::Stdout> {
    std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout())
}

/// Prints a JSON document on one line.
///
/// # Errors
/// When standard output cannot be written.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = stdout();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// A number with commas between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 row", "2 rows".
pub fn rows(number: u64) -> String {
    format!(
        "{} {}",
        thousands(number),
        if number == 1 { "row" } else { "rows" }
    )
}

/// A remark that is no failure, on standard error.
pub fn warn(text: &str) {
    eprintln!(
        "{} {}",
        console::style("warning:").yellow().bold().for_stderr(),
        printable_lines(text)
    );
}

/// A size for people, in binary units.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A duration for people.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!(
            "{} min {:02} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    }
}

/// Text from a server or a connector, made safe for a terminal: control characters, which
/// could move the cursor or rename the window, become escapes, and so do those that turn
/// the direction of what follows round (UAX #9) or that nobody sees.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
    }
    out
}

/// As [`printable`], but line ends stay.
pub fn printable_lines(text: &str) -> String {
    text.split('\n')
        .map(|line| printable(line.trim_end_matches('\r')))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A sentence as lines, broken between words.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else {
            continue;
        };
        if line.is_empty() {
            line.push_str(word);
        } else if console::measure_text_width(line) + 1 + console::measure_text_width(word) <= width
        {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(6_001_215), "6,001,215");
        assert_eq!(rows(1), "1 row");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_millis(9_140)), "9.1 s");
        assert_eq!(duration(Duration::from_secs(75)), "1 min 15 s");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one", 2), ["one"]);
        assert_eq!(wrapped("größer als", 10), ["größer als"]);
        assert_eq!(wrapped("", 10), [""]);
    }

    #[test]
    fn terminals_are_not_steered_by_data() {
        assert_eq!(
            printable("a\u{1b}[2Jb\nc\u{7f}ü"),
            "a\\u{1b}[2Jb\\nc\\u{7f}ü"
        );
        assert_eq!(
            printable("user\u{202e}drow\u{2066}ssap"),
            "user\\u{202e}drow\\u{2066}ssap"
        );
    }
}
