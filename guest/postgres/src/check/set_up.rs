//! The SQL that creates a login with what it needs, before there is a connection.

use dagflux_guest::Result;
use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Purpose, SetUpNames, SetUpStatement, Severity,
};

use super::grants::words;
use super::need::{Asked, Need, grave};
use crate::dialect::check_name;
use crate::keywords::name;

/// The statements, the least first.
///
/// # Errors
/// `configuration` for a name that the server would cut off.
pub fn set_up(purposes: &[Purpose], names: &SetUpNames) -> Result<Vec<SetUpStatement>> {
    let owners = names.owners.iter().map(|owner| ("owner", owner));
    let given = [
        ("database", &names.database),
        ("schema", &names.schema),
        ("user", &names.user),
    ];
    for (what, name) in given.into_iter().chain(owners) {
        check_name(what, ErrorKind::Configuration, name)?;
    }
    // With none chosen, everything is for all of them, not only for reading.
    let asked = match purposes {
        [] => Asked::new(&super::need::PURPOSES),
        chosen => Asked::new(chosen),
    };
    let wants = |need: Need| asked.severity(grave(need)) >= Severity::Warning;
    Ok(Plan {
        database: name(&names.database),
        schema: name(&names.schema),
        user: name(&names.user),
        owners: &names.owners,
        steps: Vec::new(),
    }
    .steps(wants))
}

struct Plan<'a> {
    database: String,
    schema: String,
    user: String,
    owners: &'a [String],
    steps: Vec<SetUpStatement>,
}

impl Plan<'_> {
    fn add(&mut self, sql: String, why: impl Into<String>) {
        self.steps.push(SetUpStatement {
            sql,
            why: why.into(),
            run_as: None,
            optional: false,
        });
    }

    fn steps(mut self, wants: impl Fn(Need) -> bool) -> Vec<SetUpStatement> {
        let Self {
            database,
            schema,
            user,
            ..
        } = &self;
        let (database, schema, user) = (database.clone(), schema.clone(), user.clone());
        self.add(
            format!("CREATE USER {user} WITH PASSWORD 'choose-a-strong-password';"),
            "A login of its own. Replace the password with a strong one; leave this out if the login exists.",
        );
        self.add(
            format!("GRANT CONNECT ON DATABASE {database} TO {user};"),
            "To connect.",
        );
        self.add(
            format!("GRANT USAGE ON SCHEMA {schema} TO {user};"),
            "To reach what is in the schema.",
        );
        self.add(
            format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {user};"),
            "To read the tables there are.",
        );
        let writes: Vec<Need> = [Need::Insert, Need::Update, Need::Delete]
            .into_iter()
            .filter(|need| wants(*need))
            .collect();
        self.by_default(
            "TABLES",
            "SELECT",
            "To read the tables that will be created.",
        );
        if wants(Need::Create) {
            self.add(
                format!("GRANT CREATE ON SCHEMA {schema} TO {user};"),
                "To create tables, for results that go into a new one.",
            );
        }
        if !writes.is_empty() {
            let words = words(&writes);
            self.add(
                format!("GRANT {words} ON ALL TABLES IN SCHEMA {schema} TO {user};"),
                "To change rows of the tables there are.",
            );
            self.by_default(
                "TABLES",
                &words,
                "To change rows of the tables that will be created.",
            );
        }
        if wants(Need::Draw) {
            self.add(
                format!("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {user};"),
                "To insert into tables whose keys are drawn from a sequence (serial columns).",
            );
            self.by_default(
                "SEQUENCES",
                "USAGE, SELECT",
                "The same for sequences that will be created.",
            );
        }
        if wants(Need::Temporary) {
            self.add(
                format!("GRANT TEMPORARY ON DATABASE {database} TO {user};"),
                "To load rows from elsewhere into temporary tables for a join. Everyone may by default; this makes it hold also where that was revoked (REVOKE ... FROM PUBLIC).",
            );
        }
        if wants(Need::Delete) {
            self.steps.push(SetUpStatement {
                sql: format!("GRANT TRUNCATE ON ALL TABLES IN SCHEMA {schema} TO {user};"),
                why: "To empty tables by TRUNCATE in SQL of your own; DELETE does without. It goes past triggers and policies for rows.".into(),
                run_as: None,
                optional: true,
            });
        }
        if wants(Need::Own) {
            self.ownership(&user);
        }
        self.steps
    }

    /// Privileges on what will be created: by the one who runs this, or by each owner.
    fn by_default(&mut self, kind: &str, privileges: &str, why: &str) {
        let (schema, user) = (self.schema.clone(), self.user.clone());
        self.add(
            format!(
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {privileges} ON {kind} TO {user};"
            ),
            format!(
                "{why} It covers only what is created by the role that runs this; for other roles, it needs FOR ROLE."
            ),
        );
        for owner in self.owners {
            self.steps.push(SetUpStatement {
                sql: format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {schema} GRANT {privileges} ON {kind} TO {user};",
                    name(owner)
                ),
                why: format!(
                    "The same for what {} creates.", name(owner)
                ),
                run_as: Some(owner.clone()),
                optional: false,
            });
        }
    }

    /// What only an owner can do.
    fn ownership(&mut self, user: &str) {
        const WHY: &str = "To ALTER tables in place, which only their owner can; no grant on a table gives that. The login could then do all that the owner can, dropping the tables included. Never with a superuser. A login that does not inherit (NOINHERIT) needs ALTER ROLE ... INHERIT before.";
        let owners: Vec<String> = match self.owners {
            [] => vec!["owner_of_the_tables".to_owned()],
            owners => owners.iter().map(|owner| name(owner)).collect(),
        };
        for owner in owners {
            self.steps.push(SetUpStatement {
                sql: format!("GRANT {owner} TO {user};"),
                why: WHY.to_owned(),
                run_as: None,
                optional: true,
            });
        }
    }
}
