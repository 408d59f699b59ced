//! End-to-end tests: real components in the real host against real servers.

mod assembly;
mod assertions;
mod cancel;
mod capture;
mod checks;
mod cli;
mod connecting;
mod discovery;
mod errors;
mod fixture;
mod footprint;
mod guests;
mod hostile;
mod limits;
mod loading;
mod login_secrecy;
mod memory;
mod outages;
mod read_only;
mod sandbox;
mod servers;
mod smoke;
mod swap;
mod types;
mod writes;
