//! Whether the connection is fit for what DagFlux does with it, and what would mend it.
//!
//! One statement asks for everything; each finding that stands in the way carries the SQL
//! that removes it, for someone who may grant.

use dagflux_guest::Result;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Finding, Report, Server, Severity,
};

use crate::catalog::{columns_of, is_true, required};
use crate::dialect::quote;
use crate::session::Session;

/// What the server says of itself and of the login.
struct Facts {
    database: String,
    user: String,
    schema: String,
    schema_exists: bool,
    usage: bool,
    create: bool,
    temporary: bool,
    replica: bool,
    read_only: bool,
    tables: u64,
    readable: u64,
    /// The relations among `tables` that rows are written to: no views.
    targets: u64,
    writable: u64,
    filtered: u64,
}

const FACTS: &str = "SELECT pg_catalog.current_database(), current_user, \
    n.oid IS NOT NULL, \
    COALESCE(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false), \
    COALESCE(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false), \
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY'), \
    pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('default_transaction_read_only') = 'on', \
    t.total, t.readable, t.targets, t.writable, t.filtered \
    FROM (SELECT $1::pg_catalog.text AS name) s \
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname::pg_catalog.text = s.name \
    CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS total, \
    pg_catalog.count(*) FILTER (WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT')) AS readable, \
    pg_catalog.count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'f')) AS targets, \
    pg_catalog.count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'f') \
    AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
    AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') \
    AND pg_catalog.has_table_privilege(c.oid, 'DELETE')) AS writable, \
    pg_catalog.count(*) FILTER (WHERE pg_catalog.row_security_active(c.oid)) AS filtered \
    FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) t";

/// Looks at everything and reports it in order.
///
/// # Errors
/// What the server reports, such as a lost connection; what stands in the way of using it is a
/// finding, not an error.
pub fn check(session: &mut Session) -> Result<Report> {
    session.begin()?;
    let parameters = session.parameters().clone();
    let rows = session.rows(FACTS, &[Some(&parameters.schema)])?;
    let facts = facts(
        rows.into_iter().next().unwrap_or_default(),
        parameters.schema,
    )?;
    let version = session
        .setting("server_version")
        .unwrap_or_default()
        .to_owned();
    let findings = vec![
        server(session.version(), &version),
        encryption(parameters.encrypted),
        schema(&facts),
        reading(&facts),
        row_security(&facts),
        writing(&facts),
        creating(&facts),
        temporary(&facts),
    ];
    Ok(Report {
        server: Server {
            product: "PostgreSQL".into(),
            version,
            database: facts.database,
            schema: facts.schema,
            encrypted: parameters.encrypted,
        },
        findings,
    })
}

fn facts(row: Vec<Option<String>>, schema: String) -> Result<Facts> {
    let [
        database,
        user,
        exists,
        usage,
        create,
        temporary,
        replica,
        read_only,
        tables,
        readable,
        targets,
        writable,
        filtered,
    ] = columns_of(row)?;
    let count = |value: Option<String>| value.and_then(|value| value.parse().ok()).unwrap_or(0);
    Ok(Facts {
        database: required(database)?,
        user: required(user)?,
        schema,
        schema_exists: is_true(&exists),
        usage: is_true(&usage),
        create: is_true(&create),
        temporary: is_true(&temporary),
        replica: is_true(&replica),
        read_only: is_true(&read_only),
        tables: count(tables),
        readable: count(readable),
        targets: count(targets),
        writable: count(writable),
        filtered: count(filtered),
    })
}

fn finding(subject: impl Into<String>, severity: Severity, message: impl Into<String>) -> Finding {
    Finding {
        severity,
        subject: subject.into(),
        message: message.into(),
        remedy: None,
    }
}

fn mended(finding: Finding, remedy: String) -> Finding {
    Finding {
        remedy: Some(remedy),
        ..finding
    }
}

fn server(number: u32, version: &str) -> Finding {
    match number {
        100_000.. => finding(
            "server",
            Severity::Passed,
            format!("PostgreSQL {version} answers and accepts the login"),
        ),
        _ => mended(
            finding(
                "server",
                Severity::Warning,
                format!(
                    "PostgreSQL {version} is older than 10, the oldest this connector is made for"
                ),
            ),
            "upgrade the server".into(),
        ),
    }
}

