//! How a connection is encrypted, told afterwards.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::broker::tls::certificate::ServerCertificate;
use crate::error::Error;
use crate::policy::TlsMode;
use crate::policy::tls::Proof;
use crate::report::{Finding, Purpose, Remedy, Severity};

/// How a connection is encrypted, and what its server has proved.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Encryption {
    /// The version of TLS, as in `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: String,
    /// What the server has proved.
    pub verified: Verified,
    /// Whether the login was bound to the channel (SCRAM-SHA-256-PLUS).
    pub channel_bound: bool,
    /// The server's certificate. For machines without the names in it, which are those of the
    /// host.
    #[serde(serialize_with = "without_names")]
    pub certificate: ServerCertificate,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encryption")
            .field("version", &self.version)
            .field("cipher", &self.cipher)
            .field("verified", &self.verified)
            .field("channel_bound", &self.channel_bound)
            .finish_non_exhaustive()
    }
}

fn without_names<S: Serializer>(
    certificate: &ServerCertificate,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut parts = serializer.serialize_struct("ServerCertificate", 3)?;
    parts.serialize_field("not_before", &certificate.not_before)?;
    parts.serialize_field("not_after", &certificate.not_after)?;
    parts.serialize_field("fingerprint", &certificate.fingerprint)?;
    parts.end()
}

/// What a server has proved, from nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verified {
    /// Nothing: anyone in between could be the server.
    Nothing,
    /// That the CA given has signed for it; not that it is the host named.
    Signature,
    /// That a trusted CA has signed for it under the host's name.
    Name,
    /// That it has the very certificate that was pinned.
    Pinned,
}

impl Verified {
    pub(crate) fn of(proof: Proof) -> Self {
        match proof {
            Proof {
                fingerprint: Some(_),
                ..
            } => Self::Pinned,
            Proof { name: true, .. } => Self::Name,
            Proof { chain: true, .. } => Self::Signature,
            _ => Self::Nothing,
        }
    }

    /// It as a sentence about the server.
    pub fn as_sentence(self) -> &'static str {
        match self {
            Self::Nothing => "the server was not verified: anyone in between could be it",
            Self::Signature => "the CA given has signed for the server; its name was not looked at",
            Self::Name => "the server has proved its name",
            Self::Pinned => "the server has the pinned certificate",
        }
    }
}

/// What a check says about the channel.
pub(crate) fn finding(
    encryption: Option<&Encryption>,
    leaves_the_machine: bool,
    purposes: Vec<Purpose>,
) -> Finding {
    let (severity, message, advice) = match encryption {
        Some(encryption) => {
            let bound = match encryption.channel_bound {
                true => "; the login was bound to the channel",
                false => "",
            };
            let message = format!(
                "{}, {}; {}{bound}",
                encryption.version,
                encryption.cipher,
                encryption.verified.as_sentence()
            );
            match encryption.verified {
                Verified::Nothing => (
                    Severity::Warning,
                    message,
                    Some("have `ssl_mode` be verify-full, or leave it out and turn Use SSL on; name the server's CA in `ssl_ca` if this machine does not trust it"),
                ),
                _ => (Severity::Passed, message, None),
            }
        }
        None if leaves_the_machine => (
            Severity::Warning,
            "the connection is not encrypted: whoever is on the network between can read and change what passes".to_owned(),
            Some("turn Use SSL on"),
        ),
        None => (
            Severity::Passed,
            "the connection is not encrypted, and does not leave this machine".to_owned(),
            None,
        ),
    };
    Finding {
        severity,
        subject: "encryption".to_owned(),
        message,
        purposes,
        remedies: advice
            .map(|advice| Remedy {
                run_as: None,
                statements: Vec::new(),
                advice: Some(advice.to_owned()),
                gives_more: false,
            })
            .into_iter()
            .collect(),
    }
}

/// What a server shows of itself to anyone who asks, without a login.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Presented {
    /// Its certificates, its own first.
    pub certificates: Vec<ServerCertificate>,
    /// The mode they were judged by.
    pub mode: TlsMode,
    /// Why a connection would be refused; none if it would not.
    pub refusal: Option<Error>,
}
