//! What a check found, and the SQL of a set-up.

use serde::Serialize;

use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::encryption::Encryption;
use crate::error::{Error, REMEDY};
use crate::policy::redaction::Redactor;
use crate::receipt::Receipt;
use crate::step::ConnectStep;
use crate::types::{mirror, mirror_enum};

mirror! {
    /// The server at the other end.
    Server from wit::Server {
        /// What it calls itself.
        product / product: String,
        /// Its version.
        version / version: String,
        /// The database.
        database / database: String,
        /// The schema that names without one are looked up in.
        schema / schema: String,
        /// Whether the channel is encrypted.
        encrypted / encrypted: bool,
    }
}

mirror_enum! {
    /// What a connection is used for.
    #[derive(Hash)]
    Purpose from wit::Purpose {
        /// Its tables are read.
        Source = "source",
        /// Its tables are read, and results written to tables that are created
        /// for them.
        NewTable = "new-table",
        /// Rows of its tables are changed and deleted, and the tables altered.
        InPlace = "in-place",
        /// Rows from elsewhere are loaded into temporary tables, and the result
        /// written to a new table or merged into one that exists.
        Join = "join",
    }
}

impl Purpose {
    /// Every purpose, in the order of what they need.
    pub const ALL: [Self; 4] = [Self::Source, Self::NewTable, Self::InPlace, Self::Join];
}

impl From<Purpose> for wit::Purpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Source => Self::Source,
            Purpose::NewTable => Self::NewTable,
            Purpose::InPlace => Self::InPlace,
            Purpose::Join => Self::Join,
        }
    }
}

mirror_enum! {
    /// How a finding bears on using the connection, the least grave first.
    #[derive(PartialOrd, Ord)]
    Severity from wit::Severity {
        /// As it should be.
        Passed = "passed",
        /// Not needed for what was asked for, but for something close to it.
        Note = "note",
        /// It works, but will surprise.
        Warning = "warning",
        /// Something will not work.
        Failed = "failed",
    }
}

/// What a check looks at. The default: every purpose, in the schema of the
/// configuration; only what stands in the way of [`Purpose::Source`] fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// What the connection is to be fit for. With none, every purpose is looked
    /// at, and what stands in the way of others than reading is a warning.
    pub purposes: Vec<Purpose>,
    /// Whether to look at every schema but the system's own.
    pub all_schemas: bool,
}

impl CheckOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the connection is to be fit for.
    pub fn with_purpose(mut self, purpose: Purpose) -> Self {
        if !self.purposes.contains(&purpose) {
            self.purposes.push(purpose);
        }
        self
    }

    /// Adds several purposes.
    pub fn with_purposes(self, purposes: impl IntoIterator<Item = Purpose>) -> Self {
        purposes.into_iter().fold(self, Self::with_purpose)
    }

    /// Sets whether to look at every schema but the system's own.
    pub fn with_all_schemas(mut self, all_schemas: bool) -> Self {
        self.all_schemas = all_schemas;
        self
    }
}

impl From<CheckOptions> for wit::CheckOptions {
    fn from(options: CheckOptions) -> Self {
        Self {
            purposes: options.purposes.into_iter().map(Into::into).collect(),
            all_schemas: options.all_schemas,
        }
    }
}

mirror! {
    /// What one role can do about a finding.
    Remedy from wit::Remedy {
        /// The role that must act; none if it is not known or not one role, and
        /// the advice says who.
        run_as / run_as: Option<String>,
        /// SQL, complete and in order.
        statements / statements: Vec<String>,
        /// What to do where SQL does not help, or what to know of the SQL.
        advice / advice: Option<String>,
        /// Whether it gives the login more than what is missing.
        gives_more / gives_more: bool,
    }
}

/// One finding of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How it bears on using the connection.
    pub severity: Severity,
    /// What was looked at.
    pub subject: String,
    /// What was found. Long lists of tables are cut short.
    pub message: String,
    /// The purposes it bears on.
    pub purposes: Vec<Purpose>,
    /// What mends it, all of it, one for each role that must act.
    pub remedies: Vec<Remedy>,
}

impl From<wit::Finding> for Finding {
    fn from(from: wit::Finding) -> Self {
        Self {
            severity: from.severity.into(),
            subject: from.subject,
            message: from.message,
            purposes: from.purposes.into_iter().map(Into::into).collect(),
            remedies: from.remedies.into_iter().map(Into::into).collect(),
        }
    }
}

