//! The servers of the matrix, and its cases.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dagflux_test_support::{
    Certificates, PgBouncer, PgBouncerOptions, Server, ServerCertificate, ServerOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use tempfile::TempDir;

use super::case::{Case, Client, Mode, Outcome, Rule};
use super::{Line, libpq, ours};

/// The database of all cases.
pub const DATABASE: &str = "matrix";
/// The password of all logins.
pub const PASSWORD: &str = "the password of the matrix";

const NO_LINE: Rule = rule("", "scram-sha-256", "");
const SCRAM: [Rule; 3] = [
    rule("host", "scram-sha-256", ""),
    rule("hostssl", "scram-sha-256", ""),
    rule("hostnossl", "scram-sha-256", ""),
];
const OTHER_METHODS: [Rule; 12] = [
    rule("host", "md5", ""),
    rule("host", "password", ""),
    rule("host", "trust", ""),
    rule("host", "reject", ""),
    rule("hostssl", "md5", ""),
    rule("hostssl", "password", ""),
    rule("hostssl", "trust", ""),
    rule("hostssl", "reject", ""),
    rule("hostnossl", "md5", ""),
    rule("hostnossl", "password", ""),
    rule("hostnossl", "trust", ""),
    rule("hostnossl", "reject", ""),
];
const CERT: Rule = rule("hostssl", "cert", "");
/// The client's certificate beside the password. Until version 11 there was only one way.
const WITH_CERTIFICATE: [Rule; 2] = [
    rule("hostssl", "scram-sha-256", "clientcert=verify-ca"),
    rule("hostssl", "scram-sha-256", "clientcert=verify-full"),
];
const WITH_CERTIFICATE_IN_10: Rule = rule("hostssl", "scram-sha-256", "clientcert=1");

const fn rule(connection: &'static str, method: &'static str, option: &'static str) -> Rule {
    Rule {
        connection,
        method,
        option,
    }
}

fn without_certificates() -> Vec<Rule> {
    SCRAM
        .into_iter()
        .chain(OTHER_METHODS)
        .chain([NO_LINE])
        .collect()
}

/// The rules of a server of a version.
fn all_rules(version: &str) -> Vec<Rule> {
    let mut rules = without_certificates();
    rules.push(CERT);
    if version == "10" {
        rules.push(WITH_CERTIFICATE_IN_10);
    } else {
        rules.extend(WITH_CERTIFICATE);
    }
    rules
}

/// Where a case's server is.
pub struct Reached<'s> {
    pub port: u16,
    /// Whether the login is at a pooler, which alone knows whether it is encrypted.
    pub pooled: bool,
    pooler: Option<&'s PgBouncer>,
}

impl Reached<'_> {
    /// What the pooler has logged of the last login of a case's.
    pub fn seen_by_pooler(&self, case: &Case) -> Result<Outcome> {
        let log = self.pooler.context("there is no pooler")?.log();
        let login = format!("user={} tls=", case.rule.login());
        let (_, state) = log.rsplit_once(&login).context("no login was logged")?;
        Ok(if state.starts_with("no") {
            Outcome::Clear
        } else {
            Outcome::Encrypted
        })
    }
}

/// What stands behind a group of cases.
enum Place {
    Server(usize),
    Pooler(usize),
}

/// Cases with one server, in one state of it.
pub struct Group {
    name: &'static str,
    place: Place,
    /// The certificate that the server has for these; none if it offers no TLS.
    certificate: Option<ServerCertificate>,
    cases: Vec<(Rule, Client, Mode)>,
}

/// Everything that the cases need.
pub struct Stage {
    certificates: Certificates,
    files: TempDir,
    servers: Vec<Server>,
    poolers: Vec<PgBouncer>,
}

/// The servers by their place in [`Stage`].
const PLAIN_15: usize = 0;
const FULL_15: usize = 1;
const FULL_10: usize = 2;
const FULL_14: usize = 3;
const FULL_18: usize = 4;
const UPSTREAM: usize = 5;
const PLAIN_POOLER: usize = 0;
const TLS_POOLER: usize = 1;
const CERT_POOLER: usize = 2;

