//! What is known of the login and of what is in the database.
//!
//! Of tables, only those are listed that lack something, or hide rows: in a database that is
//! set up well, ten thousand tables are a few counts.

use super::need::Need;

/// The login and its database.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Whether it has the rights of the roles it becomes a member of (before 16, that is the
    /// member's own to say).
    pub inherits: bool,
    /// The database.
    pub database: String,
    /// The owner of the database.
    pub database_owner: String,
    /// Whether it may create temporary tables.
    pub temporary: bool,
    /// Whether the server is a replica, on which nothing can change.
    pub replica: bool,
    /// Whether its transactions are read-only unless they say otherwise.
    pub read_only: bool,
    /// Whether that goes for this login only, and not for others that mend something.
    pub read_only_alone: bool,
    /// Whether it may read whatever there is, also in the future.
    pub reads_all: bool,
    /// Whether it may write to whatever there is, also in the future.
    pub writes_all: bool,
}

/// A schema.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Its name.
    pub name: String,
    /// The role that may grant on it.
    pub owner: String,
    /// Whether the login may reach what is in it.
    pub usage: bool,
    /// Whether the login may create tables in it.
    pub create: bool,
    /// Whether everyone may.
    pub open: bool,
}

/// What one role owns in one schema.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The schema.
    pub schema: String,
    /// The role.
    pub owner: String,
    /// Whether the login has the rights of that role.
    pub own: bool,
    /// Whether that role is a superuser, or can become one.
    pub superuser: bool,
    /// Tables, views and what else can be read.
    pub relations: u64,
    /// Those among them that hold rows.
    pub tables: u64,
    /// Sequences.
    pub sequences: u64,
    /// One of its tables.
    pub example: Option<String>,
}

/// Privileges on a table that are missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// SELECT.
    pub select: bool,
    /// INSERT.
    pub insert: bool,
    /// UPDATE.
    pub update: bool,
    /// DELETE.
    pub delete: bool,
}

impl Lack {
    /// Whether `need` is missing.
    pub fn of(self, need: Need) -> bool {
        match need {
            Need::Select => self.select,
            Need::Insert => self.insert,
            Need::Update => self.update,
            Need::Delete => self.delete,
            _ => false,
        }
    }
}

/// A table that lacks something.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The role that may grant on it.
    pub grantor: String,
    /// Whether it holds rows, so that it can be written to.
    pub holds_rows: bool,
    /// What is missing on the table itself.
    pub bare: Lack,
    /// Whether it is a partition that may be read by way of its table only.
    pub by_root: bool,
    /// What is missing in effect: a partition is reached by way of its table, and grants on
    /// each column are as good as one on the table.
    pub lack: Lack,
    /// What some columns have, and not all.
    pub partly: Lack,
}

/// What policies permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permits {
    /// No row.
    Nothing,
    /// Those that fulfil a condition.
    Some,
    /// Every row.
    All,
}

/// What the policies come to that apply to the login, for one command.
#[derive(Debug, Clone, Copy)]
pub struct Policies {
    /// What those permit that permit anything.
    pub permits: Permits,
    /// Whether others restrict that.
    pub restricted: bool,
}

impl Policies {
    /// What they permit, taken together.
    pub fn in_effect(self) -> Permits {
        match (self.permits, self.restricted) {
            (Permits::All, true) => Permits::Some,
            (permits, _) => permits,
        }
    }
}

/// A table whose policies apply to the login.
#[derive(Debug, Clone)]
pub struct Hiding {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The role that may make policies for it.
    pub grantor: String,
    /// For seeing rows.
    pub select: Policies,
    /// For adding rows.
    pub insert: Policies,
    /// For changing rows.
    pub update: Policies,
    /// For deleting rows.
    pub delete: Policies,
    /// What its policies are called, each on a line.
    pub names: String,
}

impl Hiding {
    /// What the policies come to for the command behind `need`.
    pub fn of(&self, need: Need) -> Policies {
        match need {
            Need::InsertRows => self.insert,
            Need::UpdateRows => self.update,
            Need::DeleteRows => self.delete,
            _ => self.select,
        }
    }

    /// The name itself, or else with a number, that no policy of the table has.
    pub fn free(&self, name: &str) -> String {
        let taken = |name: &str| self.names.lines().any(|known| known == name);
        if !taken(name) {
            return name.to_owned();
        }
        let mut numbered = (2u64..).map(|number| format!("{name}_{number}"));
        numbered
            .find(|name| !taken(name))
            .unwrap_or_else(|| name.to_owned())
    }
}

/// Something that may be read, but needs more than that.
#[derive(Debug, Clone)]
pub enum Beyond {
    /// A view whose owner, or the login where it is its reader who counts, may not read what is
    /// beneath it.
    View {
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
        /// The schema of what is beneath.
        base_schema: String,
        /// What is beneath.
        base: String,
        /// Who may not read that.
        reader: String,
        /// The role that may grant on what is beneath.
        grantor: String,
    },
    /// Tables on a foreign server that does not know whom to log in as.
    Foreign {
        /// The server.
        server: String,
        /// How many tables.
        tables: u64,
    },
}

/// A sequence that columns draw from, and that lacks something.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The role that may grant on it.
    pub grantor: String,
    /// Whether values may not be drawn.
    pub draw: bool,
    /// Whether it may not be looked at.
    pub see: bool,
    /// Whether only an identity column draws from it, which takes no privilege.
    pub identity: bool,
}

/// What the login will lack on what a role creates in a schema from now on.
#[derive(Debug, Clone)]
pub struct Future {
    /// The schema.
    pub schema: String,
    /// The role.
    pub role: String,
    /// On tables.
    pub tables: Lack,
    /// USAGE on sequences.
    pub draw: bool,
    /// SELECT on sequences.
    pub see: bool,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Who looks, and where.
    pub login: Login,
    /// By name.
    pub schemas: Vec<Schema>,
    /// By schema and owner.
    pub holdings: Vec<Holding>,
    /// By schema and name.
    pub tables: Vec<Table>,
    /// By schema and name.
    pub hiding: Vec<Hiding>,
    /// By schema and name.
    pub sequences: Vec<Sequence>,
    /// How many sequences columns draw from.
    pub drawn: u64,
    /// By role and schema.
    pub futures: Vec<Future>,
    /// Views by schema and name, then servers.
    pub beyond: Vec<Beyond>,
}
