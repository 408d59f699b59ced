//! What each purpose needs, and what it means when that is missing.

use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Finding, Purpose, Remedy, Severity, Verdict,
};

/// Every purpose, in the order of what they need.
pub const PURPOSES: [Purpose; 4] = [
    Purpose::Source,
    Purpose::NewTable,
    Purpose::InPlace,
    Purpose::Join,
];

/// Something that a login may have or lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// To reach what is in a schema.
    Usage,
    /// To read existing tables.
    Select,
    /// To add rows to existing tables.
    Insert,
    /// To change rows of existing tables.
    Update,
    /// To delete rows of existing tables.
    Delete,
    /// To draw values of the sequences that defaults draw from.
    Draw,
    /// To draw values of sequences behind identity columns, which inserts do by themselves.
    DrawIdentity,
    /// To see how far a sequence is.
    SeeSequence,
    /// To create tables.
    Create,
    /// To create temporary tables.
    Temporary,
    /// To change anything at all: no replica, no read-only default.
    Change,
    /// To alter existing tables.
    Own,
    /// To see all rows of a table.
    AllRows,
    /// Policies that let rows be added.
    InsertRows,
    /// Policies that let rows be changed.
    UpdateRows,
    /// Policies that let rows be deleted.
    DeleteRows,
}

/// By purpose, in the order of [`PURPOSES`].
pub type Grave = [Severity; 4];

/// How grave it is for each purpose that something is missing.
///
/// What the purpose does not need, but others that are close to it do, is a note.
pub const fn grave(need: Need) -> Grave {
    use Severity::{Failed as F, Note as N, Passed as P, Warning as W};
    match need {
        // for:             source, new table, in place, join
        Need::Usage => [F, F, F, F],
        Need::Select => [F, F, F, F],
        Need::Insert | Need::InsertRows => [P, N, W, F],
        Need::Update | Need::UpdateRows => [P, N, F, F],
        Need::Delete | Need::DeleteRows => [P, N, F, N],
        Need::Draw => [P, N, W, F],
        Need::DrawIdentity => [P, N, W, W],
        Need::SeeSequence => [P, N, W, W],
        Need::Create => [P, F, N, F],
        Need::Temporary => [P, P, P, F],
        Need::Change => [P, F, F, F],
        Need::Own => [P, P, W, P],
        Need::AllRows => [W, W, W, W],
    }
}

/// The graver of two, for each purpose.
pub fn graver(one: Grave, other: Grave) -> Grave {
    let mut both = one;
    for (grave, other) in both.iter_mut().zip(other) {
        *grave = (*grave).max(other);
    }
    both
}

/// No graver than a warning, as what will only matter later.
pub fn at_most_warning(grave: Grave) -> Grave {
    grave.map(|severity| severity.min(Severity::Warning))
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    purposes: Vec<Purpose>,
    /// Whether nothing was chosen, so that only `source` can fail.
    open: bool,
}

impl Asked {
    /// The purposes to look at.
    pub fn new(purposes: &[Purpose]) -> Self {
        let chosen = |purpose: &Purpose| purposes.is_empty() || purposes.contains(purpose);
        Self {
            purposes: PURPOSES.into_iter().filter(chosen).collect(),
            open: purposes.is_empty(),
        }
    }

    /// Those looked at, each with how grave something is for it.
    fn each(&self, grave: Grave) -> impl Iterator<Item = (Purpose, Severity)> {
        PURPOSES
            .into_iter()
            .zip(grave)
            .filter(|(purpose, _)| self.purposes.contains(purpose))
    }

    /// How grave it is in a finding: what only others than `source` need is a warning when
    /// nothing was asked for.
    fn shown(&self, purpose: Purpose, severity: Severity) -> Severity {
        match self.open && purpose != Purpose::Source {
            true => severity.min(Severity::Warning),
            false => severity,
        }
    }

    /// How grave a finding of it would be.
    pub fn severity(&self, grave: Grave) -> Severity {
        self.each(grave)
            .map(|(purpose, severity)| self.shown(purpose, severity))
            .max()
            .unwrap_or(Severity::Passed)
    }

    /// Whether it plays a part in what was asked for.
    pub fn wants(&self, need: Need) -> bool {
        self.severity(grave(need)) > Severity::Passed
    }
}

