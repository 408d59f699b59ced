//! A report for people.

use std::io::Write;

use console::{StyledObject, Term, measure_text_width, style};
use dagflux_host::{Finding, Report, Severity};

use super::sql;
use crate::output::{printable, wrapped};

/// How wide the text is where no terminal says.
const WIDTH: usize = 100;

/// The narrowest a column of sentences becomes.
const LEAST: usize = 40;

/// Writes a report: what it is about, how it stands with each purpose, what was
/// found, and the SQL that mends it.
pub fn write(out: &mut impl Write, report: &Report) -> anyhow::Result<()> {
    let width = Term::stdout()
        .size_checked()
        .map_or(WIDTH, |(_, columns)| usize::from(columns));
    header(out, report)?;
    verdicts(out, report)?;
    findings(out, report, width)?;
    remedies(out, report)?;
    Ok(out.flush()?)
}

fn header(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let Some(server) = &report.server else {
        return Ok(());
    };
    writeln!(
        out,
        "{} {}, database {}, schema {}, {}\n",
        printable(&server.product),
        printable(&server.version),
        printable(&server.database),
        printable(&server.schema),
        match server.encrypted {
            true => "encrypted",
            false => "not encrypted",
        }
    )
}

fn verdicts(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let widths = report.verdicts.iter();
    let width = widths
        .map(|verdict| verdict.purpose.as_str().len())
        .max()
        .unwrap_or_default();
    for verdict in &report.verdicts {
        let word = match verdict.severity {
            Severity::Failed => style("not ready").red(),
            Severity::Warning => style("ready, with warnings").yellow(),
            _ => style("ready").green(),
        };
        writeln!(out, "{:width$}  {word}", verdict.purpose.as_str())?;
    }
    writeln!(out)
}

fn mark(severity: Severity) -> StyledObject<&'static str> {
    let word = severity.as_str();
    match severity {
        Severity::Passed => style(word).green(),
        Severity::Note => style(word).dim(),
        Severity::Warning => style(word).yellow(),
        Severity::Failed => style(word).red(),
        _ => style(word),
    }
}

fn findings(out: &mut impl Write, report: &Report, width: usize) -> std::io::Result<()> {
    let marks = longest(report, |finding| finding.severity.as_str().to_owned());
    let subjects = longest(report, |finding| printable(&finding.subject));
    let purposes = longest(report, |finding| for_what(report, finding));
    let before = marks + subjects + purposes + 6;
    let room = width.saturating_sub(before).max(LEAST);
    for finding in &report.findings {
        let severity = finding.severity;
        let gap = " ".repeat(marks - severity.as_str().len());
        let subject = padded(&printable(&finding.subject), subjects);
        let purposes = padded(&for_what(report, finding), purposes);
        let mut lines = wrapped(&printable(&finding.message), room).into_iter();
        let first = lines.next().unwrap_or_default();
        let lead = format!("{}{gap}  {subject}  {purposes}  {first}", mark(severity));
        writeln!(out, "{}", lead.trim_end())?;
        for line in lines {
            writeln!(out, "{}{line}", " ".repeat(before))?;
        }
    }
    Ok(())
}

fn longest(report: &Report, text: impl Fn(&Finding) -> String) -> usize {
    let widths = report.findings.iter();
    widths
        .map(|finding| measure_text_width(&text(finding)))
        .max()
        .unwrap_or_default()
}

fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(measure_text_width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The purposes a finding bears on; nothing where that is all that were asked
/// for.
fn for_what(report: &Report, finding: &Finding) -> String {
    if finding.purposes.len() == report.verdicts.len() {
        return match report.verdicts.len() {
            1 => String::new(),
            _ => "all".to_owned(),
        };
    }
    let names: Vec<_> = finding
        .purposes
        .iter()
        .map(|purpose| purpose.as_str())
        .collect();
    names.join(", ")
}

/// The SQL, by the role that runs it, in lines that can be copied as they are.
fn remedies(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    for part in [Severity::Failed, Severity::Warning] {
        let remedies = sql::by_role(report, part);
        for (role, steps) in remedies.to_run {
            let what = match part {
                Severity::Failed => "to mend what failed",
                _ => "to mend what is warned of",
            };
            writeln!(
                out,
                "\n{}",
                style(format!("{what}, run as {}:", sql::who(role.as_deref()))).bold()
            )?;
            writeln!(out)?;
            for step in steps {
                writeln!(out, "{}", printable(step.statement))?;
            }
        }
        for (subject, advice) in remedies.advice {
            writeln!(
                out,
                "\n{} {}",
                style(format!("{}:", printable(subject))).bold(),
                printable(advice)
            )?;
        }
        for (role, steps) in remedies.to_consider {
            let mut before = None;
            for step in steps {
                // What several statements have in common is said once.
                if before.replace((step.subject, step.advice)) != Some((step.subject, step.advice))
                {
                    let heading = format!(
                        "{}, as {}:",
                        printable(step.subject),
                        sql::who(role.as_deref())
                    );
                    let advice = step.advice.map(printable).unwrap_or_default();
                    writeln!(out, "\n{} {advice}\n", style(heading).bold())?;
                }
                writeln!(out, "{}", printable(step.statement))?;
            }
        }
    }
    Ok(())
}
