//! Real servers for the tests, the demo and the benchmarks.
//!
//! [`Server`] starts a PostgreSQL of its own on the loopback interface and stops
//! it again, also when the process that started it is killed. [`Database`] is a
//! fresh database in it, with the grants that the product's documentation asks
//! for. [`tpch`] fills one with the TPC-H tables. [`connector_path`] finds a
//! connector that `cargo xtask guests` has built. [`Certificates`] makes what servers and
//! logins need for TLS; [`PgBouncer`] is a pooler in front of a server; [`proxy::Proxy`] passes
//! connections on to one and breaks them as told. A [`Footprint`] is what this process holds.
//!
//! A server that cannot be started is an error, never a skipped test.

mod account;
mod artifacts;
mod binaries;
mod cache;
mod certificates;
mod database;
mod footprint;
mod guardian;
pub mod install;
mod launch;
mod options;
mod packages;
mod pgbouncer;
mod process;
pub mod proxy;
mod server;
pub mod tpch;

pub use artifacts::{connector_path, test_guest_path};
pub use binaries::Binaries;
pub use certificates::{Certificates, Identity, SERVER_NAME, ServerCertificate};
pub use database::Database;
pub use footprint::Footprint;
pub use options::{PasswordMethod, ServerOptions};
pub use pgbouncer::{PgBouncer, PgBouncerOptions, PoolMode};
pub use server::Server;
pub use tokio_postgres;
