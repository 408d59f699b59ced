//! The SQL of a report, by the role that must run it.

use std::io::Write;

use console::Term;
use dagflux_host::{Finding, Report, Severity};

use crate::output::printable;

/// One statement, and what it mends.
pub struct Step<'r> {
    /// What the finding is about.
    pub subject: &'r str,
    /// What was found.
    pub message: &'r str,
    /// The statement.
    pub statement: &'r str,
    /// What to know of it.
    pub advice: Option<&'r str>,
}

/// Statements by role, in the order in which roles first come up.
pub type ByRole<'r> = Vec<(Option<String>, Vec<Step<'r>>)>;

/// What can be done about the findings of one severity.
#[derive(Default)]
pub struct Remedies<'r> {
    /// What gives exactly what is missing.
    pub to_run: ByRole<'r>,
    /// What gives more.
    pub to_consider: ByRole<'r>,
    /// What no statement does, by what it is about.
    pub advice: Vec<(&'r str, &'r str)>,
}

/// Whoever is meant by a role, for a sentence.
pub fn who(role: Option<&str>) -> String {
    role.map_or_else(|| "an administrator".to_owned(), printable)
}

/// The remedies of the findings of one severity.
pub fn by_role(report: &Report, severity: Severity) -> Remedies<'_> {
    let mut remedies = Remedies::default();
    for finding in report
        .findings
        .iter()
        .filter(|finding| finding.severity == severity)
    {
        collect(finding, &mut remedies);
    }
    remedies
}

fn collect<'r>(finding: &'r Finding, remedies: &mut Remedies<'r>) {
    for remedy in &finding.remedies {
        let advice = remedy.advice.as_deref();
        if let (Some(advice), false) = (advice, remedy.gives_more) {
            remedies.advice.push((&finding.subject, advice));
        }
        let by_role = match remedy.gives_more {
            true => &mut remedies.to_consider,
            false => &mut remedies.to_run,
        };
        for statement in &remedy.statements {
            let step = Step {
                subject: &finding.subject,
                message: &finding.message,
                statement,
                advice,
            };
            match by_role.iter_mut().find(|(role, _)| *role == remedy.run_as) {
                Some((_, steps)) => steps.push(step),
                None => by_role.push((remedy.run_as.clone(), vec![step])),
            }
        }
    }
}

/// Writes the statements alone, under comments that say who runs them and why.
/// Those that give more than what is missing are comments themselves.
pub fn write(out: &mut impl Write, report: &Report) -> anyhow::Result<()> {
    // To a terminal, names with control characters go escaped; a program gets
    // the statement that does what it says.
    let terminal = Term::stdout().is_term();
    let statement = |text: &str| match terminal {
        true => printable(text),
        false => text.to_owned(),
    };
    let severities = [Severity::Failed, Severity::Warning];
    let parts = severities.map(|severity| by_role(report, severity));
    let mut first = true;
    let mut heading = |out: &mut dyn Write, what: &str, role: Option<&str>| {
        let gap = if std::mem::take(&mut first) { "" } else { "\n" };
        writeln!(out, "{gap}-- {what} as {}:", who(role))
    };
    let mut done: Vec<&Option<String>> = Vec::new();
    for (role, _) in parts.iter().flat_map(|part| &part.to_run) {
        if done.contains(&role) {
            continue;
        }
        done.push(role);
        heading(out, "Run", role.as_deref())?;
        let steps = parts.iter().flat_map(|part| &part.to_run);
        let mut before = None;
        for step in steps
            .filter(|(other, _)| other == role)
            .flat_map(|(_, steps)| steps)
        {
            explain(out, step, &mut before)?;
            writeln!(out, "{}", statement(step.statement))?;
        }
    }
    for (role, steps) in parts.iter().flat_map(|part| &part.to_consider) {
        heading(out, "To be decided; then run", role.as_deref())?;
        let mut before = None;
        for step in steps {
            if explain(out, step, &mut before)?
                && let Some(advice) = step.advice
            {
                writeln!(out, "-- {}", printable(advice))?;
            }
            writeln!(out, "-- {}", printable(step.statement))?;
        }
    }
    for (subject, advice) in parts.iter().flat_map(|part| &part.advice) {
        writeln!(out, "-- {}: {}", printable(subject), printable(advice))?;
    }
    Ok(out.flush()?)
}

/// Says what a statement is for, unless the one before was for the same.
fn explain<'r>(
    out: &mut impl Write,
    step: &Step<'r>,
    before: &mut Option<(&'r str, &'r str, Option<&'r str>)>,
) -> std::io::Result<bool> {
    let this = (step.subject, step.message, step.advice);
    if before.replace(this) == Some(this) {
        return Ok(false);
    }
    let (subject, message) = (printable(step.subject), printable(step.message));
    writeln!(out, "-- {subject}: {message}")?;
    Ok(true)
}
