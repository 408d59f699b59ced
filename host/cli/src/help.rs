//! What `--help` says after the options.

/// The connection file, the shapes of `--json`, and the exit codes.
pub fn after_help() -> String {
    format!("{CONNECTION_FILE}\n\n{JSON}\n\n{}", crate::exit::table())
}

const CONNECTION_FILE: &str = "\
Connection file (TOML):
  [sales]
  connector = \"postgres\"            # a name, or the path of a .wasm file
  host = \"db.example.com\"           # sensitive fields: text or a reference
  database = \"sales\"
  username = { env = \"SALES_USER\" }
  password = { keyring = true }     # secrets: a reference only

A reference is { env = \"VARIABLE\" }, { file = \"path\" } for a file that only its owner can read,
{ keyring = true } for what `dagflux secret set sales.password` stored, or
{ keyring = \"service/user\" } for any other entry of the operating system's key store.
A password can also be in libpq's password file: { pgpass = true } or { pgpass = \"path\" }.
`dagflux describe <connector>` shows the fields.

In place of fields, `url` has a connection URL or a libpq keyword string; with a password in it,
only as a reference. `libpq = true` takes what is not given from PG* variables and ~/.pgpass, as
psql would. Fields written beside them come first:
  [web]
  connector = \"postgres\"
  url = { env = \"DATABASE_URL\" }
  use_ssl = true

Of the connector, a connection can ask that it is one component, that it is signed with a minisign
key (the signature lies beside it: postgres.wasm.minisig), and that it stays within limits:
  [strict]
  connector = \"postgres\"
  connector_digest = \"sha256:...\"  # as `dagflux inspect postgres` shows it
  connector_key = \"RW...\"          # the second line of a minisign .pub file
  limits = { memory = \"128MiB\", guest_time = \"2s\" }

Where a command wants a connection, a URL without its password does as well:
  PGPASSWORD=... dagflux tables postgres://dagflux@localhost/sales --libpq";

const JSON: &str = "\
With --json, on standard output:
  describe, inspect, grant                an object
  check                                   {\"server\",\"verdicts\",\"findings\",\"failed\"}, also when no
                                          connection can be opened: \"server\" is null then
  connections, schemas, tables, columns,  an array of objects
  setup-sql, limits
  preview, query                          one document a line:
                                            {\"columns\":[{\"name\",\"type\",\"arrow\"}, ...]}
                                            each row as an array
                                            {\"rows\",\"seconds\",\"losses\"}, without which the
                                            result is not complete
  execute                                 {\"command\",\"rows\"}
  export                                  {\"rows\",\"bytes\",\"seconds\",\"losses\", ...}
  import                                  {\"rows\",\"inserted\",\"updated\",\"deleted\",
                                           \"dry_run\",\"statements\",\"remarks\",\"columns\", ...}
and on standard error, after a failure:   {\"error\":{\"kind\",\"message\",\"hint\",\"exit_code\", ...}}
with --receipt, last of all:              {\"receipt\":{\"received\",\"sent\",\"rows_read\", ...}}
Values are as in jsonl exports; each of \"losses\" is
{\"column\",\"reason\",\"became\",\"values\",\"first_row\",\"example\"}. Host, login name and secrets are in none of it.";
