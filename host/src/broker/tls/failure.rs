//! Why a connection could not be encrypted, and what to do about it.

use std::io;

use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::Tls;
use super::certificate::{self, Age, ServerCertificate};
use crate::error::{Error, ErrorKind};
use crate::policy::clouds;
use crate::policy::tls::show_fingerprint;

/// What went wrong with a handshake.
#[derive(Debug)]
pub enum Failure {
    /// Bytes had arrived in the clear before it began.
    EarlyBytes,
    /// The configured host cannot be the name in a certificate.
    NoServerName,
    /// rustls gave up.
    Tls(rustls::Error),
    /// The socket failed.
    Io(io::Error),
    /// The other side hung up.
    Closed,
    /// It took too long.
    TimedOut,
}

/// The failure to encrypt a connection to `host`, whose server showed `shown`.
pub fn explain(
    failure: Failure,
    tls: &Tls,
    host: &str,
    shown: &[CertificateDer<'static>],
) -> Error {
    let tell = |message: String, hint: String| Error::new(ErrorKind::Tls, message).with_hint(hint);
    match failure {
        Failure::EarlyBytes => tell(
            "bytes arrived in the clear before the encryption began".into(),
            "the server does not do that, so someone on the way to it may have put them there: check the network, a proxy or a tunnel".into(),
        ),
        Failure::NoServerName => tell(
            format!("{host} cannot be the name of a server in a certificate"),
            "write the host as a DNS name (in its xn-- form if it has other letters than English) or as an IP address".into(),
        ),
        Failure::Closed => tell(
            "the server closed the connection in the middle of the TLS handshake".into(),
            "see the server's log; a proxy in between may not let TLS through".into(),
        ),
        Failure::TimedOut => tell(
            "the server did not complete the TLS handshake in time".into(),
            "check that the server is not overloaded, and that no proxy in between holds TLS back".into(),
        )
        .with_retryable(true),
        Failure::Io(error) => tell(
            "the connection broke in the middle of the TLS handshake".into(),
            "check the network, and the server's log".into(),
        )
        .with_source(error),
        Failure::Tls(error) => of_rustls(error, tls, host, shown),
    }
}

fn of_rustls(
    error: rustls::Error,
    tls: &Tls,
    host: &str,
    shown: &[CertificateDer<'static>],
) -> Error {
    if let rustls::Error::InvalidCertificate(error) = error {
        return of_certificate(error, tls, host, shown);
    }
    if let rustls::Error::AlertReceived(alert) = error {
        return refused(alert, tls);
    }
    let (message, hint) = match &error {
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic,
        ) => (
            "the server offers only versions of TLS that are too old".to_owned(),
            "have the server offer TLS 1.2 or 1.3 (`ssl_max_protocol_version`), or lower `ssl_min_version` if it was raised",
        ),
        rustls::Error::InvalidMessage(_) => (
            "the server answered the TLS handshake with something else".to_owned(),
            "check that the port leads to the server itself; someone in between may have put in bytes",
        ),
        rustls::Error::NoCertificatesPresented => (
            "the server showed no certificate".to_owned(),
            "have the server configured with one (`ssl_cert_file`)",
        ),
        _ => (
            format!("the TLS handshake failed: {error}"),
            "see the server's log; the server may be set up for cryptography that is out of use",
        ),
    };
    Error::new(ErrorKind::Tls, message)
        .with_hint(hint)
        .with_source(error)
}

fn of_certificate(
    error: CertificateError,
    tls: &Tls,
    host: &str,
    shown: &[CertificateDer<'static>],
) -> Error {
    use CertificateError as E;
    let Some(own) = shown.first() else {
        return Error::new(ErrorKind::Tls, "the server's certificate cannot be read")
            .with_hint("have the server configured with a proper one");
    };
    let facts = ServerCertificate::read(own);
    let (message, hint) = match &error {
        E::Expired | E::ExpiredContext { .. } => {
            let (whose, facts) = stale(shown, facts.clone());
            (
                format!("{whose} expired on {}", facts.not_after),
                "have it renewed by whoever runs the server; and check this machine's clock".to_owned(),
            )
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            let (whose, facts) = stale(shown, facts.clone());
            (
                format!("{whose} is not valid before {}", facts.not_before),
                "check this machine's clock and the server's".to_owned(),
            )
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => name_mismatch(tls, host, own, &facts),
        E::ApplicationVerificationFailure => {
            let pinned = tls.proof.fingerprint.map(|pinned| show_fingerprint(&pinned));
            (
                format!(
                    "the server's certificate is not the pinned one: it has the fingerprint {}, and {} is pinned",
                    facts.fingerprint,
                    pinned.unwrap_or_default()
                ),
                "if whoever runs the server has replaced the certificate, put the new fingerprint into `ssl_fingerprint`; \
                 if not, someone may be in between".to_owned(),
            )
        }
        E::UnknownIssuer => unknown_issuer(tls, host, &facts),
        _ if error.to_string().contains("CaUsedAsEndEntity") => (
            "the server shows the certificate of a CA as its own".to_owned(),
            "if it signed itself and is the one you expect, name its file in `ssl_ca`, or pin it with `ssl_fingerprint`".to_owned(),
        ),
        _ => (
            format!("the server's certificate cannot be accepted: {error}"),
            "have the server configured with a proper certificate, of version 3 and signed with SHA-256 or better".to_owned(),
        ),
    };
    Error::new(ErrorKind::Tls, message)
        .with_hint(hint)
        .with_detail(format!(
            "the server showed {}, issued by {}, valid from {} to {}",
            facts.subject, facts.issuer, facts.not_before, facts.not_after
        ))
}

/// Which of the certificates is out of date: the server's own, or one it was signed by.
fn stale(
    shown: &[CertificateDer<'static>],
    own: ServerCertificate,
) -> (&'static str, ServerCertificate) {
    let now = certificate::now();
    match shown
        .iter()
        .position(|der| certificate::age(der, now) != Age::Current)
    {
        None | Some(0) => ("the server's certificate", own),
        Some(at) => (
            "a certificate between the server's and its CA",
            shown.get(at).map_or(own, ServerCertificate::read),
        ),
    }
}

fn name_mismatch(
    tls: &Tls,
    host: &str,
    own: &CertificateDer<'_>,
    facts: &ServerCertificate,
) -> (String, String) {
    if facts.names.is_empty() {
        let named = match ServerCertificate::common_name(own) {
            Some(name) => {
                format!("only {name:?} as its common name, which does not count (RFC 6125)")
            }
            None => "none".to_owned(),
        };
        return (
            format!(
                "the server's certificate names no host; it has {named}, and the connection is to {host}"
            ),
            format!(
                "have it issued again with {host} as a subject alternative name; or compare its fingerprint with whoever runs \
                 the server, and pin it with `ssl_fingerprint`"
            ),
        );
    }
    let instead = match tls.has_own_roots() {
        true => "or have `ssl_mode` be verify-ca, which trusts every server of the CA in `ssl_ca`",
        false => {
            "or compare the certificate's fingerprint with them, and pin it with `ssl_fingerprint`"
        }
    };
    (
        format!(
            "the server's certificate is made out to {}, and not to {host}",
            facts.names.join(", ")
        ),
        format!(
            "someone may be in between. If whoever runs the server confirms one of those names, put it into the Host field \
             (and, if it leads elsewhere, the address into `host_address`); {instead}"
        ),
    )
}

fn unknown_issuer(tls: &Tls, host: &str, facts: &ServerCertificate) -> (String, String) {
    let trusted = match (tls.has_own_roots(), tls.proof.system_roots) {
        (true, true) => "neither the CA in `ssl_ca` nor any that this machine trusts has signed it",
        (true, false) => "the CA in `ssl_ca` has not signed it",
        (false, _) => "no CA that this machine trusts has signed it",
    };
    let what = match facts.self_signed {
        true => "has signed itself".to_owned(),
        false => format!("was issued by {}", facts.issuer),
    };
    let hint = match clouds::provider(host, &facts.issuer) {
        Some(provider) => format!(
            "{} has a CA of its own: {}; save the file, and name it in `ssl_ca`",
            provider.name, provider.advice
        ),
        None if facts.self_signed => {
            "get the certificate's file from whoever runs the server, and name it in `ssl_ca`; \
             or compare its fingerprint with them and pin it with `ssl_fingerprint`"
                .to_owned()
        }
        None => "get the file of that CA's certificate from whoever runs the server, save it, and name it in `ssl_ca`; \
                 or compare the certificate's fingerprint with them and pin it with `ssl_fingerprint`"
            .to_owned(),
    };
    (
        format!("the server's certificate {what}, and {trusted}"),
        hint,
    )
}

/// The failure of a connection that the server ended with an alert.
pub fn refused(alert: AlertDescription, tls: &Tls) -> Error {
    use AlertDescription as A;
    let has_certificate = tls.client.is_some();
    let (message, hint) = match alert {
        A::CertificateRequired | A::NoCertificate => (
            "the server demands a client certificate".to_owned(),
            "give the connection `ssl_cert` and `ssl_key`",
        ),
        A::UnknownCA
        | A::BadCertificate
        | A::CertificateUnknown
        | A::CertificateExpired
        | A::CertificateRevoked
        | A::UnsupportedCertificate
            if has_certificate =>
        {
            (
                format!("the server does not accept the client certificate ({alert:?})"),
                "check that `ssl_cert` is current and signed by the CA in the server's `ssl_ca_file`; certificates between the two \
             belong into the same file",
            )
        }
        A::ProtocolVersion => (
            "the server offers no version of TLS that is new enough".to_owned(),
            "have the server offer TLS 1.2 or 1.3, or lower `ssl_min_version` if it was raised",
        ),
        A::HandshakeFailure if !has_certificate => (
            "the server broke off the TLS handshake (HandshakeFailure)".to_owned(),
            "see the server's log; it may demand a client certificate (`ssl_cert`, `ssl_key`)",
        ),
        alert => (
            format!("the server broke off the encrypted connection ({alert:?})"),
            "see the server's log for the reason",
        ),
    };
    Error::new(ErrorKind::Tls, message).with_hint(hint)
}
