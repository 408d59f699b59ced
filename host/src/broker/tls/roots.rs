//! The certificates that this machine trusts.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

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

/// `own`, and those of the system if `system_too`.
pub fn with(own: &[CertificateDer<'static>], system_too: bool) -> RootCertStore {
    let mut roots = if system_too {
        (*system()).clone()
    } else {
        RootCertStore::empty()
    };
    roots.add_parsable_certificates(own.iter().cloned());
    roots
}
