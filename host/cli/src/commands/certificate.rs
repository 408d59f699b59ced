//! `certificate`: what a server shows of itself before anyone logs in.

use std::io::{IsTerminal, Write};
use std::path::Path;

use console::{Term, style};
use dagflux_host::policy::tls;
use dagflux_host::{ConnectionString, Error, Presented, ServerCertificate};
use serde_json::json;

use crate::args::CertificateArgs;
use crate::connections::pin;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, printable, wrapped};

/// Runs the command. Sends nothing of a login.
///
/// # Errors
/// When the server cannot be reached or shows no certificate, and when it is not the one to pin.
pub async fn run(context: &Context, args: &CertificateArgs) -> anyhow::Result<()> {
    if args.pin && ConnectionString::is_url(&args.connection) {
        return Err(
            Failure::usage("a URL has no connection file to write the fingerprint into")
                .hint("add ssl_fingerprint to a connection of the connection file")
                .into(),
        );
    }
    let presented = context.certificates(&args.connection).await?;
    let Some(own) = presented.certificates.first() else {
        return Err(
            Failure::new(Exit::Connection, "tls", "the server showed no certificate").into(),
        );
    };
    if args.pin {
        if !context.json {
            show(&mut output::stdout(), args, &presented)?;
        }
        return pin(context, args, own);
    }
    if args.pem {
        let mut out = output::stdout();
        for certificate in &presented.certificates {
            out.write_all(certificate.pem.as_bytes())?;
        }
        return Ok(out.flush()?);
    }
    if context.json {
        return output::json(&json!({
            "certificates": presented.certificates,
            "accepted": presented.refusal.is_none(),
            "refusal": presented.refusal.as_ref().map(Error::to_json),
        }));
    }
    show(&mut output::stdout(), args, &presented)
}

fn show(out: &mut impl Write, args: &CertificateArgs, presented: &Presented) -> anyhow::Result<()> {
    for (at, certificate) in presented.certificates.iter().enumerate() {
        let whose = match at {
            0 => "the server's certificate".to_owned(),
            _ => format!("certificate {} of the chain it sent", at + 1),
        };
        writeln!(out, "{}", style(whose).bold())?;
        let names = match certificate.names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let issuer = match certificate.self_signed {
            true => format!("{} (itself)", certificate.issuer),
            false => certificate.issuer.clone(),
        };
        for (label, value) in [
            ("made out to", &certificate.subject),
            ("names", &names),
            ("issued by", &issuer),
            ("valid from", &certificate.not_before),
            ("valid until", &certificate.not_after),
            ("fingerprint", &certificate.fingerprint),
        ] {
            writeln!(out, "  {label:11}  {}", printable(value))?;
        }
        writeln!(out)?;
    }
    match &presented.refusal {
        None => writeln!(
            out,
            "{} it is what the connection asks for",
            style("accepted:").green()
        )?,
        Some(refusal) => {
            writeln!(
                out,
                "{} {}",
                style("not accepted:").red(),
                printable(&refusal.to_string())
            )?;
            let advice = refusal.hint().unwrap_or_default();
            for line in wrapped(&printable(advice), 97) {
                writeln!(out, "  {line}")?;
            }
        }
    }
    if let (Some(own), false) = (presented.certificates.first(), args.pin) {
        writeln!(
            out,
            "\nTo trust this certificate and no other, once its fingerprint is the one that whoever runs the\n\
             server has, write below [{}]:\n  use_ssl = true\n  {} = \"{}\"",
            printable(&args.connection),
            pin::FIELD,
            own.fingerprint
        )?;
    }
    Ok(out.flush()?)
}

/// Writes the fingerprint into the connection file, once someone has said that it is the right one.
fn pin(context: &Context, args: &CertificateArgs, own: &ServerCertificate) -> anyhow::Result<()> {
    let file = context.file()?;
    match &args.fingerprint {
        Some(expected) if same(expected, &own.fingerprint)? => {}
        Some(_) => {
            return Err(Failure::new(
                Exit::Connection,
                "tls",
                format!("the server shows another certificate, of the fingerprint {}; nothing was written", own.fingerprint),
            )
            .hint("ask whoever runs the server which is right: someone may be in between")
            .into());
        }
        None => confirm(&file.path)?,
    }
    pin::write(&file.path, &args.connection, &own.fingerprint)?;
    if context.json {
        return output::json(&json!({ "connection": args.connection, "pinned": own.fingerprint }));
    }
    eprintln!("pinned {} in {}", own.fingerprint, file.path.display());
    Ok(())
}

/// Whether two fingerprints are one, however they are written.
fn same(expected: &str, shown: &str) -> Result<bool, Failure> {
    let read = |text| {
        tls::fingerprint(text).map_err(|_| {
            Failure::usage("that is not the fingerprint of a certificate").hint(
                "write sha256: and 64 hexadecimal digits, with or without colons between them",
            )
        })
    };
    Ok(read(expected)? == read(shown)?)
}

/// Asks the person, who alone can know.
fn confirm(file: &Path) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "usage",
            "there is nobody to ask whether the fingerprint is right",
        )
        .hint("give the fingerprint that you were told: --pin --fingerprint sha256:...")
        .into());
    }
    let terminal = Term::stderr();
    terminal.write_str(&format!(
        "\nCompare the fingerprint with what whoever runs the server has. Write it into {}? [y/N] ",
        file.display()
    ))?;
    let answer = terminal.read_line()?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(
            Failure::new(Exit::Interrupted, "cancelled", "nothing was written")
                .hint("run the command again once you know that the fingerprint is right")
                .into(),
        ),
    }
}
