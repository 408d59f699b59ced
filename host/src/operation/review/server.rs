//! What the server says.

use super::judge::Judging;
use super::nearest::nearest;
use super::{Position, Rule, Severity, Slot, text};
use crate::error::{Error, ErrorKind};
use crate::operation::sql::{self, TokenKind};
use crate::types::{Examination, TableName};

/// What became of asking the server.
#[derive(Clone, Copy)]
pub(super) enum Answer<'a> {
    /// It was not asked, or cannot tell.
    None,
    /// It was asked, and has no way to tell.
    Unable,
    /// It takes the statement, and does not say which tables it touches.
    Unplanned(&'a Examination),
    /// It says what the statement does.
    Planned(&'a Examination),
    /// It does not take the statement.
    Refused(&'a Error),
}

impl<'a> Answer<'a> {
    pub(super) fn of(examined: Option<Result<&'a Examination, &'a Error>>) -> Self {
        match examined {
            None => Self::None,
            Some(Ok(examination)) if examination.tables.is_none() => Self::Unplanned(examination),
            Some(Ok(examination)) => Self::Planned(examination),
            Some(Err(error)) if error.kind() == ErrorKind::Unsupported => Self::Unable,
            Some(Err(error)) => Self::Refused(error),
        }
    }
}

pub(super) fn judge(judging: &mut Judging<'_>, answer: Answer<'_>) {
    match answer {
        Answer::None => {}
        Answer::Unplanned(examination) => effects(judging, examination),
        Answer::Unable => judging.find(
            Severity::Warning,
            Rule::NotExamined,
            "the server cannot look at it without carrying it out",
            "write it in a simpler way, or split it up",
        ),
        Answer::Planned(examination) => planned(judging, examination),
        Answer::Refused(error) => refused(judging, error),
    }
}

fn effects(judging: &mut Judging<'_>, examination: &Examination) {
    for effect in &examination.effects {
        // As the server writes it, perhaps with its arguments.
        let name = effect.split('(').next().unwrap_or(effect);
        let function = name.parse().unwrap_or_else(|_| TableName::new(name));
        judging.calls(Rule::SideEffects, &function);
    }
}

fn planned(judging: &mut Judging<'_>, examination: &Examination) {
    for table in examination.tables.iter().flatten() {
        let name = TableName::in_schema(table.schema.clone(), table.name.clone());
        // What is behind a view is the view's affair: reading it, and changing it by changing the view.
        if !table.behind_view {
            judging.touch(&name, table.access);
        }
    }
    effects(judging, examination);
    if judging.slot == Slot::Select {
        columns_stored(judging, examination);
    }
    if examination.columns.is_none() && matches!(judging.slot, Slot::Select | Slot::Preview) {
        judging.find(
            Severity::Error,
            Rule::StatementKind,
            "it gives no rows",
            "write a SELECT",
        );
    }
}

/// Whether the columns of a result can be stored.
fn columns_stored(judging: &mut Judging<'_>, examination: &Examination) {
    let columns = examination.columns.as_deref().unwrap_or_default();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let unnamed = |name: &&str| name.is_empty() || *name == "?column?";
    let number = names.iter().copied().filter(|name| unnamed(name)).count();
    if number > 0 {
        text::unnamed(judging, number);
    }
    let named: Vec<&str> = names.into_iter().filter(|name| !unnamed(name)).collect();
    text::stored(judging, &named);
}

/// The rule that an error is about.
fn rule(error: &Error) -> Rule {
    match error.sqlstate() {
        Some("42703") => return Rule::ColumnNotFound,
        Some("42P01" | "3F000") => return Rule::TableNotFound,
        Some("42883") if error.to_string().starts_with("function") => {
            return Rule::FunctionNotFound;
        }
        Some(
            "42883" | "42804" | "42846" | "42725" | "42P18" | "42P08" | "42P21" | "42P22" | "42704",
        ) => return Rule::TypeMismatch,
        Some("42P02") => return Rule::Parameters,
        // Invalid texts, dates, ... but not what a value turns out to be, such as a division by zero.
        Some(state) if state.starts_with("22") && state != "22012" => return Rule::TypeMismatch,
        _ => {}
    }
    match error.kind() {
        ErrorKind::Syntax if error.to_string().starts_with("INSERT has") => Rule::ResultMismatch,
        ErrorKind::Syntax => Rule::Syntax,
        ErrorKind::ColumnNotFound => Rule::ColumnNotFound,
        ErrorKind::TableNotFound | ErrorKind::SchemaNotFound => Rule::TableNotFound,
        ErrorKind::Value => Rule::TypeMismatch,
        ErrorKind::SchemaMismatch => Rule::ResultMismatch,
        ErrorKind::PermissionDenied => Rule::PermissionDenied,
        _ => Rule::Rejected,
    }
}

fn refused(judging: &mut Judging<'_>, error: &Error) {
    // What a statement has that it must not have is said already, and in words that help more.
    if error.kind() == ErrorKind::UnsupportedStatement && judging.has_errors() {
        return;
    }
    let at = error.position().map(|at| sql::byte_of(judging.text, at));
    let position = at.map(|at| {
        let (line, column) = sql::place(judging.text, at);
        Position { line, column }
    });
    let rule = rule(error);
    let name = at.and_then(|at| name_at(judging, at));
    if has_to_wait(judging, error) {
        let message =
            format!("the server cannot look at it before what precedes it is done: {error}");
        let repair = "nothing has to be changed: it is looked at when the operation is rehearsed";
        judging.find_at(Severity::Note, Rule::NotExamined, position, message, repair);
        return;
    }
    let repair = match rule {
        Rule::ColumnNotFound => columns_to_use(judging, name.as_deref()),
        Rule::TableNotFound => format!("the operation has {}", judging.context.readable()),
        Rule::TypeMismatch => with_hint(
            error,
            "cast one of the values, CAST(value AS type), so that the types fit",
        ),
        Rule::FunctionNotFound => with_hint(
            error,
            "use a function of the dialect, or cast its arguments to the types that it takes",
        ),
        Rule::ResultMismatch => with_hint(
            error,
            "select as many columns as are filled, in their order",
        ),
        Rule::PermissionDenied => with_hint(
            error,
            "leave out what the login may not do, or have it granted",
        ),
        _ => with_hint(error, "write it as the dialect wants it"),
    };
    judging.find_at(Severity::Error, rule, position, error.to_string(), repair);
}

fn with_hint(error: &Error, otherwise: &str) -> String {
    match error.hint().or(error.detail()) {
        Some(hint) => format!("{otherwise}. The server says: {hint}"),
        None => otherwise.to_owned(),
    }
}

/// Whether an error can be for lack of what an earlier statement does.
pub(super) fn has_to_wait(judging: &Judging<'_>, error: &Error) -> bool {
    let pending = &judging.context.pending;
    match rule(error) {
        Rule::ColumnNotFound => {
            let at = error.position();
            let at = at.map(|at| sql::byte_of(judging.text, at));
            let dialect = judging.context.dialect;
            at.and_then(|at| name_at(judging, at))
                .is_some_and(|name| pending.iter().any(|column| dialect.is_same(column, &name)))
        }
        Rule::TypeMismatch | Rule::FunctionNotFound => !pending.is_empty(),
        _ => false,
    }
}

/// The last part of the name that is written at a byte of the text.
fn name_at(judging: &Judging<'_>, at: usize) -> Option<String> {
    let tokens = &judging.reading.tokens;
    let mut rest = tokens.iter().skip_while(|token| token.at < at).peekable();
    let mut name = None;
    while let Some(token) =
        rest.next_if(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
    {
        name = judging.context.dialect.name_of(token);
        if rest.next_if(|token| token.is_symbol('.')).is_none() {
            break;
        }
    }
    name
}

fn columns_to_use(judging: &Judging<'_>, name: Option<&str>) -> String {
    let context = judging.context;
    let columns = || {
        context.declared().flat_map(|known| {
            let columns = known.columns.iter();
            columns.map(move |column| (column.as_str(), context.told(&known.table)))
        })
    };
    let near = name.and_then(|name| nearest(name, columns().map(|(column, _)| column)));
    if let Some((column, table)) =
        near.and_then(|near| columns().find(|(column, _)| *column == near))
    {
        return format!("did you mean `{column}` of `{table}`?");
    }
    let known: Vec<String> = context
        .declared()
        .filter(|known| !known.columns.is_empty())
        .map(|known| {
            format!(
                "`{}` has {}",
                context.told(&known.table),
                known.columns.join(", ")
            )
        })
        .collect();
    match known.is_empty() {
        true => "use the columns that the tables have".to_owned(),
        false => format!("use the columns that there are: {}", known.join("; ")),
    }
}
