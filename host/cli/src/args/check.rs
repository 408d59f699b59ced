//! The arguments of `check` and `setup-sql`.

use clap::{Args, ValueEnum};
use dagflux_host::Purpose;

/// What a connection is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum For {
    /// Reading tables
    Source,
    /// Writing results to tables that are created for them
    NewTable,
    /// Changing tables where they are
    InPlace,
    /// Joining with rows from elsewhere
    Join,
    /// All of these
    All,
}

impl For {
    fn purposes(self) -> &'static [Purpose] {
        match self {
            For::Source => &[Purpose::Source],
            For::NewTable => &[Purpose::NewTable],
            For::InPlace => &[Purpose::InPlace],
            For::Join => &[Purpose::Join],
            For::All => &Purpose::ALL,
        }
    }
}

/// What to look at.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The connection, as it is called in the connection file
    pub connection: String,
    /// What the connection is to be used for; several are separated by commas
    #[arg(
        long = "for",
        value_name = "PURPOSE",
        value_enum,
        value_delimiter = ','
    )]
    pub purposes: Vec<For>,
    /// Look at every schema rather than at that of the connection
    #[arg(long)]
    pub all_schemas: bool,
    /// Print nothing but the SQL that is missing, by the role that must run it
    #[arg(long)]
    pub sql: bool,
}

impl CheckArgs {
    /// The purposes asked for; none if none were.
    pub fn purposes(&self) -> Vec<Purpose> {
        purposes(&self.purposes)
    }
}

/// Whom to set up, and what for.
#[derive(Debug, Args)]
pub struct SetUpArgs {
    /// The connection that the user is for, as it is called in the connection file
    pub connection: Option<String>,
    /// What the connection is to be used for; several are separated by commas
    #[arg(
        long = "for",
        value_name = "PURPOSE",
        value_enum,
        value_delimiter = ',',
        required = true
    )]
    pub purposes: Vec<For>,
    /// The database [default: that of the connection]
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// The schema [default: that of the connection, or public]
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// The user to create [default: that of the connection]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A role that creates tables in the schema; can be given several times
    ///
    /// Default privileges hold for what one role creates. Without an owner, the SQL has them for the
    /// role that runs it.
    #[arg(long = "owner", value_name = "ROLE")]
    pub owners: Vec<String>,
    /// The connector, where no connection is named
    #[arg(long, value_name = "NAME", default_value = "postgres")]
    pub connector: String,
}

impl SetUpArgs {
    /// The purposes asked for.
    pub fn purposes(&self) -> Vec<Purpose> {
        purposes(&self.purposes)
    }
}

fn purposes(chosen: &[For]) -> Vec<Purpose> {
    let chosen: Vec<Purpose> = chosen
        .iter()
        .flat_map(|chosen| chosen.purposes())
        .copied()
        .collect();
    Purpose::ALL
        .into_iter()
        .filter(|purpose| chosen.contains(purpose))
        .collect()
}
