//! Logins that succeed, and ones that do not.

use anyhow::Result;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_postgres::session::{Parameters, Session, Startup};
use dagflux_test_support::{PasswordMethod, Server, ServerOptions};

use crate::harness::{Login, Socket, failure, runtime};

/// Logs in to `postgres`, unless told otherwise.
fn login(
    server: &Server,
    change: impl FnOnce(&mut Parameters, &mut Login),
) -> dagflux_guest::Result<Session> {
    let mut parameters = Parameters {
        database: "postgres".to_owned(),
        schema: "public".to_owned(),
        application_name: "dagflux tests".to_owned(),
        statement_timeout: None,
        encrypted: false,
        startup: Startup::Complete,
    };
    let mut login = Login {
        user: server.username().to_owned(),
        password: server.password().to_owned(),
    };
    change(&mut parameters, &mut login);
    let channel = Socket::connect(server).expect("a socket");
    Session::open(channel, parameters, &login)
}

fn with_server(options: &ServerOptions, test: impl FnOnce(&Server) -> Result<()>) -> Result<()> {
    let server = runtime().block_on(Server::start(options))?;
    test(&server)
}

#[test]
fn scram_and_what_can_be_wrong_with_it() -> Result<()> {
    with_server(&ServerOptions::new(), |server| {
        login(server, |_, _| {})?;
        let wrong = failure(login(server, |_, login| login.password.push('x')))?;
        assert_eq!(wrong.kind(), ErrorKind::Authentication);
        let wrong = failure(login(server, |_, login| login.user = "nobody".to_owned()))?;
        assert_eq!(wrong.kind(), ErrorKind::Authentication);
        let wrong = failure(login(server, |parameters, _| {
            parameters.database = "nope".to_owned()
        }))?;
        assert_eq!(wrong.kind(), ErrorKind::DatabaseNotFound);
        // A schema that does not exist is found by the check, not at login.
        login(server, |parameters, _| {
            parameters.schema = "no \"such".to_owned()
        })?;
        Ok(())
    })
}

#[test]
fn md5() -> Result<()> {
    let options = ServerOptions::new().with_password_method(PasswordMethod::Md5);
    with_server(&options, |server| {
        login(server, |_, _| {})?;
        let wrong = failure(login(server, |_, login| login.password.push('x')))?;
        assert_eq!(wrong.kind(), ErrorKind::Authentication);
        Ok(())
    })
}

#[test]
fn a_password_in_the_clear_is_refused() -> Result<()> {
    let options = ServerOptions::new().with_hba_line("host all all 127.0.0.1/32 password");
    with_server(&options, |server| {
        let refused = failure(login(server, |_, _| {}))?;
        assert_eq!(refused.kind(), ErrorKind::Authentication);
        assert!(refused.message().contains("in the clear"), "{refused}");
        Ok(())
    })
}

#[test]
fn a_server_that_wants_encryption_says_so() -> Result<()> {
    let options = ServerOptions::new().with_hba_line("hostssl all all 127.0.0.1/32 scram-sha-256");
    with_server(&options, |server| {
        let refused = failure(login(server, |_, _| {}))?;
        assert_eq!(refused.kind(), ErrorKind::Authentication);
        let hint = refused.as_record().hint.clone().unwrap_or_default();
        assert!(hint.contains("Use SSL on"), "{hint}");
        Ok(())
    })
}
