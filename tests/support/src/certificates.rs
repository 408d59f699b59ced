//! Certificates of every kind, for servers that speak TLS and for who logs in there.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

/// The name that the servers of the tests have in their certificates. It is in no name
/// service: whoever connects says which address it stands for.
pub const SERVER_NAME: &str = "db.test";

/// A certificate with what leads to its authority, and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, followed by those between it and its authority, in PEM.
    pub certificate: String,
    /// The private key, in PEM (PKCS #8).
    pub key: String,
    /// The certificate alone, in DER.
    pub der: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity { .. }")
    }
}

impl Identity {
    /// Writes `NAME.crt` and `NAME.key` into `folder`; the key for its owner's eyes only,
    /// as PostgreSQL and libpq demand.
    ///
    /// # Errors
    ///
    /// When the files cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        let certificate = folder.join(name).with_extension("crt");
        let key = folder.join(name).with_extension("key");
        std::fs::write(&certificate, &self.certificate)?;
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&key)?;
        file.write_all(self.key.as_bytes())?;
        Ok((certificate, key))
    }
}

/// What is right or wrong with a server's certificate. All but those that say otherwise
/// are for [`SERVER_NAME`], valid now, and signed by [`Certificates::root`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCertificate {
    /// Nothing is wrong.
    Good,
    /// Nothing is wrong, and it is for 127.0.0.1 as well.
    GoodWithAddress,
    /// Nothing is wrong: an intermediate authority, whose certificate the server sends,
    /// stands between it and the root.
    Intermediate,
    /// It was valid until 2020-01-31.
    Expired,
    /// It will be valid from 2090-01-01.
    NotYetValid,
    /// It is for `other.test`.
    WrongName,
    /// It is signed by an authority that nobody knows.
    UnknownAuthority,
    /// It is signed by itself.
    SelfSigned,
    /// Its name is in the subject's common name alone, as was the custom before 2000.
    CommonNameOnly,
}

impl ServerCertificate {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Good,
        Self::GoodWithAddress,
        Self::Intermediate,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongName,
        Self::UnknownAuthority,
        Self::SelfSigned,
        Self::CommonNameOnly,
    ];
}

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority for servers, one for clients, and one that nobody knows.
pub struct Certificates {
    servers: Authority,
    intermediate: Authority,
    clients: Authority,
    unknown: Authority,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates { .. }")
    }
}

impl Certificates {
    /// Makes the authorities, new ones each time.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn new() -> Result<Self> {
        let servers = authority("DagFlux tests: servers")?;
        let intermediate = Authority::signed_by(
            authority_params("DagFlux tests: intermediate"),
            KeyPair::generate()?,
            &servers,
        )?;
        Ok(Self {
            servers,
            intermediate,
            clients: authority("DagFlux tests: clients")?,
            unknown: authority("DagFlux tests: unknown")?,
        })
    }

    /// The certificate of the authority for servers, in PEM: what a client trusts.
    #[must_use]
    pub fn root(&self) -> String {
        self.servers.pem()
    }

    /// The certificate of the authority for clients, in PEM: what a server trusts.
    #[must_use]
    pub fn client_root(&self) -> String {
        self.clients.pem()
    }

    /// A new certificate for a server.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn server(&self, kind: ServerCertificate) -> Result<Identity> {
        use ServerCertificate as Kind;
        let name = match kind {
            Kind::WrongName => "other.test",
            _ => SERVER_NAME,
        };
        let mut params = leaf_params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if kind != Kind::CommonNameOnly {
            params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        }
        match kind {
            Kind::GoodWithAddress => params
                .subject_alt_names
                .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            Kind::Expired => {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 31);
            }
            Kind::NotYetValid => {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }
            _ => {}
        }
        match kind {
            Kind::SelfSigned => self_signed(&params),
            Kind::Intermediate => {
                let mut identity = signed(&params, &self.intermediate)?;
                identity.certificate += &self.intermediate.pem();
                Ok(identity)
            }
            Kind::UnknownAuthority => signed(&params, &self.unknown),
            _ => signed(&params, &self.servers),
        }
    }

    /// A new certificate for the login `login`, by the authority for clients.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn client(&self, login: &str) -> Result<Identity> {
        signed(&client_params(login), &self.clients)
    }

    /// A new certificate for the login `login`, by an authority that no server knows.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn unknown_client(&self, login: &str) -> Result<Identity> {
        signed(&client_params(login), &self.unknown)
    }
}

fn authority(name: &str) -> Result<Authority> {
    Ok(Authority::self_signed(
        authority_params(name),
        KeyPair::generate()?,
    )?)
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = leaf_params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client_params(login: &str) -> CertificateParams {
    let mut params = leaf_params(login);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn leaf_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn signed(params: &CertificateParams, authority: &Authority) -> Result<Identity> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(identity(&certificate, &key))
}

fn self_signed(params: &CertificateParams) -> Result<Identity> {
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(identity(&certificate, &key))
}

fn identity(certificate: &rcgen::Certificate, key: &KeyPair) -> Identity {
    Identity {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().to_vec(),
    }
}
