//! What the text and the server say, put together.

use super::context::{Context, is_system};
use super::functions;
use super::server::Answer;
use super::{Finding, Position, Rule, Severity, Slot, definition, server, text, unread};
use crate::error::Error;
use crate::operation::sql::{self, Dialect, Reading};
use crate::types::{Access, Examination, TableName};

/// Looks at one statement: at its text, and at what the server says of it, if it was asked.
///
/// `at` is where the operation has it, as in `statements.insert`. An `examined` that failed says what
/// is wrong with the statement, as [`Connection::examine`](crate::Connection::examine) does: errors
/// of other kinds are for the caller.
pub fn judge(
    slot: Slot,
    at: &str,
    text: &str,
    examined: Option<Result<&Examination, &Error>>,
    context: &Context,
) -> Vec<Finding> {
    let reading = sql::read(context.dialect, text);
    let mut judging = Judging {
        slot,
        at,
        text,
        context,
        reading: &reading,
        findings: Vec::new(),
    };
    judging.all(Answer::of(examined));
    judging.sorted()
}

/// One statement, and what was found so far.
pub(super) struct Judging<'j> {
    pub(super) slot: Slot,
    at: &'j str,
    pub(super) text: &'j str,
    pub(super) context: &'j Context,
    pub(super) reading: &'j Reading<'j>,
    findings: Vec<Finding>,
}

impl<'j> Judging<'j> {
    fn all(&mut self, answer: Answer<'_>) {
        if !text::pieces(self) {
            return;
        }
        let reading = self.reading;
        match &reading.parsed {
            Ok(facts) => {
                text::kind(self, facts);
                text::parts(self, facts);
                text::tables(self, facts, answer);
                text::functions(self, facts, answer);
                definition::judge(self, facts);
                if !matches!(answer, Answer::Planned(_)) {
                    text::columns(self, facts);
                }
            }
            Err(unread) => {
                let may_be = text::may_be_of_kind(self);
                match answer {
                    // What it is instead has been said.
                    _ if !may_be || self.has_errors() => {}
                    Answer::Planned(examination) => {
                        unread::parts(self, examination);
                        let message = format!("only the server can read it: {}", unread.message);
                        let repair =
                            "nothing has to be changed: what the server says of it is enough";
                        self.find(Severity::Note, Rule::NotParsed, message, repair);
                    }
                    // The server says what is wrong with it.
                    Answer::Refused(error) if !server::has_to_wait(self, error) => {}
                    Answer::Refused(_) | Answer::Unplanned(_) | Answer::Unable | Answer::None => {
                        let position = unread
                            .position
                            .map(|(line, column)| Position { line, column });
                        self.find_at(
                            Severity::Error,
                            Rule::NotParsed,
                            position,
                            format!("it cannot be read: {}", unread.message),
                            "write it in plainer words of the dialect, without clauses that are only for tuning",
                        );
                    }
                }
            }
        }
        server::judge(self, answer);
    }