mirror! {
    /// How a connection stands with one purpose.
    Verdict from wit::Verdict {
        /// The purpose.
        purpose / purpose: Purpose,
        /// The gravest of what was found for it.
        severity / severity: Severity,
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The server that answered; none if no connection could be opened.
    pub server: Option<Server>,
    /// How the connection is encrypted; none if it is not, or was not opened.
    pub encryption: Option<Encryption>,
    /// How it stands with each purpose that was looked at.
    pub verdicts: Vec<Verdict>,
    /// What was found, in order.
    pub findings: Vec<Finding>,
    /// What the check cost.
    #[serde(skip)]
    pub receipt: Receipt,
    #[serde(skip)]
    redactor: Redactor,
}

impl From<wit::Report> for Report {
    fn from(from: wit::Report) -> Self {
        Self {
            server: Some(from.server.into()),
            encryption: None,
            verdicts: from.verdicts.into_iter().map(Into::into).collect(),
            findings: from.findings.into_iter().map(Into::into).collect(),
            receipt: Receipt::default(),
            redactor: Redactor::new(),
        }
    }
}

impl Report {
    /// The report of a check that came no further than `error`, with which
    /// [`Connector::connect`](crate::Connector::connect) failed.
    pub fn of_failure(error: &Error, options: &CheckOptions) -> Self {
        let purposes = match options.purposes.as_slice() {
            [] => Purpose::ALL.to_vec(),
            chosen => chosen.to_vec(),
        };
        let statements: Vec<String> = error
            .attributes()
            .iter()
            .filter(|(name, _)| name == REMEDY)
            .map(|(_, sql)| sql.clone())
            .collect();
        let message = match error.detail() {
            Some(detail) => format!("{error}: {detail}"),
            None => error.to_string(),
        };
        Self {
            receipt: Receipt::default(),
            server: None,
            encryption: None,
            verdicts: purposes
                .iter()
                .map(|purpose| Verdict {
                    purpose: *purpose,
                    severity: Severity::Failed,
                })
                .collect(),
            findings: vec![Finding {
                severity: Severity::Failed,
                subject: error
                    .step()
                    .map_or("connection", ConnectStep::as_str)
                    .to_owned(),
                message,
                purposes,
                remedies: vec![Remedy {
                    run_as: None,
                    advice: error
                        .hint()
                        .filter(|_| statements.is_empty())
                        .map(str::to_owned),
                    statements,
                    gives_more: false,
                }],
            }],
            redactor: error.redactor().clone(),
        }
    }

    /// Adds a finding of the host's own, behind the first.
    pub(crate) fn add(&mut self, finding: Finding) {
        for verdict in &mut self.verdicts {
            if finding.purposes.contains(&verdict.purpose) {
                verdict.severity = verdict.severity.max(finding.severity);
            }
        }
        self.findings.insert(self.findings.len().min(1), finding);
    }

    pub(crate) fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// This report for machines, without host and login name. The SQL has the psql variable
    /// `:"login"` for the login, so that `psql --set login=...` runs it.
    pub fn to_json(&self) -> serde_json::Value {
        let mut report = self.clone();
        let redact = |text: &mut String| *text = self.redactor.redact(text).into_owned();
        for finding in &mut report.findings {
            redact(&mut finding.subject);
            redact(&mut finding.message);
            for remedy in &mut finding.remedies {
                remedy.run_as.iter_mut().for_each(redact);
                remedy.advice.iter_mut().for_each(redact);
                for sql in &mut remedy.statements {
                    *sql = self.redactor.sql(sql);
                }
            }
        }
        serde_json::json!({
            "server": report.server,
            "encryption": report.encryption,
            "failed": self.has_failed(),
            "verdicts": report.verdicts,
            "findings": report.findings,
        })
    }

    /// Whether anything failed.
    pub fn has_failed(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Failed)
    }
}

/// Whom and what a set-up is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetUpNames {
    /// The database.
    pub database: String,
    /// The schema.
    pub schema: String,
    /// The login that is to be created.
    pub user: String,
    /// The roles that own tables in the schema, or will.
    pub owners: Vec<String>,
}

impl SetUpNames {
    /// A set-up for a login, in a schema of a database.
    pub fn new(
        database: impl Into<String>,
        schema: impl Into<String>,
        user: impl Into<String>,
    ) -> Self {
        Self {
            database: database.into(),
            schema: schema.into(),
            user: user.into(),
            owners: Vec::new(),
        }
    }

    /// Adds a role that owns tables in the schema, or will.
    pub fn with_owner(mut self, owner: impl Into<String>) -> Self {
        self.owners.push(owner.into());
        self
    }
}

impl SetUpStatement {
    /// Its SQL for machines: with the psql variable `:"login"` in place of the login's name.
    pub fn sql_for_machines(&self, user: &str) -> String {
        let mut redactor = Redactor::new();
        redactor.hide_login("login", user);
        redactor.sql(&self.sql)
    }
}

impl From<SetUpNames> for wit::SetUpNames {
    fn from(names: SetUpNames) -> Self {
        Self {
            database: names.database,
            schema: names.schema,
            user: names.user,
            owners: names.owners,
        }
    }
}

mirror! {
    /// One step of a set-up.
    SetUpStatement from wit::SetUpStatement {
        /// SQL.
        sql / sql: String,
        /// What it is for, and what to know of it.
        why / why: String,
        /// The role that must run it; none for an administrator.
        run_as / run_as: Option<String>,
        /// Whether it gives more than most need, and is for someone to decide.
        optional / optional: bool,
    }
}
