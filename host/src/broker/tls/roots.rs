//! The certificates that this machine trusts.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::certificate::{self, Age, ServerCertificate};

/// Those that the operating system trusts, read once. Empty where it has none that can be read.
pub fn system() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(target: "dagflux", %error, "some of this machine's certificates cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(target: "dagflux", added, "read the certificates this machine trusts");
        Arc::new(roots)
    };
    ROOTS.get_or_init(load).clone()
}

/// `own`, as far as they may sign for others today, and those of the system if `system_too`.
///
/// webpki takes whatever is named a root for one: a server's certificate given beside a CA's would
/// become one, and an expired CA stay one.
pub fn with(own: &[CertificateDer<'static>], system_too: bool) -> RootCertStore {
    let mut roots = if system_too {
        (*system()).clone()
    } else {
        RootCertStore::empty()
    };
    let now = certificate::now();
    let may_sign = |der: &&CertificateDer<'static>| {
        certificate::is_authority(der) && certificate::age(der, now) == Age::Current
    };
    roots.add_parsable_certificates(own.iter().filter(may_sign).cloned());
    roots
}

/// What is wrong with certificates that were given as CAs, if none of them can be one.
pub fn fault(own: &[CertificateDer<'static>]) -> Option<String> {
    let now = certificate::now();
    let facts = ServerCertificate::read(own.first()?);
    let all = |age: Age| own.iter().all(|der| certificate::age(der, now) == age);
    if all(Age::Expired) {
        return Some(format!(
            "it expired on {}; get the CA's new one",
            facts.not_after
        ));
    }
    if all(Age::Early) {
        return Some(format!(
            "it is not valid before {}; check this machine's clock",
            facts.not_before
        ));
    }
    None
}
