//! Messages from the server that do not come once per row.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{
    AuthenticationSaslBody, DataRowBody, ErrorFields, ParameterDescriptionBody, RowDescriptionBody,
};
pub use postgres_protocol::message::backend::{CommandCompleteBody, Message};

use super::Violation;
use super::frame::Frame;

/// Tag of a row of a query.
pub const DATA_ROW: u8 = b'D';
/// Tag of a row of a `COPY TO STDOUT`.
pub const COPY_DATA: u8 = b'd';

/// Reads a message that stands on its own.
///
/// # Errors
/// When the tag is unknown or the body is not what the tag says.
pub fn parse(frame: Frame<'_>) -> Result<Message, Violation> {
    let mut bytes = BytesMut::from(frame.whole);
    match Message::parse(&mut bytes)? {
        Some(message) => Ok(message),
        None => Err(Violation::new("a message that ends early")),
    }
}

/// One column of a result, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDescription {
    /// Its name; names can repeat.
    pub name: String,
    /// The object id of its type; for a domain, that of the type below it.
    pub type_oid: u32,
    /// The type's modifier; -1 if it has none.
    pub modifier: i32,
}

/// The most columns a result can have. Manual: Appendix K, "PostgreSQL Limits".
const MOST_COLUMNS: usize = 1664;

/// The columns of a result.
///
/// # Errors
/// When the message is malformed, or announces more columns than there can be.
pub fn columns(body: &RowDescriptionBody) -> Result<Vec<ColumnDescription>, Violation> {
    if body.fields().size_hint().0 > MOST_COLUMNS {
        return Err(Violation::new("a result of more than 1664 columns"));
    }
    Ok(body
        .fields()
        .map(|field| {
            Ok(ColumnDescription {
                name: field.name().to_owned(),
                type_oid: field.type_oid(),
                modifier: field.type_modifier(),
            })
        })
        .collect()?)
}

/// How many parameters a statement takes.
///
/// # Errors
/// When the message is malformed.
pub fn parameter_count(body: &ParameterDescriptionBody) -> Result<usize, Violation> {
    Ok(body.parameters().count()?)
}

/// A row whose values came as text.
pub type TextRow = Vec<Option<String>>;

/// The values of a row that came as text.
///
/// # Errors
/// When the message is malformed or a value is not UTF-8.
pub fn text_row(body: &DataRowBody) -> Result<TextRow, Violation> {
    let buffer = body.buffer();
    let mut row = Vec::new();
    let mut ranges = body.ranges();
    while let Some(range) = ranges.next()? {
        row.push(match range {
            None => None,
            Some(range) => Some(
                buffer
                    .get(range)
                    .and_then(|bytes| std::str::from_utf8(bytes).ok())
                    .ok_or_else(|| Violation::new("text that is not UTF-8"))?
                    .to_owned(),
            ),
        });
    }
    Ok(row)
}

/// The SASL mechanisms the server offers.
///
/// # Errors
/// When the message is malformed.
pub fn mechanisms(body: &AuthenticationSaslBody) -> Result<Vec<String>, Violation> {
    Ok(body
        .mechanisms()
        .map(|name| Ok(name.to_owned()))
        .collect()?)
}

/// Makes sure that all rows have come: the command tag of a SELECT or a COPY ends in how many
/// there are.
///
/// # Errors
/// When there are others, or the tag is no text.
pub fn all_have_come(body: &CommandCompleteBody, count: u64) -> Result<(), Violation> {
    let mut parts = body.tag()?.split(' ');
    let command = parts.next();
    match parts.next_back().and_then(|rows| rows.parse::<u64>().ok()) {
        Some(rows) if rows != count && matches!(command, Some("SELECT" | "COPY")) => Err(
            Violation::new(format!("{count} rows, of which the server counts {rows}")),
        ),
        _ => Ok(()),
    }
}

/// What an error or a notice says, field by field.
///
/// Manual: "Error and Notice Message Fields".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The severity, never localised (from 9.6); else as the server writes it.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The text.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// The calls that led there, such as the line of a COPY.
    pub context: Option<String>,
    /// The schema it is about.
    pub schema: Option<String>,
    /// The table it is about.
    pub table: Option<String>,
    /// The column it is about.
    pub column: Option<String>,
    /// The constraint it is about.
    pub constraint: Option<String>,
    /// The server's function that raised it: the same in every language.
    pub routine: Option<String>,
}

impl Report {
    /// Whether the server ends the connection with it.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}

/// The most of a field that is kept, in bytes. What a server says of a failure is read by a
/// person, while a message can be as long as a row.
const FIELD: usize = 64 * 1024;

/// The beginning of a field, as far as it can be read.
fn readable(value: &[u8]) -> String {
    // Not in the middle of a character.
    let is_boundary = |at: &usize| value.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80);
    let end = (FIELD.saturating_sub(3)..=FIELD).rev().find(is_boundary);
    match value.get(..end.unwrap_or(FIELD)) {
        Some(beginning) if value.len() > FIELD => {
            let mut text = String::from_utf8_lossy(beginning).into_owned();
            text.push('…');
            text
        }
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// Reads the fields of an error or a notice.
///
/// Text that is not UTF-8 is kept as far as it can be read: before login the server writes in
/// its own encoding.
///
/// # Errors
/// When the message is malformed.
pub fn report(mut fields: ErrorFields<'_>) -> Result<Report, Violation> {
    let mut report = Report::default();
    let mut localised = String::new();
    while let Some(field) = fields.next()? {
        let text = readable(field.value_bytes());
        match field.type_() {
            b'S' => localised = text,
            b'V' => report.severity = text,
            b'C' => report.code = text,
            b'M' => report.message = text,
            b'D' => report.detail = Some(text),
            b'H' => report.hint = Some(text),
            b'P' => report.position = text.parse().ok(),
            b'W' => report.context = Some(text),
            b's' => report.schema = Some(text),
            b't' => report.table = Some(text),
            b'c' => report.column = Some(text),
            b'n' => report.constraint = Some(text),
            b'R' => report.routine = Some(text),
            _ => {}
        }
    }
    if report.severity.is_empty() {
        report.severity = localised;
    }
    Ok(report)
}
