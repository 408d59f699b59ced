//! What a certificate says, for people and for channel binding. Nothing here decides whether it
//! is to be believed.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use serde::Serialize;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use crate::policy::tls::show_fingerprint;

/// A certificate that a server showed.
///
/// `Debug` leaves its names out, which are those of the host.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerCertificate {
    /// Whom it is made out to, as a distinguished name.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names and addresses it is good for; of very many, the first.
    pub names: Vec<String>,
    /// From when it is valid, as `2024-05-31 12:00:00 UTC`.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// Its SHA-256, as the field `ssl_fingerprint` has it.
    pub fingerprint: String,
    /// Whether it has signed itself.
    pub self_signed: bool,
    /// The certificate itself, in PEM form.
    pub pem: String,
}

/// How many names of a certificate are kept. Those of large providers have a few dozen.
const NAMES: usize = 64;

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("fingerprint", &self.fingerprint)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// What `der` says. What cannot be read is left empty: this is for showing.
    pub(crate) fn read(der: &CertificateDer<'_>) -> Self {
        let mut facts = Self {
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            not_before: String::new(),
            not_after: String::new(),
            fingerprint: show_fingerprint(&fingerprint(der)),
            self_signed: false,
            pem: pem(der),
        };
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return facts;
        };
        facts.subject = certificate.subject().to_string();
        facts.issuer = certificate.issuer().to_string();
        facts.self_signed = certificate.subject().as_raw() == certificate.issuer().as_raw();
        facts.not_before = date(certificate.validity().not_before);
        facts.not_after = date(certificate.validity().not_after);
        if let Ok(Some(names)) = certificate.subject_alternative_name() {
            facts.names = names
                .value
                .general_names
                .iter()
                .filter_map(name)
                .take(NAMES)
                .collect();
        }
        facts
    }

    /// The common name in the subject, which used to stand for the host.
    pub(crate) fn common_name(der: &CertificateDer<'_>) -> Option<String> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let name = certificate.subject().iter_common_name().next()?;
        name.as_str().ok().map(str::to_owned)
    }
}

/// The SHA-256 of a certificate, by which it is pinned.
pub(crate) fn fingerprint(der: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(der.as_ref()).into()
}

/// How a certificate stands with the time, by its dates alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It is not valid yet.
    Early,
    /// It is valid.
    Current,
    /// It was valid, or cannot be read.
    Expired,
}

/// How `der` stands with the time `now`.
pub(crate) fn age(der: &CertificateDer<'_>, now: Duration) -> Age {
    let at = i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    match (X509Certificate::from_der(der), at) {
        (Ok((_, certificate)), Some(at)) if certificate.validity().is_valid_at(at) => Age::Current,
        (Ok((_, certificate)), Some(at)) if certificate.validity().not_before > at => Age::Early,
        _ => Age::Expired,
    }
}

/// Whether a certificate may sign others: one of a CA, or of the first version, which cannot tell.
pub(crate) fn is_authority(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| {
        certificate.is_ca() || certificate.version() == X509Version::V1
    })
}

/// The channel binding data `tls-server-end-point` (RFC 5929, section 4.1): the certificate's
/// hash, by the function of its own signature, but SHA-256 in place of MD5 and SHA-1. None for
/// signatures that have no such function, such as Ed25519.
pub(crate) fn end_point(der: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let algorithm = &certificate.signature_algorithm;
    let sha256 = [
        oid::OID_PKCS1_MD5WITHRSAENC,
        oid::OID_PKCS1_SHA1WITHRSA,
        oid::OID_PKCS1_SHA256WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA256,
    ];
    let of = |known: &[oid::asn1_rs::Oid<'_>]| known.contains(&algorithm.algorithm);
    let bytes = der.as_ref();
    if of(&sha256) {
        Some(Sha256::digest(bytes).to_vec())
    } else if of(&[oid::OID_PKCS1_SHA384WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA384]) {
        Some(Sha384::digest(bytes).to_vec())
    } else if of(&[oid::OID_PKCS1_SHA512WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA512]) {
        Some(Sha512::digest(bytes).to_vec())
    } else {
        None
    }
}

/// The time as people write it, in UTC.
pub(crate) fn date(time: ASN1Time) -> String {
    let time = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The time now, as [`age`] takes it.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
            };
            Some(address.to_string())
        }
        _ => None,
    }
}

fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem + "\n-----END CERTIFICATE-----\n"
}