    pub(super) fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Error)
    }

    pub(super) fn find(
        &mut self,
        severity: Severity,
        rule: Rule,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) {
        self.find_at(severity, rule, None, message, repair);
    }

    pub(super) fn find_at(
        &mut self,
        severity: Severity,
        rule: Rule,
        position: Option<Position>,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) {
        let finding = Finding {
            severity,
            rule,
            at: self.at.to_owned(),
            position,
            message: message.into(),
            repair: repair.into(),
        };
        // Text and server may say the same.
        let mut known = self.findings.iter();
        if !known.any(|known| known.rule == rule && known.message == finding.message) {
            self.findings.push(finding);
        }
    }

    /// The place of a byte of the text.
    pub(super) fn place(&self, at: usize) -> Option<Position> {
        let (line, column) = sql::place(self.text, at);
        Some(Position { line, column })
    }

    /// Where a name is written first.
    fn place_of(&self, name: &str) -> Option<Position> {
        let dialect = self.context.dialect;
        let mut tokens = self.reading.tokens.iter();
        let token = tokens.find(|token| {
            let written = dialect.name_of(token);
            written.is_some_and(|written| dialect.is_same(&written, name))
        })?;
        self.place(token.at)
    }

    /// The table that a name without a schema stands for, if it is the server's own.
    fn resolved(&self, table: &TableName) -> TableName {
        let postgres = matches!(self.context.dialect, Dialect::Postgres | Dialect::Redshift);
        match &table.schema {
            None if postgres && is_system(table) => {
                TableName::in_schema("pg_catalog", table.name.clone())
            }
            _ => table.clone(),
        }
    }

    /// Whether a table may be touched like this.
    pub(super) fn touch(&mut self, table: &TableName, access: Access) {
        let table = &self.resolved(table);
        let told = self.context.told(table);
        let place = self.place_of(&table.name);
        let writes = !matches!(access, Access::Read | Access::Lock);
        if writes {
            let own = self.context.is_target(table);
            let may = match self.slot {
                Slot::Create | Slot::Insert => access == Access::Insert,
                Slot::Change => matches!(access, Access::Update | Access::Delete),
                Slot::Select | Slot::Preview => false,
            };
            let reads = matches!(self.slot, Slot::Select | Slot::Preview);
            match (reads, own) {
                (false, true) if may => {}
                (false, true) => self.find_at(
                    Severity::Error,
                    Rule::StatementKind,
                    place,
                    format!("what it does with `{told}` is not what its place is for"),
                    text::wanted(self.slot),
                ),
                (false, false) => {
                    let target = match &self.context.target {
                        Some(target) => format!(
                            "change `{}` and nothing else",
                            self.context.told(&target.table)
                        ),
                        None => "change nothing".to_owned(),
                    };
                    let message = format!("it changes `{told}`, which is not its target");
                    self.find_at(
                        Severity::Error,
                        Rule::WritesOutsideTarget,
                        place,
                        message,
                        target,
                    );
                }
                (true, _) => self.find_at(
                    Severity::Error,
                    Rule::WritesOutsideTarget,
                    place,
                    format!("it changes `{told}`, and is to read only"),
                    "write a SELECT that changes nothing",
                ),
            }
            return;
        }
        if access == Access::Lock {
            self.locks();
        }
        if self.context.may_read(table) {
            return;
        }
        if is_system(table) {
            self.find_at(
                Severity::Error,
                Rule::SystemCatalog,
                place,
                format!("it reads `{told}`, a table of the server's own"),
                format!(
                    "read only what the operation has: {}",
                    self.context.readable()
                ),
            );
            return;
        }
        let declared: Vec<String> = self
            .context
            .declared()
            .map(|known| self.context.told(&known.table))
            .collect();
        let near = super::nearest::nearest(&told, declared.iter().map(String::as_str));
        let repair = match near {
            Some(near) => format!(
                "did you mean `{near}`? The operation has {}",
                self.context.readable()
            ),
            None => format!(
                "read only what the operation has: {}; or add `{told}` to its sources",
                self.context.readable()
            ),
        };
        let message = format!("it reads `{told}`, which the operation does not have");
        self.find_at(
            Severity::Error,
            Rule::TableNotDeclared,
            place,
            message,
            repair,
        );
    }

    pub(super) fn locks(&mut self) {
        self.find(
            Severity::Error,
            Rule::Locking,
            "it locks the rows that it reads",
            "leave out FOR UPDATE, FOR SHARE and the like",
        );
    }

    pub(super) fn calls(&mut self, rule: Rule, function: &TableName) {
        let function = functions::plain(function);
        let place = self.place_of(&function.name);
        let why = match rule {
            Rule::UnknownFunction => "and the server cannot say here what that does",
            _ => "which may do more than compute a value",
        };
        self.find_at(
            Severity::Error,
            rule,
            place,
            format!("it calls `{function}`, {why}"),
            "leave it out, or compute the value from columns with the dialect's own functions",
        );
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.rule));
        self.findings
    }
}
