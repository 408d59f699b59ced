//! `plan`, `run` and `review`: saved operations.

mod failed;
mod plan;
mod prepare;
mod review;
mod run;
mod show;
mod watch;

pub use plan::run as plan;
pub use review::run as review;
pub use run::run;