/// What was found so far, and what it means for each purpose.
pub struct Findings<'a> {
    asked: &'a Asked,
    findings: Vec<Finding>,
    worst: Grave,
}

impl<'a> Findings<'a> {
    /// Nothing found yet.
    pub fn new(asked: &'a Asked) -> Self {
        Self {
            asked,
            findings: Vec::new(),
            worst: [Severity::Passed; 4],
        }
    }

    /// Something is as it should be. Left out if nothing asked for takes it.
    pub fn passed(&mut self, needs: &[Need], subject: &str, message: impl Into<String>) {
        let grave = needs
            .iter()
            .map(|need| grave(*need))
            .fold([Severity::Passed; 4], graver);
        let concerned = |(purpose, severity)| (severity > Severity::Note).then_some(purpose);
        let purposes: Vec<_> = self.asked.each(grave).filter_map(concerned).collect();
        if purposes.is_empty() {
            return;
        }
        self.findings.push(Finding {
            severity: Severity::Passed,
            subject: subject.to_owned(),
            message: message.into(),
            purposes,
            remedies: Vec::new(),
        });
    }

    /// Something is missing. Left out if nothing asked for needs it.
    pub fn missing(
        &mut self,
        grave: Grave,
        subject: &str,
        message: impl Into<String>,
        remedies: Vec<Remedy>,
    ) {
        let severity = self.asked.severity(grave);
        if severity == Severity::Passed {
            return;
        }
        self.worst = graver(self.worst, grave);
        let purposes = self
            .asked
            .each(grave)
            .filter(|(purpose, grave)| {
                self.asked.shown(*purpose, *grave) == severity || *grave == Severity::Failed
            })
            .map(|(purpose, _)| purpose)
            .collect();
        let mut message = message.into();
        if severity == Severity::Note {
            message.push_str("; not needed for what was asked for");
        }
        self.findings.push(Finding {
            severity,
            subject: subject.to_owned(),
            message,
            purposes,
            remedies,
        });
    }

    /// On a replica, says once where the statements belong: it refuses all of them.
    pub fn belong_to_the_primary(&mut self) {
        let runnable = |finding: &Finding| {
            let mut remedies = finding.remedies.iter();
            remedies.any(|remedy| !remedy.statements.is_empty())
        };
        if !self.findings.iter().any(runnable) {
            return;
        }
        // Right after the server that answered.
        let at = self.findings.len().min(1);
        self.findings.insert(
            at,
            Finding {
                severity: Severity::Note,
                subject: "replica".into(),
                message:
                    "the server is a read-only replica, which refuses the statements below: run them on the primary"
                        .into(),
                purposes: self.asked.purposes.clone(),
                remedies: Vec::new(),
            },
        );
    }

    /// Has the statements of others begin with one of their own, unless they do already.
    pub fn begin_with(&mut self, statement: &str) {
        let remedies = self
            .findings
            .iter_mut()
            .flat_map(|finding| finding.remedies.iter_mut());
        for remedy in remedies.filter(|remedy| !remedy.statements.is_empty()) {
            if remedy.statements.first().map(String::as_str) != Some(statement) {
                remedy.statements.insert(0, statement.to_owned());
            }
        }
    }

    /// How the connection stands with each purpose asked for, and what was found.
    pub fn finish(self) -> (Vec<Verdict>, Vec<Finding>) {
        let verdicts = self
            .asked
            .each(self.worst)
            .map(|(purpose, severity)| Verdict { purpose, severity })
            .collect();
        (verdicts, self.findings)
    }
}

/// The needs that play a part, put together by how grave each is, the gravest first.
pub fn by_severity(
    asked: &Asked,
    needs: impl IntoIterator<Item = (Need, Grave)>,
) -> Vec<(Vec<Need>, Grave)> {
    let mut groups: Vec<(Severity, Vec<Need>, Grave)> = Vec::new();
    for (need, grave) in needs {
        let severity = asked.severity(grave);
        if severity == Severity::Passed {
            continue;
        }
        match groups.iter_mut().find(|(known, ..)| *known == severity) {
            Some((_, needs, worst)) => {
                needs.push(need);
                *worst = graver(*worst, grave);
            }
            None => groups.push((severity, vec![need], grave)),
        }
    }
    groups.sort_by_key(|(severity, ..)| std::cmp::Reverse(*severity));
    groups
        .into_iter()
        .map(|(_, needs, grave)| (needs, grave))
        .collect()
}
