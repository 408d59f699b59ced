//! Failures, for the person and for machines, and the exit code.

use std::fmt::Write;
use std::io;

use console::style;
use serde_json::{Value, json};

use super::{printable, printable_lines};
use crate::exit::Exit;
use crate::failure::{Failure, ServerFailure};
use crate::redact::Redactor;

/// The columns of a statement that are shown around the place of an error.
const EXCERPT: usize = 72;

/// The class of a failure; none for a reader that went away, which is no
/// failure.
pub fn exit(error: &anyhow::Error) -> Option<Exit> {
    if error.chain().any(reader_gone) {
        return None;
    }
    let class = |cause: &(dyn std::error::Error + 'static)| {
        let file = cause.is::<io::Error>()
            || cause.is::<parquet::errors::ParquetError>()
            || cause.is::<arrow_schema::ArrowError>();
        cause
            .downcast_ref::<Failure>()
            .map(|failure| failure.exit)
            .or_else(|| host_error(cause).map(|error| Exit::of(error.kind())))
            .or_else(|| file.then_some(Exit::File))
    };
    Some(error.chain().find_map(class).unwrap_or(Exit::Failure))
}

fn reader_gone(cause: &(dyn std::error::Error + 'static)) -> bool {
    let broken = |kind: Option<io::ErrorKind>| kind == Some(io::ErrorKind::BrokenPipe);
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return broken(Some(error.kind()));
    }
    if let Some(error) = cause.downcast_ref::<serde_json::Error>() {
        return broken(error.io_error_kind());
    }
    // These two say what is inside them, but do not all hand it on as a source.
    (cause.is::<parquet::errors::ParquetError>() || cause.is::<arrow_schema::ArrowError>())
        && cause.to_string().to_lowercase().contains("broken pipe")
}

/// The failure that the host reported, if it was one.
fn host_error<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e dagflux_host::Error> {
    cause.downcast_ref::<dagflux_host::Error>().or_else(|| {
        cause
            .downcast_ref::<ServerFailure>()
            .map(|failure| &failure.source)
    })
}

/// What both renderings draw from.
struct Parts<'e> {
    exit: Exit,
    messages: Vec<String>,
    host: Option<&'e dagflux_host::Error>,
    own: Option<&'e Failure>,
    server: Option<&'e ServerFailure>,
}

impl<'e> Parts<'e> {
    fn of(error: &'e anyhow::Error, exit: Exit) -> Self {
        let mut messages: Vec<String> = Vec::new();
        for cause in error.chain() {
            let message = cause.to_string();
            // Some libraries repeat the cause in their own sentence.
            if !messages.iter().any(|known| known.contains(&message)) {
                messages.push(message);
            }
        }
        Parts {
            exit,
            messages,
            host: error.chain().find_map(host_error),
            own: error
                .chain()
                .find_map(|cause| cause.downcast_ref::<Failure>()),
            server: error
                .chain()
                .find_map(|cause| cause.downcast_ref::<ServerFailure>()),
        }
    }

    fn hint(&self) -> &str {
        self.own
            .and_then(|failure| failure.hint.as_deref())
            .or_else(|| self.server.and_then(|failure| failure.hint.as_deref()))
            .or_else(|| self.host.and_then(|error| error.hint()))
            .unwrap_or(self.exit.next_step())
    }

    fn place(&self) -> Option<Place> {
        place(self.server?.sql.as_deref()?, self.host?.position()?)
    }

