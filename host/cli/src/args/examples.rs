//! What `--help` says of single commands, behind their options.

/// Of `check`.
pub const CHECK: &str = "\
Purposes:
  source     read tables
  new-table  read, and write results to tables that are created for them
  in-place   change and delete rows of tables; altering them takes ownership, which is
             reported apart: as a warning
  join       load rows into temporary tables, and write to new or existing tables
  all        all of these

Without --for, every purpose is looked at, but only what stands in the way of source fails; what
the others lack is a warning. Exits with 14 when something fails for a purpose asked for; a
warning does not fail. When no connection can be opened, there is a report of that, and the exit
code is that of the failure.

Example:
  dagflux check sales
  dagflux check sales --for join
  dagflux check sales --for source --for new-table --all-schemas --json
  dagflux check sales --for all --sql > missing.sql";

/// Of `inspect`.
pub const INSPECT: &str = "\
With two connectors, exits with 14 if the second asks for more than the first (an interface that it
newly imports, a sensitive value that it is newly told, or one that is no longer kept from it), or
is refused altogether.

Example:
  dagflux inspect ./target/connectors/postgres.wasm
  dagflux inspect postgres ./postgres-new.wasm";

/// Of `grant`.
pub const GRANT: &str = "\
A connector is granted what it asks for when it is first used. Another version of it that asks for
more is refused until this grants it. A connection can be stricter: `connector_digest` pins one
component, `connector_key` asks for a minisign signature.

Example:
  dagflux inspect ./postgres-old.wasm postgres
  dagflux grant postgres";

/// Of `setup-sql`.
pub const SETUP_SQL: &str = "\
The names come from a connection of the connection file, which need not be complete, or from
--database, --schema and --user. What is to be decided first stands there as a comment.

Example:
  dagflux setup-sql sales --for source
  dagflux setup-sql sales --for all --owner app --owner etl > setup.sql
  dagflux setup-sql --for join --database sales --schema public --user dagflux";

/// Of `preview`.
pub const PREVIEW: &str = "\
Example:
  dagflux preview sales orders -n 10
  dagflux preview sales orders --on-loss valid_until=text";

/// Of `query`.
pub const QUERY: &str = "\
The server runs it in a read-only transaction, and refuses a second statement.

Example:
  dagflux query sales 'SELECT status, count(*) FROM orders GROUP BY 1'
  dagflux query sales --file report.sql --json
  dagflux query sales 'SELECT * FROM readings' --on-loss null,noted_at=text";

/// Of `export`.
pub const EXPORT: &str = "\
Rows are written while they arrive. The file appears under its name when it is complete, in
place of one that was there; after an error or Ctrl-C there is no file. The query runs in a
read-only transaction.

Formats:
  parquet  types kept exactly; Snappy
  arrow    types kept exactly; a file, or a stream when it goes to standard output
  csv      names in the first line; NULL is nothing between commas, the empty text is \"\"
  jsonl    one object a line; NULL is null, decimals are text to stay exact

In csv and jsonl: bytes as \\x and hexadecimal digits, dates and times as ISO 8601; lists,
records and maps as JSON, which csv puts into one field.

Example:
  dagflux export sales public.orders -o orders.parquet
  dagflux export sales --query 'SELECT * FROM orders WHERE status = 7' -o open.csv
  dagflux export sales orders -o - --format jsonl | jq .total
  dagflux export sales readings -o readings.parquet --on-loss null";

/// Of `import`.
pub const IMPORT: &str = "\
One transaction: all rows arrive or, after any error or Ctrl-C, none; only exit code 11 says
that it is not known which, because the answer to the commit was lost. Columns are matched by
name; those of the table that the file lacks take their defaults.

