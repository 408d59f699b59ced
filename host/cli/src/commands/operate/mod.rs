//! `plan`, `run` and `review`: saved operations; `prompt`: what to have one written with.

mod failed;
mod plan;
mod prepare;
mod prompt;
mod review;
mod run;
mod show;
mod watch;

pub use plan::run as plan;
pub use prompt::run as prompt;
pub use review::run as review;
pub use run::run;
