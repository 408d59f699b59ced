//! What the text and the server say, put together.

use super::context::{Context, is_system};
use super::functions;
use super::server::Answer;
use super::{Finding, Position, Rule, Severity, Slot, definition, server, text};
use crate::error::Error;
use crate::operation::sql::{self, Reading};
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
                        text::unread_parts(self, examination);
                        let message = format!("only the server can read it: {}", unread.message);
                        let repair =
                            "nothing has to be changed: what the server says of it is enough";
                        self.find(Severity::Note, Rule::NotParsed, message, repair);
                    }
                    // The server says what is wrong with it.
                    Answer::Refused(_) => {}
                    Answer::Unplanned | Answer::None => {
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

    /// Whether a table may be touched like this.
    pub(super) fn touch(&mut self, table: &TableName, access: Access) {
        let told = self.context.told(table);
        let writes = !matches!(access, Access::Read | Access::Lock);
        if writes {
            let own = self.context.is_target(table);
            let place = matches!(self.slot, Slot::Create | Slot::Insert | Slot::Change);
            match (place, own) {
                (true, true) => {}
                (true, false) => {
                    let target = match &self.context.target {
                        Some(target) => format!(
                            "change `{}` and nothing else",
                            self.context.told(&target.table)
                        ),
                        None => "change nothing".to_owned(),
                    };
                    let message = format!("it changes `{told}`, which is not its target");
                    self.find(Severity::Error, Rule::WritesOutsideTarget, message, target);
                }
                (false, _) => self.find(
                    Severity::Error,
                    Rule::WritesOutsideTarget,
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
            self.find(
                Severity::Error,
                Rule::SystemCatalog,
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
        self.find(Severity::Error, Rule::TableNotDeclared, message, repair);
    }

    pub(super) fn locks(&mut self) {
        self.find(
            Severity::Error,
            Rule::Locking,
            "it locks the rows that it reads",
            "leave out FOR UPDATE, FOR SHARE and the like",
        );
    }

    pub(super) fn calls(&mut self, function: &TableName, why: &str) {
        let function = functions::plain(function);
        self.find(
            Severity::Error,
            Rule::SideEffects,
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
