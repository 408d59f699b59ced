//! The matrix: what becomes of connecting, for every combination of a server's rules and
//! certificate with a client's mode, here and with libpq (by `psql`). The outcomes are the
//! same, or ours is a stricter one that [`STRICTER`] lists.

mod case;
mod libpq;
mod ours;
mod servers;

use std::io::Write;

use anyhow::{Result, ensure};
use dagflux_test_support::ServerCertificate;

use case::{Case, Client, Mode, Outcome};
use servers::Stage;

/// Where we refuse and libpq does not, and why.
const STRICTER: [Stricter; 3] = [
    Stricter {
        reason: "the password is never sent in the clear, whatever is around it",
        applies: |case| case.rule.method == "password",
        ours: Outcome::Login,
    },
    Stricter {
        reason: "a certificate's names are its subjectAltNames; libpq also takes the common name",
        applies: |case| {
            case.certificate == Some(ServerCertificate::CommonNameOnly)
                && matches!(case.mode, Mode::VerifyFull | Mode::On)
        },
        ours: Outcome::Tls,
    },
    Stricter {
        reason: "a client certificate for a connection without encryption is taken for a mistake",
        applies: |case| {
            case.client != Client::None && matches!(case.mode, Mode::Off | Mode::Disable)
        },
        ours: Outcome::Configuration,
    },
];

/// A rule of ours, by which we refuse.
struct Stricter {
    reason: &'static str,
    applies: fn(&Case) -> bool,
    ours: Outcome,
}

/// A case with both outcomes.
struct Line {
    case: Case,
    libpq: Outcome,
    ours: Outcome,
    /// What was said, for a person who looks into a difference.
    said: String,
}

impl Line {
    fn verdict(&self) -> std::result::Result<&'static str, ()> {
        let permitted =
            |stricter: &&Stricter| (stricter.applies)(&self.case) && self.ours == stricter.ours;
        if self.ours == self.libpq {
            Ok("equal")
        } else if STRICTER.iter().any(|stricter| permitted(&stricter)) {
            Ok("stricter")
        } else {
            Err(())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_ends_as_it_does_with_libpq() -> Result<()> {
    let stage = Stage::new().await?;
    let mut lines = Vec::new();
    for group in stage.groups() {
        lines.extend(group.run(&stage).await?);
    }
    print(&lines)?;
    let different: Vec<String> = lines
        .iter()
        .filter(|line| line.verdict().is_err())
        .map(|line| format!("{}\n    {}", shown(line), line.said))
        .collect();
    ensure!(
        different.is_empty(),
        "{} of {} cases end in another way than with libpq:\n{}",
        different.len(),
        lines.len(),
        different.join("\n")
    );
    for stricter in &STRICTER {
        ensure!(
            lines
                .iter()
                .any(|line| (stricter.applies)(&line.case) && line.verdict() == Ok("stricter")),
            "nothing is stricter because {}",
            stricter.reason
        );
    }
    Ok(())
}

/// Past the test runner, which shows what is printed only if a test fails.
fn print(lines: &[Line]) -> Result<()> {
    let mut text = format!(
        "\n{:<14}{:<34}{:<18}{:<13}{:<14}{:<11}{:<11}verdict\n",
        "server", "pg_hba.conf", "certificate", "client's", "mode", "psql", "dagflux"
    );
    for line in lines {
        text += &shown(line);
        text.push('\n');
    }
    let stricter = lines.iter().filter(|line| line.verdict() == Ok("stricter"));
    text += &format!(
        "{} combinations, {} of them stricter here: {}\n",
        lines.len(),
        stricter.count(),
        STRICTER.map(|stricter| stricter.reason).join("; ")
    );
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn shown(line: &Line) -> String {
    let Case {
        server,
        rule,
        certificate,
        client,
        mode,
    } = &line.case;
    format!(
        "{server:<14}{:<34}{:<18}{:<13}{:<14}{:<11}{:<11}{}",
        rule.to_string(),
        case::certificate_name(*certificate),
        client.as_str(),
        mode.as_str(),
        line.libpq.as_str(),
        line.ours.as_str(),
        line.verdict().unwrap_or("DIFFERENT")
    )
}
