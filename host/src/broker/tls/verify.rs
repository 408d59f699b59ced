//! Whether a server's certificate proves what the connection asks for.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::{self, Age};
use crate::policy::tls::Proof;

/// The cryptography: what `ring` offers.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()))
        .clone()
}

/// Judges one handshake, and keeps what was shown in it.
///
/// That the server has the key of its certificate is checked in every mode; without that, what it
/// shows would say nothing about who it is.
#[derive(Debug)]
pub struct Verifier {
    proof: Proof,
    roots: Arc<RootCertStore>,
    /// The certificates given as CAs. One that the server itself shows is trusted as it is: it is
    /// how people use a certificate that has signed itself.
    own: Arc<[CertificateDer<'static>]>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl Verifier {
    /// Demands `proof`.
    pub fn new(
        proof: Proof,
        roots: Arc<RootCertStore>,
        own: Arc<[CertificateDer<'static>]>,
    ) -> Self {
        Self {
            proof,
            roots,
            own,
            provider: provider(),
            shown: Mutex::default(),
        }
    }

    /// The server's certificates, its own first.
    pub fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn chain(
        &self,
        parsed: &ParsedCertificate<'_>,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self
            .own
            .iter()
            .any(|own| own.as_ref() == end_entity.as_ref())
        {
            let now = Duration::from_secs(now.as_secs());
            return match certificate::age(end_entity, now) {
                Age::Current => Ok(()),
                Age::Early => Err(CertificateError::NotValidYet.into()),
                Age::Expired => Err(CertificateError::Expired.into()),
            };
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = [end_entity]
            .into_iter()
            .chain(intermediates)
            .map(|shown| shown.clone().into_owned())
            .collect();
        if let Some(pinned) = self.proof.fingerprint
            && certificate::fingerprint(end_entity) != pinned
        {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        if self.proof.chain {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            self.chain(&parsed, end_entity, intermediates, now)?;
            if self.proof.name {
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