Modes:
  append   adds the rows
             dagflux import sales new.csv orders
  create   creates the table, in the same transaction
             dagflux import sales orders.parquet public.orders_copy --create
             dagflux import sales orders.csv orders_copy --create --type 'total=numeric(12,2)'
             dagflux import sales orders.csv orders_copy --create --schema 'id bigint, name text'
             dagflux import sales orders.csv orders_copy --create --schema @orders.schema
  replace  puts the rows in place of all others; the table keeps its grants, comments,
           indexes, policies, and the views on it; readers see the old rows until the end
             dagflux import sales prices.csv prices --mode replace
  upsert   changes the rows that have the key of a new one, and adds the rest
             dagflux import sales changed.csv customers --mode upsert
             dagflux import sales changed.csv customers --mode upsert --key email --duplicates last

Look first, without a change, at what an import would do:
  dagflux import sales changed.csv customers --mode upsert --dry-run
Leave out columns of the file, such as those that the table computes:
  dagflux import sales orders.csv orders --columns id,total

Types: Parquet and Arrow files have them. For csv and jsonl, text for a table that exists is read
by the server; what it would round is refused. For a table that is created, types are inferred
from the first 16,384 rows or 8 MiB, and hold for all rows, unless --type or --schema gives
them, in the server's words. In csv, nothing between commas is NULL and \"\" is the empty text.
Lists, records and maps are JSON, as in exports, or in the server's own notation.

Compressed files: Parquet with Snappy, Zstandard, gzip and LZ4, Arrow with LZ4 and Zstandard.";

/// Of `certificate`.
pub const CERTIFICATE: &str = "\
Nothing of a login is sent. Where Use SSL is off, the certificate is judged as if it were on. The
names in it are shown, with --json as well: they are what is asked for.

Examples:
  dagflux certificate sales
  dagflux certificate sales --pem > server.pem
  dagflux certificate sales --pin
  dagflux certificate sales --pin --fingerprint sha256:9f86d081...";

/// Of `operation check`.
pub const OPERATION_CHECK: &str = "\
Exits with 14 when it breaks a rule, and with 13 when it is no saved operation at all.

Example:
  dagflux operation check revenue.json
  model | dagflux operation check - --json";

/// Of `plan`.
pub const PLAN: &str = "\
Each step: where it runs, its SQL, about how many rows, what it locks until the end; then what the
connections lack, how columns have changed since the statements were written, and what the review of
the statements found. Changes nothing. Exits with 14 when something stands in the way.

Example:
  dagflux plan revenue.json
  dagflux plan join.json --json";

/// Of `run`.
pub const RUN: &str = "\
Does the steps that `dagflux plan` shows, all or none. An operation in place is rehearsed first, in a
transaction that is rolled back: what it changes is shown, and it is done only when you say so, or with
--yes; where a statement touches every row of the table, you are asked again, or add --every-row.

With --json, one document a line: {\"step\":...} as each ends, {\"rehearsal\":...}, and last {\"done\":...}.
A run without the last line was not carried out.

Examples:
  dagflux run revenue.json
  dagflux run cleanup.json --rehearse
  dagflux run cleanup.json --yes --log runs.jsonl";

/// Of `review`.
pub const REVIEW: &str = "\
The server parses and plans each statement without carrying it out; nothing is changed. Every finding
says what to write instead: with --json, made to be given back to the model that wrote the statement.
Exits with 14 when the operation cannot be run.

Example:
  model | dagflux review - --json";

/// Of `prompt`.
pub const PROMPT: &str = "\
The dialect, the rules, what to answer, an example, and what is known of the tables: types, keys, labels,
comments. The first tables are described in full; what there was no room for is said on standard error.
What the model answers goes into a saved operation, which `dagflux review` holds against the rules.

No row of a table is in it unless --samples asks for some. They are masked by the names of columns and
by what values look like, which no rule knows for sure: name with --mask-column what must not be shown.

Examples:
  dagflux prompt shop --node transform --mode new-table --table sales.orders --target sales.revenue
  dagflux prompt shop --node transform --mode in-place --table sales.orders --samples 5
  dagflux prompt shop --node transform --mode new-table --storage local --table sales.orders \\
    --samples 3 --mask email,phone --mask-column orders.note
  dagflux prompt warehouse --node join --mode merge --id totals --table sales.orders \\
    --table shop:public.customers --table file:goals.csv --target sales.totals";