    /// The single faults, as lines.
    fn faults(&self) -> Vec<String> {
        match (self.own, self.host) {
            (Some(failure), _) => failure.faults.iter().map(ToString::to_string).collect(),
            (None, Some(error)) => error
                .faults()
                .iter()
                .map(|fault| fault.message.clone())
                .collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// The failure as the person sees it. Ends with the next step.
pub fn for_people(error: &anyhow::Error, exit: Exit) -> String {
    let parts = Parts::of(error, exit);
    let mut out = String::new();
    let mut messages = parts.messages.iter();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "{} {}",
        style("error:").red().bold().for_stderr(),
        printable_lines(messages.next().map_or("it failed", String::as_str))
    );
    for message in messages {
        let _ = writeln!(out, "  because: {}", printable_lines(message));
    }
    if let Some(place) = parts.place() {
        let lead = format!("  line {}: ", place.line);
        let _ = writeln!(out, "{lead}{}", printable(&place.excerpt));
        let _ = writeln!(
            out,
            "{}{}",
            " ".repeat(lead.len() + place.offset),
            style("^").red().bold().for_stderr()
        );
    }
    for fault in parts.faults() {
        let _ = writeln!(out, "  - {}", printable(&fault));
    }
    if let Some(detail) = parts.host.and_then(|error| error.detail()) {
        let _ = writeln!(out, "  detail: {}", printable_lines(detail));
    }
    if let Some(sqlstate) = parts.host.and_then(|error| error.sqlstate()) {
        let _ = writeln!(out, "  sqlstate: {}", printable(sqlstate));
    }
    if let Some(step) = parts.host.and_then(|error| error.step()) {
        let before = parts.host.map(|error| error.steps_before());
        let before: Vec<_> = (before.iter().flatten()).map(|step| step.taken()).collect();
        let _ = match before.as_slice() {
            [] => writeln!(out, "  step: {step}"),
            before => writeln!(out, "  step: {step} ({})", before.join(", ")),
        };
    }
    let _ = writeln!(
        out,
        "{} {}",
        style("next:").green().bold().for_stderr(),
        printable_lines(parts.hint())
    );
    out
}

/// The failure as a machine sees it: `{"error":{"kind":…,"message":…,…}}`,
/// without host, login name and network addresses.
pub fn for_machines(error: &anyhow::Error, exit: Exit, redactor: &Redactor) -> Value {
    let parts = Parts::of(error, exit);
    let redact = |text: &str| {
        let text = parts
            .host
            .map_or_else(|| text.to_owned(), |error| error.redact(text).into_owned());
        redactor.apply(&text)
    };
    let mut messages = parts.messages.iter().map(|message| redact(message));
    let kind = parts
        .own
        .map(|failure| failure.kind)
        .or(parts.host.map(|error| error.kind().as_str()));
    let mut value = json!({
        "kind": kind.unwrap_or(if exit == Exit::File { "io" } else { "other" }),
        "message": messages.next(),
        "causes": messages.collect::<Vec<_>>(),
        "hint": redact(parts.hint()),
        "exit_code": exit.code(),
        "retryable": parts.host.is_some_and(|error| error.is_retryable()),
    });
    let Some(object) = value.as_object_mut() else {
        return value;
    };
    if let Some(error) = parts.host {
        let attributes: serde_json::Map<String, Value> = error
            .attributes()
            .iter()
            .map(|(name, value)| (name.clone(), redact(value).into()))
            .collect();
        object.insert("sqlstate".into(), error.sqlstate().into());
        object.insert("detail".into(), error.detail().map(redact).into());
        object.insert("position".into(), error.position().into());
        object.insert("attributes".into(), attributes.into());
        let step = error.step().map(|step| step.as_str());
        object.insert("step".into(), step.into());
    }
    if let Some(place) = parts.place() {
        object.insert("line".into(), place.line.into());
        object.insert("column".into(), place.column.into());
    }
    let faults: Vec<Value> = match (parts.own, parts.host) {
        (Some(failure), _) => (failure.faults.iter())
            .map(|fault| json!({ "line": fault.line, "field": fault.field, "message": redact(&fault.message) }))
            .collect(),
        (None, Some(error)) => (error.faults().iter())
            .map(|fault| json!({ "field": fault.field, "message": redact(&fault.message) }))
            .collect(),
        (None, None) => Vec::new(),
    };
    object.insert("faults".into(), faults.into());
    json!({ "error": value })
}

/// A place in a statement.
#[derive(Debug, PartialEq)]
struct Place {
    /// Counted from 1.
    line: usize,
    /// In characters, counted from 1.
    column: usize,
    /// The line, or what of it is around the place.
    excerpt: String,
    /// Where in the excerpt the place is, in columns of the terminal.
    offset: usize,
}

/// Finds the character at `position`, counted from 1.
fn place(sql: &str, position: u32) -> Option<Place> {
    let index = usize::try_from(position).ok()?.checked_sub(1)?;
    let mut start = 0;
    for (number, line) in sql.split('\n').enumerate() {
        let length = line.chars().count();
        if index <= start + length {
            let column = index - start;
            // Control characters, tabs above all, take one column each.
            let plain: Vec<char> = line
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            let from = column.saturating_sub(EXCERPT / 2);
            let shown = plain.get(from..plain.len().min(from + EXCERPT))?;
            let before: String = plain.get(from..column)?.iter().collect();
            return Some(Place {
                line: number + 1,
                column: column + 1,
                excerpt: shown.iter().collect::<String>().trim_end().to_owned(),
                offset: console::measure_text_width(&before),
            });
        }
        start += length + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Fault;

    #[test]
    fn place_in_a_statement() {
        let sql = "SELECT 1,\n\tfroom lineitem";
        let found = place(sql, 12).unwrap();
        assert_eq!(
            (
                found.line,
                found.column,
                found.excerpt.as_str(),
                found.offset
            ),
            (2, 2, " froom lineitem", 1)
        );
        assert_eq!(place("SELEC", 6).unwrap().offset, 5);
        assert_eq!(place("SELEC", 8), None);
        assert_eq!(place("SELEC", 0), None);
        let long = format!("SELECT {} FROM", "x, ".repeat(100));
        let found = place(&long, 309).unwrap();
        assert_eq!(found.excerpt.chars().nth(found.offset), Some('F'));
        let wide = place("SELECT '日本' x y", 13).unwrap();
        assert_eq!(wide.offset, 14);
    }

    #[test]
    fn the_next_step_comes_last() {
        console::set_colors_enabled_stderr(false);
        let failure = Failure::configuration("connection \"x\" in c.toml has 2 faults")
            .hint("correct the file")
            .faults(vec![
                Fault {
                    line: Some(3),
                    field: "port".into(),
                    message: "\"port\" wants a whole number".into(),
                },
                Fault {
                    line: Some(4),
                    field: "host".into(),
                    message: "\"host\" is missing".into(),
                },
            ]);
        let error = anyhow::Error::from(failure);
        assert_eq!(exit(&error), Some(Exit::Configuration));
        assert_eq!(
            for_people(&error, Exit::Configuration),
            "error: connection \"x\" in c.toml has 2 faults\n  - line 3: \"port\" wants a whole number\n  \
             - line 4: \"host\" is missing\nnext: correct the file\n"
        );
        let value = for_machines(&error, Exit::Configuration, &Redactor::default());
        assert_eq!(value["error"]["kind"], "configuration");
        assert_eq!(value["error"]["exit_code"], 3);
        assert_eq!(
            value["error"]["faults"][0],
            serde_json::json!({ "line": 3, "field": "port", "message": "\"port\" wants a whole number" })
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(exit(&anyhow::Error::from(gone())), None);
        assert_eq!(
            exit(&anyhow::Error::from(gone()).context("while writing")),
            None
        );
        assert_eq!(
            exit(&anyhow::Error::from(arrow_schema::ArrowError::from(gone()))),
            None
        );
        assert_eq!(
            exit(&anyhow::Error::from(parquet::errors::ParquetError::from(
                gone()
            ))),
            None
        );
    }

    #[test]
    fn machines_do_not_learn_the_host() {
        let redactor = Redactor::default();
        redactor.add("db.example.com");
        let error = anyhow::anyhow!("no answer at 10.0.0.7").context("cannot reach db.example.com");
        let value = for_machines(&error, Exit::Connection, &redactor).to_string();
        assert!(
            !value.contains("example") && !value.contains("10.0.0.7"),
            "{value}"
        );
    }
}