fn encryption(encrypted: bool) -> Finding {
    let message = match encrypted {
        true => "the connection is encrypted and the server verified",
        false => "the connection is not encrypted (Use SSL is off)",
    };
    finding("encryption", Severity::Passed, message)
}

fn schema(facts: &Facts) -> Finding {
    let name = quote(&facts.schema);
    let subject = format!("schema {name}");
    if !facts.schema_exists {
        return mended(
            finding(
                subject,
                Severity::Failed,
                "it does not exist in this database",
            ),
            format!("CREATE SCHEMA {name}; or correct the schema of the connection"),
        );
    }
    if !facts.usage {
        return mended(
            finding(subject, Severity::Failed, "the login may not use it"),
            format!("GRANT USAGE ON SCHEMA {name} TO {};", quote(&facts.user)),
        );
    }
    finding(subject, Severity::Passed, "it exists and may be used")
}

fn reading(facts: &Facts) -> Finding {
    let Facts {
        tables, readable, ..
    } = facts;
    if *tables == 0 {
        return finding("reading", Severity::Passed, "the schema has no tables yet");
    }
    if readable == tables {
        return finding(
            "reading",
            Severity::Passed,
            format!("all {tables} tables and views may be read"),
        );
    }
    let (severity, message) = match readable {
        0 => (
            Severity::Failed,
            format!("none of the {tables} tables and views may be read in full"),
        ),
        _ => (
            Severity::Warning,
            format!("{readable} of {tables} tables and views may be read in full"),
        ),
    };
    mended(
        finding("reading", severity, message),
        on_all_tables("SELECT", facts),
    )
}

fn row_security(facts: &Facts) -> Finding {
    match facts.filtered {
        0 => finding(
            "row-level security",
            Severity::Passed,
            "no table hides rows from the login",
        ),
        filtered => mended(
            finding(
                "row-level security",
                Severity::Warning,
                format!("policies may silently hide rows of {filtered} tables from the login"),
            ),
            format!(
                "ALTER ROLE {} BYPASSRLS; if every row should be seen",
                quote(&facts.user)
            ),
        ),
    }
}

fn writing(facts: &Facts) -> Finding {
    let Facts {
        targets, writable, ..
    } = facts;
    if facts.replica {
        return mended(
            finding(
                "writing",
                Severity::Warning,
                "the server is a read-only replica: nothing can be written",
            ),
            "connect to the primary to write".into(),
        );
    }
    if facts.read_only {
        return mended(
            finding(
                "writing",
                Severity::Warning,
                "transactions of the login are read-only by default: writes fail",
            ),
            format!(
                "ALTER ROLE {} SET default_transaction_read_only = off;",
                quote(&facts.user)
            ),
        );
    }
    if *targets == 0 {
        return finding("writing", Severity::Passed, "the schema has no tables yet");
    }
    if writable == targets {
        return finding(
            "writing",
            Severity::Passed,
            format!("all {targets} tables may be written"),
        );
    }
    mended(
        finding(
            "writing",
            Severity::Warning,
            format!("{writable} of {targets} tables may be written"),
        ),
        on_all_tables("SELECT, INSERT, UPDATE, DELETE", facts),
    )
}

fn creating(facts: &Facts) -> Finding {
    let name = quote(&facts.schema);
    if facts.create {
        return finding(
            "new tables",
            Severity::Passed,
            "tables may be created in the schema",
        );
    }
    mended(
        finding(
            "new tables",
            Severity::Warning,
            "no tables may be created in the schema, which transformations and joins into new tables need",
        ),
        format!("GRANT CREATE ON SCHEMA {name} TO {};", quote(&facts.user)),
    )
}

fn temporary(facts: &Facts) -> Finding {
    if facts.temporary {
        return finding(
            "temporary tables",
            Severity::Passed,
            "temporary tables may be created",
        );
    }
    mended(
        finding(
            "temporary tables",
            Severity::Warning,
            "no temporary tables may be created, which joins with other connections need",
        ),
        format!(
            "GRANT TEMPORARY ON DATABASE {} TO {};",
            quote(&facts.database),
            quote(&facts.user)
        ),
    )
}

fn on_all_tables(privileges: &str, facts: &Facts) -> String {
    format!(
        "GRANT {privileges} ON ALL TABLES IN SCHEMA {} TO {};",
        quote(&facts.schema),
        quote(&facts.user)
    )
}