impl Stage {
    /// Starts the servers.
    pub async fn new() -> Result<Self> {
        let certificates = Certificates::new()?;
        let files = TempDir::new()?;
        std::fs::write(files.path().join("root.crt"), certificates.root())?;
        for rule in all_rules("15").into_iter().chain(all_rules("10")) {
            let login = rule.login();
            for (client, identity) in [
                (Client::Own, certificates.client(&login)?),
                (Client::Other, certificates.client("somebody_else")?),
                (Client::Unknown, certificates.unknown_client(&login)?),
            ] {
                identity.write(files.path(), &client_file(&login, client))?;
            }
        }
        let tls = |version| -> Result<ServerOptions> {
            let options = ServerOptions::new()
                .with_tls(certificates.server(ServerCertificate::Good)?)
                .with_client_root(certificates.client_root());
            Ok(with_rules(options, &all_rules(version)))
        };
        let options = [
            with_rules(ServerOptions::new(), &without_certificates()),
            tls("15")?,
            tls("10")?.with_version(10),
            tls("14")?.with_version(14),
            tls("18")?.with_version(18),
            ServerOptions::new().with_hba_line("host all all 127.0.0.1/32 trust"),
        ];
        let servers: Vec<Server> = futures_util::stream::iter(options)
            .map(|options| async move { prepared(&options).await })
            .buffered(2)
            .try_collect()
            .await?;
        let upstream = servers.get(UPSTREAM).context("no server")?;
        let users = |options: PgBouncerOptions| {
            all_rules("15")
                .iter()
                .fold(options, |it, rule| it.with_user(&rule.login(), PASSWORD))
        };
        let by_rules = |options: PgBouncerOptions| {
            without_certificates()
                .iter()
                .filter_map(Rule::line)
                .fold(users(options).with_auth_type("hba"), |it, line| {
                    it.with_hba_line(&line)
                })
        };
        let certificate = certificates.server(ServerCertificate::Good)?;
        let poolers = vec![
            PgBouncer::start(upstream, &by_rules(PgBouncerOptions::new())).await?,
            PgBouncer::start(
                upstream,
                &by_rules(PgBouncerOptions::new()).with_tls(certificate.clone()),
            )
            .await?,
            PgBouncer::start(
                upstream,
                &users(PgBouncerOptions::new())
                    .with_auth_type("cert")
                    .with_tls(certificate)
                    .with_client_root(certificates.client_root())
                    .with_setting("client_tls_sslmode", "verify-full"),
            )
            .await?,
        ];
        Ok(Self {
            certificates,
            files,
            servers,
            poolers,
        })
    }

    /// The folder of the files of the clients.
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    /// The file with the authority for servers.
    pub fn root(&self) -> PathBuf {
        self.files().join("root.crt")
    }

    /// The files of a case's certificate and key.
    pub fn client(&self, case: &Case) -> Option<(PathBuf, PathBuf)> {
        let name = match case.client {
            Client::None => return None,
            client => client_file(&case.rule.login(), client),
        };
        let file = self.files().join(name);
        Some((file.with_extension("crt"), file.with_extension("key")))
    }

    /// All cases, by server.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups = vec![
            Group {
                name: "15",
                place: Place::Server(PLAIN_15),
                certificate: None,
                cases: every(&without_certificates(), &[Client::None], &Mode::FEW),
            },
            Group {
                name: "15",
                place: Place::Server(FULL_15),
                certificate: Some(ServerCertificate::Good),
                cases: [
                    every(&all_rules("15"), &[Client::None], &Mode::ALL),
                    every(
                        &[SCRAM[0], CERT, WITH_CERTIFICATE[0], WITH_CERTIFICATE[1]],
                        &[Client::Own, Client::Other, Client::Unknown],
                        &Mode::FEW,
                    ),
                ]
                .concat(),
            },
        ];
        for certificate in ServerCertificate::ALL {
            if certificate != ServerCertificate::Good {
                groups.push(Group {
                    name: "15",
                    place: Place::Server(FULL_15),
                    certificate: Some(certificate),
                    cases: every(&SCRAM, &[Client::None], &Mode::ALL),
                });
            }
        }
        for (name, place) in [("10", FULL_10), ("14", FULL_14), ("18", FULL_18)] {
            let with_certificate = match name {
                "10" => WITH_CERTIFICATE_IN_10,
                _ => WITH_CERTIFICATE[1],
            };
            groups.push(Group {
                name,
                place: Place::Server(place),
                certificate: Some(ServerCertificate::Good),
                cases: [
                    every(&without_certificates(), &[Client::None], &Mode::FEW),
                    every(
                        &[CERT, with_certificate],
                        &[Client::None, Client::Own, Client::Unknown],
                        &Mode::FEW,
                    ),
                ]
                .concat(),
            });
            groups.push(Group {
                name,
                place: Place::Server(place),
                certificate: Some(ServerCertificate::WrongName),
                cases: every(&SCRAM[..1], &[Client::None], &Mode::ALL),
            });
        }
        groups.extend([
            Group {
                name: "pgbouncer",
                place: Place::Pooler(PLAIN_POOLER),
                certificate: None,
                cases: every(&without_certificates(), &[Client::None], &Mode::FEW),
            },
            Group {
                name: "pgbouncer",
                place: Place::Pooler(TLS_POOLER),
                certificate: Some(ServerCertificate::Good),
                cases: every(&without_certificates(), &[Client::None], &Mode::FEW),
            },
            Group {
                name: "pgbouncer",
                place: Place::Pooler(CERT_POOLER),
                certificate: Some(ServerCertificate::Good),
                cases: every(
                    &[CERT],
                    &[Client::None, Client::Own, Client::Other, Client::Unknown],
                    &Mode::FEW,
                ),
            },
        ]);
        groups
    }
}

