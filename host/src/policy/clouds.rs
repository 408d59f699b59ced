//! Managed databases whose certificates no operating system trusts: which CA
//! signs for them, and where its file is to be had.

/// A provider with a CA of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// What it is called.
    pub name: &'static str,
    /// Host names of it end in one of these.
    hosts: &'static [&'static str],
    /// Its certificates have one of these in the issuer's name.
    issuers: &'static [&'static str],
    /// Which file to get, and where.
    pub advice: &'static str,
}

/// Sources: the providers' documentation of TLS for PostgreSQL.
const PROVIDERS: &[Provider] = &[
    Provider {
        name: "Amazon RDS",
        hosts: &[".rds.amazonaws.com", ".rds.amazonaws.com.cn"],
        issuers: &["Amazon RDS"],
        advice: "download https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem",
    },
    Provider {
        name: "Google Cloud SQL",
        hosts: &[".sql.goog"],
        issuers: &["Google Cloud SQL"],
        advice: "in the Google Cloud console, open the instance, then Connections, Security, \"Download certificates\", which gives server-ca.pem",
    },
    Provider {
        name: "Azure Database for PostgreSQL",
        hosts: &[".postgres.database.azure.com", ".postgres.cosmos.azure.com"],
        issuers: &[],
        advice: "download \"DigiCert Global Root G2\" and \"Microsoft RSA Root Certificate Authority 2017\" in PEM form, as Azure's page \"TLS in Azure Database for PostgreSQL\" names them, into one file",
    },
    Provider {
        name: "Supabase",
        hosts: &[".supabase.co", ".supabase.com"],
        issuers: &["Supabase"],
        advice: "in the Supabase dashboard, open Project Settings, Database, SSL Configuration, \"Download certificate\", which gives prod-ca-2021.crt",
    },
    Provider {
        name: "Aiven",
        hosts: &[".aivencloud.com"],
        issuers: &["Aiven"],
        advice: "in the Aiven console, open the service, then Overview, Connection information, CA certificate, which gives ca.pem",
    },
    Provider {
        name: "DigitalOcean",
        hosts: &[".db.ondigitalocean.com"],
        issuers: &["DigitalOcean"],
        advice: "in the DigitalOcean console, open the database, then Connection details, \"Download CA certificate\", which gives ca-certificate.crt",
    },
];

/// The provider of a server, by its host name or by who signed its certificate.
pub fn provider(host: &str, issuer: &str) -> Option<&'static Provider> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let known = |provider: &&Provider| {
        provider.hosts.iter().any(|suffix| host.ends_with(suffix))
            || provider.issuers.iter().any(|name| issuer.contains(name))
    };
    PROVIDERS.iter().find(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_known_by_host_or_issuer() {
        for (host, issuer, expected) in [
            (
                "shop.abc.eu-west-1.rds.amazonaws.com",
                "CN=x",
                Some("Amazon RDS"),
            ),
            (
                "SHOP.postgres.database.azure.com.",
                "",
                Some("Azure Database for PostgreSQL"),
            ),
            ("db.abcdef.supabase.co", "", Some("Supabase")),
            (
                "10.1.2.3",
                "O=Google\\, Inc, CN=Google Cloud SQL Server CA",
                Some("Google Cloud SQL"),
            ),
            ("db.example.com", "CN=Example CA", None),
            ("rds.amazonaws.com.example.com", "", None),
        ] {
            assert_eq!(
                provider(host, issuer).map(|known| known.name),
                expected,
                "{host}"
            );
        }
    }
}
