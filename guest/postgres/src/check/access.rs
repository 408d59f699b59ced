//! The server, the schemas, and what may be created.

use dagflux_guest::bindings::exports::dagflux::connector::relational::Severity;

use super::Seen;
use super::facts::Schema;
use super::grants::{advice, counted, on_schemas, run_as, some_of};
use super::need::{Findings, Need, grave};
use crate::keywords::name;

/// The oldest server this connector is made for.
const OLDEST: u32 = 100_000;

/// What a session begins with that is read-only by default, and has to change something.
pub const WRITABLE: &str = "SET default_transaction_read_only = off;";

/// That it answers.
pub fn server(number: u32, version: &str, found: &mut Findings<'_>) {
    if number < OLDEST {
        found.missing(
            grave(Need::AllRows),
            "server",
            format!("PostgreSQL {version} is older than 10, the oldest this connector is made for"),
            vec![advice("upgrade the server")],
        );
        return;
    }
    found.passed(
        &[Need::Usage],
        "server",
        format!("PostgreSQL {version} answers and accepts the login"),
    );
}

/// That the schemas are there and may be used.
pub fn schemas(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let schemas = &seen.facts.schemas;
    let subject = seen.place();
    if let (Some(schema), true) = (seen.schema, schemas.is_empty()) {
        // Owned by whoever makes it: to hand it to the login takes being a member of that.
        let privileges = match seen.asked.severity(grave(Need::Create)) >= Severity::Warning {
            true => "USAGE, CREATE",
            false => "USAGE",
        };
        let (schema, user) = (name(schema), name(seen.user()));
        let mut create = run_as(
            &seen.facts.login.database_owner,
            vec![
                format!("CREATE SCHEMA {schema};"),
                format!("GRANT {privileges} ON SCHEMA {schema} TO {user};"),
            ],
        );
        create.advice = Some("correct the schema of the connection; or create it".into());
        create.gives_more = true;
        found.missing(
            grave(Need::Usage),
            &subject,
            "it does not exist in this database",
            vec![create],
        );
        return;
    }
    let closed: Vec<&Schema> = schemas.iter().filter(|schema| !schema.usage).collect();
    if closed.is_empty() {
        let message = match seen.schema {
            Some(_) => "it exists and may be used",
            None => "all may be used",
        };
        found.passed(&[Need::Usage], &subject, message);
        return;
    }
    let message = match seen.schema {
        Some(_) => "USAGE is missing: nothing in it can be reached".to_owned(),
        None => format!(
            "USAGE is missing on {}: {}",
            counted(closed.len(), "schema"),
            some_of(closed.iter().map(|schema| name(&schema.name)))
        ),
    };
    found.missing(
        grave(Need::Usage),
        &subject,
        message,
        on_schemas("USAGE", pairs(&closed), seen.user()),
    );
}

fn pairs<'a>(schemas: &[&'a Schema]) -> Vec<(&'a str, &'a str)> {
    schemas
        .iter()
        .map(|schema| (schema.name.as_str(), schema.owner.as_str()))
        .collect()
}

/// That tables may be created.
pub fn creating(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let schemas = &seen.facts.schemas;
    if schemas.is_empty() {
        return;
    }
    let closed: Vec<&Schema> = schemas.iter().filter(|schema| !schema.create).collect();
    if closed.is_empty() {
        found.passed(&[Need::Create], "new tables", "tables may be created");
        return;
    }
    let message = match seen.schema {
        Some(_) => "CREATE is missing on the schema: no tables can be created in it".to_owned(),
        None => format!(
            "CREATE is missing on {} of {}: {}",
            closed.len(),
            counted(schemas.len(), "schema"),
            some_of(closed.iter().map(|schema| name(&schema.name)))
        ),
    };
    found.missing(
        grave(Need::Create),
        "new tables",
        message,
        on_schemas("CREATE", pairs(&closed), seen.user()),
    );
}

/// That anything can be changed at all.
pub fn changing(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let login = &seen.facts.login;
    if login.replica {
        found.missing(
            grave(Need::Change),
            "changes",
            "the server is a read-only replica: nothing on it can be changed",
            vec![advice("connect to the primary to write")],
        );
        return;
    }
    if login.read_only {
        let statement = format!(
            "ALTER ROLE {} IN DATABASE {} SET default_transaction_read_only = off;",
            name(&login.user),
            name(&login.database)
        );
        // A role may change its own settings, once its session may change anything.
        let mut remedy = run_as(&login.user, vec![WRITABLE.to_owned(), statement]);
        remedy.advice = Some("it takes effect for connections made afterwards".into());
        found.missing(
            grave(Need::Change),
            "changes",
            "the login's transactions are read-only by default (default_transaction_read_only is on)",
            vec![remedy],
        );
        return;
    }
    found.passed(
        &[Need::Change],
        "changes",
        "neither server nor login is read-only",
    );
}

/// That temporary tables may be created.
pub fn temporary(seen: &Seen<'_>, found: &mut Findings<'_>) {
    let login = &seen.facts.login;
    if login.temporary {
        found.passed(
            &[Need::Temporary],
            "temporary tables",
            "they may be created",
        );
        return;
    }
    let statement = format!(
        "GRANT TEMPORARY ON DATABASE {} TO {};",
        name(&login.database),
        name(&login.user)
    );
    found.missing(
        grave(Need::Temporary),
        "temporary tables",
        "TEMPORARY is missing on the database: rows from elsewhere cannot be loaded for a join",
        vec![run_as(&login.database_owner, vec![statement])],
    );
}
