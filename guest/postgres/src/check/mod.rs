//! Whether the connection is fit for what DagFlux does with it, and what would mend it.
//!
//! | module | what it does |
//! |---|---|
//! | [`need`] | what each purpose needs, and how grave it is when that is missing |
//! | [`facts`], [`questions`], [`policies`] | what is known of login and database; asking for it, in a constant number of statements |
//! | [`access`], [`tables`], [`rows`], [`beyond`], [`future`] | what is missing, as findings |
//! | [`grants`] | the statements that give it, for the roles that must run them |
//! | [`set_up`] | the same for a login that does not exist yet |

pub mod access;
pub mod beyond;
pub mod facts;
pub mod future;
pub mod grants;
pub mod need;
pub mod policies;
pub mod questions;
pub mod rows;
pub mod set_up;
pub mod tables;

use dagflux_guest::Result;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    CheckOptions, Report, Server,
};

use crate::session::Session;
use facts::Facts;
use need::{Asked, Findings};

/// Looks at everything and reports it in order.
///
/// # Errors
/// What the server reports, such as a lost connection; what stands in the way of using it is a
/// finding, not an error.
pub fn check(session: &mut Session, options: &CheckOptions) -> Result<Report> {
    session.begin()?;
    let parameters = session.parameters().clone();
    let version = session
        .setting("server_version")
        .unwrap_or_default()
        .to_owned();
    let asked = Asked::new(&options.purposes);
    let schema = (!options.all_schemas).then_some(parameters.schema.as_str());
    let facts = questions::gather(session, schema, &asked)?;
    let seen = Seen {
        facts: &facts,
        asked: &asked,
        schema,
        version: session.version(),
    };
    let mut found = Findings::new(&asked);
    access::server(session.version(), &version, &mut found);
    access::schemas(&seen, &mut found);
    tables::reading(&seen, &mut found);
    beyond::views(&seen, &mut found);
    beyond::foreign_tables(&seen, &mut found);
    rows::reading(&seen, &mut found);
    access::changing(&seen, &mut found);
    access::creating(&seen, &mut found);
    tables::writing(&seen, &mut found);
    rows::writing(&seen, &mut found);
    tables::sequences(&seen, &mut found);
    access::temporary(&seen, &mut found);
    future::tables(&seen, &mut found);
    future::sequences(&seen, &mut found);
    tables::ownership(&seen, &mut found);
    if facts.login.replica {
        found.belong_to_the_primary();
    }
    if facts.login.read_only && !facts.login.read_only_alone {
        found.begin_with(access::WRITABLE);
    }
    let (verdicts, findings) = found.finish();
    Ok(Report {
        server: Server {
            product: "PostgreSQL".into(),
            version,
            database: facts.login.database.clone(),
            schema: parameters.schema,
            encrypted: parameters.encrypted,
        },
        verdicts,
        findings,
    })
}

/// What the findings are drawn from.
pub struct Seen<'a> {
    facts: &'a Facts,
    asked: &'a Asked,
    /// The one schema that was looked at; none for all of them.
    schema: Option<&'a str>,
    /// The server's version, as a number.
    version: u32,
}

impl Seen<'_> {
    fn user(&self) -> &str {
        &self.facts.login.user
    }

    /// A table's name for a person: the schema goes without saying where there is one.
    fn shown(&self, schema: &str, table: &str) -> String {
        match self.schema {
            Some(_) => crate::keywords::name(table),
            None => crate::keywords::qualified(schema, table),
        }
    }

    /// Where was looked.
    fn place(&self) -> String {
        match self.schema {
            Some(schema) => format!("schema {}", crate::keywords::name(schema)),
            None => grants::counted(self.facts.schemas.len(), "schema"),
        }
    }
}