impl Group {
    /// Goes through the cases, first with libpq.
    pub async fn run(self, stage: &Stage) -> Result<Vec<Line>> {
        let reached = match self.place {
            Place::Server(index) => {
                let server = stage.servers.get(index).context("no such server")?;
                if let Some(certificate) = self.certificate {
                    let options = ServerOptions::new()
                        .with_tls(stage.certificates.server(certificate)?)
                        .with_client_root(stage.certificates.client_root());
                    let options = with_rules(options, &all_rules(self.name));
                    server.reconfigure(&options).await?;
                }
                Reached {
                    port: server.port(),
                    pooled: false,
                    pooler: None,
                }
            }
            Place::Pooler(index) => {
                let pooler = stage.poolers.get(index).context("no such pooler")?;
                Reached {
                    port: pooler.port(),
                    pooled: true,
                    pooler: Some(pooler),
                }
            }
        };
        let cases = self.cases.into_iter().map(|(rule, client, mode)| Case {
            server: self.name,
            rule,
            certificate: self.certificate,
            client,
            mode,
        });
        // A pooler's log tells logins apart by their names, so there it is one at a time.
        let at_once = if reached.pooled { 1 } else { 2 };
        let reached = &reached;
        futures_util::stream::iter(cases)
            .map(|case| async move {
                let (libpq, theirs) = libpq::outcome(&case, reached, stage).await?;
                let (ours, own) = ours::outcome(&case, reached, stage).await?;
                anyhow::Ok(Line {
                    case,
                    libpq,
                    ours,
                    said: format!("psql: {theirs}\n    dagflux: {own}"),
                })
            })
            .buffered(at_once)
            .try_collect()
            .await
    }
}

/// Every combination.
fn every(rules: &[Rule], clients: &[Client], modes: &[Mode]) -> Vec<(Rule, Client, Mode)> {
    let mut cases = Vec::new();
    for rule in rules {
        for client in clients {
            for mode in modes {
                cases.push((*rule, *client, *mode));
            }
        }
    }
    cases
}

fn client_file(login: &str, client: Client) -> String {
    format!("{login}_{}", client.as_str().replace([' ', '\''], "_"))
}

fn with_rules(options: ServerOptions, rules: &[Rule]) -> ServerOptions {
    rules
        .iter()
        .filter_map(Rule::line)
        .fold(options, |options, line| options.with_hba_line(&line))
}

/// A server with the database, and a login for every rule. It keeps next to nothing.
async fn prepared(options: &ServerOptions) -> Result<Server> {
    let options = options.clone().with_setting("shared_buffers", "16MB");
    let server = Server::start(&options).await?;
    server.database(DATABASE).await?;
    let mut sql = String::new();
    for rule in all_rules("15").into_iter().chain(all_rules("10")) {
        let kept = match rule.method {
            "md5" => "md5",
            _ => "scram-sha-256",
        };
        let login = rule.login();
        sql += &format!(
            "SET password_encryption = '{kept}'; DROP ROLE IF EXISTS {login};
             CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}';"
        );
    }
    server.sql("postgres").await?.batch_execute(&sql).await?;
    Ok(server)
}
